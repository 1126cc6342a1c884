"""Where a follower of the event stream stands, what it requests next and how long it waits; no I/O, no clock."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx
import httpx_sse

from task_scheduler.client import errors, models
from task_scheduler.client.errors import TaskSchedulerError, UnexpectedResponseError
from task_scheduler.client.models import Event
from task_scheduler.client.retries import MAX_PAUSE_S, Outcome, backoff, requested_pause
from task_scheduler.contract import LAST_EVENT_ID_HEADER

CONTENT_TYPE: Final = "text/event-stream"
SILENCE_S: Final = 60.0
"""After how long without a byte a connection counts as dead: a comment comes every 15 s, on AWS every 22 s."""

_RETRY_S: Final = 0.25  # what the service asks for, until it does
_LEAST_RETRY_S: Final = 0.05
_MOST_DIGITS: Final = 19  # of a sequence number


class Feed:
    """One follower. It holds its position from the first moment on, so that a cut loses nothing."""

    def __init__(self, after: int | None, url: str, random: Callable[[], float]) -> None:
        if after is not None and after < 0:
            raise ValueError("after must not be negative.")
        self._position = after
        self._url = url
        self._random = random
        self._retry_s = _RETRY_S
        self._failures = 0

    def headers(self) -> dict[str, str]:
        """Return the headers of the next request."""
        position = {} if self._position is None else {LAST_EVENT_ID_HEADER: str(self._position)}
        return {"accept": CONTENT_TYPE, "cache-control": "no-store", **position}

    @staticmethod
    def is_stream(response: httpx.Response) -> bool:
        """Tell whether the response is a stream of events."""
        content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        return bool(response.status_code == HTTPStatus.OK and content_type == CONTENT_TYPE)

    def take(self, frame: httpx_sse.ServerSentEvent) -> Event | None:
        """Return the event in a frame, if it is one that was not seen before."""
        self._failures = 0
        if frame.retry is not None:
            self._retry_s = min(MAX_PAUSE_S, max(_LEAST_RETRY_S, frame.retry / 1000))
        if frame.event == "position":
            # Also where there was one: the log that it belonged to is gone, and this is where the new one ends.
            self._position = self._number(frame.data)
        if frame.event != "message" or not frame.data:
            return None
        try:
            event = models.read_event(frame.json())
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise self._no_event() from None
        if self._position is not None and event.sequence <= self._position:
            return None
        self._position = event.sequence
        return event

    def come_back(self, outcome: Outcome) -> tuple[float, TaskSchedulerError | None]:
        """Return the seconds to wait before coming back, and why, if the stream did not end as it should.

        Raises that error if coming back is of no use.
        """
        requested = 0.0
        if isinstance(outcome, httpx.RequestError):
            why: TaskSchedulerError = errors.unreachable(outcome, self._url)
        elif self.is_stream(outcome):  # on AWS each ends after events, or after 22 s
            return self._retry_s, None
        elif outcome.status_code == HTTPStatus.OK:
            raise errors.unexpected(outcome, self._url)
        else:
            why = errors.refused(outcome, self._url, {})
            requested = requested_pause(outcome)
            if (
                outcome.status_code != HTTPStatus.TOO_MANY_REQUESTS
                and outcome.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                raise why
        pause = min(MAX_PAUSE_S, requested + backoff(self._failures, self._random, self._retry_s))
        self._failures += 1
        return pause, why

    def _number(self, text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
            raise self._no_event()
        return int(text)

    def _no_event(self) -> UnexpectedResponseError:
        return UnexpectedResponseError(f"{self._url} sends events that Task Scheduler does not: is the URL right?")
