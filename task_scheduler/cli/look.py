"""The commands that look at tasks: show, list."""

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import click

from task_scheduler.cli import display, given
from task_scheduler.cli.service import Function, complain, json_option, service, service_options

MAX_PAGE: Final = 1_000
"""Tasks that the API gives at once at most."""

_STATES: Final = ("scheduled", "emitted", "cancelled", "failed", "any")
_WAITING: Final = given.selection("scheduled", None, None, None)


def selection_options(command: Function) -> Function:
    """Add which tasks are meant."""
    status = click.option("--status", type=click.Choice(_STATES), default="scheduled", help="Only tasks in this state.")
    from_ = click.option(
        "--from", "from_", metavar="TIME", help="Only tasks due at this time or later; a time as for --at."
    )
    to = click.option("--to", metavar="TIME", help="Only tasks due before this time.")
    tag = click.option("--tag", metavar="NAME=VALUE", help="Only tasks with this tag.")
    return status(from_(to(tag(command))))


@click.command
@click.argument("task_id", metavar="ID", help="The task.")
@service_options
@json_option
def show(*, task_id: str, url: str | None, secret: str | None, json: bool) -> None:
    """Show one task: its state, its times, its message."""
    with service(url, secret) as client:
        task = client.get(task_id)
    if json:
        click.echo(display.as_json(display.task_json(task)))
    else:
        display.details(task, datetime.now(UTC))


@click.command("list", short_help="List what is scheduled, soonest due first.")
@selection_options
@click.option("--limit", type=click.IntRange(min=0), default=50, help="At most so many tasks; 0 means all.")
@click.option("--all", "all_", is_flag=True, help="All tasks, whatever --limit says.")
@service_options
@json_option
def list_tasks(  # noqa: PLR0913 - the options of a command
    *,
    status: str,
    from_: str | None,
    to: str | None,
    tag: str | None,
    limit: int,
    all_: bool,
    url: str | None,
    secret: str | None,
    json: bool,
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
