"""One thread changes the data file: it commits what callers ask for at the same time together, and stages what is due.

Changes and emissions take turns in it, so that a cancellation is either in time or rejected.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isnan, nan
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from task_scheduler.contract import EVENT_RETENTION_DAYS, TASK_RETENTION_DAYS
from task_scheduler.engine import BusyError, UnavailableError
from task_scheduler.local.store import Emission, TaskStore
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Task
from task_scheduler.timestamps import DAY_MS

_logger: Final = logging.getLogger(__name__)

TOO_BUSY: Final = "The server has more to do than it can; nothing was changed. Try again."

_BATCH: Final = 1_000  # changes, and due tasks, in one transaction: bounds how long the others wait
_MAX_WAITING: Final = 2 * _BATCH  # changes; more are rejected at once (load shedding), rather than made late
_MAX_SLEEP_S: Final = 1.0  # the clock may be set, or the machine suspended, while the thread sleeps
_PAUSE_S: Final = 1.0  # before another attempt to write where the disk refused
_TASK_RETENTION_MS: Final = TASK_RETENTION_DAYS * DAY_MS  # after their end
_EVENT_RETENTION_MS: Final = EVENT_RETENTION_DAYS * DAY_MS
_EXPIRED_AT_ONCE: Final = 500  # tasks, and events: short compared with a commit
_EXPIRY_INTERVAL_MS: Final = 60_000


@dataclass(slots=True)
class Change:
    """One change that a caller waits for."""

    make: Callable[[TaskStore], Any]
    future: asyncio.Future[Any]
    metric: Metric | None
    """Counts the changes that did something."""
    task: Task | None = None
    """The task that it accepts."""
    result: Any = None
    error: Exception | None = None

    @property
    def is_made(self) -> bool:
        """Tell whether it changed something."""
        return self.error is None and bool(self.result)

    def run(self, store: TaskStore) -> None:
        """Make the change; any error but the disk's concerns this caller alone, and comes before it writes."""
        try:
            self.result = self.make(store)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again where the caller waits
            self.error = error

    def respond(self) -> None:
        """Wake the caller, unless it went away."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Owner(Protocol):
    """The engine, as its writer calls it."""

    def respond(self, changes: Sequence[Change], emissions: Sequence[Emission]) -> None:
        """Wake these callers, and publish these emissions. Called on the event loop after a commit or its failure."""

    def note_expiry(self) -> None:
        """Note that some events are no longer stored. Called on the event loop."""

    def problem(self) -> str | None:
        """Tell why what is written now would be lost, None if it would not. Called on the writer's thread."""

    def received(self) -> int | None:
        """Return up to where all webhooks have the log, None if there is none. Called on the writer's thread."""


class Writer:
    """Changes the file in a thread of its own, from `start` to `close`."""

    def __init__(
        self,
        store: TaskStore,
        owner: Owner,
        *,
        now_ms: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._owner = owner
        self._now_ms = now_ms
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._changes: SimpleQueue[Change | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="task-scheduler")
        self._next_expiry_ms = 0
        self._pending = nan
        self._latest_ms = store.latest_ms()  # of all that was recorded
        self.is_writable = True
        """Whether the last transaction was committed."""

    def start(self) -> None:
        """Stage what is due, and take changes."""
        self._metrics.gauge(Metric.PENDING, self._pending)
        self._thread.start()

    async def close(self) -> None:
        """Make the changes that wait, and end."""
        self._changes.put(None)
        await asyncio.to_thread(self._thread.join)

    def check_load(self) -> None:
        """Raise BusyError when so many callers wait already that another would wait too long."""
        if self._changes.qsize() >= _MAX_WAITING:
            raise BusyError(TOO_BUSY)

    async def change(
        self, make: Callable[[TaskStore], Any], metric: Metric | None = None, task: Task | None = None
    ) -> Any:  # noqa: ANN401 - what `make` returns
        """Make a change and return its result; it is on the disk by then. Raises UnavailableError if it is not."""
        change = Change(make, self._loop.create_future(), metric, task)
        self._changes.put(change)
        return await change.future

    def _run(self) -> None:
        """Commit in turns, until it is stopped."""
        sleep_s = 0.0
        running = True
        while running:
            changes, running = self._collect(sleep_s)
            sleep_s = self._run_batch(changes)
            if isnan(self._pending):
                self._count_pending()

    def _collect(self, sleep_s: float) -> tuple[list[Change], bool]:
        """Sleep until a change comes or time is up; return all that wait by then, and whether to go on."""
        changes: list[Change] = []
        try:
            change = self._changes.get(timeout=sleep_s) if sleep_s > 0 else self._changes.get_nowait()
            while change is not None and len(changes) < _BATCH - 1:
                changes.append(change)
                change = self._changes.get_nowait()
        except Empty:
            return changes, True
        if change is not None:
            changes.append(change)
        return changes, change is not None

    def _run_batch(self, changes: list[Change]) -> float:
        """Make the changes and stage what is due in one transaction; return how long to sleep then, in seconds."""
        runnable = self._reject_where_lost(changes)
        try:
            with self._store.transaction():
                for change in runnable:
                    change.run(self._store)
                now_ms = self._now_ms()
                self._correct_times(int(now_ms))
                emissions = self._store.stage_due(now_ms, limit=_BATCH)
                has_expired = self._expire(int(now_ms))
        except Exception:
            # Nothing of this turn was stored: callers get an error, and what is due stays due. Mostly the disk is full
            # or gone; but whatever the reason, a thread that ended here would leave every caller waiting for ever.
            if self.is_writable:  # once, not in every turn: the log may be on the same disk
                _logger.exception("The data file cannot be written; it is attempted again every second")
            self.is_writable = False
            for change in changes:
                change.error = UnavailableError("The task store cannot be written now; nothing was changed. Try again.")
            self._loop.call_soon_threadsafe(self._owner.respond, changes, [])
            return _PAUSE_S
        if not self.is_writable:
            _logger.warning("The data file can be written again")
        self.is_writable = True
        if has_expired:
            self._loop.call_soon_threadsafe(self._owner.note_expiry)
        if changes or emissions:
            self._count(changes, len(emissions))
            self._loop.call_soon_threadsafe(self._owner.respond, changes, emissions)
        return min(self._store.idle_ms(self._now_ms()) / 1000, _MAX_SLEEP_S)

    def _reject_where_lost(self, changes: list[Change]) -> list[Change]:
        """Return the changes to make: none if they would be lost. What is due is emitted all the same."""
        problem = self._owner.problem() if changes else None
        if problem is None:
            return changes
        for change in changes:
            change.error = UnavailableError(f"{problem} Nothing was changed.")
        return []

    def _count(self, changes: list[Change], emitted: int) -> None:
        """Count what is on the disk now, whether or not its caller still waits."""
        counts = {Metric.SCHEDULED: 0, Metric.CANCELLED: 0, Metric.EMITTED: emitted}
        for change in changes:
            if change.metric is not None and change.is_made:
                counts[change.metric] += 1
        for metric, number in counts.items():
            if number:
                self._metrics.count(metric, number)
        self._pending += counts[Metric.SCHEDULED] - counts[Metric.CANCELLED] - counts[Metric.EMITTED]
        self._metrics.gauge(Metric.PENDING, self._pending)

    def _count_pending(self) -> None:
        """Count what is pending: once, and after the first turn, since it reads all and what is overdue cannot wait.

        Where it fails, so does all else, and it is attempted again after the next turn.
        """
        with suppress(sqlite3.Error):
            self._pending = self._store.pending()
            self._metrics.gauge(Metric.PENDING, self._pending)

    def _expire(self, now_ms: int) -> bool:
        """Delete what ended long ago: a little in every minute, and in every turn while there is more.

        Returns whether anything was deleted.
        """
        is_time = not 0 < self._next_expiry_ms - now_ms <= _EXPIRY_INTERVAL_MS  # or the clock was set back
        if not is_time:
            return False
        gone = self._store.expire(
            tasks_before_ms=now_ms - _TASK_RETENTION_MS,
            events_before_ms=now_ms - _EVENT_RETENTION_MS,
            received=self._owner.received(),
            limit=_EXPIRED_AT_ONCE,
        )
        self._next_expiry_ms = now_ms if gone >= _EXPIRED_AT_ONCE else now_ms + _EXPIRY_INTERVAL_MS
        return gone > 0

    def _correct_times(self, now_ms: int) -> None:
        """Correct what was recorded by a clock that has been set back since: it would never expire."""
        if self._latest_ms > now_ms + DAY_MS:
            self._store.correct_times(now_ms)
            self._latest_ms = now_ms
        self._latest_ms = max(self._latest_ms, now_ms)
