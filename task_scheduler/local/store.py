"""Tasks and the event log in one SQLite file: statements only, no threads, no clock."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from task_scheduler import timestamp
from task_scheduler.engine import MAX_PAGE_BYTES, TaskNotFoundError, TooLateError
from task_scheduler.task import Event, Status, Task

_APPLICATION_ID: Final = 0x7453_6B73  # "tSks", so that a file of another program is never taken for ours
_VERSION: Final = 1

# An event needs no text of its own: a task never changes once it was emitted, and outlives its event.
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE task (
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX task_by_due ON task (status, due_ms, id);
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    emitted_ms INTEGER NOT NULL
) STRICT;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class DataFileError(Exception):
    """The file cannot be used; the text is a sentence for the operator."""


class Store:
    """One connection to the file; to be used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file for reading and writing, making it if it is not there; raises DataFileError."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise DataFileError(f"{path} cannot be opened: {error}.") from None
        try:
            _prepare(connection, path)
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
            if self._connection.in_transaction:  # some errors, a full disk among them, have rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def insert(self, task: Task) -> None:
        """Keep a new task."""
        self._connection.execute(
            "INSERT INTO task (id, status, due_ms, revision, created_ms, event) VALUES (?, ?, ?, ?, ?, ?)",
            (task.id, task.status, task.due_ms, task.revision, task.created_ms, task.event),
        )

    def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        row = self._connection.execute(
            "SELECT id, due_ms, event, created_ms, revision, status, ended_ms FROM task WHERE id = ?", (task_id,)
        ).fetchone()
        if row is None:
            raise TaskNotFoundError(f"No task has the id {task_id!r}.")
        return Task(*row[:5], status=Status(row[5]), ended_ms=row[6])  # type: ignore[misc]  # five columns, as above

    def cancel(self, task_id: str, *, now_ms: int) -> bool:
        """Cancel a task and tell whether it was not before; raises TaskNotFoundError or TooLateError."""
        cursor = self._connection.execute(
            "UPDATE task SET status = ?, ended_ms = ? WHERE id = ? AND status = ?",
            (Status.CANCELLED, now_ms, task_id, Status.SCHEDULED),
        )
        task = self.get(task_id)
        if task.status is not Status.CANCELLED:
            raise TooLateError(
                f"Task {task_id} was already {task.status} at {timestamp.format(task.ended_ms or task.due_ms)}."
            )
        return cursor.rowcount == 1

    def emit_due(self, *, now_ms: int, limit: int) -> list[int]:
        """Mark due tasks as emitted, soonest first, and append them to the log; return how late each is, in ms."""
        rows = self._connection.execute(
            "SELECT id, due_ms, created_ms FROM task WHERE status = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?",
            (Status.SCHEDULED, now_ms, limit),
        ).fetchall()
        ids = [row[0] for row in rows]
        self._connection.executemany(
            "UPDATE task SET status = ?, ended_ms = ? WHERE id = ?",
            [(Status.EMITTED, now_ms, task_id) for task_id in ids],
        )
        self._connection.executemany(
            "INSERT INTO event (task_id, emitted_ms) VALUES (?, ?)", [(task_id, now_ms) for task_id in ids]
        )
        return [now_ms - max(due_ms, created_ms) for _, due_ms, created_ms in rows]

    def next_due_ms(self) -> int | None:
        """Return when the next task is due, None when none is scheduled."""
        row = self._connection.execute(
            "SELECT due_ms FROM task WHERE status = ? ORDER BY due_ms LIMIT 1", (Status.SCHEDULED,)
        ).fetchone()
        return None if row is None else int(row[0])

    def position(self) -> int:
        """Return the sequence number of the newest event, also where that event is no longer kept."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        return 0 if row is None else int(row[0])

    def events(self, *, after: int, limit: int) -> Sequence[Event]:
        """Return up to `limit` events after a sequence number, but not many more bytes than MAX_PAGE_BYTES."""
        page: list[Event] = []
        size = 0
        for sequence, task_id, event, emitted_ms in self._connection.execute(
            "SELECT sequence, task_id, event, emitted_ms FROM event JOIN task ON task.id = task_id"
            " WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, limit),
        ):
            page.append(Event(sequence, task_id, event, emitted_ms=emitted_ms, indexed_ms=emitted_ms))
            size += len(event)
            if size > MAX_PAGE_BYTES:
                break
        return page


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the connection durable, and the file one of ours."""
    connection.execute("PRAGMA busy_timeout = 5000")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not empty and application != _APPLICATION_ID:
        raise DataFileError(f"{path} is a database of another program.")
    if version > _VERSION:
        raise DataFileError(
            f"{path} was written by a newer Task Scheduler (format {version}, known here: {_VERSION}); use that one."
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # every commit is on the disk, not only in the system's cache
    if empty:
        connection.executescript(_SCHEMA)
