"""The commands that change something: schedule, cancel, reschedule."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from task_scheduler.cli import display, given
from task_scheduler.cli.service import complain, fail, json_option, misuse, service, service_options

if TYPE_CHECKING:
    from task_scheduler.client import Client

_MESSAGE_HELP: Final = (
    "@FILE is read from a file, - from standard input. What is JSON is sent as JSON, all else as a text."
)


@click.command
@click.argument(
    "message", required=False, help=f"What is to be emitted; standard input, if it is left out. {_MESSAGE_HELP}"
)
@given.time_options
@click.option(
    "--tag", multiple=True, metavar="NAME=VALUE", help="A text to find the task by; may be given several times."
)
@click.option(
    "--field",
    multiple=True,
    metavar="NAME=VALUE",
    help="A further field to emit, JSON or text; may be given several times.",
)
@click.option("--idempotency-key", help="The same key makes a repeated command one task, not two.")
@given.format_options
@service_options
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
    """Have a message emitted at a time."""
    moment = given.when(in_, at, tz)
    if not moment:
        misuse("When? Give --in, such as --in 30s, or --at.")
    content = given.message(message, as_text=as_text, as_json=as_json)
    options: dict[str, Any] = {
        "tags": given.tags(tag),
        "extra": given.fields(field),
        "idempotency_key": idempotency_key,
    }
    with service(url, secret) as client:
        if "delay" in moment:
            made = client.schedule_in(moment["delay"], content, **options)
        else:
            made = client.schedule(message=content, **moment, **options)
    if json:
        click.echo(display.as_json({"id": made.id, "timestamp": display.iso(made.timestamp)}))
    else:
        due = display.moment_in_full(made.timestamp, datetime.now(UTC))
        click.echo(f"Scheduled {display.printable(made.id)} at {due}")


@click.command(short_help="Make sure that tasks will not be emitted.")
@click.argument("ids", nargs=-1, metavar="[ID]...", help="The tasks.")
@click.option("--tag", metavar="NAME=VALUE", help="All scheduled tasks with this tag, instead of IDs.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@service_options
@json_option
def cancel(  # noqa: PLR0913 - the options of a command
    *, ids: tuple[str, ...], tag: str | None, yes: bool, url: str | None, secret: str | None, json: bool
) -> None:
    """Make sure that tasks will not be emitted; each is tried, whatever became of the others."""
    if bool(ids) == (tag is not None):
        misuse("Which tasks? Give their ids, or one --tag.")
    with service(url, secret) as client:
        if tag is not None:
            _cancel_tagged(client, *given.tag(tag), yes=yes, json=json)
        elif not _cancel_each(client, ids, json=json):
            raise click.exceptions.Exit(1)


@click.command
@click.argument("task_id", metavar="ID", help="The task.")
@given.time_options
@click.option("--message", metavar="MESSAGE", help=f"Another message. {_MESSAGE_HELP}")
@given.format_options
@service_options
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
    """Give a task another time, another message, or both."""
    change = given.when(in_, at, tz)
    if message is not None:
        change["message"] = given.message(message, as_text=as_text, as_json=as_json)
    if not change:
        misuse("What is to change? Give --in or --at, --message, or both.")
    with service(url, secret) as client:
        task = client.reschedule(task_id, **change)
    if json:
        click.echo(display.as_json(display.task_json(task)))
    else:
        due = display.moment_in_full(task.timestamp, datetime.now(UTC))
        click.echo(f"{display.printable(task.id)} is now scheduled at {due}")


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
            complain(" ".join(errors))
        else:
            click.echo(f"Cancelled {display.printable(task_id)}")
        all_cancelled = all_cancelled and not errors
    if json:
        click.echo(display.as_json(results))
    return all_cancelled


def _cancel_tagged(client: "Client", name: str, value: str, *, yes: bool, json: bool) -> None:
    if not yes:
        if not sys.stdin.isatty():
            misuse("Nobody can be asked here whether to cancel all tasks with the tag: give --yes.")
        # Not click.confirm, for which Ctrl-C is as good as a no.
        tag = display.printable(f"{name}={value}")
        click.echo(f"Cancel all scheduled tasks with the tag {tag}? [y/N] ", nl=False, err=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            fail("Nothing was cancelled.")
    count = client.cancel_tagged(name, value)
    click.echo(display.as_json({"cancelled": count}) if json else f"Cancelled {display.counted(count, 'task')}")
