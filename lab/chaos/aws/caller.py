"""Asks a deployment what a script says, each thing again until there is a definite answer."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from lab.chaos.aws.script import Act, Script, Step
from lab.chaos.ledger import Ledger, Promise, Version

AT_ONCE: Final = 12
"""Requests under way at most: the emulator runs a process for each."""
_TIMEOUT_S: Final = 60
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3.0
_OK: Final = 200
_BAD: Final = 400
_NOT_FOUND: Final = 404
_TOO_LATE: Final = 409
_TOO_MANY: Final = 429
_BROKEN: Final = 500


def now_ms() -> int:
    """Return the time of this machine, which is the emulator's too."""
    return time.time_ns() // 1_000_000


class Caller:
    """One client of a deployment."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        http: httpx.AsyncClient,
        ledger: Ledger,
        *,
        end_ms: int,
        give_up_ms: int,
        at_once: int = AT_ONCE,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Take a client, when the run ends, beyond which nothing is put off, and how long all may be asked again.

        What has no definite answer by then never gets one, and the account says so.
        """
        self._http = http
        self._ledger = ledger
        self._end_ms = end_ms
        self._give_up_ms = give_up_ms
        self._now_ms = now_ms
        self._places = asyncio.Semaphore(at_once)
        self.longest_s: Final[dict[str, float]] = defaultdict(float)
        """How long an attempt took at most, by operation and answer."""

    async def play(self, script: Script) -> None:
        """Make the task of a script, and do to it what the script says."""
        await asyncio.sleep(script.start_s)
        promise = self._ledger.ask(script.name, Version(self._from_now(script.due_in_s), script.message("first")))
        await self._schedule(promise, script)
        for number, step in enumerate(script.steps):
            if promise.id is None:
                return
            time_ms = min(promise.possible[0].due_ms, self._end_ms)
            await asyncio.sleep(step.wait_s((time_ms - self._now_ms()) / 1000))
            if step.act is Act.REPEAT:
                await self._schedule(promise, script)
            elif step.act is Act.CHANGE:
                await self._change(promise, Version(self._from_now(step.due_in_s), script.message(f"change {number}")))
            else:
                await self._cancel(promise, script, step)

    def _from_now(self, seconds: float) -> int:
        return self._now_ms() + int(seconds * 1000)

    async def _schedule(self, promise: Promise, script: Script) -> None:
        body = {**promise.asked.body, **({"tags": script.tags} if script.tagged else {})}
        headers = {"Idempotency-Key": script.name}
        pause_s = _FIRST_PAUSE_S
        while self._now_ms() < self._give_up_ms:
            answer = await self._attempt("POST /schedule", "POST", "schedule", body, headers)
            if answer is None:
                pause_s = await _pause(pause_s)
            elif answer.status_code == _OK:
                return promise.accept(answer.json())
            else:
                return promise.refuse(answer.status_code, answer.text)
        return None

    async def _change(self, promise: Promise, version: Version) -> None:
        pause_s = _FIRST_PAUSE_S
        first = True
        while self._now_ms() < self._give_up_ms:
            promise.ask_change(version)
            answer = await self._attempt("PATCH /tasks/{id}", "PATCH", f"tasks/{promise.id}", version.body)
            if answer is None:
                promise.change_unanswered(version, may_linger=False)
                first = False
                pause_s = await _pause(pause_s)
            elif answer.status_code == _OK:
                return promise.change(version, answer.json())
            elif answer.status_code == _TOO_LATE:
                return promise.refuse_change(version, first=first)
            else:
                return _wrong(promise, "a change", answer)
        return promise.broken.append("never got a definite answer to a change")

    async def _cancel(self, promise: Promise, script: Script, step: Step) -> None:
        pause_s = _FIRST_PAUSE_S
        act = step.act
        while self._now_ms() < self._give_up_ms:
            status, answer = await self._try_to_cancel(promise, script, act)
            if act is Act.TAG_CANCEL and status != _OK:
                act = Act.POST_CANCEL  # which says why not
            if status is None:
                promise.cancel_unanswered()
                pause_s = await _pause(pause_s)
            elif status == _OK:
                return promise.cancel()
            elif status == _TOO_LATE:
                return promise.refuse_cancel()
            else:
                return _wrong(promise, "a cancel", answer)
        return promise.broken.append("never got a definite answer to a cancel")

    async def _try_to_cancel(
        self, promise: Promise, script: Script, act: Act
    ) -> tuple[int | None, httpx.Response | None]:
        """Return the status of one attempt, which stands in the body of a batch; None: nothing definite."""
        method, path, body = _cancellation(act, str(promise.id), script)
        answer = await self._attempt(act, method, path, body)
        status = None if answer is None else answer.status_code
        if answer is not None and status == _OK and act is Act.BATCH_CANCEL:
            status = answer.json()["results"][0]["status"]
        elif answer is not None and status == _OK and act is Act.TAG_CANCEL:
            status = _OK if answer.json()["cancelled"] else None  # it may be ended, or not yet in the index
        return (None if status is not None and _is_indefinite(status) else status), answer

    async def _attempt(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response | None:
        """Send a request once; None where the answer says nothing, or there is none."""
        async with self._places:
            started = time.monotonic()
            answer = None
            try:
                answer = await self._http.request(method, path, json=body, headers=headers, timeout=_TIMEOUT_S)
                got = str(answer.status_code)
            except httpx.TransportError as error:
                got = type(error).__name__
            took = f"{operation} {got}"
            self.longest_s[took] = max(self.longest_s[took], time.monotonic() - started)
        self._ledger.count(operation, got)
        return None if answer is None or _is_indefinite(answer.status_code) else answer


def _cancellation(act: Act, task_id: str, script: Script) -> tuple[str, str, Mapping[str, Any] | None]:
    match act:
        case Act.DELETE:
            return "DELETE", f"tasks/{task_id}", None
        case Act.BATCH_CANCEL:
            return "POST", "cancel/batch", {"ids": [task_id]}
        case Act.TAG_CANCEL:
            return "POST", "cancel/batch", {"tag": f"task:{script.name}"}
    return "POST", "cancel", {"id": task_id}


def _is_indefinite(status: int) -> bool:
    return status == _TOO_MANY or status >= _BROKEN


def _wrong(promise: Promise, request: str, answer: httpx.Response | None) -> None:
    """Take an answer that an accepted task must not get."""
    if answer is not None and answer.status_code == _NOT_FOUND:
        promise.lose(request)
    else:
        promise.broken.append(f"{request} was answered {answer and answer.text}")


async def _pause(seconds: float) -> float:
    """Wait, and return how long to wait the next time."""
    await asyncio.sleep(seconds)
    return min(2 * seconds, _LONGEST_PAUSE_S)
