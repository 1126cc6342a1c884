"""What was measured, as tables."""

from collections.abc import Iterable, Sequence
from typing import Final

from lab.load.workload import Figures

_SHARES: Final = (0.5, 0.9, 0.99)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of sorted `values` that at least this share of them does not exceed."""
    return values[max(0, -int(-len(values) * share // 1) - 1)]


def spread(values: Iterable[float]) -> str:
    """Return the median, the 90th and 99th percentile and the maximum, in milliseconds."""
    ordered = sorted(values)
    if not ordered:
        return f"{'-':>9}" * (len(_SHARES) + 1)
    return "".join(f"{value:9,.1f}" for value in (*(percentile(ordered, share) for share in _SHARES), ordered[-1]))


HEADER: Final = f"{'':10}{'answer':>24}{'count':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}   ms"


def row(name: str, answer: str, values: Sequence[float]) -> str:
    """Return one line of a table."""
    return f"{name:10}{answer:>24}{len(values):9,}{spread(values)}"


def operation_rows(name: str, figures: Figures) -> list[str]:
    """Return a line for each answer that an operation got, the most frequent first."""
    return [row(name, answer, figures.latency_ms[answer]) for answer, _ in figures.answers.most_common()]
