"""Faults between the functions and AWS, through many tasks with cancels and changes; then a verdict."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from emulator import Deployment, deployed
from lab.chaos.aws.fault_proxy import FaultProxy
from lab.chaos.aws.nemesis import Plan
from lab.chaos.aws.node import Stack
from lab.chaos.aws.processes import CAN_KILL, Workers
from lab.chaos.aws.report import done as done_report
from lab.chaos.aws.subscriber import Subscriber
from lab.support.checker import check, report
from lab.support.client import Client, now_ms
from lab.support.connection import Target
from lab.support.history import History, Observations
from lab.support.observer import Listener, read_log, read_tasks
from lab.support.workload import FAR_S, Script, scripts

AT_ONCE: Final = 12
"""Requests under way at most: the emulator runs a process for each."""
AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses that say nothing definite."""
_TIMEOUT_S: Final = 60
_SECONDS_PER_TASK: Final = 0.25
_LEAST_SECONDS: Final = 20.0
_WINDOW_PART: Final = 0.4  # of the run: what is due later than this from now is parked
_LEAST_WINDOW_S: Final = 1.0  # that the setting may have
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this driver."""
    parser.add_argument("--tasks", type=_number(int, 1), default=1000, help="how many tasks (1000)")
    parser.add_argument("--rate", type=_number(float, 0, 1), default=0.1, help="the part of calls that fail (0.1)")
    parser.add_argument("--seed", help="requests the same tasks, and draws the same faults, as an earlier run")
    parser.add_argument("--seconds", type=_number(float, 0.1), help="how long the run takes (a quarter for each task)")


def _number(kind: Callable[[str], float], least: float, most: float = 1e9) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not least <= (number := kind(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}, not {text!r}")
        return number

    parse.__name__ = kind.__name__  # argparse names it where it raises ValueError
    return parse


def run(given: argparse.Namespace) -> bool:
    """Run it and print what was found; returns whether nothing was violated."""
    seconds = given.seconds or max(_LEAST_SECONDS, given.tasks * _SECONDS_PER_TASK)
    seed = given.seed or secrets.token_hex(4)
    plan, history = Plan(seed, given.rate), History()
    settings = {"arming_window_days": str(max(_LEAST_WINDOW_S, _WINDOW_PART * seconds) / 86_400)}
    _say(f"Seed {seed}: {given.tasks} tasks in {seconds:g} s, and {given.rate:.0%} of the calls to AWS go wrong.")
    if not CAN_KILL:
        _say("No function is killed: only Linux says which process makes a call; crashes are connections that end.")
    with deployed(settings=settings) as deployment:
        workers = Workers(deployment.emulator.pid)
        with FaultProxy(deployment.endpoint, plan, kill=workers.kill_caller) as proxy:
            stack = Stack(deployment)
            stack.divert(proxy.url)
            trial = _Trial(history, deployment, stack, plan)
            observed = asyncio.run(trial.run(list(scripts(seed, given.tasks, seconds)), seconds))
            done = done_report(plan, observed, swept=stack.swept(), longest_s=trial.longest_s)
    verdict = check(history, observed)
    again = f"aws --tasks {given.tasks} --rate {given.rate:g} --seconds {seconds:g} --seed {seed}"
    _say(*report(history, verdict, done, again))
    return not verdict.violations


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


class _Trial:
    """One run on a deployment: a client, observers and faults."""

    def __init__(self, history: History, deployment: Deployment, stack: Stack, plan: Plan) -> None:
        self._history = history
        self._deployment = deployment
        self._stack = stack
        self._plan = plan
        self.longest_s: dict[str, float] = {}

    async def run(self, played: Sequence[Script], seconds: float) -> Observations:
        """Let things go wrong, then let everything settle, and return what is observed."""
        self._stack.redeliver_soon()
        subscriber = Subscriber(self._deployment)
        url, secret = self._deployment.url, self._deployment.secret
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=url, headers={"x-pd-secret": secret}, limits=limits, timeout=_TIMEOUT_S, trust_env=False
        ) as http:
            listener = Listener(Target(url, secret), self._plan.seed, cuts=0, latest_ms=now_ms)
            listening = asyncio.create_task(listener.run())
            await self._disturb(http, played, seconds)
            await self._settle(http)
            await asyncio.sleep(_PASSED_S)
            log = await read_log(http)
            await listener.reach(log[-1].sequence if log else 0, seconds=_CAUGHT_UP_S)
            tasks = await read_tasks(http)
            deliveries = await asyncio.to_thread(subscriber.received)
            if listening.done():
                listening.result()
            listening.cancel()
        return Observations(log, tasks, listener.seen, deliveries=deliveries, due_before_ms=now_ms())

    async def _disturb(self, http: httpx.AsyncClient, played: Sequence[Script], seconds: float) -> None:
        """Play all scripts while calls go wrong, until every response is definite and the time is over."""
        client = Client(
            http,
            self._history,
            seconds=seconds,
            patience_s=_OVERTIME_S + _PATIENCE_S,
            again=AGAIN,
            lingers=False,
            at_once=min(AT_ONCE, 3 + len(played) // 50),
        )
        self.longest_s = client.longest_s
        sweeping = asyncio.create_task(self._sweep())
        playing = asyncio.gather(asyncio.sleep(seconds), *(client.play(script) for script in played))
        await asyncio.wait([playing], timeout=seconds + _OVERTIME_S)
        self._plan.end()
        await playing
        sweeping.cancel()

    async def _sweep(self) -> None:
        """Sweep more often than the rule does, and beside it: sweeps may overlap, and may die."""
        while True:
            await asyncio.to_thread(self._stack.sweep)
            await asyncio.sleep(_SWEEP_S)

    async def _settle(self, http: httpx.AsyncClient) -> None:
        """Wait until all that is due is emitted and recorded; without faults, nothing may go wrong."""
        _say("Every response is definite; now nothing goes wrong any more, and the rest may settle.")
        deadline = time.monotonic() + _SETTLE_S
        await asyncio.sleep(_PASSED_S)  # the last fault is over
        while time.monotonic() < deadline:
            if failure := await asyncio.to_thread(self._stack.sweep):
                self._history.errors.append(f"The sweeper failed while nothing went wrong: {failure}")
            soon = now_ms() + int(FAR_S * 500)
            waiting = [task for task in await read_tasks(http, status="scheduled") if task.version.due_ms < soon]
            if not waiting and not await asyncio.to_thread(self._stack.unrecorded):
                return
            await asyncio.sleep(_LOOK_S)
        self._history.errors.append(f"It had not settled after {_SETTLE_S} s")
