"""One line for each task that is accepted or emitted, for people who watch the server in a terminal."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from task_scheduler import timestamps

_INTERVAL_S: Final = 0.2
_MOST_LINES: Final = 20
"""In an interval; of more, only the number is printed. Nobody reads a hundred lines a second."""


class TaskPrinter:
    """Writes from a thread of its own: a terminal that stops reading must not stop the server."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._lock = threading.Lock()
        self._has_lines = threading.Event()
        threading.Thread(target=self._run, name="task-printer", daemon=True).start()

    def accepted(self, task_id: str, due_ms: int) -> None:
        """Note that a task is stored."""
        self._add(lambda: f"Accepted {task_id}, due at {timestamps.format(due_ms)}")

    def emitted(self, task_id: str, late_s: float) -> None:
        """Note that a task is emitted."""
        self._add(lambda: f"Emitted  {task_id}, {late_s * 1000:.0f} ms after its time")

    def _add(self, line: Callable[[], str]) -> None:
        with self._lock:
            if len(self._lines) < _MOST_LINES:
                self._lines.append(line())
            else:
                self._left_out += 1
        self._has_lines.set()

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            with self._lock:
                lines, left_out = [*self._lines], self._left_out
                self._lines.clear()
                self._left_out = 0
            if left_out:
                lines.append(f"... and {left_out:,} more")
            try:
                self._write("\n".join(lines))
            except OSError:  # the terminal or pipe was closed
                return
            time.sleep(_INTERVAL_S)
