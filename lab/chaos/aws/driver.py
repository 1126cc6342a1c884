"""Faults between the functions and AWS, through many tasks with cancels and changes."""

import argparse
import asyncio
import sys
import time
from collections import Counter
from typing import Final

import httpx

from emulator import deployed
from lab.chaos.aws.fault_proxy import CAN_KILL, FaultProxy
from lab.chaos.aws.nemesis import Plan
from lab.chaos.aws.stack import Stack
from lab.support.client import Client, http_client, now_ms
from lab.support.connection import Target
from lab.support.history import History, Observations, Outcome
from lab.support.observer import Listener, read_log, read_tasks
from lab.support.workload import FAR_S, scripts

_AT_ONCE: Final = 12  # requests under way at most: the emulator runs a process for each
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})  # say nothing definite
_TIMEOUT_S: Final = 60
_WINDOW_PART: Final = 0.4  # of the run: what is due later than this from now is parked
_SWEEP_S: Final = 5
_LOOK_S: Final = 3
_PASSED_S: Final = 7  # readers seal a number that is missing for 2 s (event_log.SEAL_AFTER_MS)
_CAUGHT_UP_S: Final = 60
_OVERTIME_S: Final = 600
"""How much longer than planned things go wrong at most, while there is still something without a response."""
_PATIENCE_S: Final = 600
"""How long requests without a response by then are sent again: without faults, it comes at once."""
_SETTLE_S: Final = 4_500
"""How long to wait at most until all is settled: where timers die again and again, the sweeper pauses for an hour."""


def run(given: argparse.Namespace) -> Outcome:
    """Let calls go wrong, then let everything settle."""
    if not CAN_KILL:
        _say("No function is killed: only Linux says which process makes a call; crashes are connections that end.")
    plan = Plan(given.seed, given.rate)
    settings = {"arming_window_days": str(max(1, _WINDOW_PART * given.seconds) / 86_400)}  # a second at least
    with deployed(settings=settings) as deployment:
        stack = Stack(deployment)
        proxy = FaultProxy(deployment.endpoint, plan, parent=deployment.emulator.pid)
        with proxy.listening():
            stack.divert(proxy.url)
            target = Target(deployment.url, deployment.secret)
            history, observed = asyncio.run(_run(given, target, stack, plan))
    return history, observed, _done(plan, observed)


async def _run(given: argparse.Namespace, target: Target, stack: Stack, plan: Plan) -> tuple[History, Observations]:
    history = History()
    listener = Listener(target, given.seed, cuts=0, latest_ms=now_ms)
    async with http_client(target, _TIMEOUT_S) as http, listener.listening():
        await _disturb(given, http, history, stack, plan)
        await _settle(http, history, stack)
        await asyncio.sleep(_PASSED_S)
        log = await read_log(http)
        await listener.reach(log[-1].sequence if log else 0, seconds=_CAUGHT_UP_S)
        tasks = await read_tasks(http)
        deliveries = await asyncio.to_thread(stack.received)
    return history, Observations(log, tasks, listener.seen, deliveries=deliveries, due_before_ms=now_ms())


async def _disturb(
    given: argparse.Namespace, http: httpx.AsyncClient, history: History, stack: Stack, plan: Plan
) -> None:
    """Play all scripts while calls go wrong, until every response is definite and the time is over."""
    client = Client(
        http=http,
        history=history,
        seconds=given.seconds,
        patience_s=_OVERTIME_S + _PATIENCE_S,
        again=_AGAIN,
        lingers=False,
        at_once=min(_AT_ONCE, 3 + given.tasks // 50),
    )
    sweeping = asyncio.create_task(_sweep(stack))
    played = [client.play(script) for script in scripts(given.seed, given.tasks, given.seconds)]
    playing = asyncio.gather(asyncio.sleep(given.seconds), *played)
    await asyncio.wait([playing], timeout=given.seconds + _OVERTIME_S)
    plan.end()
    await playing
    sweeping.cancel()


async def _sweep(stack: Stack) -> None:
    """Sweep more often than the rule does, and beside it: sweeps may overlap, and may die."""
    while True:
        await asyncio.to_thread(stack.sweep)
        await asyncio.sleep(_SWEEP_S)


async def _settle(http: httpx.AsyncClient, history: History, stack: Stack) -> None:
    """Wait until all that is due is emitted and recorded; without faults, nothing may go wrong."""
    _say("Every response is definite; now nothing goes wrong any more, and the rest may settle.")
    deadline = time.monotonic() + _SETTLE_S
    await asyncio.sleep(_PASSED_S)  # the last fault is over
    while time.monotonic() < deadline:
        if failure := await asyncio.to_thread(stack.sweep):
            history.errors.append(f"The sweeper failed while nothing went wrong: {failure}")
        soon = now_ms() + int(FAR_S * 500)
        waiting = [task for task in await read_tasks(http, status="scheduled") if task.version.due_ms < soon]
        if not waiting and not await asyncio.to_thread(stack.unrecorded):
            return
        await asyncio.sleep(_LOOK_S)
    history.errors.append(f"It had not settled after {_SETTLE_S} s")


def _done(plan: Plan, observed: Observations) -> dict[str, object]:
    """Return what went wrong, and how often messages were repeated."""
    messages = Counter(message.task_id for message in observed.deliveries)
    found = {f"  {operation}": f"{calls}" for operation, calls in sorted(plan.calls.items())}
    for (operation, kind), count in sorted(plan.faults.items()):
        found[f"  {operation}"] += f", {kind} {count}"
    return {
        "calls to AWS": f"{plan.calls.total()}, of which {plan.faults.total()} went wrong",
        **found,
        "messages": f"{messages.total()} reached the subscriber, {messages.total() - len(messages)} of them repeated",
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
