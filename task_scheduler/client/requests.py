"""Each call of the API as data: what is sent, how its response is read, and why it may be sent again. No I/O."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from task_scheduler.client import models
from task_scheduler.client.errors import ApiError, KeyConflictError, TaskNotFoundError, TooLateError
from task_scheduler.client.models import Event, Scheduled, TagCancellation, Task, TaskPage
from task_scheduler.contract import IDEMPOTENCY_KEY_HEADER
from task_scheduler.task import Status

Timestamp = datetime | str
"""An aware datetime; a naive one with a time zone's name; or a text, which is sent as it is."""
Delay = timedelta | float | str
"""A timedelta, a number of seconds, or a text such as "30s", "5m", "2h" or "7d"."""

NEWEST: Final = 2**63 - 1
"""A sequence number that no event has."""

_Result = TypeVar("_Result")
_MILLISECOND: Final = timedelta(milliseconds=1)
_OURS: Final = frozenset({"id", "in", "message", "secret", "tags", "timestamp", "timezone"})


@dataclass(frozen=True, slots=True)
class Call(Generic[_Result]):
    """One request. Every one may be repeated when its response got lost; each says why."""

    method: str
    path: str
    read: Callable[[Any], _Result]
    body: bytes | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[int, type[ApiError]] = field(default_factory=dict)
    """What a status means to this call in particular."""
    conflict_hint: str = ""
    """What to add to a conflict that a repetition meets."""


def schedule(  # noqa: PLR0913 - what a task is made of
    *,
    message: object,
    timestamp: Timestamp | None = None,
    delay: Delay | None = None,
    timezone: str | None = None,
    tags: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
    idempotency_key: str | None = None,
) -> Call[Scheduled]:
    """Schedule a task. Repeating is safe: the key makes all repetitions the same task."""
    if clash := sorted(_OURS & set(extra or ())):
        raise ValueError(f"extra must not hold {', '.join(clash)}: there are arguments for what may be given.")
    key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
    if not key.isascii() or not key.isprintable():
        raise ValueError("idempotency_key must have printable ASCII characters only.")
    body = {**_when(timestamp, delay, timezone), "message": message, **({"tags": tags} if tags is not None else {})}
    return schedule_body({**body, **(extra or {})}, key)


def schedule_body(body: Mapping[str, object], key: str) -> Call[Scheduled]:
    """Schedule a task by the body of its request."""
    return Call(
        "POST",
        "/schedule",
        models.read_scheduled,
        body=_json(body),
        headers={IDEMPOTENCY_KEY_HEADER: key},
        meanings={HTTPStatus.CONFLICT: KeyConflictError},
    )


def cancel(task_id: str) -> Call[None]:
    """Cancel a task. Repeating is safe: what is cancelled stays so, and cancelling it again gets the same response."""
    return Call(
        "POST",
        "/cancel",
        models.read_cancelled,
        body=_json({"id": task_id}),
        meanings={HTTPStatus.NOT_FOUND: TaskNotFoundError, HTTPStatus.CONFLICT: TooLateError},
    )


def cancel_tagged(name: str, value: str) -> Call[TagCancellation]:
    """Cancel by a tag. Repeating is safe: it goes on with those that are still scheduled."""
    return Call("POST", "/cancel/batch", models.read_tag_cancellation, body=_json({"tag": f"{name}:{value}"}))


def reschedule(
    task_id: str,
    *,
    timestamp: Timestamp | None = None,
    timezone: str | None = None,
    delay: Delay | None = None,
    message: object = None,
) -> Call[Task]:
    """Change a task. Repeating sets the same again; a delay then counts from the repetition.

    Where the new time comes between a first attempt whose response got lost and its repetition, the repetition is too
    late, though the change was made. To call that a success would be a guess, since the task may as well have been
    emitted at its old time: it stays an error, which says so.
    """
    when = _when(timestamp, delay, timezone) if (timestamp, delay, timezone) != (None, None, None) else {}
    return Call(
        "PATCH",
        _task_path(task_id),
        models.read_task,
        body=_json({**when, **({"message": message} if message is not None else {})}),
        meanings={HTTPStatus.NOT_FOUND: TaskNotFoundError, HTTPStatus.CONFLICT: TooLateError},
        conflict_hint="An earlier attempt got no response and may have changed the task before that: look at it.",
    )


def get(task_id: str) -> Call[Task]:
    """Look at a task. Repeating is safe: nothing changes."""
    return Call("GET", _task_path(task_id), models.read_task, meanings={HTTPStatus.NOT_FOUND: TaskNotFoundError})


def list_page(
    *,
    status: Status | str | None,
    due_from: Timestamp | None,
    due_to: Timestamp | None,
    tag: tuple[str, str] | None,
    page_size: int,
) -> Call[TaskPage]:
    """Request the first page of a list. Repeating is safe: nothing changes."""
    params: dict[str, str | int] = {"limit": page_size}
    if status is not None:
        params["status"] = str(status)
    if due_from is not None:
        params["from"] = _instant(due_from)
    if due_to is not None:
        params["to"] = _instant(due_to)
    if tag is not None:
        params["tag"] = ":".join(tag)
    return Call("GET", "/tasks", models.read_task_page, params=params)


def next_page(call: Call[TaskPage], page: TaskPage) -> Call[TaskPage] | None:
    """Request what follows a page in the same list; None after the last one."""
    if page.cursor is None:
        return None
    return Call(call.method, call.path, call.read, params={**call.params, "cursor": page.cursor})


def emitted(*, after: int, before: int | None, limit: int) -> Call[list[Event]]:
    """Request a page of the log of events. Repeating is safe: nothing changes."""
    params: dict[str, str | int] = {"limit": limit}
    if before is not None:
        params["before"] = before
    if before is None or after:
        params["after"] = after
    return Call("GET", "/events", models.read_events, params=params)


def health() -> Call[str]:
    """Request the version. Repeating is safe: nothing changes."""
    return Call("GET", "/health", models.read_version)


def _task_path(task_id: str) -> str:
    return f"/tasks/{quote(task_id, safe='')}"


def _when(timestamp: Timestamp | None, delay: Delay | None, zone: str | None) -> dict[str, object]:
    """Return the fields of a body that say when."""
    if (timestamp is None) == (delay is None):
        raise ValueError("Give either a timestamp or a delay.")
    _check_types(timestamp, delay, zone)
    if timestamp is None:
        if zone is not None:
            raise ValueError("A delay is the same in every time zone: give timezone with a timestamp only.")
        return {"in": _seconds(delay) if isinstance(delay, timedelta) else delay}
    if zone is None:
        return {"timestamp": _instant(timestamp)}
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is not None:
            raise ValueError("timezone goes with a datetime that has no zone of its own.")
        if timestamp.fold:
            raise ValueError(
                "Of a time that clocks show twice, timezone means the first; for the second, which fold=1 is, give a "
                "datetime with a zone of its own."
            )
        timestamp = _whole_milliseconds(timestamp).isoformat(timespec="milliseconds")
    return {"timestamp": timestamp, "timezone": zone}


def _check_types(timestamp: object, delay: object, zone: object) -> None:
    """Raise TypeError for what type checkers would have found, before it becomes an AttributeError somewhere else."""
    if not isinstance(timestamp, datetime | str | None):
        raise TypeError(f"timestamp must be a datetime or a text, not {type(timestamp).__name__}.")
    if not isinstance(delay, timedelta | int | float | str | None) or isinstance(delay, bool):
        raise TypeError(f"delay must be a timedelta, a number of seconds or a text, not {type(delay).__name__}.")
    if not isinstance(zone, str | None):
        raise TypeError(f"timezone must be the name of a time zone, not {type(zone).__name__}.")


def _instant(when: Timestamp) -> str:
    """Return a time as text with its offset."""
    if isinstance(when, str):
        return when
    offset = when.utcoffset()
    if offset is None:
        raise ValueError(
            "A datetime without a time zone could be any moment: give it one, as in datetime.now(UTC), or name one by "
            "timezone where that can be given."
        )
    # By a fixed offset: in a zone with rules, the next millisecond may be an hour away.
    return _whole_milliseconds(when.astimezone(timezone(offset))).isoformat(timespec="milliseconds")


def _whole_milliseconds(when: datetime) -> datetime:
    """Round up, never to an earlier time."""
    try:
        return when + timedelta(microseconds=-when.microsecond % 1000)
    except OverflowError:
        raise ValueError("timestamp must lie before the end of the year 9999.") from None


def _seconds(delay: timedelta) -> float:
    """Return whole milliseconds, rounded up, as seconds."""
    return -(-delay // _MILLISECOND) / 1000


def _json(body: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ValueError("A text holds half of a surrogate pair, which is not a character.") from None
    except RecursionError:
        raise ValueError("The message is nested too deeply, or holds itself.") from None
