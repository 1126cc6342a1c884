"""The safety net: starts what is parked, and mends what is overdue. Sweeps may overlap, die and be repeated."""

import logging
from collections.abc import Callable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.registry import Record, Registry, State
from task_scheduler.aws.timer import Fate, Timer

_logger: Final = logging.getLogger(__name__)

OVERDUE_MS: Final = 60_000
"""How late a task may be before it is looked at: its timer publishes within seconds, and the recorder follows."""

GIVE_UP_MS: Final = 86_400_000
"""How late a task may be before it has failed."""

_DAY_MS: Final = 86_400_000
_LIMIT: Final = 100  # tasks of one shard in one sweep
_FIRST_PAUSE_MS: Final = 60_000
_LONGEST_PAUSE_MS: Final = 3_600_000


class Sweeper:
    """Looks after tasks that no timer looks after."""

    def __init__(
        self,
        registry: Registry,
        timer: Timer,
        recorder: Recorder,
        *,
        arming_window_days: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._timer = timer
        self._recorder = recorder
        self._arming_window_ms = int(arming_window_days * _DAY_MS)
        self._now_ms = now_ms

    def sweep(self) -> None:
        """Start each parked task whose time has come near, and see to each that is overdue."""
        horizon_ms = self._now_ms() + self._arming_window_ms
        self._each(State.PARKED, horizon_ms, self._arm)
        self._each(State.SCHEDULED, self._now_ms() - OVERDUE_MS, self._mend)

    def _each(self, state: State, until_ms: int, attend: Callable[[Record], None]) -> None:
        """Attend to every task in a state; one that cannot be attended to now waits for the next sweep."""
        for found in self._registry.due(state, until_ms=until_ms, limit=_LIMIT):
            try:
                record = self._registry.get(found.task_id)
                if record is not None and record.state is state:  # the index is a moment behind the table
                    attend(record)
            except (BotoCoreError, ClientError) as error:
                _logger.warning("Task %s has to wait for the next sweep: %s", found.task_id, type(error).__name__)

    def _arm(self, record: Record) -> None:
        """Start the timer of a parked task. It is marked first: dying in between, it is mended once it is overdue."""
        if self._registry.move(record, State.SCHEDULED, now_ms=self._now_ms()):
            self._timer.start(record.task)

    def _mend(self, record: Record) -> None:
        """Find out why a task is overdue, and do what is left to do."""
        task = record.task
        now_ms = self._now_ms()
        late_ms = now_ms - max(task.due_ms, task.created_ms)
        if late_ms < OVERDUE_MS:
            return
        fate, ended_ms = self._timer.fate(task)
        if fate is Fate.PUBLISHED:
            self._recorder.record([Emission(task.event, ended_ms or now_ms)])
        elif fate is Fate.DEAD and late_ms > GIVE_UP_MS:
            if self._registry.move(record, State.FAILED, now_ms=now_ms):
                _logger.error("Task %s failed: its message could not be published for a day.", task.id)
        elif fate is Fate.DEAD and (renewed := self._registry.rearm(record)) is not None:
            # The new timer does the waiting between two attempts.
            pause_ms = _FIRST_PAUSE_MS * 2 ** (renewed.rearmed - 2) if renewed.rearmed > 1 else 0
            _logger.warning("The timer of task %s died; it is started again.", task.id)
            self._timer.start(renewed.task, not_before_ms=_whole_second(now_ms + min(int(pause_ms), _LONGEST_PAUSE_MS)))


def _whole_second(ms: int) -> int:
    return -(-ms // 1000) * 1000
