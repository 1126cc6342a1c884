"""The local engine beside the limit: what it accepts, how late it is, what it takes, at a thousand and at a million."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import uvloop

from lab.bench.limit import LIMIT, timer
from lab.bench.report import Row, machine, percentile, shown
from lab.support.client import now_ms
from lab.support.connection import Connection, Pool, Target
from lab.support.event_stream import EventStream
from lab.support.server import serving
from task_scheduler import timestamps
from task_scheduler.local.store import TaskStore
from task_scheduler.task import new_task

_BODY: Final = {"in": 3600, "message": {"text": "hello", "number": 1}}
_OK: Final = 200
_BATCH: Final = 100  # tasks in one request
_AHEAD_MS: Final = 1_500
_SOON_MS: Final = 200
_PATIENCE_S: Final = 60
_CALLS: Final = 200
_DUE: Final = 1_000
_HOUR_MS: Final = 3_600_000


def run(*, rounds: int, quick: bool) -> str:
    """Measure all; `quick` measures little, to see that it works."""
    pending, many = (1_000, 5_000) if quick else (100_000, 1_000_000)
    rows: list[Row] = []
    with TemporaryDirectory(prefix="task-scheduler-bench-") as name:
        folder = Path(name)
        rows += _accepted(folder, rounds, seconds=0.5 if quick else 3)
        fill(folder / "pending.db", pending)
        with serving(folder / "pending.db") as (target, _):
            rows += _lateness(target, folder, rounds, pending)
        fill(folder / "few.db", 1_000)
        fill(folder / "many.db", many)
        rows += [*_at_size(folder, rounds, many), _after_a_crash(folder / "many.db", rounds, many)]
    return f"{shown(rows)}\n\nMeasured {machine(['granian', 'uvloop', 'starlette', 'uvicorn'])}"


def _accepted(folder: Path, rounds: int, *, seconds: float) -> list[Row]:
    """Measure what is accepted and on the disk, in turns with the limit."""
    rows = []
    with serving(folder / "ours.db") as (ours, _), serving(folder / "limit.db", LIMIT) as (limit, _):
        for connections in (32, 8, 1):
            taken: dict[str, list[float]] = {"ours": [], "limit": []}
            for _ in range(rounds):
                for name, target in (("limit", limit), ("ours", ours)):
                    taken[name].append(uvloop.run(closed_loop(target, connections, seconds)))
            what = f"accepted and on the disk, {connections} connection{'s' if connections > 1 else ''}"
            rows.append(Row(what, "a second", taken["ours"], taken["limit"], "0.7 of the limit at least"))
    return rows


async def closed_loop(target: Target, connections: int, seconds: float) -> float:
    """Send the next request on each connection when the last one is answered; return answers a second."""
    body = json.dumps(_BODY).encode()
    request = target.head("POST", "/schedule", {"content-type": "application/json"}, body)
    began = time.perf_counter()

    async def sender() -> int:
        connection = Connection()
        await target.connect(connection)
        sent = 0
        while time.perf_counter() < began + seconds:
            status, _ = await connection.send(request)
            assert status == _OK  # noqa: S101 - an overloaded server would be measured by its refusals
            sent += 1
        connection.close()
        return sent

    answers = await asyncio.gather(*(sender() for _ in range(connections)))
    return sum(answers) / (time.perf_counter() - began)


def _lateness(target: Target, folder: Path, rounds: int, pending: int) -> list[Row]:
    """Measure when messages come to a listener, beside a timer that commits what it wakes up for."""
    rows = []
    for name, spread_ms, most in (("at one moment", 0, "25 ms at most"), ("spread over 10 s", 10_000, "2 ms at most")):
        offsets = [spread_ms * number // _DUE for number in range(_DUE)]
        ours, limit = [], []
        for turn in range(rounds):
            soon = [now_ms() + _SOON_MS + offset for offset in offsets]
            limit.append(_p99(timer(soon, folder / f"timer-{spread_ms}-{turn}.db")))
            ours.append(_p99(uvloop.run(lateness_ms(target, offsets))))
        what = f"lateness p99, 1,000 due {name}, {pending:,} pending; until a listener has it"
        rows.append(Row(what, "ms", ours, limit, most))
    return rows


def task_id(number: int) -> str:
    """Return the id of a task that `fill` makes."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def fill(path: Path, count: int) -> None:
    """Make a data file with tasks that are due from an hour on, one each millisecond, round and round for a day."""
    now = now_ms()
    store = TaskStore.open(path)
    try:
        with store.transaction():
            for number in range(count):
                due = timestamps.format(now + _HOUR_MS + number % (23 * _HOUR_MS))
                body = {"timestamp": due, "message": {"number": number}}
                store.insert(new_task(body, task_id=task_id(number), now_ms=now))
    finally:
        store.close()


async def lateness_ms(target: Target, offsets: list[int]) -> list[float]:
    """Schedule a task for each offset from a time soon, and return how late a listener had each."""
    first = now_ms() + _AHEAD_MS
    tasks = [{"timestamp": timestamps.format(first + offset), "message": "due"} for offset in offsets]
    came: list[tuple[float, bytes]] = []  # parsed afterwards: that takes time
    stream = EventStream(target, lambda _, data: came.append((time.time() * 1000, data)))
    async with stream.listening(), Pool(target) as pool:
        await stream.positioned.wait()
        for start in range(0, len(tasks), _BATCH):
            status, answer = await pool.send("POST", "/schedule/batch", {"tasks": tasks[start : start + _BATCH]})
            assert status == _OK, answer  # noqa: S101 - nothing would be measured
        async with asyncio.timeout(_PATIENCE_S):
            while len(came) < len(tasks):  # noqa: ASYNC110 - the listener tells nobody
                await asyncio.sleep(0.05)
    return [came_ms - timestamps.parse(json.loads(data)["event"]["timestamp"]) for came_ms, data in came]


def _at_size(folder: Path, rounds: int, many: int) -> list[Row]:
    """Measure the same calls and the memory with many tasks and with a thousand, in turns."""
    calls: dict[str, Callable[[int], tuple[str, str, object]]] = {
        "get": lambda number: ("GET", f"/tasks/{task_id(number)}", None),
        "list page": lambda _: ("GET", "/tasks?status=scheduled&limit=50", None),
        "reschedule": lambda number: ("PATCH", f"/tasks/{task_id(number)}", {"in": "2h"}),
        "cancel": lambda number: ("DELETE", f"/tasks/{task_id(number)}", None),
    }
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in (*calls, "memory")}
    count = min(_CALLS, 1_000 // rounds)
    with serving(folder / "many.db") as much, serving(folder / "few.db") as little:
        for turn, ((target, server), place) in product(range(rounds), ((little, 1), (much, 0))):
            for name, call in calls.items():
                requests = [call(turn * count + number) for number in range(count)]
                taken[name][place].append(uvloop.run(_median_ms(target, requests)))
            taken["memory"][place].append(server.memory_mib())
    what = f"{many:,} pending, beside 1,000"
    rows = [Row(f"{name}, {what}", "ms", *taken[name], to_reach="1.2 of it at most") for name in calls]
    return [*rows, Row(f"memory, {what}", "MiB", *taken["memory"], to_reach="80 MB; 10 MB more at most")]


async def _median_ms(target: Target, calls: Sequence[tuple[str, str, object]]) -> float:
    """Send requests one after the other, and return the median of what each took."""
    taken = []
    async with Pool(target) as pool:
        for method, path, body in calls:
            began = time.perf_counter()
            status, answer = await pool.send(method, path, body)
            taken.append((time.perf_counter() - began) * 1000)
            assert status == _OK, answer  # noqa: S101 - an error would be quick
    return median(taken)


def _after_a_crash(data: Path, rounds: int, many: int) -> Row:
    """Kill the server before a task is due, and measure from the next start until it was emitted."""
    taken = []
    for _ in range(rounds):
        with serving(data) as (target, server):
            task = httpx.post(f"{target.url}/schedule", json={"in": 0.5, "message": "overdue"}).json()
            server.kill()
        time.sleep(0.6)
        with serving(data) as (target, server):
            until = time.monotonic() + _PATIENCE_S
            while (found := httpx.get(f"{target.url}/tasks/{task['id']}").json())["status"] != "emitted":
                assert time.monotonic() < until, found  # noqa: S101 - nothing would be measured
                time.sleep(0.01)
            taken.append(timestamps.parse(found["emitted_at"]) - server.spawned_ms)
    return Row(f"first due task emitted after kill -9, {many:,} pending", "ms", taken, to_reach="1,000 ms at most")


def _p99(values: list[float]) -> float:
    return percentile(values, 0.99)
