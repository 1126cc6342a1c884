"""A clock that is set while a server goes by it: the system's time, and an offset in a file that both have mapped.

`python -m lab.chaos.local.clock FILE serve ...` runs `task-scheduler serve ...` by such a clock.
"""

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final, Self

_OFFSET: Final = struct.Struct("<q")  # milliseconds; eight aligned bytes, which are read and written at once
_MS: Final = 1_000_000  # nanoseconds
_SYSTEM_NS: Final = time.time_ns  # kept, since a server that goes by this clock replaces it


class SteppedClock:
    """Shows the time in milliseconds since the Unix epoch, to whoever has the file open."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _OFFSET.size)
        self._highest_ms = 0

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a clock that shows the system's time."""
        path.write_bytes(_OFFSET.pack(0))
        return cls(path)

    def now_ms(self) -> int:
        """Return the time that it shows."""
        return self.now_ns() // _MS

    def now_ns(self) -> int:
        """Return the time that it shows, in nanoseconds."""
        return _SYSTEM_NS() + self._offset_ms() * _MS

    def step(self, ms: int) -> None:
        """Set it forward or back."""
        before = self._offset_ms()
        self._map[:] = _OFFSET.pack(before + ms)
        # Read after it was set: until then somebody may have gone by what it showed before.
        self._highest_ms = max(self._highest_ms, _SYSTEM_NS() // _MS + before)

    def latest_ms(self) -> int:
        """Return the latest time that it has shown to anybody so far."""
        self._highest_ms = max(self._highest_ms, self.now_ms())
        return self._highest_ms

    def _offset_ms(self) -> int:
        return int(_OFFSET.unpack(self._map[:])[0])


if __name__ == "__main__":
    from task_scheduler.cli.main import main

    time.time_ns = SteppedClock(Path(sys.argv.pop(1))).now_ns  # as if somebody set the clock of the machine
    main()
