"""Tasks as lines of JSON: what export writes, what import reads, and the key that makes a line one task. No network."""

import hashlib
import json
import sqlite3
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Never, Self

from task_scheduler.cli.output import as_json, iso
from task_scheduler.time_zones import find_zone

if TYPE_CHECKING:
    from task_scheduler.client import Task

MAX_LINE_BYTES: Final = 2_097_152
"""Twice what the API takes as a body; what is longer is not stored."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file."""

    number: int
    data: bytes
    """Without what is beyond MAX_LINE_BYTES, which is a mistake then."""
    end: int
    """How many bytes of the file end with it."""


class LineError(ValueError):
    """A line is no task; the text is a sentence."""


def line_of(task: "Task") -> str:
    """Return a task as a line: a body for /schedule, and the id."""
    others = dict(task.extra)
    when: dict[str, object] = {"timestamp": iso(task.timestamp)}
    wall = _wall_clock(task.timestamp, others.get("timezone"))
    if wall is not None:
        when = {"timestamp": wall, "timezone": others.pop("timezone")}
    return as_json({"id": task.id, **when, "message": task.message, **others}, encoding="utf-8")


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines of a file that are not empty, each as soon as it is there.

    Raises NotLinesError before the first one if the file is a JSON array: line by line, some of it would be scheduled.
    """
    number = end = 0
    is_first = True
    while data := file.readline(MAX_LINE_BYTES):
        number += 1
        end += len(data)
        rest = data
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)
            end += len(rest)
        if data.strip():
            if is_first and data.removeprefix(BOM_UTF8).lstrip().startswith(b"["):
                raise NotLinesError
            is_first = False
            yield Line(number, data, end)


def read_task(line: Line) -> dict[str, Any]:
    """Return the JSON object in a line; raises LineError."""
    if len(line.data) == MAX_LINE_BYTES:
        raise LineError(f"The line has more than {MAX_LINE_BYTES:,} bytes.")
    try:
        task = json.loads(line.data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise LineError(f"The line is not UTF-8: {error.reason} at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise LineError(f"The line is not JSON: {error.msg} at column {error.colno}.") from None
    except (ValueError, RecursionError) as error:
        raise LineError(f"The line is not JSON that is taken here: {error}.") from None
    if not isinstance(task, dict):
        raise LineError('The line is no JSON object such as {"timestamp": "2026-12-01T09:00:00Z", "message": "Hello"}.')
    return task


class NotLinesError(Exception):
    """The file is a JSON array."""

    def __init__(self) -> None:
        super().__init__(
            "The file is a JSON array, and import takes a JSON object on each line. Convert it, as by: "
            "jq -c '.[]' tasks.json > tasks.jsonl"
        )


class Keys:
    """Gives each line an idempotency key made of its own content: the same file again has the same keys.

    A line with an id is one task, however often it is there. Of equal lines without one, each is a task of its own;
    they are counted in a temporary database, which goes to disk when it gets large.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("PRAGMA journal_mode = OFF")
        self._seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
        self._seen.execute("BEGIN")

    def __enter__(self) -> Self:
        """Hold the database until the block is left."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Throw the database away."""
        self._seen.close()

    def key(self, task: dict[str, Any]) -> str:
        """Return the key of the next line, which has this content."""
        digest = hashlib.sha256(json.dumps(task, sort_keys=True, separators=(",", ":")).encode())
        if "id" not in task:
            digest.update(b"\n%d" % self._count(digest.digest()))
        return f"import-{digest.hexdigest()}"

    def _count(self, digest: bytes) -> int:
        add = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"
        with closing(self._seen.execute(add, (digest[:16],))) as counted:
            [count] = counted.fetchone()
        return int(count)


def _wall_clock(due: datetime, zone: object) -> str | None:
    """Return what the clocks of a zone show then; None where that would mean another time, or there is no such zone.

    Of a time that they show twice, the API takes the earlier: the later one can be written in UTC only.
    """
    try:
        there = find_zone(zone)
    except ValueError:
        return None
    wall = due.astimezone(there).replace(tzinfo=None, fold=0)
    if wall.replace(tzinfo=there).astimezone(UTC) != due:
        return None
    return wall.isoformat(timespec="milliseconds")


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
