"""The commands that look at tasks: show, list."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from task_scheduler.cli import display, given
from task_scheduler.cli.service import Json, Secret, Url, complain, service

MAX_PAGE: Final = 1_000
"""Tasks that the API gives at once at most."""


class Chosen(StrEnum):
    """The states to choose from."""

    SCHEDULED = "scheduled"
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ANY = "any"


StatusOption = Annotated[Chosen, typer.Option(help="Only tasks in this state.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Only tasks due at this time or later; a time as for --at.")
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only tasks due before this time.")]
TagOption = Annotated[str | None, typer.Option(metavar="NAME=VALUE", help="Only tasks with this tag.")]

_WAITING: Final = given.selection(Chosen.SCHEDULED, None, None, None)


def show(
    *,
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task.")],
    url: Url = None,
    secret: Secret = None,
    json: Json = False,
) -> None:
    """Show one task: its state, its times, its message."""
    with service(url, secret) as client:
        task = client.get(task_id)
    if json:
        typer.echo(display.as_json(display.task_json(task)))
    else:
        display.details(task, datetime.now(UTC))


def list_tasks(  # noqa: PLR0913 - the options of a command
    *,
    status: StatusOption = Chosen.SCHEDULED,
    from_: From = None,
    to: To = None,
    tag: TagOption = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many tasks; 0 means all.")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="All tasks, whatever --limit says.")] = False,
    url: Url = None,
    secret: Secret = None,
    json: Json = False,
) -> None:
    """List what is scheduled, soonest due first; --status chooses other tasks."""
    most = None if all_ or limit == 0 else limit
    chosen = given.selection(status, from_, to, tag)
    with service(url, secret) as client:
        tasks = client.list(**chosen, page_size=min(MAX_PAGE, (most or MAX_PAGE - 1) + 1))
        shown = islice(tasks, most)
        if json:
            display.print_array(display.task_json(task) for task in shown)
            return
        add = display.task_rows()
        count = 0
        for task in shown:
            add(task)
            count += 1
        if not sys.stdout.isatty():
            return
        if count == 0:
            complain("Nothing is scheduled." if chosen == _WAITING else "No task is like that.")
        elif next(tasks, None) is not None:
            complain(f"These are the first {count}. Give --limit for more, or --all.")
