"""Makes the reference of the HTTP API from the contract alone: a new route or field appears by making it again."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from docs.markdown import anchor, link, table

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_UUID: Final = "7212730d-85ba-4037-a648-b77db15ff8b1"
_MS: Final = 1_795_305_345_501
_SAMPLES: Final[Mapping[str, Any]] = {"string": "text", "integer": 1, "number": 1, "boolean": False}
_LONGEST_PATTERN: Final = 40  # a longer one tells a reader nothing

_ERRORS: Final = "When something is wrong"

Schema = Mapping[str, Any]


def api_reference(contract: bytes) -> str:
    """Return a section for each operation, grouped as the contract groups them, and one for each object."""
    return "\n\n".join(section for section in PayloadRef(json.loads(contract)).sections() if section)


@dataclass(frozen=True)
class _Operation:
    """One method of one path, with the parameters of its path."""

    method: str
    path: str
    spec: Mapping[str, Any]
    parameters: Sequence[Mapping[str, Any]]

    @property
    def heading(self) -> str:
        return f"{self.method.upper()} {self.path}"


class PayloadRef:
    """The contract, and what is written of it."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self._contract = contract
        self._operations = list(self._all_operations())

    def sections(self) -> Iterator[str]:
        """Yield the sections."""
        yield table(
            ("route", "does"), [(link(o.heading, shown=f"`{o.heading}`"), o.spec["summary"]) for o in self._operations]
        )
        for group in self._contract.get("tags", []):
            yield f"## {group['name']}\n\n{group.get('description', '')}".strip()
            for operation in self._operations:
                if operation.spec.get("tags", [None])[0] == group["name"]:
                    yield from self._operation(operation)
        yield f"## {_ERRORS}"
        yield "Each error has the one shape [Errors](#errors): a sentence for each mistake."
        yield self._errors()
        yield "## Objects"
        for name, schema in self._schemas().items():
            if "properties" in schema:
                yield f"### {name}"
                yield schema.get("description", "")
                yield self._fields(schema)
            elif "enum" in schema:
                yield f"### {name}"
                yield f"One of {_listed(schema['enum'])}. {schema.get('description', '')}".strip()

    def _all_operations(self) -> Iterator[_Operation]:
        for path, item in self._contract["paths"].items():
            shared = item.get("parameters", [])
            for method in (name for name in item if name in _METHODS):
                given = [self._resolve(parameter) for parameter in (*shared, *item[method].get("parameters", []))]
                yield _Operation(method, path, item[method], given)

    def _operation(self, operation: _Operation) -> Iterator[str]:
        spec = operation.spec
        yield f"### {operation.heading}"
        yield f"{spec['summary']}. {spec.get('description', '')}".strip()
        if self._is_open(operation) and "without a secret" not in spec.get("description", ""):
            yield "Answers without a secret."
        if operation.parameters:
            rows = [
                (f"`{p['name']}`", _place(p), self._kind(p["schema"]), self._meaning(p["schema"], p.get("description")))
                for p in operation.parameters
            ]
            yield table(("parameter", "in", "value", "meaning"), rows)
        if schema := self._body(operation):
            yield f"The body is {self._kind(schema)}."
        yield "```console\n" + "\n".join(self._curls(operation)) + "\n```"
        yield from self._answers(operation)

    def _is_open(self, operation: _Operation) -> bool:
        return bool(operation.spec.get("security", self._contract.get("security")) == [])

    def _body(self, operation: _Operation) -> Schema | None:
        schema: Schema | None = (
            operation.spec.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        )
        return schema

    def _answers(self, operation: _Operation) -> Iterator[str]:
        """Yield what is answered, with an example, and which errors there may be."""
        shared = {status for status, answer in operation.spec["responses"].items() if "$ref" in answer}
        yield table(
            ("status", "answer", "means"),
            [
                (status, self._content(answer), answer.get("description", ""))
                for status, answer in operation.spec["responses"].items()
                if status not in shared
            ],
        )
        content = operation.spec["responses"].get("200", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema and (sample := self._sample(schema, whole=True)):
            yield f"```json\n{json.dumps(sample, ensure_ascii=False, indent=2)}\n```"
        if shared:
            yield f"Or an error: {', '.join(sorted(shared))}; [what they mean](#{anchor(_ERRORS)})."

    def _content(self, answer: Mapping[str, Any]) -> str:
        bodies = [
            self._kind(content.get("schema", {})) if kind == "application/json" else f"`{kind}`"
            for kind, content in answer.get("content", {}).items()
        ]
        return " or ".join(dict.fromkeys(bodies))

    def _errors(self) -> str:
        """Return what the errors mean that several operations have in common."""
        found: dict[str, Mapping[str, Any]] = {}
        for operation in self._operations:
            for status, answer in operation.spec["responses"].items():
                if "$ref" in answer:
                    found.setdefault(status, self._resolve(answer))
        rows = []
        for status, answer in sorted(found.items()):
            headers = [
                f"`{name}`: {header.get('description', '')}" for name, header in answer.get("headers", {}).items()
            ]
            rows.append((status, " ".join([answer.get("description", ""), *headers])))
        return table(("status", "means"), rows)

    def _curls(self, operation: _Operation) -> Iterator[str]:
        """Yield a call for each kind of answer."""
        yield self._curl(operation)
        kinds = operation.spec["responses"].get("200", {}).get("content", {}).keys()
        for kind in sorted(kinds - {"application/json"} if "application/json" in kinds else ()):
            yield self._curl(operation).replace("$ curl", f"$ curl -N -H 'Accept: {kind}'", 1)

    def _curl(self, operation: _Operation) -> str:
        """Return a call that works as it stands, but for the id in it."""
        path = operation.path
        for parameter in operation.parameters:
            path = path.replace("{" + parameter["name"] + "}", str(self._sample(parameter["schema"])))
        words = ["$ curl"]
        data = None
        schema = self._body(operation)
        if schema is not None:
            content = operation.spec["requestBody"]["content"]["application/json"]
            given = [example["value"] for example in content.get("examples", {}).values()]
            data = given[0] if given else self._sample(schema)
        if operation.method != ("get" if data is None else "post"):
            words.append(f"-X {operation.method.upper()}")
        words.append(f'"$URL{path}"')
        if not self._is_open(operation):
            words.append('-H "x-pd-secret: $SECRET"')
        if data is not None:
            words.append(f"-d {shlex.quote(json.dumps(data, ensure_ascii=False))}")
        return " ".join(words)

    def _fields(self, schema: Schema) -> str:
        required = schema.get("required", [])
        rows = []
        for name, field in schema["properties"].items():
            if field is False:
                rows.append((f"`{name}`", "", "must not be given"))
                continue
            always = "" if name in required else "optional; "
            rows.append((f"`{name}`", f"{always}{self._kind(field)}", self._meaning(field, field.get("description"))))
        return table(("field", "value", "meaning"), rows)

    def _meaning(self, schema: Schema, description: str | None) -> str:
        """Return what is written of a value, with its examples."""
        words = [description or ""]
        found = schema.get("examples", [])
        if found:
            words.append(f"For example {_listed(found)}.")
        if "default" in schema:
            words.append(f"Without it: `{json.dumps(schema['default'])}`.")
        return " ".join(word for word in words if word)

    def _kind(self, schema: Schema) -> str:
        """Return in words what a value must be."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            found = self._resolve(schema)
            return link(name) if "properties" in found or "enum" in found else self._kind(found)
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        if "enum" in schema:
            return _listed(schema["enum"], last="or")
        if choices := schema.get("oneOf") if "properties" not in schema else None:
            return " or ".join(self._kind(choice) for choice in choices)
        kinds = schema.get("type", [])
        if not kinds:
            return "any JSON but null" if schema.get("not") == {"type": "null"} else "any JSON"
        return " or ".join(self._plain(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))

    def _plain(self, kind: str, schema: Schema) -> str:
        if kind == "array":
            items = schema.get("items", {})
            return f"array of {self._kind(items)}{_bounds(schema, 'Items')}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict) and "properties" not in schema:
            return f"object of {self._kind(schema['additionalProperties'])}{_bounds(schema, 'Properties')}"
        if kind == "object":
            fields = [
                f"`{name}`" + (f" {self._kind(field)}" if "const" in field else "")
                for name, field in schema.get("properties", {}).items()
            ]
            return f"object with {', '.join(fields)}" if fields else "object"
        if kind == "string":
            word = {"uuid": "UUID", "date-time": "ISO 8601 in UTC"}.get(schema.get("format", ""), "text")
            return f"{word}{_bounds(schema, 'Length', ' characters')}{_pattern(schema)}"
        if kind in {"integer", "number"}:
            return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(schema, 'imum')}"
        return {"boolean": "true or false"}.get(kind, kind)

    def _sample(self, schema: Schema, *, whole: bool = False, name: str = "") -> Any:  # noqa: ANN401, C901, PLR0911 - any JSON; one line for each kind of schema
        """Return a value that the schema allows, with all fields or with those that must be there.

        A schema that only names a route in words gets what that route takes.
        """
        if "$ref" in schema:
            return self._sample(self._resolve(schema), whole=whole, name=name)
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "const" in schema:
            return schema["const"]
        if "properties" in schema:
            chosen = list(schema["properties"]) if whole else self._chosen(schema)
            return {field: self._sample(schema["properties"][field], whole=whole, name=field) for field in chosen}
        if "oneOf" in schema:
            return self._sample(schema["oneOf"][0], whole=whole, name=name)
        if schema.get("type") == "array":
            return [self._sample(schema.get("items", {}), whole=whole, name=name)]
        if schema.get("format") == "uuid" or (name in {"id", "ids"} and "pattern" not in schema):
            return _UUID
        if schema.get("pattern", "").startswith("^[0-9]"):
            return "1"
        if "type" not in schema:
            return self._sample_of_route(schema.get("description", ""))
        if "since the Unix epoch" in schema.get("description", ""):
            return _MS
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        return None if "null" in kinds else _SAMPLES.get(kinds[0], {})

    def _sample_of_route(self, description: str) -> Any:  # noqa: ANN401 - any JSON
        named = re.search(r"/[a-z]+(?:/[a-z]+)*", description)
        if not named or named.group() not in self._contract["paths"]:
            return "Hello"
        content = self._contract["paths"][named.group()]["post"]["requestBody"]["content"]["application/json"]
        return next(iter(content["examples"].values()))["value"]

    def _chosen(self, schema: Schema) -> list[str]:
        """Return the fields to show: the required ones, those of the first choice, and if there are none, one more."""
        chosen = [*schema.get("required", []), *(schema["oneOf"][0].get("required", []) if "oneOf" in schema else [])]
        return chosen or list(schema["properties"])[:1]

    def _schemas(self) -> Mapping[str, Schema]:
        schemas: Mapping[str, Schema] = self._contract["components"]["schemas"]
        return schemas

    def _resolve(self, thing: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in thing:
            found: Any = self._contract
            for name in thing["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            thing = found
        return thing


def _place(parameter: Mapping[str, Any]) -> str:
    return (
        f"{parameter['in']}, required" if parameter.get("required") and parameter["in"] != "path" else parameter["in"]
    )


def _listed(values: Sequence[Any], *, last: str = "and") -> str:
    shown = [f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`" for value in values]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def _bounds(schema: Schema, what: str, unit: str = "") -> str:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low:,}{unit}" if low else ""
    return f", {low:,} to {high:,}{unit}" if low is not None else f", at most {high:,}{unit}"


def _pattern(schema: Schema) -> str:
    pattern = schema.get("pattern", "")
    return f", matching `{pattern}`" if 0 < len(pattern) <= _LONGEST_PATTERN else ""
