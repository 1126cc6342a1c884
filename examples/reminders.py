"""Reminders: add one, list them, cancel one, and run what delivers them.

reminders.py add "in 2h" "call mum" --for luke
reminders.py add "2030-12-24 18:00" "light the candles" --for luke --timezone Europe/Berlin
reminders.py list --for luke
reminders.py cancel ID
reminders.py run
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from task_scheduler.client import Client, Scheduled, TaskSchedulerError, TooLateError

APP = ("app", "reminders")  # the tag that tells our tasks from those of others


def schedule(scheduler: Client, when: str, text: str, person: str, timezone: str | None) -> Scheduled:
    """Schedule a reminder; raises ValueError where `when` cannot be understood."""
    tags = dict([APP, ("user", person)])
    if when.startswith("in "):
        if timezone:
            raise ValueError("--timezone goes with a date and a time, not with a delay")
        return scheduler.schedule_in(when.removeprefix("in ").strip(), text, tags=tags)
    at = datetime.fromisoformat(when)
    if at.tzinfo is None and timezone is None:
        at = at.astimezone()  # by the clock on the wall where this runs
    return scheduler.schedule(at, text, timezone=timezone, tags=tags)


def add(scheduler: Client, arguments: argparse.Namespace) -> None:
    """Schedule a reminder."""
    try:
        made = schedule(scheduler, arguments.when, arguments.text, arguments.person, arguments.timezone)
    except ValueError as error:
        sys.exit(f'When is that? "in 2h", or "2030-12-24 18:00": {error}.')
    print(f"{made.id} at {made.timestamp.astimezone():%Y-%m-%d %H:%M:%S %Z}")


def show(scheduler: Client, arguments: argparse.Namespace) -> None:
    """List what is to come, soonest first."""
    tag = ("user", arguments.person) if arguments.person else APP
    for task in scheduler.list(status="scheduled", tag=tag):
        if APP in task.tags.items():
            at = f"{task.timestamp.astimezone():%Y-%m-%d %H:%M:%S %Z}"
            print(f"{task.id} at {at} for {task.tags['user']}: {task.message}")


def cancel(scheduler: Client, arguments: argparse.Namespace) -> None:
    """Cancel a reminder, or admit that it is too late."""
    try:
        scheduler.cancel(arguments.id)
    except TooLateError as error:
        sys.exit(f"Too late: {error}")
    print("Cancelled; it will not be delivered.")


def run(scheduler: Client, arguments: argparse.Namespace) -> None:
    """Deliver what falls due until Ctrl-C, and at the start what fell due while this did not run.

    The position is kept after the delivery: a crash in between delivers a reminder twice, and none is lost.
    """
    position: Path = arguments.position
    try:
        after = int(position.read_text()) if position.exists() else 0
    except ValueError:
        sys.exit(f"{position} holds no position; without that file, all reminders of the last 7 days come again.")
    for event in scheduler.events(after=after):
        tags = event.event.get("tags") or {}
        if APP in tags.items():
            deliver(tags["user"], event.message)
        new = position.with_name(f"{position.name}.new")
        new.write_text(f"{event.sequence}\n")
        new.replace(position)  # at once: a crash leaves the old position or the new one


def deliver(person: str, text: str) -> None:
    """Tell a person; put your email, chat or push message here."""
    print(f"To {person}: {text}", flush=True)


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("add", help="schedule a reminder")
    command.add_argument("when", help='"in 2h" or "2030-12-24 18:00"')
    command.add_argument("text")
    command.add_argument("--for", dest="person", required=True)
    command.add_argument("--timezone", help="such as Europe/Berlin; by default that of this computer")
    command.set_defaults(do=add)
    command = commands.add_parser("list", help="list what is to come")
    command.add_argument("--for", dest="person", help="only those for one person")
    command.set_defaults(do=show)
    command = commands.add_parser("cancel", help="cancel a reminder")
    command.add_argument("id")
    command.set_defaults(do=cancel)
    command = commands.add_parser("run", help="deliver what falls due")
    command.add_argument("--position", type=Path, default=Path("reminders.position"), help="file that says how far")
    command.set_defaults(do=run)
    arguments = parser.parse_args()
    try:
        with Client() as scheduler:
            arguments.do(scheduler, arguments)
    except (TaskSchedulerError, OSError, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
