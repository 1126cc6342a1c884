"""The figures of the AWS engine: written to the log, where CloudWatch makes metrics of them (EMF)."""

import threading
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, Final

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from task_scheduler.aws.clients import on_throttle
from task_scheduler.metrics import Metric

Handler = Callable[[Any, Any], Any]


def metrics_with_throttle_hook() -> "CloudWatchMetrics":
    """Return an observer that is also notified of each call that AWS throttles, of clients made from now on."""
    metrics = CloudWatchMetrics()
    on_throttle(partial(metrics.count, Metric.THROTTLED))
    return metrics


class CloudWatchMetrics:
    """An observer that collects the figures of one invocation and writes them as one line at its end.

    The line is in CloudWatch's embedded metric format.

    That costs no call, and what Lambda logs is not lost when the process dies. Powertools adds the service as the
    dimension, and takes the namespace, which is the name of the stack, from the environment.
    """

    def __init__(self) -> None:
        self._metrics: Final = Metrics()
        self._lock = threading.Lock()  # the sweeper attends to several tasks at once

    def count(self, metric: str, number: int = 1) -> None:
        """Add to a count."""
        self._add(metric, MetricUnit.Count, [number])

    def gauge(self, metric: str, value: float) -> None:
        """Take the present value of a figure that goes up and down."""
        self._add(metric, MetricUnit.Count, [value])

    def observe(self, metric: Metric, seconds: Iterable[float]) -> None:
        """Take the length of each of some spans of time; CloudWatch makes percentiles of them."""
        self._add(metric, MetricUnit.Seconds, seconds)

    def flush_after(self, handler: Handler) -> Handler:
        """Return a handler that writes the figures when it has ended, however it has."""

        @wraps(handler)
        def with_metrics(event: Any, context: Any) -> Any:  # noqa: ANN401 - Lambda's own
            try:
                return handler(event, context)
            finally:
                if self._metrics.metric_set:
                    self._metrics.flush_metrics()

        return with_metrics

    def _add(self, metric: str, unit: MetricUnit, values: Iterable[float]) -> None:
        with self._lock:
            for value in values:
                self._metrics.add_metric(name=metric, unit=unit, value=value)
