"""The safety net: starts what is parked, and mends what is overdue. Sweeps may overlap, die and be repeated."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.aws.clients import code
from task_scheduler.aws.names import SWEEPER_COUNTS
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.registry import Record, Registry, State
from task_scheduler.aws.timer import Fate, Timer
from task_scheduler.engine import OVERDUE_MS

_logger: Final = logging.getLogger(__name__)

LOOK_MS: Final = 45_000
"""How late a task may be before it is looked at: its timer publishes within seconds, and the recorder follows.

With a sweep every minute, what was lost goes out within two minutes of its time."""

GIVE_UP_MS: Final = 86_400_000
"""How late a task may be before it has failed, if it was also tried often enough: the sweeper may have been away."""

LEAST_TIMERS: Final = 5
"""How many timers must have died before a task has failed."""

_DAY_MS: Final = 86_400_000
_NO_MORE_EXECUTIONS: Final = "ExecutionLimitExceeded"  # (AWS, StartExecution)
_LIMIT: Final = 200  # tasks at a time
_FIRST_PAUSE_MS: Final = 60_000
_LONGEST_PAUSE_MS: Final = 3_600_000


@dataclass(slots=True)
class Sweep:
    """What one sweep found and did, counted by the threads that attend to tasks."""

    armed: int = 0
    """Parked tasks whose timer was started."""
    overdue: int = 0
    """Tasks that were found a minute late and not emitted."""
    recorded: int = 0
    """Tasks that had been emitted, which nobody had recorded."""
    rearmed: int = 0
    """Tasks whose timer had died."""
    failed: int = 0
    """Tasks that were given up."""
    full: bool = False
    """Whether the account has as many open executions as it may: more can be started once some have ended."""
    lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, name: str) -> None:
        """Count one more of what has this name."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def counts(self) -> dict[str, int]:
        """Return all counts by their names."""
        return {name: getattr(self, name) for name in SWEEPER_COUNTS}


class Sweeper:
    """Looks after tasks that no timer looks after."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        registry: Registry,
        timer: Timer,
        recorder: Recorder,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
        threads: int = 8,
    ) -> None:
        self._registry = registry
        self._timer = timer
        self._recorder = recorder
        self._arming_window_ms = int(arming_window_days * _DAY_MS)
        self._now_ms = now_ms
        self._threads = threads

    def sweep(self, *, end_ms: int) -> Sweep:
        """Start each parked task whose time has come near, and see to each that is overdue, until `end_ms` at most."""
        sweep = Sweep()
        now_ms = self._now_ms()
        # What is overdue is more urgent than what has yet to be started; but however much of it there is, and slow to
        # look at, half of the time is for the others.
        half_ms = (now_ms + end_ms) // 2
        self._each(State.SCHEDULED, now_ms - LOOK_MS, lambda: self._now_ms() >= half_ms, partial(self._mend, sweep))

        def is_over() -> bool:  # where nothing can be started, each try would cost two writes
            return sweep.full or self._now_ms() >= end_ms

        self._each(State.PARKED, self._now_ms() + self._arming_window_ms, is_over, partial(self._arm, sweep))
        return sweep

    def _each(self, state: State, until_ms: int, is_over: Callable[[], bool], attend: Callable[[Record], None]) -> None:
        """Attend to every task in a state, soonest due first; one that has to wait is met again by the next sweep."""
        place = None
        while not is_over():
            found = self._registry.due(state, until_ms=until_ms, after=place, limit=_LIMIT)
            if not found:
                return
            place = found[-1]  # also where nothing could be done: what waits must not hide what stands behind it

            def visit(record: Record) -> None:
                try:
                    if record.state is state and not is_over():  # the index is a moment behind the table
                        attend(record)
                except (BotoCoreError, ClientError) as error:
                    about = {"task_id": record.task.id}
                    _logger.warning("A task has to wait for the next sweep: %s", code(error), extra=about)

            records = self._registry.get_all([entry.task_id for entry in found])
            if self._threads == 1:
                for record in records:
                    visit(record)
            else:
                with ThreadPoolExecutor(self._threads) as pool:
                    list(pool.map(visit, records))

    def _arm(self, sweep: Sweep, record: Record) -> None:
        """Start the timer of a parked task; where that is refused, the next sweep tries again.

        It is marked first: if the sweeper dies in between, the task is mended once it is overdue.
        """
        if self._registry.move(record, State.SCHEDULED, now_ms=self._now_ms()):
            try:
                self._timer.start(record.task)
            except (BotoCoreError, ClientError) as error:
                sweep.full = sweep.full or code(error) == _NO_MORE_EXECUTIONS
                self._registry.move(replace(record, state=State.SCHEDULED), State.PARKED, now_ms=self._now_ms())
                raise
            sweep.count("armed")

    def _mend(self, sweep: Sweep, record: Record) -> None:
        """Find out why a task is overdue, and do what is left to do."""
        task = record.task
        now_ms = self._now_ms()
        late_ms = now_ms - task.expected_ms
        if late_ms < LOOK_MS:
            return
        if late_ms >= OVERDUE_MS:
            sweep.count("overdue")
        fate, ended_ms = self._timer.fate(task)
        if fate is Fate.PUBLISHED:
            if self._recorder.record_open(record, Emission(task.event, ended_ms or now_ms)):
                sweep.count("recorded")
        elif fate is Fate.DEAD and late_ms > GIVE_UP_MS and record.rearmed >= LEAST_TIMERS:
            if self._registry.move(record, State.FAILED, now_ms=now_ms):
                sweep.count("failed")
                _logger.error("A task failed: its message was not published for a day.", extra={"task_id": task.id})
        elif fate is Fate.DEAD and (renewed := self._registry.rearm(record)) is not None:
            # The new timer does the waiting between two attempts.
            pause_ms = _FIRST_PAUSE_MS * 2 ** min(renewed.rearmed - 2, 10) if renewed.rearmed > 1 else 0
            _logger.warning("The timer of a task died; it is started again.", extra={"task_id": task.id})
            self._timer.start(renewed.task, not_before_ms=_whole_second(now_ms + min(int(pause_ms), _LONGEST_PAUSE_MS)))
            sweep.count("rearmed")


def _whole_second(ms: int) -> int:
    return -(-ms // 1000) * 1000
