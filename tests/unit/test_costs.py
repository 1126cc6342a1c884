"""What the local engine does costs what it returns, not what is stored: counted in steps of SQLite's machine."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from task_scheduler.engine import TaskQuery
from task_scheduler.local.store import TaskStore
from task_scheduler.task import Status, Task, new_task

if TYPE_CHECKING:
    import sqlite3

NOW_MS = 1_795_300_000_000
STEP = 10  # instructions between two counts


class Shelf:
    """A store with many tasks in it, and a count of what a call costs."""

    def __init__(self, path: Path, count: int) -> None:
        self.store = TaskStore.open(path)
        self.tasks = [self._task(number) for number in range(count)]
        with self.store.transaction():
            for task in self.tasks:
                self.store.insert(task)

    def steps(self, call: Callable[[TaskStore, Task], object]) -> int:
        """Return the instructions that a call takes, in tens, and undo what it did."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection: sqlite3.Connection = self.store._connection  # noqa: SLF001 - where SQLite counts
        connection.execute("BEGIN")
        connection.set_progress_handler(count, STEP)
        call(self.store, self.tasks[len(self.tasks) // 2])
        connection.set_progress_handler(None, 0)
        connection.execute("ROLLBACK")  # the next call finds what this one found
        return steps

    def _task(self, number: int) -> Task:
        body = {"in": 3600 + number, "message": number, "tags": {"user": str(number % 100), "n": str(number)}}
        return new_task(body, task_id=str(uuid.UUID(int=number * 7919 % 2**64)), now_ms=NOW_MS)


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shelf, Shelf]]:
    """One with two hundred tasks pending, and one with twenty thousand."""
    folder = tmp_path_factory.mktemp("shelves")
    small, large = Shelf(folder / "small.db", 200), Shelf(folder / "large.db", 20_000)
    yield small, large
    small.store.close()
    large.store.close()


CALLS: dict[str, Callable[[TaskStore, Task], object]] = {
    "get": lambda store, task: store.get(task.id),
    "cancel": lambda store, task: store.cancel(task.id, now_ms=NOW_MS),
    "reschedule": lambda store, task: store.replace(
        task.id, lambda old: replace(old, due_ms=old.due_ms + 5, revision=old.revision + 1, status=Status.SCHEDULED)
    ),
    "list": lambda store, _: store.tasks(TaskQuery(status=Status.SCHEDULED), limit=50),
    "list all": lambda store, _: store.tasks(TaskQuery(), limit=50),
    "list from": lambda store, task: store.tasks(TaskQuery(from_ms=task.due_ms), limit=50),
    "list by tag": lambda store, task: store.tasks(TaskQuery(tag=("n", task.tags["n"])), limit=50),
    "next due": lambda store, _: store.next_due_ms(),
    "emit": lambda store, _: store.emit_due(until_ms=NOW_MS, from_ms=NOW_MS, limit=1000),
    "expire": lambda store, _: store.expire(tasks_before_ms=NOW_MS - 1, events_before_ms=NOW_MS - 1, limit=500),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_the_same_with_a_hundred_times_as_many_tasks(shelves: tuple[Shelf, Shelf], name: str) -> None:
    small, large = (shelf.steps(CALLS[name]) for shelf in shelves)
    assert large <= small * 1.2 + 3
