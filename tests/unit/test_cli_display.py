"""What the command line shows in a terminal."""

import io
import re
import sys
from datetime import UTC, datetime

import httpx
import pytest

from task_scheduler.cli import output
from task_scheduler.client import Client, Task
from tests.support.fake_service import EVIL, TASK_ID, Service, answer, shown


class Terminal(io.StringIO):
    """Somebody looks at it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def task(**fields: object) -> Task:
    """A task as the client gives it."""
    with Client(transport=httpx.MockTransport(Service([answer(shown(**fields))]))) as client:
        return client.get(TASK_ID)


def test_rows_in_a_terminal_have_colours_whole_ids_and_nothing_of_the_users_making(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for width in (100, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        add = output.task_rows()
        add(task(message=EVIL))
        add(task(message="日本語" * 60))
    lines = screen.getvalue().splitlines()
    assert "\x1b[1mID" in lines[0]
    assert all(TASK_ID in line for line in lines if "ID" not in line)
    assert "\x1b[36mscheduled" in lines[1]
    assert "\\x1b[31mred" in lines[1]
    assert "\x1b[31m" not in lines[1]
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert "\x1b" not in "".join(plain)
    assert len(plain[1]) <= 100
    assert plain[2].endswith("…")


def test_a_time_is_told_with_how_far_away_it_is() -> None:
    now = datetime(2026, 12, 1, 8, tzinfo=UTC)
    for when, told in (
        ("2026-12-01T08:00:00Z", "now"),
        ("2026-12-01T08:00:59Z", "in 59 s"),
        ("2026-12-03T10:01:00Z", "in 2 d 2 h"),
        ("2026-12-01T06:30:00Z", "1 h 30 min ago"),
    ):
        assert output.moment_in_full(datetime.fromisoformat(when), now).endswith(f"({told})")
