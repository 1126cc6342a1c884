"""The local engine under faults: killed, suspended, without room on the disk, by a clock that jumps, under load."""

import argparse
import asyncio
import base64
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
from standardwebhooks import Webhook

from lab.chaos.local.clock import SteppedClock
from lab.chaos.local.nemesis import Fault, Kind, plan
from lab.chaos.local.node import CAN_FILL_DISKS, Node
from lab.chaos.local.webhook import Receiver
from lab.support.client import Client, http_client
from lab.support.history import Emitted, History, Observations, Outcome
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


def run(given: argparse.Namespace) -> Outcome:
    """Let everything happen, and come to its end."""
    faults = plan(given.seed, seconds=given.seconds, every=given.every)
    faults = [fault for fault in faults if CAN_FILL_DISKS or fault.kind is not Kind.FULL_DISK]
    with tempfile.TemporaryDirectory(prefix="task-scheduler-chaos-") as folder:
        return asyncio.run(_run(given, Path(folder), faults))


async def _run(given: argparse.Namespace, folder: Path, faults: Sequence[Fault]) -> Outcome:
    history = History()
    clock = SteppedClock.create(folder / "clock")
    signing = base64.b64encode(secrets.token_bytes(24)).decode()
    receiver = Receiver(given.seed, Webhook(signing), clock.latest_ms)
    node = Node(folder, clock, webhook=receiver.url, webhook_secret=f"whsec_{signing}")
    listener = Listener(node.target, given.seed, cuts=_CUTS, latest_ms=clock.latest_ms)
    async with AsyncExitStack() as stack:
        stack.enter_context(receiver.listening())
        await stack.enter_async_context(node.powered())
        await stack.enter_async_context(listener.listening())
        http = await stack.enter_async_context(http_client(node.target, _TIMEOUT_S))
        client = Client(
            http=http,
            history=history,
            seconds=given.seconds,
            patience_s=_PATIENCE_S,
            again={429, 503},
            lingers=True,
            at_once=1_000,
            clock=clock.now_ms,
        )
        async with asyncio.TaskGroup() as everything:
            count = round(given.rate * given.seconds)
            for script in scripts(given.seed, count, given.seconds, ahead_s=_AHEAD_S, far=_FAR):
                everything.create_task(client.play(script))
            for fault in faults:
                everything.create_task(_later(node, fault))
        await node.wait_until_it_listens()
        observed = await _observe(http, clock, listener, receiver)
    strange = {error: count for error, count in node.errors.items() if not error.startswith(_EXPECTED_IN_LOGS)}
    history.errors += [*node.complaints, *receiver.complaints]
    history.errors += [f"The server has logged {count} times: {error}" for error, count in strange.items()]
    kinds = Counter(fault.kind for fault in faults)
    return (
        history,
        observed,
        {
            **{kind: kinds[kind] for kind in Kind},
            "server started": node.starts,
            "streams opened": listener.opened,
            "events seen": len(listener.seen),
            "deliveries": len(receiver.deliveries),
            "errors in the server's log": sum(node.errors.values()),
        },
    )


async def _later(node: Node, fault: Fault) -> None:
    await asyncio.sleep(fault.at_s)
    await node.apply(fault)


async def _observe(
    http: httpx.AsyncClient, clock: SteppedClock, listener: Listener, receiver: Receiver
) -> Observations:
    """Wait until all that is due is emitted and observed, as long as that may take, and return what there is."""
    due_before_ms = clock.now_ms()
    give_up = time.monotonic() + _SETTLED_IN_S
    while True:
        until = timestamps.format(clock.now_ms() + _TOGETHER_MS)
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
