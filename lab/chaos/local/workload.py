"""What callers do: they schedule, change, cancel and look, also at the very moment at which a task is due."""

import asyncio
import random
from typing import Final

from lab.chaos.ledger import Ledger, Promise, Version
from lab.chaos.local.caller import Answer, Caller
from lab.chaos.local.clock import SteppedClock

_OK: Final = 200
_NOT_FOUND: Final = 404
_HOUR_MS: Final = 3_600_000
_AROUND_DUE_S: Final = 0.02
_SOONEST_S: Final = 0.5  # nobody waits longer for a task to come due, but goes on


class Worker:
    """One caller, who does one thing after the other; what it does is drawn from the seed."""

    def __init__(self, name: str, seed: str, *, ledger: Ledger, caller: Caller, clock: SteppedClock) -> None:
        self._name = name
        self._choose = random.Random(f"worker {name} {seed}")  # noqa: S311 - makes a load, no secret
        self._ledger = ledger
        self._caller = caller
        self._clock = clock
        self._number = 0

    async def run(self, end: asyncio.Event) -> None:
        """Go on until the end, and then finish what was begun."""
        while not end.is_set():
            self._number += 1
            key = f"{self._name}.{self._number}"
            try:
                await self._live(key)
            except TimeoutError:
                self._ledger.print_error(f"A request about {key} got no definite answer within two minutes")

    async def _live(self, key: str) -> None:
        """Let one task live."""
        choose = self._choose
        promise = self._ledger.ask(key, Version(self._due_ms(), f"{key} is this"))
        if not await self._schedule(promise):
            return
        kind = choose.random()
        if kind < 0.5:  # noqa: PLR2004 - half of them are just emitted
            await self._look(promise)
            return
        if choose.random() < 0.6:  # noqa: PLR2004 - the rest goes on about when it comes due
            until_due_s = (promise.asked.due_ms - self._clock.now_ms()) / 1000
            await asyncio.sleep(min(max(until_due_s, 0), _SOONEST_S) + choose.uniform(-1, 1) * _AROUND_DUE_S)
        for change in range(choose.choice([0, 0, 1, 1, 2])):
            await self._change(promise, Version(self._due_ms(), f"{key} was changed {change + 1} times"))
        if kind < 0.85:  # noqa: PLR2004 - about a third is cancelled
            await self._cancel(promise)
        if choose.random() < 0.1:  # noqa: PLR2004 - and some are looked at
            await self._look(promise)

    def _due_ms(self) -> int:
        """Return a time that is long past, now, soon, or farther away than the clock is set forward at once."""
        choose = self._choose
        ahead_ms = choose.choice([-_HOUR_MS, 0, choose.uniform(0, 500), choose.uniform(0, 5_000), 3 * _HOUR_MS])
        return self._clock.now_ms() + round(ahead_ms)

    async def _schedule(self, promise: Promise) -> bool:
        answer = await self._caller.send("schedule", "POST", "/schedule", body=promise.asked.body, key=promise.key)
        if answer.status != _OK:
            promise.refuse(answer.status, answer.body)
            return False
        promise.accept(answer.body)
        if self._choose.random() < 0.05:  # noqa: PLR2004 - one that is sent again, as a client does that lost the answer
            again = await self._caller.send("schedule", "POST", "/schedule", body=promise.asked.body, key=promise.key)
            promise.accept(again.body) if again.status == _OK else promise.refuse(again.status, again.body)
        return True

    async def _change(self, promise: Promise, version: Version) -> None:
        promise.ask_change(version)
        answer = await self._caller.send(
            "change",
            "PATCH",
            f"/tasks/{promise.id}",
            body=version.body,
            unanswered=lambda lingers: promise.change_unanswered(version, may_linger=lingers),
        )
        if answer.status == _OK:
            promise.change(version, answer.body)
        elif answer.status == _NOT_FOUND:
            promise.lose("a change")
        else:
            promise.refuse_change(version, first=answer.first)

    async def _cancel(self, promise: Promise) -> None:
        answer = await self._send_cancel(promise)
        if answer.status == _OK:
            promise.cancel()
        elif answer.status == _NOT_FOUND:
            promise.lose("a cancel")
        else:
            promise.refuse_cancel()

    async def _send_cancel(self, promise: Promise) -> Answer:
        """Cancel in one of the ways that there are."""

        def unanswered(_lingers: bool) -> None:  # noqa: FBT001 - what the caller gives
            promise.cancel_unanswered()

        if self._choose.random() < 0.5:  # noqa: PLR2004 - either way is as good
            return await self._caller.send("cancel", "DELETE", f"/tasks/{promise.id}", unanswered=unanswered)
        return await self._caller.send("cancel", "POST", "/cancel", body={"id": promise.id}, unanswered=unanswered)

    async def _look(self, promise: Promise) -> None:
        if self._choose.random() < 0.8:  # noqa: PLR2004 - reading is only there to meet what else goes on
            answer = await self._caller.send("show", "GET", f"/tasks/{promise.id}")
            if answer.status == _NOT_FOUND:
                promise.lose("a look at it")
        else:
            await self._caller.send("list", "GET", "/tasks?status=scheduled&limit=20")
