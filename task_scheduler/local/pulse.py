"""Tells when so much came at once that whoever comes now is better refused at once than kept waiting."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_BEAT_S: Final = 0.05
_MANY: Final = 100  # requests in one turn
_LATE_S: Final = 0.25  # far longer than a turn of the loop takes under any load that the server is equal to


class Pulse:
    """Beats with the event loop: each turn serves all who came during the one before, so long turns are long waits."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last_s = now_s()
        self._came = 0

    def is_late(self) -> bool:
        """Tell, once for each request, whether it should be refused: its turn lasts too long, and with many requests.

        A turn that is long with few is none of their making: the machine was busy with something else.
        """
        self._came += 1
        return self._came > _MANY and self._now_s() - self._last_s > _BEAT_S + _LATE_S

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat inside, on the running loop."""
        self._beat()
        try:
            yield
        finally:
            self._next.cancel()

    def _beat(self) -> None:
        self._came = 0
        self._last_s = self._now_s()
        self._next = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)
