"""Import and export in a shell: each task once, whatever ends the command on the way."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from task_scheduler.client import Client
from tests.support.clock import eventually
from tests.support.local_server import LocalServer
from tests.support.terminal import WITHIN, run, started

pytestmark = pytest.mark.slow

_LINES = 1_500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server."""
    with LocalServer(tmp_path / "tasks.db") as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    """What looks at the server."""
    with Client(server.url, "") as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of many lines."""
    file = tmp_path / "tasks.jsonl"
    tasks = ({"timestamp": "2031-01-01T00:00:00Z", "message": number} for number in range(_LINES))
    file.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    return file


def messages(client: Client) -> list[int]:
    return sorted(task.message for task in client.list(page_size=1_000))


def test_an_import_ended_by_ctrl_c_goes_on_and_makes_nothing_twice(
    server: LocalServer, client: Client, file: Path
) -> None:
    with started("import", str(file), url=server.url) as process:
        eventually(lambda: next(client.list(), None), every=0.01)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=WITHIN)
    assert (process.returncode, stdout) == (130, "")
    told = re.fullmatch(r"Interrupted\. ([\d,]+) lines? imported\. .*\n", stderr)
    assert told, stderr
    count = int(told[1].replace(",", ""))
    assert count <= len(messages(client)) < _LINES
    for _ in range(2):
        done = run("import", str(file), "--json", url=server.url)
        assert json.loads(done.stdout) == {"imported": _LINES, "refused": 0}
        assert messages(client) == list(range(_LINES))


def test_an_import_goes_on_across_a_crash_of_the_server(tmp_path: Path, file: Path) -> None:
    data = tmp_path / "tasks.db"
    with LocalServer(data) as server, started("import", str(file), url=server.url) as process:
        with Client(server.url, "") as client:
            eventually(lambda: next(client.list(), None), every=0.01)
        server.kill()
        port = int(server.url.rpartition(":")[2])
        with LocalServer(data, port=port, folder=tmp_path) as again, Client(again.url, "") as client:
            stdout, stderr = process.communicate(timeout=WITHIN)
            assert (process.returncode, stderr) == (0, ""), stdout
            assert messages(client) == list(range(_LINES))


def test_ctrl_c_ends_an_import_that_waits_for_its_input(server: LocalServer, client: Client) -> None:
    with started("import", "-", url=server.url, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write('{"in": "1h", "message": "at once"}\n')
        process.stdin.flush()
        eventually(lambda: next(client.list(), None))  # although more may follow
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN) == 130
        stdout, stderr = process.communicate(timeout=WITHIN)
    assert (stdout, stderr.count("\n")) == ("", 1)
    assert re.match(r"Interrupted\. (0 lines|1 line) imported\.", stderr)


def test_an_export_is_imported_elsewhere_as_it_was(server: LocalServer, client: Client, tmp_path: Path) -> None:
    client.schedule("2031-07-01T09:00", {"n": 1}, timezone="Europe/Berlin", tags={"user": "42"}, extra={"cup": 2})
    client.schedule("2031-07-01T09:00:00.250Z", "a\u2028b\x9b")
    client.cancel(client.schedule_in("1h", "cancelled").id)
    (tmp_path / "other").mkdir()
    with LocalServer(tmp_path / "other" / "tasks.db") as other, Client(other.url, "") as target:
        exported = run("export", url=server.url)
        for _ in range(2):
            assert run("import", "-", url=other.url, given=exported.stdout).returncode == 0
        found = [(task.timestamp, task.message, task.extra) for task in target.list()]
        assert found == [(task.timestamp, task.message, task.extra) for task in client.list("scheduled")]
        again = run("export", url=other.url)
    without_ids = [[{**json.loads(line), "id": ""} for line in text.stdout.splitlines()] for text in (exported, again)]
    assert without_ids[0] == without_ids[1]
