"""What clients asked of a server and how it responded (the history), and what is observed of it in the end.

A client sends each request again until its response is definite, so each task is accepted, changed and cancelled, or
not, for certain. It sends one request about a task at a time; different tasks are independent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from task_scheduler import timestamps

JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Version:
    """A task as it was requested; each version of each task has a message of its own, which identifies it."""

    due_ms: int
    message: str

    @classmethod
    def of(cls, found: JsonObject) -> "Version":
        """Read what a task or an event contains."""
        return cls(timestamps.parse(found["timestamp"]), found["message"])

    @property
    def body(self) -> dict[str, str]:
        """What requests it, both to make a task and to change one."""
        return {"timestamp": timestamps.format(self.due_ms), "message": self.message}


@dataclass
class TaskHistory:
    """One task: what the server has confirmed, and what requests without a response may have done."""

    key: str
    """Its Idempotency-Key."""
    requested: Version
    id: str | None = None
    """Set once the task is accepted."""
    rejection: str = ""
    """The final response of a server that rejected the task."""
    possible: list[Version] = field(default_factory=list)
    """The versions of which one must be emitted: the last confirmed one, and those that may have followed it."""
    unknown: set[Version] = field(default_factory=set)
    """Changes of which an attempt got no response: they may have been made."""
    lingering: list[Version] = field(default_factory=list)
    """Changes without a response from a server that is still alive: it may make them even after later ones."""
    cancelled: bool = False
    """A cancel was confirmed: the task must not be emitted."""
    may_be_cancelled: bool = False
    """A cancel got no response."""
    too_late: bool = False
    """A cancel was rejected because the task is emitted, or will be."""
    over: bool = False
    """A change was rejected because the task is emitted or cancelled."""
    errors: list[str] = field(default_factory=list)
    """Responses that contradict themselves or earlier ones."""

    def schedule_ok(self, response: JsonObject) -> None:
        """Take the 200 of /schedule; a repetition must name the same task."""
        if self.id is None:
            self.id, self.possible = response["id"], [self.requested]
        elif self.id != response["id"]:
            self.errors.append(f"one Idempotency-Key made two tasks, {self.id} and {response['id']}")
        if timestamps.parse(response["timestamp"]) != self.requested.due_ms:
            self.errors.append(f"was requested for {self.requested.body['timestamp']}, not {response['timestamp']}")

    def schedule_failed(self, status: int, text: object) -> None:
        """Take a final rejection of /schedule; no client requests anything that may be rejected."""
        self.rejection = f"{status} {text}"

    def invoke_change(self, version: Version) -> None:
        """Note a change before it is sent."""
        if version not in self.possible:
            self.possible.append(version)

    def change_unknown(self, version: Version, *, lingers: bool) -> None:
        """Note an attempt without a response; it lingers unless the process that got it is dead."""
        self.unknown.add(version)
        if lingers and version not in self.lingering:
            self.lingering.append(version)

    def change_ok(self, version: Version, response: JsonObject) -> None:
        """Take the 200 of PATCH: from now on it is this version, or a lingering one."""
        if (found := Version.of(response)) != version:
            self.errors.append(f"was changed to {version}, and the response has {found}")
        self._check(response["status"] == "scheduled", f"a change was confirmed of a task that is {response}")
        self._check(not self.cancelled, "a change was confirmed after a cancel was")
        self.possible = [version, *(other for other in self.lingering if other != version)]

    def change_failed(self, version: Version) -> None:
        """Take the 409 of PATCH; an earlier attempt without a response may have made the change."""
        if version not in self.unknown:
            self.possible.remove(version)
        self.over = True

    def cancel_unknown(self) -> None:
        """Note an attempt to cancel without a response."""
        self.may_be_cancelled = True

    def cancel_ok(self) -> None:
        """Take the 200 of a cancel."""
        self._check(not self.too_late, "a cancel was confirmed after one was rejected as too late")
        self.cancelled = True

    def cancel_failed(self) -> None:
        """Take the 409 of a cancel."""
        self._check(not self.cancelled, "a cancel was rejected as too late after one was confirmed")
        self.too_late = True

    def _check(self, holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not holds:
            self.errors.append(sentence)


class History:
    """All requests of a run."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskHistory] = {}
        """By Idempotency-Key."""
        self.responses: Counter[tuple[str, str]] = Counter()
        """How often each operation ended with each status, or with each kind of error."""
        self.errors: list[str] = []
        """Violations that concern no single task, such as a response that no server may give."""

    def invoke(self, key: str, version: Version) -> TaskHistory:
        """Note a new task before it is requested."""
        if key in self.tasks:
            raise ValueError(f"the key {key} was used before")
        self.tasks[key] = TaskHistory(key, version)
        return self.tasks[key]

    @property
    def accepted(self) -> dict[str, TaskHistory]:
        """The accepted tasks, by id."""
        return {task.id: task for task in self.tasks.values() if task.id is not None}


@dataclass(frozen=True)
class Emitted:
    """One entry of the event log."""

    sequence: int
    emitted_ms: int
    task_id: str
    version: Version

    @classmethod
    def of(cls, envelope: JsonObject) -> "Emitted":
        """Read what GET /events and the event stream contain."""
        event = envelope["event"]
        return cls(int(envelope["id"]), envelope["metadata"]["ts"], event["id"], Version.of(event))


@dataclass(frozen=True)
class Seen:
    """One event as a listener got it."""

    event: Emitted
    latest_ms: int
    """The latest time that the clock of the server can have shown by then."""


@dataclass(frozen=True)
class Delivered:
    """One message as a webhook, or a subscriber of the topic, got it."""

    task_id: str
    version: Version
    latest_ms: int
    """The same."""

    @classmethod
    def of(cls, event: JsonObject, latest_ms: int) -> "Delivered":
        """Read what webhooks and the topic deliver."""
        return cls(event["id"], Version.of(event), latest_ms)


@dataclass(frozen=True)
class Listed:
    """One task as GET /tasks shows it."""

    id: str
    status: str
    version: Version
    emitted_ms: int | None

    @classmethod
    def of(cls, task: JsonObject) -> "Listed":
        """Read a task of GET /tasks."""
        emitted_ms = None if task["emitted_at"] is None else timestamps.parse(task["emitted_at"])
        return cls(task["id"], task["status"], Version.of(task), emitted_ms)


@dataclass
class Observations:
    """All that is observed in the end, once everything due has had its time."""

    log: list[Emitted]
    """The whole event log, in its order."""
    tasks: list[Listed]
    """All tasks, of every status."""
    seen: list[Seen] = field(default_factory=list)
    """Events of a listener that has followed the log from its beginning, by Last-Event-ID after every cut."""
    deliveries: list[Delivered] = field(default_factory=list)
    """Of a webhook or a subscriber that has been there from the beginning."""
    due_before_ms: int = 0
    """All tasks that were due before this must have been emitted."""


Outcome = tuple[History, Observations, Mapping[str, object]]
"""What a run of a driver was: what was requested, what is observed in the end, and what else to report."""
