"""The safety net: starts parked tasks and reconciles overdue ones. Sweeps may overlap, die and be repeated."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler import timestamps
from task_scheduler.aws.clients import code
from task_scheduler.aws.executions import ExecutionOutcome, ExecutionTimer
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.schema import SWEEPER_COUNTS
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.aws.threads import run_all
from task_scheduler.engine import OVERDUE_MS, Cursor, UnavailableError

_logger: Final = logging.getLogger(__name__)

LOOK_MS: Final = 45_000
"""How late a task may be before it is looked at: its timer publishes within seconds, and the recorder follows.

With a sweep every minute, what was lost goes out within two minutes of its time."""

GIVE_UP_MS: Final = 86_400_000
"""How late a task may be before it has failed, if it was also tried often enough: the sweeper may have been away."""

LEAST_TIMERS: Final = 5
"""How many timers must have died before a task has failed."""

_DAY_MS: Final = 86_400_000
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
        self._arming_window_ms = int(arming_window_days * _DAY_MS)
        self._now_ms = now_ms
        self._threads = threads

    def sweep(self, *, end_ms: int, sweep: Sweep | None = None) -> Sweep:
        """Start each parked task that is due soon, and process each that is overdue, until `end_ms` at most.

        A `sweep` that is given holds what was counted before an error of botocore's, too.
        """
        sweep = sweep or Sweep()
        now_ms = self._now_ms()
        # Overdue tasks are more urgent than those that have yet to be started; but however many of them there are, and
        # however slow they are to process, half of the time is for the others.
        half_ms = (now_ms + end_ms) // 2
        self._each(sweep, StoredState.SCHEDULED, now_ms - LOOK_MS, half_ms, self._reconcile)
        self._each(sweep, StoredState.PARKED, self._now_ms() + self._arming_window_ms, end_ms, self._arm)
        return sweep

    def _each(
        self, sweep: Sweep, state: StoredState, until_ms: int, end_ms: int, process: Callable[[Sweep, StoredTask], None]
    ) -> None:
        """Process the tasks in a state that are due by a time: the soonest first, then those that waited longest.

        Where there are more than one sweep can process, half of the time goes to the soonest. The other half goes on
        where the last sweep was interrupted, so that tasks which cannot be processed now do not starve the others.
        """

        def walk(place: Cursor | None, walk_end_ms: int) -> Cursor | None:
            return self._walk(place, sweep=sweep, state=state, until_ms=until_ms, end_ms=walk_end_ms, process=process)

        place = walk(None, (self._now_ms() + end_ms) // 2)
        if place is not None:
            bookmark = self._task_store.bookmark(state)
            self._task_store.set_bookmark(state, walk(place if bookmark is None else max(place, bookmark), end_ms))

    def _walk(  # noqa: PLR0913 - of one caller
        self,
        place: Cursor | None,
        *,
        sweep: Sweep,
        state: StoredState,
        until_ms: int,
        end_ms: int,
        process: Callable[[Sweep, StoredTask], None],
    ) -> Cursor | None:
        """Process tasks from a place on; return where to go on if it was interrupted, None if it reached the end.

        The overdue ones of a page are counted, whether or not there is time to process them.
        """

        def is_over() -> bool:
            # Where nothing can be started, each attempt would cost two writes.
            return self._now_ms() >= end_ms or (state is StoredState.PARKED and sweep.refused)

        def visit(record: StoredTask) -> bool:
            """Process a task, and tell whether there was time."""
            if record.state is not state:  # the index is a moment behind the table
                return True
            if self._now_ms() - record.task.expected_ms >= OVERDUE_MS:
                sweep.count_overdue(record.task.id)
            if is_over():
                return False
            try:
                process(sweep, record)
            except (BotoCoreError, ClientError, UnavailableError) as error:
                reason = code(error) if isinstance(error, BotoCoreError | ClientError) else str(error)
                about = {"task_id": record.task.id}
                _logger.warning("A task has to wait for the next sweep: %s", reason, extra=about)
            return True

        while found := self._task_store.due(state, until_ms=until_ms, after=place, limit=_LIMIT):
            records = list(self._task_store.get_all([entry.task_id for entry in found]))
            in_time = run_all(visit, records, threads=self._threads)
            if not all(in_time):
                # By its id, too: more tasks may be due at one time than a sweep can process.
                first = found.index(next(one for one in found if one.task_id == records[in_time.index(False)].task.id))
                return found[first - 1] if first else place or Cursor(found[0].due_ms, "")
            place = found[-1]  # also if nothing could be done: a task that has to wait must not hide those behind it
        return None

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
        except (BotoCoreError, ClientError) as error:
            sweep.refused = sweep.refused or code(error) in _REFUSALS
            marked = replace(record, state=StoredState.SCHEDULED)
            self._task_store.transition(marked, StoredState.PARKED, now_ms=self._now_ms(), attempted=True)
            raise
        sweep.count("armed")

    def _reconcile(self, sweep: Sweep, record: StoredTask) -> None:
        """Find out why a task is overdue, and do what is left to do."""
        task = record.task
        now_ms = self._now_ms()
        late_ms = now_ms - task.expected_ms
        if late_ms < LOOK_MS:
            return
        outcome, ended_ms = self._timer.outcome(task)
        if outcome is ExecutionOutcome.PUBLISHED:
            if self._recorder.record_open(record, Emission(task.payload, ended_ms or now_ms)):
                sweep.count("recorded")
        elif outcome is ExecutionOutcome.MISSING:
            # Under the same name, so that it does not matter whether it was never started, is being started by another
            # sweep, or is not known yet: the name is good for one execution.
            self._timer.start(task)
            sweep.count("rearmed")
        elif outcome is not ExecutionOutcome.RUNNING and late_ms > GIVE_UP_MS and record.rearmed >= LEAST_TIMERS:
            if self._task_store.transition(record, StoredState.FAILED, now_ms=now_ms):
                sweep.count("failed")
                _logger.error("A task failed: its message was not published for a day.", extra={"task_id": task.id})
        elif outcome is not ExecutionOutcome.RUNNING:
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
