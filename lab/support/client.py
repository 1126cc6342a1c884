"""Plays the scripts of a workload against one server, and sends each request again until its response is definite."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lab.support.connection import Target
from lab.support.history import History, TaskHistory, Version
from lab.support.workload import Act, Script

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5
_OK, _NOT_FOUND, _CONFLICT = 200, 404, 409


def http_client(target: Target, timeout_s: float) -> httpx.AsyncClient:
    """Return a client of a server that opens as many connections as there are requests."""
    return httpx.AsyncClient(
        base_url=target.url,
        headers={"x-pd-secret": target.secret or ""},
        timeout=timeout_s,
        limits=httpx.Limits(max_connections=None),
        trust_env=False,
    )


def now_ms() -> int:
    """Return the time of this machine."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Client:
    """Records in the history all that it sends and gets."""

    http: httpx.AsyncClient
    history: History
    seconds: float
    """How long the run lasts."""
    patience_s: float
    """How much longer a request without a definite response is sent again."""
    again: Collection[int]
    """Statuses that are not definite."""
    lingers: bool
    """Whether a request that timed out may be carried out later."""
    at_once: int
    """Requests under way at most."""
    clock: Callable[[], int] = now_ms
    """That of the server."""

    def __post_init__(self) -> None:
        """Begin now."""
        self._end_s = asyncio.get_running_loop().time() + self.seconds
        self._places = asyncio.Semaphore(self.at_once)

    async def play(self, script: Script) -> None:
        """Make the task of a script, and do with it what the script says."""
        await asyncio.sleep(script.start_s)
        task = self.history.invoke(script.name, Version(self._from_now(script.due_in_s), script.message("first")))
        await self._schedule(task, script)
        for number, step in enumerate(script.steps):
            if task.id is None:
                return
            left_s = self._end_s - asyncio.get_running_loop().time()
            due_in_s = (task.possible[0].due_ms - self.clock()) / 1000
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
        return self.clock() + int(seconds * 1000)

    async def _schedule(self, task: TaskHistory, script: Script) -> None:
        body = {**task.requested.body, **({"tags": script.tags} if script.tagged else {})}
        response = await self._send(task, "POST /schedule", "schedule", body, key=script.name)
        if response is not None and response.status_code == _OK:
            task.schedule_ok(response.json())
        elif response is not None:
            task.schedule_failed(response.status_code, response.text)

    async def _change(self, task: TaskHistory, version: Version) -> None:
        task.invoke_change(version)
        response = await self._send(
            task,
            "PATCH /tasks/{id}",
            f"tasks/{task.id}",
            version.body,
            unknown=lambda lingers: task.change_unknown(version, lingers=lingers),
        )
        if response is not None and response.status_code == _OK:
            task.change_ok(version, response.json())
        elif response is not None and response.status_code == _CONFLICT:
            task.change_failed(version)

    async def _cancel(self, task: TaskHistory, script: Script, act: Act) -> None:
        path, body = _cancellation(act, str(task.id), script)
        response = await self._send(task, act, path, body, unknown=lambda _: task.cancel_unknown())
        if response is None or response.status_code == _NOT_FOUND:
            return None
        status = response.status_code
        if status == _OK and act is Act.TAG_CANCEL and not response.json()["cancelled"]:
            return await self._cancel(task, script, Act.POST_CANCEL)  # it is over, or not in the index yet
        if status == _OK and act is Act.BATCH_CANCEL:
            status = response.json()["results"][0]["status"]
        if status in self.again:
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
    ) -> httpx.Response | None:
        """Return the definite response, if one comes in time; `unknown` hears of each attempt that got none."""
        headers = {"idempotency-key": key} if key else {}
        pause_s = _FIRST_PAUSE_S
        while asyncio.get_running_loop().time() < self._end_s + self.patience_s:
            found = await self._attempt(operation, path, body, headers)
            if isinstance(found, httpx.Response) and found.status_code not in self.again:
                if found.status_code not in {_OK, _NOT_FOUND, _CONFLICT}:
                    self.history.errors.append(f"{operation} got {found.status_code}: {found.text[:200]}")
                if found.status_code == _NOT_FOUND:
                    task.errors.append(f"was accepted, and {operation} got 404")
                return found
            if not isinstance(found, httpx.ConnectError | httpx.ConnectTimeout):  # it may have reached the server
                unknown(self.lingers and isinstance(found, httpx.TimeoutException))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        task.errors.append(f"never got a definite response to {operation}")
        return None

    async def _attempt(
        self, operation: str, path: str, body: object, headers: Mapping[str, str]
    ) -> httpx.Response | httpx.TransportError:
        found: httpx.Response | httpx.TransportError
        async with self._places:
            try:
                found = await self.http.request(operation.partition(" ")[0], path, json=body, headers=headers)
                outcome = str(found.status_code)
            except httpx.TransportError as error:
                found, outcome = error, type(error).__name__
        self.history.responses[operation, outcome] += 1
        return found


def _cancellation(act: Act, task_id: str, script: Script) -> tuple[str, Mapping[str, Any] | None]:
    requests: dict[Act, tuple[str, Mapping[str, Any] | None]] = {
        Act.DELETE: (f"tasks/{task_id}", None),
        Act.BATCH_CANCEL: ("cancel/batch", {"ids": [task_id]}),
        Act.TAG_CANCEL: ("cancel/batch", {"tag": f"task:{script.name}"}),
        Act.POST_CANCEL: ("cancel", {"id": task_id}),
    }
    return requests[act]
