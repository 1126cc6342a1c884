"""Which calls to AWS go wrong, and how: drawn from a seed, so that the same calls meet the same faults again."""

import random
from collections import Counter
from enum import StrEnum
from threading import Lock
from typing import Final


class Kind(StrEnum):
    """What happens to a call."""

    THROTTLED = "throttled"
    CONFLICT = "conflict"
    """Another transaction is in the way of this write."""
    ERROR = "500"
    UNAVAILABLE = "503"
    ERROR_AFTER = "500 after success"
    TIMEOUT = "timeout"
    TIMEOUT_AFTER = "timeout after success"
    LATE = "carried out late"
    """When the caller has given up."""
    RESET = "reset"
    RESET_AFTER = "reset after success"
    TRUNCATED = "truncated answer"
    PARTIAL = "partial answer"
    """A batch of which one half was not looked at."""
    CRASH = "crash"
    """The process that made the call is killed."""
    CRASH_AFTER = "crash after success"


CONFLICTING: Final = frozenset({"PutItem", "UpdateItem", "TransactWriteItems"})
"""Operations that a transaction can be in the way of (AWS, DynamoDB transactions)."""

# A killed function starts anew, which costs much more of the machine's time than any other fault.
_WEIGHTS: Final = dict.fromkeys(Kind, 4) | {Kind.CRASH: 1, Kind.CRASH_AFTER: 1}


def possible(operation: str) -> list[Kind]:
    """Return the kinds of fault that an operation can meet."""
    missing = set()
    if operation not in CONFLICTING:
        missing.add(Kind.CONFLICT)
    if operation != "BatchGetItem":
        missing.add(Kind.PARTIAL)
    return [kind for kind in Kind if kind not in missing]


class Plan:
    """Tells for each call what it meets: the nth of an operation always the same, whatever is called in between."""

    def __init__(self, seed: str, rate: float) -> None:
        self.seed = seed
        self._rate = rate
        self._ended = False
        self._lock = Lock()
        self.calls: Final = Counter[str]()
        """How often each operation was called."""
        self.faults: Final = Counter[tuple[Kind, str]]()
        """How often an operation met each kind of fault."""

    def next(self, operation: str) -> Kind | None:
        """Return what this call meets; None: nothing."""
        with self._lock:
            if self._ended:
                return None
            self.calls[operation] += 1
            draw = random.Random(f"{self.seed} {operation} {self.calls[operation]}")  # noqa: S311 - no secret
            if draw.random() >= self._rate:
                return None
            kinds = possible(operation)
            [kind] = draw.choices(kinds, [_WEIGHTS[kind] for kind in kinds])
            self.faults[kind, operation] += 1
            return kind

    def end(self) -> None:
        """Let nothing go wrong any more, and count no more."""
        self._ended = True
