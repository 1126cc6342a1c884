"""The commands that change something: schedule, cancel, reschedule."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from task_scheduler.cli import display, given
from task_scheduler.cli.given import AsJson, AsText, At, In, Zone
from task_scheduler.cli.service import Json, Secret, Url, complain, fail, misuse, service

if TYPE_CHECKING:
    from task_scheduler.client import Client

Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="A text to find the task by; may be given several times."),
]
_MESSAGE_HELP = "@FILE is read from a file, - from standard input. What is JSON is sent as JSON, all else as a text."


def schedule(  # noqa: PLR0913 - the options of a command
    *,
    message: Annotated[
        str | None,
        typer.Argument(
            help=f"What is to be emitted; standard input, if it is left out. {_MESSAGE_HELP}", show_default=False
        ),
    ] = None,
    in_: In = None,
    at: At = None,
    tz: Zone = None,
    tag: Tag = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", metavar="NAME=VALUE", help="A further field to emit, JSON or text; may be given several times."
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The same key makes a repeated command one task, not two."),
    ] = None,
    as_text: AsText = False,
    as_json: AsJson = False,
    url: Url = None,
    secret: Secret = None,
    json: Json = False,
) -> None:
    """Have a message emitted at a time."""
    moment = given.when(in_, at, tz)
    if not moment:
        misuse("When? Give --in, such as --in 30s, or --at.")
    content = given.message(message, as_text=as_text, as_json=as_json)
    options: dict[str, Any] = {
        "tags": given.tags(tag or ()),
        "extra": given.fields(field or ()),
        "idempotency_key": idempotency_key,
    }
    with service(url, secret) as client:
        if "delay" in moment:
            made = client.schedule_in(moment["delay"], content, **options)
        else:
            made = client.schedule(message=content, **moment, **options)
    if json:
        typer.echo(display.as_json({"id": made.id, "timestamp": display.iso(made.timestamp)}))
    else:
        due = display.moment_in_full(made.timestamp, datetime.now(UTC))
        typer.echo(f"Scheduled {display.printable(made.id)} at {due}")


def cancel(  # noqa: PLR0913 - the options of a command
    *,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The tasks.", show_default=False)] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE", help="All scheduled tasks with this tag, instead of IDs.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    secret: Secret = None,
    json: Json = False,
) -> None:
    """Make sure that tasks will not be emitted; each is tried, whatever became of the others."""
    if bool(ids) == (tag is not None):
        misuse("Which tasks? Give their ids, or one --tag.")
    with service(url, secret) as client:
        if tag is not None:
            _cancel_tagged(client, *given.tag(tag), yes=yes, json=json)
        elif not _cancel_each(client, ids or [], json=json):
            raise typer.Exit(1)


def reschedule(  # noqa: PLR0913 - the options of a command
    *,
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task.")],
    in_: In = None,
    at: At = None,
    tz: Zone = None,
    message: Annotated[str | None, typer.Option(metavar="MESSAGE", help=f"Another message. {_MESSAGE_HELP}")] = None,
    as_text: AsText = False,
    as_json: AsJson = False,
    url: Url = None,
    secret: Secret = None,
    json: Json = False,
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
        typer.echo(display.as_json(display.task_json(task)))
    else:
        due = display.moment_in_full(task.timestamp, datetime.now(UTC))
        typer.echo(f"{display.printable(task.id)} is now scheduled at {due}")


def _cancel_each(client: "Client", ids: list[str], *, json: bool) -> bool:
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
            typer.echo(f"Cancelled {display.printable(task_id)}")
        all_cancelled = all_cancelled and not errors
    if json:
        typer.echo(display.as_json(results))
    return all_cancelled


def _cancel_tagged(client: "Client", name: str, value: str, *, yes: bool, json: bool) -> None:
    if not yes:
        if not sys.stdin.isatty():
            misuse("Nobody can be asked here whether to cancel all tasks with the tag: give --yes.")
        # Not typer.confirm, for which Ctrl-C is as good as a no.
        tag = display.printable(f"{name}={value}")
        typer.echo(f"Cancel all scheduled tasks with the tag {tag}? [y/N] ", nl=False, err=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            fail("Nothing was cancelled.")
    count = client.cancel_tagged(name, value)
    typer.echo(display.as_json({"cancelled": count}) if json else f"Cancelled {display.counted(count, 'task')}")
