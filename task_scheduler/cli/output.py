"""How things look: rows for people, JSON for programs. Nothing that users wrote reaches a terminal uninterpreted."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from task_scheduler.client import Event, Task

_ID_WIDTH: Final = 36
_STATUS_WIDTH: Final = 9
_GAP: Final = "  "
_LEAST_MESSAGE: Final = 10  # columns, however narrow the terminal is
_STATUS_STYLES: Final = {"scheduled": "cyan", "emitted": "green", "cancelled": "yellow", "failed": "red"}
# What moves the cursor, rings, colours, or turns the direction of writing; and halves of characters.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

INTERRUPTED: Final = 130
"""The exit code of a command that was ended by Ctrl-C."""


def print_error(sentence: str) -> None:
    """Write a sentence to standard error."""
    click.echo(printable(sentence), err=True)


def printable(text: str) -> str:
    """Return a text on one line, without what a terminal would obey."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_json(value: object, encoding: str = "") -> str:
    """Return JSON on one line that a terminal can be shown, in the characters of an encoding, by default of stdout."""
    wide = "utf" in (encoding or sys.stdout.encoding or "").lower()
    text = json.dumps(value, ensure_ascii=not wide)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_array(values: Iterable[object]) -> None:
    """Print a JSON array, each value on a line of its own as soon as it is there."""
    begin = "["
    for value in values:
        click.echo(f"{begin}{as_json(value)}", nl=False)
        begin = ",\n"
    click.echo("[]" if begin == "[" else "]")


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as 1 task or 1,000 tasks."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def iso(when: datetime) -> str:
    """Return a time as the API writes it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task_json(task: "Task") -> dict[str, Any]:
    """Return a task as the API shows it."""
    ended = {"emitted_at": task.emitted_at, "cancelled_at": task.cancelled_at, "failed_at": task.failed_at}
    return {
        "id": task.id,
        "status": task.status,
        "timestamp": iso(task.timestamp),
        "message": task.message,
        "extra": task.extra,
        "created_at": iso(task.created_at),
        **{name: when and iso(when) for name, when in ended.items()},
    }


def event_json(event: "Event") -> dict[str, Any]:
    """Return an event for programs."""
    return {
        "sequence": event.sequence,
        "task_id": event.task_id,
        "emitted_at": iso(event.emitted_at),
        "event": event.event,
    }


def moment(when: datetime) -> str:
    """Return a time for people: by the clock of this machine in a terminal, else as the API writes it."""
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S}" if sys.stdout.isatty() else iso(when)


def moment_in_full(when: datetime, now: datetime) -> str:
    """Return a time with its offset, and how far away it is."""
    text = when.astimezone().isoformat(sep=" ", timespec="milliseconds") if sys.stdout.isatty() else iso(when)
    return f"{text} ({_distance(when - now)})"


def _distance(away: timedelta) -> str:
    seconds = round(abs(away.total_seconds()))
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    text = " ".join(parts[:2])
    if not text:
        return "now"
    return f"in {text}" if away > timedelta() else f"{text} ago"


class Rows:
    """Prints one row after the other, in columns of fixed width, so that none has to wait for those behind it.

    In a terminal there are colours, and the last column ends where the line does. In a pipe it is whole.
    """

    def __init__(self, *columns: tuple[str, int]) -> None:
        self._columns = columns
        self._print = _printer()
        self._begun = False

    def add(self, *cells: str, styles: Sequence[str] = ()) -> None:
        """Print a row, below the names of the columns if it is the first."""
        if not self._begun:
            self._print(self._padded(name for name, _ in self._columns), ["bold"] * len(self._columns))
            self._begun = True
        self._print(self._padded(cells), styles)
        sys.stdout.flush()

    def _padded(self, cells: Iterable[str]) -> list[str]:
        return [f"{cell:<{width}}" for cell, (_, width) in zip(cells, self._columns, strict=True)]


def task_rows() -> Callable[["Task"], None]:
    """Return what prints a task as a row."""
    due = "DUE (LOCAL TIME)" if sys.stdout.isatty() else "DUE"
    rows = Rows(("ID", _ID_WIDTH), ("STATUS", _STATUS_WIDTH), (due, _moment_width()), ("MESSAGE", 0))

    def add(task: "Task") -> None:
        cells = (printable(task.id), task.status, moment(task.timestamp), one_line(task.message))
        rows.add(*cells, styles=("", _STATUS_STYLES[task.status]))

    return add


def event_rows() -> Callable[["Event"], None]:
    """Return what prints an event as a row, at once."""
    emitted = "EMITTED (LOCAL TIME)" if sys.stdout.isatty() else "EMITTED"
    rows = Rows((f"{'NUMBER':>8}", 8), (emitted, max(len(emitted), _moment_width())), ("ID", _ID_WIDTH), ("MESSAGE", 0))

    def add(event: "Event") -> None:
        task_id = printable(event.task_id)
        rows.add(f"{event.sequence:>8}", moment(event.emitted_at), task_id, one_line(event.message))

    return add


def one_line(message: object) -> str:
    """Return a message on one line: a text as it is, all else as JSON."""
    return printable(message) if isinstance(message, str) else as_json(message)


def details(task: "Task", now: datetime) -> None:
    """Print all there is to know about a task."""
    shown: dict[str, str] = {
        "Id": printable(task.id),
        "Status": task.status,
        "Due": moment_in_full(task.timestamp, now),
        "Created": moment_in_full(task.created_at, now),
    }
    ended = {"Emitted": task.emitted_at, "Cancelled": task.cancelled_at, "Failed": task.failed_at}
    shown |= {name: moment_in_full(when, now) for name, when in ended.items() if when is not None}
    if task.tags:
        shown["Tags"] = ", ".join(f"{printable(name)}={printable(str(value))}" for name, value in task.tags.items())
    shown |= {printable(name): one_line(value) for name, value in task.extra.items() if name != "tags"}
    shown["Message"] = one_line(task.message)
    width = max(map(len, shown))
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {value}")


def _moment_width() -> int:
    return 19 if sys.stdout.isatty() else 24


def _printer() -> Callable[[Sequence[str], Sequence[str]], None]:
    """Return what prints the cells of a row, with Rich where somebody looks at it."""
    if not sys.stdout.isatty():
        return lambda cells, _styles: click.echo(_GAP.join(cells).rstrip())
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)

    def show(cells: Sequence[str], styles: Sequence[str]) -> None:
        *columns, last = (Text(cell, style) for cell, style in zip_longest(cells, styles, fillvalue=""))
        used = sum(column.cell_len + len(_GAP) for column in columns)
        last = last[: console.width + 1]  # a message may be long, and truncating looks at every character
        last.truncate(max(_LEAST_MESSAGE, console.width - used), overflow="ellipsis")
        console.print(Text(_GAP).join([*columns, last]), soft_wrap=True)

    return show
