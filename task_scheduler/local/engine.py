"""The local engine: an Engine on one SQLite file, which a thread writes and the event loop reads."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from task_scheduler import timestamps
from task_scheduler.contract import MAX_BATCH
from task_scheduler.engine import (
    BATCH_MS,
    OVERDUE_MS,
    EngineError,
    Health,
    IdempotencyKey,
    KeyOfEndedTaskError,
    TagCancellation,
    TaskPage,
    TaskQuery,
)
from task_scheduler.local.data_file import DataFile
from task_scheduler.local.deliveries import Delivery, Failure, SetAside
from task_scheduler.local.event_log import EventLog, reading
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.store import Emission, TaskStore
from task_scheduler.local.task_printer import TaskPrinter
from task_scheduler.local.writer import Change, Writer
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event, Status, Task

_logger: Final = logging.getLogger(__name__)

_INSPECTION_INTERVAL_S: Final = 10.0
_CHECK_INTERVAL_S: Final = 30.0  # of the structure of the whole file


class LocalEngine:
    """An Engine on one SQLite file; an asynchronous context manager, of one event loop."""

    def __init__(
        self,
        path: Path,
        *,
        now_ms: Callable[[], float],
        metrics: Metrics,
        printer: TaskPrinter | None = None,
        webhooks: Sequence[str] = (),
    ) -> None:
        self._file = DataFile(path)
        self._now_ms = now_ms
        self._metrics = metrics
        self._printer = printer
        self._configured = tuple(webhooks)
        self._webhooks: dict[str, int] = {}
        self._damage: str | None = None

    async def __aenter__(self) -> Self:
        """Open the file and start firing; raises DataFileError."""
        with ExitStack() as undo:
            self._file.open()
            undo.callback(self._file.abandon)
            try:
                self._written = TaskStore.open(self._file.path)
                undo.callback(self._written.close)
                self._reader = TaskStore.open(self._file.path)
                undo.callback(self._reader.close)
                staged_s = self._reader.staged_ms(self._now_ms()) / 1000
                # Before anything expires: what they have not received yet must not.
                self._webhooks = self._reader.deliveries.positions(self._configured)
                self._writer = Writer(self._written, self, now_ms=self._now_ms, metrics=self._metrics)
                self._log = EventLog(self._reader, now_ms=self._now_ms, metrics=self._metrics, printer=self._printer)
            except sqlite3.Error as error:
                raise DataFileError(f"{self._file.path} cannot be read: {error}. Restore a backup.") from None
            undo.pop_all()
        await asyncio.sleep(staged_s)  # a process that ended since may have staged it
        self._inspection = asyncio.create_task(self._inspect())
        self._log.start()
        self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was begun and close the file."""
        self.end_streams()
        self._inspection.cancel()
        await asyncio.gather(self._inspection, return_exceptions=True)
        await self._writer.close()
        await self._log.close()
        self._reader.close()
        self._written.close()
        self._file.close()

    def end_streams(self) -> None:
        """Let go all that wait for events, now and from now on."""
        self._log.end_streams()

    def now_ms(self) -> int:
        """Return the time of the injected clock, in whole milliseconds that are over."""
        return int(self._now_ms())

    def respond(self, changes: Sequence[Change], emissions: Sequence[Emission]) -> None:
        """Wake those whose changes were made, and publish."""
        for change in changes:
            if self._printer and change.task is not None and change.is_made:
                self._printer.accepted(change.task.id, change.task.due_ms)  # before it is emitted, maybe at once
            change.respond()
        if emissions:
            self._log.publish(emissions)

    def note_expiry(self) -> None:
        """Note that some events are no longer stored."""
        self._log.update_newest()

    def problem(self) -> str | None:
        """Tell why what is written now would be lost, None if it would not."""
        return self._file.problem() or self._damage

    def received(self) -> int | None:
        """Return up to where all webhooks have the log."""
        return min([*self._webhooks.values()], default=None)

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:
        """Store a new task; it is on the disk when this returns."""
        self._writer.check_load()
        while not await self._writer.change(lambda store: store.insert(task, key), Metric.SCHEDULED, task):
            now_ms = self._now_ms()
            with reading():
                stored = (
                    self._reader.get(task.id, now_ms=now_ms)
                    if key is None
                    else self._reader.find_by_key(key, now_ms=now_ms)
                )
            if stored is None:  # it has expired since
                continue
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
        with reading():
            return self._reader.get(task_id, now_ms=self._now_ms())

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task; changes and emissions take turns, so that the response is the truth."""
        self._writer.check_load()
        cancelled: Task | None = await self._writer.change(
            lambda store: store.cancel(task_id, now_ms=self.now_ms()), Metric.CANCELLED
        )
        return cancelled or await self.get(task_id)

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
        """Replace a scheduled task; in turn with emissions, as cancels are."""
        self._writer.check_load()
        task: Task = await self._writer.change(lambda store: store.replace(task_id, change, now_ms=self._now_ms()))
        return task

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        """List tasks."""
        with reading():
            return self._reader.tasks(query, limit=limit, now_ms=self._now_ms())

    async def run_due(self) -> None:
        """Return when all that is due by now has been emitted, for a clock that was set by hand."""
        while await self._writer.change(self._is_due):
            pass
        await self._log.published()

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
        failures = self._problems()
        if not self._writer.is_writable:
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
            for event in self._reader.events(after=position, until=self._log.position, limit=1)
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
        end = self._log.position
        stored: int = await self._writer.change(lambda store: store.deliveries.open_webhook(url, position=end))
        self._webhooks[url] = position = await self.clamp_position(stored)
        return position

    async def advance_webhook(self, url: str, event: Event, failure: Failure | None) -> None:
        """Remember that an event was sent to a webhook for the first time."""
        await self._writer.change(lambda store: store.deliveries.advance_webhook(url, event, failure))
        self._webhooks[url] = event.sequence

    async def next_delivery(self, url: str) -> Delivery | None:
        """Return what is to be sent to a webhook again first."""
        with reading():
            return self._reader.deliveries.next(url)

    async def settle_delivery(self, url: str, sequence: int, failure: Failure | None) -> None:
        """Remember what came of sending an event again."""
        await self._writer.change(lambda store: store.deliveries.settle(url, sequence, failure))

    async def retry_deliveries(self, url: str) -> None:
        """Send everything again now that waits for a webhook."""
        await self._writer.change(lambda store: store.deliveries.retry_now(url, self.now_ms()))

    async def set_aside_removed(self, urls: Sequence[str]) -> None:
        """Set aside what waits for a webhook that is no longer configured: nothing would send it."""
        number: int = await self._writer.change(lambda store: store.deliveries.set_aside_removed(urls, self.now_ms()))
        if number:
            _logger.warning(
                "%d messages waited for webhooks that are not configured any more; they are set aside", number
            )

    def set_aside_deliveries(self, *, limit: int) -> tuple[int, list[SetAside]]:
        """Return how many messages are set aside, and the newest of them."""
        with reading():
            return self._reader.deliveries.set_aside(), self._reader.deliveries.list_set_aside(limit=limit)

    async def acknowledge_deliveries(self, *, until_ms: int) -> int:
        """Forget the messages that were set aside until a time; return their number."""
        acknowledged: int = await self._writer.change(lambda store: store.deliveries.acknowledge(until_ms=until_ms))
        return acknowledged

    async def position(self) -> int:
        """Return the sequence number of the newest event."""
        return self._log.position

    async def clamp_position(self, position: int) -> int:
        """Return a position in the log from which a reader can go on."""
        return self._log.clamp_position(position)

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number."""
        return self._log.events(after=after, limit=limit)

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number."""
        return self._log.events_before(before, limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait until an event after a sequence number is stored; raises UnavailableError when the engine closes."""
        return await self._log.wait_for_events(after=after, seconds=seconds)

    def _problems(self) -> list[str]:
        return [problem for problem in (self._file.problem(), self._damage) if problem]

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
            problems = set(self._problems())
            for problem in problems - reported:
                _logger.error("%s Nothing is accepted until it is restored and the server restarted.", problem)
            reported = problems
            await asyncio.sleep(_INSPECTION_INTERVAL_S)


async def _each(calls: Iterable[Coroutine[Any, Any, Task]]) -> list[Task | EngineError]:
    """Make all calls at once; return for each its task, or the error that concerns it alone."""

    async def outcome(call: Coroutine[Any, Any, Task]) -> Task | EngineError:
        try:
            return await call
        except EngineError as error:
            return error

    return await asyncio.gather(*map(outcome, calls))
