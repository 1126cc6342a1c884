"""The options that name a service, the client that a command opens to it, and how its errors are explained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from task_scheduler.cli.output import printable

if TYPE_CHECKING:
    from task_scheduler.client import Client, TaskSchedulerError

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", is_flag=True, help="Print only JSON, for programs.")

# A person waits: 3 retries take less than 2 s where the connection is refused, and 10 s where nothing responds at all.
RETRIES: Final = 3
CONNECT_TIMEOUT_S: Final = 2.0


def client_options(command: Function) -> Function:
    """Add which service a command talks to."""
    url = click.option(
        "--url",
        envvar="TASK_SCHEDULER_URL",
        show_envvar=True,
        metavar="URL",
        help="URL of the service; by default http://127.0.0.1:8000, this machine.",
    )
    secret = click.option(
        "--secret",
        envvar="TASK_SCHEDULER_SECRET",
        show_envvar=True,
        help="Secret of the service. Prefer the variable: other users can see the command line.",
    )
    return url(secret(command))


@contextmanager
def open_client(url: str | None, secret: str | None) -> Iterator["Client"]:
    """Open a client; what it raises ends the command with a sentence."""
    from task_scheduler.client import Client, TaskSchedulerError

    try:
        with Client(url, secret, retries=RETRIES, connect_timeout=CONNECT_TIMEOUT_S) as client:
            yield client
    except TaskSchedulerError as error:
        raise click.ClickException(printable(explanation(error))) from None
    except ValueError as error:  # it cannot be sent at all
        raise click.UsageError(printable(str(error))) from None


def explanation(error: "TaskSchedulerError") -> str:
    """Return what went wrong, and what to do."""
    from task_scheduler.client import UnauthorizedError, UnreachableError

    if isinstance(error, UnreachableError):
        return f"{error} Start one with `task-scheduler serve`, or name another by --url or TASK_SCHEDULER_URL."
    if isinstance(error, UnauthorizedError):
        return f"{error} Set TASK_SCHEDULER_SECRET, or give --secret."
    return str(error)
