"""The clients that the tests know, and which of them are on this machine."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from emulator.tools import NODE
from tests.clients.client import ROOT, Client, Curl, Framing, Program, environment

PROGRAMS: Final = Path(__file__).parent / "programs"


class NotInstalledError(Exception):
    """A client is not on this machine; the text says what is missing."""


@dataclass(frozen=True)
class Kind:
    """A client: how it starts in a folder for its files, and what it can do."""

    start: Callable[[Path], Client]
    keeps_connections: bool = True
    framings: tuple[Framing, ...] = ("sized", "chunked")
    """How it can send a body; `expect` is one that it sends after `100 Continue`."""
    gets_with_body: bool = True


def python(name: str) -> list[str]:
    """Return the command that runs a program in Python."""
    return [sys.executable, "-m", f"tests.clients.programs.{name}"]


def node(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a program in the Node.js that comes with the environment."""
    return [str(NODE), str(PROGRAMS / script), *arguments]


def _program(*command: str) -> Callable[[Path], Client]:
    return lambda folder: Program(command, folder / "errors.txt")


def _curl(*options: str) -> Callable[[Path], Client]:
    def start(folder: Path) -> Client:
        if "HTTP2" not in _output("curl", "--version"):
            raise NotInstalledError("curl has no HTTP/2")
        return Curl(folder, options)

    return start


def _go(folder: Path) -> Client:
    _output("go", "version")
    built = folder / "client"
    _build("go", "build", "-o", str(built), str(PROGRAMS / "client.go"))
    return Program([str(built)], folder / "errors.txt")


def _java(folder: Path) -> Client:
    _output("javac", "-version")
    _build("javac", "-d", str(folder), str(PROGRAMS / "Client.java"))
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    return Program(["java", *quick, "-cp", str(folder), "Client"], folder / "errors.txt")


def _php(kind: str) -> Callable[[Path], Client]:
    def start(folder: Path) -> Client:
        if "curl" not in _output("php", "-m").split() and kind != "stream":
            raise NotInstalledError("php-curl is not installed")
        return Program(["php", str(PROGRAMS / "client.php"), kind], folder / "errors.txt")

    return start


def _ruby(folder: Path) -> Client:
    _output("ruby", "--version")
    return Program(["ruby", str(PROGRAMS / "client.rb")], folder / "errors.txt")


def _output(program: str, option: str) -> str:
    """Return what a program says of itself; macOS has commands that only say how to install the program."""
    if not shutil.which(program):
        raise NotInstalledError(f"{program} is not installed")
    done = subprocess.run([program, option], env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - one of the above
    if done.returncode:
        raise NotInstalledError(f"{program} is not installed")
    return done.stdout


def _build(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - one of the above
    assert done.returncode == 0, done.stderr


_ALL: Final = get_args(Framing)

CLIENTS: Final = {
    "curl": Kind(_curl("--http1.1"), framings=_ALL),
    "curl-http2": Kind(_curl("--http2"), framings=_ALL),
    "go": Kind(_go, framings=_ALL),
    "java": Kind(_java, framings=_ALL),
    "node-http": Kind(_program(*node("client_http.cjs")), framings=_ALL),
    "node-fetch": Kind(_program(*node("client_fetch.mjs")), gets_with_body=False),
    "node-axios-0": Kind(_program(*node("client_axios.cjs", "axios0"))),
    "node-axios-1": Kind(_program(*node("client_axios.cjs", "axios"))),
    "php-stream": Kind(_php("stream"), keeps_connections=False, framings=("sized",)),
    "php-curl": Kind(_php("curl"), framings=_ALL),
    "php-curl-http2": Kind(_php("curl-http2"), framings=_ALL),
    "python-urllib": Kind(_program(*python("client_urllib")), keeps_connections=False),
    "python-requests": Kind(_program(*python("client_requests"))),
    "python-httpx": Kind(_program(*python("client_httpx"))),
    "python-aiohttp": Kind(_program(*python("client_aiohttp")), framings=_ALL),
    "ruby": Kind(_ruby, framings=_ALL),
}

READERS: Final = {
    "node-eventsource": node("reader_eventsource.cjs"),
    "node-fetch": node("reader_fetch.mjs"),
    "python-httpx": python("reader_httpx_lines"),
    "python-aiohttp": python("reader_aiohttp"),
    "python-requests": python("reader_requests_lines"),
    "python-sseclient": python("reader_sseclient"),
}
"""Each has all that it needs from the environment."""
