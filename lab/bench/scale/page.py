"""What is written into docs/scale.md: tables of limits and of runs."""

from collections.abc import Iterable, Sequence
from typing import Final

from docs.markdown import table
from lab.bench.cost import LARGE, SMALL
from lab.bench.scale.limits import ATTEND_S, DEPLOYED, LARGE_REGION, SMALL_REGION, Ceiling, Design, Quotas, ceilings
from lab.bench.scale.run import Run
from lab.bench.scale.scenarios import HORIZONS, SEED

HEAD: Final = (
    "turned away",
    "late when published: p50, p99, most",
    "late in the event log",
    "open executions",
    "parked",
    "first to give way",
)
_SHOWN: Final = 3  # limits that were met


def ceilings_table() -> str:
    """Return each limit in tasks a second, for small and large messages, in large and small regions."""

    def by_name(quotas: Quotas, size: int) -> dict[str, Ceiling]:
        return {one.name: one for one in ceilings(quotas, Design(size=size))}

    large, small, heavy = by_name(LARGE_REGION, SMALL), by_name(SMALL_REGION, SMALL), by_name(LARGE_REGION, LARGE)
    rows = [
        (name, _rate(large[name].rate), _rate(small[name].rate), _rate(heavy[name].rate), large[name].lift)
        for name in sorted(large, key=lambda name: large[name].rate)
    ]
    head = ("tasks a second, for ever", "us-east-1", "a small region", "us-east-1, 100 kB each", "what lifts it")
    return table(head, rows)


def assumptions() -> str:
    """Return in a sentence what the runs go by: who changes one of these has to simulate again."""
    design = DEPLOYED
    return (
        f"Seed {SEED}; a recorder's batch every {10 / design.recorded * design.recorders:.2g} s in each of "
        f"{design.recorders} environments; {ATTEND_S:g} s for each task that a thread of the sweeper attends to; "
        f"{design.shards} shards; an arming window of {design.window_days:g} days; "
        f"{design.requests_per_second:g} requests a second."
    )


def row(run: Run) -> tuple[str, ...]:
    """Return what came of a run."""
    return (
        _share(run.refused, run.offered),
        quantiles(run.published),
        quantiles(run.recorded),
        _about(max(run.open)),
        _about(max(run.parked)),
        first(run),
    )


def quantiles(late: Sequence[int]) -> str:
    """Return the median, the 99th percentile and the most, as people say them."""
    if not late:
        return "none was due"
    ordered = sorted(late)
    shown = [ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]]
    return ", ".join(duration(value) for value in shown)


def first(run: Run) -> str:
    """Return the limits that were met first, and when."""
    met = sorted(run.first.items(), key=lambda pair: pair[1])[:_SHOWN]
    return ", ".join(f"{name} after {duration(when)}" for name, when in met) or "nothing"


def duration(seconds: float) -> str:
    """Return a time with the unit that suits it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"


def deployed_table(runs: Iterable[tuple[str, int, Run | None]]) -> str:
    """Return the runs with the default settings; where there is none, what would have to be open at once."""
    rows: list[tuple[object, ...]] = []
    for horizon, rate, run in runs:
        if run is None:
            needed = rate * HORIZONS[horizon] / LARGE_REGION.open_executions
            rows.append((f"{rate:,}", horizon, *[""] * 5, f"not simulated: {needed:,.0f} times the open executions"))
        else:
            rows.append((f"{rate:,}", horizon, *row(run)))
    return table(("a second", "ahead", *HEAD), rows)


def named_table(runs: Iterable[tuple[str, Run]]) -> str:
    """Return runs by their names."""
    return table(("", *HEAD), [(name, *row(run)) for name, run in runs])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if part else "none"


def _about(count: int) -> str:
    return f"{float(f'{count:.3g}'):,.0f}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004 - below ten the tenths matter
