"""Points in time as the API writes them, and waiting with a deadline."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Found = TypeVar("_Found")

DAY_MS: Final = 86_400_000


class NotInTimeError(AssertionError):
    """What was waited for did not happen in time."""


def now_ms() -> int:
    """Return the time on this machine, in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Return `ms` as the API writes it, such as 2026-11-21T22:00:00.000Z."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """Return the milliseconds since the Unix epoch of a timestamp that the API has written."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def eventually(look: Callable[[], _Found | None], *, within: float = 60, every: float = 0.05) -> _Found:
    """Return what `look` finds as soon as it finds something; fails when `within` seconds have passed."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotInTimeError(f"nothing was found within {within} s")
        time.sleep(every)
