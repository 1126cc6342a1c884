"""The safety net: starts parked tasks and reconciles overdue ones. Sweeps may overlap, die and be repeated."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from threading import Lock
from typing import Final

from task_scheduler import timestamps
from task_scheduler.aws.errors import ServiceError
from task_scheduler.aws.executions import ExecutionOutcome, ExecutionTimer
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.schema import SWEEPER_COUNTS
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.aws.threads import run_all
from task_scheduler.engine import OVERDUE_MS, Cursor, UnavailableError
from task_scheduler.timestamps import DAY_MS

_logger: Final = logging.getLogger(__name__)

LOOK_MS: Final = 45_000
"""How late a task may be before it is looked at: its timer publishes within seconds, and the recorder follows.

With a sweep every minute, what was lost goes out within two minutes of its time."""

GIVE_UP_MS: Final = DAY_MS
"""How late a task may be before it has failed, if it was also tried often enough: the sweeper may have been away."""

LEAST_TIMERS: Final = 5
"""How many timers must have died before a task has failed."""

_REFUSALS: Final = {
    "AccessDeniedException",
    "ExecutionLimitExceeded",
    "KmsAccessDeniedException",
    "KmsInvalidStateException",
    "StateMachineDeleting",
    "StateMachineDoesNotExist",
}
"""Why no execution at all can be started for now (AWS, StartExecution)."""

_LIMIT: Final = 200  # tasks at a time
_FIRST_PAUSE_MS: Final = 60_000
_LONGEST_PAUSE_MS: Final = 3_600_000


@dataclass(slots=True)
class Sweep:
    """What one sweep found and did, counted by the threads that attend to tasks."""

    armed: int = 0
    """Parked tasks whose timer was started."""
    overdue: int = 0
    """Open tasks that are late by a minute or more, parked ones included."""
    recorded: int = 0
    """Tasks that had been emitted and were not recorded yet."""
    rearmed: int = 0
    """Overdue tasks whose timer had died or was missing, and was started again."""
    failed: int = 0
    """Tasks that failed."""
    refused: bool = False
    """Whether no execution can be started now, for one since the account has as many open ones as it may."""
    late: set[str] = field(default_factory=set, repr=False)
    """The ids of those that are overdue: a task may be met twice."""
    lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, name: str) -> None:
        """Count one more of what has this name."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def count_overdue(self, task_id: str) -> None:
        """Count an overdue task, once."""
        with self.lock:
            self.late.add(task_id)
            self.overdue = len(self.late)

    def counts(self) -> dict[str, int]:
        """Return all counts by their names."""
        return {name: getattr(self, name) for name in SWEEPER_COUNTS}


class Action(Enum):
    """What an overdue task needs."""

    WAIT = auto()
    RECORD = auto()
    """Its message was published."""
    START = auto()
    """Its timer was never started."""
    REARM = auto()
    """Its timer died: the next revision gets another."""
    FAIL = auto()
    """Its timers have died for a day."""


def decide(record: StoredTask, outcome: ExecutionOutcome, *, now_ms: int) -> Action:
    """Return what a task needs that is overdue, by what has become of its timer."""
    if outcome is ExecutionOutcome.RUNNING:
        return Action.WAIT
    if outcome is ExecutionOutcome.PUBLISHED:
        return Action.RECORD
    if outcome is ExecutionOutcome.MISSING:
        # Under the same name, so that it does not matter whether it was never started, is being started by another
        # sweep, or is not known yet: the name is good for one execution.
        return Action.START
    if now_ms - record.task.expected_ms > GIVE_UP_MS and record.rearmed >= LEAST_TIMERS:
        return Action.FAIL
    return Action.REARM


@dataclass(frozen=True, slots=True)
class _Pass:
    """The tasks in one state that are due by a time, and what a sweep does with each."""

    sweep: Sweep
    state: StoredState
    until_ms: int
    process: Callable[[Sweep, StoredTask], None]


class Sweeper:
    """Manages the tasks that no timer manages."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        task_store: TaskStore,
        timer: ExecutionTimer,
        recorder: Recorder,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
        threads: int = 8,
    ) -> None:
        self._task_store = task_store
        self._timer = timer
        self._recorder = recorder
        self._arming_window_ms = int(arming_window_days * DAY_MS)
        self._now_ms = now_ms
        self._threads = threads

    def sweep(self, *, end_ms: int, sweep: Sweep | None = None) -> Sweep:
        """Start each parked task that is due soon, and process each that is overdue, until `end_ms` at most.

        A `sweep` that is given holds what was counted before a ServiceError, too.
        """
        sweep = sweep or Sweep()
        now_ms = self._now_ms()
        # Overdue tasks are more urgent than those that have yet to be started; but however many of them there are, and
        # however slow they are to process, half of the time is for the others.
        half_ms = (now_ms + end_ms) // 2
        self._process_all(_Pass(sweep, StoredState.SCHEDULED, now_ms - LOOK_MS, self._reconcile), half_ms)
        until_ms = self._now_ms() + self._arming_window_ms
        self._process_all(_Pass(sweep, StoredState.PARKED, until_ms, self._arm), end_ms)
        return sweep

    def _process_all(self, tasks: "_Pass", end_ms: int) -> None:
        """Process the soonest tasks first, then those that have waited longest.

        Where there are more than one sweep can process, half of the time goes to the soonest. The other half goes on
        where the last sweep was interrupted, so that tasks which cannot be processed now do not starve the others.
        """
        cursor = self._process_from(None, tasks, (self._now_ms() + end_ms) // 2)
        if cursor is not None:
            bookmark = self._task_store.bookmark(tasks.state)
            cursor = self._process_from(cursor if bookmark is None else max(cursor, bookmark), tasks, end_ms)
            self._task_store.set_bookmark(tasks.state, cursor)

    def _process_from(self, after: Cursor | None, tasks: "_Pass", end_ms: int) -> Cursor | None:
        """Process tasks from a cursor on; return where to go on if it was interrupted, None if it reached the end.

        The overdue ones of a page are counted, whether or not there is time to process them.
        """
        while found := self._task_store.due(tasks.state, until_ms=tasks.until_ms, after=after, limit=_LIMIT):
            records = list(self._task_store.get_all([cursor.task_id for cursor in found]))
            in_time = run_all(lambda record: self._visit(record, tasks, end_ms), records, threads=self._threads)
            if not all(in_time):
                # By its id, too: more tasks may be due at one time than a sweep can process.
                left = records[in_time.index(False)].task.id
                first = next(index for index, cursor in enumerate(found) if cursor.task_id == left)
                return found[first - 1] if first else after or Cursor(found[0].due_ms, "")
            after = found[-1]  # also if nothing could be done: a task that has to wait must not hide those behind it
        return None

    def _visit(self, record: StoredTask, tasks: "_Pass", end_ms: int) -> bool:
        """Process a task, and tell whether there was time."""
        if record.state is not tasks.state:  # the index is a moment behind the table
            return True
        sweep = tasks.sweep
        if self._now_ms() - record.task.expected_ms >= OVERDUE_MS:
            sweep.count_overdue(record.task.id)
        # Where nothing can be started, each attempt would cost two writes.
        if self._now_ms() >= end_ms or (tasks.state is StoredState.PARKED and sweep.refused):
            return False
        try:
            tasks.process(sweep, record)
        except UnavailableError as error:
            _logger.warning("A task has to wait for the next sweep: %s", error, extra={"task_id": record.task.id})
        return True

    def _arm(self, sweep: Sweep, record: StoredTask) -> None:
        """Start the timer of a parked task; if that is rejected, the next sweep tries again.

        It is marked first: if the sweeper dies in between, the task is found when it is overdue.
        """
        if record.task.due_ms > self._now_ms() + self._arming_window_ms:
            return  # it was given a later time, which the index does not know yet
        if not self._task_store.transition(record, StoredState.SCHEDULED, now_ms=self._now_ms()):
            # Another sweep has marked it, or this one has and the response was lost. In both cases a second start of
            # the same revision does no harm; after a cancel or change the name is used up, or another.
            marked = self._task_store.get(record.task.id)
            if (
                marked is None
                or marked.state is not StoredState.SCHEDULED
                or marked.task.revision != record.task.revision
            ):
                return
        try:
            self._timer.start(record.task)
        except ServiceError as error:
            sweep.refused = sweep.refused or error.code in _REFUSALS
            marked = replace(record, state=StoredState.SCHEDULED)
            self._task_store.transition(marked, StoredState.PARKED, now_ms=self._now_ms(), attempted=True)
            raise
        sweep.count("armed")

    def _reconcile(self, sweep: Sweep, record: StoredTask) -> None:
        """Find out why a task is overdue, and do what is left to do."""
        task = record.task
        now_ms = self._now_ms()
        if now_ms - task.expected_ms < LOOK_MS:
            return
        outcome, ended_ms = self._timer.outcome(task)
        match decide(record, outcome, now_ms=now_ms):
            case Action.WAIT:
                pass
            case Action.RECORD:
                if self._recorder.record_open(record, Emission(task.payload, ended_ms or now_ms)):
                    sweep.count("recorded")
            case Action.START:
                self._timer.start(task)
                sweep.count("rearmed")
            case Action.FAIL:
                if self._task_store.transition(record, StoredState.FAILED, now_ms=now_ms):
                    sweep.count("failed")
                    _logger.error("A task failed: its message was not published for a day.", extra={"task_id": task.id})
            case Action.REARM:
                self._rearm(sweep, record, now_ms, outcome)

    def _rearm(self, sweep: Sweep, record: StoredTask, now_ms: int, outcome: ExecutionOutcome) -> None:
        """Start the next timer of a task whose timer has died; it does the waiting between two attempts.

        One that was aborted says nothing about the publish, so there is no reason to wait: a cancel that came too late
        may have aborted it a moment ago, and must not delay the message.
        """
        renewed = self._task_store.rearm(record, entered=record.entered or self._timer.has_entered(record.task))
        if renewed is None:
            return
        has_pause = renewed.rearmed > 1 and outcome is not ExecutionOutcome.ABORTED
        pause_ms = _FIRST_PAUSE_MS * 2 ** min(renewed.rearmed - 2, 10) if has_pause else 0
        _logger.warning("The timer of a task died; it is started again.", extra={"task_id": record.task.id})
        not_before_ms = timestamps.round_up_to_second(now_ms + min(int(pause_ms), _LONGEST_PAUSE_MS))
        self._timer.start(renewed.task, not_before_ms=not_before_ms)
        sweep.count("rearmed")
