"""The figures of the local engine, in Prometheus' text format."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from task_scheduler.metrics import COUNTERS, DISTRIBUTIONS, GAUGES, Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_PREFIX: Final = "task_scheduler_"
_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)


class PrometheusMetrics:
    """An observer that keeps figures for Prometheus; all of them are there from the start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {each: Counter(_PREFIX + each, each.meaning, registry=self._registry) for each in COUNTERS}
        self._gauges = {each: Gauge(_PREFIX + each, each.meaning, registry=self._registry) for each in GAUGES}
        self._distributions = {
            each: Histogram(_PREFIX + each, each.meaning, registry=self._registry, buckets=_BUCKETS_S)
            for each in DISTRIBUTIONS
        }

    def count(self, metric: Metric, number: int = 1) -> None:
        """Add to a count."""
        self._counters[metric].inc(number)

    def gauge(self, metric: Metric, value: float) -> None:
        """Take the present value of a figure that goes up and down."""
        self._gauges[metric].set(value)

    def observe(self, metric: Metric, seconds: Iterable[float]) -> None:
        """Take the length of each of some spans of time."""
        distribution = self._distributions[metric]
        for value in seconds:
            distribution.observe(value)

    def exposition(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)
