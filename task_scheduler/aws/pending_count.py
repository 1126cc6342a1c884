"""Counts the tasks that are scheduled: a part of them in each sweep, so that a minute's cost has a bound."""

from itertools import islice
from typing import TYPE_CHECKING, Final

from task_scheduler.aws.task_store import OPEN, SHARDS, TaskStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUERIES: Final = 3 * SHARDS * len(OPEN) // 2
"""Queries in one part: enough for some thousand tasks at once; a million take three quarters of an hour."""


class PendingCount:
    """A count that goes on from one sweep to the next, for as long as the function's environment lives."""

    def __init__(self, task_store: TaskStore) -> None:
        self._task_store = task_store
        self._parts: Iterator[int] | None = None
        self._sum = 0
        self._known: int | None = None

    def count_on(self) -> int | None:
        """Count a part more, and return the last full count; None before the first. Raises ServiceError."""
        if self._parts is None:
            self._parts, self._sum = self._task_store.counts(OPEN), 0
        parts, self._parts = self._parts, None  # what fails begins anew
        found = list(islice(parts, _QUERIES))
        self._sum += sum(found)
        if len(found) < _QUERIES:
            self._known = self._sum
        else:
            self._parts = parts
        return self._known
