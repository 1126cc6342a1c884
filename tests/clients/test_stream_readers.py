"""The event stream with usual readers: characters at which some of them end a line, and a connection that is cut."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.clients.client import ROOT, environment
from tests.clients.installed import READERS
from tests.clients.report import note
from tests.support.api import SECRET_HEADER, Deployment
from tests.support.clock import eventually
from tests.support.cutting_proxy import CuttingProxy

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", READERS)]

_TEXTS: Final = [
    "\u2028 LINE SEPARATOR",
    "\u2029 PARAGRAPH SEPARATOR",
    "\u0085 NEXT LINE",
    "\r\n\n\r line ends",
    "\x0b\x0c\x1c\x1d\x1e other characters at which Python splits lines",
    "\ufeff \U0001f680 Grüße",
    "data: x\n\nid: 0\n\n",
    "x" * 190_000 + "\u2028",
]


class Reader:
    """A process that reads, and what it has seen so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process = process
        self._output = output
        self._errors = errors

    def events(self) -> list[dict[str, Any]]:
        """Return each event that it has seen: its id, type and data."""
        assert self._process.poll() is None, self._errors.read_text()
        return [json.loads(line) for line in self._output.read_bytes().split(b"\n")[:-1]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type."""
        return [event for event in self.events() if event["type"] == kind]


@pytest.fixture
def reader(
    name: str, server: Deployment, proxy: CuttingProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Reader]:
    note(request.node, f"{name} (events)")
    with reading(READERS[name], f"{proxy.url.rstrip('/')}/events", server.secret or "", tmp_path) as started:
        yield started


@contextmanager
def reading(command: list[str], url: str, secret: str, folder: Path) -> Iterator[Reader]:
    output, errors = folder / "seen.jsonl", folder / "errors.txt"
    with output.open("wb") as seen, errors.open("wb") as failed:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, url], cwd=ROOT, env=environment(SECRET=secret), stdout=seen, stderr=failed
        )
    try:
        yield Reader(process, output, errors)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def http(server: Deployment) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={SECRET_HEADER: server.secret or ""}) as client:
        yield client


def test_a_reader_that_is_cut_sees_each_event_once_and_whole(
    reader: Reader, proxy: CuttingProxy, http: httpx.Client
) -> None:
    def emit(texts: list[str]) -> None:
        for text in texts:
            http.post("/schedule", json={"in": 0, "message": text}).raise_for_status()

    [position] = eventually(lambda: reader.of_type("position"))
    proxy.cut()  # before its first event
    emit(_TEXTS)
    eventually(lambda: len(reader.of_type("message")) >= len(_TEXTS))
    proxy.cut()
    emit(_TEXTS)
    eventually(lambda: len(reader.of_type("message")) >= 2 * len(_TEXTS))
    seen = reader.of_type("message")
    logged = http.get("/events", params={"after": position["id"], "limit": 1000}).json()["events"]
    assert [json.loads(event["data"]) for event in seen] == logged
    assert [event["id"] for event in seen] == [envelope["id"] for envelope in logged]
    assert sorted(envelope["event"]["message"] for envelope in logged) == sorted(_TEXTS * 2)
    assert len(reader.of_type("position")) == 1, "a reader that has a position gets no other"
    assert b"\r\nlast-event-id: " in bytes(proxy.connections[-1].sent).lower()
