"""A list as a look at every task would give it, and a walk through its pages."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from hypothesis import strategies as st

from task_scheduler.engine import MAX_PAGE_BYTES, TaskPage, TaskQuery
from task_scheduler.task import Status, Task

# Few of each, so that equal times, shared tags and empty windows are common.
DUES: Final = st.integers(-2, 4)  # minutes from now
VALUES: Final = ("1", "2", "1:2", "#", "é")
TAGS: Final = st.dictionaries(st.sampled_from("ab"), st.sampled_from(VALUES), max_size=2)

_MOST_PAGES: Final = 500


class Lister(Protocol):
    """Returns a page of a list."""

    def __call__(self, query: TaskQuery, *, limit: int) -> TaskPage: ...


def queries(start_ms: int) -> st.SearchStrategy[TaskQuery]:
    """Return any filter, and none, over tasks that are due around a time."""
    times = DUES.map(lambda minutes: start_ms + minutes * 60_000)
    return st.builds(
        TaskQuery,
        status=st.none() | st.sampled_from(Status),
        from_ms=st.none() | times,
        to_ms=st.none() | times,
        tag=st.none() | st.tuples(st.sampled_from("abc"), st.sampled_from(VALUES)),
    )


def expected(tasks: Iterable[Task], query: TaskQuery) -> list[str]:
    """Look at every task, as a list means it; return ids in order."""
    return [
        task.id
        for task in sorted(tasks, key=lambda task: (task.due_ms, task.id))
        if query.status in {None, task.status}
        and (query.from_ms is None or task.due_ms >= query.from_ms)
        and (query.to_ms is None or task.due_ms < query.to_ms)
        and (query.tag is None or query.tag in task.tags.items())
    ]


def walk(lister: Lister, query: TaskQuery, limit: int, meanwhile: Callable[[], None] = lambda: None) -> list[Task]:
    """Return the tasks of all pages; something may happen between two of them."""
    found: list[Task] = []
    for _ in range(_MOST_PAGES):
        page = lister(query, limit=limit)
        assert len(page.tasks) <= limit
        assert sum(len(task.payload) for task in page.tasks[:-1]) <= MAX_PAGE_BYTES
        found += page.tasks
        if page.next is None:
            return found
        assert page.next != query.after, "a list that stands still"
        query = replace(query, after=page.next)
        meanwhile()
    raise AssertionError("the list does not end")
