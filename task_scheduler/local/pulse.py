"""Tells when so much came at once that whoever comes now is better refused at once than kept waiting."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_BEAT_S: Final = 0.05
_LATE_S: Final = 0.25  # far longer than a turn of the loop takes under any load that the server is equal to


class Pulse:
    """Beats with the event loop: each turn serves all who came during the one before, so long turns are long waits."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last_s = now_s()

    @property
    def is_late(self) -> bool:
        """Whether the present turn lasts so long that what is still to be done in it should be refused."""
        return self._now_s() - self._last_s > _BEAT_S + _LATE_S

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat inside, on the running loop."""
        self._beat()
        try:
            yield
        finally:
            self._next.cancel()

    def _beat(self) -> None:
        self._last_s = self._now_s()
        self._next = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)
