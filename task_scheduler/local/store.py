"""Tasks, the event log and the webhooks' positions in one SQLite file: statements only, no threads, no clock."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from heapq import merge
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from task_scheduler.engine import (
    MAX_PAGE_BYTES,
    Cursor,
    IdempotencyKey,
    KeyConflictError,
    TaskNotFoundError,
    TaskPage,
    TaskQuery,
    TooLateError,
)
from task_scheduler.local.deliveries import Deliveries
from task_scheduler.local.schema import DataFileError, prepare
from task_scheduler.task import Event, Status, Task

_FIRST_MS: Final = -(2**62)
_LAST_MS: Final = 2**62

STAGE_AHEAD_MS: Final = 10
"""An emission is committed this long before it is due, at most: a commit takes a part of that.

Until then the emission is *staged*: it is not published, and readers see its task as scheduled.
"""
# In SQL, for readers that give the time as :now_ms. Where that is NULL, nothing counts as staged.
_STAGED: Final = (
    f"status = '{Status.EMITTED}' AND task.ended_ms > :now_ms AND task.ended_ms <= :now_ms + {STAGE_AHEAD_MS}"
)
_STATUS: Final = f"iif({_STAGED}, '{Status.SCHEDULED}', status)"

_COLUMNS: Final = "id, task.due_ms, event, created_ms, revision, status, ended_ms, changed_ms"
_TASK: Final = (
    f"SELECT id, task.due_ms, event, created_ms, revision, {_STATUS}, iif({_STAGED}, NULL, ended_ms), changed_ms FROM"
)
_INSERT: Final = (
    "INSERT INTO task (id, due_ms, event, created_ms, revision, status, ended_ms, changed_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_CANCEL: Final = f"UPDATE task SET status = ?, ended_ms = ? WHERE id = ? AND status = ? RETURNING {_COLUMNS}"  # noqa: S608 - of constants
# Keyset pagination: a list walks along an index, from a cursor on and within a window of due times.
_BY_STATUS: Final = (
    f"{_TASK} task WHERE status = :stored_status AND (:status IS NULL OR {_STATUS} = :status)"
    " AND due_ms >= :from_ms AND (due_ms, id) > (:due_ms, :task_id) AND due_ms < :to_ms"
    " ORDER BY due_ms, id LIMIT :limit"
)
_BY_STAGED: Final = (
    f"{_TASK} task INDEXED BY task_by_end WHERE {_STAGED}"
    " AND due_ms >= :from_ms AND (due_ms, id) > (:due_ms, :task_id) AND due_ms < :to_ms"
    " ORDER BY due_ms, id LIMIT :limit"
)
_BY_TAG: Final = (
    f"{_TASK} tag CROSS JOIN task ON task.id = task_id WHERE name = :name AND value = :value"
    " AND tag.due_ms >= :from_ms AND (tag.due_ms, task_id) > (:due_ms, :task_id) AND tag.due_ms < :to_ms"
    f" AND (:status IS NULL OR {_STATUS} = :status) ORDER BY tag.due_ms, task_id LIMIT :limit"
)
_EMITTED_AT: Final = "max(due_ms, ?)"
_EXPECTED: Final = "max(due_ms, created_ms, changed_ms)"
_DUE: Final = "FROM task WHERE status = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?"
_EVENT: Final = "SELECT sequence, task_id, event, emitted_ms FROM event CROSS JOIN task ON task.id = task_id WHERE"
_BETWEEN: Final = f"{_EVENT} sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
_BEFORE: Final = f"{_EVENT} sequence < ? ORDER BY sequence DESC LIMIT ?"


class Emission(NamedTuple):
    """A task that is emitted, by its event in the log."""

    sequence: int
    emitted_ms: int
    expected_ms: int
    """When it could be emitted at the earliest."""
    task_id: str

    def is_staged(self, now_ms: float) -> bool:
        """Tell whether it must not be published yet."""
        return _is_staged(self.emitted_ms, now_ms)


class TaskStore:
    """One connection to the file; to be used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.deliveries = Deliveries(connection)
        self._soonest_ms = -inf  # nothing is due before, if all changes come through here: the file need not be read
        self._last_emitted_ms = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file for reading and writing, making it if it is not there; raises DataFileError."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise DataFileError(f"{path} cannot be opened: {error}.") from None
        try:
            prepare(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise DataFileError(f"{path} cannot be used: {error}.") from None
        except DataFileError:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Close the file; the last connection to it leaves a single file behind."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that happens inside durable at once, or nothing; raises sqlite3.Error where the disk refuses."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._soonest_ms = -inf
            if self._connection.in_transaction:  # some errors, a full disk among them, have rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def insert(self, task: Task, key: IdempotencyKey | None = None) -> bool:
        """Store a new task, and its key; False if its key or its id belongs to a stored task."""
        known = "SELECT 1 FROM idempotency_key WHERE name = ?"
        if key is not None and self._connection.execute(known, (key.name,)).fetchone():
            return False
        fields = (task.id, task.due_ms, task.payload, task.created_ms, task.revision, task.status, task.ended_ms)
        if self._connection.execute(_INSERT, (*fields, task.changed_ms)).rowcount == 0:
            return False
        if key is not None:
            self._connection.execute(
                "INSERT INTO idempotency_key (name, fingerprint, task_id) VALUES (?, ?, ?)",
                (key.name, key.fingerprint, task.id),
            )
        self._soonest_ms = min(self._soonest_ms, task.due_ms)
        self._tag(task)
        return True

    def get(self, task_id: str, *, now_ms: float | None = None) -> Task:
        """Return a task as it is at a time, or as it is stored; raises TaskNotFoundError."""
        parameters = {"id": task_id, "now_ms": now_ms}
        row = self._connection.execute(f"{_TASK} task WHERE id = :id", parameters).fetchone()
        if row is None:
            raise TaskNotFoundError(task_id)
        return _task(row)

    def find_by_key(self, key: IdempotencyKey, *, now_ms: float | None = None) -> Task | None:
        """Return the task that a key belongs to, None if there is none; raises KeyConflictError."""
        row = self._connection.execute(
            "SELECT fingerprint, task_id FROM idempotency_key WHERE name = ?", (key.name,)
        ).fetchone()
        if row is None:
            return None
        if row[0] != key.fingerprint:
            raise KeyConflictError
        return self.get(row[1], now_ms=now_ms)

    def cancel(self, task_id: str, *, now_ms: float) -> Task | None:
        """Cancel a task and return it, or None where it was cancelled; raises TaskNotFoundError or TooLateError."""
        parameters = (Status.CANCELLED, now_ms, task_id, Status.SCHEDULED)
        row = self._connection.execute(_CANCEL, parameters).fetchone()
        if row is not None:
            return _task(row)
        task = self.get(task_id, now_ms=now_ms)
        if task.status is not Status.CANCELLED:
            raise TooLateError(task)
        return None

    def replace(self, task_id: str, change: Callable[[Task], Task], *, now_ms: float | None = None) -> Task:
        """Replace a scheduled task by what `change` makes of it, and return that.

        Raises TaskNotFoundError, TooLateError, and what `change` raises.
        """
        old = self.get(task_id)
        if old.status is not Status.SCHEDULED:
            raise TooLateError(self.get(task_id, now_ms=now_ms))
        new = change(old)
        self._soonest_ms = min(self._soonest_ms, new.due_ms)
        self._connection.execute(
            "UPDATE task SET due_ms = ?, revision = ?, event = ?, changed_ms = ? WHERE id = ?",
            (new.due_ms, new.revision, new.payload, new.changed_ms, task_id),
        )
        self._untag(old)
        self._tag(new)
        return new

    def tasks(self, query: TaskQuery, *, limit: int, now_ms: float | None = None) -> TaskPage:
        """List up to `limit` tasks, soonest due first, but not many more bytes than MAX_PAGE_BYTES."""
        page: list[Task] = []
        size = 0
        with self._snapshot(), ExitStack() as cursors:
            found = [cursors.enter_context(closing(cursor)) for cursor in self._walks(query, limit + 1, now_ms)]
            for row in merge(*found, key=_place):  # read one by one: they may be large
                if len(page) == limit or size > MAX_PAGE_BYTES:
                    return TaskPage(page, Cursor(page[-1].due_ms, page[-1].id))
                page.append(_task(row))
                size += len(page[-1].payload)
        return TaskPage(page, None)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let all that is read inside be of one moment: no task changes its status between two looks."""
        self._connection.execute("SAVEPOINT list")
        try:
            yield
        finally:
            self._connection.execute("RELEASE list")

    def _walks(self, query: TaskQuery, limit: int, now_ms: float | None) -> Iterator[sqlite3.Cursor]:
        """Begin to walk along an index for each status, or for a tag; each walk is in the order of the list."""
        cursor = query.after or Cursor(_FIRST_MS, "")
        from_ms = _FIRST_MS if query.from_ms is None else query.from_ms
        parameters = {
            "from_ms": max(cursor.due_ms, from_ms),
            "due_ms": cursor.due_ms,
            "task_id": cursor.task_id,
            "to_ms": _LAST_MS if query.to_ms is None else query.to_ms,
            "status": query.status,
            "now_ms": now_ms,
            "limit": limit,
        }
        if query.tag is not None:
            name, value = query.tag
            yield self._connection.execute(_BY_TAG, {**parameters, "name": name, "value": value})
            return
        for status in [query.status] if query.status else list(Status):
            yield self._connection.execute(_BY_STATUS, {**parameters, "stored_status": status})
        if query.status is Status.SCHEDULED:
            yield self._connection.execute(_BY_STAGED, parameters)

    def stage_due(self, now_ms: float, *, limit: int) -> list[Emission]:
        """Mark what is due by now, or will be in STAGE_AHEAD_MS, as emitted, and append it to the log.

        No emission comes before one that was staged before it. Returns up to `limit`, in the order of the log.
        """
        last_ms = self._last_emitted_ms
        from_ms = last_ms if _is_staged(last_ms, now_ms) else int(now_ms)
        emissions = self.emit_due(until_ms=int(now_ms) + STAGE_AHEAD_MS, from_ms=from_ms, limit=limit)
        if emissions:
            self._last_emitted_ms = emissions[-1].emitted_ms
        return emissions

    def staged_ms(self, now_ms: float) -> float:
        """Return in how many milliseconds everything that is stored in the log may be published."""
        last = self.events_before(_LAST_MS, limit=1)
        return max((event.emitted_ms - now_ms for event in last if _is_staged(event.emitted_ms, now_ms)), default=0)

    def idle_ms(self, now_ms: float) -> float:
        """Return in how many milliseconds there may be something to stage."""
        return self._soonest_ms - STAGE_AHEAD_MS - now_ms

    def emit_due(self, *, until_ms: int, from_ms: int, limit: int) -> list[Emission]:
        """Mark what is due by a time as emitted, when it is due but not before `from_ms`, and append it to the log.

        Soonest first, and as many as `limit`; returns them in the order of the log.
        """
        if until_ms < self._soonest_ms:
            return []
        due = (Status.SCHEDULED, until_ms, limit)  # the same tasks for all three: the last one changes them
        times = self._connection.execute(f"SELECT {_EMITTED_AT}, {_EXPECTED}, id {_DUE}", (from_ms, *due)).fetchall()
        log = self._connection.execute(
            f"INSERT INTO event (task_id, emitted_ms) SELECT id, {_EMITTED_AT} {_DUE}", (from_ms, *due)
        )
        self._connection.execute(
            f"UPDATE task SET status = ?, ended_ms = {_EMITTED_AT} WHERE rowid IN (SELECT rowid {_DUE})",  # noqa: S608 - the same
            (Status.EMITTED, from_ms, *due),
        )
        due_ms = self.next_due_ms()
        self._soonest_ms = inf if due_ms is None else due_ms
        first = (log.lastrowid or 0) - len(times) + 1
        return [Emission(sequence, *each) for sequence, each in enumerate(times, first)]

    def next_due_ms(self) -> int | None:
        """Return when the next task is due, None when none is scheduled."""
        row = self._connection.execute(
            "SELECT due_ms FROM task WHERE status = ? ORDER BY due_ms LIMIT 1", (Status.SCHEDULED,)
        ).fetchone()
        return None if row is None else int(row[0])

    def pending(self) -> int:
        """Count the tasks that are scheduled: by the index, but all of them."""
        row = self._connection.execute("SELECT count(*) FROM task WHERE status = ?", (Status.SCHEDULED,)).fetchone()
        return int(row[0])

    def expire(self, *, tasks_before_ms: int, events_before_ms: int, limit: int, received: int | None = None) -> int:
        """Delete up to `limit` tasks that ended before a time, and as many events; return how many went.

        If `received` is given, no event after that sequence number is deleted, nor its task.
        """
        if received is not None:
            following = self._connection.execute(
                "SELECT emitted_ms FROM event WHERE sequence > ? ORDER BY sequence LIMIT 1", (received,)
            ).fetchone()
            tasks_before_ms = tasks_before_ms if following is None else min(tasks_before_ms, following[0])
        tasks = [
            _task(row)
            for row in self._connection.execute(
                f"SELECT {_COLUMNS} FROM task WHERE ended_ms < ? ORDER BY ended_ms LIMIT ?",  # noqa: S608 - of constants
                (tasks_before_ms, limit),
            )
        ]
        for task in tasks:
            self._untag(task)
        ids = [(task.id,) for task in tasks]
        self._connection.executemany("DELETE FROM idempotency_key WHERE task_id = ?", ids)
        self._connection.executemany("DELETE FROM task WHERE id = ?", ids)
        events = self._connection.execute(
            "SELECT sequence FROM (SELECT * FROM event WHERE sequence <= ? ORDER BY sequence LIMIT ?)"
            " WHERE emitted_ms < ?",
            (_LAST_MS if received is None else received, limit, events_before_ms),
        ).fetchall()
        self._connection.executemany("DELETE FROM event WHERE sequence = ?", events)
        return len(tasks) + len(events)

    def latest_ms(self) -> int:
        """Return the latest time at which a task ended, 0 if none has."""
        row = self._connection.execute("SELECT max(ended_ms) FROM task WHERE ended_ms IS NOT NULL").fetchone()
        return 0 if row[0] is None else int(row[0])

    def correct_times(self, now_ms: int) -> None:
        """Give the present time to all that ended in the future: the clock was wrong then, or is now."""
        self._connection.execute("UPDATE task SET ended_ms = ? WHERE ended_ms > ?", (now_ms, now_ms))
        self._connection.execute("UPDATE event SET emitted_ms = ? WHERE emitted_ms > ?", (now_ms, now_ms))

    def position(self) -> int:
        """Return the sequence number of the newest event, also where that event is no longer stored."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        return 0 if row is None else int(row[0])

    def skip_to(self, position: int) -> None:
        """Give the numbers up to a position to no event."""
        if position > self.position():
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'event'")
            self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", (position,))

    def last_sequence(self) -> int:
        """Return the sequence number of the newest event that is stored, 0 if there is none."""
        row = self._connection.execute("SELECT max(sequence) FROM event").fetchone()
        return 0 if row[0] is None else int(row[0])

    def first_sequence(self) -> int | None:
        """Return the sequence number of the oldest event that is stored, None if there is none."""
        row = self._connection.execute("SELECT min(sequence) FROM event").fetchone()
        return None if row[0] is None else int(row[0])

    def events(self, *, after: int, until: int, limit: int) -> list[Event]:
        """Return up to `limit` events after one and up to another sequence number, and about MAX_PAGE_BYTES at most."""
        return self._events(_BETWEEN, after, until, limit)

    def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a sequence number, in order, bounded in the same way."""
        return self._events(_BEFORE, before, limit)[::-1]

    def _tag(self, task: Task) -> None:
        self._connection.executemany(
            "INSERT INTO tag (name, value, due_ms, task_id) VALUES (?, ?, ?, ?)", _tag_rows(task)
        )

    def _untag(self, task: Task) -> None:
        self._connection.executemany(
            "DELETE FROM tag WHERE name = ? AND value = ? AND due_ms = ? AND task_id = ?", _tag_rows(task)
        )

    def _events(self, statement: str, *edges_and_limit: int) -> list[Event]:
        page: list[Event] = []
        size = 0
        for sequence, task_id, event, emitted_ms in self._connection.execute(statement, edges_and_limit):
            page.append(Event(sequence, task_id, event, emitted_ms=emitted_ms, indexed_ms=emitted_ms))
            size += len(event)
            if size > MAX_PAGE_BYTES:
                break
        return page


def _place(row: Sequence[Any]) -> tuple[int, str]:
    return row[1], row[0]


def _task(row: Sequence[Any]) -> Task:
    """Make a task of the columns that _TASK selects."""
    task_id, due_ms, event, created_ms, revision, status, ended_ms, changed_ms = row
    return Task(task_id, due_ms, event, created_ms, revision, Status(status), ended_ms, changed_ms)


def _tag_rows(task: Task) -> list[tuple[str, str, int, str]]:
    return [(name, value, task.due_ms, task.id) for name, value in task.tags.items()]


def _is_staged(emitted_ms: int, now_ms: float) -> bool:
    """Tell whether a time is still to come. One that is further ahead belongs to a clock that was set back since."""
    return 0 < emitted_ms - now_ms <= STAGE_AHEAD_MS
