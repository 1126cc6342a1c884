"""The event stream: server-sent events (WHATWG HTML, 9.2) in Pipedream's envelope, without gaps or repetitions."""

from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from task_scheduler.api.request import Request
from task_scheduler.api.response import NO_STORE, Response
from task_scheduler.engine import Engine, UnavailableError
from task_scheduler.task import Event, encode

CONTENT_TYPE: Final = "text/event-stream"
# Neither ends in an empty line: httpx-sse 0.4 would make an event without data of it.
HANDSHAKE: Final = b":sse-handshake\n"
HANDSHAKE_INTERVAL_S: Final = 15.0
_RETRY: Final = b"retry: 250\n"
_RETRY_LATER: Final = b"retry: 5000\n"
_PAGE: Final = 100  # events read at once
_LINE_SEPARATORS: Final = {"\u2028": r"\u2028", "\u2029": r"\u2029", "\x85": r"\u0085"}
"""Readers that split lines as Python's str.splitlines does, though the specification does not, would break at them."""


def envelope(event: Event) -> str:
    """Return the JSON text of an event wrapped as Pipedream's streams and pages do."""
    metadata = f'{{"id":"{event.task_id}","summary":{encode(event.summary())},"ts":{event.emitted_ms}}}'
    return (
        f'{{"id":"{event.sequence}","indexed_at_ms":{event.indexed_ms},"event":{event.payload},"metadata":{metadata}}}'
    )


def is_wanted(request: Request) -> bool:
    """Tell whether the client wants an event stream rather than a page."""
    return request.method != "HEAD" and CONTENT_TYPE in request.headers.get("accept", "").lower()


def stream(body: bytes | AsyncIterator[bytes]) -> Response:
    """Return a response that is an event stream; proxies must not hold it back."""
    headers = {**NO_STORE, "x-accel-buffering": "no"}
    return Response(status=HTTPStatus.OK, body=body, content_type=CONTENT_TYPE, headers=headers)


def come_back_later() -> Response:
    """Return the response to a stream that cannot be served now.

    An EventSource that receives a status other than 200 never reconnects (WHATWG HTML, 9.2.3); this one reconnects
    after a pause, with the position that it holds.
    """
    return stream(_RETRY_LATER + HANDSHAKE)


async def live(engine: Engine, *, after: int | None) -> AsyncIterator[bytes]:
    """Stream what follows `after`, or what comes from now on, until the client leaves."""
    yield _RETRY + HANDSHAKE
    start, greeting = await _start(engine, after)
    yield greeting
    while True:
        if events := await engine.events(after=start, limit=_PAGE):
            start = events[-1].sequence
            yield _frames(tuple(events))
        elif not await engine.wait_for_events(after=start, seconds=HANDSHAKE_INTERVAL_S):
            yield HANDSHAKE


async def long_poll(engine: Engine, *, after: int | None, seconds: float) -> AsyncIterator[bytes]:
    """Stream as much as one response holds: at once where something follows `after`, else when it comes or time is up.

    The client comes back by itself a moment later. One that holds no position gets it at once, so that it loses
    nothing if it is cut while it waits.
    """
    yield _RETRY
    try:
        start, greeting = await _start(engine, after)
        if greeting:
            yield greeting
        elif await engine.wait_for_events(after=start, seconds=seconds):
            yield b"".join(map(_frame, await engine.events(after=start, limit=_PAGE)))
    except UnavailableError:
        yield _RETRY_LATER
    yield HANDSHAKE


async def _start(engine: Engine, after: int | None) -> tuple[int, bytes]:
    """Return where to start, and what tells it to a client that holds no position, or one outside of the log."""
    start = await engine.position() if after is None else await engine.clamp_position(after)
    return start, b"" if start == after else b"event: position\nid: %d\ndata: %d\n\n" % (start, start)


@lru_cache(maxsize=2)
def _frames(events: tuple[Event, ...]) -> bytes:
    """Return the text of a page; a thousand listeners who wait for the same events share it."""
    return b"".join(map(_frame, events))


def _frame(event: Event) -> bytes:
    text = envelope(event)
    for separator, escape in _LINE_SEPARATORS.items():
        text = text.replace(separator, escape)
    return f"id: {event.sequence}\ndata: {text}\n\n".encode()
