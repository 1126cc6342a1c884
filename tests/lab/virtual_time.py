"""An event loop that does not wait: where nothing is left to do, its clock jumps to the next thing."""

import asyncio
import selectors
from typing import Any

from tests.support.world import Clock


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time is that of a clock set by hand."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_Jumping(clock))
        self._clock = clock
        self._start_ms = clock.ms

    def time(self) -> float:
        """Count from the start: of the seconds since 1970, a float cannot tell those apart that asyncio looks for."""
        return (self._clock.ms - self._start_ms) / 1000


class _Jumping(selectors.DefaultSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the base class has it
        assert timeout is not None, "everything waits for something that will never happen"
        self._clock.ms += -int(-timeout * 1000 // 1)
        return super().select(0)
