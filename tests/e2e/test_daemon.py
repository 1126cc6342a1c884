"""The server as other programs run it: without standard output, on files that are moved, and watched in a terminal."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emulator.process import free_port
from tests.support.api import PAST
from tests.support.clock import eventually
from tests.support.local_server import LocalServer

BODY = {"in": "1h", "message": "hello"}


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_server_whose_standard_streams_are_closed_serves_and_ends_cleanly(tmp_path: Path, closed: str) -> None:
    """The data file must not get the number of standard output, or what is printed would be written into it."""
    data = tmp_path / "tasks.db"
    port = free_port(0)
    command = f"exec {sys.executable} -m task_scheduler.cli serve --port {port} --data {data} {closed}"
    server = subprocess.Popen(["bash", "-c", command])  # noqa: S603, S607 - our own
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _is_well(url), within=60)
        httpx.post(f"{url}/schedule", json=BODY).raise_for_status()
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
    with closing(sqlite3.connect(data)) as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (1,)
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_nothing_is_accepted_into_a_file_that_was_deleted(tmp_path: Path) -> None:
    data = tmp_path / "data" / "tasks.db"
    data.parent.mkdir()
    with LocalServer(data, folder=tmp_path) as server:
        due = httpx.post(f"{server.url}/schedule", json={"in": 2, "message": "due"}).raise_for_status().json()["id"]
        for file in data.parent.iterdir():
            file.unlink()
        response = httpx.post(f"{server.url}/schedule", json=BODY)
        assert response.status_code == 503
        assert "was deleted or replaced" in response.json()["errors"][0]
        health = httpx.get(f"{server.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "failing")
        events = eventually(lambda: httpx.get(f"{server.url}/events").json()["events"], within=30)
        assert [event["metadata"]["id"] for event in events] == [due]
        eventually(lambda: "deleted or replaced" in server.errors, within=30)


def test_a_line_tells_of_each_task_that_is_accepted_and_emitted_unless_quiet(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "loud.db") as server:
        assert f"Open {server.url} in a browser" in server.output
        api = server.api()
        task = api.schedule({"timestamp": PAST, "message": "a private message"})
        eventually(lambda: f"Emitted  {task.id}, " in server.output, within=30)
        assert f"Accepted {task.id}, due at 2020-08-21T04:29:00.951Z" in server.output
        for _ in range(3):
            api.schedule_batch([{"in": 0, "message": "many"}] * 100)
        eventually(lambda: " more\n" in server.output, within=30)
        assert "private" not in server.output
    with LocalServer(tmp_path / "quiet.db", options=("--quiet",)) as server:
        httpx.post(f"{server.url}/schedule", json={"in": 0, "message": "hello"}).raise_for_status()
        eventually(lambda: httpx.get(f"{server.url}/events").json()["events"], within=30)
        assert "Accepted" not in server.output


def _is_well(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
