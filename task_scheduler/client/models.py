"""The results of the client, and their parsing from JSON; times are aware datetimes in UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from task_scheduler.task import Status

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """An accepted task."""

    id: str
    timestamp: datetime
    """The due time; a time in the past means at once."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task."""

    id: str
    status: Status
    timestamp: datetime
    """The due time."""
    message: Any
    extra: dict[str, Any]
    """The other fields of the body, including `tags` and `timezone`."""
    created_at: datetime
    emitted_at: datetime | None
    cancelled_at: datetime | None
    failed_at: datetime | None

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the task."""
        tags = self.extra.get("tags")
        return tags if isinstance(tags, dict) else {}


@dataclass(frozen=True, slots=True)
class Event:
    """An emitted event."""

    sequence: int
    """The sequence number in the event log: increasing, unique, possibly with gaps."""
    task_id: str
    message: Any
    event: dict[str, Any]
    """The whole event: `id`, `timestamp` as it was sent, `message`, and the other fields."""
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of a list."""

    tasks: list[Task]
    cursor: str | None
    """The cursor of the next page; None on the last one."""


@dataclass(frozen=True, slots=True)
class TagCancellation:
    """The result of one request to cancel by a tag."""

    cancelled: int
    more: bool


# Each raises KeyError, TypeError or ValueError where the JSON has another shape.


def read_scheduled(body: Any) -> Scheduled:  # noqa: ANN401 - JSON of any shape
    """Read the response of /schedule."""
    return Scheduled(id=_text(body["id"]), timestamp=_time(body["timestamp"]))


def read_task(body: Any) -> Task:  # noqa: ANN401 - JSON of any shape
    """Read a task."""
    return Task(
        id=_text(body["id"]),
        status=Status(body["status"]),
        timestamp=_time(body["timestamp"]),
        message=body["message"],
        extra=_object(body["extra"]),
        created_at=_time(body["created_at"]),
        emitted_at=_time_or_none(body["emitted_at"]),
        cancelled_at=_time_or_none(body["cancelled_at"]),
        failed_at=_time_or_none(body["failed_at"]),
    )


def read_task_page(body: Any) -> TaskPage:  # noqa: ANN401 - JSON of any shape
    """Read a page of a list of tasks."""
    cursor = body["cursor"]
    return TaskPage([read_task(task) for task in _array(body["tasks"])], None if cursor is None else _text(cursor))


def read_event(envelope: Any) -> Event:  # noqa: ANN401 - JSON of any shape
    """Read an event from its envelope."""
    event = _object(envelope["event"])
    return Event(
        sequence=int(_text(envelope["id"])),
        task_id=_text(envelope["metadata"]["id"]),
        message=event["message"],
        event=event,
        emitted_at=_EPOCH + timedelta(milliseconds=envelope["metadata"]["ts"]),
    )


def read_events(body: Any) -> list[Event]:  # noqa: ANN401 - JSON of any shape
    """Read a page of the log of events."""
    return [read_event(envelope) for envelope in _array(body["events"])]


def read_cancelled(body: Any) -> None:  # noqa: ANN401 - JSON of any shape
    """Read the response of /cancel."""
    _text(body["id"])


def read_tag_cancellation(body: Any) -> TagCancellation:  # noqa: ANN401 - JSON of any shape
    """Read the response of /cancel/batch by a tag."""
    return TagCancellation(cancelled=int(body["cancelled"]), more=bool(body["more"]))


def read_version(body: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Read the response of /health."""
    return _text(body["version"])


def _time(value: object) -> datetime:
    return datetime.fromisoformat(_text(value)).astimezone(UTC)


def _time_or_none(value: object) -> datetime | None:
    return None if value is None else _time(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _array(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value
