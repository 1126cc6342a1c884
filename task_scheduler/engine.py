"""The one seam between the HTTP API and what keeps, fires and cancels tasks: the Engine protocol and its errors."""

from typing import Final, Protocol

from task_scheduler.task import Event, Task

MAX_PAGE_BYTES: Final = 1_000_000
"""About how many bytes of events one page has at most, so that a page fits into an answer (6 MB, AWS Lambda quotas)."""


class Engine(Protocol):
    """Accepts, keeps, fires and cancels tasks, and remembers what was emitted.

    Any call may raise UnavailableError: the caller cannot know whether it took effect, and may repeat it.
    """

    def now_ms(self) -> int:
        """Return the time that this engine goes by, in milliseconds since the Unix epoch."""

    async def schedule(self, task: Task) -> None:
        """Keep a new task for good; when this returns, the task will be emitted."""

    async def get(self, task_id: str) -> Task:
        """Return the task as it is now; raises TaskNotFoundError."""

    async def cancel(self, task_id: str) -> Task:
        """Make sure that the task will not be emitted, and return it; a cancelled task stays cancelled.

        Raises TaskNotFoundError, or TooLateError if it was or may have been emitted.
        """

    async def position(self) -> int:
        """Return the sequence number of the newest event, 0 when there was none."""

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events that follow the sequence number `after`, in order, without gaps.

        At most `limit`, fewer when they are large (MAX_PAGE_BYTES), and none only when nothing follows yet.
        """

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Return True as soon as there may be an event after `after`, or False when `seconds` have passed."""


class EngineError(Exception):
    """An engine could not do what was asked; the text is a sentence for the caller."""


class TaskNotFoundError(EngineError):
    """No task has this id: it never existed, or ended so long ago that it is no longer kept."""


class TooLateError(EngineError):
    """The task can no longer be changed, since it was emitted, is just being emitted, or failed."""


class UnavailableError(EngineError):
    """What the engine stands on did not answer or has no room; the operator has to look, the caller may try again."""
