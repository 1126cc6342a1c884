"""Servers that some peers need: found, run in a folder of their own on a socket there, and ended."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from lab.bench.peers.processes import PeerError, Process

_STARTS_IN_S: Final = 30
_NOBODY: Final = "nobody"  # PostgreSQL refuses to run as root
_PROGRAMS: Final = Path("/usr/lib/postgresql")

Server = Callable[[Path], AbstractContextManager[tuple[str, list[Process]]]]
"""Runs in a folder; gives the address for the peer and the processes."""


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
    user = _NOBODY if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    initdb = [found("initdb") or "", "--pgdata", str(home / "data"), "--username", "bench", "--auth", "trust"]
    Process(initdb, {}, _log(home), user).finish(_STARTS_IN_S)
    options = ["-D", str(home / "data"), "-k", str(home), "-c", "listen_addresses="]
    process = Process([found("postgres") or "", *options], {}, _log(home), user)
    try:
        _wait_for(home / ".s.PGSQL.5432", process)
        yield f"host={home} user=bench dbname=postgres", [process]
    finally:
        process.end(signal.SIGINT)  # a fast shutdown: it does not wait for its clients


def _log(home: Path) -> Path:
    return home / "log"


def _wait_for(socket: Path, process: Process) -> None:
    until = time.monotonic() + _STARTS_IN_S
    while not socket.exists():
        if time.monotonic() > until:
            raise PeerError(f"{socket.name} did not come: {process.last_words()}")
        time.sleep(0.05)
    time.sleep(0.5)  # a socket may be there shortly before its server answers
