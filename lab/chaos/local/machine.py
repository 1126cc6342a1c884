"""The machine that the server runs on: it is started again whenever it ends, and everything can be taken from it."""

import asyncio
import os
import re
import resource
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from lab.chaos.local.clock import SteppedClock
from lab.chaos.local.plan import Fault, Kind
from lab.chaos.local.wal import tear

_ROOT: Final = Path(__file__).parents[1]
_PAUSE_S: Final = 0.1  # before a server that could not start is started again
_ERROR: Final = re.compile(r"([\w.]*(?:Error|Exception)\b.*)")  # the last line of a traceback
CAN_FILL_DISKS: Final = sys.platform == "linux"
"""Elsewhere nobody can limit the files of a process that runs already."""
_STARTED_IN_S: Final = 30


class Machine:
    """One data file, one port, one clock, and a server whenever the machine has power; an asynchronous context."""

    def __init__(self, folder: Path, *, webhook: str) -> None:
        self.clock = SteppedClock.create(folder / "clock")
        self.data = folder / "tasks.db"
        self.secret = secrets.token_urlsafe()
        self.webhook_secret = "whsec_" + secrets.token_hex(24)
        self.complaints: list[str] = []
        """What a server must never do, such as to end by itself."""
        self.errors: Counter[str] = Counter()
        """What ended the tracebacks in its log."""
        self.starts = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._log = (folder / "server.log").open("w")
        self._program = ("--data", str(self.data), "--clock", str(folder / "clock"), "--webhook", webhook)
        self._process: Process | None = None
        self._power = asyncio.Event()
        self._listens = asyncio.Event()
        self._power_lock = asyncio.Lock()
        self._disk_lock = asyncio.Lock()
        self._limit: int | None = None
        self._was_limited = False

    async def __aenter__(self) -> Self:
        """Switch it on."""
        self._power.set()
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Switch it off for good."""
        self._supervisor.cancel()
        await asyncio.gather(self._supervisor, return_exceptions=True)
        self._log.close()

    async def suffer(self, fault: Fault) -> None:
        """Let a fault happen, and return when it is over; faults of different kinds may overlap."""
        match fault.kind:
            case Kind.KILL | Kind.POWER_CUT | Kind.CRASH_LOOP:
                async with self._power_lock:
                    await self._lose_power(fault)
            case Kind.PAUSE:
                self._signal(signal.SIGSTOP)
                await asyncio.sleep(fault.seconds[0])
                self._signal(signal.SIGCONT)
            case Kind.FULL_DISK:
                async with self._disk_lock:
                    self._limit_files(round(self._size_of_log() * fault.room))
                    await asyncio.sleep(fault.seconds[0])
                    self._limit_files(None)
            case Kind.STEP_FORWARD | Kind.STEP_BACK:
                self.clock.step(fault.step_ms)

    async def _lose_power(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.CRASH_LOOP:
                for seconds in fault.seconds:
                    await self._without_power(0)
                    await asyncio.sleep(seconds)
                await self._without_power(0)
            case Kind.POWER_CUT:
                await self._without_power(fault.seconds[0], lambda: tear(Path(f"{self.data}-wal"), fault.noise))
            case _:
                await self._without_power(fault.seconds[0])

    async def wait_until_it_listens(self) -> None:
        """Return when the server runs."""
        async with asyncio.timeout(_STARTED_IN_S):
            await self._listens.wait()

    async def _supervise(self) -> None:
        try:
            while True:
                await self._power.wait()
                await self._run()
        finally:
            self._signal(signal.SIGKILL)
            if self._process is not None:
                await self._process.wait()

    async def _run(self) -> None:
        """Run the server until it ends, which it should not do by itself."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")}
        environment |= {
            "TASK_SCHEDULER_SECRET": self.secret,
            "TASK_SCHEDULER_WEBHOOK_SECRET": self.webhook_secret,
        }
        port = self.url.rpartition(":")[2]
        command = (sys.executable, "-m", "lab.chaos.local.server", "--port", port, *self._program)
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, env=environment, stdout=PIPE, stderr=PIPE
        )
        self.starts += 1
        self._was_limited = False
        self._limit_files(self._limit)
        if not self._power.is_set():  # it went while the process was made
            self._signal(signal.SIGKILL)
        await asyncio.gather(self._announced(self._process), self._keep_log(self._process))
        code = await self._process.wait()
        listened = self._listens.is_set()
        self._listens.clear()
        if code != -signal.SIGKILL:
            if listened or not self._was_limited:
                self.complaints.append(f"The server ended by itself, with code {code}")
            await asyncio.sleep(_PAUSE_S)

    async def _announced(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        async for _ in process.stdout:
            self._listens.set()

    async def _keep_log(self, process: Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        async for line in process.stderr:
            text = line.decode(errors="replace")
            self._log.write(text)
            if found := _ERROR.match(text):
                self.errors[found[1].strip()] += 1

    async def _without_power(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._power.clear()
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()
        await asyncio.sleep(seconds)
        meanwhile()
        self._power.set()

    def _size_of_log(self) -> int:
        log = Path(f"{self.data}-wal")
        return log.stat().st_size if log.exists() else 0

    def _limit_files(self, limit: int | None) -> None:
        """Let no file of the server grow beyond `limit`; without one, let them grow again."""
        self._limit = limit
        self._was_limited |= limit is not None
        if self._process is not None and self._process.returncode is None and CAN_FILL_DISKS:
            soft = resource.RLIM_INFINITY if limit is None else limit
            with suppress(ProcessLookupError):
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
