"""The local engine as a process of its own: `task-scheduler serve`."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.api import Api, Deployment, Ledger
from tests.support.clock import eventually

_ROOT: Final = Path(__file__).parents[2]
_SECONDS_TO_START: Final = 60
_SECONDS_TO_STOP: Final = 60


class LocalServer:
    """A server on 127.0.0.1, by default on a free port; its output is in `folder`, or beside the data."""

    program: tuple[str, ...] = ("-m", "task_scheduler.cli", "serve")

    def __init__(
        self,
        data: Path,
        *,
        secret: str | None = None,
        port: int = 0,
        options: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> None:
        self.url = ""
        self._secret = secret
        self._clients: list[Api] = []
        self._output = (folder or data.parent) / "output.txt"
        self._errors = (folder or data.parent) / "errors.txt"
        command = [
            sys.executable,
            *self.program,
            "--port",
            str(port),
            "--data",
            str(data),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")}
        if secret is not None:
            environment["TASK_SCHEDULER_SECRET"] = secret
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                [*command, *options], cwd=_ROOT, env=environment, stdout=output, stderr=errors
            )

    def __enter__(self) -> Self:
        self.url = eventually(self._listening, within=_SECONDS_TO_START)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.http.close()
        if self.process.poll() is None:
            self.stop()

    def api(self, ledger: Ledger | None = None) -> Api:
        """Return a client that has the secret; it is closed with the server."""
        self._clients.append(Api(Deployment(self.url, self._secret, "local"), ledger))
        return self._clients[-1]

    @property
    def output(self) -> str:
        """What it has written to standard output."""
        return self._output.read_text()

    @property
    def errors(self) -> str:
        """What it has written to standard error."""
        return self._errors.read_text()

    def wait(self) -> int:
        """Return its exit code once it has ended; ends it by force when it does not end by itself."""
        try:
            return self.process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def refusal(self) -> str:
        """Return the one line in which a server that cannot start says why."""
        assert self.wait() not in {0, -signal.SIGKILL}
        [line] = self.errors.splitlines()
        assert line.startswith("task-scheduler: ")
        return line

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(how)
        return self.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def _listening(self) -> str | None:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.output)
        assert found or self.process.poll() is None, f"the server has ended: {self.errors}"
        return found and found.group()
