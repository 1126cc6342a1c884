"""Reads all that a server has, once nothing disturbs it any more: its log, its tasks, and what the witnesses saw."""

import asyncio
import time
from typing import Final

from lab.chaos.ledger import Emitted, Evidence, Kept
from lab.chaos.local.caller import Caller
from lab.chaos.local.clock import SteppedClock
from lab.chaos.local.witnesses import Listener, Receiver
from task_scheduler import timestamps

_WITHIN_S: Final = 90.0  # longer than the longest pause of a webhook sender
_PAUSE_S: Final = 0.1
_TOGETHER_MS: Final = 1_000  # the log and the tasks are read between two dues that are so far apart


async def gather(caller: Caller, clock: SteppedClock, listener: Listener, receiver: Receiver) -> Evidence:
    """Wait for all that is due and for the witnesses to see it, as long as that may take, and return what there is."""
    due_before_ms = clock.now_ms()
    give_up = time.monotonic() + _WITHIN_S
    while time.monotonic() < give_up:
        window = f"/tasks?status=scheduled&limit=1&to={timestamps.format(clock.now_ms() + _TOGETHER_MS)}"
        if not (await caller.send("evidence", "GET", window)).body["tasks"]:
            log = await _log(caller)
            if _all_saw(log, listener, receiver):
                break
        await asyncio.sleep(_PAUSE_S)
    log = await _log(caller)
    return Evidence(
        log, await _tasks(caller), listener.seen[:], deliveries=receiver.deliveries[:], due_before_ms=due_before_ms
    )


def _all_saw(log: list[Emitted], listener: Listener, receiver: Receiver) -> bool:
    """Tell whether the witnesses have come to the end of the log; whether they saw all of it is judged later."""
    return not log or (listener.last >= log[-1].sequence and log[-1].task_id in receiver.ids)


async def _log(caller: Caller) -> list[Emitted]:
    log: list[Emitted] = []
    position = 0
    while True:
        page = (await caller.send("evidence", "GET", f"/events?after={position}&limit=1000")).body
        if not page["events"]:
            return log
        log += map(Emitted.read, page["events"])
        position = page["position"]


async def _tasks(caller: Caller) -> list[Kept]:
    tasks: list[Kept] = []
    cursor = ""
    while True:
        page = (await caller.send("evidence", "GET", f"/tasks?limit=1000{cursor}")).body
        tasks += map(Kept.read, page["tasks"])
        if page["cursor"] is None:
            return tasks
        cursor = f"&cursor={page['cursor']}"
