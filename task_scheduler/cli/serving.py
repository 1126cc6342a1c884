"""`task-scheduler serve`: the local engine in the foreground."""

from pathlib import Path
from typing import Annotated

import typer

from task_scheduler import __version__


def serve(  # noqa: PLR0913 - the options of a command
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a secret.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8000,
    data: Annotated[Path, typer.Option(help="File that keeps the tasks; made if it is not there.")] = Path(
        "task-scheduler.db"
    ),
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="TASK_SCHEDULER_SECRET",
            show_envvar=True,
            help="Secret that callers send as x-pd-secret. Prefer the variable: others can see a command line.",
        ),
    ] = None,
    old_secret: Annotated[
        str | None,
        typer.Option(
            envvar="TASK_SCHEDULER_OLD_SECRET",
            show_envvar=True,
            help="Secret that is taken as well, while callers move from it to the other.",
        ),
    ] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Post every event there; may be given several times.")
    ] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option(
            envvar="TASK_SCHEDULER_WEBHOOK_SECRET", help="What webhooks are signed with: whsec_ and then base64."
        ),
    ] = None,
    test_clock: Annotated[
        bool, typer.Option("--test-clock", help="Let POST /clock set the time forward, for tests of other programs.")
    ] = False,
) -> None:
    """Run the scheduler on this machine until Ctrl-C."""
    from task_scheduler.local import server
    from task_scheduler.local.logs import log_to_stderr
    from task_scheduler.local.store import DataFileError

    def announce(url: str) -> None:
        header = " -H 'x-pd-secret: …'" if secret else ""
        typer.echo(f"Task Scheduler {__version__} listens on {url} and keeps its tasks in {data}.")
        typer.echo(f"""Try:  curl{header} {url}/schedule -d '{{"in": "5s", "message": "Hello"}}'""")
        typer.echo(f"      curl{header} -N -H 'Accept: text/event-stream' {url}/events")

    options = server.Options(
        host=host,
        port=port,
        data=data,
        secret=secret or None,
        old_secret=old_secret or None,
        webhooks=webhook or (),
        webhook_secret=webhook_secret or None,
        test_clock=test_clock,
    )
    log_to_stderr()
    try:
        server.serve(options, announce)
    except (server.ServeError, DataFileError) as error:
        typer.echo(f"task-scheduler: {error}", err=True)
        raise typer.Exit(1) from None
