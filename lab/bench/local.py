"""The local engine beside the limit: what it accepts, how late it is, what it takes, at a thousand and at a million."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import uvloop

from lab.bench.limit import LIMIT, timer
from lab.bench.report import Row, machine, percentile, shown
from lab.support.client import now_ms
from lab.support.connection import Connection, Pool, Target
from lab.support.event_stream import EventStream, Listeners
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
_PER_SECOND: Final = 1_000
_LISTENERS: Final = 1_000
_HOUR_MS: Final = 3_600_000
_METADATA: Final = re.compile(rb'"metadata":\{"id":"([0-9a-f-]{36})"')


def run(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure all; `quick` measures little, to see that it works."""
    pending, many, seconds = (1_000, 5_000, 3) if quick else (100_000, 1_000_000, 300)
    rows: list[Row] = []
    with TemporaryDirectory(prefix="task-scheduler-bench-") as name:
        folder = Path(name)
        rows += _accepted(folder, rounds, seconds=0.5 if quick else 3)
        fill(folder / "pending.db", pending)
        with serving(folder / "pending.db") as (target, _):
            rows += _lateness(target, folder, rounds, pending)
            rows += [_sustained(target, seconds), _fan_out(target, rounds, 100 if quick else _LISTENERS)]
        fill(folder / "few.db", 1_000)
        fill(folder / "many.db", many)
        rows += [*_at_size(folder, rounds, many), _after_a_crash(folder / "many.db", rounds, many)]
    return {"table": f"{shown(rows)}\n\nMeasured {machine(['granian', 'uvloop', 'starlette', 'uvicorn'])}"}


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
        offsets = [spread_ms * number // _PER_SECOND for number in range(_PER_SECOND)]
        ours, limit = [], []
        for turn in range(rounds):
            soon = [now_ms() + _SOON_MS + offset for offset in offsets]
            limit.append(_p99(timer(soon, folder / f"timer-{spread_ms}-{turn}.db")))
            ours.append(_p99(uvloop.run(lateness_ms(target, offsets))))
        what = f"lateness p99, 1,000 due {name}, {pending:,} pending; until a listener has it"
        rows.append(Row(what, "ms", ours, limit, most))
    return rows


@asynccontextmanager
async def _arrivals(target: Target) -> AsyncIterator[dict[str, float]]:
    """Listen for the time of the block, and note when each task came, in ms: the disk and the way there included."""
    came_ms: dict[str, float] = {}

    def note(_position: int, data: bytes) -> None:
        came_ms[_METADATA.findall(data)[-1].decode()] = time.time() * 1000

    stream = EventStream(target, note)
    listening = asyncio.create_task(stream.run())
    await stream.positioned.wait()
    yield came_ms
    listening.cancel()


async def _wait_for(came_ms: dict[str, float], due: dict[str, int]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not due.keys() <= came_ms.keys():  # noqa: ASYNC110 - the listener tells nobody
            await asyncio.sleep(0.05)


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
    pool = Pool(target)
    async with _arrivals(target) as came_ms:
        due: dict[str, int] = {}
        tasks = [{"timestamp": timestamps.format(first + offset), "message": "due"} for offset in offsets]
        for start in range(0, len(tasks), _BATCH):
            batch = tasks[start : start + _BATCH]
            status, answer = await pool.send("POST", "/schedule/batch", {"tasks": batch})
            assert status == _OK  # noqa: S101 - nothing would be measured
            made = [result["id"] for result in json.loads(answer)["results"]]
            due |= dict(zip(made, (first + offset for offset in offsets[start : start + _BATCH]), strict=True))
        await _wait_for(came_ms, due)
        pool.close()
        return [came_ms[one] - due_ms for one, due_ms in due.items()]


def _sustained(target: Target, seconds: int) -> Row:
    late = uvloop.run(_steady(target, seconds))
    what = f"1,000 a second accepted while 1,000 a second fall due, {seconds} s: lateness p99, no error"
    return Row(what, "ms", [_p99(late)], to_reach="100 ms at most")


async def _steady(target: Target, seconds: int) -> list[float]:
    """Send each request at its planned time, whatever becomes of the others; return how late the messages came."""
    pool = Pool(target)
    due: dict[str, int] = {}

    async def schedule(at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        status, answer = await pool.send("POST", "/schedule", {"in": 2, "message": "due"})
        assert status == _OK, answer  # noqa: S101 - no error is a part of the figure
        made = json.loads(answer)
        due[made["id"]] = timestamps.parse(made["timestamp"])

    async with _arrivals(target) as came_ms:
        for _ in range(seconds):
            began = time.perf_counter()
            async with asyncio.TaskGroup() as sending:
                for number in range(_PER_SECOND):
                    sending.create_task(schedule(began + number / _PER_SECOND))
            await asyncio.sleep(max(0.0, began + 1 - time.perf_counter()))
        await _wait_for(came_ms, due)
        pool.close()
        return [came_ms[one] - due_ms for one, due_ms in due.items()]


def _fan_out(target: Target, rounds: int, listeners: int) -> Row:
    delays = uvloop.run(_one_to_all(target, rounds, listeners))
    return Row(f"{listeners:,} listeners, one event to all, p99", "ms", delays, to_reach="250 ms at most")


async def _one_to_all(target: Target, rounds: int, listeners: int) -> list[float]:
    came: list[tuple[float, bytes]] = []
    streams = Listeners(target, listeners, lambda data: came.append((time.time() * 1000, data)))
    await streams.open()
    pool = Pool(target)
    found = []
    for _ in range(rounds):
        came.clear()
        await pool.send("POST", "/schedule", {"in": 0, "message": "to all"})
        async with asyncio.timeout(_PATIENCE_S):
            while len(came) < listeners:  # noqa: ASYNC110 - they count, and tell nobody
                await asyncio.sleep(0.01)
        emitted_ms = json.loads(came[0][1])["metadata"]["ts"]
        found.append(_p99([ms - emitted_ms for ms, _ in came]))
    await streams.close()
    pool.close()
    return found


def _at_size(folder: Path, rounds: int, many: int) -> list[Row]:
    """Measure the same calls and the memory with many tasks and with a thousand, in turns."""
    calls: dict[str, Callable[[int], tuple[str, str, object]]] = {
        "get": lambda number: ("GET", f"/tasks/{task_id(number)}", None),
        "list page": lambda _: ("GET", "/tasks?status=scheduled&limit=50", None),
        "reschedule": lambda number: ("PATCH", f"/tasks/{task_id(number)}", {"in": "2h"}),
        "cancel": lambda number: ("DELETE", f"/tasks/{task_id(number)}", None),
    }
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in calls}
    memory: tuple[list[float], list[float]] = ([], [])
    with serving(folder / "many.db") as much, serving(folder / "few.db") as little:
        for turn in range(rounds):
            for (target, server), place in ((little, 1), (much, 0)):
                for name, call in calls.items():
                    first = turn * (1_000 // rounds)
                    numbers = range(first, first + min(_CALLS, 1_000 // rounds))
                    taken[name][place].append(uvloop.run(median_ms(target, [call(number) for number in numbers])))
                memory[place].append(server.memory_mib())
    rows = [
        Row(f"{name}, {many:,} pending, beside 1,000", "ms", *taken[name], to_reach="1.2 of it at most")
        for name in calls
    ]
    return [*rows, Row(f"memory, {many:,} pending, beside 1,000", "MiB", *memory, to_reach="80 MB; 10 MB more at most")]


async def median_ms(target: Target, calls: Sequence[tuple[str, str, object]]) -> float:
    """Send requests one after the other, and return the median of what each took."""
    pool = Pool(target)
    taken = []
    for method, path, body in calls:
        began = time.perf_counter()
        status, answer = await pool.send(method, path, body)
        taken.append((time.perf_counter() - began) * 1000)
        assert status == _OK, answer  # noqa: S101 - an error would be quick
    pool.close()
    return median(taken)


def _after_a_crash(data: Path, rounds: int, many: int) -> Row:
    """Kill the server before a task is due, and measure from the next start until it was emitted."""
    taken = []
    for _ in range(rounds):
        with serving(data) as (target, server):
            overdue = uvloop.run(_schedule_soon(target))
            server.kill()
        time.sleep(0.6)
        with serving(data) as (target, server):
            taken.append(uvloop.run(_emitted_ms(target, overdue)) - server.spawned_ms)
    return Row(f"first due task emitted after kill -9, {many:,} pending", "ms", taken, to_reach="1,000 ms at most")


async def _schedule_soon(target: Target) -> str:
    pool = Pool(target)
    _, answer = await pool.send("POST", "/schedule", {"in": 0.5, "message": "overdue"})
    pool.close()
    return str(json.loads(answer)["id"])


async def _emitted_ms(target: Target, one: str) -> int:
    pool = Pool(target)
    async with asyncio.timeout(_PATIENCE_S):
        while (task := await pool.json(f"/tasks/{one}"))["status"] != "emitted":  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    pool.close()
    return timestamps.parse(task["emitted_at"])


def _p99(values: list[float]) -> float:
    return percentile(values, 0.99)
