"""What API Gateway hands to a function (AWS, proxy integration, format 1.0), also as a WSGI application."""

import base64
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from task_scheduler.api.apigateway import Handler


class LateApplication:
    """Hands each request to the function as the event of a REST API; which function that is may be told later."""

    def __init__(self, call: "Handler | None" = None) -> None:
        self.call = call

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, as PEP 3333 has it."""
        assert self.call, "no function was given"
        found = self.call(_event(environ), None)
        status = HTTPStatus(found["statusCode"])
        headers = [(name, value) for name, values in found["multiValueHeaders"].items() for value in values]
        start_response(f"{status} {status.phrase}", headers)
        body: str = found["body"]
        return [base64.b64decode(body) if found["isBase64Encoded"] else body.encode()]


def proxy_event(
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    query: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the event of a REST API that takes every media type for binary."""
    pairs = list(query)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": dict(headers) if headers else None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} if headers else None,
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {name: [v for n, v in pairs if n == name] for name, _ in pairs} or None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {"stage": "v1", "path": f"/v1{path}", "httpMethod": method},
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def _event(environ: "WSGIEnvironment") -> dict[str, Any]:
    return proxy_event(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
        {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")},
        parse_qsl(environ["QUERY_STRING"], keep_blank_values=True),
    )
