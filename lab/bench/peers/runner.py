"""Runs each contender in turns, measures the same of each, and makes the table."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Final

from docs.markdown import table
from lab.bench.load import percentile
from lab.bench.peers.contenders import OURS, PEERS, PEERS_PYTHON, Contender, found
from lab.bench.peers.processes import PeerError, Process, memory_mib
from lab.bench.peers.protocol import FAR_S
from lab.bench.report import machine, number, spread

BURST_P50: Final = "lateness, all at one moment: p50, ms"
BURST_P99: Final = "lateness, all at one moment: p99, ms"
SPREAD_P99: Final = "lateness, spread over 10 s: p99, ms"
MEMORY: Final = "memory, MiB"
CANCEL: Final = "a cancel that tells whether it came in time: median, ms"
FIRST: Final = "first task run after `kill -9`, ms"
PENDING_ROWS: Final = (BURST_P50, BURST_P99, SPREAD_P99, MEMORY, FIRST, CANCEL)

_LEAD_S: Final = 0.2  # all producers are told before they begin
_RESPONDS_IN_S: Final = 30
_FILLS_IN_S: Final = 600  # it may load everything that is pending first
_FIRES_IN_S: Final = 60
_RESTARTS_IN_S: Final = 30
_SETTLES_S: Final = 0.5  # a worker may take into its memory what was accepted
_LOOKS_S: Final = 0.05

_NOTES: Final = """\
Each does the same: it accepts one-time tasks with a small message, which are on the disk before it responds, and runs
them when they are due. Lateness is the time at which the function of the job begins in its worker, or the event
arrives at a listener, less the time at which it was due, of 1,000 tasks. The rows below the rates are with
{pending:,} other tasks pending. Memory is that of the worker and its server (PSS). The kill hits the worker only,
where there is a server; the time is from the start of its process to the run of a task that fell due meanwhile. While
rates are taken, the workers of the peers do not run, and their producers call a library, in up to {cores} processes,
where ours sends HTTP: both are to their advantage. Figures in brackets are not compared: it is not durable, or it
is a cancel that does not tell whether it came in time.
"""


@dataclass(frozen=True)
class Size:
    """How much is done."""

    rounds: int
    pending: int = 100_000
    tasks: int = 1_000
    spread_s: float = 10
    accept_s: float = 2
    lead_s: float = 5
    cancels: int = 200
    producers: tuple[int, ...] = (1, 8, 32)


def run(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure all that are there: acceptance in turns, then what depends on many pending tasks, one after the other."""
    if not PEERS_PYTHON.exists():
        raise SystemExit("The peers are not installed: `make bench-peers` does that, into .venv-peers.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either signal ends what was started
    size = Size(1, 1_000, 50, 1, 0.3, 2, 10, (1, 8)) if quick else Size(rounds)
    contenders = [contender for contender in (OURS, *PEERS) if not contender.missing()]
    results = Results(size.pending)
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        Path(name).chmod(0o711)  # PostgreSQL runs as somebody else
        for turn in range(size.rounds):
            results.syncs_ms.append(sync_ms(Path(name, "synced")))
            for place, contender in enumerate(contenders):
                _accepting(contender, Path(name, f"accept-{turn}-{place}"), size, results)
        for place, contender in enumerate(contenders):
            if contender.durable:
                _pending(contender, Path(name, f"pending-{place}"), size, results)
    return {"table": report(results)}


def sync_ms(file: Path, *, times: int = 50) -> float:
    """Return how long a sync of the disk takes: what bounds all that is durable, and differs from hour to hour."""
    took = []
    with file.open("wb", buffering=0) as written:
        for _ in range(times):
            written.write(bytes(4096))
            begin = time.perf_counter()
            os.fsync(written.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    return median(took)


def accepted(producers: int) -> str:
    """Return the name of a row."""
    return f"accepted durably, a second: {producers} producer{'s' * (producers > 1)}"


def _accepting(contender: Contender, folder: Path, size: Size, results: "Results") -> None:
    rows = [accepted(producers) for producers in size.producers]
    with results.noted(contender, *rows), running(contender, folder, works=False) as trial:
        for producers, row in zip(size.producers, rows, strict=True):
            with results.noted(contender, row):
                results.add(row, contender, trial.rate(producers, size.accept_s))


def _pending(contender: Contender, folder: Path, size: Size, results: "Results") -> None:
    far = time.time() + FAR_S
    with results.noted(contender, *PENDING_ROWS), running(contender, folder, works=True) as trial:
        trial.fill(size.pending, far)
        trial.first_ms(1, _FILLS_IN_S)  # it is ready when a task runs as it falls due
        with results.noted(contender, MEMORY):
            results.add(MEMORY, contender, trial.memory_mib())
        for _ in range(size.rounds):
            with results.noted(contender, BURST_P50, BURST_P99):
                late = trial.lateness_ms(size.tasks, 0, size.lead_s)
                results.add(BURST_P50, contender, percentile(late, 0.5))
                results.add(BURST_P99, contender, percentile(late, 0.99))
            with results.noted(contender, SPREAD_P99):
                late = trial.lateness_ms(size.tasks, size.spread_s, size.lead_s)
                results.add(SPREAD_P99, contender, percentile(late, 0.99))
        with results.noted(contender, CANCEL):
            results.add(CANCEL, contender, median(trial.ask("cancelled", _FILLS_IN_S, count=size.cancels, due=far)))
        with results.noted(contender, FIRST):  # one that does not come back at once will not the next time
            for _ in range(size.rounds):
                results.add(FIRST, contender, trial.first_after_kill_ms(size.lead_s))


class Trial:
    """A contender with its processes, in a folder of its own."""

    def __init__(self, contender: Contender, folder: Path, address: str, servers: Sequence[Process]) -> None:
        self._contender = contender
        self._folder = folder
        self._address = address
        self._servers = servers
        self._fired = folder / "fired"
        self._workers: list[Process] = []
        self._listeners: list[Process] = []
        self._producers: list[Process] = []

    def start(self, *, works: bool) -> None:
        """Start one producer, and what runs the tasks; without that, only what has to be there to accept them."""
        if works or self._contender.listened:
            self._start_worker()
        if works and self._contender.listened:
            self._listeners.append(self._process("listen"))
        self._start_producers(1)
        until = time.monotonic() + _RESTARTS_IN_S
        while True:
            try:
                self.ask("due", _RESPONDS_IN_S, times=[time.time() + FAR_S])
            except PeerError:
                if time.monotonic() > until or not self._contender.listened:
                    raise
                time.sleep(_LOOKS_S)
            else:
                return

    def stop(self) -> None:
        """End all but the servers."""
        for process in (*self._producers, *self._listeners, *self._workers):
            process.end()

    def ask(self, what: str, timeout_s: float, **how: object) -> Any:  # noqa: ANN401 - whatever the method returns
        """Return what the first producer responds."""
        return self._producers[0].ask(what, timeout_s, **how)

    def rate(self, producers: int, seconds: float) -> float:
        """Return how many tasks a second are accepted durably."""
        processes = min(producers, self._contender.producers)
        self._start_producers(processes)
        for process in self._producers[:processes]:  # it may be starting yet
            process.ask("due", _RESPONDS_IN_S, times=[])
        begin = time.time() + _LEAD_S
        for place, process in enumerate(self._producers[:processes]):
            share = producers // processes + (place < producers % processes)
            process.tell("rate", producers=share, begin=begin, seconds=seconds)
        asked = self._producers[:processes]
        return float(sum(process.answer(seconds + _RESPONDS_IN_S, "rate") for process in asked))

    def fill(self, count: int, due: float) -> None:
        """Have many tasks pending."""
        self._start_producers(self._contender.producers)
        for process in self._producers:
            process.tell("fill", count=count // len(self._producers), due=due)
        for process in self._producers:
            process.answer(_FILLS_IN_S, "fill")

    def lateness_ms(self, count: int, over_s: float, lead_s: float) -> list[float]:
        """Return how late each of so many tasks ran; they fall due at one moment or evenly over a time."""
        first = ceil(time.time() + lead_s)
        dues = [round(first + over_s * place / count, 3) for place in range(count)]
        if self.ask("due", _FIRES_IN_S, times=dues) > first:
            raise PeerError(f"{count:,} tasks were not accepted within {lead_s:.0f} s")
        return self._late(first, first + over_s + 1, count, first + over_s + _FIRES_IN_S)

    def memory_mib(self) -> float:
        """Return the memory of what has to run for tasks to be stored and run."""
        running = self._workers if self._contender.works_apart else self._producers
        return memory_mib([*running, *self._servers])

    def first_ms(self, ahead_s: float, within_s: float) -> float:
        """Return how late one task runs."""
        due = ceil(time.time()) + ahead_s
        self.ask("due", _RESPONDS_IN_S, times=[due])
        return self._late(due, due, 1, due + within_s)[0]

    def first_after_kill_ms(self, lead_s: float) -> float:
        """Kill what runs the tasks; return how long after its start a task ran that fell due meanwhile."""
        due = ceil(time.time() + lead_s)
        self.ask("due", _RESPONDS_IN_S, times=[due])
        time.sleep(_SETTLES_S)
        for process in (*self._workers, *self._producers):
            process.end(signal.SIGKILL)
        self._workers, self._producers = [], []
        time.sleep(max(0.0, due + 0.1 - time.time()))
        begin = time.time()
        self._start_worker()
        if not self._contender.works_apart:
            self._start_producers(1)
        try:
            [late] = self._late(due, due, 1, begin + _RESTARTS_IN_S)
        except PeerError as error:
            raise PeerError(f"not within {_RESTARTS_IN_S} s") from error
        self._start_producers(1)
        return late - (begin - due) * 1000

    def _start_worker(self) -> None:
        if self._contender.works_apart:
            self._workers.append(self._process("work"))

    def _start_producers(self, count: int) -> None:
        while len(self._producers) < count:
            self._producers.append(self._process("produce"))

    def _process(self, role: str) -> Process:
        environment = {"BENCH_FIRED": str(self._fired)}
        return Process(self._contender.command(role, self._address), environment, self._folder / f"errors-{role}")

    def _late(self, first: float, last: float, count: int, until: float) -> list[float]:
        time.sleep(max(0.0, last - time.time()))
        while len(late := lateness(self._fired, first, last)) < count:
            if time.time() > until:
                raise PeerError(f"only {len(late):,} of {count:,} were run")
            time.sleep(_LOOKS_S)
        return late


def lateness(notes: Path, first: float, last: float) -> list[float]:
    """Return how late tasks ran that were due between two times, in milliseconds."""
    if not notes.exists():
        return []
    lines = (line.split() for line in notes.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return [(float(at) - float(due)) * 1000 for due, at in lines if first <= float(due) <= last]


@contextmanager
def running(contender: Contender, folder: Path, *, works: bool) -> Iterator[Trial]:
    """Run a contender in a new folder, and end it in any case."""
    folder.mkdir()
    folder.chmod(0o711)
    with contender.server(folder) as (address, servers):
        trial = Trial(contender, folder, address, servers)
        try:
            trial.start(works=works)
            yield trial
        finally:
            trial.stop()


@dataclass
class Results:
    """Figures by row and contender, or why there are none."""

    pending: int
    syncs_ms: list[float] = field(default_factory=list)
    """How long a sync of the disk took, at the beginning of each round."""
    _runs: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    _reasons: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, row: str, contender: Contender, value: float) -> None:
        """Store a figure."""
        self._runs.setdefault(row, {}).setdefault(contender.name, []).append(value)

    @contextmanager
    def noted(self, contender: Contender, *rows: str) -> Iterator[None]:
        """Store why a figure is not there, and go on."""
        try:
            yield
        except PeerError as error:
            for row in rows:
                self._runs.setdefault(row, {})
                self._reasons.setdefault((row, contender.name), str(error))
        sys.stderr.write(f"{contender.name}: {rows[-1]}: {self.cell(rows[-1], contender)}\n")

    def rows(self) -> list[str]:
        """Return the rows that there are, rates first."""
        return sorted(self._runs, key=lambda row: PENDING_ROWS.index(row) if row in PENDING_ROWS else -1)

    def runs(self, row: str, contender: Contender) -> list[float]:
        """Return the figures."""
        return self._runs.get(row, {}).get(contender.name, [])

    def cell(self, row: str, contender: Contender) -> str:
        """Return what the table says."""
        runs = self.runs(row, contender)
        shown = spread(runs) if runs else self._reasons.get((row, contender.name), "")
        return shown if contender is OURS or contender in rivals(row) or not shown else f"({shown})"

    def lead(self, row: str) -> str:
        """Return how many times better ours is than the best of its rivals."""
        theirs = [median(runs) for rival in rivals(row) if (runs := self.runs(row, rival))]
        ours = self.runs(row, OURS)
        if not theirs or not ours:
            return ""
        ratio = min(theirs) / median(ours) if row in PENDING_ROWS else median(ours) / max(theirs)
        return f"{number(ratio)} times" if ratio >= 1 else f"behind: {ratio:.2f} times"


def rivals(row: str) -> list[Contender]:
    """Return those who do in this row what ours does."""
    return [peer for peer in PEERS if peer.durable and (peer.tells_whether_cancelled or row != CANCEL)]


def report(results: Results) -> str:
    """Return the table and its notes, as Markdown."""
    present = [contender for contender in (OURS, *PEERS) if not contender.missing()]
    rows = [(row, *(results.cell(row, one) for one in present), results.lead(row)) for row in results.rows()]
    head = ("figure", *(contender.name for contender in present), "ours better than the best of them")
    notes = [f"- {' '.join((one.name, *_versions(one)))}: {one.settings}." for one in present]
    notes += [f"- {peer.name} was not measured: {sentence}" for peer in PEERS if (sentence := peer.missing())]
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    where = f"{machine()} Load average at the end: {load}; a sync of the disk took {spread(results.syncs_ms)} ms."
    told = _NOTES.format(pending=results.pending, cores=os.cpu_count()).strip()
    return "\n\n".join((table(head, rows), told, "\n".join(notes), where))


def _versions(contender: Contender) -> list[str]:
    """Return the versions of the package and of its server."""
    if contender is OURS:
        return []
    code = f"from importlib.metadata import version; print(version({contender.package!r}))"
    commands = [[str(PEERS_PYTHON), "-c", code]]
    commands += [[found(contender.needs[0]) or "", "--version"]] if contender.needs else []
    with contextlib.suppress(OSError):
        return [subprocess.check_output(command, text=True, timeout=30).strip() for command in commands]  # noqa: S603 - found here
    return []
