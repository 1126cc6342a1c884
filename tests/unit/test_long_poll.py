"""The event stream on AWS: what becomes of a poll that fails, so that listeners come back."""

import asyncio

import pytest

from task_scheduler.api import sse
from task_scheduler.engine import UnavailableError
from tests.support.memory_engine import MemoryEngine


class Failing(MemoryEngine):
    """An engine whose log does not answer, from one call on."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self.call = call

    async def position(self) -> int:
        self._fail("position")
        return await super().position()

    async def clamp_position(self, position: int) -> int:
        self._fail("clamp_position")
        return await super().clamp_position(position)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        self._fail("wait_for_events")
        return await super().wait_for_events(after=after, seconds=seconds)

    def _fail(self, call: str) -> None:
        if call == self.call:
            raise UnavailableError("The event log did not respond.")


def poll(engine: MemoryEngine, after: int | None) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in sse.long_poll(engine, after=after, seconds=25)])

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("call", "after"), [("position", None), ("clamp_position", 0), ("wait_for_events", 0)], ids=str
)
def test_a_poll_that_fails_ends_well_and_asks_to_come_back_later(call: str, after: int | None) -> None:
    """An EventSource gives up for good on any status but 200."""
    assert poll(Failing(call), after) == b"retry: 250\nretry: 5000\n:sse-handshake\n"


@pytest.mark.parametrize("position", [5, 10**18])
def test_a_position_beyond_the_log_becomes_its_end_and_the_client_is_told(position: int) -> None:
    engine = MemoryEngine()
    engine.emit("hello")
    assert poll(engine, position).startswith(b"retry: 250\nevent: position\nid: 1\ndata: 1\n\n")


def test_a_poll_that_works_asks_to_come_back_at_once() -> None:
    engine = MemoryEngine()
    engine.emit("hello")
    text = poll(engine, 0)
    assert text.startswith(b"retry: 250\nid: 1\ndata: ")
    assert b"5000" not in text
