"""The task: what it is made of, the states it goes through and the bounds it must keep; no clock, no I/O."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from task_scheduler import timestamps
from task_scheduler.time_zones import find_zone
from task_scheduler.timestamps import DAY_MS

HORIZON_MS: Final = 3_653 * DAY_MS
"""Ten years with their leap days."""

MAX_EVENT_BYTES: Final = 200_000
"""UTF-8 bytes of an emitted event. An SNS message has at most 256 KiB, attributes included (AWS, SNS quotas)."""

MAX_QUOTED_EVENT_BYTES: Final = 250_000
"""UTF-8 bytes of an emitted event quoted as a JSON string, where each quote and backslash counts twice: an execution's
input has at most 256 KiB (AWS, Step Functions quotas), and the time to wait for and the tags need some of it."""

MAX_DEPTH: Final = 256
"""Levels of arrays and objects in a request's body: what every JSON parser on the way takes."""

MAX_TAGS: Final = 8
"""An SQS queue with raw delivery takes 10 attributes of a message and drops one with more (AWS, SNS raw delivery)."""

CHANGEABLE: Final = frozenset({"timestamp", "timezone", "in", "message"})

# Four bytes a character at most make 160,000, and quoting, which adds one to each that is a byte long, 200,000.
_SURELY_SMALL: Final = 40_000  # characters
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MAX_TAG_VALUE: Final = 256  # characters
# What SNS takes as the name of a message attribute (AWS, SNS message attributes), in half its length.
_TAG_NAME: Final = re.compile(r"(?!(?:aws|amazon)\.)(?=.{1,128}\Z)[\w-]+(?:\.[\w-]+)*", re.ASCII | re.IGNORECASE)
_SUMMARY_LENGTH: Final = 200  # characters


class Status(StrEnum):
    """The status of a task: scheduled, then one of the others as a final status."""

    SCHEDULED = "scheduled"
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """One message to be emitted at one time. Times are milliseconds since the Unix epoch."""

    id: str
    due_ms: int
    payload: str
    """The emitted event, as JSON text: the body as it was given, and the id."""
    created_ms: int
    revision: int = 1
    """Counts the timers that this task has had; a rescheduled task gets the next one."""
    status: Status = Status.SCHEDULED
    ended_ms: int | None = None
    """When the task was emitted, was cancelled or failed."""
    changed_ms: int = 0
    """When it was last given a time or a message; 0 if it has what it was made with."""

    @property
    def expected_ms(self) -> int:
        """When it could be emitted at the earliest: a time in the past counts from when it was given."""
        return max(self.due_ms, self.created_ms, self.changed_ms)

    @property
    def tags(self) -> dict[str, str]:
        """What subscribers may filter by, and lists too; the first release took anything under that name."""
        if '"tags":' not in self.payload:  # mostly, and then it need not be read
            return {}
        found: dict[str, str] = read_payload(self.payload).get("tags", {})
        return {} if mistakes_in_tags(found) else found


@dataclass(frozen=True, slots=True)
class Event:
    """One emitted task in the event log."""

    sequence: int
    """Counts up from 1 in the order of the log; a number may be missing, none comes twice."""
    task_id: str
    payload: str
    emitted_ms: int
    indexed_ms: int

    def summary(self) -> str:
        """Return the start of the message, for people who look at a list."""
        message = read_payload(self.payload)["message"]
        text = message if isinstance(message, str) else encode(message)
        return text if len(text) <= _SUMMARY_LENGTH else text[: _SUMMARY_LENGTH - 1] + "…"


class InvalidTaskError(ValueError):
    """A task cannot be made of this body; `errors` has a sentence for each mistake."""

    def __init__(self, *errors: str) -> None:
        super().__init__(" ".join(errors))
        self.errors = errors


class TaskTooLargeError(ValueError):
    """The event of this task would not fit through the services that carry it."""


def encode(value: object) -> str:
    """Return `value` as compact JSON text that every service on the way carries unchanged.

    U+FFFE and U+FFFF are escaped like control characters are, since SQS refuses them (AWS, SQS SendMessage).
    """
    text = _encode(value)
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def read_payload(payload: str) -> dict[str, Any]:
    """Return the fields of an emitted event."""
    fields: dict[str, Any] = json.loads(payload)
    return fields


def is_task_id(text: object) -> bool:
    """Tell whether `text` has the form of the ids given out here: a UUID in lower case with hyphens."""
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False


def new_task(body: Mapping[str, Any], *, task_id: str, now_ms: int) -> Task:
    """Make a task of a request's body.

    Raises InvalidTaskError with all that is wrong, or TaskTooLargeError.
    """
    errors: list[str] = []
    due_ms = _due_ms(body, errors, now_ms=now_ms)
    if body.get("message") is None:
        errors.append("message is missing: give any JSON value but null.")
    if "id" in body:
        errors.append("id must not be given: each task gets an id of its own, which the response names.")
    if "tags" in body:
        errors += mistakes_in_tags(body["tags"])
    if errors:
        raise InvalidTaskError(*errors)
    fields = {name: value for name, value in body.items() if name != "in"}
    payload = encode({"id": task_id, "timestamp": timestamps.format(due_ms), **fields})
    _check_size(payload)
    return Task(id=task_id, due_ms=due_ms, payload=payload, created_ms=now_ms)


def changed_task(task: Task, body: Mapping[str, Any], *, now_ms: int) -> Task:
    """Return the next revision of a task, with the time and the message that a request's body gives.

    Raises InvalidTaskError with all that is wrong, or TaskTooLargeError.
    """
    errors = [
        f"{name[:80]} cannot be changed: give timestamp or in, message, or both."
        for name in body
        if name not in CHANGEABLE
    ]
    fields = read_payload(task.payload)
    due_ms = task.due_ms
    if not body.keys().isdisjoint({"timestamp", "in", "timezone"}):
        due_ms = _due_ms(body, errors, now_ms=now_ms)
        fields.pop("timezone", None)  # it belonged to the old time
        fields |= {"timestamp": timestamps.format(due_ms)} | {
            name: body[name] for name in ("timestamp", "timezone") if name in body
        }
    if "message" in body:
        fields["message"] = body["message"]
        if body["message"] is None:
            errors.append("message must be any JSON value but null.")
    if not body:
        errors.append("Nothing to change is given: give timestamp or in, message, or both.")
    if errors:
        raise InvalidTaskError(*errors)
    payload = encode(fields)
    _check_size(payload)
    return replace(task, due_ms=due_ms, payload=payload, revision=task.revision + 1, changed_ms=now_ms)


def _due_ms(body: Mapping[str, Any], errors: list[str], *, now_ms: int) -> int:
    """Return when the task is due; a mistake adds a sentence to `errors`, and counts as now."""
    given = [name for name in ("timestamp", "in") if name in body]
    if len(given) != 1:
        state = "are both given" if given else "are both missing"
        errors.append(f'timestamp and in {state}: give one of them, "timestamp" in ISO 8601 or "in" such as "30s".')
        return now_ms
    name = given[0]
    value = body[name]
    zone = _zone(body, name, errors)
    try:
        if name == "in":
            due_ms = now_ms + timestamps.parse_duration(value)
        elif isinstance(value, str):
            due_ms = timestamps.parse(value, zone)
        else:
            errors.append("timestamp must be a string in ISO 8601, such as 2026-11-21T09:00:00Z.")
            return now_ms
    except ValueError as error:
        errors.append(f"{name} {error}.")
        return now_ms
    latest_ms = now_ms + HORIZON_MS
    if due_ms > latest_ms:
        errors.append(f"{name} must lie within ten years from now, not after {timestamps.format(latest_ms)}.")
    return due_ms


def _zone(body: Mapping[str, Any], when: str, errors: list[str]) -> ZoneInfo | None:
    """Return the time zone that the timestamp is in; a mistake adds a sentence to `errors`."""
    if "timezone" not in body:
        return None
    if when == "in":
        errors.append("timezone goes with timestamp: a time from now is the same everywhere.")
        return None
    try:
        return find_zone(body["timezone"])
    except ValueError as error:
        errors.append(f"timezone {error}.")
        return None


def mistakes_in_tags(tags: object) -> list[str]:
    """Return a sentence for each thing that is wrong with tags."""
    if not isinstance(tags, dict) or len(tags) > MAX_TAGS:
        return [f'tags must be an object of up to {MAX_TAGS} names and texts, such as {{"user": "42"}}.']
    errors = []
    for name, value in tags.items():
        if not _TAG_NAME.fullmatch(name):
            errors.append(
                f"tags: the name {name[:80]!r} must have 1 to 128 letters, digits, hyphens, underscores or single dots "
                "within, and not begin with AWS. or Amazon."
            )
        elif not isinstance(value, str) or not 1 <= len(value) <= _MAX_TAG_VALUE or not value.isprintable():
            errors.append(f"tags: the value of {name} must be a text of 1 to {_MAX_TAG_VALUE} printable characters.")
    return errors


def _check_size(payload: str) -> None:
    if len(payload) <= _SURELY_SMALL:
        return
    size = len(payload.encode())
    if size > MAX_EVENT_BYTES:
        raise TaskTooLargeError(
            f"The emitted event would have {size:,} bytes of JSON in UTF-8; at most {MAX_EVENT_BYTES:,} can be emitted."
        )
    quoted = len(encode(payload).encode())
    if quoted > MAX_QUOTED_EVENT_BYTES:
        raise TaskTooLargeError(
            f"The emitted event would have {quoted:,} bytes as a JSON string, in which each quote and backslash counts "
            f"twice; at most {MAX_QUOTED_EVENT_BYTES:,} can be emitted."
        )
