"""One run: opens the listeners, sends the load, waits for what was accepted, and reports."""

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from lab.load.connection import Pool
from lab.load.figures import HEADER, operation_rows, row, spread
from lab.load.server import Server
from lab.load.streams import Streams
from lab.load.workload import Workload
from task_scheduler import timestamps

_LAST_DUE_S: Final = 5.0
_SETTLED_IN_S: Final = 60.0  # after the last due
_PAUSE_S: Final = 0.2
_LAG_MS: Final = 50.0
"""A generator that is further behind its plan than this in a hundredth of all cases measures itself."""


@dataclass
class Outcome:
    """What was found once all was over."""

    late_ms: list[float] = field(default_factory=list)
    """Of each emitted task, by the clock of the server."""
    events: int = 0
    end: int = 0
    emitted: set[str] = field(default_factory=set)
    seconds: float = 0
    own_cpu_s: float = 0
    server_cpu_s: float = 0


class Run:
    """What is sent to one server for a time."""

    def __init__(self, server: Server, given: argparse.Namespace, seed: str) -> None:
        self._server = server
        self._given = given
        self._pool = Pool(server.target)
        self._streams = Streams(server.target, given.streams)
        self._load = Workload(self._pool, rate=given.rate, seed=seed, most_open=given.most_open)
        self._outcome = Outcome()

    async def run(self, end: asyncio.Event) -> None:
        """Do it all; `end` ends it early."""
        await self._streams.open()
        start = await self._position()
        began, cpu, servers = time.perf_counter(), time.process_time(), self._server.cpu_s()
        await self._load.run(end, seconds=self._given.seconds)
        self._outcome.seconds = time.perf_counter() - began
        self._outcome.own_cpu_s = time.process_time() - cpu
        await self._settle(start)
        self._outcome.server_cpu_s = self._server.cpu_s() - servers
        await self._streams.close()
        self._pool.close()

    async def _position(self) -> int:
        """Return where the log ends."""
        page = await self._pool.json(f"/events?before={2**53}&limit=1")
        return int(page["position"]) if page["events"] else 0

    async def _settle(self, start: int) -> None:
        """Read the log until all that was accepted is in it and every listener has it."""
        deadline = time.monotonic() + _LAST_DUE_S + _SETTLED_IN_S
        outcome = self._outcome
        outcome.end = start
        while time.monotonic() < deadline:
            page = await self._pool.json(f"/events?after={outcome.end}&limit=1000")
            for envelope in page["events"]:
                self._take(envelope)
            outcome.end = int(page["position"]) or outcome.end
            if not page["events"]:
                if not self._missing() and not self._streams.behind(outcome.end):
                    return
                await asyncio.sleep(_PAUSE_S)

    def _take(self, envelope: dict[str, Any]) -> None:
        self._outcome.events += 1
        task_id = envelope["event"]["id"]
        self._outcome.emitted.add(task_id)
        if task_id in self._load.accepted and task_id not in self._load.accepted_late:
            self._outcome.late_ms.append(envelope["metadata"]["ts"] - timestamps.parse(envelope["event"]["timestamp"]))

    def _missing(self) -> set[str]:
        """Return the tasks that should have been emitted and were not."""
        load = self._load
        return load.accepted.keys() - load.cancelled - self._outcome.emitted - load.unsure

    @property
    def is_well(self) -> bool:
        """Whether every accepted task was emitted, not early, and came to every listener once."""
        return not self._wrongs()

    def _wrongs(self) -> list[str]:
        streams, outcome = self._streams, self._outcome
        found = {
            "accepted tasks were never emitted": len(self._missing()),
            "tasks were emitted after their cancellation was confirmed": len(self._load.cancelled & outcome.emitted),
            "tasks were emitted early": sum(late_ms < 0 for late_ms in outcome.late_ms),
            "listeners did not get each event once": streams.short_of(outcome.events),
            "events came to a listener out of order": streams.delays.out_of_order,
        }
        return [f"{count:,} {what}" for what, count in found.items() if count]

    def lines(self) -> list[str]:
        """Return the report."""
        load, outcome, delays = self._load, self._outcome, self._streams.delays
        sent = sum(figures.sent for figures in load.figures.values())
        seconds = max(outcome.seconds, 0.001)
        return [
            HEADER,
            *(line for name, figures in load.figures.items() for line in operation_rows(name, figures)),
            row("emitted", "after it was due", outcome.late_ms),
            row("streams", "after it was emitted", list(delays.ms)),
            "",
            f"sent      {sent:,} requests in {seconds:.1f} s, {sent / seconds:,.0f} a second",
            f"emitted   {outcome.events:,} tasks",
            f"streams   {self._given.streams:,}: opened {delays.opened:,}, refused {delays.refused:,}",
            f"server    memory {self._server.memory()}; {outcome.server_cpu_s:.1f} s of processor time",
            *self._generator(),
            *(f"WRONG     {line}" for line in self._wrongs()),
        ]

    def _generator(self) -> list[str]:
        """Say what the generator cost, and whether it kept to its plan."""
        load, outcome = self._load, self._outcome
        behind = sorted(load.behind_ms)
        cost = f"{outcome.own_cpu_s / max(outcome.seconds, 0.001):.0%} of a core"
        lines = [f"generator {cost}; behind its plan, in ms (p50 p90 p99 max):{spread(behind)}"]
        if load.not_sent:
            lines.append(
                f"          {load.not_sent:,} requests were not sent: {self._given.most_open:,} were under way"
            )
        if behind and behind[int(len(behind) * 0.99) - 1] > _LAG_MS:
            lines.append(
                "          It did not keep up: the figures above are those of the generator, not of the server."
            )
        return lines
