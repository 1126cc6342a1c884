"""A server of one's own for the time of a run, on a free port and a new file."""

import asyncio
import math
import os
import re
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.load.connection import Target

_ROOT: Final = Path(__file__).parents[1]
_MEMORY: Final = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB$", re.MULTILINE)
_STARTS_IN_S: Final = 30


@dataclass(frozen=True)
class Server:
    """A running server; `pid` is None where it is somebody else's."""

    target: Target
    pid: int | None = None

    def memory(self) -> str:
        """Return how much memory it has now and had at most, as far as this system tells."""
        status = Path(f"/proc/{self.pid}/status")
        if self.pid is None or not status.exists():
            return "not known"
        now, most = (int(dict(_MEMORY.findall(status.read_text()))[name]) / 1024 for name in ("VmRSS", "VmHWM"))
        return f"{now:.0f} MiB, at most {most:.0f} MiB"

    def cpu_s(self) -> float:
        """Return how much processor time it has taken, as far as this system tells."""
        stat = Path(f"/proc/{self.pid}/stat")
        if self.pid is None or not stat.exists():
            return math.nan
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]  # proc(5): fields 14 and 15
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def own_server(folder: Path) -> AsyncIterator[Server]:
    """Start a server, and stop it in the end."""
    secret = secrets.token_urlsafe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "task_scheduler.cli", "serve", "--port", "0", "--data", str(folder / "lab.load.db")),
        cwd=_ROOT,
        env=environment | {"TASK_SCHEDULER_SECRET": secret},
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C is for the generator alone: the server shall answer to the end
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        async with asyncio.timeout(_STARTS_IN_S):
            found = re.search(r"http://[\d.:]+", (await process.stdout.readline()).decode())
        if found is None:
            raise OSError("The server did not start.")
        yield Server(Target(found[0], secret), process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
