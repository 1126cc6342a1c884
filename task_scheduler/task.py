"""The task: what it is made of, the states it goes through and the bounds it must keep; no clock, no I/O."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from task_scheduler import timestamp

HORIZON_MS: Final = 3_653 * 86_400_000
"""Ten years with their leap days."""

MAX_EVENT_BYTES: Final = 200_000
"""UTF-8 bytes of an emitted event. An SNS message has at most 256 KiB, attributes included (AWS, SNS quotas)."""

MAX_QUOTED_EVENT_BYTES: Final = 261_000
"""UTF-8 bytes of an emitted event quoted as a JSON string, where each quote and backslash counts twice: an execution's
input has at most 256 KiB (AWS, Step Functions quotas), and the time to wait for needs a little of it."""

MAX_DEPTH: Final = 256
"""Levels of arrays and objects in a request's body: what every JSON parser on the way takes."""

_SUMMARY_LENGTH: Final = 200  # characters


class Status(StrEnum):
    """What a person sees of a task's life: scheduled, then one of the others for good."""

    SCHEDULED = "scheduled"
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """One message to be emitted at one time. Times are milliseconds since the Unix epoch."""

    id: str
    due_ms: int
    event: str
    """The emitted event, as JSON text: the body as it was given, and the id."""
    created_ms: int
    revision: int = 1
    """Counts the timers that this task has had; a rescheduled task gets the next one."""
    status: Status = Status.SCHEDULED
    ended_ms: int | None = None
    """When the task was emitted, cancelled or given up."""


@dataclass(frozen=True, slots=True)
class Event:
    """One emitted task in the event log."""

    sequence: int
    """Counts up from 1 in the order of the log; a number may be missing, none comes twice."""
    task_id: str
    event: str
    emitted_ms: int
    indexed_ms: int

    def summary(self) -> str:
        """Return the start of the message, for people who look at a list."""
        message = read_event(self.event)["message"]
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
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def read_event(event: str) -> dict[str, Any]:
    """Return the fields of an emitted event."""
    fields: dict[str, Any] = json.loads(event)
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
    errors = []
    due_ms = now_ms
    try:
        due_ms = _due_ms(body, now_ms=now_ms)
    except ValueError as error:
        errors.append(str(error))
    if body.get("message") is None:
        errors.append("message is missing: give any JSON value but null.")
    if "id" in body:
        errors.append("id must not be given: each task gets an id of its own, which the answer names.")
    if errors:
        raise InvalidTaskError(*errors)
    event = {name: value for name, value in body.items() if name != "in"}
    text = encode({"id": task_id, "timestamp": timestamp.format(due_ms), **event})
    _check_size(text)
    return Task(id=task_id, due_ms=due_ms, event=text, created_ms=now_ms)


def _due_ms(body: Mapping[str, Any], *, now_ms: int) -> int:
    """Return when the task is due; raises ValueError with a sentence."""
    given = [name for name in ("timestamp", "in") if name in body]
    if len(given) != 1:
        state = "are both given" if given else "are both missing"
        raise ValueError(f'timestamp and in {state}: give one of them, "timestamp" in ISO 8601 or "in" such as "30s".')
    name = given[0]
    value = body[name]
    try:
        if name == "in":
            due_ms = now_ms + timestamp.parse_duration(value)
        elif isinstance(value, str):
            due_ms = timestamp.parse(value)
        else:
            raise ValueError("must be a string in ISO 8601, such as 2026-11-21T09:00:00Z")  # noqa: TRY301 - one kind of error for every mistake in a value
    except ValueError as error:
        raise ValueError(f"{name} {error}.") from None
    if due_ms > now_ms + HORIZON_MS:
        raise ValueError(
            f"{name} must lie within ten years from now, not after {timestamp.format(now_ms + HORIZON_MS)}."
        )
    return due_ms


def _check_size(event: str) -> None:
    size = len(event.encode())
    if size > MAX_EVENT_BYTES:
        raise TaskTooLargeError(
            f"The emitted event would have {size:,} bytes of JSON in UTF-8; at most {MAX_EVENT_BYTES:,} can be emitted."
        )
    quoted = len(encode(event).encode())
    if quoted > MAX_QUOTED_EVENT_BYTES:
        raise TaskTooLargeError(
            f"The emitted event would have {quoted:,} bytes as a JSON string, in which each quote and backslash counts "
            f"twice; at most {MAX_QUOTED_EVENT_BYTES:,} can be emitted."
        )
