"""The local engine: one thread owns the file, commits what came in together, and fires what is due."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from task_scheduler import timestamps
from task_scheduler.engine import (
    BATCH_MS,
    MAX_BATCH,
    OVERDUE_MS,
    BusyError,
    EngineError,
    Health,
    IdempotencyKey,
    KeyOfEndedTaskError,
    TagCancellation,
    TaskPage,
    TaskQuery,
    TooLateError,
    UnavailableError,
)
from task_scheduler.local.alarm import Alarm
from task_scheduler.local.data_file import DataFile
from task_scheduler.local.deliveries import Delivery, Failure, SetAside
from task_scheduler.local.journal import Journal
from task_scheduler.local.store import DataFileError, Emission, TaskStore
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event, Status, Task

_logger: Final = logging.getLogger(__name__)

TOO_BUSY: Final = "The server has more to do than it can; nothing was changed. Try again."

_AHEAD_MS: Final = 10  # a task is written down as emitted so long before it is, since the disk takes some of that
_BATCH: Final = 1_000  # calls, and due tasks, in one transaction: bounds how long the others wait
_LONGEST_SLEEP_S: Final = 1.0  # the clock may be set, or the machine suspended, while the loop sleeps
_MOST_WAITING: Final = 2 * _BATCH  # calls; more are refused at once, rather than answered late
_PAUSE_S: Final = 1.0  # before the disk is tried again
_DAY_MS: Final = 86_400_000
_TASKS_KEPT_MS: Final = 30 * _DAY_MS  # after their end
_EVENTS_KEPT_MS: Final = 7 * _DAY_MS
_EXPIRED_AT_ONCE: Final = 500  # tasks, and events: what a turn takes is short beside what it commits
_EXPIRY_INTERVAL_MS: Final = 60_000
_INSPECTION_INTERVAL_S: Final = 10.0
_CHECK_INTERVAL_S: Final = 30.0  # of the structure of the whole file


@dataclass(slots=True)
class _Call:
    """One change that a caller waits for."""

    change: Callable[[TaskStore], Any]
    future: asyncio.Future[Any]
    counted: Metric | None
    """What is counted where the change was one."""
    task: Task | None = None
    """The task that it accepts."""
    outcome: Any = None
    error: Exception | None = None

    def run(self, store: TaskStore) -> None:
        """Make the change; any error but the disk's concerns this caller alone, and comes before it writes."""
        try:
            self.outcome = self.change(store)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again where the caller waits
            self.error = error

    def settle(self) -> None:
        """Wake the caller, unless it went away."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.error)


class LocalEngine:
    """An Engine on one SQLite file; an asynchronous context manager, of one event loop."""

    def __init__(
        self,
        path: Path,
        *,
        now_ms: Callable[[], float],
        metrics: Metrics,
        journal: Journal | None = None,
        webhooks: Sequence[str] = (),
    ) -> None:
        self._file = DataFile(path)
        self._now_ms = now_ms
        self._metrics = metrics
        self._journal = journal
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="task-scheduler")
        self._closing = False
        self._writable = True
        self._configured = tuple(webhooks)
        self._webhooks: dict[str, int] = {}
        self._next_expiry_ms = 0
        self._pending = nan
        self._taken_ms = 0
        self._staged: deque[Emission] = deque()
        self._damage: str | None = None
        self._page: tuple[tuple[int, ...], list[Event]] = ((), [])

    async def __aenter__(self) -> Self:
        """Open the file and start firing; raises DataFileError."""
        self._loop = asyncio.get_running_loop()
        self._arrival = asyncio.Event()
        with ExitStack() as undo:
            self._file.open()
            undo.callback(self._file.abandon)
            try:
                self._writer = TaskStore.open(self._file.path)
                undo.callback(self._writer.close)
                self._reader = TaskStore.open(self._file.path)
                undo.callback(self._reader.close)
                self._position = self._reader.position()
                self._newest = self._reader.last_sequence()  # of the stored events: 0 once they have all expired
                self._latest_ms = self._reader.latest_ms()  # of all that was recorded
                last = self._reader.events_before(self._position + 1, limit=1)
                # Before anything expires: what they have not received yet must not.
                self._webhooks = self._reader.deliveries.positions(self._configured)
            except sqlite3.Error as error:
                raise DataFileError(f"{self._file.path} cannot be read: {error}. Restore a backup.") from None
            undo.pop_all()
        for newest in last:
            await self._until(newest.emitted_ms)  # it may have been staged by a process that ended since
        self._metrics.gauge(Metric.PENDING, self._pending)
        self._alarm = Alarm(self._publish)
        self._inspection = asyncio.create_task(self._inspect())
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was begun and close the file."""
        self.end_streams()
        self._inspection.cancel()
        await asyncio.gather(self._inspection, return_exceptions=True)
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)
        await self._alarm.close()
        self._reader.close()
        self._writer.close()
        self._file.close()

    def end_streams(self) -> None:
        """Let go all that wait for events, now and from now on."""
        self._closing = True
        self._arrival.set()

    def now_ms(self) -> int:
        """Return the time of the injected clock, in whole milliseconds that are over."""
        return int(self._now_ms())

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:
        """Store a new task; it is on the disk when this returns."""
        self._admit()
        while not await self._change(lambda store: store.insert(task, key), Metric.SCHEDULED, task):
            with _reading():
                stored = self._reader.get(task.id) if key is None else self._reader.find_by_key(key)
            if stored is None:  # it has expired since
                continue
            await self._until(stored.ended_ms)
            if stored.status in {Status.CANCELLED, Status.FAILED}:
                raise KeyOfEndedTaskError(stored)
            return stored
        return task

    async def schedule_all(
        self, tasks: Sequence[Task], keys: Sequence[IdempotencyKey | None] = ()
    ) -> list[Task | EngineError]:
        """Schedule tasks together: they share a commit."""
        each = zip(tasks, keys or [None] * len(tasks), strict=True)
        return await _each(self.schedule(task, key) for task, key in each)

    async def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        with _reading():
            task = self._reader.get(task_id)
        await self._until(task.ended_ms)
        return task

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task; changes and firing take turns, so that the answer is the truth."""
        self._admit()
        cancelled: Task | None = await self._change(
            lambda store: store.cancel(task_id, now_ms=self.now_ms()), Metric.CANCELLED
        )
        if cancelled is not None:
            return cancelled
        with _reading():
            return self._reader.get(task_id)

    async def cancel_all(self, task_ids: Sequence[str]) -> list[Task | EngineError]:
        """Cancel tasks together: they share a commit."""
        return await _each(map(self.cancel, task_ids))

    async def cancel_tagged(self, tag: tuple[str, str]) -> TagCancellation:
        """Cancel the scheduled tasks of a tag page by page, for a few seconds at most."""
        end_ms = self.now_ms() + BATCH_MS
        query = TaskQuery(status=Status.SCHEDULED, tag=tag)
        outcomes: list[Task | EngineError] = []
        while True:
            page = await self.tasks(query, limit=MAX_BATCH)
            outcomes += await self.cancel_all([task.id for task in page.tasks])
            query = replace(query, after=page.next)
            if page.next is None or self.now_ms() >= end_ms:
                break
        cancelled = sum(isinstance(outcome, Task) for outcome in outcomes)
        return TagCancellation(cancelled, len(outcomes) - cancelled, more=page.next is not None)

    async def reschedule(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        """Replace a scheduled task; in turn with firing, as cancels are."""
        self._admit()
        task: Task = await self._change(lambda store: store.replace(task_id, change))
        return task

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        """List tasks."""
        with _reading():
            page = self._reader.tasks(query, limit=limit)
        await self._until(self._taken_ms)
        return page

    async def run_due(self) -> None:
        """Return when all that is due by now has been emitted, for a clock that was set by hand."""
        while await self._change(self._is_due):
            pass
        self._publish()
        if self._staged:  # a few milliseconds ahead
            await self._until(self._staged[-1].emitted_ms)
            self._publish()

    def _is_due(self, store: TaskStore) -> bool:
        due_ms = store.next_due_ms()
        return due_ms is not None and due_ms <= self.now_ms()

    async def check_health(self) -> Health:
        """Look at the disk, at what is due and at what webhooks have not accepted."""
        try:
            due_ms = self._reader.next_due_ms()
            warnings = self._unaccepted()
        except sqlite3.Error:
            return Health(["The data file cannot be read."])
        failures = [problem for problem in (self._file.problem(), self._damage) if problem]
        if not self._writable:
            failures.append("The data file cannot be written, so no task is accepted or emitted.")
        if due_ms is not None and due_ms < self.now_ms() - OVERDUE_MS:
            failures.append(f"Tasks are overdue: one was due at {timestamps.format(due_ms)}.")
        return Health(failures, warnings)

    def _unaccepted(self) -> list[str]:
        before_ms = self.now_ms() - OVERDUE_MS
        late = self._reader.deliveries.waiting([*self._webhooks], before_ms=before_ms)
        unsent = sum(
            event.emitted_ms < before_ms
            for position in self._webhooks.values()
            for event in self._reader.events(after=position, until=self._position, limit=1)
        )
        set_aside = self._reader.deliveries.set_aside()
        found = []
        if behind := max(late, unsent):
            number = len(self._webhooks)
            found.append(f"{behind} of {number} webhooks did not accept a message for more than a minute.")
        if set_aside:
            found.append(
                f"Messages that a webhook did not accept are set aside: {set_aside}. GET /webhooks lists them, and "
                "POST /webhooks/acknowledge ends this warning."
            )
        return found

    async def open_webhook(self, url: str) -> int:
        """Return up to where the log was sent to a webhook."""
        end = self._position
        stored: int = await self._change(lambda store: store.deliveries.open_webhook(url, position=end))
        self._webhooks[url] = position = await self.clamp_position(stored)
        return position

    async def advance_webhook(self, url: str, event: Event, failure: Failure | None) -> None:
        """Remember that an event was sent to a webhook for the first time."""
        await self._change(lambda store: store.deliveries.advance_webhook(url, event, failure))
        self._webhooks[url] = event.sequence

    async def next_delivery(self, url: str) -> Delivery | None:
        """Return what is to be sent to a webhook again first."""
        with _reading():
            return self._reader.deliveries.next(url)

    async def settle_delivery(self, url: str, sequence: int, failure: Failure | None) -> None:
        """Remember what came of sending an event again."""
        await self._change(lambda store: store.deliveries.settle(url, sequence, failure))

    async def hasten_deliveries(self, url: str) -> None:
        """Send everything again now that waits for a webhook."""
        await self._change(lambda store: store.deliveries.hasten(url, self.now_ms()))

    async def set_aside_removed(self, urls: Sequence[str]) -> None:
        """Set aside what waits for a webhook that is no longer configured: nothing would send it."""
        number: int = await self._change(lambda store: store.deliveries.set_aside_removed(urls, self.now_ms()))
        if number:
            _logger.warning(
                "%d messages waited for webhooks that are not configured any more; they are set aside", number
            )

    def set_aside_deliveries(self, *, limit: int) -> tuple[int, list[SetAside]]:
        """Return how many messages are set aside, and the newest of them."""
        with _reading():
            return self._reader.deliveries.set_aside(), self._reader.deliveries.list_set_aside(limit=limit)

    async def acknowledge_deliveries(self, *, until_ms: int) -> int:
        """Forget the messages that were set aside until a time; return their number."""
        acknowledged: int = await self._change(lambda store: store.deliveries.acknowledge(until_ms=until_ms))
        return acknowledged

    async def position(self) -> int:
        """Return the sequence number of the newest event."""
        return self._position

    async def clamp_position(self, position: int) -> int:
        """Return a position in the log from which a reader can go on."""
        end = self._position
        if position >= end:
            return end
        with _reading():
            first = self._reader.first_sequence()
        return max(position, end if first is None else min(first - 1, end))

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number; all who wait at the end of the log share one look at it."""
        # For a second at most: what has expired meanwhile shall not be shown for ever.
        place = (after, limit, self._position, self.now_ms() // 1000)
        if self._page[0] != place:
            with _reading():
                self._page = (place, self._reader.events(after=after, until=self._position, limit=limit))
        return self._page[1]

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number."""
        with _reading():
            return self._reader.events_before(min(before, self._position + 1), limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait until an event after a sequence number is stored; raises UnavailableError when the engine closes.

        Events that have expired are none: a reader that is behind them waits for the next one.
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

    def _admit(self) -> None:
        """Raise BusyError when so many callers wait already that another would wait too long."""
        if self._calls.qsize() >= _MOST_WAITING:
            raise BusyError(TOO_BUSY)

    async def _change(
        self, change: Callable[[TaskStore], Any], counted: Metric | None = None, task: Task | None = None
    ) -> Any:  # noqa: ANN401 - what the change returns
        call = _Call(change, self._loop.create_future(), counted, task)
        self._calls.put(call)
        try:
            return await call.future
        except TooLateError:
            await self._until(self._taken_ms)
            raise

    async def _until(self, ms: int | None) -> None:
        """Let the moment come that an answer tells of, where it was written down ahead of it."""
        now_ms = self._now_ms()
        if ms is not None and _is_ahead(ms, now_ms):
            await asyncio.sleep((ms - now_ms + 1) / 1000)  # the loop's timers go by whole milliseconds

    def _run(self) -> None:
        """Commit and fire, in turns, until told to stop."""
        sleep_s = 0.0
        running = True
        while running:
            calls, running = self._collect(sleep_s)
            sleep_s = self._run_batch(calls)
            if isnan(self._pending):
                self._count_pending()

    def _collect(self, sleep_s: float) -> tuple[list[_Call], bool]:
        """Sleep until a call comes or time is up; return all calls that wait by then, and whether to go on."""
        calls: list[_Call] = []
        try:
            call = self._calls.get(timeout=sleep_s) if sleep_s > 0 else self._calls.get_nowait()
            while call is not None and len(calls) < _BATCH - 1:
                calls.append(call)
                call = self._calls.get_nowait()
        except Empty:
            return calls, True
        if call is not None:
            calls.append(call)
        return calls, call is not None

    def _run_batch(self, calls: list[_Call]) -> float:
        """Make the changes and fire what is due in one transaction; return how long to sleep then, in seconds."""
        runnable = self._reject_where_lost(calls)
        try:
            with self._writer.transaction():
                for call in runnable:
                    call.run(self._writer)
                now_ms = self.now_ms()
                self._correct_times(now_ms)
                emissions = self._stage_due(now_ms)
                has_expired = self._expire(now_ms)
        except Exception:
            # Nothing of this turn was kept: callers are told so, and what is due stays due. Mostly it is the disk that
            # is full or gone; but whatever it is, a thread that ended here would leave everybody waiting for ever.
            if self._writable:  # once, not in every turn: the log may be on the same disk
                _logger.exception("The data file cannot be written; it is tried again every second")
            self._writable = False
            for call in calls:
                call.error = UnavailableError("The task store cannot be written now; nothing was changed. Try again.")
            self._loop.call_soon_threadsafe(self._wake, calls)
            return _PAUSE_S
        if not self._writable:
            _logger.warning("The data file can be written again")
        self._writable = True
        if has_expired:
            self._loop.call_soon_threadsafe(self._find_newest)
        if calls or emissions:
            self._count(calls, len(emissions))
            self._loop.call_soon_threadsafe(self._wake, calls, emissions)
        return min((self._writer.soonest_ms - _AHEAD_MS - self._now_ms()) / 1000, _LONGEST_SLEEP_S)

    def _reject_where_lost(self, calls: list[_Call]) -> list[_Call]:
        """Return the calls that may run: none if what they write would be lost. What is due is emitted all the same."""
        problem = (self._file.problem() or self._damage) if calls else None
        if problem is None:
            return calls
        for call in calls:
            call.error = UnavailableError(f"{problem} Nothing was changed.")
        return []

    async def _inspect(self) -> None:
        """Report it in the log if the file is gone or damaged.

        That it is in its place is checked every few seconds, its structure now and then, for a hundredth of the time at
        most.
        """
        reported: set[str] = set()
        next_check_s = 0.0
        while True:
            if time.monotonic() >= next_check_s:
                began_s = time.monotonic()
                self._damage = await asyncio.to_thread(self._file.damage)
                next_check_s = time.monotonic() + max(_CHECK_INTERVAL_S, 100 * (time.monotonic() - began_s))
            problems = {problem for problem in (self._file.problem(), self._damage) if problem}
            for problem in problems - reported:
                _logger.error("%s Nothing is accepted until it is restored and the server restarted.", problem)
            reported = problems
            await asyncio.sleep(_INSPECTION_INTERVAL_S)

    def _stage_due(self, now_ms: int) -> list[Emission]:
        """Write down, a little ahead, what is to be emitted; none before what was taken before it."""
        from_ms = self._taken_ms if _is_ahead(self._taken_ms, now_ms) else now_ms
        emissions = self._writer.emit_due(until_ms=now_ms + _AHEAD_MS, from_ms=from_ms, limit=_BATCH)
        if emissions:  # told before the commit, which a reader may see before this thread goes on
            self._taken_ms = emissions[-1].emitted_ms
        return emissions

    def _count(self, calls: list[_Call], emitted: int) -> None:
        """Count what is on the disk now, whether or not its caller still waits."""
        counts = {Metric.SCHEDULED: 0, Metric.CANCELLED: 0, Metric.EMITTED: emitted}
        for call in calls:
            if call.counted is not None and call.outcome and call.error is None:
                counts[call.counted] += 1
        for metric, number in counts.items():
            if number:
                self._metrics.count(metric, number)
        self._pending += counts[Metric.SCHEDULED] - counts[Metric.CANCELLED] - counts[Metric.EMITTED]
        self._metrics.gauge(Metric.PENDING, self._pending)

    def _count_pending(self) -> None:
        """Count what is pending: once, and after the first turn, since it looks at all and what is overdue cannot wait.

        Where it fails, so does all else, and it is tried again after the next turn.
        """
        with suppress(sqlite3.Error):
            self._pending = self._writer.pending()
            self._metrics.gauge(Metric.PENDING, self._pending)

    def _expire(self, now_ms: int) -> bool:
        """Delete what ended long ago: a little in every minute, and in every turn while there is more.

        Returns whether anything was deleted.
        """
        is_time = not 0 < self._next_expiry_ms - now_ms <= _EXPIRY_INTERVAL_MS  # or the clock was set back
        if not is_time:
            return False
        gone = self._writer.expire(
            tasks_before_ms=now_ms - _TASKS_KEPT_MS,
            events_before_ms=now_ms - _EVENTS_KEPT_MS,
            received=min([*self._webhooks.values()], default=None),
            limit=_EXPIRED_AT_ONCE,
        )
        self._next_expiry_ms = now_ms if gone >= _EXPIRED_AT_ONCE else now_ms + _EXPIRY_INTERVAL_MS
        return gone > 0

    def _correct_times(self, now_ms: int) -> None:
        """Correct what was recorded by a clock that has been set back since: it would never expire."""
        if self._latest_ms > now_ms + _DAY_MS:
            self._writer.correct_times(now_ms)
            self._latest_ms = now_ms
        self._latest_ms = max(self._latest_ms, now_ms)

    def _find_newest(self) -> None:
        """Find out, on the event loop, which is the newest emitted event that is still stored."""
        with suppress(sqlite3.Error):
            self._newest = min(self._reader.last_sequence(), self._position)

    def _wake(self, calls: list[_Call], emissions: Sequence[Emission] = ()) -> None:
        """Wake, on the event loop, those whose changes were made, and emit what was taken when its time comes."""
        for call in calls:
            if self._journal and call.task is not None and call.outcome and call.error is None:
                self._journal.accepted(call.task.id, call.task.due_ms)  # before it is emitted, maybe at once
            call.settle()
        if emissions:
            self._staged.extend(emissions)
            self._publish()

    def _publish(self) -> None:
        """Wake those who wait for events, with all whose time has come."""
        now_ms = self._now_ms()
        late_s = []
        while self._staged and not _is_ahead(self._staged[0].emitted_ms, now_ms):
            emission = self._staged.popleft()
            self._position = self._newest = emission.sequence
            late_s.append(max(now_ms - emission.expected_ms, 0) / 1000)
            if self._journal:
                self._journal.emitted(emission.task_id, late_s[-1])
        if late_s:
            self._arrival.set()
            if not self._closing:
                self._arrival = asyncio.Event()
            self._metrics.observe(Metric.LATENESS, late_s)
        if self._staged:
            self._alarm.set((self._staged[0].emitted_ms - now_ms) / 1000)


@contextmanager
def _reading() -> Iterator[None]:
    """Raise UnavailableError where the data file cannot be read."""
    try:
        yield
    except sqlite3.Error as error:
        _logger.error("The data file cannot be read: %s", error)  # noqa: TRY400 - where it is, the message tells
        raise UnavailableError("The task store cannot be read now. Try again.") from None


def _is_ahead(ms: int, now_ms: float) -> bool:
    """Tell whether a time that was taken ahead is still to come; what is far ahead is of a clock that was set back."""
    return 0 < ms - now_ms <= _AHEAD_MS


async def _each(calls: Iterable[Coroutine[Any, Any, Task]]) -> list[Task | EngineError]:
    """Make all calls at once; return for each its task, or the error that concerns it alone."""

    async def outcome(call: Coroutine[Any, Any, Task]) -> Task | EngineError:
        try:
            return await call
        except EngineError as error:
            return error

    return await asyncio.gather(*map(outcome, calls))
