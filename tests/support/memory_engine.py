"""The part of an engine that tests of the HTTP layer need, without a disk or a network."""

from task_scheduler.engine import Engine, Health, IdempotencyKey, TaskPage, TaskQuery
from task_scheduler.task import Event, Task

NOW_MS = 1_795_300_000_000


class MemoryEngine(Engine):
    """Accepts tasks, or always fails; has a log, to which tests append."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.failure: Exception | None = None
        self.health = Health()

    def now_ms(self) -> int:
        return NOW_MS

    async def check_health(self) -> Health:
        return self.health

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:  # noqa: ARG002 - of the engine
        if self.failure:
            raise self.failure
        return task

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:  # noqa: ARG002 - of the engine
        return TaskPage([], None)

    async def position(self) -> int:
        return len(self.log)

    async def clamp_position(self, position: int) -> int:
        return min(position, len(self.log))

    async def events(self, *, after: int, limit: int) -> list[Event]:
        return self.log[after : after + limit]

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:  # noqa: ARG002 - nothing comes by itself
        return len(self.log) > after

    def emit(self, message: str) -> None:
        """Append an event to the log."""
        number = len(self.log) + 1
        event = f'{{"id":"{number}","timestamp":"","message":"{message}"}}'
        self.log.append(Event(number, str(number), event, emitted_ms=NOW_MS, indexed_ms=NOW_MS))


def memory_engine() -> MemoryEngine:
    """Return an engine with an empty log."""
    return MemoryEngine()  # type: ignore[abstract]  # the other calls are not made
