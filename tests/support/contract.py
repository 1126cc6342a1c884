"""The server's own openapi.json, held against every answer that the suite sees."""

import json
import re
from typing import Any, Final

import httpx
from jsonschema import Draft202012Validator

JsonObject = dict[str, Any]

METHODS: Final = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


class Contract:
    """An OpenAPI document and what it promises about answers."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document
        self._validators: dict[tuple[str, str, str], Draft202012Validator] = {}

    def methods(self, template: str) -> set[str]:
        """Return the methods of a path, in upper case."""
        return {method.upper() for method in self.document["paths"][template] if method in METHODS}

    def check(self, response: httpx.Response, *, method: str, path: str) -> None:
        """Fail unless the contract has this answer to this request; what it does not list is 404 or 405."""
        template = self._template(path)
        if template is None or method not in self.methods(template):
            expected = 404 if template is None else 405
            assert response.status_code == expected, f"{method} {path} is not in openapi.json"
            check_error_shape(response)
            return
        operation = self.document["paths"][template][method.lower()]
        answers = operation["responses"]
        status = str(response.status_code)
        assert status in answers, f"openapi.json has no {status} for {method} {template}: {response.text[:500]}"
        answer = self._resolve(answers[status])
        for name, header in answer.get("headers", {}).items():
            assert not self._resolve(header).get("required") or name in response.headers, f"{name} is missing"
        media = response.headers["content-type"].partition(";")[0]
        assert media in answer["content"], f"openapi.json has no {media} for {status} of {method} {template}"
        if media == "application/json":
            schema = answer["content"][media]["schema"]
            self._check_schema((template, method, status), schema, json.loads(response.content))
        if response.is_error:
            check_error_shape(response)

    def _template(self, path: str) -> str | None:
        raw = path.partition("?")[0]
        if raw in self.document["paths"]:
            return raw
        for template in self.document["paths"]:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), raw):
                return str(template)
        return None

    def _resolve(self, node: JsonObject) -> JsonObject:
        while "$ref" in node:
            target: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def _check_schema(self, key: tuple[str, str, str], schema: JsonObject, value: object) -> None:
        if key not in self._validators:
            # References are resolved from the root, so the document itself is the schema's root.
            root = {"components": self.document.get("components", {}), "allOf": [schema]}
            self._validators[key] = Draft202012Validator(root, format_checker=Draft202012Validator.FORMAT_CHECKER)
        mistakes = [f"{error.json_path}: {error.message[:300]}" for error in self._validators[key].iter_errors(value)]
        assert not mistakes, f"{key} does not answer what openapi.json says: {mistakes}"


def check_error_shape(response: httpx.Response) -> None:
    """Fail unless the answer is an error of the one shape, and keeps its insides to itself."""
    assert response.headers["content-type"].partition(";")[0] == "application/json", response.text[:500]
    body = json.loads(response.content)
    assert isinstance(body, dict), body
    assert set(body) == {"errors"}, body
    assert body["errors"], "an error must say what is wrong"
    for sentence in body["errors"]:
        assert isinstance(sentence, str), body
        assert " " in sentence, f"not a sentence: {sentence}"
        assert "Traceback" not in sentence, sentence
