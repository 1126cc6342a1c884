"""Listeners of the event stream, as many as are asked for, each with a connection of its own."""

import asyncio
import re
import time
from array import array
from typing import Final, cast

import httptools

from lab.load.connection import Target

_FRAME: Final = re.compile(rb'^id: (\d+)\ndata: .*"ts":(\d+)\}\}$')
_POSITION: Final = re.compile(rb"^event: position\nid: (\d+)\n", re.MULTILINE)
_OK: Final = 200
_PAUSE_S: Final = 0.25  # what the server asks for
_AT_ONCE: Final = 50  # connections that are being opened
_OPENED_IN_S: Final = 60  # all of them
_SILENCE_S: Final = 30  # the server sends a comment every 15 s


class Delays:
    """How long after its emission each event came to each listener, and what was missed."""

    def __init__(self) -> None:
        self.ms = array("d")
        self.opened = 0
        self.refused = 0
        self.cut = 0
        self.out_of_order = 0


class Listener(asyncio.Protocol):
    """One stream at a time; comes back by Last-Event-ID."""

    def __init__(self, target: Target, delays: Delays) -> None:
        self._target = target
        self._delays = delays
        self.last: int | None = None
        """The position that it holds; None until it was told one."""
        self.told = asyncio.Event()
        self.events = 0

    async def run(self, opening: asyncio.Semaphore) -> None:
        """Listen until cancelled."""
        try:
            while True:
                self._ended = asyncio.Event()
                self._greeted = asyncio.Event()
                async with opening:
                    await self._open()
                await self._ended.wait()
                await asyncio.sleep(_PAUSE_S)
        finally:
            if hasattr(self, "_transport"):
                self._transport.abort()

    async def _open(self) -> None:
        """Open a stream, and return when its first bytes are there or it is over."""
        self._parser = httptools.HttpResponseParser(self)
        self._text = b""
        fields = {"accept": "text/event-stream"} | ({} if self.last is None else {"last-event-id": str(self.last)})
        try:
            await self._target.connect(self)
            self._transport.write(self._target.head("GET", "/events", fields))
            async with asyncio.timeout(_SILENCE_S):
                await self._greeted.wait()
        except (OSError, TimeoutError):
            self._delays.refused += 1
            self._ended.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the stream."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_headers_complete(self) -> None:
        """Look whether it is a stream."""
        if self._parser.get_status_code() == _OK:
            self._delays.opened += 1
        else:
            self._delays.refused += 1
            self._transport.abort()
        self._greeted.set()

    def on_body(self, body: bytes) -> None:
        """Take frames."""
        now_ms = time.time_ns() / 1_000_000
        *frames, self._text = (self._text + body).split(b"\n\n")
        for frame in frames:
            if found := _FRAME.match(frame):
                number, emitted_ms = int(found[1]), int(found[2])
                self._delays.ms.append(now_ms - emitted_ms)
                self._delays.out_of_order += self.last is not None and number <= self.last
                self.last = number
                self.events += 1
            elif position := _POSITION.search(frame):
                self.last = int(position[1])
                self.told.set()

    def connection_lost(self, _error: Exception | None) -> None:
        """Come back."""
        self._delays.cut += 1
        self._greeted.set()
        self._ended.set()


class Streams:
    """All listeners."""

    def __init__(self, target: Target, count: int) -> None:
        self.delays = Delays()
        self._listeners = [Listener(target, self.delays) for _ in range(count)]
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start them all, and return when each knows its position, or after a while."""
        opening = asyncio.Semaphore(_AT_ONCE)
        self._tasks = [asyncio.create_task(listener.run(opening)) for listener in self._listeners]
        told = [asyncio.create_task(listener.told.wait()) for listener in self._listeners]
        if told:
            _, late = await asyncio.wait(told, timeout=_OPENED_IN_S)
            for task in late:
                task.cancel()

    async def close(self) -> None:
        """Cut them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def behind(self, end: int) -> int:
        """Return how many listeners have not come to the end of the log."""
        return sum(listener.last is None or listener.last < end for listener in self._listeners)

    def short_of(self, events: int) -> int:
        """Return how many listeners got fewer or more events than were emitted."""
        return sum(listener.events != events for listener in self._listeners)
