"""The format of the data file: its tables, and how a file of an older format gets them."""

import sqlite3
from pathlib import Path
from typing import Final

from task_scheduler.local import deliveries

APPLICATION_ID: Final = 0x7453_6B73  # "tSks", so that a file of another program is never taken for ours

# One script for each format of the file: a file of an older one runs those that it has not had.
# An event needs no text of its own: a task never changes once it was emitted, and outlives its event.
MIGRATIONS: Final = (
    """
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
    """,
    """
    ALTER TABLE task ADD COLUMN changed_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE task ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
    CREATE INDEX task_by_end ON task (ended_ms) WHERE ended_ms IS NOT NULL;
    CREATE TABLE tag (
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        due_ms INTEGER NOT NULL,
        task_id TEXT NOT NULL,
        PRIMARY KEY (name, value, due_ms, task_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE webhook (
        url TEXT NOT NULL PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT;
    """,
    # Ids are random from here on. Before, keys determined them: those keys are not known, and so they are forgotten.
    """
    ALTER TABLE task DROP COLUMN fingerprint;
    CREATE TABLE idempotency_key (
        name TEXT NOT NULL PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        task_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_key_by_task ON idempotency_key (task_id);
    """,
    deliveries.FORMAT,
    deliveries.FIRST_ATTEMPT,
)


class DataFileError(Exception):
    """The file cannot be used; the text is a sentence for the operator."""


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the connection durable, and the file one of ours, in the newest format."""
    connection.execute("PRAGMA busy_timeout = 5000")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not empty and application != APPLICATION_ID:
        raise DataFileError(f"{path} is a database of another program.")
    if version > len(MIGRATIONS):
        raise DataFileError(
            f"{path} was written by a newer Task Scheduler: it has format {version}, and this one knows up to "
            f"{len(MIGRATIONS)}."
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA fullfsync = ON")  # on macOS, where fsync alone leaves data in the disk's cache
    connection.execute("PRAGMA synchronous = FULL")  # every commit is on the disk, not only in the system's cache
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")
