"""The local engine under faults: killed, suspended, without room on the disk, by a clock that jumps, under load."""

import argparse
import asyncio
import secrets
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from lab.chaos.account import Account, settle
from lab.chaos.ledger import Ledger
from lab.chaos.local.caller import Caller
from lab.chaos.local.evidence import gather
from lab.chaos.local.machine import CAN_FILL_DISKS, Machine
from lab.chaos.local.plan import Fault, Kind, plan
from lab.chaos.local.witnesses import Listener, Receiver
from lab.chaos.local.workload import Worker
from lab.chaos.report import report, say

_EXPECTED_IN_LOGS: Final = ("sqlite3.OperationalError",)  # what a full disk leaves in the log of the server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be given to this driver."""
    parser.add_argument("--seconds", type=float, default=120, help="how long faults happen (default: 120)")
    parser.add_argument("--seed", help="repeats the faults and the requests of an earlier run")
    parser.add_argument("--every", type=float, default=2, help="seconds between two faults on average (default: 2)")
    parser.add_argument("--workers", type=int, default=16, help="callers at once (default: 16)")


def run(given: argparse.Namespace) -> bool:
    """Run it and print what was found; returns whether every promise was kept."""
    seed = given.seed or secrets.token_hex(4)
    planned = faults(given, seed)
    say(f"Seed {seed}: {len(planned)} faults in {given.seconds:g} s, {given.workers} callers.")
    with tempfile.TemporaryDirectory(prefix="task-scheduler-chaos-") as folder:
        trial = Trial(Path(folder), seed, planned)
        account = asyncio.run(trial.run(seconds=given.seconds, workers=given.workers))
        done = trial.done()
    options = f"--seconds {given.seconds:g} --every {given.every:g} --workers {given.workers} --seed {seed}"
    return report(trial.ledger, account, done=done, again=f'make chaos ARGS="local {options}"')


def faults(given: argparse.Namespace, seed: str) -> list[Fault]:
    """Return what will happen, as far as this system can make it happen."""
    planned = plan(seed, seconds=given.seconds, every=given.every)
    if CAN_FILL_DISKS:
        return planned
    say("No disk gets full: only on Linux can the files of a running process be limited.")
    return [fault for fault in planned if fault.kind is not Kind.FULL_DISK]


class Trial:
    """One run: a machine, callers, witnesses and faults, and the account in the end."""

    def __init__(self, folder: Path, seed: str, faults: list[Fault]) -> None:
        self.ledger = Ledger()
        self._folder = folder
        self._seed = seed
        self._faults = faults

    async def run(self, *, seconds: float, workers: int) -> Account:
        """Let everything happen, and hold in the end what was promised against what there is."""
        async with AsyncExitStack() as stack:
            self._receiver = stack.enter_context(Receiver(self._seed))
            self._machine = machine = await stack.enter_async_context(Machine(self._folder, webhook=self._receiver.url))
            self._receiver.expect(machine.webhook_secret, machine.clock.latest_ms)
            self._listener = Listener(machine.url, machine.secret, self._seed, latest_ms=machine.clock.latest_ms)
            listening = asyncio.create_task(self._listener.run())
            stack.callback(listening.cancel)
            caller = Caller(machine.url, machine.secret, self.ledger)
            stack.push_async_callback(caller.close)
            await self._disturb(caller, seconds=seconds, workers=workers)
            await machine.wait_until_it_listens()
            evidence = await gather(caller, machine.clock, self._listener, self._receiver)
            if listening.done():
                listening.result()
        for sentence in (*machine.complaints, *self._receiver.complaints, *_strange(machine.errors)):
            self.ledger.print_error(sentence)
        return settle(self.ledger, evidence)

    async def _disturb(self, caller: Caller, *, seconds: float, workers: int) -> None:
        """Let callers and faults go on for a time, and both come to their end."""
        end = asyncio.Event()
        async with asyncio.TaskGroup() as everything:
            for number in range(workers):
                worker = Worker(str(number), self._seed, ledger=self.ledger, caller=caller, clock=self._machine.clock)
                everything.create_task(worker.run(end))
            for fault in self._faults:
                everything.create_task(self._later(fault))
            await asyncio.sleep(seconds)
            end.set()

    async def _later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s)
        await self._machine.suffer(fault)

    def done(self) -> dict[str, object]:
        """Return what was done, to be printed."""
        faults = Counter(fault.kind for fault in self._faults)
        return {
            **{kind: faults[kind] for kind in Kind},
            "server started": self._machine.starts,
            "streams opened": self._listener.connections,
            "events seen": len(self._listener.seen),
            "deliveries": len(self._receiver.deliveries),
            "errors in the server's log": sum(self._machine.errors.values()),
        }


def _strange(errors: Counter[str]) -> list[str]:
    """Return a sentence for each kind of error in the server's log that no fault explains."""
    return [
        f"The server has logged {count} times: {error}"
        for error, count in errors.items()
        if not error.startswith(_EXPECTED_IN_LOGS)
    ]
