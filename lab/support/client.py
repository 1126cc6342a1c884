"""Plays the scripts of a workload against one server, and sends each request again until its response is definite."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lab.support.history import History, TaskHistory, Version
from lab.support.workload import Act, Script

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5
_OK, _NOT_FOUND, _CONFLICT = 200, 404, 409
_DEFINITE: Final = (_OK, _NOT_FOUND, _CONFLICT)


def now_ms() -> int:
    """Return the time of this machine."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class _Response:
    status: int
    body: Mapping[str, Any]
    first: bool
    """Whether no earlier attempt reached the server."""


class Client:
    """Records in the history all that it sends and gets."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        http: httpx.AsyncClient,
        history: History,
        *,
        seconds: float,
        patience_s: float,
        again: Collection[int],
        lingers: bool,
        at_once: int,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Take how long the run lasts, and how much longer a request without a definite response is sent again.

        `again` are statuses that are not definite; `lingers` says whether a request that timed out may be carried out
        later; `clock` is that of the server.
        """
        self._http = http
        self._history = history
        self._end_s = asyncio.get_running_loop().time() + seconds
        self._give_up_s = self._end_s + patience_s
        self._again = again
        self._lingers = lingers
        self._clock = clock
        self._places = asyncio.Semaphore(at_once)
        self.longest_s: Final[dict[str, float]] = defaultdict(float)
        """How long an attempt took at most, by operation and outcome."""

    async def play(self, script: Script) -> None:
        """Make the task of a script, and do with it what the script says."""
        await asyncio.sleep(script.start_s)
        task = self._history.invoke(script.name, Version(self._from_now(script.due_in_s), script.message("first")))
        await self._schedule(task, script)
        for number, step in enumerate(script.steps):
            if task.id is None:
                return
            left_s = self._end_s - asyncio.get_running_loop().time()
            due_in_s = (task.possible[0].due_ms - self._clock()) / 1000
            await asyncio.sleep(step.wait_s(max(min(due_in_s, left_s), 0)))
            match step.act:
                case Act.REPEAT:
                    await self._schedule(task, script)
                case Act.LOOK:
                    await self._send(task, "GET /tasks/{id}", f"tasks/{task.id}")
                    await self._send(task, "GET /tasks", "tasks?status=scheduled&limit=20")
                case Act.CHANGE:
                    version = Version(self._from_now(step.due_in_s), script.message(f"change {number}"))
                    await self._change(task, version)
                case _:
                    await self._cancel(task, script, step.act)

    def _from_now(self, seconds: float) -> int:
        return self._clock() + int(seconds * 1000)

    async def _schedule(self, task: TaskHistory, script: Script) -> None:
        body = {**task.requested.body, **({"tags": script.tags} if script.tagged else {})}
        response = await self._send(task, "POST /schedule", "schedule", body, key=script.name)
        if response and response.status == _OK:
            task.schedule_ok(response.body)
        elif response:
            task.schedule_failed(response.status, response.body)

    async def _change(self, task: TaskHistory, version: Version) -> None:
        task.invoke_change(version)
        response = await self._send(
            task,
            "PATCH /tasks/{id}",
            f"tasks/{task.id}",
            version.body,
            unknown=lambda lingers: task.change_unknown(version, lingers=lingers),
        )
        if response and response.status == _OK:
            task.change_ok(version, response.body)
        elif response and response.status == _CONFLICT:
            task.change_failed(version, first=response.first)

    async def _cancel(self, task: TaskHistory, script: Script, act: Act) -> None:
        path, body = _cancellation(act, str(task.id), script)
        response = await self._send(task, act, path, body, unknown=lambda _: task.cancel_unknown())
        if response is None or response.status == _NOT_FOUND:
            return None
        status = response.status
        if status == _OK and act is Act.TAG_CANCEL and not response.body["cancelled"]:
            return await self._cancel(task, script, Act.POST_CANCEL)  # it is over, or not in the index yet
        if status == _OK and act is Act.BATCH_CANCEL:
            status = response.body["results"][0]["status"]
        if status in self._again:
            task.cancel_unknown()
            return await self._cancel(task, script, act)
        return task.cancel_ok() if status == _OK else task.cancel_failed()

    async def _send(  # noqa: PLR0913 - the parts of a request
        self,
        task: TaskHistory,
        operation: str,
        path: str,
        body: object = None,
        *,
        key: str = "",
        unknown: Callable[[bool], None] = lambda _: None,
    ) -> _Response | None:
        """Return the definite response, if one comes in time; `unknown` hears of each attempt that got none."""
        headers = {"idempotency-key": key} if key else {}
        pause_s, first = _FIRST_PAUSE_S, True
        while asyncio.get_running_loop().time() < self._give_up_s:
            found = await self._attempt(operation, path, body, headers)
            if isinstance(found, httpx.Response) and found.status_code not in self._again:
                return self._definite(task, operation, found, first=first)
            if not isinstance(found, httpx.ConnectError | httpx.ConnectTimeout):  # it may have reached the server
                first = False
                unknown(self._lingers and isinstance(found, httpx.TimeoutException))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        task.errors.append(f"never got a definite response to {operation}")
        return None

    async def _attempt(
        self, operation: str, path: str, body: object, headers: Mapping[str, str]
    ) -> httpx.Response | httpx.TransportError:
        found: httpx.Response | httpx.TransportError
        async with self._places:
            began = time.monotonic()
            try:
                found = await self._http.request(operation.partition(" ")[0], path, json=body, headers=headers)
                outcome = str(found.status_code)
            except httpx.TransportError as error:
                found, outcome = error, type(error).__name__
            took = f"{operation} {outcome}"
            self.longest_s[took] = max(self.longest_s[took], time.monotonic() - began)
        self._history.responses[operation, outcome] += 1
        return found

    def _definite(self, task: TaskHistory, operation: str, found: httpx.Response, *, first: bool) -> _Response:
        if found.status_code not in _DEFINITE:
            self._history.errors.append(f"{operation} got {found.status_code}: {found.text[:200]}")
        if found.status_code == _NOT_FOUND:
            task.errors.append(f"was accepted, and {operation} got 404")
        return _Response(found.status_code, found.json(), first)


def _cancellation(act: Act, task_id: str, script: Script) -> tuple[str, Mapping[str, Any] | None]:
    match act:
        case Act.DELETE:
            return f"tasks/{task_id}", None
        case Act.BATCH_CANCEL:
            return "cancel/batch", {"ids": [task_id]}
        case Act.TAG_CANCEL:
            return "cancel/batch", {"tag": f"task:{script.name}"}
    return "cancel", {"id": task_id}
