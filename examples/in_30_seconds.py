"""Schedules a message for 30 seconds from now, with the Python client."""

import sys

from task_scheduler.client import Client, TaskSchedulerError


def main() -> None:
    """Schedule it, or say why that did not work."""
    try:
        with Client() as scheduler:
            task = scheduler.schedule_in("30s", {"text": "Hello from Python"})
    except (TaskSchedulerError, ValueError) as error:
        sys.exit(f"Nothing was scheduled: {error}")
    print(f"Task {task.id} will be emitted at {task.timestamp:%Y-%m-%d %H:%M:%S %Z}.")


if __name__ == "__main__":
    main()
