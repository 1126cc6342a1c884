"""When a correction takes effect: every n-th time, after a lag, or beyond a rate; all by counters, none by chance."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Self

Clock = Callable[[], float]
"""Returns seconds."""

_GOLDEN: Final = 0.618
"""Its multiples, modulo 1, spread evenly over the range: the lags that follow each other differ."""


class Every:
    """True at every n-th call with the same key, and never if n is 0."""

    def __init__(self, number: int) -> None:
        self._number: Final = number
        self._calls: Final[Counter[str]] = Counter()

    def __call__(self, key: str = "") -> bool:
        """Count a call, and tell whether it is one of them."""
        self._calls[key] += 1
        return self._number > 0 and self._calls[key] % self._number == 0


class Lag:
    """How old what an eventually consistent read returns is: from once to twice `least` seconds, changing each time."""

    def __init__(self, least: float) -> None:
        self.most: Final = 2 * least
        self._least: Final = least
        self._reads: Final = count()

    def __call__(self) -> float:
        """Return the age that the next read shows, in seconds."""
        return self._least * (1 + next(self._reads) * _GOLDEN % 1)


@dataclass(frozen=True)
class Quota:
    """A token bucket: at most `burst` requests at once, and `rate` a second in the long run."""

    burst: float
    rate: float


class TokenBucket:
    """The requests that are left of a quota."""

    def __init__(self, quota: Quota, clock: Clock = time.monotonic) -> None:
        self._quota: Final = quota
        self._clock: Final = clock
        self._tokens = quota.burst
        self._filled = clock()
        self._lock: Final = threading.Lock()

    def take(self) -> bool:
        """Take a token; False if there is none."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._quota.burst, self._tokens + (now - self._filled) * self._quota.rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


@dataclass(frozen=True)
class Strictness:
    """How often and how much the emulator does what AWS does only at times; the defaults are strict."""

    lag_s: float = 1
    """EMULATOR_LAG_S: eventually consistent reads are between once and twice this old, in seconds; 0: exact."""
    duplicate_every: int = 7
    """EMULATOR_DUPLICATE_EVERY: of the deliveries to a queue, every which one is repeated; 0: none."""
    duplicate_after_s: float = 3
    """EMULATOR_DUPLICATE_AFTER_S: the seconds until the second copy."""
    delay_every: int = 5
    """EMULATOR_DELAY_EVERY: of the deliveries to a queue, every which one is overtaken by later ones; 0: none."""
    delay_s: float = 0.4
    """EMULATOR_DELAY_S: the seconds by which it is late."""
    schedule_twice_every: int = 2
    """EMULATOR_SCHEDULE_TWICE_EVERY: of a rule's scheduled events, every which one is sent twice; 0: none."""
    idle_s: float = 3
    """EMULATOR_IDLE_S: a connection that was idle for longer, in seconds, is lost to its SDK; 0: none is."""
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """EMULATOR_QUOTAS: other quotas of Step Functions, such as `StopExecution=500/25,ListExecutions=100/2`: the size of
    the bucket, and its refill a second."""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read it from environment variables; those that are missing have the defaults."""

        def number(name: str, default: float) -> float:
            return float(environment.get(f"EMULATOR_{name}", default))

        return cls(
            lag_s=number("LAG_S", cls.lag_s),
            duplicate_every=int(number("DUPLICATE_EVERY", cls.duplicate_every)),
            duplicate_after_s=number("DUPLICATE_AFTER_S", cls.duplicate_after_s),
            delay_every=int(number("DELAY_EVERY", cls.delay_every)),
            delay_s=number("DELAY_S", cls.delay_s),
            schedule_twice_every=int(number("SCHEDULE_TWICE_EVERY", cls.schedule_twice_every)),
            idle_s=number("IDLE_S", cls.idle_s),
            quotas=_quotas(environment.get("EMULATOR_QUOTAS", "")),
        )


def _quotas(text: str) -> Mapping[str, Quota]:
    quotas = {}
    for entry in filter(None, text.split(",")):
        action, _, amounts = entry.partition("=")
        burst, _, rate = amounts.partition("/")
        quotas[action] = Quota(float(burst), float(rate))
    return quotas
