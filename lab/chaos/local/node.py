"""The machine that the server runs on: starts it again whenever it ends, and applies faults to it."""

import asyncio
import re
import resource
import secrets
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from lab.chaos.local.clock import SteppedClock
from lab.chaos.local.nemesis import Fault, Kind
from lab.support.connection import Target
from lab.support.server import Server

_PAUSE_S: Final = 0.1  # before a server that could not start is started again
_ERROR: Final = re.compile(r"^([\w.]*(?:Error|Exception)\b[^\n\"]*)", re.MULTILINE)  # the last line of a traceback
_STARTED_IN_S: Final = 30
CAN_FILL_DISKS: Final = sys.platform == "linux"
"""Other systems cannot limit the files of a running process."""


class Node:
    """One data file, one port, one clock, and a server whenever there is power."""

    def __init__(self, folder: Path, clock: SteppedClock, *, webhook: str, webhook_secret: str) -> None:
        self.complaints: list[str] = []
        """What a server must never do, such as to end by itself."""
        self.starts = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.target = Target(f"http://127.0.0.1:{port}", secrets.token_urlsafe())
        self._data = folder / "tasks.db"
        self._log = folder / "server.log"
        options = ("--quiet", "--port", str(port), "--data", str(self._data), "--webhook", webhook)
        self._program = ("-m", "lab.chaos.local.clock", str(folder / "clock"), "serve", *options)
        self._environment = {
            "TASK_SCHEDULER_SECRET": self.target.secret or "",
            "TASK_SCHEDULER_WEBHOOK_SECRET": webhook_secret,
        }
        self._clock = clock
        self._server: Server | None = None
        self._power, self._listens = asyncio.Event(), asyncio.Event()
        self._power_lock, self._disk_lock = asyncio.Lock(), asyncio.Lock()
        self._limit: int | None = None
        self._was_limited = False

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """Switch it on until the end of the block."""
        self._power.set()
        supervisor = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)

    @property
    def errors(self) -> Counter[str]:
        """What ended the tracebacks in the server's log, which is JSON."""
        return Counter(_ERROR.findall(self._log.read_text(errors="replace").replace("\\n", "\n")))

    async def apply(self, fault: Fault) -> None:
        """Let a fault happen, and return when it is over; faults of different kinds may overlap."""
        match fault.kind:
            case Kind.PAUSE:
                self._signal(signal.SIGSTOP)
                await asyncio.sleep(fault.seconds[0])
                self._signal(signal.SIGCONT)
            case Kind.FULL_DISK:
                async with self._disk_lock:
                    self._limit_files(round(fault.room * self._size_of_log()))
                    await asyncio.sleep(fault.seconds[0])
                    self._limit_files(None)
            case Kind.STEP_FORWARD | Kind.STEP_BACK:
                self._clock.step(fault.step_ms)
            case Kind.KILL:
                async with self._power_lock:
                    await self._without_power(fault.seconds[0])
            case Kind.CRASH_LOOP:
                async with self._power_lock:
                    for seconds in (0, *fault.seconds):
                        await asyncio.sleep(seconds)
                        await self._without_power(0)

    async def _without_power(self, seconds: float) -> None:
        self._power.clear()
        if self._server is not None:
            await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(seconds)
        self._power.set()

    async def wait_until_it_listens(self) -> None:
        """Return when the server runs."""
        async with asyncio.timeout(_STARTED_IN_S):
            await self._listens.wait()

    async def _supervise(self) -> None:
        while True:
            await self._power.wait()
            await self._run()

    async def _run(self) -> None:
        """Run the server until it ends, which it should not do by itself."""
        with self._log.open("a") as log:
            self._server = server = Server(*self._program, environment=self._environment, errors=log)
        self.starts += 1
        self._was_limited = False
        self._limit_files(self._limit)
        listened = False
        try:
            with suppress(OSError):  # it may be killed before
                await asyncio.to_thread(server.url)
                listened = True
                self._listens.set()
            code = await asyncio.to_thread(server.process.wait)
        finally:
            self._listens.clear()
            server.kill()
            server.stop()
        if code != -signal.SIGKILL:
            if listened or not self._was_limited:
                self.complaints.append(f"The server ended by itself, with code {code}")
            await asyncio.sleep(_PAUSE_S)

    def _size_of_log(self) -> int:
        log = Path(f"{self._data}-wal")
        return log.stat().st_size if log.exists() else 0

    def _limit_files(self, limit: int | None) -> None:
        """Let no file of the server grow beyond `limit`; without one, let them grow again."""
        self._limit = limit
        self._was_limited |= limit is not None
        if self._server is not None and self._server.process.poll() is None and CAN_FILL_DISKS:
            soft = resource.RLIM_INFINITY if limit is None else limit
            with suppress(ProcessLookupError):
                resource.prlimit(self._server.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.signal(number)
