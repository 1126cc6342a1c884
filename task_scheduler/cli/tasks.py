"""The commands that concern single tasks and lists of them: schedule, cancel, reschedule, show, list."""

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from task_scheduler.cli import output, params
from task_scheduler.cli.client_options import Function, client_options, json_option, open_client
from task_scheduler.cli.output import print_error
from task_scheduler.contract import MAX_PAGE

if TYPE_CHECKING:
    from task_scheduler.client import Client

_STATES: Final = ("scheduled", "emitted", "cancelled", "failed", "any")
_WAITING: Final = params.selection("scheduled", None, None, None)


def selection_options(command: Function) -> Function:
    """Add which tasks are meant."""
    status = click.option(
        "--status", type=click.Choice(_STATES), default="scheduled", help="Only tasks with this status."
    )
    from_ = click.option("--from", "from_", metavar="TIME", help="Only tasks due at this time or later, as for --at.")
    to = click.option("--to", metavar="TIME", help="Only tasks due before this time.")
    tag = click.option("--tag", metavar="NAME=VALUE", help="Only tasks with this tag.")
    return status(from_(to(tag(command))))


@click.command
@click.argument("task_id", metavar="ID", help="The task.")
@client_options
@json_option
def show(*, task_id: str, url: str | None, secret: str | None, json: bool) -> None:
    """Show one task: its status, its times, its message."""
    with open_client(url, secret) as client:
        task = client.get(task_id)
    if json:
        click.echo(output.as_json(output.task_json(task)))
    else:
        output.details(task, datetime.now(UTC))


@click.command("list", short_help="List scheduled tasks, soonest due first.")
@selection_options
@click.option("--limit", type=click.IntRange(min=0), default=50, help="Maximum number of tasks; 0 means all.")
@click.option("--all", "all_", is_flag=True, help="All tasks, regardless of --limit.")
@client_options
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
    """List scheduled tasks, soonest due first; --status selects others."""
    most = None if all_ or limit == 0 else limit
    chosen = params.selection(status, from_, to, tag)
    with open_client(url, secret) as client:
        tasks = client.list(**chosen, page_size=min(MAX_PAGE, (most or MAX_PAGE - 1) + 1))
        shown = islice(tasks, most)
        if json:
            output.print_array(output.task_json(task) for task in shown)
            return
        add = output.task_rows()
        count = 0
        for task in shown:
            add(task)
            count += 1
        if not sys.stdout.isatty():
            return
        if count == 0:
            print_error("Nothing is scheduled." if chosen == _WAITING else "No task matches.")
        elif next(tasks, None) is not None:
            print_error(f"These are the first {count}. Give --limit for more, or --all.")


_MESSAGE_HELP: Final = (
    "@FILE reads a file, - reads standard input. Valid JSON is sent as JSON, anything else as a string."
)


@click.command
@click.argument(
    "message", required=False, help=f"The message to emit; without it, standard input is read. {_MESSAGE_HELP}"
)
@params.time_options
@click.option("--tag", multiple=True, metavar="NAME=VALUE", help="Tag to find the task by; repeatable.")
@click.option(
    "--field",
    multiple=True,
    metavar="NAME=VALUE",
    help="Additional field to emit, JSON or a string; repeatable.",
)
@click.option("--idempotency-key", help="Repeating the command with the same key creates no second task.")
@params.format_options
@client_options
@json_option
def schedule(  # noqa: PLR0913 - the options of a command
    *,
    message: str | None,
    in_: str | None,
    at: str | None,
    tz: str | None,
    tag: tuple[str, ...],
    field: tuple[str, ...],
    idempotency_key: str | None,
    as_text: bool,
    as_json: bool,
    url: str | None,
    secret: str | None,
    json: bool,
) -> None:
    """Schedule a message for a time."""
    moment = params.when(in_, at, tz)
    if not moment:
        raise click.UsageError("When? Give --in, such as --in 30s, or --at.")
    content = params.message(message, as_text=as_text, as_json=as_json)
    options: dict[str, Any] = {
        "tags": params.tags(tag),
        "extra": params.fields(field),
        "idempotency_key": idempotency_key,
    }
    with open_client(url, secret) as client:
        if "delay" in moment:
            made = client.schedule_in(moment["delay"], content, **options)
        else:
            made = client.schedule(message=content, **moment, **options)
    if json:
        click.echo(output.as_json({"id": made.id, "timestamp": output.iso(made.timestamp)}))
    else:
        due = output.moment_in_full(made.timestamp, datetime.now(UTC))
        click.echo(f"Scheduled {output.printable(made.id)} at {due}")


@click.command(short_help="Cancel tasks, so that they will not be emitted.")
@click.argument("ids", nargs=-1, metavar="[ID]...", help="The tasks.")
@click.option("--tag", metavar="NAME=VALUE", help="All scheduled tasks with this tag, instead of IDs.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@client_options
@json_option
def cancel(  # noqa: PLR0913 - the options of a command
    *, ids: tuple[str, ...], tag: str | None, yes: bool, url: str | None, secret: str | None, json: bool
) -> None:
    """Make sure that tasks will not be emitted; each is tried, whatever became of the others."""
    if bool(ids) == (tag is not None):
        raise click.UsageError("Which tasks? Give their ids, or one --tag.")
    with open_client(url, secret) as client:
        if tag is not None:
            _cancel_tagged(client, *params.tag(tag), yes=yes, json=json)
        elif not _cancel_each(client, ids, json=json):
            raise click.exceptions.Exit(1)


@click.command
@click.argument("task_id", metavar="ID", help="The task.")
@params.time_options
@click.option("--message", metavar="MESSAGE", help=f"Another message. {_MESSAGE_HELP}")
@params.format_options
@client_options
@json_option
def reschedule(  # noqa: PLR0913 - the options of a command
    *,
    task_id: str,
    in_: str | None,
    at: str | None,
    tz: str | None,
    message: str | None,
    as_text: bool,
    as_json: bool,
    url: str | None,
    secret: str | None,
    json: bool,
) -> None:
    """Give a task another due time, another message, or both."""
    change = params.when(in_, at, tz)
    if message is not None:
        change["message"] = params.message(message, as_text=as_text, as_json=as_json)
    if not change:
        raise click.UsageError("What is to change? Give --in or --at, --message, or both.")
    with open_client(url, secret) as client:
        task = client.reschedule(task_id, **change)
    if json:
        click.echo(output.as_json(output.task_json(task)))
    else:
        due = output.moment_in_full(task.timestamp, datetime.now(UTC))
        click.echo(f"{output.printable(task.id)} is now scheduled at {due}")


def _cancel_each(client: "Client", ids: tuple[str, ...], *, json: bool) -> bool:
    """Cancel each task, say what became of it, and return whether all are cancelled."""
    from task_scheduler.client import BadRequestError, ConflictError, NotFoundError

    results: list[dict[str, object]] = []
    all_cancelled = True
    for task_id in ids:
        errors: tuple[str, ...] = ()
        try:
            client.cancel(task_id)
        except (BadRequestError, ConflictError, NotFoundError) as error:
            errors = error.errors
        if json:
            results.append({"id": task_id, "cancelled": not errors, **({"errors": errors} if errors else {})})
        elif errors:
            print_error(" ".join(errors))
        else:
            click.echo(f"Cancelled {output.printable(task_id)}")
        all_cancelled = all_cancelled and not errors
    if json:
        click.echo(output.as_json(results))
    return all_cancelled


def _cancel_tagged(client: "Client", name: str, value: str, *, yes: bool, json: bool) -> None:
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(
                "Cancelling all tasks with a tag needs a confirmation, and there is no terminal: give --yes."
            )
        # Not click.confirm, for which Ctrl-C is as good as a no.
        tag = output.printable(f"{name}={value}")
        click.echo(f"Cancel all scheduled tasks with the tag {tag}? [y/N] ", nl=False, err=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise click.ClickException("Nothing was cancelled.")
    count = client.cancel_tagged(name, value)
    click.echo(output.as_json({"cancelled": count}) if json else f"Cancelled {output.counted(count, 'task')}")
