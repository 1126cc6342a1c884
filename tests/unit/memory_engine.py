"""The smallest Engine: what the HTTP layer is tested against, without a disk or a network."""

from task_scheduler.engine import TaskNotFoundError
from task_scheduler.task import Event, Status, Task

NOW_MS = 1_795_300_000_000


class MemoryEngine:
    """Keeps tasks in a dictionary; emits nothing by itself."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.log: list[Event] = []
        self.failure: Exception | None = None

    def now_ms(self) -> int:
        return NOW_MS

    async def schedule(self, task: Task) -> None:
        if self.failure:
            raise self.failure
        self.tasks[task.id] = task

    async def get(self, task_id: str) -> Task:
        if task_id not in self.tasks:
            raise TaskNotFoundError(f"No task has the id {task_id!r}.")
        return self.tasks[task_id]

    async def cancel(self, task_id: str) -> Task:
        task = await self.get(task_id)
        self.tasks[task_id] = Task(task.id, task.due_ms, task.event, task.created_ms, 1, Status.CANCELLED, NOW_MS)
        return self.tasks[task_id]

    async def position(self) -> int:
        return len(self.log)

    async def events(self, *, after: int, limit: int) -> list[Event]:
        return self.log[after : after + limit]

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:  # noqa: ARG002 - nothing comes by itself
        return len(self.log) > after

    def emit(self, message: str) -> None:
        """Append an event to the log."""
        number = len(self.log) + 1
        event = f'{{"id":"{number}","timestamp":"","message":"{message}"}}'
        self.log.append(Event(number, str(number), event, emitted_ms=NOW_MS, indexed_ms=NOW_MS))
