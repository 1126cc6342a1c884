"""Those that are compared: how each is run, with which settings, and the servers that some of them need."""

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.bench.peers.processes import PeerError, Process
from lab.support.server import ROOT

_STARTS_IN_S: Final = 30
_PROGRAMS: Final = Path("/usr/lib/postgresql")

Server = Callable[[Path], AbstractContextManager[tuple[str, list[Process]]]]
"""Runs in a folder; gives the address for the peer and the processes."""

PEERS_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
_CORES: Final = os.cpu_count() or 1
_SETS_UP_IN_S: Final = 60


def missing(program: str, package: str, *, programs: Path = _PROGRAMS) -> str | None:
    """Return a sentence if a program is not here."""
    if found(program, programs=programs):
        return None
    return f"`{program}` is not installed (on Debian: `apt install {package}`)."


def found(program: str, *, programs: Path = _PROGRAMS) -> str | None:
    """Return the path of a program: on PATH, or where Debian has PostgreSQL, the newest."""
    versions = sorted(programs.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]), reverse=True)
    return shutil.which(program) or (str(versions[0]) if versions else None)


def redis(appendfsync: str) -> Server:
    """Return a Redis that keeps its append-only file in step as told."""

    @contextmanager
    def running(folder: Path) -> Iterator[tuple[str, list[Process]]]:
        socket = folder / "redis.sock"
        settings = {"port": "0", "unixsocket": str(socket), "dir": str(folder), "save": ""}
        settings |= {"appendonly": "yes", "appendfsync": appendfsync}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        process = Process([found("redis-server") or "", *options], {}, folder / "server")
        try:
            _wait_for(socket, process)
            yield str(socket), [process]
        finally:
            process.end()

    return running


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, list[Process]]]:
    """Run a PostgreSQL with its own settings."""
    home = folder / "postgres"
    home.mkdir()
    # It refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    initdb = [found("initdb") or "", "--pgdata", str(home / "data"), "--username", "bench", "--auth", "trust"]
    Process(initdb, {}, home / "log", user).finish(_STARTS_IN_S)
    options = ["-D", str(home / "data"), "-k", str(home), "-c", "listen_addresses="]
    process = Process([found("postgres") or "", *options], {}, home / "log", user)
    try:
        _wait_for(home / ".s.PGSQL.5432", process)
        yield f"host={home} user=bench dbname=postgres", [process]
    finally:
        process.end(signal.SIGINT)  # a fast shutdown: it does not wait for its clients


def _wait_for(socket: Path, process: Process) -> None:
    until = time.monotonic() + _STARTS_IN_S
    while not socket.exists():
        if time.monotonic() > until:
            raise PeerError(f"{socket.name} did not come: {process.last_words()}")
        time.sleep(0.05)
    time.sleep(0.5)  # a socket may be there shortly before its server answers


@contextmanager
def _file(folder: Path) -> Iterator[tuple[str, list[Process]]]:
    """Give the address of a peer that keeps a file itself."""
    yield str(folder / "data.db"), []


@contextmanager
def _file_and_port(folder: Path) -> Iterator[tuple[str, list[Process]]]:
    """Find a free port for the server, too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (folder / "data.db.port").write_text(str(free.getsockname()[1]))
    yield str(folder / "data.db"), []


def _serving(address: str) -> list[str]:
    """Return the command line of the server."""
    port = Path(f"{address}.port").read_text()
    return [sys.executable, "-m", "task_scheduler.cli", "serve", "--port", port, "--data", address]


@contextmanager
def _postgres_with_tables(folder: Path) -> Iterator[tuple[str, list[Process]]]:
    with postgres(folder) as (address, processes):
        command = [str(PEERS_PYTHON), "-m", "lab.bench.peers.libraries", "Procrastinate", "prepare", address]
        Process(command, {}, folder / "errors").finish(_SETS_UP_IN_S)
        yield address, processes


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One of those that are compared."""

    name: str
    module: tuple[str, ...]
    """And the name of the class in it, where it has several."""
    package: str
    settings: str
    """A sentence for the notes."""
    server: Server = _file
    needs: tuple[str, str] | None = None
    """A program and the Debian package that has it."""
    python: Path = PEERS_PYTHON
    producers: int = _CORES
    """How many processes its producers are spread over at most."""
    works_apart: bool = True
    """Whether what it accepted is run by another process."""
    worker: Callable[[str], list[str]] | None = None
    """The command line of that process, by the address, where it is a program of its own."""
    listened: bool = False
    """Whether what falls due is heard by a process of its own."""
    durable: bool = True
    """If not, only its rate of acceptance is shown, and not compared."""
    tells_whether_cancelled: bool = True
    """If not, how long a cancel takes is shown, and not compared."""

    def missing(self) -> str | None:
        """Return a sentence if it cannot be measured here."""
        return missing(*self.needs) if self.needs else None

    def command(self, role: str, address: str) -> list[str]:
        """Return the command line of one of its processes."""
        if role == "work" and self.worker:
            return self.worker(address)
        return [str(self.python), "-m", *self.module, role, address]


OURS: Final = Contender(
    name="ours",
    module=("lab.bench.peers.ours",),
    package="task-scheduler",
    settings="over HTTP, by one generator with a connection for each producer; SQLite in WAL mode, "
    "`synchronous=FULL`; it is late when an event arrives at another process, which listens to the event "
    "stream",
    server=_file_and_port,
    python=Path(sys.executable),
    producers=1,
    worker=_serving,
    listened=True,
)

PEERS: Final = (
    Contender(
        name="APScheduler",
        module=("lab.bench.peers.libraries", "APScheduler"),
        package="apscheduler",
        settings="its SQLAlchemy job store on SQLite in WAL mode, `synchronous=FULL`; `misfire_grace_time=None`; "
        "producers are threads of the one process that it allows for a job store",
        producers=1,
        works_apart=False,
    ),
    Contender(
        name="huey",
        module=("lab.bench.peers.libraries", "Huey"),
        package="huey",
        settings="`SqliteHuey` in WAL mode, `fsync=True`, no results; 4 worker threads that poll every 0.1 s (by "
        "default up to 10 s), its schedule looked at every second, the least that it allows; a cancel "
        "leaves a mark, and does not tell whether it came in time",
        tells_whether_cancelled=False,
    ),
    Contender(
        name="Celery",
        module=("lab.bench.peers.libraries", "CeleryOnRedis"),
        package="celery",
        settings="on Redis by a Unix socket, `appendonly yes`, `appendfsync always`; `eta`, no results, a visibility"
        " timeout longer than any task is ahead, as its documentation asks; a cancel is sent to the running"
        " workers, and does not tell whether it came in time",
        server=redis("always"),
        needs=("redis-server", "redis-server"),
        tells_whether_cancelled=False,
    ),
    Contender(
        name="Celery, everysec",
        module=("lab.bench.peers.libraries", "CeleryOnRedis"),
        package="celery",
        settings="the same with Redis's own `appendfsync everysec`: up to a second of what was accepted may be lost",
        server=redis("everysec"),
        needs=("redis-server", "redis-server"),
        durable=False,
    ),
    Contender(
        name="procrastinate",
        module=("lab.bench.peers.libraries", "Procrastinate"),
        package="procrastinate",
        settings="PostgreSQL by a Unix socket with its own settings (`fsync` and `synchronous_commit` on), a "
        "connection for each producer; a worker with `concurrency=10` that polls every 0.1 s (by default "
        "every 5 s)",
        server=_postgres_with_tables,
        needs=("postgres", "postgresql"),
    ),
)
