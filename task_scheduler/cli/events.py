"""The command that looks at what was emitted: events."""

import sys
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from task_scheduler.cli import output
from task_scheduler.cli.client_options import client_options, json_option, open_client
from task_scheduler.cli.output import print_error
from task_scheduler.contract import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from task_scheduler.client import Client, Event, TaskSchedulerError

_DEFAULT: Final = 50


@click.command
@click.option("--follow", "-f", is_flag=True, help="Continue with new events until Ctrl-C.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Start after the event with this sequence number; 0 is the beginning.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most so many events; without --follow {_DEFAULT}, the last ones or those --after.",
)
@client_options
@json_option
def events(  # noqa: PLR0913 - the options of a command
    *, follow: bool, after: int | None, limit: int | None, url: str | None, secret: str | None, json: bool
) -> None:
    """Show emitted events; with -f also new ones. Reconnects by itself when the connection is lost."""
    add: Callable[[Event], None] = _print_json if json else output.event_rows()
    notice = _Notice()
    with open_client(url, secret) as client:
        if follow:
            client.health()  # who mistyped the address shall not wait for it
            if sys.stdout.isatty():
                print_error(f"Waiting for events from {client.url}; Ctrl-C ends it.")
            found: Iterator[Event] = islice(client.events(after, dropped=notice), limit)
        elif after is None:
            found = iter(_last(client, limit or _DEFAULT))
        else:
            found = islice(_following(client, after), limit or _DEFAULT)
        for event in found:
            add(event)
            notice.shown = False


class _Notice:
    """Tells that the connection is gone: once, until the next event."""

    def __init__(self) -> None:
        self.shown = False

    def __call__(self, why: "TaskSchedulerError", _pause: float) -> None:
        if not self.shown:
            self.shown = True
            print_error(f"{why} Trying again; no event is lost.")


def _print_json(event: "Event") -> None:
    click.echo(output.as_json(output.event_json(event)))


def _last(client: "Client", count: int) -> list["Event"]:
    """Return the newest events, oldest first."""
    from task_scheduler.client.requests import NEWEST

    found: list[Event] = []
    before = NEWEST
    while len(found) < count and (page := client.emitted(before=before, limit=min(MAX_PAGE, count - len(found)))):
        found[:0] = page
        before = page[0].sequence
    return found


def _following(client: "Client", after: int) -> "Iterator[Event]":
    while page := client.emitted(after, limit=MAX_PAGE):
        yield from page
        after = page[-1].sequence
