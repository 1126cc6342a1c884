"""APScheduler and huey, measured in an environment of their own, `.venv-peers`: with the standard library only.

`python -m lab.bench.peer_libraries NAME accept|pending FOLDER SIZE` writes figures as JSON, by the names of their rows.
"""

# ruff: noqa: ANN401, PLC0415 - the libraries have no types, and a process needs one of them

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any, Final

PRODUCERS: Final = (1, 8, 32)
SPREAD_S: Final = 10
BURST_P99: Final = "lateness, all at one moment: p99, ms"
SPREAD_P99: Final = f"lateness, spread over {SPREAD_S} s: p99, ms"

_FAR_S: Final = 36_000  # when pending tasks are due: long after the run
_APART_S: Final = 0.03  # how far pending tasks are apart
_AHEAD_S: Final = 5  # when the tasks are due whose lateness is measured
_RUN_IN_S: Final = 60
_AT_ONCE: Final = 8  # tasks that are accepted at once before their lateness is measured
_STARTS_IN_S: Final = 2
_WORKERS: Final = 4
_POLLS_S: Final = 0.1  # by default huey slows down to 10 s


def rate_of(producers: int) -> str:
    """Return the name of a row."""
    return f"accepted durably, a second: {producers} producer{'s' if producers > 1 else ''}"


ROWS: Final = (*map(rate_of, PRODUCERS), BURST_P99, SPREAD_P99)


class Library(ABC):
    """One of those that are compared. `accept` is called by several threads at once."""

    processes = 1
    """How many processes its producers are spread over at most."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def accept(self, due: float) -> None:
        """Return when a task is stored durably."""

    @abstractmethod
    def fill(self, dues: Sequence[float]) -> None:
        """Accept many while nothing runs, by the quickest way there is; whether they are durable does not matter."""

    @abstractmethod
    def working(self) -> AbstractContextManager[None]:
        """Run what falls due until the end of the block."""


def fired(folder: str, due: float) -> None:
    """Note that a task runs now, by one write; what the job of each does."""
    with Path(folder, "fired").open("ab", buffering=0) as file:
        file.write(f"{due!r} {time.time()!r}\n".encode())


class APScheduler(Library):
    """One scheduler: its documentation allows one process for each job store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from apscheduler.schedulers.background import BackgroundScheduler
        from sqlalchemy import create_engine, event

        self._synchronous = "FULL"
        arguments = {"timeout": 60, "check_same_thread": False}
        self._engine = create_engine(f"sqlite:///{folder / 'data.db'}", connect_args=arguments)
        event.listen(self._engine, "connect", self._set_up)
        # By default a job that is a second late is not run.
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": {"type": "sqlalchemy", "engine": self._engine}},
            job_defaults={"misfire_grace_time": None},
        )
        self._scheduler.start(paused=True)

    def _set_up(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")

    def accept(self, due: float) -> None:
        """Add a job; `add_job` returns after the commit."""
        at = datetime.fromtimestamp(due, UTC)
        self._scheduler.add_job(fired, "date", run_date=at, args=(str(self.folder), due))

    def fill(self, dues: Sequence[float]) -> None:
        """Add them without a sync for each."""
        self._reopen("OFF")
        for due in dues:
            self.accept(due)
        self._reopen("FULL")

    def _reopen(self, synchronous: str) -> None:
        self._synchronous = synchronous
        self._engine.dispose()  # connections to come are set anew

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let the scheduler of this process run its jobs."""
        self._scheduler.resume()
        yield


class Huey(Library):
    """A queue on a file, synced at each commit."""

    processes = os.cpu_count() or 1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._huey = self._opened(fsync=True)
        self._job = self._huey.task(name="fired")(fired)

    def _opened(self, *, fsync: bool) -> Any:
        from huey import SqliteHuey

        file = str(self.folder / "huey.db")
        return SqliteHuey("bench", filename=file, fsync=fsync, timeout=60, results=False, utc=True)

    def accept(self, due: float) -> None:
        """Enqueue it; the consumer moves it to the schedule."""
        self._huey.enqueue(self._job.s(str(self.folder), due, eta=datetime.fromtimestamp(due, UTC)))

    def fill(self, dues: Sequence[float]) -> None:
        """Write into the schedule what the consumer would move there."""
        huey = self._opened(fsync=False)
        job = huey.task(name="fired")(fired)
        for due in dues:
            huey.add_schedule(job.s(str(self.folder), due, eta=datetime.fromtimestamp(due, UTC)))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run the consumer in a process of its own."""
        command = [sys.executable, "-m", "lab.bench.peer_libraries", "huey", "consume", str(self.folder), "{}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def consume(self) -> None:
        """Be the consumer. A second is the least that its schedule can be looked at by."""
        options = {"workers": _WORKERS, "scheduler_interval": 1, "max_delay": _POLLS_S, "periodic": False}
        self._huey.create_consumer(**options).run()


_LIBRARIES: Final[dict[str, type[Library]]] = {"APScheduler": APScheduler, "huey": Huey}


def accepted(name: str, folder: Path, producers: int, seconds: float) -> float:
    """Return how many tasks a second so many producers got accepted, each sending the next after the last."""
    processes = min(producers, _LIBRARIES[name].processes)
    given = (name, folder, producers // processes, time.time() + _STARTS_IN_S, seconds)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return sum(pool.starmap(_produced, [given] * processes)) / seconds


def _produced(name: str, folder: Path, producers: int, begin: float, seconds: float) -> int:
    library, end = _LIBRARIES[name](folder), begin + seconds

    def produce(_number: int) -> int:
        time.sleep(max(0.0, begin - time.time()))
        count = 0
        while True:
            library.accept(end + _FAR_S)
            if time.time() >= end:
                return count
            count += 1

    with ThreadPoolExecutor(producers) as threads:
        return sum(threads.map(produce, range(producers)))


def lateness_ms(library: Library, count: int, over_s: float) -> list[float]:
    """Return how late each of so many tasks ran; they fall due at one moment or evenly over a time."""
    notes = library.folder / "fired"
    notes.unlink(missing_ok=True)
    first = ceil(time.time() + _AHEAD_S)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(library.accept, [first + over_s * place / count for place in range(count)]))
    if time.time() > first:
        raise TimeoutError(f"{count} tasks were not accepted within {_AHEAD_S} s")
    while len(lines := notes.read_text().splitlines() if notes.exists() else []) < count:
        if time.time() > first + over_s + _RUN_IN_S:
            raise TimeoutError(f"only {len(lines)} of {count} tasks were run")
        time.sleep(0.05)
    return [(float(at) - float(due)) * 1000 for due, at in map(str.split, lines)]


def pending(library: Library, size: dict[str, Any]) -> dict[str, list[float]]:
    """Measure what depends on how many tasks are pending."""
    far = time.time() + _FAR_S
    library.fill([far + number * _APART_S for number in range(size["pending"])])
    with library.working():
        lateness_ms(library, 1, 0)  # it may load everything that is pending first
        bursts = [sorted(lateness_ms(library, size["tasks"], 0)) for _ in range(size["rounds"])]
        spreads = [sorted(lateness_ms(library, size["tasks"], SPREAD_S)) for _ in range(size["rounds"])]
        most = ceil(0.99 * size["tasks"]) - 1
        return {
            BURST_P99: [late[most] for late in bursts],
            SPREAD_P99: [late[most] for late in spreads],
        }


def main(name: str, what: str, folder: str, size_json: str) -> None:
    """Measure, or be the consumer of huey."""
    size, found = json.loads(size_json), dict[str, list[float]]()
    if what == "consume":
        Huey(Path(folder)).consume()
    elif what == "accept":
        found = {rate_of(count): [accepted(name, Path(folder), count, size["accept_s"])] for count in PRODUCERS}
    else:
        found = pending(_LIBRARIES[name](Path(folder)), size)
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads of a library may not want to end


if __name__ == "__main__":
    main(*sys.argv[1:])
