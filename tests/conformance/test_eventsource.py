"""The npm package eventsource, on a line that is cut: it misses nothing and sees nothing twice."""

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.clients import node
from tests.support.api import Api, together
from tests.support.clock import eventually
from tests.support.cutting_proxy import CuttingProxy
from tests.support.event_log import EventLog

pytestmark = pytest.mark.slow  # and needs what npm installs


class Listener:
    """A process that listens, and what it has seen so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process = process
        self._output = output
        self._errors = errors

    def lines(self) -> list[dict[str, Any]]:
        """Return everything it has written."""
        assert self._process.poll() is None, self._errors.read_text()
        text = self._output.read_text()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def messages(self) -> list[dict[str, Any]]:
        """Return what its `onmessage` has seen."""
        return [line for line in self.lines() if "task" in line]

    def wait_for(self, wanted: set[str]) -> None:
        """Wait until it has seen these tasks."""
        eventually(lambda: wanted <= {line["task"] for line in self.messages()}, within=60, every=0.1)


@contextmanager
def listening(url: str, secret: str, folder: Path) -> Iterator[Listener]:
    output, errors = folder / "seen.jsonl", folder / "errors.txt"
    with output.open("wb") as seen, errors.open("wb") as failed:
        command = node("listen.cjs", url, secret)
        process = subprocess.Popen(command, stdout=seen, stderr=failed)  # noqa: S603 - our own script
    try:
        yield Listener(process, output, errors)
    finally:
        process.kill()
        process.wait()


def test_an_eventsource_that_is_cut_misses_nothing_and_sees_nothing_twice(
    api: Api, log: EventLog, tmp_path: Path
) -> None:
    if not api.deployment.url.startswith(("http://", "https://127.0.0.1:")):
        pytest.skip("the proxy has no certificate for another host's name")
    choose = random.Random(11)  # noqa: S311 - where to cut, nothing secret

    def schedule_some(count: int) -> set[str]:
        bodies = [{"in": choose.random(), "message": "x" * choose.randint(0, 500)} for _ in range(count)]
        return {task.id for task in together(api.schedule, bodies)}

    with (
        CuttingProxy(f"{api.deployment.url.rstrip('/')}/events") as proxy,
        listening(proxy.url, api.deployment.secret or "", tmp_path) as listener,
    ):
        start = int(eventually(lambda: [line["position"] for line in listener.lines() if "position" in line])[0])
        proxy.cut()  # before its first event
        wanted = schedule_some(5)
        listener.wait_for(wanted)
        for _ in range(2):
            proxy.cut_after(choose.randint(300, 3_000))  # within a frame
            wanted |= schedule_some(8)
            listener.wait_for(wanted)
        seen = listener.messages()
        assert len([line for line in listener.lines() if "error" in line]) >= 3
    numbers = [int(line["id"]) for line in seen]
    assert numbers == sorted(set(numbers))
    logged: list[Any] = []
    while len(logged) < len(seen):  # others may emit at the same time, more than fit on a page
        page = api.send("GET", f"/events?after={start}&limit=1000").body
        logged += page["events"]
        start = page["position"]
    logged = logged[: len(seen)]
    assert [line["id"] for line in seen] == [envelope["id"] for envelope in logged]
    # Numbers beyond 2**53, which other tests send, are not the same in JavaScript.
    ours = {envelope["id"]: envelope for envelope in logged if envelope["metadata"]["id"] in wanted}
    assert {line["id"]: line["data"] for line in seen if line["id"] in ours} == ours
    log.wait_for(api.ledger.accepted[task_id] for task_id in wanted)
