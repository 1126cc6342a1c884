"""Runs every minute: starts what is parked, and mends what is overdue."""

from typing import Any, Final

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from task_scheduler.aws import environment

_SPARE_MS: Final = 10_000  # of the function's time, for the call that is under way when the sweep has to end

sweeper = environment.sweeper()
metrics = Metrics()


@metrics.log_metrics
def handler(_event: object, context: Any) -> None:  # noqa: ANN401 - Lambda's own
    """Sweep once, and count what was found."""
    end_ms = environment.now_ms() + context.get_remaining_time_in_millis() - _SPARE_MS
    for name, count in sweeper.sweep(end_ms=end_ms).counts().items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
