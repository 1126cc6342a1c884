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
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from lab.bench.report import percentile
from lab.support.client import now_ms
from lab.support.connection import Pool, Target
from lab.support.event_stream import Listeners
from lab.support.server import Server, serving
from task_scheduler import timestamps

OPERATIONS: Final = {"schedule": 60, "cancel": 10, "show": 20, "list": 10}
"""Each operation, and how many of a hundred requests are it."""
_DUE_S: Final = (1.0, 5.0)
_REMEMBERED: Final = 10_000  # tasks to show and to cancel
_TIMEOUT_S: Final = 30.0
_SETTLED_IN_S: Final = 65.0
_PAUSE_S: Final = 0.2
_LAG_MS: Final = 50.0
"""A generator that is further behind its plan than this in a hundredth of all cases measures itself."""
_OK: Final = 200
_SHARES: Final = (0.5, 0.9, 0.99, 1.0)


def spread(values: Sequence[float]) -> str:
    """Return the median, the 90th and 99th percentile and the maximum, in milliseconds."""
    return "".join(f"{percentile(values, share):9,.1f}" if values else f"{'-':>9}" for share in _SHARES)


class Workload:
    """Sends each request at its planned time, whatever became of earlier ones (open-loop load)."""

    def __init__(self, pool: Pool, *, rate: float, seed: str, most_open: int) -> None:
        self.latency_ms: dict[tuple[str, str], list[float]] = {}
        """By operation and outcome; from the time at which the request was planned."""
        self.accepted: set[str] = set()
        self.accepted_late: set[str] = set()
        """Tasks that were accepted after they were due: the request has waited, not the task."""
        self.cancelled: set[str] = set()
        self.unknown: set[str] = set()
        """Tasks whose cancellation may be without a response."""
        self.behind_ms: list[float] = []
        """How long after its planned time each request was sent."""
        self.not_sent = 0
        self._pool = pool
        self._rate = rate
        self._random = random.Random(f"load {seed}")  # noqa: S311 - makes a load, no secret
        self._most_open = most_open
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, end: asyncio.Event, *, seconds: float) -> None:
        """Send until the time is up or the end has come, and wait for the responses."""
        planned = start = time.perf_counter()
        while planned < start + seconds and not end.is_set():
            planned += self._random.expovariate(self._rate)
            if (wait_s := planned - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            [operation] = self._random.choices(list(OPERATIONS), list(OPERATIONS.values()))
            if len(self._under_way) >= self._most_open:
                self.not_sent += 1
                await asyncio.sleep(0)  # let responses in
                continue
            task = asyncio.create_task(self._send(operation, planned))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _send(self, operation: str, planned: float) -> None:
        if operation in {"cancel", "show"} and not self._recent:
            operation = "list"
        self.behind_ms.append((time.perf_counter() - planned) * 1000)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                outcome = str(await self._request(operation))
        except (OSError, TimeoutError) as error:
            outcome = type(error).__name__
        self.latency_ms.setdefault((operation, outcome), []).append((time.perf_counter() - planned) * 1000)

    async def _request(self, operation: str) -> int:
        if operation == "schedule":
            return await self._schedule()
        if operation == "list":
            return (await self._pool.send("GET", "/tasks?status=scheduled&limit=50"))[0]
        task_id = self._random.choice(self._recent)
        if operation == "show":
            return (await self._pool.send("GET", f"/tasks/{task_id}"))[0]
        self.unknown.add(task_id)
        status, _ = await self._pool.send("POST", "/cancel", {"id": task_id})
        if status == _OK:
            self.cancelled.add(task_id)
        return status

    async def _schedule(self) -> int:
        due_ms = now_ms() + round(self._random.uniform(*_DUE_S) * 1000)
        body = {"timestamp": timestamps.format(due_ms), "message": {"about": "load", "due": due_ms}}
        status, response = await self._pool.send("POST", "/schedule", body)
        if status == _OK:
            task_id = json.loads(response)["id"]
            self.accepted.add(task_id)
            self._recent.append(task_id)
            if now_ms() >= due_ms:
                self.accepted_late.add(task_id)
        return status


class Run:
    """A load on one server, with listeners."""

    def __init__(self, target: Target, given: argparse.Namespace, seed: str) -> None:
        self._given = given
        self._pool = Pool(target)
        self._delays_ms: list[float] = []
        self._streams = Listeners(target, given.streams, self._hear)
        self._load = Workload(self._pool, rate=given.rate, seed=seed, most_open=given.most_open)
        self._late_ms: list[float] = []
        self._emitted: Counter[str] = Counter()
        self._seconds = self._cpu_s = 0.0

    def _hear(self, data: bytes) -> None:
        self._delays_ms.append(time.time_ns() / 1_000_000 - json.loads(data)["metadata"]["ts"])

    async def run(self, end: asyncio.Event) -> None:
        """Send it, and read the log until all that was accepted is in it; `end` ends it early."""
        await self._streams.open()
        page = await self._pool.json(f"/events?before={2**53}&limit=1")
        start = int(page["position"]) if page["events"] else 0
        began, cpu = time.perf_counter(), time.process_time()
        await self._load.run(end, seconds=self._given.seconds)
        self._seconds = max(time.perf_counter() - began, 0.001)
        self._cpu_s = time.process_time() - cpu
        await self._settle(start)
        await self._streams.close()
        self._pool.close()

    async def _settle(self, position: int) -> None:
        deadline = time.monotonic() + _SETTLED_IN_S
        while time.monotonic() < deadline:
            page = await self._pool.json(f"/events?after={position}&limit=1000")
            for envelope in page["events"]:
                self._take(envelope)
            position = int(page["position"]) or position
            if not page["events"]:
                if not self._missing() and not self._streams.behind(position):
                    return
                await asyncio.sleep(_PAUSE_S)

    def _take(self, envelope: dict[str, Any]) -> None:
        task_id = envelope["event"]["id"]
        self._emitted[task_id] += 1
        if task_id in self._load.accepted and task_id not in self._load.accepted_late:
            self._late_ms.append(envelope["metadata"]["ts"] - timestamps.parse(envelope["event"]["timestamp"]))

    def _missing(self) -> set[str]:
        return self._load.accepted - self._load.unknown - self._emitted.keys()

    def violations(self) -> list[str]:
        """Return a line for each kind of violation."""
        found = {
            "accepted tasks were never emitted": len(self._missing()),
            "tasks were emitted after their cancellation was confirmed": len(
                self._load.cancelled & self._emitted.keys()
            ),
            "tasks were emitted early": sum(late_ms < 0 for late_ms in self._late_ms),
            "tasks were emitted twice": sum(count > 1 for count in self._emitted.values()),
            "listeners did not get each event once": self._streams.short_of(self._emitted.total()),
            "events came to a listener out of order": self._streams.total("out_of_order"),
        }
        return [f"{count:,} {what}" for what, count in found.items() if count]

    def lines(self, server: Server | None, server_cpu_s: float) -> list[str]:
        """Return the report."""
        load, total = self._load, self._streams.total
        rows = {**dict(sorted(load.latency_ms.items(), key=lambda row: (list(OPERATIONS).index(row[0][0]), row[0][1])))}
        rows["emitted", "after it was due"] = self._late_ms
        rows["streams", "after it was emitted"] = self._delays_ms
        sent = len(load.behind_ms)
        lines = [
            f"{'':10}{'outcome':>24}{'count':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}   ms",
            *(f"{name:10}{outcome:>24}{len(ms):9,}{spread(ms)}" for (name, outcome), ms in rows.items()),
            "",
            f"sent      {sent:,} requests in {self._seconds:.1f} s, {sent / self._seconds:,.0f} a second",
            f"emitted   {self._emitted.total():,} tasks",
            f"streams   {self._given.streams:,}: opened {total('opened')}, rejected {total('rejected')}",
        ]
        if server:
            lines.append(
                f"server    memory {server.memory_mib():.0f} MiB, at most {server.memory_mib('VmHWM'):.0f} MiB; "
                f"{server_cpu_s:.1f} s of processor time"
            )
        lines.append(
            f"generator {self._cpu_s / self._seconds:.0%} of a core; behind its plan, in ms (p50 p90 p99 max):"
            f"{spread(load.behind_ms)}"
        )
        if load.not_sent:
            lines.append(
                f"          {load.not_sent:,} requests were not sent: {self._given.most_open:,} were under way"
            )
        if load.behind_ms and percentile(load.behind_ms, 0.99) > _LAG_MS:
            lines.append("          It did not keep up: these are figures of the generator, not of the server.")
        return lines + [f"WRONG     {line}" for line in self.violations()]


async def _measure(target: Target, server: Server | None, given: argparse.Namespace) -> bool:
    seed = given.seed or secrets.token_hex(4)
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, end.set)
    sys.stdout.write(
        f"{given.rate:g} requests a second for {given.seconds:g} s, {given.streams} streams, seed {seed}\n"
    )
    sys.stdout.flush()
    run = Run(target, given, seed)
    cpu_s = server.cpu_s() if server else 0.0
    await run.run(end)
    cpu_s = (server.cpu_s() if server else 0.0) - cpu_s
    sys.stdout.write("\n".join(run.lines(server, cpu_s)) + "\n")
    return not run.violations()


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
    parser.add_argument("--seed", help="sends the same requests at the same times again")
    parser.add_argument("--most-open", type=int, default=400, help="requests under way at once (default: 400)")
    given = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            if given.url:
                return 0 if uvloop.run(_measure(Target(given.url, given.secret), None, given)) else 1
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="task-scheduler-load-"))
            data = Path(folder) / "load.db"
            target, server = stack.enter_context(serving(data, secret=secrets.token_urlsafe()))
            return 0 if uvloop.run(_measure(target, server, given)) else 1
    except OSError as error:
        sys.stderr.write(f"The server cannot be reached, or ended: {error}\n")
        return 1
