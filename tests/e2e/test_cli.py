"""The command line in a shell: pipes, cuts, Ctrl-C, a server that is not there."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from task_scheduler.client import Client
from tests.support.clock import eventually
from tests.support.local_server import LocalServer
from tests.support.terminal import WITHIN, run, started

pytestmark = pytest.mark.slow

_SECRET = "of a server that lives for a second"  # noqa: S105 - it guards nothing


def _collect(follower: subprocess.Popen[str], seen: list[int]) -> None:
    assert follower.stdout is not None
    seen.extend(json.loads(line)["event"]["message"] for line in follower.stdout)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server with a secret."""
    with LocalServer(tmp_path / "tasks.db", secret=_SECRET) as server:
        yield server


@pytest.fixture
def nobody() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_what_is_scheduled_in_a_pipe_is_listed_shown_moved_and_cancelled(server: LocalServer) -> None:
    def ours(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return run(*arguments, url=server.url, secret=_SECRET, given=given)

    made = ours("schedule", "--in", "1h", "--json", given='{"a": 1}\n')
    assert (made.returncode, made.stderr) == (0, "")
    task_id = json.loads(made.stdout)["id"]
    there = ours("schedule", "Grüße", "--at", "2031-07-01 09:00", "--tz", "Europe/Berlin")
    assert "2031-07-01T07:00:00.000Z" in there.stdout
    assert [task["message"] for task in json.loads(ours("list", "--json").stdout)] == [{"a": 1}, "Grüße"]
    assert task_id in ours("reschedule", task_id, "--in", "2h", "--message", "[1]").stdout
    assert json.loads(ours("show", task_id, "--json").stdout)["message"] == [1]
    assert ours("cancel", task_id).stdout == f"Cancelled {task_id}\n"
    late = ours("reschedule", task_id, "--in", "2h")
    assert (late.returncode, late.stdout) == (1, "")
    assert "already cancelled" in late.stderr


@pytest.mark.parametrize("command", ["list", "events -f", "import -", "export", "schedule x --in 5"])
def test_a_server_that_is_not_there_is_told(nobody: str, command: str) -> None:
    done = run(*command.split(), url=nobody)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Cannot reach {nobody}: connection refused. Start one with `task-scheduler serve`, or name another by "
        "--url or TASK_SCHEDULER_URL.\n"
    )


def test_events_are_followed_across_a_crash_of_the_server(tmp_path: Path) -> None:
    data = tmp_path / "tasks.db"
    seen: list[int] = []
    with LocalServer(data) as server, ExitStack() as stack:
        follower = stack.enter_context(started("events", "-f", "--json", url=server.url))
        reader = threading.Thread(target=_collect, args=(follower, seen))
        reader.start()
        with Client(server.url, "") as client:
            # Until the follower is there, what is emitted is not for it.
            eventually(lambda: client.schedule_in(0, -1).id and seen, every=0.2)
            for number in range(5):
                client.schedule_in(0, number)
            eventually(lambda: 4 in seen)
            client.schedule_in(1, 5)
        server.kill()
        port = int(server.url.rpartition(":")[2])
        with LocalServer(data, port=port, folder=tmp_path) as again, Client(again.url, "") as client:
            client.schedule_in(0, 6)
            eventually(lambda: {5, 6} <= set(seen))
            follower.send_signal(signal.SIGINT)
            assert follower.wait(WITHIN) == 130
            reader.join(WITHIN)
        assert follower.stderr is not None
        [notice] = follower.stderr.read().splitlines()
    assert "Trying again; no event is lost." in notice
    assert [number for number in seen if 0 <= number < 5] == list(range(5))
    assert sorted(number for number in seen if number >= 0) == list(range(7))


@pytest.mark.parametrize("command", ["list", "list --json", "export"])
def test_a_reader_that_leaves_early_is_no_error_to_speak_of(server: LocalServer, command: str) -> None:
    with Client(server.url, _SECRET) as client:
        for _ in range(3):
            client.schedule_in("1h", "x" * 100_000)
    with started(*command.split(), url=server.url, secret=_SECRET) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(WITHIN) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_told(server: LocalServer) -> None:
    with Client(server.url, _SECRET) as client:
        client.schedule_in("1h", "hello")
    for command in ("list", "export"):
        with (
            Path("/dev/full").open("wb") as full,
            started(command, url=server.url, secret=_SECRET, stdout=full) as process,
        ):
            _, stderr = process.communicate(timeout=WITHIN)
        assert (process.returncode, stderr) == (1, "Cannot write the output: No space left on device.\n")


def test_in_a_terminal_there_are_colours_whole_ids_and_a_hint_where_more_follows(server: LocalServer) -> None:
    with Client(server.url, _SECRET) as client:
        ids = [client.schedule_in("1h", "evil \x1b[31m[red]x[/]").id for _ in range(2)]
    for limit, columns, hint in ((1, 120, "These are the first 1. Give --limit for more, or --all.\n"), (2, 40, "")):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        command = ("list", "--limit", str(limit))
        with (
            os.fdopen(theirs, "wb") as screen,
            started(*command, url=server.url, secret=_SECRET, stdout=screen) as process,
        ):
            _, stderr = process.communicate(timeout=WITHIN)
        output = os.read(ours, 65_536).decode()
        os.close(ours)
        assert (process.returncode, stderr) == (0, hint)
        assert [task_id in output for task_id in ids] == [True, limit == 2]
        assert "\x1b[36mscheduled" in output
        assert (r"evil \x1b[31m[red]x[/]" in output) == (columns == 120)
        assert "\x1b[31m" not in output


@pytest.mark.parametrize(("answered", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_in_a_terminal_cancelling_by_a_tag_asks_first(server: LocalServer, answered: str, code: int) -> None:
    with Client(server.url, _SECRET) as client:
        made = client.schedule_in("1h", "hello", tags={"user": "42"})
        ours, theirs = pty.openpty()
        with (
            os.fdopen(ours, "wb", buffering=0) as keyboard,
            os.fdopen(theirs, "rb") as terminal,
            started("cancel", "--tag", "user=42", url=server.url, secret=_SECRET, stdin=terminal) as process,
        ):
            keyboard.write(f"{answered}\n".encode())
            _, stderr = process.communicate(timeout=WITHIN)
        assert process.returncode == code
        assert stderr.startswith("Cancel all scheduled tasks with the tag user=42? [y/N] ")
        assert client.get(made.id).status == ("cancelled" if code == 0 else "scheduled")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("task-scheduler e", ["events", "export"]),
        ("task-scheduler list --status ", ["scheduled", "emitted", "cancelled", "failed", "any"]),
    ],
)
def test_a_shell_can_complete_commands_and_values(words: str, completed: list[str]) -> None:
    script = Path(sys.executable).with_name("task-scheduler")
    asked = {"_TASK_SCHEDULER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([script], env=os.environ | asked, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout.split() == [f"plain,{word}" for word in completed]
