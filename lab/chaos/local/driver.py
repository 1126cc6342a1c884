"""The local engine under faults: killed, suspended, without room on the disk, by a clock that jumps, under load."""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx

from lab.chaos.local.nemesis import Fault, Kind, plan
from lab.chaos.local.node import CAN_FILL_DISKS, Node
from lab.chaos.local.webhook import Receiver
from lab.support.checker import check, report
from lab.support.client import Client
from lab.support.history import Emitted, History, Observations
from lab.support.observer import Listener, read_log, read_tasks
from lab.support.workload import scripts
from task_scheduler import timestamps

_EXPECTED_IN_LOGS: Final = "sqlite3.OperationalError"  # a full disk leaves it in the log of the server
_TIMEOUT_S: Final = 2  # shorter than some pauses, so that requests linger in the server
_AHEAD_S: Final = 3.0  # most tasks are due before the clock is set again
_FAR: Final = 0.35  # of the tasks: others are often due before the server has come back
_PATIENCE_S: Final = 120  # far longer than any fault
_CUTS: Final = 0.02  # of the events are followed by a cut of the listener's own
_SETTLED_IN_S: Final = 90.0  # longer than the longest pause of a webhook sender
_PAUSE_S: Final = 0.1
_TOGETHER_MS: Final = 1_000  # the log and the tasks are read between two dues that are so far apart


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this driver."""
    parser.add_argument("--seconds", type=float, default=120, help="how long faults happen (default: 120)")
    parser.add_argument("--seed", help="repeats the faults and the requests of an earlier run")
    parser.add_argument("--every", type=float, default=2, help="seconds between two faults on average (default: 2)")
    parser.add_argument("--rate", type=float, default=25, help="new tasks a second (default: 25)")


def run(given: argparse.Namespace) -> bool:
    """Run it and print what was found; returns whether nothing was violated."""
    seed = given.seed or secrets.token_hex(4)
    planned = [
        fault
        for fault in plan(seed, seconds=given.seconds, every=given.every)
        if CAN_FILL_DISKS or fault.kind is not Kind.FULL_DISK
    ]
    sys.stdout.write(f"Seed {seed}: {len(planned)} faults in {given.seconds:g} s, {given.rate:g} tasks a second.\n")
    sys.stdout.flush()
    history = History()
    with tempfile.TemporaryDirectory(prefix="task-scheduler-chaos-") as folder:
        trial = _Trial(history, Path(folder), seed, planned)
        observed = asyncio.run(trial.run(seconds=given.seconds, rate=given.rate))
    verdict = check(history, observed)
    again = f"local --seconds {given.seconds:g} --every {given.every:g} --rate {given.rate:g} --seed {seed}"
    sys.stdout.write("\n".join(report(history, verdict, trial.done, again)) + "\n")
    return not verdict.violations


class _Trial:
    """One run: a node, a client, observers and faults."""

    def __init__(self, history: History, folder: Path, seed: str, faults: list[Fault]) -> None:
        self._history = history
        self._folder = folder
        self._seed = seed
        self._faults = faults
        self.done: dict[str, object] = {}
        """Counts of what was done, to be printed."""

    async def run(self, *, seconds: float, rate: float) -> Observations:
        """Let everything happen, and return what is observed in the end."""
        async with AsyncExitStack() as stack:
            receiver = stack.enter_context(Receiver(self._seed))
            node = await stack.enter_async_context(Node(self._folder, webhook=receiver.url))
            receiver.expect(node.webhook_secret, node.clock.latest_ms)
            listener = Listener(node.target, self._seed, cuts=_CUTS, latest_ms=node.clock.latest_ms)
            listening = asyncio.create_task(listener.run())
            stack.callback(listening.cancel)
            http = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=node.target.url,
                    headers={"x-pd-secret": node.target.secret or ""},
                    timeout=_TIMEOUT_S,
                    limits=httpx.Limits(max_connections=None),
                    trust_env=False,
                )
            )
            await self._disturb(node, http, seconds=seconds, rate=rate)
            await node.wait_until_it_listens()
            observed = await _observe(http, node, listener, receiver)
            if listening.done():
                listening.result()
        self._sum_up(node, listener, receiver)
        return observed

    async def _disturb(self, node: Node, http: httpx.AsyncClient, *, seconds: float, rate: float) -> None:
        """Let the client and the faults go on for a time, and both come to their end."""
        client = Client(
            http,
            self._history,
            seconds=seconds,
            patience_s=_PATIENCE_S,
            again={429, 503},
            lingers=True,
            at_once=1_000,
            clock=node.clock.now_ms,
        )
        async with asyncio.TaskGroup() as everything:
            for script in scripts(self._seed, round(rate * seconds), seconds, ahead_s=_AHEAD_S, far=_FAR):
                everything.create_task(client.play(script))
            for fault in self._faults:
                everything.create_task(_later(node, fault))

    def _sum_up(self, node: Node, listener: Listener, receiver: Receiver) -> None:
        faults = Counter(fault.kind for fault in self._faults)
        self.done = {
            **{kind: faults[kind] for kind in Kind},
            "server started": node.starts,
            "streams opened": listener.opened,
            "events seen": len(listener.seen),
            "deliveries": len(receiver.deliveries),
            "errors in the server's log": sum(node.errors.values()),
        }
        strange = {error: count for error, count in node.errors.items() if not error.startswith(_EXPECTED_IN_LOGS)}
        self._history.errors += [*node.complaints, *receiver.complaints]
        self._history.errors += [f"The server has logged {count} times: {error}" for error, count in strange.items()]


async def _later(node: Node, fault: Fault) -> None:
    await asyncio.sleep(fault.at_s)
    await node.apply(fault)


async def _observe(http: httpx.AsyncClient, node: Node, listener: Listener, receiver: Receiver) -> Observations:
    """Wait until all that is due is emitted and observed, as long as that may take, and return what there is."""
    due_before_ms = node.clock.now_ms()
    give_up = time.monotonic() + _SETTLED_IN_S
    while True:
        until = timestamps.format(node.clock.now_ms() + _TOGETHER_MS)
        waiting = await read_tasks(http, status="scheduled", to=until)
        log = await read_log(http)
        if time.monotonic() > give_up or (not waiting and _all_observed(log, listener, receiver)):
            break
        await asyncio.sleep(_PAUSE_S)
    tasks = await read_tasks(http)
    return Observations(log, tasks, listener.seen[:], deliveries=receiver.deliveries[:], due_before_ms=due_before_ms)


def _all_observed(log: list[Emitted], listener: Listener, receiver: Receiver) -> bool:
    """Tell whether the observers have come to the end of the log; the checker finds out whether they saw all of it."""
    return not log or ((listener.last or 0) >= log[-1].sequence and log[-1].task_id in receiver.ids)
