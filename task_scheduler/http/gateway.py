"""The API behind API Gateway: the routes mounted on a Powertools resolver."""

import base64
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler import Response as PowertoolsResponse
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from task_scheduler.http.api import Api, not_found
from task_scheduler.http.message import Request, Response

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

_METHODS: Final = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
]  # all that API Gateway passes on


def handler(api: Api) -> Handler:
    """Return a Lambda handler that answers the proxy events of a REST API."""
    app = APIGatewayRestResolver()

    def mount(path: str) -> None:
        rule = path.replace("{", "<").replace("}", ">")

        @app.route(rule, method=_METHODS)
        def _answer(**params: str) -> PowertoolsResponse[str]:
            request = _request(app, params)
            if request.path.count("/") != path.count("/"):  # Powertools takes any number of slashes at the end
                return _response(not_found(request))
            return _response(_complete(api.answer(path, request)))

    for path in api.routes:
        mount(path)

    @app.not_found
    def _not_found(_error: NotFoundError) -> PowertoolsResponse[str]:
        return _response(not_found(_request(app, {})))

    return app.resolve


def _complete(answering: Coroutine[None, None, Response]) -> Response:
    """Run a coroutine to its end without an event loop: an engine in Lambda blocks, and so never waits."""
    try:
        answering.send(None)
    except StopIteration as stop:
        response: Response = stop.value
        return response
    raise RuntimeError("This engine needs an event loop.")


def _request(app: APIGatewayRestResolver, params: Mapping[str, str]) -> Request:
    event = app.current_event
    body = event.body or ""
    return Request(
        method=event.http_method,
        path=event.path,
        headers={name.lower(): value for name, value in event.headers.items()},
        query=event.query_string_parameters,
        body=base64.b64decode(body) if event.is_base64_encoded else body.encode("utf-8", "surrogatepass"),
        params=params,
        seen_path=event.request_context.path or event.path,
    )


def _response(answer: Response) -> PowertoolsResponse[str]:
    if not isinstance(answer.body, bytes):
        raise TypeError("An integration answers at once: give the API a context that does not stream.")
    return PowertoolsResponse(answer.status, answer.content_type, answer.body.decode(), headers=dict(answer.headers))
