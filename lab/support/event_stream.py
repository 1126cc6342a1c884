"""A reader of the event stream (server-sent events) that costs little, so that a thousand fit beside the server."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from lab.support.connection import Target

_OK: Final = 200
_PAUSE_S: Final = 0.25  # which the server asks for
_SILENCE_S: Final = 30  # the server sends a comment every 15 s

Take = Callable[[int, bytes], None]
"""What takes an event: its position in the log, and its data."""


class EventStream(asyncio.Protocol):
    """One connection at a time; comes back by Last-Event-ID whenever it is cut."""

    def __init__(self, target: Target, take: Take, *, last: int | None = None, pause_s: float = _PAUSE_S) -> None:
        self._target = target
        self._take = take
        self._pause_s = pause_s
        self.last = last
        """The position that it has reached; None until the server has sent one."""
        self.positioned = asyncio.Event()
        self.events = self.opened = self.rejected = 0
        self.out_of_order = 0

    async def run(self, opening: asyncio.Semaphore | None = None) -> None:
        """Listen until cancelled; `opening` limits how many open their connections at once."""
        opening = opening or asyncio.Semaphore(1)
        try:
            while True:
                self._ended, self._greeted = asyncio.Event(), asyncio.Event()
                async with opening:
                    await self._open()
                await self._ended.wait()
                await asyncio.sleep(self._pause_s)
        finally:
            self.cut()

    async def reach(self, position: int, *, seconds: float) -> bool:
        """Wait until it has come to a position; tell whether it has in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (self.last or 0) < position and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - simple
            await asyncio.sleep(0.05)
        return (self.last or 0) >= position

    def cut(self) -> None:
        """Cut the connection, if there is one."""
        if hasattr(self, "_transport"):
            self._transport.abort()

    async def _open(self) -> None:
        """Open a connection, and return when its first bytes are there or it is over."""
        self._parser = httptools.HttpResponseParser(self)
        self._text = b""
        fields = {"accept": "text/event-stream"} | ({} if self.last is None else {"last-event-id": str(self.last)})
        try:
            await self._target.connect(self)
            self._transport.write(self._target.head("GET", "/events", fields))
            async with asyncio.timeout(_SILENCE_S):
                await self._greeted.wait()
        except (OSError, TimeoutError):
            self.rejected += 1
            self.cut()
            self._ended.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the response."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.cut()

    def on_headers_complete(self) -> None:
        """Check that it is a stream."""
        if self._parser.get_status_code() == _OK:
            self.opened += 1
        else:
            self.rejected += 1
            self.cut()
        self._greeted.set()

    def on_body(self, body: bytes) -> None:
        """Take frames."""
        *frames, self._text = (self._text + body).split(b"\n\n")
        for frame in frames:
            fields = dict(line.partition(b": ")[::2] for line in frame.split(b"\n"))
            if not fields.get(b"id") or self._transport.is_closing():
                continue
            position = int(fields[b"id"])
            if b"event" not in fields:
                self.out_of_order += self.last is not None and position <= self.last
                self.events += 1
                self.last = position
                self._take(position, fields[b"data"])
            self.last = position
            self.positioned.set()

    def on_message_complete(self) -> None:
        """End a long poll, which API Gateway responds with."""
        self.cut()

    def connection_lost(self, _error: Exception | None) -> None:
        """Let `run` come back."""
        self._greeted.set()
        self._ended.set()


class Listeners:
    """Many streams, and how long after its emission each event came to each of them."""

    def __init__(self, target: Target, count: int, take: Callable[[bytes], None]) -> None:
        self._streams = [EventStream(target, lambda _, data: take(data)) for _ in range(count)]

    async def open(self, *, seconds: float = 60, at_once: int = 50) -> None:
        """Start them all, and return when each has a position, or after a while."""
        opening = asyncio.Semaphore(at_once)
        self._tasks = [asyncio.create_task(stream.run(opening)) for stream in self._streams]
        positioned = [asyncio.create_task(stream.positioned.wait()) for stream in self._streams]
        if positioned:
            _, late = await asyncio.wait(positioned, timeout=seconds)
            for task in late:
                task.cancel()

    async def close(self) -> None:
        """Cut them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def total(self, what: str) -> int:
        """Return the sum of a counter of the streams."""
        return sum(getattr(stream, what) for stream in self._streams)

    def behind(self, end: int) -> int:
        """Return how many have not come to the end of the log."""
        return sum(stream.last is None or stream.last < end for stream in self._streams)

    def short_of(self, events: int) -> int:
        """Return how many got fewer or more events than were emitted."""
        return sum(stream.events != events for stream in self._streams)
