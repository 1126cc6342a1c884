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
    ERROR_AFTER = "500 after success"
    TIMEOUT = "timeout"
    TIMEOUT_AFTER = "timeout after success"
    LATE = "carried out late"
    """When the caller has given up."""
    RESET = "reset"
    RESET_AFTER = "reset after success"
    CRASH = "crash"
    """The process that made the call is killed."""
    CRASH_AFTER = "crash after success"


_CONFLICTING: Final = frozenset({"PutItem", "UpdateItem", "TransactWriteItems"})  # AWS, DynamoDB transactions
# A killed function starts anew, which costs much more of the machine's time than any other fault.
_WEIGHTS: Final = dict.fromkeys(Kind, 4) | {Kind.CRASH: 1, Kind.CRASH_AFTER: 1}


class Plan:
    """Tells for each call what it meets: the nth of an operation always the same, whatever is called in between."""

    def __init__(self, seed: str, rate: float) -> None:
        self._seed = seed
        self._rate = rate
        self._ended = False
        self._lock = Lock()
        self.calls: Final = Counter[str]()
        """How often each operation was called."""
        self.faults: Final = Counter[tuple[str, Kind]]()
        """How often an operation met each kind of fault."""

    def next(self, operation: str) -> Kind | None:
        """Return what this call meets; None: nothing."""
        with self._lock:
            if self._ended:
                return None
            self.calls[operation] += 1
            draw = random.Random(f"{self._seed} {operation} {self.calls[operation]}")  # noqa: S311 - no secret
            if draw.random() >= self._rate:
                return None
            kinds = [kind for kind in Kind if kind is not Kind.CONFLICT or operation in _CONFLICTING]
            [kind] = draw.choices(kinds, [_WEIGHTS[kind] for kind in kinds])
            self.faults[operation, kind] += 1
            return kind

    def end(self) -> None:
        """Let nothing go wrong any more, and count no more."""
        self._ended = True
