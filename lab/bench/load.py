"""`python -m lab load`: an open-loop load at a rate, for a time, against a deployment or a server of its own."""

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import uvloop

from lab.bench.report import percentile
from lab.support.client import now_ms
from lab.support.connection import Pool, Target
from lab.support.event_stream import EventStream
from lab.support.server import Server, serving
from task_scheduler import timestamps

OPERATIONS: Final = {"schedule": 60, "cancel": 10, "show": 20, "list": 10}
"""Each operation, and how many of a hundred requests are it."""
_DUE_S: Final = (1.0, 5.0)
_REMEMBERED: Final = 10_000  # tasks to show and to cancel
_OPENED_AT_ONCE: Final = 50  # streams
_TIMEOUT_S: Final = 30.0
_SETTLED_IN_S: Final = 65.0
_PAUSE_S: Final = 0.2
_LAG_MS: Final = 50.0
"""A generator that is further behind its plan than this in a hundredth of all cases measures itself."""
_OK: Final = 200
_SHARES: Final = (0.5, 0.9, 0.99, 1.0)


class Load:
    """A load on one server, with listeners, and what became of it."""

    def __init__(self, target: Target, pool: Pool, given: argparse.Namespace) -> None:
        self._given = given
        self._pool = pool
        self._streams = [EventStream(target, self._hear) for _ in range(given.streams)]
        self._random = random.Random(f"load {given.seed}")  # noqa: S311 - makes a load, no secret
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._due_ms: dict[str, int] = {}
        """When each accepted task is due."""
        self._accepted_late: set[str] = set()
        """Tasks that were accepted after they were due: the request has waited, not the task."""
        self._cancelled: set[str] = set()
        self._unknown: set[str] = set()
        """Tasks whose cancellation may be without a response."""
        self._emitted_ms: defaultdict[str, list[int]] = defaultdict(list)
        self._latency_ms: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        """By operation and outcome; from the time at which the request was planned."""
        self._delays_ms: list[float] = []
        self._behind_ms: list[float] = []
        """How long after its planned time each request was sent."""
        self._not_sent = 0
        self._seconds = 0.0

    async def run(self, end: asyncio.Event) -> None:
        """Send it, and read the log until all that was accepted is in it; `end` ends it early."""
        listening = await self._open()
        page = await self._pool.json(f"/events?before={2**53}&limit=1")
        began = time.perf_counter()
        await self._send_all(end)
        self._seconds = max(time.perf_counter() - began, 0.001)
        await self._settle(int(page["position"]) if page["events"] else 0)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    async def _open(self) -> list[asyncio.Task[None]]:
        """Start the listeners, some at once, and return when each has a position, or after a while."""
        tasks: list[asyncio.Task[None]] = []
        for start in range(0, len(self._streams), _OPENED_AT_ONCE):
            some = self._streams[start : start + _OPENED_AT_ONCE]
            tasks += [asyncio.create_task(stream.run()) for stream in some]
            with suppress(TimeoutError):
                async with asyncio.timeout(_TIMEOUT_S):
                    await asyncio.gather(*(stream.positioned.wait() for stream in some))
        return tasks

    async def _send_all(self, end: asyncio.Event) -> None:
        """Send each request at its planned time, whatever became of earlier ones (open-loop load)."""
        under_way: set[asyncio.Task[None]] = set()
        planned = start = time.perf_counter()
        while planned < start + self._given.seconds and not end.is_set():
            planned += self._random.expovariate(self._given.rate)
            if (wait_s := planned - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            [operation] = self._random.choices(list(OPERATIONS), list(OPERATIONS.values()))
            if len(under_way) >= self._given.most_open:
                self._not_sent += 1
                await asyncio.sleep(0)  # let responses in
                continue
            task = asyncio.create_task(self._send(operation, planned))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        while under_way:
            await asyncio.wait(set(under_way))

    async def _send(self, operation: str, planned: float) -> None:
        if operation in {"cancel", "show"} and not self._recent:
            operation = "list"
        self._behind_ms.append((time.perf_counter() - planned) * 1000)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                outcome = str(await self._request(operation))
        except (OSError, TimeoutError) as error:
            outcome = type(error).__name__
        self._latency_ms[operation, outcome].append((time.perf_counter() - planned) * 1000)

    async def _request(self, operation: str) -> int:
        if operation == "schedule":
            return await self._schedule()
        if operation == "list":
            return (await self._pool.send("GET", "/tasks?status=scheduled&limit=50"))[0]
        task_id = self._random.choice(self._recent)
        if operation == "show":
            return (await self._pool.send("GET", f"/tasks/{task_id}"))[0]
        self._unknown.add(task_id)
        status, _ = await self._pool.send("POST", "/cancel", {"id": task_id})
        if status == _OK:
            self._cancelled.add(task_id)
        return status

    async def _schedule(self) -> int:
        due_ms = now_ms() + round(self._random.uniform(*_DUE_S) * 1000)
        body = {"timestamp": timestamps.format(due_ms), "message": {"about": "load", "due": due_ms}}
        status, response = await self._pool.send("POST", "/schedule", body)
        if status == _OK:
            task_id = json.loads(response)["id"]
            self._due_ms[task_id] = due_ms
            self._recent.append(task_id)
            if now_ms() >= due_ms:
                self._accepted_late.add(task_id)
        return status

    def _hear(self, _position: int, data: bytes) -> None:
        self._delays_ms.append(time.time_ns() / 1_000_000 - json.loads(data)["metadata"]["ts"])

    async def _settle(self, position: int) -> None:
        deadline = time.monotonic() + _SETTLED_IN_S
        while time.monotonic() < deadline:
            page: dict[str, Any] = await self._pool.json(f"/events?after={position}&limit=1000")
            for envelope in page["events"]:
                self._emitted_ms[envelope["event"]["id"]].append(envelope["metadata"]["ts"])
            position = int(page["position"]) or position
            if not page["events"]:
                if not self._missing() and all((stream.last or 0) >= position for stream in self._streams):
                    return
                await asyncio.sleep(_PAUSE_S)

    def _missing(self) -> set[str]:
        return self._due_ms.keys() - self._unknown - self._emitted_ms.keys()

    def _late_ms(self) -> list[float]:
        counted = self._emitted_ms.keys() & self._due_ms.keys() - self._accepted_late
        return [self._emitted_ms[task_id][0] - self._due_ms[task_id] for task_id in counted]

    def violations(self) -> list[str]:
        """Return a line for each kind of violation."""
        emitted = sum(map(len, self._emitted_ms.values()))
        found = {
            "accepted tasks were never emitted": len(self._missing()),
            "tasks were emitted after their cancellation was confirmed": len(self._cancelled & self._emitted_ms.keys()),
            "tasks were emitted early": sum(late_ms < 0 for late_ms in self._late_ms()),
            "tasks were emitted twice": sum(len(times) > 1 for times in self._emitted_ms.values()),
            "listeners did not get each event once": sum(stream.events != emitted for stream in self._streams),
            "events came to a listener out of order": sum(stream.out_of_order for stream in self._streams),
        }
        return [f"{count:,} {what}" for what, count in found.items() if count]

    def lines(self, server: Server | None) -> list[str]:
        """Return the report."""
        order = list(OPERATIONS)
        rows = dict(sorted(self._latency_ms.items(), key=lambda row: (order.index(row[0][0]), row[0][1])))
        rows["emitted", "after it was due"] = self._late_ms()
        rows["streams", "after it was emitted"] = self._delays_ms
        sent = len(self._behind_ms)
        opened, rejected = (sum(getattr(one, name) for one in self._streams) for name in ("opened", "rejected"))
        lines = [
            f"{'':10}{'outcome':>24}{'count':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}   ms",
            *(f"{name:10}{outcome:>24}{len(ms):9,}{_spread(ms)}" for (name, outcome), ms in rows.items()),
            "",
            f"sent      {sent:,} requests in {self._seconds:.1f} s, {sent / self._seconds:,.0f} a second",
            f"streams   {self._given.streams:,}: opened {opened}, rejected {rejected}",
            *([f"server    memory {server.memory_mib():.0f} MiB"] if server else []),
            f"generator behind its plan, in ms (p50 p90 p99 max):{_spread(self._behind_ms)}",
        ]
        if self._not_sent:
            open_already = f"{self._given.most_open:,} were under way"
            lines.append(f"          {self._not_sent:,} requests were not sent: {open_already}")
        if self._behind_ms and percentile(self._behind_ms, 0.99) > _LAG_MS:
            lines.append("          It did not keep up: these are figures of the generator, not of the server.")
        return lines + [f"WRONG     {line}" for line in self.violations()]


def _spread(values: Sequence[float]) -> str:
    """Return the median, the 90th and 99th percentile and the maximum, in milliseconds."""
    return "".join(f"{percentile(values, share):9,.1f}" if values else f"{'-':>9}" for share in _SHARES)


async def _measure(target: Target, server: Server | None, given: argparse.Namespace) -> int:
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, end.set)
    sys.stdout.write(
        f"{given.rate:g} requests a second for {given.seconds:g} s, {given.streams} streams, seed {given.seed}\n"
    )
    sys.stdout.flush()
    async with Pool(target) as pool:
        load = Load(target, pool, given)
        await load.run(end)
    sys.stdout.write("\n".join(load.lines(server)) + "\n")
    return 1 if load.violations() else 0


def main(arguments: Sequence[str]) -> int:
    """Return 0 if nothing was violated, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m lab load", description=__doc__)
    parser.add_argument("--url", help="of a deployment; without it, a server is started on this machine")
    parser.add_argument(
        "--secret",
        default=os.environ.get("TASK_SCHEDULER_SECRET"),
        help="of that deployment; prefer TASK_SCHEDULER_SECRET: others can see a command line",
    )
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--streams", type=int, default=50, help="listeners of the event stream (default: 50)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="sends the same requests at the same times again")
    parser.add_argument("--most-open", type=int, default=400, help="requests under way at once (default: 400)")
    given = parser.parse_args(arguments)
    try:
        if given.url:
            return uvloop.run(_measure(Target(given.url, given.secret), None, given))
        with (
            tempfile.TemporaryDirectory(prefix="task-scheduler-load-") as folder,
            serving(Path(folder) / "load.db", secret=secrets.token_urlsafe()) as (target, server),
        ):
            return uvloop.run(_measure(target, server, given))
    except OSError as error:
        sys.stderr.write(f"The server cannot be reached, or ended: {error}\n")
        return 1
