"""The event stream on AWS: what becomes of a poll that fails, so that listeners come back."""

import asyncio

import pytest

from task_scheduler.engine import UnavailableError
from task_scheduler.http import sse
from tests.unit.memory_engine import MemoryEngine


class Failing(MemoryEngine):
    """An engine whose log does not answer, from one call on."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self.call = call

    async def position(self) -> int:
        self._fail("position")
        return await super().position()

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        self._fail("wait_for_events")
        return await super().wait_for_events(after=after, seconds=seconds)

    def _fail(self, call: str) -> None:
        if call == self.call:
            raise UnavailableError("The event log did not answer.")


def poll(engine: MemoryEngine, after: int | None) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in sse.long_poll(engine, after=after, seconds=25)])

    return asyncio.run(read())


@pytest.mark.parametrize("call", ["position", "wait_for_events"])
def test_a_poll_that_fails_ends_well_and_asks_to_come_back_later(call: str) -> None:
    """An EventSource gives up for good on any status but 200."""
    assert poll(Failing(call), 0) == b"retry: 250\nretry: 5000\n:sse-handshake\n"


def test_a_first_poll_that_fails_says_so_since_its_listener_has_no_place_to_come_back_to() -> None:
    with pytest.raises(UnavailableError):
        poll(Failing("position"), None)


def test_a_poll_that_works_asks_to_come_back_at_once() -> None:
    engine = MemoryEngine()
    engine.emit("hello")
    text = poll(engine, 0)
    assert text.startswith(b"retry: 250\nid: 1\ndata: ")
    assert b"5000" not in text
