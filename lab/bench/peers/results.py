"""What was measured of whom, and the table and the notes that are made of it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from docs.markdown import table
from lab.bench.peers.contenders import OURS, PEERS, PEERS_PYTHON, Contender
from lab.bench.peers.servers import found
from lab.bench.report import machine, number, spread

BURST_P50: Final = "lateness, all at one moment: p50, ms"
BURST_P99: Final = "lateness, all at one moment: p99, ms"
SPREAD_P99: Final = "lateness, spread over 10 s: p99, ms"
MEMORY: Final = "memory, MiB"
CANCEL: Final = "a cancel that tells whether it came in time: median, ms"
FIRST: Final = "first task run after `kill -9`, ms"
PENDING_ROWS: Final = (BURST_P50, BURST_P99, SPREAD_P99, MEMORY, FIRST, CANCEL)

_NOTES: Final = """\
Each does the same: it accepts one-time tasks with a small message, which are on the disk before it answers, and runs
them when they are due. Lateness is the time at which the function of the job begins in its worker, or the event
arrives at a listener, less the time at which it was due, of 1,000 tasks. The rows below the rates are with
{pending:,} other tasks pending. Memory is that of the worker and its server (PSS). The kill hits the worker only,
where there is a server; the time is from the start of its process to the run of a task that fell due meanwhile. While
rates are taken, the workers of the peers do not run, and their producers call a library, in up to {cores} processes,
where ours sends HTTP: both are to their advantage. What stands in brackets is not compared: it is not durable, or it
is a cancel that does not tell whether it came in time.
"""


def accepted(producers: int) -> str:
    """Return the name of a row."""
    return f"accepted durably, a second: {producers} producer{'s' * (producers > 1)}"


@dataclass
class Results:
    """Figures by row and contender, or why there are none."""

    pending: int
    syncs_ms: list[float] = field(default_factory=list)
    """How long a sync of the disk took, at the beginning of each round."""
    _runs: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    _reasons: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, row: str, contender: str, value: float) -> None:
        """Keep a figure."""
        self._runs.setdefault(row, {}).setdefault(contender, []).append(value)

    def fail(self, row: str, contender: str, reason: str) -> None:
        """Keep why a figure is not there."""
        self._runs.setdefault(row, {})
        self._reasons.setdefault((row, contender), reason)

    def rows(self) -> list[str]:
        """Return the rows that there are, rates first."""
        return [row for row in self._runs if row not in PENDING_ROWS] + [
            row for row in PENDING_ROWS if row in self._runs
        ]

    def runs(self, row: str, contender: str) -> list[float]:
        """Return the figures."""
        return self._runs.get(row, {}).get(contender, [])

    def reason(self, row: str, contender: str) -> str | None:
        """Return why there is none, or not as many as there should be."""
        return self._reasons.get((row, contender))

    def cell(self, row: str, contender: str) -> str:
        """Return what the table says."""
        runs = self.runs(row, contender)
        return spread(runs) if runs else self.reason(row, contender) or ""

    def lead(self, row: str, rivals: Sequence[str]) -> str:
        """Return how many times better ours is than the best of the rivals."""
        theirs = [median(runs) for rival in rivals if (runs := self.runs(row, rival))]
        mine = self.runs(row, OURS.name)
        if not theirs or not mine:
            return ""
        ratio = min(theirs) / median(mine) if row in PENDING_ROWS else median(mine) / max(theirs)
        return f"{number(ratio)} times" if ratio >= 1 else f"behind: {ratio:.2f} times"


def rivals(row: str) -> list[str]:
    """Return those who do in this row what ours does."""
    return [peer.name for peer in PEERS if peer.durable and (peer.tells_whether_cancelled or row != CANCEL)]


def report(results: Results) -> str:
    """Return the table and its notes, as Markdown."""
    present = [contender for contender in (OURS, *PEERS) if not contender.missing()]
    cells = [
        (
            row,
            *(_shown(results.cell(row, contender.name), contender, row) for contender in present),
            results.lead(row, rivals(row)),
        )
        for row in results.rows()
    ]
    heads = ("figure", *(contender.name for contender in present), "ours better than the best of them")
    told = [
        f"- {contender.name}{f' {version}' if (version := _version(contender)) else ''}: {contender.settings}."
        for contender in present
    ]
    told += [f"- {peer.name} was not measured: {sentence}" for peer in PEERS if (sentence := peer.missing())]
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    where = f"{machine()} Load average at the end: {load}; a sync of the disk took {spread(results.syncs_ms)} ms."
    return "\n\n".join(
        (
            table(heads, cells),
            _NOTES.format(pending=results.pending, cores=os.cpu_count()).strip(),
            "\n".join(told),
            where,
        )
    )


def _shown(cell: str, contender: Contender, row: str) -> str:
    comparable = contender is OURS or contender.name in rivals(row)
    return cell if comparable or not cell else f"({cell})"


def _version(contender: Contender) -> str:
    if contender is OURS:
        return ""
    asked = f"from importlib.metadata import version; print(version({contender.package!r}))"
    versions = [_said([str(PEERS_PYTHON), "-c", asked])]
    if contender.needs:
        versions.append(_said([found(contender.needs[0]) or "", "--version"]))
    return ", ".join(version for version in versions if version)


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - found here
    except OSError:
        return ""
    return done.stdout.strip()
