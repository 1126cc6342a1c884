"""The command line: its commands, and what comes before them. What a command needs is imported when it runs."""

import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from task_scheduler import __version__
from task_scheduler.cli.output import INTERRUPTED, print_error

PROGRAM: Final = "task-scheduler"
_EPILOG: Final = (
    "Exit codes: 0 all went well; 1 the service refused or could not be reached; 2 the command was not understood; "
    "130 ended by Ctrl-C."
)
# Each command with where it is: module:attribute.
_COMMANDS: Final = {
    "schedule": "tasks:schedule",
    "cancel": "tasks:cancel",
    "reschedule": "tasks:reschedule",
    "show": "tasks:show",
    "list": "tasks:list_tasks",
    "events": "events:events",
    "import": "import_export:import_tasks",
    "export": "import_export:export_tasks",
    "doctor": "doctor:doctor",
    "serve": "serve:serve",
    "restore": "serve:restore",
}


class Commands(click.Group):
    """Imports a command when it is asked for, so that none waits for what only another one needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the form that Click calls
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Return a command; None if there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"task_scheduler.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; one that is mistyped gets those that are like it."""
        # Click looks for them among the commands that were added, and none is.
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - what a command returns
        """Run the command; Ctrl-C ends it without a word, as it does other programs."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None


def _show_completion(ctx: click.Context, _param: click.Parameter, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:
        return
    from click.shell_completion import shell_complete

    ctx.exit(shell_complete(ctx.command, {}, PROGRAM, "_TASK_SCHEDULER_COMPLETE", f"{shell}_source"))


@click.group(
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"max_content_width": 100, "show_default": True},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(__version__, message=f"{PROGRAM} %(version)s")
@click.option(
    "--show-completion",
    type=click.Choice(("bash", "zsh", "fish")),
    metavar="SHELL",
    is_eager=True,
    expose_value=False,
    callback=_show_completion,
    help="Show the script that completes commands and options in a shell: bash (4.4 or newer), zsh or fish.",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Schedule messages for later."""
    if ctx.invoked_subcommand is None:  # Click's own no_args_is_help writes to standard error
        click.echo(ctx.get_help())
        ctx.exit(2)


def _open_standard_streams() -> None:
    """Open those that a daemon has closed: the next file would get their number, and the data what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def main() -> None:
    """Run the command line."""
    _open_standard_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Nobody reads on, or the disk is full; what is still to be written would be one more error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print_error(f"Cannot write the output: {error.strerror}.")
        sys.exit(1)
