"""The smallest Engine: what the HTTP layer is tested against, without a disk or a network."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from task_scheduler.engine import (
    Cursor,
    EngineError,
    Health,
    IdempotencyKey,
    KeyConflictError,
    TagCancellation,
    TaskNotFoundError,
    TaskPage,
    TaskQuery,
)
from task_scheduler.task import Event, Status, Task

NOW_MS = 1_795_300_000_000


class MemoryEngine:
    """Keeps tasks in a dictionary, and answers as an engine that never fails, or always."""

    def __init__(self) -> None:
        self.kept: dict[str, Task] = {}
        self.keys: dict[str, tuple[str, Task]] = {}
        self.log: list[Event] = []
        self.failure: Exception | None = None
        self.health = Health()

    def now_ms(self) -> int:
        return NOW_MS

    async def check_health(self) -> Health:
        return self.health

    async def schedule(self, task: Task, key: IdempotencyKey | None = None) -> Task:
        if self.failure:
            raise self.failure
        if key is not None:
            fingerprint, task = self.keys.setdefault(key.name, (key.fingerprint, task))
            if fingerprint != key.fingerprint:
                raise KeyConflictError
        return self.kept.setdefault(task.id, task)

    async def schedule_all(
        self, tasks: Sequence[Task], keys: Sequence[IdempotencyKey | None] = ()
    ) -> list[Task | EngineError]:
        outcomes: list[Task | EngineError] = []
        for task, key in zip(tasks, keys or [None] * len(tasks), strict=True):
            try:
                outcomes.append(await self.schedule(task, key))
            except EngineError as error:
                outcomes.append(error)
        return outcomes

    async def get(self, task_id: str) -> Task:
        if task_id not in self.kept:
            raise TaskNotFoundError(task_id)
        return self.kept[task_id]

    async def tasks(self, query: TaskQuery, *, limit: int) -> TaskPage:
        matching = [
            task
            for task in sorted(self.kept.values(), key=lambda task: (task.due_ms, task.id))
            if query.status in {None, task.status}
            and (query.tag is None or query.tag in task.tags.items())
            and (query.after is None or (task.due_ms, task.id) > (query.after.due_ms, query.after.task_id))
        ]
        page = matching[:limit]
        return TaskPage(page, Cursor(page[-1].due_ms, page[-1].id) if len(matching) > limit else None)

    async def cancel(self, task_id: str) -> Task:
        self.kept[task_id] = replace(await self.get(task_id), status=Status.CANCELLED, ended_ms=NOW_MS)
        return self.kept[task_id]

    async def cancel_all(self, task_ids: Sequence[str]) -> list[Task | EngineError]:
        outcomes: list[Task | EngineError] = []
        for task_id in task_ids:
            try:
                outcomes.append(await self.cancel(task_id))
            except EngineError as error:
                outcomes.append(error)
        return outcomes

    async def cancel_tagged(self, tag: tuple[str, str]) -> TagCancellation:
        page = await self.tasks(TaskQuery(status=Status.SCHEDULED, tag=tag), limit=len(self.kept))
        return TagCancellation(len(await self.cancel_all([task.id for task in page.tasks])), 0, more=False)

    async def reschedule(self, task_id: str, change: Callable[[Task], Task]) -> Task:
        self.kept[task_id] = change(await self.get(task_id))
        return self.kept[task_id]

    async def position(self) -> int:
        return len(self.log)

    async def clamp_position(self, position: int) -> int:
        return min(position, len(self.log))

    async def events(self, *, after: int, limit: int) -> list[Event]:
        return self.log[after : after + limit]

    async def events_before(self, before: int, *, limit: int) -> list[Event]:
        return self.log[: max(before - 1, 0)][-limit:]

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:  # noqa: ARG002 - nothing comes by itself
        return len(self.log) > after

    def emit(self, message: str) -> None:
        """Append an event to the log."""
        number = len(self.log) + 1
        event = f'{{"id":"{number}","timestamp":"","message":"{message}"}}'
        self.log.append(Event(number, str(number), event, emitted_ms=NOW_MS, indexed_ms=NOW_MS))
