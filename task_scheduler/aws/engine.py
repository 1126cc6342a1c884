"""The AWS engine: one write and one start for a task, and cancels that tell the truth."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler import timestamp
from task_scheduler.aws.clients import code, unavailable
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.registry import OPEN, Record, Registry, State
from task_scheduler.aws.timer import Timer
from task_scheduler.engine import (
    MAX_PAGE_BYTES,
    OVERDUE_MS,
    EngineError,
    KeyConflictError,
    TaskNotFoundError,
    TaskPage,
    TaskQuery,
    TooLateError,
    UnavailableError,
)
from task_scheduler.metrics import Metric, Observer
from task_scheduler.task import Event, Status, Task

_logger: Final = logging.getLogger(__name__)

_TRIES: Final = 3
_KEEPS_CHANGING: Final = "The task keeps changing; please try again."
_DAY_MS: Final = 86_400_000
_POLL_S: Final = 0.25
_LOOK_AGAIN_MS: Final = 10_000  # anybody may ask for problems
_LOOKED_AT: Final = 10  # tasks: some may have been emitted a moment ago, which the index does not know yet


class AwsEngine:
    """An Engine on DynamoDB and Step Functions. Its calls block: a Lambda function serves one request at a time."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        registry: Registry,
        timer: Timer,
        log: EventLog,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
        observer: Observer,
    ) -> None:
        self._registry = registry
        self._timer = timer
        self._log = log
        self._arming_window_ms = arming_window_days * _DAY_MS
        self._now_ms = now_ms
        self._observer = observer
        self._looked_ms = 0
        self._problems: list[str] = []

    def now_ms(self) -> int:
        """Return the time of the injected clock."""
        return self._now_ms()

    async def problems(self) -> list[str]:
        """Look whether the table answers and whether anything in it is overdue, at most every 10 s."""
        if self._now_ms() >= self._looked_ms + _LOOK_AGAIN_MS:
            self._problems = self._look()
            self._looked_ms = self._now_ms()
        return self._problems

    def _look(self) -> list[str]:
        try:
            with unavailable("The table of tasks"):
                late = self._registry.due(
                    State.SCHEDULED, until_ms=self._now_ms() - OVERDUE_MS, after=None, limit=_LOOKED_AT
                )
                records = self._registry.get_all([place.task_id for place in late])
                overdue = [record.task for record in records if record.state is State.SCHEDULED]
        except UnavailableError as error:
            return [str(error)]
        overdue = [task for task in overdue if task.expected_ms <= self._now_ms() - OVERDUE_MS]
        if not overdue:
            return []
        due = timestamp.format(overdue[0].due_ms)
        return [f"Tasks are overdue: one was due at {due}. They are tried again, for a day at least."]

    async def schedule(self, task: Task) -> Task:
        """Keep a task and start its timer, if the wait is one that an execution may live through."""
        near = self._is_near(task)
        with unavailable("The table of tasks", task.id):
            new = self._registry.put(task, State.SCHEDULED if near else State.PARKED)
        # From here on the task is accepted: whatever fails below, the sweeper finds it in the table and starts it.
        if new:
            self._observer.count(Metric.SCHEDULED)
            if near:
                self._start(Record(task, State.SCHEDULED))
            return task
        # It was put before: by an earlier try of that write, or by a request with the same idempotency key, which may
        # have died before its start.
        kept = self._find(task.id)
        if kept.task.fingerprint != task.fingerprint:
            raise KeyConflictError
        if kept.state is State.SCHEDULED:
            self._start(kept)
        return kept.task

    async def schedule_all(self, tasks: Sequence[Task]) -> list[Task | EngineError]:
        """Schedule tasks one after the other."""
        return [await _outcome(self.schedule(task)) for task in tasks]

    async def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        return self._find(task_id).task

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        """List tasks: the index names them, the table shows them as they are now."""
        page: list[Task] = []
        size = 0
        with unavailable("The table of tasks"):
            found = self._registry.find(query, limit=limit + 1)
            places = {place.task_id: place for place in found[:limit]}
            last = None
            for record in self._registry.get_all(list(places)):
                if size > MAX_PAGE_BYTES:
                    return TaskPage(page, last)
                last = places[record.task.id]
                # The index is a moment behind: what has changed since is listed where it belongs now, or next time.
                if record.task.due_ms == last.due_ms and query.status in {None, record.task.status}:
                    page.append(record.task)
                    size += len(record.task.event)
        return TaskPage(page, found[limit - 1] if len(found) > limit else None)

    async def cancel(self, task_id: str) -> Task:
        """Stop the timer, then mark the task; a crash between the two leaves a task that the sweeper starts again."""
        for _ in range(_TRIES):
            record = self._find(task_id)
            if record.state is State.CANCELLED:
                return record.task
            self._take_back(record)
            now_ms = self._now_ms()
            with unavailable("The table of tasks", task_id):
                if self._registry.move(record, State.CANCELLED, now_ms=now_ms):
                    self._observer.count(Metric.CANCELLED)
                    return replace(record.task, status=Status.CANCELLED, ended_ms=now_ms)
        raise UnavailableError(_KEEPS_CHANGING)

    async def cancel_all(self, task_ids: Sequence[str]) -> list[Task | EngineError]:
        """Cancel tasks one after the other."""
        return [await _outcome(self.cancel(task_id)) for task_id in task_ids]

    async def reschedule(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        """Stop the timer, then write the next revision, then start its timer.

        In this order no revision but the current one ever has a timer that runs, so that a cancel has one to stop. A
        crash in between leaves a task without a timer, which the sweeper starts again when it is overdue.
        """
        for _ in range(_TRIES):
            record = self._find(task_id)
            _refuse_ended(record)
            new = change(record.task)  # before anything is touched: it may refuse
            self._take_back(record)
            near = self._is_near(new)
            state = State.SCHEDULED if near else State.PARKED
            with unavailable("The table of tasks", task_id):
                if self._registry.reschedule(record, new, state):
                    if near:
                        self._start(Record(new, state))
                    return new
        raise UnavailableError(_KEEPS_CHANGING)

    async def position(self) -> int:
        """Return the sequence number of the newest event."""
        with unavailable("The event log"):
            return self._log.position()

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number."""
        with unavailable("The event log"):
            return self._log.events(after=after, limit=limit)

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number."""
        with unavailable("The event log"):
            return self._log.events_before(before, limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait for an event."""
        with unavailable("The event log"):
            return self._log.wait(after=after, seconds=seconds, pause_s=_POLL_S)

    def _is_near(self, task: Task) -> bool:
        """Tell whether a timer may be started for the task: a longer wait could outlive its execution."""
        return task.due_ms <= self._now_ms() + self._arming_window_ms

    def _take_back(self, record: Record) -> None:
        """Make sure that the timer of a task will not publish; raises TooLateError."""
        _refuse_ended(record)
        task = record.task
        # A parked task has no timer, unless it was parked because its start seemed to fail.
        if record.state is State.PARKED and not self._is_near(task):
            return
        with unavailable("The timer of the task", task.id):
            if not self._timer.stop(task, now_ms=self._now_ms()):
                raise TooLateError(task)

    def _find(self, task_id: str) -> Record:
        with unavailable("The table of tasks", task_id):
            record = self._registry.get(task_id)
        if record is None:
            raise TaskNotFoundError(task_id)
        return record

    def _start(self, record: Record) -> None:
        """Start a timer, or leave that to the sweeper: at once if the task can be parked, else when it is overdue."""
        try:
            self._timer.start(record.task)
        except (BotoCoreError, ClientError) as error:
            about = {"task_id": record.task.id}
            _logger.warning("The timer of a task did not start: %s", code(error), extra=about)
            try:
                self._registry.move(record, State.PARKED, now_ms=self._now_ms())
            except (BotoCoreError, ClientError) as second:
                _logger.warning("Nor could the task be parked: %s", code(second), extra=about)


def _refuse_ended(record: Record) -> None:
    if record.state not in OPEN:
        raise TooLateError(record.task)


async def _outcome(call: Coroutine[Any, Any, Task]) -> Task | EngineError:
    """Return the task of a call, or the error that concerns it alone."""
    try:
        return await call
    except EngineError as error:
        return error
