"""What was measured, as a table of medians with their spread, and the page that it is written into."""

import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
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
    versions = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version} | {
        name: found for name in packages if (found := _version(name))
    }
    kinds = {line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")}
    processor = ", ".join(sorted(kinds)) or platform.machine()
    told = ", ".join(f"{name} {found}" for name, found in versions.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {processor}, {platform.system()}; {told}."


def write(name: str, parts: Mapping[str, str], *, page: Path = PAGE) -> None:
    """Put what was measured into its places in the page, between `<!-- make bench: NAME -->` and `<!-- end -->`."""
    text = page.read_text()
    for part, content in parts.items():
        begin, end = f"<!-- make bench: {name} {part} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if not found:
            raise ValueError(f"{page.name} has no place for {name} {part}.")
        text = f"{before}{begin}\n{content.strip()}\n\n{end}{rest.partition(end)[2]}"
    page.write_text(text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_info() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []
