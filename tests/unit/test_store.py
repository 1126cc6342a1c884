"""The file: a list is what a look at every task would give, and a file of an older format loses nothing."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from task_scheduler.engine import TaskQuery, TooLateError
from task_scheduler.local import schema
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.store import STAGE_AHEAD_MS, TaskStore
from task_scheduler.task import Status, Task, encode
from tests.support.listing import expected, walk

NOW_MS = 1_795_300_000_000
DAY_MS = 86_400_000


def _task(number: int, due_ms: int, status: Status = Status.SCHEDULED, tags: object = None, *, size: int = 0) -> Task:
    task_id = f"{number * 7 % 26:02}"  # so that the order of ids is not that in which they come
    fields = {"id": task_id, "timestamp": "", "message": "x" * size} | ({} if tags is None else {"tags": tags})
    ended_ms = None if status is Status.SCHEDULED else NOW_MS + number
    return Task(task_id, due_ms, encode(fields), created_ms=NOW_MS, status=status, ended_ms=ended_ms)


# Files of the first format, as the first release left them.

WAITING = _task(1, NOW_MS + 1_000, tags={"user": "42"})
OVERDUE = _task(2, NOW_MS - 1_000)
EMITTED = replace(_task(3, NOW_MS - 5_000), status=Status.EMITTED, ended_ms=NOW_MS - 5_000)
CANCELLED = replace(_task(4, NOW_MS + 5_000), status=Status.CANCELLED, ended_ms=NOW_MS - 1)
OF_THE_FIRST_FORMAT = (WAITING, OVERDUE, EMITTED, CANCELLED)


def _first_format(path: Path, tasks: Sequence[Task] = OF_THE_FIRST_FORMAT) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(schema.MIGRATIONS[0])
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        for task in tasks:
            connection.execute(
                "INSERT INTO task (id, status, due_ms, revision, created_ms, ended_ms, event)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (task.id, task.status, task.due_ms, task.revision, task.created_ms, task.ended_ms, task.payload),
            )
            if task.status is Status.EMITTED:
                connection.execute("INSERT INTO event (task_id, emitted_ms) VALUES (?, ?)", (task.id, task.ended_ms))
    return path


def test_a_file_of_the_first_format_keeps_everything_and_its_tasks_are_emitted(tmp_path: Path) -> None:
    path = _first_format(tmp_path / "tasks.db")
    for _ in range(2):
        with closing(TaskStore.open(path)) as kept:
            assert [kept.get(task.id) for task in OF_THE_FIRST_FORMAT] == list(OF_THE_FIRST_FORMAT)
            assert [task.id for task in walk(kept.tasks, TaskQuery(), 3)] == expected(OF_THE_FIRST_FORMAT, TaskQuery())
            assert [event.task_id for event in kept.events(after=0, until=kept.position(), limit=10)] == [EMITTED.id]
            assert kept.position() == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    with closing(TaskStore.open(path)) as kept:
        for until_ms, expected_ids in (
            (NOW_MS, [EMITTED.id, OVERDUE.id]),
            (NOW_MS + 1_000, [EMITTED.id, OVERDUE.id, WAITING.id]),
        ):
            kept.emit_due(until_ms=until_ms, from_ms=until_ms, limit=10)
            log = kept.events(after=0, until=kept.position(), limit=10)
            assert [event.task_id for event in log] == expected_ids
        assert log[-1].payload == WAITING.payload


def test_readers_see_a_staged_task_as_scheduled_until_it_is_due() -> None:
    with closing(TaskStore.open(Path(":memory:"))) as kept:
        tasks = [_task(number, NOW_MS - 5 + 2 * number, tags={"a": "1"}) for number in range(15)]
        for task in tasks:
            kept.insert(task)
        staged = kept.stage_due(NOW_MS, limit=1_000)
        assert {emission.emitted_ms for emission in staged} == {NOW_MS, *range(NOW_MS + 1, NOW_MS + STAGE_AHEAD_MS, 2)}
        ends = {emission.task_id: emission.emitted_ms for emission in staged}
        for now_ms in (NOW_MS, NOW_MS + 0.5, NOW_MS + 1, NOW_MS + 4, NOW_MS + STAGE_AHEAD_MS):
            seen = [
                replace(task, status=Status.EMITTED, ended_ms=ends[task.id])
                if ends.get(task.id, now_ms + 1) <= now_ms
                else task
                for task in tasks
            ]
            assert [kept.get(task.id, now_ms=now_ms) for task in tasks] == seen
            for status in (None, *Status):
                for tag in (None, ("a", "1")):
                    query = TaskQuery(status=status, tag=tag, from_ms=NOW_MS - 3, to_ms=NOW_MS + 20)
                    pages = walk(partial(kept.tasks, now_ms=now_ms), query, 2)
                    assert [(task.id, task.status) for task in pages] == [
                        (task.id, task.status) for task in seen if task.id in expected(seen, query)
                    ]
            for task in seen:
                if task.id in ends and task.status is Status.SCHEDULED:
                    with pytest.raises(TooLateError, match="already being emitted"):
                        kept.cancel(task.id, now_ms=now_ms)


@pytest.mark.parametrize(
    "tags", ["a text", None, 5, [1], {"a": 1}, {"a": {"b": "c"}}, {"no name": "x"}, {str(n): "x" for n in range(9)}]
)
def test_what_the_first_release_took_as_tags_is_emitted_changed_listed_and_expires(
    tmp_path: Path, tags: object
) -> None:
    """It was any field then; now it is one that tells nothing of lists."""
    fields = {"id": "01", "timestamp": "", "message": "hello", "tags": tags}
    task = Task("01", NOW_MS + 1_000, encode(fields), created_ms=NOW_MS)
    with closing(TaskStore.open(_first_format(tmp_path / "tasks.db", [task]))) as kept:
        kept.replace("01", lambda old: replace(old, due_ms=NOW_MS))
        kept.emit_due(until_ms=NOW_MS, from_ms=NOW_MS, limit=10)
        assert [event.payload for event in kept.events(after=0, until=kept.position(), limit=10)] == [task.payload]
        assert kept.tasks(TaskQuery(), limit=10).tasks[0].tags == {}
        assert kept.expire(tasks_before_ms=NOW_MS + 1, events_before_ms=NOW_MS + 1, limit=10) == 2


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = _first_format(tmp_path / "tasks.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE webhook (somebody TEXT)")  # which the migration meets halfway
    with pytest.raises(DataFileError, match="cannot be used"):
        TaskStore.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (len(OF_THE_FIRST_FORMAT),)
        connection.execute("DROP TABLE webhook")
    with closing(TaskStore.open(path)) as kept:
        assert kept.get(WAITING.id) == WAITING
