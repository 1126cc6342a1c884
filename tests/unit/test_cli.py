"""The command line against a service that answers from a script: what it sends, shows, refuses and returns."""

import functools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

import task_scheduler.client
from task_scheduler.cli import output
from task_scheduler.cli.main import app
from task_scheduler.client import Client
from tests.support.fake_service import (
    EVIL,
    SCHEDULED,
    TASK_ID,
    URL,
    Answer,
    Service,
    answer,
    envelope,
    refusal,
    shown,
)

HEALTH = answer({"status": "ok", "version": "0.1.0"})


class Cli:
    """Runs commands, and keeps what the service was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.service = Service([])
        self.stdout = self.stderr = ""

    def __call__(self, *arguments: str, script: tuple[Answer, ...] = (), given: bytes | None = None) -> int:
        """Run a command and return its exit code."""
        self.service = Service([*script] or [refusal(500, "This request was not expected.")])
        transport = httpx.MockTransport(self.service)
        scripted = functools.partial(Client, transport=transport, sleep=self.service.pauses.append)
        self._monkeypatch.setattr(task_scheduler.client, "Client", scripted)
        result = CliRunner().invoke(app, arguments, input=given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        self.stdout, self.stderr = result.stdout, result.stderr
        return result.exit_code

    @property
    def body(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """What was sent in the only request."""
        [body] = self.service.bodies
        return body

    @property
    def error(self) -> str:
        """The last line on standard error, behind the usage of the command if it was not understood."""
        *usage, line = self.stderr.splitlines()
        assert not usage or usage[0].startswith("Usage: ")
        return line


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line, on a machine in Berlin that names a service and no secret."""
    monkeypatch.setenv("TASK_SCHEDULER_URL", URL)
    monkeypatch.delenv("TASK_SCHEDULER_SECRET", raising=False)
    return Cli(monkeypatch)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time zone of this machine."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hello", "Hello"),
        ("", ""),
        ('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (" [1] ", [1]),
        ("42", 42),
        ("true", True),
        ('"quoted"', "quoted"),
        ("null", "null"),
        ("nullify", "nullify"),
        ("truely", "truely"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("[1, NaN]", "[1, NaN]"),
        ("{not json}", "{not json}"),
        ("007", "007"),
        ("@@home", "@home"),
        ("[bold]x[/]", "[bold]x[/]"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_message_is_json_where_it_can_be(cli: Cli, text: str, message: object) -> None:
    assert cli("schedule", text, "--in", "5s", script=(answer(SCHEDULED),)) == 0
    assert cli.body == {"in": "5s", "message": message}


def test_a_message_can_be_forced_to_be_text_or_json(cli: Cli) -> None:
    assert cli("schedule", "42", "--in", "5s", "--text", script=(answer(SCHEDULED),)) == 0
    assert cli.body["message"] == "42"
    assert cli("schedule", "42", "--in", "5s", "--as-json", script=(answer(SCHEDULED),)) == 0
    assert cli.body["message"] == 42
    assert cli("schedule", "Hello", "--in", "5s", "--as-json") == 2
    assert "not JSON" in cli.error
    assert cli("schedule", "42", "--in", "5s", "--as-json", "--text") == 2
    assert cli.service.requests == []


def test_a_message_comes_from_a_file_or_standard_input(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "message.json"
    file.write_text('\ufeff{"a": "é"}\r\n')
    for arguments, given in (([f"@{file}"], b""), (["-"], file.read_bytes()), ([], file.read_bytes())):
        assert cli("schedule", *arguments, "--in", "5s", script=(answer(SCHEDULED),), given=given) == 0
        assert cli.body["message"] == {"a": "é"}


@pytest.mark.parametrize("given", [b"", b"\xff", b"x" * 1_048_577])
def test_standard_input_that_is_no_message_is_rejected(cli: Cli, given: bytes) -> None:
    assert cli("schedule", "--in", "5s", given=given) == 2
    assert "tandard input" in cli.error
    assert cli.service.requests == []


def test_a_missing_message_file_is_named(cli: Cli) -> None:
    assert cli("schedule", "@nowhere", "--in", "5s") == 2
    assert "Cannot read nowhere: No such file" in cli.error
    assert "@@" in cli.error


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (("--in", "30"), {"in": 30}),
        (("--in", "1.5"), {"in": 1.5}),
        (("--in", "2h"), {"in": "2h"}),
        (("--at", "2026-12-01T09:00:00Z"), {"timestamp": "2026-12-01T09:00:00Z"}),
        (("--at", "2026-12-01 09:00-05:00"), {"timestamp": "2026-12-01 09:00-05:00"}),
        (("--at", "2026-12-01 09:00"), {"timestamp": "2026-12-01T09:00:00+01:00"}),
        (("--at", "2026-07-01 09:00"), {"timestamp": "2026-07-01T09:00:00+02:00"}),
        (("--at", "2026-10-25 02:30"), {"timestamp": "2026-10-25T02:30:00+02:00"}),
        (
            ("--at", "2026-12-01 09:00", "--tz", "America/New_York"),
            {"timestamp": "2026-12-01 09:00", "timezone": "America/New_York"},
        ),
    ],
)
def test_a_time_is_sent_as_it_is_meant(cli: Cli, options: tuple[str, ...], sent: dict[str, object]) -> None:
    assert cli("schedule", "x", *options, script=(answer(SCHEDULED),)) == 0
    assert cli.body == {**sent, "message": "x"}
    assert cli("reschedule", TASK_ID, *options, script=(answer(shown()),)) == 0
    assert cli.body == sent


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--in"),
        (("--in", "5s", "--at", "2026-12-01"), "either --in or --at"),
        (("--tz", "Europe/Berlin"), "--tz goes with --at"),
        (("--in", "5s", "--tz", "Europe/Berlin"), "--tz goes with --at"),
        (("--at", "tomorrow"), "ISO 8601"),
        (("--at", "2026-02-30"), "ISO 8601"),
        (("--at", "2026-03-29 02:30"), "skipped"),
        (("--in", "5s", "--tag", "user"), "user=42"),
        (("--in", "5s", "--tag", "a=1", "--tag", "a=2"), "twice"),
        (("--in", "5s", "--field", "cup"), "cup=2"),
        (("--in", "5s", "--field", "id=x"), "id"),
        (("--in", "5s", "--idempotency-key", "é"), "ASCII"),
        (("--in", "5s", "--url", "localhost:8000"), "URL"),
        (("--in", "5s", "--secret", "a\nb"), "header"),
    ],
)
def test_contradicting_or_malformed_options_exit_with_2(cli: Cli, options: tuple[str, ...], words: str) -> None:
    assert cli("schedule", "x", *options) == 2
    assert words in cli.error
    assert cli.service.requests == []


def test_tags_fields_and_key_are_sent(cli: Cli) -> None:
    options = ["--tag", "user=4=2", "--tag", "kind:tea:green", "--field", "cup=2", "--field", "for=me=you"]
    assert cli("schedule", "x", "--in", "5s", *options, "--idempotency-key", "k 1", script=(answer(SCHEDULED),)) == 0
    assert cli.body == {
        "in": "5s",
        "message": "x",
        "tags": {"user": "4=2", "kind": "tea:green"},
        "cup": 2,
        "for": "me=you",
    }
    assert cli.service.sent("idempotency-key") == ["k 1"]


def test_cancel_goes_on_after_an_id_that_fails(cli: Cli) -> None:
    script = (refusal(404, "No task has the id 'a'."), answer({"id": "b"}), refusal(409, "Task c was emitted."))
    assert cli("cancel", "a", "b", "c", script=script) == 1
    assert cli.stdout == "Cancelled b\n"
    assert cli.stderr.splitlines() == ["No task has the id 'a'.", "Task c was emitted."]
    assert cli("cancel", "a", "b", "c", "--json", script=script) == 1
    assert json.loads(cli.stdout) == [
        {"id": "a", "cancelled": False, "errors": ["No task has the id 'a'."]},
        {"id": "b", "cancelled": True},
        {"id": "c", "cancelled": False, "errors": ["Task c was emitted."]},
    ]
    assert cli("cancel", "b", script=(answer({"id": "b"}),)) == 0


def test_cancel_by_tag_requires_yes_without_a_terminal(cli: Cli) -> None:
    done = answer({"cancelled": 3, "not_cancelled": 0, "more": False})
    assert cli("cancel", "--tag", "user=42", script=(done,)) == 2
    assert "--yes" in cli.error
    assert cli.service.requests == []
    assert cli("cancel", "--tag", "user=42", "--yes", script=(done,)) == 0
    assert (cli.stdout, cli.body) == ("Cancelled 3 tasks\n", {"tag": "user:42"})
    assert cli("cancel", "--tag", "user=42", "--yes", "--json", script=(done,)) == 0
    assert json.loads(cli.stdout) == {"cancelled": 3}
    for wrong in ((), ("a", "--tag", "user=42")):
        assert cli("cancel", *wrong) == 2


def test_a_task_is_shown_in_full_and_cannot_draw_on_the_terminal(cli: Cli) -> None:
    assert cli("reschedule", TASK_ID) == 2
    view = shown(extra={"tags": {"user": "42"}, "cup": 2, EVIL: EVIL}, message=EVIL)
    for command in (("show", TASK_ID), ("reschedule", TASK_ID, "--in", "5s")):
        assert cli(*command, "--json", script=(answer(view),)) == 0
        assert json.loads(cli.stdout) == view
    assert cli("show", TASK_ID, script=(answer(view),)) == 0
    assert "Tags" in cli.stdout
    assert "user=42" in cli.stdout
    assert cli.stdout.isprintable() or set(filter(lambda c: not c.isprintable(), cli.stdout)) == {"\n"}


def test_a_list_in_a_pipe_has_whole_plain_rows(cli: Cli) -> None:
    tasks = [shown(message="long " * 60), shown(message=EVIL, status="cancelled"), shown(message={"a": "é\u2028"})]
    assert cli("list", script=(answer({"tasks": tasks, "cursor": None}),)) == 0
    head, first, second, third = cli.stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "DUE", "MESSAGE"]
    assert first == f"{TASK_ID}  scheduled  2026-12-01T08:00:00.000Z  {('long ' * 60).rstrip()}"
    assert "\\x1b[31mred" in second
    assert second.isprintable()
    assert second.endswith("[bold]x[/] :boom:")
    assert third.endswith('{"a": "é\\u2028"}')
    assert cli.stderr == ""


@pytest.mark.usefixtures("berlin")
def test_a_list_asks_for_what_was_chosen_and_no_more_than_needed(cli: Cli) -> None:
    page = answer({"tasks": [shown()] * 3, "cursor": "next"})
    options = ["--status", "failed", "--from", "2026-12-01", "--to", "2026-12-02T00:00Z", "--tag", "user=42"]
    assert cli("list", *options, "--limit", "4", script=(page,)) == 0
    assert dict(cli.service.requests[0].url.params) == {
        "status": "failed",
        "from": "2026-12-01T00:00:00+01:00",
        "to": "2026-12-02T00:00Z",
        "tag": "user:42",
        "limit": "5",
    }
    assert len(cli.stdout.splitlines()) == 1 + 4
    end = answer({"tasks": [shown()], "cursor": None})
    for everything in (("--all",), ("--limit", "0")):
        assert cli("list", *everything, script=(page, page, end)) == 0
        assert len(cli.stdout.splitlines()) == 1 + 7
        assert cli.service.requests[0].url.params["limit"] == "1000"
    assert cli("list", "--status", "late") == 2


def test_list_and_export_show_scheduled_tasks_by_default(cli: Cli) -> None:
    nothing = answer({"tasks": [], "cursor": None})
    for command in ("list", "export"):
        assert cli(command, script=(nothing,)) == 0
        assert cli.service.requests[0].url.params["status"] == "scheduled"
        assert cli(command, "--status", "any", script=(nothing,)) == 0
        assert "status" not in cli.service.requests[0].url.params


def test_an_event_is_a_row_or_a_line_of_json(cli: Cli) -> None:
    page = answer({"events": [envelope(4), envelope(6)], "position": 6})
    nothing = answer({"events": [], "position": 6})
    assert cli("events", script=(page, nothing)) == 0
    assert [line.split()[:3] for line in cli.stdout.splitlines()] == [
        ["NUMBER", "EMITTED", "ID"],
        ["4", "2026-11-21T23:55:45.501Z", "task"],
        ["6", "2026-11-21T23:55:45.501Z", "task"],
    ]
    assert [request.url.params.get("before") for request in cli.service.requests] == [str(2**63 - 1), "4"]
    assert cli("events", "--after", "3", "--limit", "1", "--json", script=(page, nothing)) == 0
    assert json.loads(cli.stdout) == {
        "sequence": 4,
        "task_id": "task 4",
        "emitted_at": "2026-11-21T23:55:45.501Z",
        "event": envelope(4)["event"],
    }
    assert cli.service.requests[0].url.params["after"] == "3"


def test_a_wrong_secret_exits_with_1_and_a_hint(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = refusal(401, "The secret is missing: send it in the x-pd-secret header.")
    assert cli("list", script=(wrong,)) == 1
    assert cli.error.endswith("Set TASK_SCHEDULER_SECRET, or give --secret.")
    monkeypatch.setenv("TASK_SCHEDULER_SECRET", "hush")
    for options, sent in (((), "hush"), (("--secret", "other"), "other")):
        assert cli("list", *options, script=(wrong,)) == 1
        assert cli.service.sent("x-pd-secret") == [sent]
        assert sent not in cli.stdout + cli.stderr
    assert cli("list", "--help") == 0
    assert "hush" not in cli.stdout


def test_control_characters_in_errors_are_escaped(cli: Cli) -> None:
    assert cli("show", "x", script=(refusal(404, f"No task has the id {EVIL}."),)) == 1
    assert cli.error.isprintable()


def test_a_time_is_shown_with_its_distance_from_now() -> None:
    now = datetime(2026, 12, 1, 8, tzinfo=UTC)
    for when, told in (
        ("2026-12-01T08:00:00Z", "now"),
        ("2026-12-01T08:00:59Z", "in 59 s"),
        ("2026-12-03T10:01:00Z", "in 2 d 2 h"),
        ("2026-12-01T06:30:00Z", "1 h 30 min ago"),
    ):
        assert output.moment_in_full(datetime.fromisoformat(when), now).endswith(f"({told})")
