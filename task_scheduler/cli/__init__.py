"""The command line: its commands, and what comes before them. What a command needs is imported when it runs."""

import os
import sys
from typing import Annotated

import typer

from task_scheduler import __version__
from task_scheduler.cli import change, doctor, look, serving, transfer, watch
from task_scheduler.cli.service import complain

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Schedule messages for later.",
    epilog="Exit codes: 0 all went well; 1 the service refused or could not be reached; 2 the command was not "
    "understood; 130 ended by Ctrl-C.",
)
app.command()(change.schedule)
app.command()(change.cancel)
app.command()(change.reschedule)
app.command()(look.show)
app.command(name="list")(look.list_tasks)
app.command()(watch.events)
app.command(name="import")(transfer.import_tasks)
app.command(name="export")(transfer.export_tasks)
app.command()(doctor.doctor)
app.command()(serving.serve)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the form that Typer calls
    if wanted:
        typer.echo(f"task-scheduler {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take what comes before a command."""


def main() -> None:
    """Run the command line."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Nobody reads on, or the disk is full; what is still to be written would be one more error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            complain(f"Cannot write the output: {error.strerror}.")
        sys.exit(1)
