"""Faults between the functions and AWS, through many tasks with cancels and changes; then all is accounted for."""

import argparse
import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import httpx

from emulator import Deployment, deployed
from lab.chaos.account import Account, settle
from lab.chaos.aws import witness
from lab.chaos.aws.caller import AT_ONCE, Caller, now_ms
from lab.chaos.aws.fault_proxy import FaultProxy
from lab.chaos.aws.faults import Plan
from lab.chaos.aws.report import done as done_report
from lab.chaos.aws.script import FAR_S, Script, scripts
from lab.chaos.aws.stack import Stack
from lab.chaos.aws.witness import Listener, Subscriber
from lab.chaos.aws.workers import CAN_KILL, Workers
from lab.chaos.ledger import Evidence, Ledger
from lab.chaos.report import report, say

_SECONDS_PER_TASK: Final = 0.25
_LEAST_SECONDS: Final = 20.0
_WINDOW_PART: Final = 0.4  # of the run: what is due later than this from now is parked
_LEAST_WINDOW_S: Final = 1.0  # that the setting may have
_SWEEP_S: Final = 5
_LOOK_S: Final = 3
_PASSED_S: Final = 7  # readers seal a number that is missing for 2 s (event_log.SEAL_AFTER_MS)
_CAUGHT_UP_S: Final = 60
_OVERTIME_S: Final = 600
"""How much longer than planned things go wrong at most, while there is still something to ask or to answer."""
_PATIENCE_S: Final = 600
"""How long what was not answered by then is asked again: without faults, an answer comes at once."""
_SETTLE_S: Final = 4_500
"""How long to wait at most until all is settled: where timers die again and again, the sweeper pauses for an hour."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be chosen."""
    parser.add_argument("--tasks", type=_positive(int), default=1000, help="how many tasks (1000)")
    parser.add_argument("--rate", type=_rate, default=0.1, help="the part of all calls that go wrong, 0 to 1 (0.1)")
    parser.add_argument("--seed", help="asks for the same tasks, and draws the same faults, as an earlier run")
    parser.add_argument("--seconds", type=_positive(float), help="how long the run takes (a quarter for each task)")


def run(given: argparse.Namespace) -> bool:
    """Run it and print what was found; returns whether every promise was kept."""
    seconds = given.seconds or max(_LEAST_SECONDS, given.tasks * _SECONDS_PER_TASK)
    seed = given.seed or secrets.token_hex(4)
    plan = Plan(seed, given.rate)
    settings = {"arming_window_days": str(max(_LEAST_WINDOW_S, _WINDOW_PART * seconds) / 86_400)}
    say(f"Seed {seed}: {given.tasks} tasks in {seconds:g} s, and {given.rate:.0%} of the calls to AWS go wrong.")
    if not CAN_KILL:
        say("No function is killed: only Linux tells which process makes a call; crashes are connections that end.")
    with deployed(settings=settings) as deployment:
        workers = Workers(deployment.emulator.pid)
        with FaultProxy(deployment.endpoint, plan, kill=workers.kill_caller) as proxy:
            stack = Stack(deployment)
            stack.divert(proxy.url)
            trial = Trial(deployment, stack, plan)
            account = asyncio.run(trial.run(list(scripts(seed, given.tasks, seconds)), seconds))
            done = done_report(plan, trial.evidence, swept=stack.swept(), longest_s=trial.longest_s)
    again = f"aws --tasks {given.tasks} --rate {given.rate:g} --seconds {seconds:g} --seed {seed}"
    return report(trial.ledger, account, done=done, again=f'make chaos ARGS="{again}"')


class Trial:
    """One run on a deployment: a caller, witnesses and faults, and the account in the end."""

    def __init__(self, deployment: Deployment, stack: Stack, plan: Plan) -> None:
        self.ledger = Ledger()
        self.evidence: Evidence = Evidence([], [])
        self.longest_s: dict[str, float] = {}
        self._deployment = deployment
        self._stack = stack
        self._plan = plan

    async def run(self, played: Sequence[Script], seconds: float) -> Account:
        """Let things go wrong, then let all settle, and account for it."""
        self._stack.redeliver_soon()
        subscriber = Subscriber(self._deployment)
        headers = {"x-pd-secret": self._deployment.secret}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self._deployment.url, headers=headers, limits=limits, trust_env=False
        ) as http:
            end_ms = now_ms() + int(seconds * 1000)
            give_up_ms = end_ms + 1000 * (_OVERTIME_S + _PATIENCE_S)
            at_once = min(AT_ONCE, 3 + len(played) // 50)
            caller = Caller(http, self.ledger, end_ms=end_ms, give_up_ms=give_up_ms, at_once=at_once)
            listener = Listener(http, self.ledger)
            listening = asyncio.create_task(listener.listen())
            await self._disturb(caller, played, seconds)
            await self._settle(http)
            await self._find(http, listener, subscriber)
            if listening.done():
                listening.result()
            listening.cancel()
        self.longest_s = {**caller.longest_s, **listener.longest_s}
        return settle(self.ledger, self.evidence)

    async def _disturb(self, caller: Caller, played: Sequence[Script], seconds: float) -> None:
        """Ask for all that is to be asked while calls go wrong, until it is answered and the time is over."""
        sweeping = asyncio.create_task(self._sweep())
        playing = asyncio.gather(asyncio.sleep(seconds), *(caller.play(script) for script in played))
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
        say("All is asked and answered; now nothing goes wrong any more, and what is left may settle.")
        deadline = time.monotonic() + _SETTLE_S
        await asyncio.sleep(_PASSED_S)  # what went wrong last is over
        while time.monotonic() < deadline:
            if failure := await asyncio.to_thread(self._stack.sweep):
                self.ledger.print_error(f"The sweeper failed while nothing went wrong: {failure}")
            soon = now_ms() + int(FAR_S * 500)
            waiting = [task for task in await witness.tasks(http, "scheduled") if task.version.due_ms < soon]
            if not waiting and not await asyncio.to_thread(self._stack.unrecorded):
                return
            await asyncio.sleep(_LOOK_S)
        self.ledger.print_error(f"It had not settled after {_SETTLE_S} s")

    async def _find(self, http: httpx.AsyncClient, listener: Listener, subscriber: Subscriber) -> None:
        """Look up everything that became of the tasks."""
        await asyncio.sleep(_PASSED_S)
        log = await witness.log(http)
        with suppress(TimeoutError):  # the account says what the listener missed
            await asyncio.wait_for(listener.reach(log[-1].sequence if log else 0), _CAUGHT_UP_S)
        kept = await witness.tasks(http)
        deliveries = await asyncio.to_thread(subscriber.received)
        self.evidence = Evidence(log, kept, listener.seen, deliveries=deliveries, due_before_ms=now_ms())


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        with suppress(ValueError):
            if 0 < (number := kind(text)) < float("inf"):
                return number
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")

    return parse


def _rate(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (number := float(text)) <= 1:
            return number
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
