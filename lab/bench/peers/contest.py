"""One of those that are compared, while it runs: what is asked of its processes, and what they noted down."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from signal import SIGKILL
from typing import Final

from lab.bench.peers.contenders import Contender
from lab.bench.peers.processes import PeerError, Process, memory_mib
from lab.bench.peers.protocol import FAR_S

_LEAD_S: Final = 0.2  # all producers are told before they begin
_ANSWERS_IN_S: Final = 30
_READY_IN_S: Final = 300  # it may load everything that is pending first
_FILLS_IN_S: Final = 600
_FIRES_IN_S: Final = 60
_RESTARTS_IN_S: Final = 30
_SETTLES_S: Final = 0.5  # a worker may take into its memory what was accepted
_LOOKS_S: Final = 0.05


class Contest:
    """A contender with its processes, in a folder of its own."""

    def __init__(self, contender: Contender, folder: Path, address: str, servers: Sequence[Process]) -> None:
        self.contender = contender
        self._folder = folder
        self._address = address
        self._servers = list(servers)
        self._fired = folder / "fired"
        self._workers: list[Process] = []
        self._listeners: list[Process] = []
        self._producers: list[Process] = []

    def start(self, *, works: bool) -> None:
        """Start one producer, and what runs the tasks; without that, only what has to be there to accept them."""
        if works or self.contender.listened:
            self._start_worker()
        if works and self.contender.listened:
            self._listeners.append(self._process("listen"))
        self._start_producers(1)
        self._until_accepting()

    def stop(self) -> None:
        """End all but the servers."""
        for process in (*self._producers, *self._listeners, *self._workers):
            process.end()

    def rate(self, producers: int, seconds: float) -> float:
        """Return how many tasks a second are accepted durably."""
        processes = min(producers, self.contender.producers)
        self._start_producers(processes)
        shares = [producers // processes + (number < producers % processes) for number in range(processes)]
        for process in self._producers[:processes]:  # it may be starting yet
            process.ask("due", _ANSWERS_IN_S, times=[])
        begin = time.time() + _LEAD_S
        asked = list(zip(self._producers, shares, strict=False))
        for process, share in asked:
            process.tell("rate", producers=share, begin=begin, seconds=seconds)
        return float(sum(process.answer(seconds + _ANSWERS_IN_S, "rate") for process, _ in asked))

    def fill(self, count: int, due: float) -> None:
        """Have many tasks pending."""
        self._start_producers(self.contender.producers)
        for process in self._producers:
            process.tell("fill", count=count // len(self._producers), due=due)
        for process in self._producers:
            process.answer(_FILLS_IN_S, "fill")

    def lateness_ms(self, count: int, over_s: float, lead_s: float) -> list[float]:
        """Return how late each of so many tasks ran, sorted; they fall due at one moment or evenly over a time."""
        first = ceil(time.time() + lead_s)
        dues = [round(first + over_s * number / count, 3) for number in range(count)]
        done = self._producers[0].ask("due", _FIRES_IN_S, times=dues)
        if done > first:
            raise PeerError(f"{count:,} tasks were not accepted within {lead_s:.0f} s")
        return sorted(self._late(first, first + over_s + 1, count, first + over_s + _FIRES_IN_S))

    def memory_mib(self) -> float:
        """Return the memory of what has to run for tasks to be kept and run."""
        running = self._workers if self.contender.works_apart else self._producers
        return memory_mib([*running, *self._servers])

    def cancelled_ms(self, count: int, due: float) -> list[float]:
        """Return how long each of so many cancels took."""
        return [float(took) for took in self._producers[0].ask("cancelled", _FILLS_IN_S, count=count, due=due)]

    def first_after_kill_ms(self, lead_s: float) -> float:
        """Kill what runs the tasks; return how long after its start a task ran that fell due meanwhile."""
        due = ceil(time.time() + lead_s)
        self._producers[0].ask("due", _ANSWERS_IN_S, times=[due])
        time.sleep(_SETTLES_S)
        for process in (*self._workers, *self._producers):
            process.end(SIGKILL)
        self._workers, self._producers = [], []
        time.sleep(max(0.0, due + 0.1 - time.time()))
        begin = time.time()
        self._start_worker()
        if not self.contender.works_apart:
            self._start_producers(1)
        try:
            [late] = self._late(due, due, 1, begin + _RESTARTS_IN_S)
        except PeerError as error:
            raise PeerError(f"not within {_RESTARTS_IN_S} s") from error
        self._start_producers(1)
        return late - (begin - due) * 1000

    def until_ready(self) -> None:
        """Wait until a task is run as it falls due: it may have to load what is pending first."""
        due = ceil(time.time()) + 1
        self._producers[0].ask("due", _ANSWERS_IN_S, times=[due])
        self._late(due, due, 1, time.time() + _READY_IN_S)

    def _until_accepting(self) -> None:
        until = time.monotonic() + _RESTARTS_IN_S
        while True:
            try:
                self._producers[0].ask("due", _ANSWERS_IN_S, times=[time.time() + FAR_S])
            except PeerError:
                if time.monotonic() > until or not self.contender.listened:
                    raise
                time.sleep(_LOOKS_S)
            else:
                return

    def _start_worker(self) -> None:
        if self.contender.works_apart:
            self._workers.append(self._process("work"))

    def _start_producers(self, count: int) -> None:
        while len(self._producers) < count:
            self._producers.append(self._process("produce"))

    def _process(self, role: str) -> Process:
        environment = {"BENCH_FIRED": str(self._fired)}
        return Process(self.contender.command(role, self._address), environment, self._folder / f"errors-{role}")

    def _late(self, first: float, last: float, count: int, until: float) -> list[float]:
        time.sleep(max(0.0, last - time.time()))
        while True:
            late = lateness(self._fired, first, last)
            if len(late) >= count:
                return late
            if time.time() > until:
                raise PeerError(f"only {len(late):,} of {count:,} were run")
            time.sleep(_LOOKS_S)


def lateness(notes: Path, first: float, last: float) -> list[float]:
    """Return how late tasks ran that were due between two times, in milliseconds."""
    if not notes.exists():
        return []
    lines = (line.split() for line in notes.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return [(float(at) - float(due)) * 1000 for due, at in lines if first <= float(due) <= last]


@contextmanager
def running(contender: Contender, folder: Path, *, works: bool) -> Iterator[Contest]:
    """Run a contender in a new folder, and end it in any case."""
    folder.mkdir()
    folder.chmod(0o711)
    with contender.server(folder) as (address, servers):
        contest = Contest(contender, folder, address, servers)
        try:
            contest.start(works=works)
            yield contest
        finally:
            contest.stop()
