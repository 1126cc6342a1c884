"""`task-scheduler serve` with limits that a test need not wait for: `--limits` is a JSON object of them."""

import argparse
import json
import sys
from pathlib import Path

from task_scheduler.local.limits import Limits
from task_scheduler.local.server import Options, serve


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limits", type=json.loads)
    given = parser.parse_args()
    options = Options(port=given.port, data=given.data, limits=Limits(**given.limits))
    serve(options, announce)


def announce(url: str) -> None:
    """Tell the test where it listens."""
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
