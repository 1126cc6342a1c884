"""A timer for an event loop that is exact to a tenth of a millisecond: a loop's own go by whole ones."""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue


class PreciseTimer:
    """Calls back on the event loop that it was made on; the last setting counts."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._settings: SimpleQueue[float | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="task-scheduler-timer")
        self._thread.start()

    def set(self, seconds: float) -> None:
        """Ring once, after so many seconds from now."""
        self._settings.put(max(seconds, 0.0))

    async def close(self) -> None:
        """Ring no more."""
        self._settings.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        seconds = self._settings.get()
        while seconds is not None:
            try:
                seconds = self._settings.get(timeout=seconds)
            except Empty:
                self._loop.call_soon_threadsafe(self._ring)
                seconds = self._settings.get()
