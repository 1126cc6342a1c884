"""What was measured, as a table of medians with their spread, and the page that it is written into."""

import os
import platform
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from docs.markdown import table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One figure: runs of ours, and runs of what it is held against, taken in turns; or ours alone."""

    name: str
    unit: str
    ours: Sequence[float]
    other: Sequence[float] = ()
    to_reach: str = ""
    """In words, as `0.7 of it at least`, or `25 ms at most`."""

    def ratio(self) -> float | None:
        """Return the median of the ratios of runs that followed each other, ours to the other."""
        pairs = [mine / theirs for mine, theirs in zip(self.ours, self.other, strict=False) if theirs]
        return median(pairs) if pairs else None


def shown(rows: Sequence[Row], *, other: str = "the limit") -> str:
    """Return a Markdown table of the rows."""
    cells = [
        (
            row.name,
            f"{spread(row.ours)} {row.unit}",
            f"{spread(row.other)} {row.unit}" if row.other else "",
            f"{ratio:.2f}" if (ratio := row.ratio()) is not None else "",
            row.to_reach,
        )
        for row in rows
    ]
    return table(("figure", "ours: median (least - most)", other, "ratio", "to reach"), cells)


def spread(runs: Sequence[float]) -> str:
    """Return a median, and the least and the most."""
    if not runs:
        return "not measured"
    middle = number(median(runs))
    return middle if len(runs) == 1 else f"{middle} ({number(min(runs))} - {number(max(runs))})"


def number(value: float) -> str:
    """Return a figure with three digits, or all of those before the point."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - the same


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of the values that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def machine(packages: Sequence[str] = ()) -> str:
    """Return a sentence on where and with what it was measured."""
    cpu_info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.+)$", cpu_info.read_text() if cpu_info.exists() else "", re.MULTILINE)
    processor = ", ".join(sorted(set(models))) or platform.machine()
    versions = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    versions |= {name: version(name) for name in packages}
    told = ", ".join(f"{name} {found}" for name, found in versions.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {processor}, {platform.system()}; {told}."


def write(name: str, measured: str) -> None:
    """Put what was measured into its place in the page, between `<!-- make bench: NAME -->` and `<!-- end -->`."""
    text, begin = PAGE.read_text(), f"<!-- make bench: {name} -->\n"
    before, found, rest = text.partition(begin)
    if not found:
        raise ValueError(f"{PAGE.name} has no place for {name}.")
    PAGE.write_text(f"{before}{begin}\n{measured.strip()}\n\n<!-- end -->{rest.partition('<!-- end -->')[2]}")
