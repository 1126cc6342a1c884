"""The synchronous client; its requests are in requests.py, its retries in retries.py."""

import builtins
import random as randomness
import time
from collections.abc import Callable, Generator, Iterator, Mapping
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


class Client:
    """A synchronous client of one service, with pooled connections; several threads may share it.

    The default of `url` is TASK_SCHEDULER_URL, else http://127.0.0.1:8000. The default of `secret` is
    TASK_SCHEDULER_SECRET; an empty secret means none. `timeout` is in seconds, for each attempt. After a missing
    response, 429, 502, 503 or 504, a call is retried up to `retries` times, with backoff from a quarter of a second
    that respects Retry-After up to 30 s. Each call is safe to repeat.

    Every call raises ApiError for an error of the service, UnreachableError without a response, and
    UnexpectedResponseError for a response of another service; ValueError and TypeError for arguments it cannot send.
    """

    def __init__(  # noqa: PLR0913 - what may differ, and what tests replace
        self,
        url: str | None = None,
        secret: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        connect_timeout: float = CONNECT_TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._target = target(url, secret)
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, connect_timeout))
        self._retries = retries
        self._sleep = sleep
        self._random = random
        route = outbound.options(self._target.url) if transport is None else {"transport": transport}
        headers = [*self._target.headers.items()]
        self._http = httpx.Client(timeout=self._timeout, headers=headers, **route)

    def __repr__(self) -> str:
        """Name the service, without the secret."""
        return f"{type(self).__name__}({self._target.shown!r})"

    def __enter__(self) -> Self:
        """Return the client; connections are opened on use."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def url(self) -> str:
        """The URL of the service, without user and password."""
        return self._target.shown

    def schedule(  # noqa: PLR0913 - what a task is made of
        self,
        timestamp: Timestamp,
        message: object,
        *,
        timezone: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Scheduled:
        """Schedule a message for a time; a time in the past means at once.

        An aware datetime is sent with its offset, rounded up to the millisecond. With `timezone`, an IANA name,
        `timestamp` is local time there: a naive datetime or a text without an offset. A text is sent unchanged.
        `message` is any JSON value except None. `tags` are up to 8 texts for filters. `extra` are further
        fields, emitted unchanged. Calls with the same `idempotency_key`, 1 to 255 printable ASCII characters,
        create one task; by default each call has its own key. Raises KeyConflictError if the key has another use.
        """
        return self._send(
            requests.schedule(
                message=message,
                timestamp=timestamp,
                timezone=timezone,
                tags=tags,
                extra=extra,
                idempotency_key=idempotency_key,
            )
        )

    def schedule_in(
        self,
        delay: Delay,
        message: object,
        *,
        tags: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Scheduled:
        """Schedule a message after a timedelta, a number of seconds, or "30s", "5m", "2h", "7d".

        The delay starts when the service accepts the call. The other arguments are those of schedule().
        """
        return self._send(
            requests.schedule(message=message, delay=delay, tags=tags, extra=extra, idempotency_key=idempotency_key)
        )

    def schedule_body(self, body: Mapping[str, object], idempotency_key: str) -> Scheduled:
        """Schedule a body of POST /schedule."""
        return self._send(requests.schedule_body(body, idempotency_key))

    def cancel(self, task_id: str) -> None:
        """Cancel a task, so that it will not be emitted; a repeated cancel succeeds.

        Raises TaskNotFoundError, or TooLateError if the task was or may have been emitted.
        """
        self._send(requests.cancel(task_id))

    def cancel_tagged(self, name: str, value: str) -> int:
        """Cancel all scheduled tasks with a tag and return their number, by as many requests as needed.

        Tasks that are being emitted remain. The number is too low if a response was lost.
        """
        sweep = TagSweep(name, value, self._target.shown)
        while (call := sweep.next()) is not None:
            sweep.take(self._send(call))
        return sweep.cancelled

    def reschedule(
        self,
        task_id: str,
        timestamp: Timestamp | None = None,
        *,
        timezone: str | None = None,
        delay: Delay | None = None,
        message: object = None,
    ) -> Task:
        """Change the time of a task, to a timestamp or a delay from now, its message, or both.

        Raises TaskNotFoundError, or TooLateError if the task was or may have been emitted. If the response to the first
        attempt was lost and the new time came before the next, TooLateError states that the change may have been made.
        """
        return self._send(
            requests.reschedule(task_id, timestamp=timestamp, timezone=timezone, delay=delay, message=message)
        )

    def get(self, task_id: str) -> Task:
        """Return a task; raises TaskNotFoundError."""
        return self._send(requests.get(task_id))

    def list(
        self,
        status: Status | str | None = None,
        due_from: Timestamp | None = None,
        due_to: Timestamp | None = None,
        tag: tuple[str, str] | None = None,
        page_size: int = 100,
    ) -> Iterator[Task]:
        """Iterate over tasks, soonest due first; pages of 1 to 1,000 tasks are requested when needed.

        Tasks are due at `due_from` or later, and before `due_to`; `tag` is a name and a value.
        """
        call: Call[TaskPage] | None = requests.list_page(
            status=status, due_from=due_from, due_to=due_to, tag=tag, page_size=page_size
        )
        while call is not None:
            page = self._send(call)
            yield from page.tasks
            call = requests.next_page(call, page)

    def events(
        self, after: int | None = None, *, dropped: Callable[[TaskSchedulerError, float], None] | None = None
    ) -> Generator[Event, None, None]:
        """Iterate over emitted events without end: from now on, or after the sequence number `after`.

        0 is the start of the stored events. Each event comes once and in order. After a lost connection the client
        reconnects, with backoff of up to 30 s; `dropped` receives the reason and the seconds. "Now" is the first
        response of the service. Raises ApiError where a retry is useless: 400, 401, 403, 404.
        The connection is closed when the iteration ends.
        """
        feed = Feed(after, self._target.shown, self._random)
        timeout = httpx.Timeout(self._timeout.read, connect=self._timeout.connect, read=SILENCE_S)
        while True:
            outcome: Outcome
            try:
                with self._http.stream(
                    "GET", f"{self._target.url}/events", headers=feed.headers(), timeout=timeout
                ) as response:
                    outcome = response
                    if feed.is_stream(response):
                        for frame in httpx_sse.EventSource(response).iter_sse():
                            if (event := feed.take(frame)) is not None:
                                yield event
                    else:
                        response.read()
            except httpx.RequestError as error:
                outcome = error
            pause, why = feed.come_back(outcome)
            if why is not None and dropped is not None:
                dropped(why, pause)
            self._sleep(pause)

    def emitted(self, after: int = 0, limit: int = 100, *, before: int | None = None) -> builtins.list[Event]:
        """Return up to `limit` events after `after`, 1 to 1,000, and fewer if they are large.

        With `before` alone, return the last ones before that sequence number.
        """
        return self._send(requests.emitted(after=after, before=before, limit=limit))

    def health(self) -> str:
        """Return the version of the service; needs no secret."""
        return self._send(requests.health())

    def _send(self, call: Call[_Result]) -> _Result:
        attempts = Attempts(call, self._target.shown, retries=self._retries, random=self._random)
        while True:
            outcome: Outcome
            try:
                outcome = self._http.request(
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
            self._sleep(pause)
