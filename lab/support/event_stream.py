"""A reader of the event stream (server-sent events) that costs little, so that a thousand fit beside the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from lab.support.connection import Connection, Target

_OK: Final = 200
_PAUSE_S: Final = 0.25  # which the server asks for

Take = Callable[[int, bytes], None]
"""What takes an event: its position in the log, and its data."""


class EventStream(Connection):
    """One connection at a time; comes back by Last-Event-ID whenever it is cut."""

    def __init__(self, target: Target, take: Take, *, last: int | None = None) -> None:
        super().__init__()
        self._target = target
        self._take = take
        self.last = last
        """The position that it has reached; None until the server has sent one."""
        self.positioned = asyncio.Event()
        self.events = self.opened = self.rejected = 0
        self.out_of_order = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen until the end of the block; raises what has ended it before."""
        task = asyncio.create_task(self.run())
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            fields = {"accept": "text/event-stream"} | ({} if self.last is None else {"last-event-id": str(self.last)})
            self._text = b""
            with suppress(OSError):  # it is cut, or the server is away
                await self._target.connect(self)
                self.opened += 1
                status, _ = await self.send(self._target.head("GET", "/events", fields))
                self.rejected += status != _OK
                self.close()  # a long poll, which API Gateway responds with, has an end
            await asyncio.sleep(_PAUSE_S)

    async def reach(self, position: int, *, seconds: float) -> bool:
        """Wait until it has come to a position; tell whether it has in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (self.last or 0) < position and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - simple
            await asyncio.sleep(0.05)
        return (self.last or 0) >= position

    def on_body(self, body: bytes) -> None:
        """Take frames."""
        *frames, self._text = (self._text + body).split(b"\n\n")
        for frame in frames:
            fields = dict(line.partition(b": ")[::2] for line in frame.split(b"\n"))
            if not fields.get(b"id") or not self.open:
                continue
            position = int(fields[b"id"])
            if b"event" not in fields:
                self.out_of_order += self.last is not None and position <= self.last
                self.events += 1
                self.last = position
                self._take(position, fields[b"data"])
            self.last = position
            self.positioned.set()
