"""Paging through tasks: all pages together are what a look at every task gives, also while tasks come, go and move."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler import timestamps
from task_scheduler.engine import EngineError, TaskPage, TaskQuery
from task_scheduler.local.store import TaskStore
from task_scheduler.task import Status, Task, encode, new_task
from tests.fuzz.effort import effort
from tests.support.listing import DUES, TAGS, expected, queries, walk
from tests.support.world import START_MS, World, tables

pytestmark = pytest.mark.slow

MINUTE_MS: Final = 60_000
LARGE: Final = "x" * 190_000
_Got = TypeVar("_Got")

# A verb, which task, and how many minutes from now or ahead.
CHANGES: Final = st.tuples(
    st.sampled_from(["schedule", "schedule", "cancel", "move", "advance", "expire"]),
    st.integers(0, 15),
    DUES,
    TAGS,
    st.booleans(),
)
Change = tuple[str, int, int, dict[str, str], bool]


@dataclass
class Sqlite:
    """The local engine's file."""

    store: TaskStore
    now_ms: int = START_MS

    def schedule(self, task: Task) -> None:
        self.store.insert(task)

    def cancel(self, task_id: str) -> None:
        self.store.cancel(task_id, now_ms=self.now_ms)

    def move(self, task_id: str, due_ms: int) -> None:
        self.store.replace(task_id, lambda task: _moved(task, due_ms))

    def advance(self, minutes: int) -> None:
        self.now_ms += minutes * MINUTE_MS
        self.store.emit_due(until_ms=self.now_ms, from_ms=self.now_ms, limit=1_000)

    def expire(self, minutes: int) -> None:
        before_ms = self.now_ms - minutes * MINUTE_MS
        self.store.expire(tasks_before_ms=before_ms, events_before_ms=before_ms, limit=1_000)

    def get(self, task_id: str) -> Task:
        return self.store.get(task_id)

    def page(self, query: TaskQuery, *, limit: int) -> TaskPage:
        return self.store.tasks(query, limit=limit)


@dataclass
class Aws:
    """The AWS engine's tables."""

    world: World

    @property
    def now_ms(self) -> int:
        return self.world.clock.ms

    def schedule(self, task: Task) -> None:
        _finish(self.world.engine.schedule(task))

    def cancel(self, task_id: str) -> None:
        _finish(self.world.engine.cancel(task_id))

    def move(self, task_id: str, due_ms: int) -> None:
        _finish(self.world.engine.reschedule(task_id, lambda task: _moved(task, due_ms)))

    def advance(self, minutes: int) -> None:
        self.world.advance(minutes * 60)

    def expire(self, minutes: int) -> None:
        """DynamoDB deletes what has expired at any time later: days must pass first, and no list shows it then."""

    def get(self, task_id: str) -> Task:
        return _finish(self.world.engine.get(task_id))

    def page(self, query: TaskQuery, *, limit: int) -> TaskPage:
        return _finish(self.world.engine.tasks(query, limit=limit))


Kept = Sqlite | Aws


@contextmanager
def _sqlite() -> Iterator[Kept]:
    with closing(TaskStore.open(Path(":memory:"))) as store:
        yield Sqlite(store)


@contextmanager
def _aws() -> Iterator[Kept]:
    with ExitStack() as stack:
        yield Aws(World(stack.enter_context(tables()), shards=3))


def _finish(call: Coroutine[Any, Any, _Got]) -> _Got:
    return asyncio.run(call)


def _moved(task: Task, due_ms: int) -> Task:
    return replace(task, due_ms=due_ms, revision=task.revision + 1)


def _task_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number * 7 % 16:012}"  # not in the order in which they come


def _change(kept: Kept, change: Change) -> None:
    """Make a change, as far as it is possible."""
    verb, number, minutes, tags, large = change
    task_id = _task_id(number)
    due_ms = kept.now_ms + minutes * MINUTE_MS
    with suppress(EngineError):
        match verb:
            case "schedule":
                message = LARGE if large else number
                body = {"timestamp": timestamps.format(due_ms), "message": message, "tags": tags}
                kept.schedule(new_task(body, task_id=task_id, now_ms=kept.now_ms))
            case "cancel":
                kept.cancel(task_id)
            case "move":
                kept.move(task_id, due_ms)
            case "advance":
                kept.advance(abs(minutes))
            case "expire":
                kept.expire(abs(minutes))


def _all(kept: Kept) -> dict[str, Task]:
    found = {}
    for number in range(16):
        with suppress(EngineError):
            found[_task_id(number)] = kept.get(_task_id(number))
    return found


@pytest.mark.parametrize(("opened", "few"), [(_sqlite, 60), (_aws, 6)], ids=["sqlite", "dynamodb"])
def test_pages_are_what_a_look_at_every_task_gives(opened: Callable[[], Any], few: int) -> None:
    @effort(few)
    @given(st.lists(CHANGES, max_size=30), queries(START_MS), st.integers(1, 7), st.lists(CHANGES, max_size=8))
    def check(changes: list[Change], query: TaskQuery, limit: int, later: list[Change]) -> None:
        with opened() as kept:
            for change in changes:
                _change(kept, change)
            assert [task.id for task in walk(kept.page, query, limit)] == expected(_all(kept).values(), query)
            _walk_while_it_changes(kept, query, limit, later)

    check()


def _walk_while_it_changes(kept: Kept, query: TaskQuery, limit: int, later: list[Change]) -> None:
    """What matches throughout and is not moved comes once; what is never there, or never matches, never comes."""
    states = [_all(kept)]
    coming = iter(later)

    def meanwhile() -> None:
        for change in coming:
            _change(kept, change)
            states.append(_all(kept))
            return

    found = [task.id for task in walk(kept.page, query, limit, meanwhile)]
    matching = [set(expected(state.values(), query)) for state in states]
    moved = {
        task_id for task_id in states[-1] if len({state[task_id].due_ms for state in states if task_id in state}) > 1
    }
    assert set.intersection(*matching) - moved <= set(found)
    assert set(found) <= set.union(*matching)
    still = [task_id for task_id in found if task_id not in moved]
    assert len(still) == len(set(still)), "a task came twice"
    assert still == sorted(still, key=lambda task_id: (states[-1][task_id].due_ms, task_id))


def test_a_task_that_is_emitted_while_a_page_is_read_comes_once(tmp_path: Path) -> None:
    """The list reads the index of each state by itself, and the loop writes at any moment."""
    with (
        closing(TaskStore.open(tmp_path / "tasks.db")) as writer,
        closing(TaskStore.open(tmp_path / "tasks.db")) as reader,
    ):
        for number in range(5):
            fields = {"id": _task_id(number), "timestamp": "", "message": number}
            writer.insert(Task(_task_id(number), START_MS + number, encode(fields), created_ms=START_MS))
        looks: list[str] = []

        def before(statement: str) -> None:
            looks.append(statement)
            if len(looks) == 2:
                writer.emit_due(until_ms=START_MS + 10, from_ms=START_MS + 10, limit=3)

        reader._connection.set_trace_callback(before)  # noqa: SLF001 - the moment between two looks cannot be hit otherwise
        page = reader.tasks(TaskQuery(), limit=10)
        assert [task.id for task in page.tasks] == [_task_id(number) for number in range(5)]
        assert sum(task.status is Status.EMITTED for task in page.tasks) == 3
