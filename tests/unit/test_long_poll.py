"""The event stream on AWS: a poll that fails ends in a way that listeners come back from."""

import asyncio
from typing import Any

import pytest

from task_scheduler.api import sse
from task_scheduler.engine import UnavailableError
from tests.support.memory_engine import MemoryEngine, memory_engine


@pytest.mark.parametrize(
    ("call", "after"), [("position", None), ("clamp_position", 0), ("wait_for_events", 0)], ids=str
)
def test_a_failed_poll_ends_with_200_and_asks_to_come_back_later(
    monkeypatch: pytest.MonkeyPatch, call: str, after: int | None
) -> None:
    """An EventSource never comes back after any status but 200."""

    async def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401 - what the call takes
        raise UnavailableError("The event log did not respond.")

    async def read() -> bytes:
        return b"".join([piece async for piece in sse.long_poll(memory_engine(), after=after, seconds=25)])

    monkeypatch.setattr(MemoryEngine, call, fail)
    assert asyncio.run(read()) == b"retry: 250\nretry: 5000\n:sse-handshake\n"
