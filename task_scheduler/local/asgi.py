"""The API as an ASGI application: what uvicorn hands over, and what it gets back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from task_scheduler.engine import UnavailableError
from task_scheduler.http.api import Api
from task_scheduler.http.body import MAX_BODY_BYTES
from task_scheduler.http.errors import RETRY_AFTER_S
from task_scheduler.http.message import Request, Response, error_response
from task_scheduler.local.pulse import Pulse
from task_scheduler.metrics import Metric

_MOST_DRAINED: Final = 16 * MAX_BODY_BYTES  # bytes of a body that is too large, read so that its sender hears why


def application(api: Api, *, max_streams: int, pulse: Pulse) -> ASGIApp:
    """Return the API as an ASGI application."""
    streams = asyncio.BoundedSemaphore(max_streams)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if pulse.is_late():
            api.observer.count(Metric.THROTTLED)
            await _send(_too_busy(), send)
            return
        body = await _read(receive)
        if body is None:  # there is nobody to answer
            return
        response = await api.answer(_request(scope, body))
        if isinstance(response.body, bytes):
            await _send(response, send)
        elif streams.locked():
            api.observer.count(Metric.THROTTLED)
            await _send(_too_many_streams(), send)
        else:
            async with streams:
                await _streaming(response, response.body)(scope, receive, send)

    return answer


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


def _request(scope: Scope, body: bytes) -> Request:
    query: bytes = scope["query_string"]
    return Request(
        method=scope["method"],
        path=scope["path"],
        # Of a field that came twice, the first counts.
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])},
        query=QueryParams(query) if query else {},
        body=body,
        seen_path=scope["path"],
    )


async def _send(answer: Response, send: Send) -> None:
    assert isinstance(answer.body, bytes)  # noqa: S101 - streams are sent otherwise
    headers = [
        (b"content-length", str(len(answer.body)).encode()),
        (b"content-type", answer.content_type.encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _too_busy() -> Response:
    sentence = "The server has more to do than it can; nothing was changed. Try again."
    return error_response(503, [sentence], {"retry-after": str(RETRY_AFTER_S)})


def _streaming(answer: Response, pieces: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(_until_stopped(pieces), answer.status, dict(answer.headers), answer.content_type)


def _too_many_streams() -> Response:
    sentence = "The server has as many event streams as it can serve. Try again, or read GET /events page by page."
    return error_response(503, [sentence], {"retry-after": str(RETRY_AFTER_S)})


async def _until_stopped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except UnavailableError:  # the server stops, or the disk fails: the client comes back with the position it holds
        return
