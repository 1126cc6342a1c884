"""The event stream: whatever is emitted, however the bytes are cut, a client reads what was emitted, in order, once."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any, Final

import httpx
import httpx_sse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler.api import sse
from task_scheduler.api.json_body import read_object
from task_scheduler.client.errors import UnexpectedResponseError
from task_scheduler.client.event_stream import Feed
from task_scheduler.task import Event, new_task
from tests.fuzz.effort import effort
from tests.fuzz.json_values import VALUES
from tests.support.memory_engine import NOW_MS, MemoryEngine, memory_engine

pytestmark = pytest.mark.slow

CUTS: Final = st.lists(st.integers(0, 10_000), max_size=12)
MESSAGES: Final = st.lists(st.tuples(VALUES, st.booleans()), max_size=6)
LARGE: Final = "\u2028\U0001f600" * 12_000


def _engine(messages: list[tuple[Any, bool]]) -> MemoryEngine:
    """Take the messages as the API does, written with escapes or without, and emit them."""
    engine = memory_engine()
    for number, (message, escaped) in enumerate(messages, 1):
        body = json.dumps({"in": 0, "message": message, "more": message}, ensure_ascii=escaped).encode()
        task_id = str(uuid.UUID(int=number))
        task = new_task(read_object(body), task_id=task_id, now_ms=NOW_MS)
        engine.log.append(Event(number, task_id, task.payload, emitted_ms=NOW_MS, indexed_ms=NOW_MS))
    return engine


async def _live(engine: MemoryEngine, after: int | None) -> bytes:
    """Return a stream up to the comment that comes when nothing has happened for a while."""
    pieces: list[bytes] = []
    stream = sse.live(engine, after=after)
    async for piece in stream:
        pieces.append(piece)
        if piece == sse.HANDSHAKE:
            break
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    return b"".join(pieces)


async def _poll(engine: MemoryEngine, after: int | None) -> bytes:
    return b"".join([piece async for piece in sse.long_poll(engine, after=after, seconds=25)])


def _streamed(engine: MemoryEngine, after: int | None, *, live: bool) -> bytes:
    return asyncio.run((_live if live else _poll)(engine, after))


def _cut(whole: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces of a text that is cut at these places, wherever they fall."""
    edges = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[start:end] for start, end in pairwise(edges)]


async def _frames(pieces: list[bytes]) -> list[httpx_sse.ServerSentEvent]:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    response = httpx.Response(200, headers={"content-type": sse.CONTENT_TYPE}, content=stream())
    return [frame async for frame in httpx_sse.EventSource(response).aiter_sse()]


@effort(60)
@given(messages=MESSAGES, after=st.integers(0, 6), live=st.booleans(), cuts=CUTS)
def test_a_client_reads_what_was_emitted(
    *, messages: list[tuple[Any, bool]], after: int, live: bool, cuts: list[int]
) -> None:
    after = min(after, len(messages))
    frames = asyncio.run(_frames(_cut(_streamed(_engine(messages), after, live=live), cuts)))
    events = [frame for frame in frames if frame.data]
    found = [json.loads(event.data)["event"] for event in events]
    expected = [message for message, _ in messages[after:]]
    assert [event["message"] for event in found] == [event["more"] for event in found] == expected
    assert [(event.event, event.id) for event in events] == [
        ("message", str(number)) for number in range(after + 1, len(messages) + 1)
    ]
    assert {frame.retry for frame in frames} - {None} <= {250}


@effort(40)
@given(
    messages=MESSAGES,
    known=st.none() | st.integers(0, 9),
    live=st.booleans(),
    lengths=st.lists(st.integers(0, 600), max_size=8),
)
def test_a_follower_that_is_cut_anywhere_gets_each_event_once(
    *, messages: list[tuple[Any, bool]], known: int | None, live: bool, lengths: list[int]
) -> None:
    """Without a position, or with one that the log has not come to, it gets what came after its first answer."""
    engine = _engine(messages[:2])
    feed = Feed(known, "http://scheduler.test", random=lambda: 1.0)
    start: int | None = None
    seen: list[Any] = []
    for length in [*lengths, 10**9, 10**9, 10**9]:
        position = feed.headers().get("last-event-id")
        if start is None and position is not None and int(position) <= len(engine.log):
            start = int(position)
        whole = _streamed(engine, None if position is None else int(position), live=live)[:length]
        for frame in asyncio.run(_frames([whole] if whole else [])):
            event = feed.take(frame)
            if event is not None:
                seen.append(event)
            if start is None:
                start = int(feed.headers()["last-event-id"])
        engine.log = _engine(messages).log
    assert start is not None
    assert [event.message for event in seen] == [message for message, _ in messages[start:]]
    assert [event.sequence for event in seen] == list(range(start + 1, len(messages) + 1))


@effort(100)
@given(
    st.sampled_from(["position", "message", "x"]),
    st.text(max_size=20) | st.sampled_from(["9" * 5_000, "[" * 9_999, "{}", "1"]),
    st.text(max_size=3),
)
def test_a_follower_of_something_else_is_told_so(kind: str, data: str, number: str) -> None:
    feed = Feed(0, "http://scheduler.test", random=lambda: 1.0)
    try:
        feed.take(httpx_sse.ServerSentEvent(event=kind, data=data, id=number))
    except UnexpectedResponseError as error:
        assert "URL" in str(error)  # noqa: PT017 - most of it is none of ours, and some is passed over


def test_the_largest_events_come_whole() -> None:
    messages = [(LARGE, True), ("a", True), (LARGE, False)]
    whole = _streamed(_engine(messages), 0, live=True)
    frames = asyncio.run(_frames(_cut(whole, list(range(0, 10_000, 7)))))
    found = [json.loads(frame.data)["event"]["message"] for frame in frames if frame.data]
    assert found == [message for message, _ in messages]
