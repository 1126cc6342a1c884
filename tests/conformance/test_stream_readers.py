"""The event stream with usual readers, on a line that is cut: they miss nothing and see nothing twice."""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.client import ROOT, environment
from tests.clients.installed import READERS
from tests.support.api import Api, Deployment, together
from tests.support.clock import eventually
from tests.support.cutting_proxy import CuttingProxy
from tests.support.event_log import EventLog

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

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type that it has seen: their ids and data."""
        assert self._process.poll() is None, self._errors.read_text()
        seen = [json.loads(line) for line in self._output.read_bytes().split(b"\n")[:-1]]
        return [event for event in seen if event["type"] == kind]

    def wait_for(self, tasks: set[str]) -> list[dict[str, Any]]:
        """Wait until it has seen these tasks; returns the envelopes that it has seen."""

        def seen() -> list[dict[str, Any]] | None:
            envelopes = [json.loads(event["data"]) for event in self.of_type("message")]
            return envelopes if tasks <= {envelope["metadata"]["id"] for envelope in envelopes} else None

        return eventually(seen, within=60, every=0.1)


@pytest.fixture
def proxy(deployment: Deployment, name: str) -> Iterator[CuttingProxy]:
    if not deployment.url.startswith(("http://", "https://127.0.0.1:")):
        pytest.skip("the proxy has no certificate for another host's name")
    if deployment.kind == "emulator" and name != "node-eventsource":
        pytest.skip("one reader is enough for long polls")
    with CuttingProxy(f"{deployment.url.rstrip('/')}/events") as listening:
        yield listening


@pytest.fixture
def reader(name: str, deployment: Deployment, proxy: CuttingProxy, tmp_path: Path) -> Iterator[Reader]:
    output, errors = tmp_path / "seen.jsonl", tmp_path / "errors.txt"
    with output.open("wb") as seen, errors.open("wb") as failed:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*READERS[name], proxy.url],
            cwd=ROOT,
            env=environment(SECRET=deployment.secret or ""),
            stdout=seen,
            stderr=failed,
        )
    try:
        yield Reader(process, output, errors)
    finally:
        process.kill()
        process.wait()


def test_a_reader_that_is_cut_sees_each_event_once_and_whole(
    api: Api, log: EventLog, reader: Reader, proxy: CuttingProxy
) -> None:
    choose = random.Random(11)  # noqa: S311 - where to cut, nothing secret
    [position] = eventually(lambda: reader.of_type("position"))
    wanted: set[str] = set()
    for within_a_frame in (False, True, True):
        if within_a_frame:
            proxy.cut_after(choose.randint(300, 3_000))
        else:
            proxy.cut()  # before its first event
        tasks = together(api.schedule, [{"in": choose.random(), "message": text} for text in _TEXTS])
        wanted |= {task.id for task in tasks}
        seen = reader.wait_for(wanted)
    logged: list[Any] = []
    start = int(position["id"])
    while len(logged) < len(seen):  # others may emit at the same time, more than fit on a page
        page = api.send("GET", f"/events?after={start}&limit=1000").body
        logged += page["events"]
        start = page["position"]
    assert [event["id"] for event in reader.of_type("message")][: len(seen)] == [
        one["id"] for one in logged[: len(seen)]
    ]
    # Numbers beyond 2**53, which other tests send, are not the same in JavaScript.
    ours = [envelope for envelope in logged[: len(seen)] if envelope["metadata"]["id"] in wanted]
    assert [envelope for envelope in seen if envelope["metadata"]["id"] in wanted] == ours
    assert len(ours) == len(wanted)
    assert len(reader.of_type("position")) == 1, "a reader that has a position gets no other"
    assert b"\r\nlast-event-id: " in bytes(proxy.connections[-1].sent).lower() or proxy.url.startswith("https:")
    log.wait_for(api.ledger.accepted[task_id] for task_id in wanted)
