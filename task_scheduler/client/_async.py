"""The asyncio client; its requests are in requests.py, its retries in retries.py."""

import asyncio
import builtins
import contextlib
import random as randomness
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx
import httpx_sse

from task_scheduler import outbound
from task_scheduler.client import requests
from task_scheduler.client.bulk_cancel import TagSweep
from task_scheduler.client.config import target
from task_scheduler.client.errors import TaskSchedulerError
from task_scheduler.client.event_stream import SILENCE_S, Feed
from task_scheduler.client.models import Event, Scheduled, Task, TaskPage
from task_scheduler.client.requests import Call, Delay, Timestamp
from task_scheduler.client.retries import CONNECT_TIMEOUT_S, Attempts, Outcome
from task_scheduler.task import Status

_Result = TypeVar("_Result")


class AsyncClient:
    """A client for one asyncio event loop, with the arguments, results, retries and errors of Client."""

    def __init__(  # noqa: PLR0913 - what may differ, and what tests replace
        self,
        url: str | None = None,
        secret: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        connect_timeout: float = CONNECT_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._target = target(url, secret)
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, connect_timeout))
        self._retries = retries
        self._sleep = sleep
        self._random = random
        route = outbound.options(self._target.url) if transport is None else {"transport": transport}
        headers = [*self._target.headers.items()]
        self._http = httpx.AsyncClient(timeout=self._timeout, headers=headers, **route)

    def __repr__(self) -> str:
        """Name the service, without the secret."""
        return f"{type(self).__name__}({self._target.shown!r})"

    async def __aenter__(self) -> Self:
        """Return the client; connections are opened on use."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def url(self) -> str:
        """The URL of the service, without user and password."""
        return self._target.shown

    async def schedule(  # noqa: PLR0913 - what a task is made of
        self,
        timestamp: Timestamp,
        message: object,
        *,
        timezone: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Scheduled:
        """Schedule a message for a time, as Client.schedule does."""
        return await self._send(
            requests.schedule(
                message=message,
                timestamp=timestamp,
                timezone=timezone,
                tags=tags,
                extra=extra,
                idempotency_key=idempotency_key,
            )
        )

    async def schedule_in(
        self,
        delay: Delay,
        message: object,
        *,
        tags: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Scheduled:
        """Schedule a message after a delay, as Client.schedule_in does."""
        return await self._send(
            requests.schedule(message=message, delay=delay, tags=tags, extra=extra, idempotency_key=idempotency_key)
        )

    async def schedule_body(self, body: Mapping[str, object], idempotency_key: str) -> Scheduled:
        """Schedule a body of POST /schedule."""
        return await self._send(requests.schedule_body(body, idempotency_key))

    async def cancel(self, task_id: str) -> None:
        """Cancel a task; raises TaskNotFoundError and TooLateError as Client.cancel does."""
        await self._send(requests.cancel(task_id))

    async def cancel_tagged(self, name: str, value: str) -> int:
        """Cancel all scheduled tasks with a tag and return their number, as Client.cancel_tagged does."""
        sweep = TagSweep(name, value, self._target.shown)
        while (call := sweep.next()) is not None:
            sweep.take(await self._send(call))
        return sweep.cancelled

    async def reschedule(
        self,
        task_id: str,
        timestamp: Timestamp | None = None,
        *,
        timezone: str | None = None,
        delay: Delay | None = None,
        message: object = None,
    ) -> Task:
        """Change the time of a task, its message, or both; raises the errors of Client.reschedule."""
        return await self._send(
            requests.reschedule(task_id, timestamp=timestamp, timezone=timezone, delay=delay, message=message)
        )

    async def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        return await self._send(requests.get(task_id))

    async def list(
        self,
        status: Status | str | None = None,
        due_from: Timestamp | None = None,
        due_to: Timestamp | None = None,
        tag: tuple[str, str] | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[Task]:
        """Iterate over tasks, soonest due first, page by page, as Client.list does."""
        call: Call[TaskPage] | None = requests.list_page(
            status=status, due_from=due_from, due_to=due_to, tag=tag, page_size=page_size
        )
        while call is not None:
            page = await self._send(call)
            for task in page.tasks:
                yield task
            call = requests.next_page(call, page)

    async def events(
        self, after: int | None = None, *, dropped: Callable[[TaskSchedulerError, float], None] | None = None
    ) -> AsyncGenerator[Event, None]:
        """Iterate over emitted events without end, as Client.events does.

        To close the connection when a loop ends early, use `async with contextlib.aclosing(...)`;
        otherwise it is closed when the iterator is deleted.
        """
        feed = Feed(after, self._target.shown, self._random)
        timeout = httpx.Timeout(self._timeout.read, connect=self._timeout.connect, read=SILENCE_S)
        while True:
            outcome: Outcome
            try:
                async with self._http.stream(
                    "GET", f"{self._target.url}/events", headers=feed.headers(), timeout=timeout
                ) as response:
                    outcome = response
                    if feed.is_stream(response):
                        async with contextlib.aclosing(httpx_sse.EventSource(response).aiter_sse()) as frames:
                            async for frame in frames:
                                if (event := feed.take(frame)) is not None:
                                    yield event
                    else:
                        await response.aread()
            except httpx.RequestError as error:
                outcome = error
            pause, why = feed.come_back(outcome)
            if why is not None and dropped is not None:
                dropped(why, pause)
            await self._sleep(pause)

    async def emitted(self, after: int = 0, limit: int = 100, *, before: int | None = None) -> builtins.list[Event]:
        """Return a page of emitted events, as Client.emitted does."""
        return await self._send(requests.emitted(after=after, before=before, limit=limit))

    async def health(self) -> str:
        """Return the version of the service; needs no secret."""
        return await self._send(requests.health())

    async def _send(self, call: Call[_Result]) -> _Result:
        attempts = Attempts(call, self._target.shown, retries=self._retries, random=self._random)
        while True:
            outcome: Outcome
            try:
                outcome = await self._http.request(
                    call.method,
                    f"{self._target.url}{call.path}",
                    content=call.body,
                    params=call.params or None,
                    headers=call.headers,
                )
            except httpx.RequestError as error:
                outcome = error
            pause = attempts.pause_after(outcome)
            if pause is None:
                return attempts.result(outcome)
            await self._sleep(pause)
