"""The API as an ASGI application: what the HTTP server hands over, and what it gets back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

from task_scheduler.api import sse
from task_scheduler.api.app import Api
from task_scheduler.api.json_body import MAX_BODY_BYTES
from task_scheduler.api.request import Request, query_fields
from task_scheduler.api.response import Response, error_response
from task_scheduler.engine import UnavailableError
from task_scheduler.local.limits import Limits
from task_scheduler.metrics import Metric

_MOST_DRAINED: Final = 16 * MAX_BODY_BYTES  # bytes of a body that is too large, read so that its sender hears why
_TOO_MANY_STREAMS: Final = (
    "The server has as many event streams as it can serve. Try again, or read GET /events page by page."
)

_HTTP_1_0: Final = {"1.0", "1"}  # as the specification has it, and as Granian does
_CLOSE: Final = {"connection": "close"}

# As the ASGI specification has them (version 3.0, HTTP).
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

AccessCheck = Callable[[Mapping[str, str]], Response | None]
"""Looks at the headers of a request, before its body is read, and returns the answer to one that is not served."""


def allow_all(_headers: Mapping[str, str]) -> None:
    """Serve every request."""


def application(api: Api, limits: Limits, *, access_check: AccessCheck = allow_all) -> Application:
    """Return the API as an ASGI application."""
    streams = asyncio.BoundedSemaphore(limits.streams)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        rejection = _without_host(scope) or access_check(headers)
        if rejection is not None:
            await _send(rejection, send)
            return
        try:
            async with asyncio.timeout(limits.body_s):
                body = await _read(receive)
        except TimeoutError:
            await _send(error_response(408, ["The request body did not arrive in time."], _CLOSE), send)
            return
        if body is None:  # the client has gone
            return
        request = _request(scope, headers, body)
        response = await api.answer(request)
        if isinstance(response.body, bytes):
            await _send(response, send)
        elif streams.locked():
            api.metrics.count(Metric.THROTTLED)
            await _send(_unless_a_stream(request, _TOO_MANY_STREAMS), send)
        else:
            async with streams:
                await _stream(response, response.body, receive, _timed(send, limits.unread_s))

    return respond


def _without_host(scope: Scope) -> Response | None:
    """Reject what RFC 9112 (3.2) says a server must: HTTP/1.1 without a Host field, and any request with two."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # Granian puts an empty field where there is none.
    if len(hosts) == 1 and (hosts[0] or scope["http_version"] in _HTTP_1_0):
        return None
    return error_response(400, ["The request must have one Host header field."], _CLOSE)


def _timed(send: Send, seconds: float) -> Send:
    """Return a `send` that raises TimeoutError when the client has taken nothing for so long."""

    async def timed(message: dict[str, Any]) -> None:
        async with asyncio.timeout(seconds):
            await send(message)

    return timed


def _unless_a_stream(request: Request, sentence: str) -> Response:
    """Return 503, or what makes an EventSource reconnect later, which an error status would not."""
    return sse.come_back_later() if sse.is_wanted(request) else error_response(503, [sentence])


async def _read(receive: Receive) -> bytes | None:
    """Return the body; of one that is too large, just enough to see that; None where the client went away."""
    message = await receive()
    pieces: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        piece: bytes = message.get("body", b"")
        if not pieces and not message.get("more_body"):
            return piece
        size += len(piece)
        if size - len(piece) <= MAX_BODY_BYTES:
            pieces.append(piece)
        if size > _MOST_DRAINED or not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()
    return None


def _headers(scope: Scope) -> dict[str, str]:
    """Return the header fields; of one that came twice, the first counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _request(scope: Scope, headers: Mapping[str, str], body: bytes) -> Request:
    text: bytes = scope["query_string"]
    query, repeated = query_fields(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else ({}, [])
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        query=query,
        repeated=repeated,
        body=body,
        public_path=scope["path"],
    )


async def _send(answer: Response, send: Send) -> None:
    assert isinstance(answer.body, bytes)  # noqa: S101 - streams are sent otherwise
    await send(_start(answer, (b"content-length", str(len(answer.body)).encode())))
    await send({"type": "http.response.body", "body": answer.body})


async def _stream(answer: Response, pieces: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send the pieces as they come, until there are no more or the client goes away."""
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_send_each(answer, pieces, send))
        listening = group.create_task(_until_gone(receive))
        sending.add_done_callback(lambda _: listening.cancel())
        listening.add_done_callback(lambda _: sending.cancel())


async def _send_each(answer: Response, pieces: AsyncIterator[bytes], send: Send) -> None:
    await send(_start(answer))
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except UnavailableError:  # the server stops, or the disk fails: the client comes back with the position it holds
        pass
    except TimeoutError:  # the client reads nothing: it comes back in the same way
        return
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(answer: Response, *more: tuple[bytes, bytes]) -> dict[str, Any]:
    headers = [
        *more,
        (b"content-type", answer.content_type.encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()),
    ]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}
