"""The emulator as a process of ours: started on 127.0.0.1, watched, stopped with all its children."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import boto3

from emulator.certificate import Certificate, issue
from emulator.tools import BUILD, REGION, ROOT, environment

HOST: Final = "127.0.0.1"
_START_S: Final = 60
_STOP_S: Final = 5
_TAIL: Final = 15

# The emulator's process group ends with us, even when we are killed: then its standard input closes.
_MAIN: Final = f"""
import os, signal, sys, threading
from ministack.app import main
sys.path.insert(0, {str(ROOT)!r})
from emulator import corrections
corrections.apply()
threading.Thread(target=lambda: (os.read(0, 1), os.killpg(0, signal.SIGKILL)), daemon=True).start()
main()
"""


class EmulatorError(RuntimeError):
    """The emulator, or the deployment into it, does not work; the message says why in words for a person."""


class Emulator:
    """One ministack; its files are in the folder it is given; its log is in `build/` if its port was chosen.

    With `auth` it enforces IAM, and speaks TLS, which the policies of topics, queues and buckets then insist on. The
    `environment` has variables of `corrections.rules.Strictness`, and of ministack, such as LAMBDA_ACCOUNT_CONCURRENCY.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, auth: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder: Final = folder
        self._environment: Final = environment or {}
        self.port: Final = free_port(port)
        self.certificate: Final = issue(folder, HOST) if auth else None
        self.endpoint: Final = f"{'https' if auth else 'http'}://{HOST}:{self.port}"
        self.log: Final = BUILD / f"emulator-{port}.log" if port else folder / "emulator.log"
        self._clients: Final[dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, lifeline: int = subprocess.PIPE) -> Self:
        """Start, and return once it answers.

        It ends when its lifeline has no writer left: by default a pipe of this process, or the given file descriptor.
        """
        BUILD.mkdir(exist_ok=True)
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-c", _MAIN],
                cwd=self._folder,
                env=environment(
                    self._folder,
                    BIND_HOST=HOST,
                    GATEWAY_PORT=str(self.port),
                    IOT_MTLS_ENABLED="0",
                    LOG_LEVEL="WARNING",
                    TMPDIR=str(temporary),
                    S3_DATA_DIR=str(self._folder / "s3"),
                    S3_PERSIST="1",
                    STATE_DIR=str(self._folder / "state"),
                    PERSIST_STATE="1",
                    **(_enforcing(self.certificate) if self.certificate else {}),
                    **self._environment,
                ),
                stdin=lifeline,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not answers(f"{self.endpoint}/_ministack/health", seconds=_START_S, while_running=self):
            raise EmulatorError(self.account_of_death())
        return self

    def restart(self) -> None:
        """Stop and start again; it knows all that it knew, but the executions that ran have failed."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """The number of the process, which is that of its group too; its Lambda workers are its children."""
        if self._process is None:
            raise EmulatorError("The emulator was not started.")
        return self._process.pid

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        """Return the boto3 client that has the rights of the root user; to make one takes longer than to use it."""
        if service not in self._clients:
            session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - the emulator takes any
            trust = str(self.certificate.authority) if self.certificate else None
            self._clients[service] = session.client(service, endpoint_url=self.endpoint, verify=trust)  # type: ignore[call-overload]  # the name is not a literal
        return self._clients[service]

    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Return when the process has ended."""
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        """Stop it and its Lambda workers."""
        self._signal(signal.SIGTERM)
        self.kill()

    def kill(self) -> None:
        """End it and its Lambda workers at once; they are in one process group of their own."""
        self._signal(signal.SIGKILL)
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, number)
                self._process.wait(_STOP_S)

    def account_of_death(self) -> str:
        """Say that it ended, with the last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join([f"The emulator does not answer; the end of its log ({self.log}):", *lines])


def _enforcing(certificate: Certificate) -> dict[str, str]:
    """Return what makes ministack enforce IAM over TLS, and the functions that it runs trust it."""
    return {
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate.chain),
        "MINISTACK_SSL_KEY": str(certificate.key),
        "AWS_CA_BUNDLE": str(certificate.authority),
    }


def answers(url: str, *, seconds: float, while_running: Emulator) -> bool:
    """Ask until the answer is 200; False when the time is over or the emulator has ended."""
    deadline = time.monotonic() + seconds
    certificate = while_running.certificate
    context = ssl.create_default_context(cafile=certificate.authority if certificate else None)
    trust = urllib.request.HTTPSHandler(context=context)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
    while while_running.running() and time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=10):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def free_port(port: int) -> int:
    """Return the port, or any if it is 0; raises EmulatorError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EmulatorError(
                f"Port {port} of {HOST} is taken ({error.strerror}); choose another, or 0 for any free one."
            ) from None
        free: int = probe.getsockname()[1]
        return free
