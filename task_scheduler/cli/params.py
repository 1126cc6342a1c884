"""What people type as messages, times and tags, and what it means."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Never

import click

from task_scheduler.cli.client_options import Function
from task_scheduler.contract import MAX_BODY_BYTES

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# What JSON can begin with, null aside: a message cannot be null, so that is the word.
_MAYBE_JSON: Final = re.compile(r'\s*(?:[\[{"0-9-]|true|false)')


def time_options(command: Function) -> Function:
    """Add when a task is due."""
    in_ = click.option("--in", "in_", metavar="DELAY", help="From now: 30 (seconds), 30s, 5m, 2h or 7d.")
    at = click.option(
        "--at",
        metavar="TIME",
        help='ISO 8601, such as 2026-12-01T09:00:00Z or "2026-12-01 09:00"; without an offset and without --tz it is '
        "in the time zone of this machine.",
    )
    zone = click.option("--tz", metavar="NAME", help="The time zone that --at is in, such as Europe/Berlin.")
    return in_(at(zone(command)))


def format_options(command: Function) -> Function:
    """Add what the message has to be."""
    as_text = click.option(
        "--text", "as_text", is_flag=True, help="Send the message as a string, even if it is valid JSON."
    )
    as_json = click.option("--as-json", is_flag=True, help="Send the message as JSON; fail if it is not.")
    return as_text(as_json(command))


def message(given: str | None, *, as_text: bool, as_json: bool) -> object:
    """Return the message: the argument itself, the file behind @, or standard input; as JSON where it is that."""
    if as_text and as_json:
        raise click.UsageError("Give --text or --as-json, not both.")
    text = _read(given)
    if as_text or not (as_json or _MAYBE_JSON.match(text)):
        return text
    try:
        return _parse(text)
    except (ValueError, RecursionError) as error:
        if as_json:
            raise click.UsageError(f"The message is not JSON: {error}.") from None
        return text


def delay(text: str) -> float | str:
    """Return a delay as the API takes it: a mere number means seconds."""
    return float(text) if _NUMBER.fullmatch(text) else text


def instant(text: str, option: str) -> str:
    """Return a time with an offset; without one it is what the clock of this machine shows."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.UsageError(
            f'{option} {text!r} is not a date and time in ISO 8601, such as 2026-12-01T09:00:00Z or "2026-12-01 09:00".'
        ) from None
    if when.tzinfo is not None:
        return text.strip()
    try:
        local = when.astimezone()
    except (OverflowError, OSError, ValueError):
        raise click.UsageError(f"{option} {text!r} is out of range for the clock of this machine.") from None
    if local.replace(tzinfo=None) != when:
        raise click.UsageError(
            f"{option} {text!r} is skipped when the clocks of this machine go forward: give another time, or name the "
            "zone by --tz, which takes the first moment after the gap."
        )
    return local.isoformat()


def when(in_: str | None, at: str | None, zone: str | None) -> dict[str, Any]:
    """Return when, as the arguments of Client.reschedule; empty if nothing was said."""
    if in_ is not None and at is not None:
        raise click.UsageError("Give either --in or --at.")
    if zone is not None and at is None:
        raise click.UsageError("--tz goes with --at.")
    if in_ is not None:
        return {"delay": delay(in_)}
    if at is None:
        return {}
    return {"timestamp": at.strip(), "timezone": zone} if zone is not None else {"timestamp": instant(at, "--at")}


def tag(text: str) -> tuple[str, str]:
    """Return the name and the value of a tag."""
    found = re.match(r"([^=:]+)[=:](.+)", text, re.DOTALL)
    if found is None:
        raise click.UsageError(f"--tag {text!r} must be a name and a value, such as user=42.")
    return found[1], found[2]


def tags(texts: Iterable[str]) -> dict[str, str] | None:
    """Return all tags of a task; None if there are none."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = tag(text)
        if name in found:
            raise click.UsageError(f"The tag {name} is given twice.")
        found[name] = value
    return found or None


def selection(status: str, from_: str | None, to: str | None, tag_text: str | None) -> dict[str, Any]:
    """Return which tasks are meant, as the arguments of Client.list."""
    return {
        "status": None if status == "any" else status,
        "due_from": None if from_ is None else instant(from_, "--from"),
        "due_to": None if to is None else instant(to, "--to"),
        "tag": None if tag_text is None else tag(tag_text),
    }


def fields(texts: Iterable[str]) -> dict[str, object]:
    """Return further fields of a task, each value as JSON where it is that."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--field {text!r} must be a name and a value, such as cup=2.")
        try:
            found[name] = _parse(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _read(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        raise click.UsageError("What is the message? Give it as an argument, as @file, or on standard input.")
    if given is None or given == "-":
        data = sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
        if not data and given is None:
            raise click.UsageError("What is the message? There is no argument, and standard input is empty.")
        return _decode(data, "Standard input")
    if given.startswith("@@"):
        return given[1:]
    if given.startswith("@"):
        name = given[1:]
        try:
            with Path(name).open("rb") as file:
                return _decode(file.read(MAX_BODY_BYTES + 1), name)
        except OSError as error:
            raise click.UsageError(
                f"Cannot read {name}: {error.strerror}. A message that begins with @ is written @@."
            ) from None
    return given


def _decode(data: bytes, name: str) -> str:
    if len(data) > MAX_BODY_BYTES:
        raise click.UsageError(f"{name} has more than {MAX_BODY_BYTES:,} bytes, more than any message may have.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name} is not UTF-8: {error.reason} at byte {error.start}.") from None
    return text.removesuffix("\n").removesuffix("\r")


def _parse(text: str) -> object:
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
