"""What the local engine counts, in Prometheus' text format."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_LATENESS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)


class Metrics:
    """An engine's observer that keeps counts for Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._scheduled = Counter("task_scheduler_scheduled", "Tasks accepted.", registry=self._registry)
        self._cancelled = Counter("task_scheduler_cancelled", "Tasks cancelled.", registry=self._registry)
        self._emitted = Counter("task_scheduler_emitted", "Tasks emitted.", registry=self._registry)
        self._lateness = Histogram(
            "task_scheduler_lateness_seconds",
            "Time from when a task was due, or accepted if that was later, until it was emitted.",
            buckets=_LATENESS_S,
            registry=self._registry,
        )

    def scheduled(self, count: int) -> None:
        """Count tasks that were accepted."""
        self._scheduled.inc(count)

    def cancelled(self, count: int) -> None:
        """Count tasks that were cancelled."""
        self._cancelled.inc(count)

    def emitted(self, late_ms: list[int]) -> None:
        """Count tasks that were emitted, by how late they were."""
        self._emitted.inc(len(late_ms))
        for late in late_ms:
            self._lateness.observe(late / 1000)

    def exposition(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        return generate_latest(self._registry)
