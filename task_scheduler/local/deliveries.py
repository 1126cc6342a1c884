"""Messages that webhooks have not accepted: those to be sent again, and those set aside. Statements only, no clock."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from task_scheduler.task import Event

FORMAT: Final = """
    CREATE TABLE delivery (
        url TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        task_id TEXT NOT NULL,
        payload TEXT NOT NULL,
        emitted_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        failure TEXT NOT NULL,
        next_ms INTEGER,
        set_aside_ms INTEGER,
        PRIMARY KEY (url, sequence)
    ) STRICT;
    CREATE INDEX delivery_by_next ON delivery (url, next_ms) WHERE next_ms IS NOT NULL;
    CREATE INDEX delivery_by_set_aside ON delivery (set_aside_ms) WHERE set_aside_ms IS NOT NULL;
    """

FIRST_ATTEMPT: Final = """
    ALTER TABLE delivery ADD COLUMN first_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE delivery SET first_ms = emitted_ms;
    """

_PENDING: Final = "url = ? AND next_ms IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt to deliver an event that failed."""

    attempts: int
    """Of this event to this webhook so far."""
    reason: str
    """The status of the response, or the kind of error; neither holds anything of the receiver's text."""
    next_ms: int | None
    """When it is sent again; None: never, it is set aside."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is to be sent to a webhook again."""

    event: Event
    attempts: int
    next_ms: int
    first_ms: int
    """When it was sent for the first time."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that is not sent to a webhook any more."""

    url: str
    task_id: str
    attempts: int
    failure: str
    emitted_ms: int
    set_aside_ms: int


class Deliveries:
    """The rows of one connection; to be used by one thread at a time.

    Each has a copy of the message: it outlives its event and its task.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def open_webhook(self, url: str, *, position: int) -> int:
        """Return up to where the log was delivered to a webhook; a new one begins at `position`."""
        self._connection.execute(
            "INSERT INTO webhook (url, position) VALUES (?, ?) ON CONFLICT (url) DO NOTHING", (url, position)
        )
        row = self._connection.execute("SELECT position FROM webhook WHERE url = ?", (url,)).fetchone()
        return int(row[0])

    def positions(self, urls: Sequence[str]) -> dict[str, int]:
        """Return up to where the log was delivered to those of these webhooks that are known."""
        rows = self._connection.execute("SELECT url, position FROM webhook")
        return {url: position for url, position in rows if url in urls}

    def advance_webhook(self, url: str, event: Event, failure: Failure | None) -> None:
        """Remember that an event was sent to a webhook for the first time, and whether it has to be sent again."""
        if failure is not None:
            self._connection.execute(
                "INSERT INTO delivery (url, sequence, task_id, payload, emitted_ms, first_ms, attempts, failure,"
                " next_ms, set_aside_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (url, sequence) DO NOTHING",
                (
                    url,
                    event.sequence,
                    event.task_id,
                    event.payload,
                    event.emitted_ms,
                    failure.at_ms,
                    *_outcome(failure),
                ),
            )
        self._connection.execute("UPDATE webhook SET position = ? WHERE url = ?", (event.sequence, url))

    def settle(self, url: str, sequence: int, failure: Failure | None) -> None:
        """Remember what came of sending an event again."""
        if failure is None:
            self._connection.execute("DELETE FROM delivery WHERE url = ? AND sequence = ?", (url, sequence))
            return
        self._connection.execute(
            "UPDATE delivery SET attempts = ?, failure = ?, next_ms = ?, set_aside_ms = ?"
            " WHERE url = ? AND sequence = ? AND next_ms IS NOT NULL",
            (*_outcome(failure), url, sequence),
        )

    def next(self, url: str) -> Delivery | None:
        """Return what is to be sent to a webhook again first, None if there is nothing."""
        row = self._connection.execute(
            f"SELECT sequence, task_id, payload, emitted_ms, attempts, next_ms, first_ms FROM delivery WHERE {_PENDING}"  # noqa: S608 - a constant
            " ORDER BY next_ms, sequence LIMIT 1",
            (url,),
        ).fetchone()
        if row is None:
            return None
        sequence, task_id, payload, emitted_ms, attempts, next_ms, first_ms = row
        return Delivery(Event(sequence, task_id, payload, emitted_ms, emitted_ms), attempts, next_ms, first_ms)

    def retry_now(self, url: str, now_ms: int) -> None:
        """Send everything again now that waits for a webhook: it accepts messages again."""
        self._connection.execute(f"UPDATE delivery SET next_ms = ? WHERE {_PENDING}", (now_ms, url))  # noqa: S608 - a constant

    def waiting(self, urls: Sequence[str], *, before_ms: int) -> int:
        """Count the webhooks for which an event waits that was emitted before a time."""
        return sum(
            self._connection.execute(
                f"SELECT 1 FROM delivery WHERE {_PENDING} AND emitted_ms < ? LIMIT 1",  # noqa: S608 - a constant
                (url, before_ms),
            ).fetchone()
            is not None
            for url in urls
        )

    def set_aside_removed(self, urls: Sequence[str], now_ms: int) -> int:
        """Set aside what waits for any other webhook than these; return how much that was."""
        others = f"url NOT IN ({', '.join('?' * len(urls))})"
        return self._connection.execute(
            f"UPDATE delivery SET next_ms = NULL, set_aside_ms = ? WHERE next_ms IS NOT NULL AND {others}",  # noqa: S608 - question marks
            (now_ms, *urls),
        ).rowcount

    def set_aside(self) -> int:
        """Count what is set aside and not acknowledged."""
        row = self._connection.execute("SELECT count(*) FROM delivery WHERE set_aside_ms IS NOT NULL").fetchone()
        return int(row[0])

    def list_set_aside(self, *, limit: int) -> list[SetAside]:
        """List the messages that were set aside last, the newest first."""
        rows = self._connection.execute(
            "SELECT url, task_id, attempts, failure, emitted_ms, set_aside_ms FROM delivery"
            " WHERE set_aside_ms IS NOT NULL ORDER BY set_aside_ms DESC, sequence DESC LIMIT ?",
            (limit,),
        )
        return [SetAside(*row) for row in rows]

    def acknowledge(self, *, until_ms: int) -> int:
        """Forget what was set aside until a time; return how much that was."""
        return self._connection.execute("DELETE FROM delivery WHERE set_aside_ms <= ?", (until_ms,)).rowcount


def _outcome(failure: Failure) -> tuple[int, str, int | None, int | None]:
    set_aside_ms = failure.at_ms if failure.next_ms is None else None
    return failure.attempts, failure.reason, failure.next_ms, set_aside_ms
