"""The server's log: one JSON object a line, with the fields that Lambda's own have, so that both engines read alike."""

import atexit
import json
import logging
import sys
import threading
import time
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import Full, Queue
from typing import Final

from task_scheduler import timestamps

_MAX_WAITING: Final = 1_000

# What every record has; whatever else is on one was given as `extra`, such as the id of the task that it concerns.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = {
            "timestamp": timestamps.format(int(record.created * 1000)),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **{name: value for name, value in vars(record).items() if name not in _USUAL},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class BackgroundHandler(QueueHandler):
    """Hands lines to a thread that writes them: a terminal or pipe that is not read must not stop the server.

    Lines beyond a thousand that wait are dropped.
    """

    def __init__(self, target: logging.Handler) -> None:
        self._lines: Queue[logging.LogRecord] = Queue(_MAX_WAITING)
        super().__init__(self._lines)
        self._target = target
        threading.Thread(target=self._write, name="log", daemon=True).start()
        atexit.register(self._drain)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand over a line, or drop it."""
        with suppress(Full):
            self._lines.put_nowait(record)

    def _write(self) -> None:
        while True:
            self._target.handle(self._lines.get())
            self._lines.task_done()

    def _drain(self) -> None:
        """Wait for what waits, a second at most."""
        end_s = time.monotonic() + 1
        while self._lines.unfinished_tasks and time.monotonic() < end_s:
            time.sleep(0.01)


def log_to_stderr() -> None:
    """Have warnings and errors written to the standard error."""
    handler = BackgroundHandler(logging.StreamHandler(sys.stderr))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
