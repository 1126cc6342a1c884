"""The clock of the local engine: the system's, or one that tests set forward."""

import time


def system_ms() -> float:
    """Return the system's time, in milliseconds since the Unix epoch and fractions of one."""
    return time.time_ns() / 1_000_000


class TestClock:
    """Runs as the system's clock does, ahead of it by as much as it was advanced."""

    __test__ = False  # the name is not that of a test

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> float:
        """Return the time that it is by this clock."""
        return system_ms() + self._ahead_ms

    def advance(self, ms: int) -> None:
        """Set the clock forward."""
        self._ahead_ms += ms
