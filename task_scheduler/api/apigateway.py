"""The API behind API Gateway: a proxy event in, a proxy response out (AWS, proxy integration, format 1.0)."""

import base64
from collections.abc import Callable, Coroutine
from typing import Any

from task_scheduler.api.app import Api
from task_scheduler.api.request import Request, query_fields
from task_scheduler.api.response import Response

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def handler(api: Api) -> Handler:
    """Return a Lambda handler that handles the proxy events of a REST API."""

    def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
        request = _request(event)
        return _response(_complete(api.handle(request)), with_body=request.method != "HEAD")

    return handler


def _complete(handling: Coroutine[None, None, Response]) -> Response:
    """Run a coroutine to its end without an event loop: an engine in Lambda blocks, and so never waits."""
    try:
        handling.send(None)
    except StopIteration as stop:
        response: Response = stop.value
        return response
    raise RuntimeError("This engine needs an event loop.")


def _request(event: dict[str, Any]) -> Request:
    """Read an event; what a request has nothing of, such as a query, is null in it."""
    path: str = event["path"]
    body: str = event.get("body") or ""
    headers = {**(event.get("headers") or {})}  # the last of each name, where the local server takes the first
    headers |= {name: values[0] for name, values in (event.get("multiValueHeaders") or {}).items() if values}
    parameters = event.get("multiValueQueryStringParameters") or {}
    query, repeated = query_fields((name, value) for name, values in parameters.items() for value in values)
    return Request(
        method=event["httpMethod"],
        path=path,
        headers={name.lower(): value for name, value in headers.items()},
        query=query or event.get("queryStringParameters") or {},
        repeated=repeated,
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass"),
        public_path=event["requestContext"].get("path") or path,
    )


def _response(response: Response, *, with_body: bool) -> dict[str, Any]:
    if not isinstance(response.body, bytes):
        raise TypeError("An integration responds at once: give the API a context that does not stream.")
    headers = {"content-type": response.content_type, **response.headers}
    return {
        "statusCode": response.status,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": response.body.decode() if with_body else "",
        "isBase64Encoded": False,
    }
