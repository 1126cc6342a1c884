"""What is sent when: drawn from a seed, and sent at its time whatever became of what was sent before."""

import asyncio
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from lab.load.connection import Pool
from task_scheduler import timestamps

OPERATIONS: Final = {"schedule": 60, "cancel": 10, "show": 20, "list": 10}
"""Each operation, and how many of a hundred requests are it."""

_DUE_S: Final = (1.0, 5.0)
_REMEMBERED: Final = 10_000  # tasks to show and to cancel
_TIMEOUT_S: Final = 30.0
_OK: Final = 200


@dataclass
class Figures:
    """What became of one operation."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    latency_ms: dict[str, list[float]] = field(default_factory=dict)
    """By answer; from the time at which the request was planned."""


class Workload:
    """Sends at a rate; keeps what was accepted."""

    def __init__(self, pool: Pool, *, rate: float, seed: str, most_open: int) -> None:
        self.figures = {operation: Figures() for operation in OPERATIONS}
        self.accepted: dict[str, int] = {}
        """When each accepted task is due, in milliseconds since the Unix epoch."""
        self.accepted_late: set[str] = set()
        """Tasks that were accepted when they were due already: the request has waited, not the task."""
        self.cancelled: set[str] = set()
        self.unsure: set[str] = set()
        """Tasks whose cancellation was asked for, and got no answer."""
        self.behind_ms: list[float] = []
        """How long after its planned time each request was sent."""
        self.not_sent = 0
        self._pool = pool
        self._rate = rate
        self._choose = random.Random(f"load {seed}")  # noqa: S311 - makes a load, no secret
        self._most_open = most_open
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, end: asyncio.Event, *, seconds: float) -> None:
        """Send until the time is up or the end has come, and wait for the answers."""
        start = time.perf_counter()
        planned = start
        while planned < start + seconds and not end.is_set():
            planned += self._choose.expovariate(self._rate)
            if (wait_s := planned - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            [operation] = self._choose.choices(list(OPERATIONS), list(OPERATIONS.values()))
            if len(self._under_way) >= self._most_open:
                self.not_sent += 1
                await asyncio.sleep(0)  # let answers in
                continue
            task = asyncio.create_task(self._send(operation, planned))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _send(self, operation: str, planned: float) -> None:
        if operation in {"cancel", "show"} and not self._recent:
            operation = "list"
        figures = self.figures[operation]
        figures.sent += 1
        self.behind_ms.append((time.perf_counter() - planned) * 1000)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = str(await self._OPERATIONS[operation](self))
        except (OSError, TimeoutError) as error:
            answer = type(error).__name__
        figures.answers[answer] += 1
        figures.latency_ms.setdefault(answer, []).append((time.perf_counter() - planned) * 1000)

    async def _schedule(self) -> int:
        due_ms = time.time_ns() // 1_000_000 + round(self._choose.uniform(*_DUE_S) * 1000)
        body = {"timestamp": timestamps.format(due_ms), "message": {"about": "load", "due": due_ms}}
        status, answer = await self._pool.send("POST", "/schedule", body)
        if status == _OK:
            task_id = answer.partition(b'"id":"')[2][:36].decode()
            self.accepted[task_id] = due_ms
            if time.time_ns() // 1_000_000 >= due_ms:
                self.accepted_late.add(task_id)
            self._recent.append(task_id)
        return status

    async def _cancel(self) -> int:
        task_id = self._choose.choice(self._recent)
        self.unsure.add(task_id)
        status, _ = await self._pool.send("POST", "/cancel", {"id": task_id})
        if status == _OK:
            self.cancelled.add(task_id)
        return status

    async def _show(self) -> int:
        status, _ = await self._pool.send("GET", f"/tasks/{self._choose.choice(self._recent)}")
        return status

    async def _list(self) -> int:
        status, _ = await self._pool.send("GET", "/tasks?status=scheduled&limit=50")
        return status

    _OPERATIONS: Final = {"schedule": _schedule, "cancel": _cancel, "show": _show, "list": _list}
