"""`task-scheduler serve --test-clock` whose clock starts at `--now`, in ms since the Unix epoch."""

import argparse
from pathlib import Path
from unittest import mock

from task_scheduler.local import clock
from task_scheduler.local.server import Options, serve
from tests.e2e.limited_server import announce


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--now", type=int)
    given = parser.parse_args()
    system_ms = clock.system_ms
    back_ms = system_ms() - given.now
    with mock.patch.object(clock, "system_ms", side_effect=lambda: system_ms() - back_ms):
        serve(Options(port=given.port, data=given.data, test_clock=True), announce)


if __name__ == "__main__":
    main()
