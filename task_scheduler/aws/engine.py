"""The AWS engine: one write and one start for a task, and cancels that tell the truth."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from task_scheduler import timestamps
from task_scheduler.aws.errors import ServiceError
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionTimer, Stop
from task_scheduler.aws.task_store import OPEN, StoredState, StoredTask, TaskStore
from task_scheduler.aws.threads import run_all
from task_scheduler.contract import MAX_BATCH
from task_scheduler.engine import (
    BATCH_MS,
    MAX_PAGE_BYTES,
    OVERDUE_MS,
    Cursor,
    EngineError,
    Health,
    IdempotencyKey,
    KeyConflictError,
    KeyOfEndedTaskError,
    NotAttemptedError,
    TagCancellation,
    TaskNotFoundError,
    TaskPage,
    TaskQuery,
    TooLateError,
    UnavailableError,
)
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event, Status, Task
from task_scheduler.timestamps import DAY_MS

_Item = TypeVar("_Item")

_ATTEMPTS: Final = 3
_KEEPS_CHANGING: Final = "The task keeps changing; please try again."
_KEY_IS_BUSY: Final = "The Idempotency-Key is being used by another request; please send this one again."
_POLL_S: Final = 0.25
_LOOK_AGAIN_MS: Final = 10_000  # anyone may request the health
_LOOKED_AT: Final = 100  # tasks: some were emitted a moment ago, or were given a time that had passed already
_MOST_PAGES: Final = 10  # of such tasks
_INDEX_LAG_MS: Final = 2_500
"""How long after a write the index may not show it; as a rule it takes well below a second (AWS, DynamoDB indexes)."""


class AwsEngine:
    """An Engine on DynamoDB and Step Functions. Its calls block: a Lambda function serves one request at a time."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        task_store: TaskStore,
        timer: ExecutionTimer,
        log: EventLog,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
        metrics: Metrics,
        sleep: Callable[[float], None] = time.sleep,
        threads: int = 1,
    ) -> None:
        self._task_store = task_store
        self._timer = timer
        self._log = log
        self._arming_window_ms = arming_window_days * DAY_MS
        self._now_ms = now_ms
        self._metrics = metrics
        self._sleep = sleep
        self._threads = threads  # for the items of a batch
        self._looked_ms = 0
        self._health = Health()

    def now_ms(self) -> int:
        """Return the time of the injected clock."""
        return self._now_ms()

    async def check_health(self) -> Health:
        """Look whether the table responds and whether anything in it is overdue, at most every 10 s."""
        if self._now_ms() >= self._looked_ms + _LOOK_AGAIN_MS:
            self._health = self._look()
            self._looked_ms = self._now_ms()
        return self._health

    def _look(self) -> Health:
        try:
            overdue = [task for state in OPEN for task in self._overdue(state)]
        except UnavailableError as error:
            return Health([str(error)])
        if not overdue:
            return Health()
        due = timestamps.format(min(task.due_ms for task in overdue))
        return Health([f"Tasks are overdue: one was due at {due}. They are tried again, for a day at least."])

    def _soonest_open_ms(self) -> int | None:
        """Return before which due time no task is open, as far as the index knows.

        The rows of a tag are those of all its tasks, and may be mostly of such as ended long ago.
        """
        found = [cursor.due_ms for state in OPEN for cursor in self._task_store.soonest(state)]
        return min(found, default=None)

    def _overdue(self, state: StoredState) -> list[Task]:
        until_ms = self._now_ms() - OVERDUE_MS
        cursor: Cursor | None = None
        for _ in range(_MOST_PAGES):
            late = self._task_store.due(state, until_ms=until_ms, after=cursor, limit=_LOOKED_AT)
            records = self._task_store.get_all([one.task_id for one in late])
            tasks = [record.task for record in records if record.state in OPEN]
            if overdue := [task for task in tasks if task.expected_ms <= until_ms]:
                return overdue
            if len(late) < _LOOKED_AT:
                break
            cursor = late[-1]
        return []

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:
        """Store a task and start its timer, if it is due soon enough for an execution."""
        return self._schedule(task, key, Throttle())

    async def schedule_all(
        self, tasks: Sequence[Task], keys: Sequence[IdempotencyKey | None] = ()
    ) -> list[Task | EngineError]:
        """Schedule tasks side by side. After the first start that fails, the others are left to the sweeper."""
        throttle = Throttle()
        return self._each(
            lambda item: self._schedule(*item, throttle), list(zip(tasks, keys or [None] * len(tasks), strict=True))
        )

    def _schedule(self, task: Task, key: IdempotencyKey | None, throttle: "Throttle") -> Task:
        state = StoredState.SCHEDULED if self._is_near(task) and not throttle.is_on else StoredState.PARKED
        record, is_new = self._store(task, state, key)
        # From here on the task is accepted: whatever fails below, the sweeper finds it in the table and starts it.
        if not is_new:
            return self._repeat(record, key)
        self._metrics.count(Metric.SCHEDULED)
        if state is StoredState.SCHEDULED:
            self._start(record, throttle)
        return task

    def _store(self, task: Task, state: StoredState, key: IdempotencyKey | None) -> tuple[StoredTask, bool]:
        """Store a task; return it, or the stored one that its key belongs to, and whether it is new.

        A key is claimed first. If its task is not there, that has expired, or its request died or is not yet done; then
        this one takes the key over. Raises KeyConflictError and ServiceError.
        """
        for _ in range(_ATTEMPTS):
            holder = None if key is None else self._task_store.claim_key(key, task)
            if key is None or holder is None:
                if self._task_store.put(task, state, key=None if key is None else key.name):
                    return StoredTask(task, state), True
                # An earlier attempt of this write has worked, unless another request has taken the key over.
                stored = self._task_store.get(task.id)
            else:
                stored = self._task_store.get(holder.task_id)
                if stored is None and self._task_store.take_over_key(key, holder, task, state):
                    return StoredTask(task, state), True
                if stored is not None and holder.fingerprint != key.fingerprint:
                    raise KeyConflictError
            if stored is not None:
                return stored, False
        raise UnavailableError(_KEY_IS_BUSY)

    def _repeat(self, stored: StoredTask, key: IdempotencyKey | None) -> Task:
        """Respond to a repeated request; the one before it may have died before it started the timer."""
        if key is not None and stored.state in {StoredState.CANCELLED, StoredState.FAILED}:
            raise KeyOfEndedTaskError(stored.task)
        if stored.state is StoredState.SCHEDULED:
            self._start(stored, Throttle())
        return stored.task

    async def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        return self._find(task_id).task

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        """List tasks: the index names them, the table shows them as they are now."""
        page: list[Task] = []
        size = 0
        found = self._task_store.find(query, limit=limit + 1)
        cursors: dict[str, Cursor] = {}
        for cursor in found[:limit]:  # a task that was moved while the index was read is there twice
            cursors.setdefault(cursor.task_id, cursor)
        end = after = found[limit - 1] if len(found) > limit else None
        last: Cursor | None = None
        for record in self._task_store.get_all(list(cursors)):
            if size > MAX_PAGE_BYTES:
                after = last
                break
            last = cursor = cursors[record.task.id]
            if query.status in {None, record.task.status} and _is_listed(record.task, cursor, query, end):
                page.append(record.task)
                size += len(record.task.payload)
        return TaskPage(sorted(page, key=lambda task: (task.due_ms, task.id)), after)

    async def cancel(self, task_id: str) -> Task:
        """Stop the timer, then mark the task; a crash between the two leaves a task that the sweeper starts again."""
        return self._cancel(task_id)

    def _cancel(self, task_id: str) -> Task:
        for _ in range(_ATTEMPTS):
            record = self._find(task_id)
            if record.state is StoredState.CANCELLED:
                return record.task
            self._stop_timer(record)
            now_ms = self._now_ms()
            if self._task_store.transition(record, StoredState.CANCELLED, now_ms=now_ms):
                self._metrics.count(Metric.CANCELLED)
                return replace(record.task, status=Status.CANCELLED, ended_ms=now_ms)
        raise UnavailableError(_KEEPS_CHANGING)

    async def cancel_all(self, task_ids: Sequence[str]) -> list[Task | EngineError]:
        """Cancel tasks side by side."""
        return self._each(self._cancel, task_ids)

    async def cancel_tagged(self, tag: tuple[str, str]) -> TagCancellation:
        """Cancel the scheduled tasks of a tag page by page, until the index must know those scheduled before."""
        started_ms = self._now_ms()
        outcomes: dict[str, Task | EngineError] = {}
        query = TaskQuery(status=Status.SCHEDULED, tag=tag)
        after: Cursor | None = None
        while True:
            page = TaskPage([], None)
            if after is not None or (soonest_ms := self._soonest_open_ms()) is not None:
                query = replace(query, after=after, from_ms=query.from_ms if after else soonest_ms)
                page = await self.tasks(query, limit=MAX_BATCH)
            ids = [task.id for task in page.tasks if task.id not in outcomes]
            found = self._each(self._cancel, ids, end_ms=started_ms + BATCH_MS)
            outcomes |= {
                task_id: outcome
                for task_id, outcome in zip(ids, found, strict=True)
                if not isinstance(outcome, NotAttemptedError)
            }
            after = page.next
            waited_ms = self._now_ms() - started_ms
            is_over = waited_ms >= BATCH_MS
            if is_over or (after is None and waited_ms >= _INDEX_LAG_MS):
                break
            if after is None:
                self._sleep((_INDEX_LAG_MS - waited_ms) / 1000)
        cancelled = sum(isinstance(outcome, Task) for outcome in outcomes.values())
        return TagCancellation(cancelled, len(outcomes) - cancelled, more=is_over)

    async def reschedule(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        """Stop the timer, then write the next revision, then start its timer.

        In this order no revision but the current one ever has a timer that runs, so that a cancel has one to stop. A
        crash in between leaves a task without a timer, which the sweeper starts again when it is overdue.
        """
        for _ in range(_ATTEMPTS):
            record = self._find(task_id)
            _refuse_ended(record)
            new = change(record.task)  # before anything is touched: it may refuse
            self._stop_timer(record)
            near = self._is_near(new)
            state = StoredState.SCHEDULED if near else StoredState.PARKED
            if record.key is not None and new.due_ms > record.task.due_ms:
                self._task_store.prolong_key(record.key, new)
            if self._task_store.reschedule(record, new, state):
                if near:
                    self._start(StoredTask(new, state), Throttle())
                return new
        raise UnavailableError(_KEEPS_CHANGING)

    async def position(self) -> int:
        """Return the sequence number of the newest event."""
        return self._log.position()

    async def clamp_position(self, position: int) -> int:
        """Return a position in the log from which a reader can go on."""
        return self._log.clamp(position)

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number."""
        return self._log.events(after=after, limit=limit)

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number."""
        return self._log.events_before(before, limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait for an event."""
        return self._log.wait(after=after, seconds=seconds, pause_s=_POLL_S, sleep=self._sleep)

    def _is_near(self, task: Task) -> bool:
        """Tell whether a timer may be started for the task: a longer wait could outlive its execution."""
        return task.due_ms <= self._now_ms() + self._arming_window_ms

    def _stop_timer(self, record: StoredTask) -> None:
        """Make sure that no timer of a task publishes or has published; raises TooLateError, without side effects."""
        _refuse_ended(record)
        if record.entered:  # an earlier timer died in the publish: SNS may have accepted the message
            raise TooLateError(record.task)
        # A parked task has no timer, unless it was parked because its start seemed to fail.
        if record.state is StoredState.PARKED and not record.attempted:
            return
        outcome = self._timer.stop(record.task, now_ms=self._now_ms())
        if outcome is Stop.INTERRUPTED:
            self._resume(record)
        if outcome is not Stop.STOPPED:
            raise TooLateError(record.task)

    def _resume(self, record: StoredTask) -> None:
        """Start the next timer of a task whose publish was interrupted, at once; if that fails, the sweeper does it."""
        with suppress(ServiceError):
            renewed = self._task_store.rearm(record, entered=True)
            if renewed is not None:
                self._timer.start(renewed.task)

    def _find(self, task_id: str) -> StoredTask:
        record = self._task_store.get(task_id)
        if record is None:
            raise TaskNotFoundError(task_id)
        return record

    def _start(self, record: StoredTask, throttle: "Throttle") -> None:
        """Start a timer, or leave that to the sweeper: at once if the task can be parked, else when it is overdue."""
        try:
            self._timer.start(record.task)
        except ServiceError:
            throttle.is_on = True
            with suppress(ServiceError):
                self._task_store.transition(record, StoredState.PARKED, now_ms=self._now_ms(), attempted=True)

    def _each(
        self, call: Callable[[_Item], Task], items: Sequence[_Item], *, end_ms: int | None = None
    ) -> list[Task | EngineError]:
        """Make a call for each item, as many as can be begun in time; return for each its task or its error."""
        end_ms = self._now_ms() + BATCH_MS if end_ms is None else end_ms

        def outcome(item: _Item) -> Task | EngineError:
            if self._now_ms() >= end_ms:
                return NotAttemptedError()
            try:
                return call(item)
            except EngineError as error:
                return error

        return run_all(outcome, items, threads=self._threads)


@dataclass(slots=True)
class Throttle:
    """Whether a start has failed in this request, so that it attempts no more."""

    is_on: bool = False


def _is_listed(task: Task, cursor: Cursor, query: TaskQuery, end: Cursor | None) -> bool:
    """Tell whether a task that the index knows at a cursor belongs on a page that ends at another one.

    A task that has been given another time since is listed here unless a later page finds it at its new cursor: pages
    that were read before did not have it.
    """
    if task.due_ms == cursor.due_ms:
        return True
    is_in_window = (query.from_ms is None or task.due_ms >= query.from_ms) and (
        query.to_ms is None or task.due_ms < query.to_ms
    )
    return is_in_window and (end is None or Cursor(task.due_ms, task.id) <= end)


def _refuse_ended(record: StoredTask) -> None:
    if record.state not in OPEN:
        raise TooLateError(record.task)
