"""What API Gateway hands to the function, and what it gets back."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.routing import compile_path

from task_scheduler.api.apigateway import Handler, handler
from task_scheduler.api.app import Api
from task_scheduler.api.request import Request
from task_scheduler.api.response import Response, json_response
from task_scheduler.api.routes import ROUTES, Context, Route
from tests.support.gateway import proxy_event
from tests.support.memory_engine import MemoryEngine, memory_engine

SECRET = "the-configured-secret"  # noqa: S105 - of nothing
TASK = b'{"in": "30s", "message": "a private matter"}'


@pytest.fixture
def engine() -> MemoryEngine:
    return memory_engine()


@pytest.fixture
def call(engine: MemoryEngine) -> Handler:
    return handler(Api(Context(engine, streams=False), secrets=lambda: [SECRET]))


def proxied(
    method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **query: str
) -> dict[str, Any]:
    """Return the event of a request, which has the secret unless headers are given."""
    return proxy_event(method, path, body, {"X-PD-Secret": SECRET} if headers is None else headers, query.items())


def answer(call: Handler, event: dict[str, Any]) -> tuple[int, Any]:
    found = call(event, None)
    return found["statusCode"], json.loads(found["body"])


@pytest.mark.parametrize(
    "path",
    [
        *ROUTES,
        "/tasks/",
        "/tasks//",
        "/tasks/1/",
        "/tasks/1/2",
        '/tasks/"é #?%2F\u2028',
        "/tasks/..",
        "//tasks",
        "/schedule/",
        "/schedule/batch/",
        "/Schedule",
        "/schedule ",
        "schedule",
        "/assets/",
        "/assets/a/b",
        "//",
        "",
        "*",
    ],
)
def test_a_path_leads_where_it_leads_on_the_local_server(engine: MemoryEngine, path: str) -> None:
    def shows(template: str) -> Route:
        async def show(request: Request, _context: Context) -> Response:
            return json_response([template, dict(request.params)])

        return Route(show, requires_secret=False)

    routes = {template: {"GET": shows(template)} for template in ROUTES}
    call = handler(Api(Context(engine, streams=False), secrets=list, routes=routes))
    meant = path.removeprefix("/") if path.startswith("//") else path  # of a URL that ends with a slash
    found = [[template, match.groupdict()] for template in ROUTES if (match := compile_path(template)[0].match(meant))]
    expected = (200, found[0]) if found else (404, {"errors": [f"No route {path}."]})
    assert answer(call, proxied("GET", path)) == expected


def test_a_line_break_is_part_of_a_path(call: Handler) -> None:
    assert answer(call, proxied("GET", "/health\n", headers={}))[0] == 404


def test_of_a_header_that_came_twice_the_first_counts_as_on_the_local_server(call: Handler) -> None:
    last = proxied("GET", "/tasks", headers={"x-pd-secret": "wrong"})
    assert answer(call, last | {"multiValueHeaders": {"x-pd-secret": [SECRET, "wrong"]}})[0] == 200


def test_a_body_may_come_as_text(call: Handler) -> None:
    event = proxied("POST", "/schedule") | {"body": TASK.decode(), "isBase64Encoded": False}
    assert answer(call, event)[0] == 200


def test_a_stream_goes_on_where_a_polyfill_says_so_in_the_query(call: Handler, engine: MemoryEngine) -> None:
    for message in ("one", "two", "three"):
        engine.emit(message)
    headers = {"x-pd-secret": SECRET, "accept": "text/event-stream"}
    found = call(proxied("GET", "/events", headers=headers, after="0", lastEventId="2"), None)
    assert [line for line in found["body"].splitlines() if line.startswith("id")] == ["id: 3"]


def test_an_unexpected_error_says_nothing_to_the_caller_and_nothing_of_the_message_to_the_log(
    call: Handler, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.failure = KeyError("a private matter")
    with caplog.at_level(logging.DEBUG):
        status, body = answer(call, proxied("POST", "/schedule", TASK))
    assert status == 500
    assert "KeyError" not in json.dumps(body)
    assert "KeyError" in caplog.text
    assert "memory_engine.py" in caplog.text
    assert "private" not in caplog.text
    assert SECRET not in caplog.text
