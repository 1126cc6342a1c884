"""A server as a process of its own on this machine, by default `task-scheduler serve`."""

import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from lab.support.client import now_ms
from lab.support.connection import Target

ROOT: Final = Path(__file__).parents[2]
OURS: Final = ("-m", "task_scheduler.cli", "serve", "--quiet", "--port", "0", "--data")
_STOPS_IN_S: Final = 30


class Server:
    """A process that prints its URL when it listens."""

    def __init__(
        self, *program: str, environment: Mapping[str, str] | None = None, errors: IO[str] | None = None
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")}
        self.spawned_ms = now_ms()
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, *program],
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tool alone: the server must respond to the end
        )

    def url(self) -> str:
        """Wait until it listens, and return where; raises OSError if it ends before."""
        for line in self.process.stdout or ():
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                return found.group()
        raise OSError("The server has ended before it listened.")

    def memory_mib(self) -> float:
        """Return the memory that it has, as far as this system says."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text() if status.exists() else "", re.MULTILINE)
        return int(found[1]) / 1024 if found else math.nan

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it, in any case."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(_STOPS_IN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def serving(data: Path, program: tuple[str, ...] = OURS, *, secret: str = "") -> Iterator[tuple[Target, Server]]:
    """Serve a file until the end of the block."""
    server = Server(*program, str(data), environment={"TASK_SCHEDULER_SECRET": secret} if secret else None)
    try:
        yield Target(server.url(), secret or None), server
    finally:
        server.stop()
