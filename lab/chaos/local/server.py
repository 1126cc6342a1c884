"""`task-scheduler serve` on a machine whose clock is stepped; the driver starts it, kills it and starts it again."""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from lab.chaos.local.clock import SteppedClock
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.server import Options, ServeError, serve


def main() -> int:
    """Serve until a signal comes; 1 if it cannot start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--webhook")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    time.time_ns = SteppedClock(given.clock).now_ns  # as if somebody set the clock of the machine
    options = Options(
        port=given.port,
        data=given.data,
        secret=os.environ["TASK_SCHEDULER_SECRET"],
        webhooks=[given.webhook],
        webhook_secret=os.environ["TASK_SCHEDULER_WEBHOOK_SECRET"],
    )
    try:
        serve(options, announce)
    except (ServeError, DataFileError) as error:
        sys.stderr.write(f"task-scheduler: {error}\n")
        return 1
    return 0


def announce(url: str) -> None:
    """Tell the driver that it listens."""
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
