"""When each event came to a listener of the stream: what consumers get, with the disk and the way to them in it."""

import asyncio
import re
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lab.load.connection import Target

_METADATA: Final = re.compile(rb'"metadata":\{"id":"([0-9a-f-]{36})"')
_LINE: Final = 2**20  # bytes


class Arrivals:
    """The times, in ms, by the ids of the tasks."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._came = asyncio.Event()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take lines until cancelled."""
        while line := await reader.readline():
            if found := _METADATA.search(line):
                self.ms[found[1].decode()] = time.time() * 1000
                self._came.set()

    async def wait_for(self, ids: set[str], *, seconds: float) -> None:
        """Return when all of them have come; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not ids <= self.ms.keys():
                self._came.clear()
                await self._came.wait()

    def late_ms(self, due_ms: dict[str, int]) -> list[float]:
        """Return how long after its time each task came."""
        return [self.ms[task_id] - due for task_id, due in due_ms.items()]


@asynccontextmanager
async def arrivals(target: "Target") -> "AsyncIterator[Arrivals]":
    """Listen for the time of the block."""
    parts = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_LINE)
    writer.write(target.head("GET", "/events", {"accept": "text/event-stream"}))
    while b"event: position" not in await reader.readline():
        pass
    found = Arrivals()
    listening = asyncio.create_task(found.listen(reader))
    try:
        yield found
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        writer.close()
