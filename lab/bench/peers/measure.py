"""What is measured, in which order, and how the figures of one contender come about."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from lab.bench.load import percentile
from lab.bench.peers.contenders import OURS, PEERS, PEERS_PYTHON, Contender
from lab.bench.peers.contest import Contest, running
from lab.bench.peers.processes import PeerError
from lab.bench.peers.protocol import FAR_S
from lab.bench.peers.results import (
    BURST_P50,
    BURST_P99,
    CANCEL,
    FIRST,
    MEMORY,
    PENDING_ROWS,
    SPREAD_P99,
    Results,
    accepted,
    report,
)


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
    at_once: int = 1


_QUICK: Final = Size(
    rounds=1, pending=1_000, tasks=50, spread_s=1, accept_s=0.3, lead_s=2, cancels=10, producers=(1, 8), at_once=6
)


def run(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure all that are there."""
    if not PEERS_PYTHON.exists():
        raise SystemExit("The peers are not installed: `make bench-peers` does that, into .venv-peers.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended by either
    size = _QUICK if quick else Size(rounds)
    contenders = [contender for contender in (OURS, *PEERS) if not contender.missing()]
    results = Results(size.pending)
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        Path(name).chmod(0o711)  # PostgreSQL runs as somebody else
        _Measuring(size, results, Path(name)).all(contenders)
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


class _Measuring:
    def __init__(self, size: Size, results: Results, folder: Path) -> None:
        self._size = size
        self._results = results
        self._folder = folder
        self._numbers = count()

    def all(self, contenders: Sequence[Contender]) -> None:
        """Measure acceptance in turns, and then what depends on many pending tasks, one contender after the other."""
        for _ in range(self._size.rounds):
            self._results.syncs_ms.append(sync_ms(self._folder / "synced"))
            self._each(self._accepting, contenders)
        self._each(self._pending, [contender for contender in contenders if contender.durable])

    def _each(self, measure: Callable[[Contender], None], contenders: Iterable[Contender]) -> None:
        if self._size.at_once == 1:
            for contender in contenders:
                measure(contender)
            return
        with ThreadPoolExecutor(self._size.at_once) as pool:  # only to see that it works
            list(pool.map(measure, contenders))

    def _accepting(self, contender: Contender) -> None:
        rows = [accepted(producers) for producers in self._size.producers]
        with self._noted(contender, *rows), running(contender, self._new_folder(), works=False) as contest:
            for producers, row in zip(self._size.producers, rows, strict=True):
                with self._noted(contender, row):
                    self._results.add(row, contender.name, contest.rate(producers, self._size.accept_s))

    def _pending(self, contender: Contender) -> None:
        far = time.time() + FAR_S
        add = partial(self._results.add, contender=contender.name)
        with self._noted(contender, *PENDING_ROWS), running(contender, self._new_folder(), works=True) as contest:
            contest.fill(self._size.pending, far)
            contest.until_ready()
            with self._noted(contender, MEMORY):
                add(MEMORY, value=contest.memory_mib())
            for _ in range(self._size.rounds):
                self._lateness(contest)
            with self._noted(contender, CANCEL):
                add(CANCEL, value=median(contest.cancelled_ms(self._size.cancels, far)))
            with self._noted(contender, FIRST):  # one that does not come back at once will not the next time
                for _ in range(self._size.rounds):
                    add(FIRST, value=contest.first_after_kill_ms(self._size.lead_s))

    def _lateness(self, contest: Contest) -> None:
        size, contender = self._size, contest.contender
        with self._noted(contender, BURST_P50, BURST_P99):
            late = contest.lateness_ms(size.tasks, 0, size.lead_s)
            self._results.add(BURST_P50, contender.name, percentile(late, 0.5))
            self._results.add(BURST_P99, contender.name, percentile(late, 0.99))
        with self._noted(contender, SPREAD_P99):
            late = contest.lateness_ms(size.tasks, size.spread_s, size.lead_s)
            self._results.add(SPREAD_P99, contender.name, percentile(late, 0.99))

    @contextmanager
    def _noted(self, contender: Contender, *rows: str) -> Iterator[None]:
        """Write down why a figure is not there, and go on."""
        try:
            yield
        except PeerError as error:
            for row in rows:
                self._results.fail(row, contender.name, str(error))
        sys.stderr.write(f"{contender.name}: {rows[-1]}: {self._results.cell(rows[-1], contender.name)}\n")

    def _new_folder(self) -> Path:
        return self._folder / str(next(self._numbers))
