"""The AWS engine: one write and one start for a task, and cancels that tell the truth."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler import timestamp
from task_scheduler.aws.clients import unavailable
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.registry import OPEN, Record, Registry, State
from task_scheduler.aws.timer import Timer
from task_scheduler.engine import TaskNotFoundError, TooLateError, UnavailableError
from task_scheduler.task import Event, Status, Task

_logger: Final = logging.getLogger(__name__)

_TRIES: Final = 3
_DAY_MS: Final = 86_400_000
_POLL_S: Final = 0.25


class AwsEngine:
    """An Engine on DynamoDB and Step Functions. Its calls block: a Lambda function serves one request at a time."""

    def __init__(
        self,
        registry: Registry,
        timer: Timer,
        log: EventLog,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._timer = timer
        self._log = log
        self._arming_window_ms = arming_window_days * _DAY_MS
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time of the injected clock."""
        return self._now_ms()

    async def schedule(self, task: Task) -> None:
        """Keep a task and start its timer, if the wait is one that an execution may live through."""
        near = self._is_near(task)
        with unavailable("The table of tasks"):
            self._registry.put(task, State.SCHEDULED if near else State.PARKED)
        # From here on the task is accepted: whatever fails below, the sweeper finds it in the table and starts it.
        if near:
            self._start(Record(task, State.SCHEDULED))

    async def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        return self._find(task_id).task

    async def cancel(self, task_id: str) -> Task:
        """Stop the timer, then mark the task; a crash between the two leaves a task that the sweeper starts again."""
        for _ in range(_TRIES):
            record = self._find(task_id)
            if record.state is State.CANCELLED:
                return record.task
            if record.state not in OPEN:
                ended = timestamp.format(record.task.ended_ms or record.task.due_ms)
                raise TooLateError(f"Task {task_id} was already {record.task.status} at {ended}.")
            with unavailable("The timer of the task"):
                # A parked task has no timer, unless it was parked because its start seemed to fail.
                started = record.state is State.SCHEDULED or self._is_near(record.task)
                if started and not self._timer.stop(record.task, now_ms=self._now_ms()):
                    due = timestamp.format(record.task.due_ms)
                    raise TooLateError(f"Task {task_id} was due at {due} and is already being emitted.")
                now_ms = self._now_ms()
                if self._registry.move(record, State.CANCELLED, now_ms=now_ms):
                    return replace(record.task, status=Status.CANCELLED, ended_ms=now_ms)
        raise UnavailableError("The task keeps changing; please try again.")

    async def position(self) -> int:
        """Return the sequence number of the newest event."""
        with unavailable("The event log"):
            return self._log.position()

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number."""
        with unavailable("The event log"):
            return self._log.events(after=after, limit=limit)

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait for an event."""
        with unavailable("The event log"):
            return self._log.wait(after=after, seconds=seconds, pause_s=_POLL_S)

    def _is_near(self, task: Task) -> bool:
        """Tell whether a timer may be started for the task: a longer wait could outlive its execution."""
        return task.due_ms <= self._now_ms() + self._arming_window_ms

    def _find(self, task_id: str) -> Record:
        with unavailable("The table of tasks"):
            record = self._registry.get(task_id)
        if record is None:
            raise TaskNotFoundError(f"No task has the id {task_id!r}.")
        return record

    def _start(self, record: Record) -> None:
        """Start a timer, or leave that to the sweeper: at once if the task can be parked, else when it is overdue."""
        try:
            self._timer.start(record.task)
        except (BotoCoreError, ClientError) as error:
            _logger.warning("The timer of task %s did not start: %s", record.task.id, type(error).__name__)
            try:
                self._registry.move(record, State.PARKED, now_ms=self._now_ms())
            except (BotoCoreError, ClientError):
                _logger.warning("Task %s could not be parked either.", record.task.id)
