"""The client for programs without an event loop; what it sends and how it reads responses is in calls and attempts."""

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
    """Talks to one service, over connections that it keeps; may be used by several threads.

    Without a `url`, TASK_SCHEDULER_URL has it, else it is http://127.0.0.1:8000; without a `secret`,
    TASK_SCHEDULER_SECRET has it; an empty secret means none. `timeout` is in seconds, for each try. A call that got no
    answer, 429, 502, 503 or 504 is attempted again up to `retries` times, after pauses that grow from a quarter of a
    second and follow Retry-After up to 30 s. Each call is safe to repeat; what that means is said where it matters.

    Every call raises an ApiError that says what the service refused, an UnreachableError without a response, or an
    UnexpectedResponseError where something else responds; ValueError and TypeError for what cannot be sent at all.
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
        """Name the service; the secret is in no repr."""
        return f"{type(self).__name__}({self._target.shown!r})"

    def __enter__(self) -> Self:
        """Open nothing yet: connections are made as they are needed."""
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
        """The service, without a user and password that its URL may have."""
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
        """Have a message emitted at a time; one in the past means at once.

        An aware datetime is sent with its offset, rounded up to the millisecond. `timezone` is an IANA name: then
        `timestamp`, a naive datetime or a text without an offset, is what a clock shows there. A text is sent as it is.
        `message` is what JSON can hold, and not None. `tags` are up to 8 texts to find the task by. `extra` are further
        fields, emitted as they are. All repetitions under one `idempotency_key`, 1 to 255 printable ASCII characters,
        are one task; without one, each call has its own. Raises KeyConflictError where it was used for something else.
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
        """Have a message emitted after a timedelta, a number of seconds, or "30s", "5m", "2h", "7d".

        The delay counts from when the service takes the call. All else is as with schedule().
        """
        return self._send(
            requests.schedule(message=message, delay=delay, tags=tags, extra=extra, idempotency_key=idempotency_key)
        )

    def schedule_body(self, body: Mapping[str, object], idempotency_key: str) -> Scheduled:
        """Schedule by a body as POST /schedule takes it."""
        return self._send(requests.schedule_body(body, idempotency_key))

    def cancel(self, task_id: str) -> None:
        """Make sure that a task will not be emitted; cancelling it again is no error.

        Raises TaskNotFoundError, or TooLateError if it was or may have been emitted.
        """
        self._send(requests.cancel(task_id))

    def cancel_tagged(self, name: str, value: str) -> int:
        """Cancel all scheduled tasks with a tag and return how many, however many requests that takes.

        Those that are just being emitted stay. The number is too low where a response got lost on the way.
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
        """Give a task another time, or a delay from now, another message, or both.

        Raises TaskNotFoundError, or TooLateError if it was or may have been emitted; where the response to a first
        attempt got lost and the new time came before the next, TooLateError says that the change may have been made.
        """
        return self._send(
            requests.reschedule(task_id, timestamp=timestamp, timezone=timezone, delay=delay, message=message)
        )

    def get(self, task_id: str) -> Task:
        """Return a task as it is now; raises TaskNotFoundError."""
        return self._send(requests.get(task_id))

    def list(
        self,
        status: Status | str | None = None,
        due_from: Timestamp | None = None,
        due_to: Timestamp | None = None,
        tag: tuple[str, str] | None = None,
        page_size: int = 100,
    ) -> Iterator[Task]:
        """Iterate over tasks, soonest due first, asking for the next page of 1 to 1,000 when it is needed.

        Due at `due_from` or later, and before `due_to`; `tag` is a name and a value.
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
        """Iterate over what is emitted, for ever: from now on, or all that follows the sequence number `after`.

        0 is the beginning of what is stored. Each event comes once and in order, however often the connection is cut:
        it comes back by itself, after pauses that grow to 30 s; `dropped` receives the reason, and for how many
        seconds. "Now" is when the service first responds. Raises ApiError where coming back is of no use: 400, 401,
        403, 404. The connection is closed when the iteration is left.
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
        """Return up to `limit` events, 1 to 1,000 and fewer when they are large, that follow `after`.

        With `before` alone, they are the last ones before that sequence number.
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
