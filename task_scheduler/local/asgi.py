"""The API as an ASGI application: what the HTTP server hands over, and what it gets back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from task_scheduler.api import sse
from task_scheduler.api.app import Api, trace
from task_scheduler.api.errors import INTERNAL_ERROR
from task_scheduler.api.request import Request, query_fields
from task_scheduler.api.response import Response, error_response
from task_scheduler.contract import MAX_BODY_BYTES
from task_scheduler.engine import UnavailableError
from task_scheduler.local.limits import Limits
from task_scheduler.metrics import Metric

_MAX_DRAINED_BYTES: Final = 16 * MAX_BODY_BYTES
"""Of a body that is too large, read so that its sender learns why it is rejected."""
_STOPPING: Final = "The server is stopping; nothing was changed. Try again."
_TOO_MANY_BODIES: Final = "The server is reading as many request bodies as it can. Try again."

_logger: Final = logging.getLogger(__name__)

_HTTP_1_0: Final = {"1.0", "1"}  # as the specification has it, and as Granian does
_CLOSE: Final = {"connection": "close"}

# As the ASGI specification has them (version 3.0, HTTP).
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

AccessCheck = Callable[[str, Mapping[str, str]], Response | None]
"""Looks at the method and headers of a request, before its body is read; returns the response if it is not served."""


def allow_all(_method: str, _headers: Mapping[str, str]) -> None:
    """Serve every request."""


class BodyReader:
    """Reads request bodies: each within a time, all of them within a number of bytes, and until the server stops."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unfinished_bytes = 0
        self._timeouts: set[asyncio.Timeout] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """End all reads with 503: a client that is slow to send must not hold up the stop."""
        self._is_stopping = True
        now = asyncio.get_running_loop().time()
        for timeout in self._timeouts:
            timeout.reschedule(now)

    async def read(self, receive: Receive) -> bytes | Response | None:
        """Return the body, or the response to one that is not read; None where the client went away.

        Of a body that is too large, just enough is returned to see that.
        """
        timeout = asyncio.timeout(0 if self._is_stopping else self._limits.body_timeout_s)
        self._timeouts.add(timeout)
        try:
            async with timeout:
                return await self._read(receive)
        except TimeoutError:
            if self._is_stopping:
                return error_response(HTTPStatus.SERVICE_UNAVAILABLE, [_STOPPING], _CLOSE)
            return error_response(HTTPStatus.REQUEST_TIMEOUT, ["The request body did not arrive in time."], _CLOSE)
        finally:
            self._timeouts.discard(timeout)

    async def _read(self, receive: Receive) -> bytes | Response | None:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return body
        pieces: list[bytes] = []
        size = stored = 0
        try:
            while message["type"] == "http.request":
                piece: bytes = message.get("body", b"")
                size += len(piece)
                if stored <= MAX_BODY_BYTES:
                    pieces.append(piece)
                    stored += len(piece)
                    self._unfinished_bytes += len(piece)
                if self._unfinished_bytes > self._limits.max_unfinished_bytes:
                    return error_response(HTTPStatus.SERVICE_UNAVAILABLE, [_TOO_MANY_BODIES], _CLOSE)
                if size > _MAX_DRAINED_BYTES or not message.get("more_body"):
                    return b"".join(pieces)
                message = await receive()
        finally:
            self._unfinished_bytes -= stored
        return None


def application(
    api: Api, limits: Limits, *, bodies: BodyReader | None = None, access_check: AccessCheck = allow_all
) -> Application:
    """Return the API as an ASGI application."""
    streams = asyncio.BoundedSemaphore(limits.max_streams)
    bodies = bodies or BodyReader(limits)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        rejection = _without_host(scope) or access_check(scope["method"], headers)
        if rejection is not None:
            await _send(rejection, send)
            return
        body = await bodies.read(receive)
        if body is None:
            return
        if isinstance(body, Response):
            await _send(body, send)
            return
        response = await api.handle(_request(scope, headers, body))
        if isinstance(response.body, bytes):
            await _send(response, send)
        elif streams.locked():
            api.metrics.count(Metric.THROTTLED)
            await _send(sse.come_back_later(), send)
        else:
            async with streams:
                await _stream(response, receive, _timed(send, limits.write_timeout_s))

    return _logged(respond)


def _logged(respond: Application) -> Application:
    """Return an application that logs what fails, and responds to it: the HTTP server would drop it."""

    async def respond_or_log(scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def noting(message: dict[str, Any]) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await respond(scope, receive, noting)
        except Exception as error:
            _logger.error("%s %s failed: %s", scope["method"], scope["path"][:200], trace(error))  # noqa: TRY400 - see trace
            if has_started:
                raise  # which ends the connection
            await _send(error_response(HTTPStatus.INTERNAL_SERVER_ERROR, [INTERNAL_ERROR]), send)

    return respond_or_log


def _without_host(scope: Scope) -> Response | None:
    """Reject what RFC 9112 (3.2) says a server must: HTTP/1.1 without a Host field, and any request with two."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # Granian puts an empty field where there is none.
    if len(hosts) == 1 and (hosts[0] or scope["http_version"] in _HTTP_1_0):
        return None
    return error_response(HTTPStatus.BAD_REQUEST, ["The request must have one Host header field."], _CLOSE)


def _timed(send: Send, seconds: float) -> Send:
    """Return a `send` that raises TimeoutError when the client has taken nothing for so long."""

    async def timed(message: dict[str, Any]) -> None:
        async with asyncio.timeout(seconds):
            await send(message)

    return timed


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


async def _send(response: Response, send: Send) -> None:
    assert isinstance(response.body, bytes)  # noqa: S101 - streams are sent otherwise
    await send(_start(response, (b"content-length", str(len(response.body)).encode())))
    await send({"type": "http.response.body", "body": response.body})


async def _stream(response: Response, receive: Receive, send: Send) -> None:
    """Send the pieces as they come, until there are no more or the client goes away."""
    assert not isinstance(response.body, bytes)  # noqa: S101 - those are sent at once
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_send_each(response, response.body, send))
        listening = group.create_task(_until_gone(receive))
        sending.add_done_callback(lambda _: listening.cancel())
        listening.add_done_callback(lambda _: sending.cancel())


async def _send_each(response: Response, pieces: AsyncIterator[bytes], send: Send) -> None:
    try:
        await send(_start(response))
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


def _start(response: Response, *more: tuple[bytes, bytes]) -> dict[str, Any]:
    headers = [
        *more,
        (b"content-type", response.content_type.encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()),
    ]
    return {"type": "http.response.start", "status": response.status, "headers": headers}
