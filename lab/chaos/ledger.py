"""What was asked of a server and what it answered, and what is found in the end; account.py holds these together.

A driver sends every request again until there is a definite answer, so that each task is accepted, changed and
cancelled, or not, for certain. It asks one thing about a task at a time; different tasks are independent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from task_scheduler import timestamps


@dataclass(frozen=True)
class Version:
    """A task as it was asked for: every version of every task has a message of its own, by which it is known again."""

    due_ms: int
    message: str

    @property
    def body(self) -> dict[str, str]:
        """What asks for it, to make a task and to change one."""
        return {"timestamp": timestamps.format(self.due_ms), "message": self.message}


@dataclass
class Promise:
    """One task: what the server is bound to, and what else may have happened by requests that got no answer."""

    key: str
    """Its Idempotency-Key."""
    asked: Version
    id: str | None = None
    """Set once the task is accepted."""
    refusal: str = ""
    """What the server said when it refused the task for good."""
    possible: list[Version] = field(default_factory=list)
    """The versions of which one must be emitted: the last confirmed, and those that may have come after it."""
    lingering: list[Version] = field(default_factory=list)
    """Changes that got no answer from a server that lives on: it may make them at any time, even after later ones."""
    cancelled: bool = False
    """The server has confirmed that this will not be emitted."""
    may_be_cancelled: bool = False
    """A cancel got no answer: if it took effect, that is right as well."""
    too_late: bool = False
    """The server has refused to cancel this, since it was emitted or will be."""
    over: bool = False
    """The server has refused to change this, since it was emitted, is being emitted, or was cancelled."""
    broken: list[str] = field(default_factory=list)
    """Answers that contradict themselves or what was answered before."""

    def accept(self, answer: Mapping[str, Any]) -> None:
        """Take the 200 of /schedule; a repetition must name the same task."""
        if self.id not in {None, answer["id"]}:
            self.broken.append(f"one Idempotency-Key made two tasks, {self.id} and {answer['id']}")
        if self.id is None:
            self.id = answer["id"]
            self.possible = [self.asked]
        if timestamps.parse(answer["timestamp"]) != self.asked.due_ms:
            self.broken.append(f"was asked for {self.asked.body['timestamp']}, and accepted for {answer['timestamp']}")

    def refuse(self, status: int, said: object) -> None:
        """Take a definite refusal of /schedule; a driver asks for nothing that may be refused."""
        self.refusal = f"{status} {said}"

    def ask_change(self, version: Version) -> None:
        """Note a change before each attempt to send it."""
        if version not in self.possible:
            self.possible.append(version)

    def change_unanswered(self, version: Version, *, may_linger: bool) -> None:
        """Note that an attempt got no answer; it may linger unless the process that had it is dead."""
        if may_linger and version not in self.lingering:
            self.lingering.append(version)

    def change(self, version: Version, answer: Mapping[str, Any]) -> None:
        """Take the 200 of PATCH: from now on it is this version, or a lingering one."""
        got = Version(timestamps.parse(answer["timestamp"]), answer["message"])
        if got != version:
            self.broken.append(f"was changed to {version}, and answered {got}")
        self._contradict(answer["status"] != "scheduled", f"a change was confirmed of a task that is {answer}")
        self._contradict(self.cancelled, "a change was confirmed after a cancel was")
        self.possible = [version, *(other for other in self.lingering if other != version)]

    def refuse_change(self, version: Version, *, first: bool) -> None:
        """Take the 409 of PATCH; where an earlier attempt got no answer, that may have made the change."""
        if first and version not in self.lingering:
            self.possible.remove(version)
        self.over = True

    def cancel_unanswered(self) -> None:
        """Note that an attempt to cancel got no answer."""
        self.may_be_cancelled = True

    def cancel(self) -> None:
        """Take the 200 of a cancel."""
        self._contradict(self.too_late, "a cancel was confirmed after one was refused as too late")
        self.cancelled = True

    def refuse_cancel(self) -> None:
        """Take the 409 of a cancel."""
        self._contradict(self.cancelled, "a cancel was refused as too late after one was confirmed")
        self.too_late = True

    def lose(self, request: str) -> None:
        """Take a 404: an accepted task is not known."""
        self.broken.append(f"was accepted, and {request} answered 404")

    def _contradict(self, happened: bool, sentence: str) -> None:  # noqa: FBT001 - reads as "contradict if ..."
        if happened:
            self.broken.append(sentence)


class Ledger:
    """All that a driver asked for."""

    def __init__(self) -> None:
        self.promises: dict[str, Promise] = {}
        """By Idempotency-Key."""
        self.answers: Counter[tuple[str, str]] = Counter()
        """How often each operation was answered with each status, or ended with each kind of error."""
        self.complaints: list[str] = []
        """What is wrong and concerns no single task, such as an answer that no server may give."""
        self._lock = Lock()

    def ask(self, key: str, version: Version) -> Promise:
        """Note a new task before it is asked for."""
        promise = Promise(key, version)
        with self._lock:
            if key in self.promises:
                raise ValueError(f"the key {key} was used before")
            self.promises[key] = promise
        return promise

    def count(self, operation: str, answer: str) -> None:
        """Count an answer."""
        with self._lock:
            self.answers[operation, answer] += 1

    def print_error(self, sentence: str) -> None:
        """Note what is wrong."""
        with self._lock:
            self.complaints.append(sentence)

    @property
    def accepted(self) -> dict[str, Promise]:
        """The accepted tasks, by id."""
        return {promise.id: promise for promise in self.promises.values() if promise.id is not None}


@dataclass(frozen=True)
class Emitted:
    """One entry of the event log."""

    sequence: int
    emitted_ms: int
    task_id: str
    version: Version

    @classmethod
    def read(cls, envelope: Mapping[str, Any]) -> "Emitted":
        """Read what GET /events and the event stream carry."""
        event = envelope["event"]
        version = Version(timestamps.parse(event["timestamp"]), event["message"])
        return cls(int(envelope["id"]), envelope["metadata"]["ts"], event["id"], version)


@dataclass(frozen=True)
class Seen:
    """One event as a listener got it."""

    event: Emitted
    latest_ms: int
    """The latest time that the server's clock can have shown by then."""


@dataclass(frozen=True)
class Delivered:
    """One message as a webhook, or a subscriber of the topic, got it."""

    task_id: str
    version: Version
    latest_ms: int
    """The latest time that the server's clock can have shown by then."""

    @classmethod
    def read(cls, event: Mapping[str, Any], latest_ms: int) -> "Delivered":
        """Read the event that webhooks and the topic carry."""
        return cls(event["id"], Version(timestamps.parse(event["timestamp"]), event["message"]), latest_ms)


@dataclass(frozen=True)
class Kept:
    """One task as GET /tasks shows it."""

    id: str
    status: str
    version: Version
    emitted_ms: int | None

    @classmethod
    def read(cls, task: Mapping[str, Any]) -> "Kept":
        """Read a task of GET /tasks."""
        emitted_ms = None if task["emitted_at"] is None else timestamps.parse(task["emitted_at"])
        return cls(
            task["id"], task["status"], Version(timestamps.parse(task["timestamp"]), task["message"]), emitted_ms
        )


@dataclass
class Evidence:
    """All that is found in the end, once what is due has had its time."""

    log: list[Emitted]
    """The whole event log, in its order."""
    kept: list[Kept]
    """All tasks, of every status."""
    seen: list[Seen] = field(default_factory=list)
    """What one listener got, which came back by Last-Event-ID after every cut."""
    followed: bool = True
    """Whether there was such a listener; it began before the first event."""
    deliveries: list[Delivered] = field(default_factory=list)
    delivered: bool = True
    """Whether there was a webhook or a subscriber, from before the first event."""
    due_before_ms: int = 0
    """Whatever was due before this must have been emitted."""
