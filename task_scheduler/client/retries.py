"""How often a call is tried, how long to wait in between, and what comes of it in the end; no I/O, no clock."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Generic, TypeVar

import httpx

from task_scheduler.client import errors
from task_scheduler.client.requests import Call

Outcome = httpx.Response | httpx.RequestError

MAX_PAUSE_S: Final = 30.0
"""The longest wait between two attempts, whatever the service asks for."""

CONNECT_TIMEOUT_S: Final = 5.0
"""How long a service may take to accept a connection; to respond, it may take longer."""

_FIRST_PAUSE_S: Final = 0.25
_PASSING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, 502, 503, 504})
_Result = TypeVar("_Result")


def backoff(failures: int, random: Callable[[], float], first: float = _FIRST_PAUSE_S) -> float:
    """Return a pause in seconds that doubles with each failure; a random part keeps many clients apart."""
    longest = min(MAX_PAUSE_S, first * 2.0 ** min(failures, 16))
    return longest * (0.5 + random() / 2)


def requested_pause(response: httpx.Response) -> float:
    """Return the seconds that a response asks to wait; 0 if it does not, or names a date, which ours never do."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


class Attempts(Generic[_Result]):
    """The tries of one call."""

    def __init__(self, call: Call[_Result], url: str, *, retries: int, random: Callable[[], float]) -> None:
        self._call = call
        self._url = url
        self._left = retries
        self._random = random
        self._made = 0
        self._may_have_worked = False

    def pause_after(self, outcome: Outcome) -> float | None:
        """Return the seconds to wait before the next try; None when this outcome is the last."""
        if self._left == 0 or not _is_passing(outcome):
            return None
        pause = backoff(self._made, self._random)
        if isinstance(outcome, httpx.Response):
            pause = min(MAX_PAUSE_S, requested_pause(outcome) + pause)
        # A 429 was rejected before it was carried out; anything else may have been done and its response lost.
        was_rejected = isinstance(outcome, httpx.Response) and outcome.status_code == HTTPStatus.TOO_MANY_REQUESTS
        self._may_have_worked |= not was_rejected
        self._left -= 1
        self._made += 1
        return pause

    def result(self, outcome: Outcome) -> _Result:
        """Return what the call gets in the end, or raise what it means."""
        if isinstance(outcome, httpx.RequestError):
            raise errors.unreachable(outcome, self._url) from outcome
        if outcome.status_code != HTTPStatus.OK:
            conflict_hint = (
                self._call.conflict_hint if self._may_have_worked and outcome.status_code == HTTPStatus.CONFLICT else ""
            )
            raise errors.refused(outcome, self._url, self._call.meanings, conflict_hint)
        try:
            return self._call.read(outcome.json())
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise errors.unexpected(outcome, self._url) from None


def _is_passing(outcome: Outcome) -> bool:
    """Tell whether another try may end better."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _PASSING
    return not isinstance(outcome, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))
