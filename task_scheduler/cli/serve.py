"""`task-scheduler serve`: the local engine in the foreground."""

from pathlib import Path

import click

from task_scheduler import __version__


@click.command
@click.option("--host", default="127.0.0.1", help="Address to listen on; any but loopback needs a secret.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    default="task-scheduler.db",
    help="Data file; created if it does not exist.",
)
@click.option(
    "--secret",
    envvar="TASK_SCHEDULER_SECRET",
    show_envvar=True,
    help="Secret that clients send as x-pd-secret. Prefer the variable: other users can see the command line.",
)
@click.option(
    "--old-secret",
    envvar="TASK_SCHEDULER_OLD_SECRET",
    show_envvar=True,
    help="Previous secret, accepted as well while clients change to the new one.",
)
@click.option("--webhook", multiple=True, metavar="URL", help="Post every event to this URL; repeatable.")
@click.option(
    "--webhook-secret",
    envvar="TASK_SCHEDULER_WEBHOOK_SECRET",
    show_envvar=True,
    help="Secret that signs webhooks: whsec_ followed by base64.",
)
@click.option("--quiet", is_flag=True, help="Print no line for each accepted or emitted task.")
@click.option(
    "--test-clock", is_flag=True, help="Enable POST /clock, which advances the time, for tests of other programs."
)
def serve(  # noqa: PLR0913 - the options of a command
    *,
    host: str,
    port: int,
    data: Path,
    secret: str | None,
    old_secret: str | None,
    webhook: tuple[str, ...],
    webhook_secret: str | None,
    quiet: bool,
    test_clock: bool,
) -> None:
    """Run the scheduler on this machine until Ctrl-C."""
    from task_scheduler.local import server
    from task_scheduler.local.logs import log_to_stderr
    from task_scheduler.local.schema import DataFileError
    from task_scheduler.local.task_printer import TaskPrinter

    def announce(url: str) -> None:
        header = " -H 'x-pd-secret: …'" if secret else ""
        click.echo(f"Task Scheduler {__version__} listens on {url} and keeps its tasks in {data}.")
        click.echo(f"Open {url} in a browser, or try:")
        click.echo(f"""  curl{header} {url}/schedule -d '{{"in": "5s", "message": "Hello"}}'""")
        click.echo(f"  curl{header} -N -H 'Accept: text/event-stream' '{url}/events?after=0'")

    options = server.Options(
        host=host,
        port=port,
        data=data,
        secret=secret or None,
        old_secret=old_secret or None,
        webhooks=webhook,
        webhook_secret=webhook_secret or None,
        test_clock=test_clock,
        printer=None if quiet else TaskPrinter(click.echo),
    )
    log_to_stderr()
    try:
        server.serve(options, announce)
    except (server.ServeError, DataFileError) as error:
        click.echo(f"task-scheduler: {error}", err=True)
        raise click.exceptions.Exit(1) from None


@click.command
@click.argument("backup", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    default="task-scheduler.db",
    help="Data file of the server, which must be stopped.",
)
def restore(backup: Path, data: Path) -> None:
    """Replace the data file by a backup; the previous file is renamed."""
    from task_scheduler.local.restore import restore as restore_backup
    from task_scheduler.local.schema import DataFileError

    try:
        kept = restore_backup(backup, data)
    except DataFileError as error:
        click.echo(f"task-scheduler: {error}", err=True)
        raise click.exceptions.Exit(1) from None
    if kept:
        click.echo(f"The file that was there is now {kept}.")
    click.echo(f"{data} is restored from {backup}. What was due since the backup is emitted when the server starts.")
