"""The local engine beside two schedulers for one machine, APScheduler and huey, which do the same work in turns."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop

from docs.markdown import table
from lab.bench import local
from lab.bench.peer_libraries import BURST_P99, PRODUCERS, ROWS, SPREAD_P99, SPREAD_S, rate_of
from lab.bench.report import machine, number, percentile, spread
from lab.support.server import ROOT, serving

_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
_LONGEST_S: Final = 3_600  # of one measurement

Figures = Mapping[str, list[float]]
"""By the name of a row: one figure for each round."""
Size = Mapping[str, Any]
"""How much is done: rounds, pending tasks, tasks whose lateness is measured, accept_s."""

_CONTENDERS: Final = {
    "ours": "over HTTP, by one process with a connection for each producer; SQLite in WAL mode, `synchronous=FULL`; it "
    "is late when an event arrives at another process, which listens to the event stream",
    "APScheduler": "its SQLAlchemy job store on SQLite in WAL mode, `synchronous=FULL`; `misfire_grace_time=None`; "
    "producers are threads of the one process that it allows for a job store",
    "huey": "`SqliteHuey` in WAL mode, `fsync=True`, no results; a producing process for each core; 4 worker threads "
    "that poll every 0.1 s (by default up to 10 s), its schedule looked at every second, the least that it allows",
}
"""With which settings each runs."""

_NOTES: Final = """\
Each does the same: it accepts one-time tasks with a small message, which are on the disk before it responds, and runs
them when they are due. Lateness is the time at which the function of the job begins in its worker, or the event
arrives at a listener, less the time at which it was due, of {tasks:,} tasks. The rows below the rates are with
{pending:,} other tasks pending. While rates are taken, the workers of the peers do not run, and their producers call a
library where ours sends HTTP: both are to their advantage. Their versions are in `requirements/peers.txt`.
"""


def run(*, rounds: int, quick: bool) -> str:
    """Measure all: what they accept in turns, then what depends on pending tasks, one after the other."""
    if not _PYTHON.exists():
        raise SystemExit("The peers are not installed: `make bench-peers` does that, into .venv-peers.")
    size: Size = {"rounds": rounds, "pending": 100_000, "tasks": 1_000, "accept_s": 2}
    if quick:
        size = {"rounds": 1, "pending": 1_000, "tasks": 50, "accept_s": 0.3}
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in _CONTENDERS}
    with TemporaryDirectory(prefix="bench-peers-") as parent:
        for number, what in enumerate(["accept"] * int(size["rounds"]) + ["pending"]):
            for name in _CONTENDERS:
                folder = Path(parent, f"{name}-{number}")
                folder.mkdir()
                sys.stderr.write(f"{name}: {what}\n")
                for row, figures in (_ours if name == "ours" else _library)(name, what, folder, size).items():
                    found[name][row] += figures
    cells = [
        (row, *(spread(one[row]) if one[row] else "" for one in found.values()), _lead(row, found)) for row in ROWS
    ]
    head = ("figure", *found, "ours better than the best of them")
    notes = "\n".join(f"- {name}: {settings}." for name, settings in _CONTENDERS.items())
    return "\n\n".join((table(head, cells), _NOTES.format(**size).strip(), notes, machine()))


def _library(name: str, what: str, folder: Path, size: Size) -> Figures:
    """Measure a library in a process of its own environment."""
    command = [str(_PYTHON), "-m", "lab.bench.peer_libraries", name, what, str(folder), json.dumps(size)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=_LONGEST_S)  # noqa: S603 - our own
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _ours(_name: str, what: str, folder: Path, size: Size) -> Figures:
    """Measure the local engine over HTTP, from this process."""
    data = folder / "tasks.db"
    if what == "accept":
        with serving(data) as (target, _):
            return {
                rate_of(count): [uvloop.run(local.closed_loop(target, count, size["accept_s"]))] for count in PRODUCERS
            }
    local.fill(data, size["pending"])
    count, rounds = size["tasks"], range(size["rounds"])
    with serving(data) as (target, _):
        bursts = [uvloop.run(local.lateness_ms(target, [0] * count)) for _ in rounds]
        offsets = [SPREAD_S * 1_000 * place // count for place in range(count)]
        spreads = [uvloop.run(local.lateness_ms(target, offsets)) for _ in rounds]
        return {
            BURST_P99: [percentile(late, 0.99) for late in bursts],
            SPREAD_P99: [percentile(late, 0.99) for late in spreads],
        }


def _lead(row: str, found: Mapping[str, Figures]) -> str:
    """Return how many times better ours is than the best of the others."""
    ours, *others = (median(figures[row]) for figures in found.values() if figures[row])
    ratio = ours / max(others) if row in map(rate_of, PRODUCERS) else min(others) / ours
    return f"{number(ratio)} times" if ratio >= 1 else f"behind: {ratio:.2f} times"
