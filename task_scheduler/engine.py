"""The one seam between the HTTP API and what keeps, fires and cancels tasks: the Engine protocol and its errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from task_scheduler import timestamps
from task_scheduler.task import Event, Status, Task

MAX_PAGE_BYTES: Final = 1_000_000
"""About how many bytes of events one page has, so that it fits into a response (6 MB, AWS Lambda quotas)."""

OVERDUE_MS: Final = 60_000
"""How late a task may be before it counts as overdue, which is reported to operators."""

BATCH_MS: Final = 7_000
"""How long items of a batch are begun: with the last ones, whose calls may be throttled, that makes 12 s at most."""


class EngineError(Exception):
    """An engine could not do what was asked; the text is a sentence for the caller."""


class TaskNotFoundError(EngineError):
    """No task has this id: it never existed, or ended so long ago that it is no longer stored."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"No task has the id {task_id[:80]!r}.")


class TooLateError(EngineError):
    """The task can no longer be changed, since it was emitted, is just being emitted, was cancelled, or failed."""

    def __init__(self, task: Task) -> None:
        if task.status is Status.SCHEDULED:
            super().__init__(f"Task {task.id}, due at {timestamps.format(task.due_ms)}, is already being emitted.")
        else:
            ended = timestamps.format(task.ended_ms or task.due_ms)
            super().__init__(f"Task {task.id} was already {task.status} at {ended}.")


class UnavailableError(EngineError):
    """What the engine stands on did not respond or has no room; the operator has to look, the caller may try again."""


class BusyError(UnavailableError):
    """The engine has as much to do as it can take on for now."""


class NotAttemptedError(UnavailableError):
    """There was no time left for an item of a batch."""

    def __init__(self) -> None:
        super().__init__("There was no time left for this item; please send it again.")


class KeyConflictError(EngineError):
    """The idempotency key was used for another request."""

    def __init__(self) -> None:
        super().__init__("The Idempotency-Key was used for another request; give each request its own.")


class KeyOfEndedTaskError(EngineError):
    """The idempotency key belongs to a task that was cancelled or failed, and so will not be emitted."""

    def __init__(self, task: Task) -> None:
        ended = timestamps.format(task.ended_ms or task.due_ms)
        state = "failed" if task.status is Status.FAILED else f"was {task.status}"
        super().__init__(
            f"The Idempotency-Key belongs to task {task.id}, which {state} at {ended}; use a new key to schedule again."
        )


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A name that a caller gave to a request, so that repeating the request does not make a second task.

    It is stored with the task's id for as long as the task, and never determines the id.
    """

    name: str
    fingerprint: str
    """Digest of the request's body: the same name with another body is a conflict."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Where a list continues: after this task, in the order of due times and then ids."""

    due_ms: int
    task_id: str


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks a list shows; what is None is not asked about."""

    status: Status | None = None
    from_ms: int | None = None
    """Due at this time or later."""
    to_ms: int | None = None
    """Due before this time."""
    tag: tuple[str, str] | None = None
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of a list, soonest due first."""

    tasks: list[Task]
    next: Cursor | None
    """Where the next page begins, None on the last one."""


@dataclass(frozen=True, slots=True)
class TagCancellation:
    """What became of the scheduled tasks of a tag."""

    cancelled: int
    not_cancelled: int
    """Tasks that were emitted meanwhile, or could not be processed now."""
    more: bool
    """Whether time was up before all tasks had been processed."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong now, a sentence for each that names no task: anybody may read it."""

    failures: Sequence[str] = ()
    """Tasks cannot be accepted, or are not emitted."""
    warnings: Sequence[str] = ()
    """Tasks are accepted and emitted; something else needs the operator."""


class Engine(Protocol):
    """Accepts, keeps, fires, changes and cancels tasks, and remembers what was emitted.

    Any call may raise UnavailableError: the caller cannot know whether it took effect, and may repeat it.
    """

    def now_ms(self) -> int:
        """Return the time that this engine uses, in milliseconds since the Unix epoch."""

    async def check_health(self) -> Health:
        """Return what is wrong now. Raises nothing."""

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:
        """Store a new task and return it; when this returns, the task will be emitted.

        If the key already belongs to a stored task, that one is returned and nothing changes. Raises KeyConflictError
        if its request was another, and KeyOfEndedTaskError if it will not be emitted. A key whose task is no longer
        stored counts as new.
        """

    async def schedule_all(
        self, tasks: Sequence[Task], keys: Sequence[IdempotencyKey | None] = ()
    ) -> list[Task | EngineError]:
        """Schedule each task, with its key if keys are given; return for each what schedule() returns or raises.

        An item that is not begun within BATCH_MS has NotAttemptedError.
        """

    async def get(self, task_id: str) -> Task:
        """Return the task as it is now; raises TaskNotFoundError."""

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        """List up to `limit` tasks, soonest due first; fewer when they are large (MAX_PAGE_BYTES)."""

    async def cancel(self, task_id: str) -> Task:
        """Make sure that the task will not be emitted, and return it; a cancelled task stays cancelled.

        Raises TaskNotFoundError, or TooLateError if it was or may have been emitted.
        """

    async def cancel_all(self, task_ids: Sequence[str]) -> list[Task | EngineError]:
        """Cancel each task; return for each what cancel() returns or raises.

        An item that is not begun within BATCH_MS has NotAttemptedError.
        """

    async def cancel_tagged(self, tag: tuple[str, str]) -> TagCancellation:
        """Cancel the scheduled tasks of a tag, those of them included that were scheduled a second before the call."""

    async def reschedule(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        """Replace a scheduled task by what `change` makes of it, and return that; it will not be emitted as it was.

        `change` may be called again if the task changes meanwhile. Raises TaskNotFoundError, TooLateError as cancel()
        does, and what `change` raises.
        """

    async def position(self) -> int:
        """Return the sequence number of the newest event, 0 when there was none."""

    async def clamp_position(self, position: int) -> int:
        """Return a position in the log from which a reader can go on: the given one, unless it is outside.

        One beyond the end belongs to a log that is gone, and becomes the end. One before the first stored event becomes
        the one just before that event, or the end if no event is stored.
        """

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events that follow the sequence number `after`, in order, without gaps.

        At most `limit`, fewer when they are large (MAX_PAGE_BYTES), and none only when nothing follows yet.
        """

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events that precede the sequence number `before`, in order, bounded in the same way."""

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Return True as soon as there may be an event after `after`, or False when `seconds` have passed."""
