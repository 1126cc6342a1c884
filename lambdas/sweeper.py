"""Runs every minute: starts parked tasks, reconciles overdue ones, and counts those that are scheduled."""

import logging
from typing import Any, Final

from task_scheduler.aws import bootstrap
from task_scheduler.aws.errors import ServiceError
from task_scheduler.aws.metrics import metrics_with_throttle_hook
from task_scheduler.aws.sweeper import Sweep
from task_scheduler.metrics import Metric

_SPARE_MS: Final = 10_000  # of the function's time, for the call that is under way when the sweep has to end

logger = logging.getLogger(__name__)
metrics = metrics_with_throttle_hook()
sweeper = bootstrap.sweeper(metrics)
pending_count = bootstrap.pending_count()


@metrics.flush_after
def handler(_event: object, context: Any) -> None:  # noqa: ANN401 - Lambda's own
    """Sweep once, and count what was found."""
    end_ms = bootstrap.now_ms() + context.get_remaining_time_in_millis() - _SPARE_MS
    sweep = Sweep()
    try:
        sweeper.sweep(end_ms=end_ms, sweep=sweep)
    except Exception:  # what it has found is reported; but no zeros, by which an alarm knows that a sweep has ended
        for name, number in sweep.counts().items():
            if number:
                metrics.count(name, number)
        raise
    for name, number in sweep.counts().items():
        metrics.count(name, number)
    if bootstrap.now_ms() < end_ms:
        count_scheduled()


def count_scheduled() -> None:
    """Go on counting what is scheduled; a sweep that worked is not to be repeated for the sake of a figure."""
    try:
        pending = pending_count.count_on()
    except ServiceError as error:
        logger.warning("What is scheduled could not be counted: %s", error.code)
    else:
        if pending is not None:
            metrics.gauge(Metric.PENDING, pending)
