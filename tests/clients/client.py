"""A usual HTTP client as a process that sends what a test wants; `programs` has the protocol."""

import base64
import json
import os
import select
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

ROOT: Final = Path(__file__).parents[2]
_SECONDS: Final = 60
_PROXIES: Final = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}

Framing = Literal["sized", "chunked", "expect"]


@dataclass(frozen=True)
class Request:
    """What to send."""

    method: str
    url: str
    body: object = None
    framing: Framing = "sized"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def octets(self) -> bytes | None:
        """The JSON text of the body, with each character as it is."""
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Response:
    """What the client has made of the response."""

    status: int
    body: Any


class Client(ABC):
    """Sends requests, and keeps its connections from one `send` to the next if the real client does."""

    @abstractmethod
    def send(self, *requests: Request) -> list[Response]:
        """Send one request after the other; returns their responses."""

    def stop(self) -> None:  # noqa: B027 - a client that is no process has nothing to stop
        """End its process."""


class Program(Client):
    """A program that speaks the protocol."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as standard_error:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=standard_error,
            )

    def send(self, *requests: Request) -> list[Response]:
        return [self._send(request) for request in requests]

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def ended(self) -> bool:
        """Whether its process has ended."""
        return self._process.poll() is not None

    def _send(self, request: Request) -> Response:
        assert self._process.stdin
        assert self._process.stdout
        body = "-" if request.octets is None else base64.b64encode(request.octets).decode()
        headers = [f"{name}={value}" for name, value in request.headers.items()]
        line = " ".join([request.method, request.url, request.framing, body, *headers])
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _SECONDS)[0]:
            self.stop()
            raise AssertionError(f"no response within {_SECONDS} s")
        written = self._process.stdout.readline()
        assert written, f"the client has ended: {self._errors.read_text()}"
        response = json.loads(written)
        assert "error" not in response, response["error"]
        return Response(response["status"], response.get("body"))


class Curl(Client):
    """The command, run once for the requests of a `send`."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder = folder
        self._options = options

    def send(self, *requests: Request) -> list[Response]:
        command = ["curl", "--silent", "--show-error"]
        outputs = [self._folder / f"response-{number}.json" for number in range(len(requests))]
        for request, output in zip(requests, outputs, strict=True):
            output.write_bytes(b"")
            command += [] if output == outputs[0] else ["--next"]
            command += self._request(request, output)
        done = subprocess.run(  # noqa: S603 - the URLs and bodies are the test's
            command, env=environment(), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        texts = [output.read_bytes() for output in outputs]
        return [
            Response(int(status), json.loads(text) if text else None)
            for status, text in zip(done.stdout.split(), texts, strict=True)
        ]

    def _request(self, request: Request, output: Path) -> list[str]:
        options = [*self._options, "--max-time", "20", "--write-out", r"%{http_code}\n"]
        if request.method == "HEAD":
            options += ["--head", "--output", os.devnull]
        else:
            options += ["--request", request.method, "--output", str(output)]
        for name, value in request.headers.items():
            options += ["--header", f"{name}: {value}"]
        if request.octets is not None:
            body = output.with_name(f"{output.stem}-body")  # one argument takes 128 KiB
            body.write_bytes(request.octets)
            options += ["--data-binary", f"@{body}"]
        if request.framing == "chunked":
            options += ["--header", "Transfer-Encoding: chunked"]
        elif request.framing == "expect":
            options += ["--header", "Expect: 100-continue", "--expect100-timeout", "20"]
        return [*options, request.url]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a client: without a proxy, which would take its requests elsewhere."""
    return {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES} | more
