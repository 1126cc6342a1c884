"""The event log as readers see it: emissions are published when their time comes, and wake those who wait for them."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from task_scheduler.engine import UnavailableError
from task_scheduler.local.precise_timer import PreciseTimer
from task_scheduler.local.store import Emission, TaskStore
from task_scheduler.local.task_printer import TaskPrinter
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event

_logger: Final = logging.getLogger(__name__)

_PAGE_IS_VALID_MS: Final = 1_000
"""For so long readers share a page, though some of its events may have expired meanwhile."""


class EventLog:
    """Reads the stored events of one file, on one event loop; knows which of them are published."""

    def __init__(
        self, reader: TaskStore, *, now_ms: Callable[[], float], metrics: Metrics, printer: TaskPrinter | None
    ) -> None:
        self._reader = reader
        self._now_ms = now_ms
        self._metrics = metrics
        self._printer = printer
        self._staged: deque[Emission] = deque()
        self._arrival = asyncio.Event()
        self._closing = False
        self._page: tuple[tuple[int, ...], list[Event]] = ((), [])
        self.position = reader.position()
        """The sequence number of the newest published event, whether or not it is still stored."""
        self._newest = reader.last_sequence()  # of the stored events: 0 once they have all expired

    def start(self) -> None:
        """Be ready to publish; to be called before the writer starts."""
        self._timer = PreciseTimer(self._publish_due)

    async def close(self) -> None:
        """Publish nothing more."""
        await self._timer.close()

    def end_streams(self) -> None:
        """Wake all that wait for events, with UnavailableError, now and from now on."""
        self._closing = True
        self._arrival.set()

    def publish(self, emissions: Sequence[Emission]) -> None:
        """Publish emissions that are committed, each when its time comes."""
        self._staged.extend(emissions)
        self._publish_due()

    async def published(self) -> None:
        """Return once what is staged now is published, unless the clock stands still."""
        if self._staged:
            await asyncio.sleep(max(self._staged[-1].emitted_ms - self._now_ms(), 0) / 1000)
            self._publish_due()

    def _publish_due(self) -> None:
        now_ms = self._now_ms()
        late_s = []
        while self._staged and not self._staged[0].is_staged(now_ms):
            emission = self._staged.popleft()
            self.position = self._newest = emission.sequence
            late_s.append(max(now_ms - emission.expected_ms, 0) / 1000)
            if self._printer:
                self._printer.emitted(emission.task_id, late_s[-1])
        if late_s:
            self._arrival.set()
            if not self._closing:
                self._arrival = asyncio.Event()
            self._metrics.observe(Metric.LATENESS, late_s)
        if self._staged:
            self._timer.set((self._staged[0].emitted_ms - now_ms) / 1000)

    def update_newest(self) -> None:
        """Find the newest published event that is still stored, since some have expired."""
        with suppress(sqlite3.Error):
            self._newest = min(self._reader.last_sequence(), self.position)

    def clamp_position(self, position: int) -> int:
        """Return a position in the log from which a reader can go on (see Engine)."""
        if position >= self.position:
            return self.position
        with reading():
            first = self._reader.first_sequence()
        return max(position, self.position if first is None else min(first - 1, self.position))

    def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number; all who wait at the end of the log share one read of it."""
        key = (after, limit, self.position, int(self._now_ms()) // _PAGE_IS_VALID_MS)
        if self._page[0] != key:
            with reading():
                self._page = (key, self._reader.events(after=after, until=self.position, limit=limit))
        return self._page[1]

    def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number."""
        with reading():
            return self._reader.events_before(min(before, self.position + 1), limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait until an event after a sequence number is stored; raises UnavailableError when the engine closes.

        Events that have expired do not count: a reader that is behind them waits for the next one.
        """
        await asyncio.sleep(0)  # a caller may loop over this and `events`; the loop has others to serve
        try:
            async with asyncio.timeout(seconds):
                while self._newest <= after:
                    if self._closing:
                        raise UnavailableError("The server is stopping.")
                    await self._arrival.wait()
        except TimeoutError:
            return False
        return True


@contextmanager
def reading() -> Iterator[None]:
    """Raise UnavailableError where the data file cannot be read."""
    try:
        yield
    except sqlite3.Error as error:
        _logger.error("The data file cannot be read: %s", error)  # noqa: TRY400 - where it is, the message tells
        raise UnavailableError("The task store cannot be read now. Try again.") from None
