"""Servers for the time of a measurement: ours, and the limit; each a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.load.connection import Target
from task_scheduler import timestamps
from task_scheduler.local.store import TaskStore
from task_scheduler.task import new_task

OURS: Final = ("-m", "task_scheduler.cli", "serve", "--quiet", "--port", "0", "--data")
LIMIT: Final = ("-m", "lab.bench.limit", "--data")
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class Serving:
    """A running server."""

    target: Target
    process: subprocess.Popen[str]
    spawned_ms: int

    def memory_mib(self) -> float:
        """Return the memory that it has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        assert found  # noqa: S101 - proc(5)
        return int(found[1]) / 1024

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(data: Path, program: tuple[str, ...] = OURS) -> Iterator[Serving]:
    """Serve a file until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")}
    spawned_ms = now_ms()
    with subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *program, str(data)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Serving(Target(_url(process)), process, spawned_ms)
        finally:
            process.terminate()


def fill(path: Path, count: int) -> None:
    """Make a data file with tasks that are due from an hour on, one each millisecond, round and round for a day."""
    now = now_ms()
    store = TaskStore.open(path)
    try:
        with store.transaction():
            for number in range(count):
                due = timestamps.format(now + _HOUR_MS + number % (23 * _HOUR_MS))
                body = {"timestamp": due, "message": {"number": number}}
                store.insert(new_task(body, task_id=f"{number:08x}-0000-4000-8000-000000000000", now_ms=now))
    finally:
        store.close()


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


def _url(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found.group()
    raise RuntimeError("The server has ended before it listened.")
