"""The secret is nowhere but with those who send it: not in an answer, a log, a metric, nor anywhere in the file."""

import stat
from pathlib import Path

import httpx
import pytest

from tests.support import secrecy
from tests.support.local_server import LocalServer

SECRET = "Zq7fQ0wM2nTb5kVx"  # noqa: S105 - of this test's server
OLD = "Hc9sLr4uYd1gPa8e"
HOOK = "whsec_" + "QmV3YXJlIG9mIHRoZSBkb2cgYXQgbmlnaHQ="


@pytest.mark.slow
def test_the_secrets_are_in_nothing_that_comes_out(tmp_path: Path) -> None:
    options = ("--old-secret", OLD, "--webhook-secret", HOOK, "--webhook", "http://127.0.0.1:9/hook")
    with LocalServer(tmp_path / "tasks.db", secret=SECRET, options=options) as server:
        said = [secrecy.answers(server.url, secret) for secret in (SECRET, OLD)]
        said.append(httpx.get(f"{server.url}/metrics", headers={secrecy.HEADER: SECRET}).text)
        assert "past" in said[0]
        assert "task_scheduler_scheduled_total" in said[-1]
        assert said[0].count("\n401 ") >= 6
        live = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        server.stop()
    left = live + b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"past" in left
    assert "webhook" in server.errors  # which are among the files
    for secret in (SECRET, OLD, HOOK, HOOK.removeprefix("whsec_")):
        assert secret.encode() not in left
        assert not [text for text in said if secret in text]


def _readers(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode) & 0o077


@pytest.mark.slow
def test_no_other_user_of_the_machine_can_read_the_tasks(tmp_path: Path) -> None:
    """Nor while the server runs, when SQLite has files beside the one; the lock has nothing in it."""
    data = tmp_path / "tasks.db"
    with LocalServer(data) as server:
        httpx.post(f"{server.url}/schedule", json={"in": "1d", "message": "private"}).raise_for_status()
        there = {file.name: _readers(file) for file in tmp_path.glob("tasks.db*") if file.stat().st_size}
        assert there.keys() >= {"tasks.db", "tasks.db-wal"}
        assert set(there.values()) == {0}
    assert _readers(data) == 0


@pytest.mark.slow
def test_who_may_read_a_file_that_is_there_is_left_to_its_owner(tmp_path: Path) -> None:
    data = tmp_path / "tasks.db"
    data.touch()
    data.chmod(0o640)
    with LocalServer(data):
        pass
    assert _readers(data) == 0o040
