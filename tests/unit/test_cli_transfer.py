"""Import and export: lines of JSON to tasks and back, each once, whatever happens on the way."""

import functools
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import task_scheduler.client
from task_scheduler.cli import jsonl
from task_scheduler.cli.main import app
from task_scheduler.client import AsyncClient, Client, Status, Task
from tests.support.fake_service import TASK_ID, URL, answer, refusal, shown

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = {"timestamp": "2026-12-01T09:00:00Z", "message": "hello"}


class Shelf:
    """A service that keeps one task for each idempotency key."""

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.pages: list[httpx.Response | BaseException] = []
        self.trouble: Callable[[int], httpx.Response | None] = lambda _count: None
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        if request.url.path.endswith("/health"):
            return answer({"status": "ok", "version": "0.1.0"})
        if request.method == "GET":
            page = self.pages.pop(0)
            if isinstance(page, BaseException):
                raise page
            return page
        self.requests += 1
        if (trouble := self.trouble(self.requests)) is not None:
            return trouble
        body, key = json.loads(request.content), request.headers["idempotency-key"]
        assert 1 <= len(key) <= 255
        if "message" not in body or "id" in body:
            return refusal(400, "message is missing.")
        if self.tasks.setdefault(key, body) != body:
            return refusal(409, "This Idempotency-Key was used for another request.")
        return answer({"id": TASK_ID, "message": "", "timestamp": "2026-12-01T09:00:00.000Z"})


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The service of every command."""

    async def at_once(_seconds: float) -> None:
        return None

    shelf = Shelf()
    transport = httpx.MockTransport(shelf)
    client = functools.partial(Client, transport=transport, sleep=lambda _seconds: None)
    monkeypatch.setattr(task_scheduler.client, "Client", client)
    monkeypatch.setattr(
        task_scheduler.client, "AsyncClient", functools.partial(AsyncClient, transport=transport, sleep=at_once)
    )
    monkeypatch.setenv("TASK_SCHEDULER_URL", URL)
    return shelf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to import, or the place for an export."""
    return tmp_path / "tasks.jsonl"


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(file: Path, *content: object) -> None:
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in content))


def task(**fields: Any) -> Task:  # noqa: ANN401 - of a task
    return Task(
        **{
            "id": TASK_ID,
            "status": Status.SCHEDULED,
            "timestamp": datetime(2026, 12, 1, 8, tzinfo=UTC),
            "message": "hello",
            "extra": {},
            "created_at": datetime(2026, 11, 22, tzinfo=UTC),
            "emitted_at": None,
            "cancelled_at": None,
            "failed_at": None,
            **fields,
        }
    )


def test_equal_lines_are_tasks_of_their_own_unless_they_have_one_id(shelf: Shelf, file: Path) -> None:
    other = {"message": "hello", "timestamp": LINE["timestamp"]}
    write(file, LINE, LINE, other, {"id": "a", **LINE}, {"id": "a", **LINE}, {"id": "b", **LINE})
    for _ in range(2):
        assert run("import", str(file)).exit_code == 0
        assert list(shelf.tasks.values()) == [LINE] * 5


def test_lines_that_are_refused_are_named_and_the_others_imported(shelf: Shelf, file: Path) -> None:
    large = '{"message": "' + "x" * jsonl.MAX_LINE_BYTES * 2 + '"}'
    write(
        file, LINE, "", "no json", "[1]", {"timestamp": "x"}, large, '{"message": NaN}', '{"message": "\\ud800"}', LINE
    )
    file.write_bytes(file.read_bytes() + b'{"message": "\xff"}\n' + json.dumps({**LINE, "last": True}).encode())
    result = run("import", str(file))
    assert result.exit_code == 1
    complaints = dict(line.split(": ", 1) for line in result.stderr.splitlines())
    assert set(complaints) == {f"Line {number}" for number in (3, 4, 5, 6, 7, 8, 10)}
    assert complaints["Line 3"] == "The line is not JSON: Expecting value at column 1."
    assert complaints["Line 5"] == "message is missing."
    assert "2,097,152 bytes" in complaints["Line 6"]
    assert "surrogate" in complaints["Line 8"]
    assert "UTF-8" in complaints["Line 10"]
    assert result.stdout.startswith("Imported 3 lines, refused 7.")
    assert list(shelf.tasks.values()) == [LINE, LINE, {**LINE, "last": True}]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n  "])
def test_a_json_array_is_rejected_as_a_whole_with_a_hint(shelf: Shelf, file: Path, start: bytes) -> None:
    file.write_bytes(start + b'[\n{"in":"1h","message":"one"},\n{"in":"1h","message":"two"}\n]\n')
    result = run("import", str(file))
    assert result.exit_code == 2
    assert "jq -c" in result.stderr
    assert shelf.tasks == {}


def test_an_import_waits_for_a_service_in_trouble(shelf: Shelf, file: Path) -> None:
    write(file, *({**LINE, "n": number} for number in range(50)))
    shelf.trouble = lambda count: refusal(429, "Slow down.") if count % 3 else None
    assert run("import", str(file)).exit_code == 0
    assert len(shelf.tasks) == 50


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (refusal(503, "The disk is full."), "The disk is full."),
        (refusal(401, "The secret is missing."), "Set TASK_SCHEDULER_SECRET"),
        (httpx.Response(200, html="<h1>It works!</h1>"), "is the URL right?"),
    ],
)
def test_an_import_that_cannot_go_on_says_how_far_it_got(
    shelf: Shelf, file: Path, trouble: httpx.Response, words: str
) -> None:
    write(file, *({**LINE, "n": number} for number in range(50)))
    shelf.trouble = lambda count: (
        None if count <= 20 else httpx.Response(trouble.status_code, headers=trouble.headers, content=trouble.content)
    )
    result = run("import", str(file))
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert words in line
    assert "20 lines imported" in line
    shelf.trouble = lambda _count: None
    assert run("import", str(file)).exit_code == 0
    assert len(shelf.tasks) == 50


def test_a_file_that_cannot_be_read_is_named(shelf: Shelf, tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr
    result = run("import", str(tmp_path))
    assert result.exit_code == 2
    assert "s a directory" in result.stderr
    assert shelf.requests == 0


def test_an_export_that_fails_leaves_the_file_as_it_was(shelf: Shelf, file: Path) -> None:
    write(file, "the last export")
    shelf.pages = [answer({"tasks": [shown()], "cursor": "x"}), refusal(401, "The secret is wrong.")]
    assert run("export", str(file)).exit_code == 1
    assert file.read_text() == "the last export\n"
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - the names are what matters


def test_an_export_ended_by_ctrl_c_says_how_far_it_got(shelf: Shelf, file: Path) -> None:
    write(file, "the last export")
    first = answer({"tasks": [shown()], "cursor": "x"})
    for arguments, state in (([str(file)], f"{file} is as it was"), ([], "the rest is missing")):
        shelf.pages = [httpx.Response(200, content=first.content), KeyboardInterrupt()]
        result = run("export", *arguments)
        assert (result.exit_code, result.stderr) == (130, f"Interrupted after 1 task; {state}.\n")
    assert file.read_text() == "the last export\n"


def test_an_export_keeps_the_mode_of_a_file_and_follows_a_link(shelf: Shelf, file: Path) -> None:
    write(file, "the last export")
    file.chmod(0o600)
    link = file.with_name("link")
    link.symlink_to(file)
    shelf.pages = [answer({"tasks": [shown()], "cursor": None})]
    assert run("export", str(link)).exit_code == 0
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["id"] == TASK_ID


@pytest.mark.parametrize(
    ("due", "zone", "wall"),
    [
        ("2026-07-01T07:00:00Z", "Europe/Berlin", "2026-07-01T09:00:00.000"),
        ("2026-03-29T01:00:00Z", "Europe/Berlin", "2026-03-29T03:00:00.000"),
        ("2026-10-25T00:30:00.250Z", "Europe/Berlin", "2026-10-25T02:30:00.250"),
        ("2026-10-25T01:30:00Z", "Europe/Berlin", None),  # the second 02:30: the API would take the first
        ("2026-07-01T07:00:00Z", "Mars/Olympus", None),
        ("2026-07-01T07:00:00Z", "../etc/passwd", None),
        ("2026-07-01T07:00:00Z", 5, None),
    ],
)
def test_a_task_of_a_time_zone_is_written_with_its_clock_or_else_in_utc(
    due: str, zone: object, wall: str | None
) -> None:
    line = json.loads(jsonl.line_of(task(timestamp=datetime.fromisoformat(due), extra={"timezone": zone})))
    assert line["timezone"] == zone
    if wall is None:
        assert datetime.fromisoformat(line["timestamp"]) == datetime.fromisoformat(due)
    else:
        assert line["timestamp"] == wall


@given(st.dictionaries(st.text(max_size=3) | st.just("id"), st.none() | st.integers() | st.text(), max_size=4))
def test_a_key_is_made_of_the_content_alone(content: dict[str, Any]) -> None:
    with jsonl.Keys() as keys, jsonl.Keys() as again:
        first = keys.key(content)
        assert first.isascii()
        assert first.isprintable()
        assert len(first) <= 255
        assert again.key(dict(reversed(content.items()))) == first
        assert (keys.key(content) == first) == ("id" in content)
        assert again.key({**content, "more": 1}) != first


@pytest.mark.parametrize("ends", ["\n", "\n\n \n", ""])
def test_lines_are_numbered_as_in_the_file(ends: str) -> None:
    data = f"one{ends}\r\n{'x' * 5}\n\ntwo".encode()
    found = list(jsonl.read_lines(io.BytesIO(data)))
    rows = data.decode().split("\n")
    assert [(line.number, line.data.decode().strip()) for line in found] == [
        (number, row.strip()) for number, row in enumerate(rows, 1) if row.strip()
    ]
    assert found[-1].end == len(data)
