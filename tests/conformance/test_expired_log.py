"""Readers whose position is outside of the log: older than all that is stored, or of a log that is gone.

The positions beyond the end run on every deployment; what needs a week to pass runs where the clock can be set.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.api import PAST, Api
from tests.support.clock import eventually
from tests.support.event_log import EventLog
from tests.support.event_stream import position, stream
from tests.support.local_server import LocalServer
from tests.support.receiver import WEBHOOK_SECRET


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[tuple[LocalServer, Api]]:
    """A server whose only event expired after eight days."""
    with LocalServer(tmp_path / "tasks.db", options=("--test-clock",)) as server:
        api = server.api()
        log = EventLog(api)
        log.wait_for([api.schedule({"timestamp": PAST, "message": "expires"})])
        api.http.post("/clock", json={"advance": "8d"}).raise_for_status()
        eventually(lambda: not api.send("GET", "/events?after=0").body["events"], within=30)
        yield server, api


def cpu_s(server: LocalServer) -> float:
    """Return the CPU time of a server."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("last_event_id", [0, 1, 10**15])
def test_a_stream_from_a_position_outside_an_expired_log_waits_for_the_next_event(
    aged: tuple[LocalServer, Api], last_event_id: int
) -> None:
    server, api = aged
    with stream(api, last_event_id=last_event_id) as frames:
        next(frames)
        used = cpu_s(server)
        for _ in range(20):
            assert api.send("GET", "/health").body["status"] == "ok"
            time.sleep(0.05)
        assert cpu_s(server) - used < 0.9, "the server spins"
        task = api.schedule({"timestamp": PAST, "message": "the next one"})
        assert next(frame.task_id for frame in frames if frame.is_event) == task.id


def test_a_stream_that_is_behind_when_the_log_expires_waits_for_the_next_event(tmp_path: Path) -> None:
    """It holds the position of the last event, and that expires while it listens."""
    with LocalServer(tmp_path / "tasks.db", options=("--test-clock",)) as server:
        api = server.api()
        before = position(api)
        first = api.schedule({"timestamp": PAST, "message": "expires"})
        with stream(api, after=before) as frames:
            assert next(frame.task_id for frame in frames if frame.is_event) == first.id
            api.http.post("/clock", json={"advance": "8d"}).raise_for_status()
            eventually(lambda: not api.send("GET", "/events?after=0").body["events"], within=30)
            second = api.schedule({"timestamp": PAST, "message": "the next one"})
            assert next(frame.task_id for frame in frames if frame.is_event) == second.id


def test_a_page_of_an_expired_log_tells_where_to_go_on(aged: tuple[LocalServer, Api]) -> None:
    _, api = aged
    for after in (0, 1, 10**15):
        page = api.send("GET", f"/events?after={after}").body
        assert page == {"events": [], "position": 1}
    task = api.schedule({"timestamp": PAST, "message": "the next one"})
    EventLog(api, after=1).wait_for([task])


def test_readers_go_on_after_a_backup_was_restored(tmp_path: Path) -> None:
    """Their positions are those of events that the backup does not have."""
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    with LocalServer(data) as server:
        api = server.api()
        EventLog(api, after=0).wait_for([api.schedule({"timestamp": PAST, "message": "in the backup"})])
        source, target = sqlite3.connect(data), sqlite3.connect(backup)
        source.backup(target)
        source.close()
        target.close()
        tasks = [api.schedule({"timestamp": PAST, "message": "lost with the disk"}) for _ in range(3)]
        EventLog(api, after=1).wait_for(tasks)
    for left in data.parent.glob("tasks.db*"):
        left.unlink()
    backup.rename(data)
    with LocalServer(data) as server:
        api = server.api()
        with stream(api, last_event_id=4) as frames:
            told = next(frame.number for frame in frames if frame.fields.get("event") == "position")
            assert told == 1
            task = api.schedule({"timestamp": PAST, "message": "after the restoration"})
            assert next(frame.task_id for frame in frames if frame.is_event) == task.id


def test_a_webhook_that_was_behind_for_eight_days_does_not_freeze_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "tasks.db"
    monkeypatch.setenv("TASK_SCHEDULER_WEBHOOK_SECRET", WEBHOOK_SECRET)
    options = ("--webhook", "http://127.0.0.1:9/nobody", "--webhook-secret", WEBHOOK_SECRET)
    with LocalServer(data, options=options) as server:
        api = server.api()
        EventLog(api, after=0).wait_for([api.schedule({"timestamp": PAST, "message": "not accepted"})])
    eight_days = 8 * 86_400_000
    file = sqlite3.connect(data)
    with file:
        file.execute("UPDATE event SET emitted_ms = emitted_ms - ?", (eight_days,))
        file.execute("UPDATE task SET ended_ms = ended_ms - ?, due_ms = due_ms - ?", (eight_days, eight_days))
        file.execute("UPDATE webhook SET position = 0")
        file.execute("DELETE FROM delivery")
    file.close()
    with LocalServer(data, options=options) as server:
        for _ in range(10):
            assert httpx.get(f"{server.url}/health", timeout=5).status_code == 200
            time.sleep(0.1)
        used = cpu_s(server)
        time.sleep(1)
        assert cpu_s(server) - used < 0.9, "the server spins"
