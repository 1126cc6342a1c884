"""What both engines count and measure, under the same names; where the figures go is each engine's own."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol


class Metric(StrEnum):
    """A figure: a metric of CloudWatch by this name, of Prometheus with `task_scheduler_` before it."""

    SCHEDULED = "scheduled"
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REARMED = "rearmed"
    THROTTLED = "throttled"
    PENDING = "pending"
    LATENESS = "lateness_seconds"
    LATENCY = "request_seconds"

    @property
    def meaning(self) -> str:
        """A sentence for those who read it."""
        return _MEANINGS[self]


_MEANINGS = {
    Metric.SCHEDULED: "Tasks that were accepted.",
    Metric.EMITTED: "Tasks that were emitted.",
    Metric.CANCELLED: "Tasks that were cancelled.",
    Metric.FAILED: "Tasks that failed.",
    Metric.REARMED: "Tasks whose timer had died and was started again.",
    Metric.THROTTLED: "Requests and calls that were rejected by a rate limit or under load.",
    Metric.PENDING: "Tasks that are scheduled.",
    Metric.LATENESS: "Time from when a task was due, or accepted if that was later, until it was emitted.",
    Metric.LATENCY: "Time from a request until its response, or until the first piece of a stream.",
}

COUNTERS = (
    Metric.SCHEDULED,
    Metric.EMITTED,
    Metric.CANCELLED,
    Metric.FAILED,
    Metric.REARMED,
    Metric.THROTTLED,
)
GAUGES = (Metric.PENDING,)
DISTRIBUTIONS = (Metric.LATENESS, Metric.LATENCY)


class Metrics(Protocol):
    """Is notified of what happened, by any thread; what it does must be quick, and raise nothing."""

    def count(self, metric: Metric, number: int = 1) -> None:
        """Add to a count."""

    def gauge(self, metric: Metric, value: float) -> None:
        """Take the present value of a figure that goes up and down; NaN where it is not known."""

    def observe(self, metric: Metric, seconds: Iterable[float]) -> None:
        """Take the length of each of some spans of time."""


class NullMetrics:
    """An observer that looks away."""

    def count(self, metric: Metric, number: int = 1) -> None:
        """Look away."""

    def gauge(self, metric: Metric, value: float) -> None:
        """Look away."""

    def observe(self, metric: Metric, seconds: Iterable[float]) -> None:
        """Look away."""
