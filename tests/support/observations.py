"""An observer that remembers, for tests to ask."""

from collections import Counter
from collections.abc import Iterable

from task_scheduler.metrics import Metric


class Observations:
    def __init__(self) -> None:
        self.counts: Counter[Metric] = Counter()
        self.gauges: dict[Metric, float] = {}
        self.spans: dict[Metric, list[float]] = {}

    def count(self, metric: Metric, number: int = 1) -> None:
        self.counts[metric] += number

    def gauge(self, metric: Metric, value: float) -> None:
        self.gauges[metric] = value

    def observe(self, metric: Metric, seconds: Iterable[float]) -> None:
        self.spans.setdefault(metric, []).extend(seconds)
