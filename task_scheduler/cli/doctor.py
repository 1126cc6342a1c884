"""The command that tries a service from end to end, and says in words what is wrong with it: doctor."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from task_scheduler.cli import output
from task_scheduler.cli.client_options import client_options, explanation, json_option, open_client

if TYPE_CHECKING:
    from task_scheduler.client import Client, Event, Scheduled

AHEAD_S: Final = 2
_MESSAGE: Final = "This is only a test, by task-scheduler doctor."
_TAGS: Final = {"from": "task-scheduler-doctor"}
_CLOCKS_DIFFER_S: Final = 5
_ADVICE: Final = (
    "On AWS, look at the alarms, at the executions of the state machine and at the log of the recorder (docs/aws.md); "
    "of a server on one machine, at what it has printed."
)


@dataclass(frozen=True)
class Finding:
    """What came of one check."""

    check: str
    ok: bool
    says: str


@click.command(short_help="Check a service from end to end, and report what is wrong.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=60,
    help="Seconds that a message may be late before the check fails.",
)
@client_options
@json_option
def doctor(*, patience: float, url: str | None, secret: str | None, json: bool) -> None:
    """Check a service from end to end: schedule, cancel, wait for a message, read the stream; say what is wrong."""
    findings = []
    with open_client(url, secret) as client:
        for finding in examine(client, patience_s=patience):
            findings.append(finding)
            if not json:
                click.echo(output.printable(f"{'ok    ' if finding.ok else 'WRONG '} {finding.says}"))
    if json:
        output.print_array(map(asdict, findings))
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(1)


def examine(client: "Client", *, patience_s: float) -> Iterator[Finding]:
    """Check one thing after the other; ends where a wrong one makes the next ones pointless."""
    from task_scheduler.client import TaskSchedulerError

    for check, steps in (("answer", _answer), ("cancel", _cancel), ("emit", _emit)):
        try:
            yield from steps(client, patience_s)
        except TaskSchedulerError as error:
            yield Finding(check, ok=False, says=explanation(error))
            return


def _answer(client: "Client", _patience_s: float) -> Iterator[Finding]:
    from task_scheduler.client import ServerError

    try:
        version = client.health()
    except ServerError as error:  # it says what is wrong; most of it may work all the same
        yield Finding("answer", ok=False, says=f"{client.url} responds: {error}")
    else:
        yield Finding("answer", ok=True, says=f"{client.url} responds, version {version}.")
    next(client.list(page_size=1), None)
    yield Finding("secret", ok=True, says="It lets us in.")


def _cancel(client: "Client", _patience_s: float) -> Iterator[Finding]:
    made = client.schedule_in(timedelta(hours=1), _MESSAGE, tags=_TAGS)
    yield _clocks(made, timedelta(hours=1))
    client.cancel(made.id)
    status = client.get(made.id).status
    says = "A task was scheduled and cancelled." if status == "cancelled" else f"A cancelled task is {status}."
    yield Finding("cancel", ok=status == "cancelled", says=says)


def _emit(client: "Client", patience_s: float) -> Iterator[Finding]:
    """Wait for a message without tags and one with them: on AWS they leave Step Functions in different forms."""
    from task_scheduler.client.requests import NEWEST

    newest = client.emitted(before=NEWEST, limit=1)
    position = newest[0].sequence if newest else 0
    tasks = {
        "A message": client.schedule_in(AHEAD_S, _MESSAGE),
        "A message with tags": client.schedule_in(AHEAD_S, _MESSAGE, tags=_TAGS),
    }
    for what, task in tasks.items():
        yield from _emission(client, what, task, position, patience_s)


def _emission(client: "Client", what: str, made: "Scheduled", position: int, patience_s: float) -> Iterator[Finding]:
    event = _heard(client, made.id, position, AHEAD_S + patience_s)
    if event is None:
        logged = _count(client, made.id, position)
        where = "is in the log of events, but the stream has not brought it" if logged else "was not emitted"
        yield Finding("emit", ok=False, says=f"{what} {where} within {patience_s:g} s after its time. {_ADVICE}")
        return
    late = event.emitted_at - made.timestamp
    ms = late / timedelta(milliseconds=1)
    says = f"{what} was emitted {ms:,.0f} ms after its time, and came by the stream."
    yield Finding("emit", ok=ms >= 0, says=says if ms >= 0 else f"{what} was emitted {-ms:,.0f} ms too early.")
    times = _count(client, made.id, position)
    status = client.get(made.id).status
    right = (times, status) == (1, "emitted")
    says = "It is in the log of events once." if right else f"It is in the log {times} times, and the task is {status}."
    yield Finding("log", ok=right, says=says)


def _count(client: "Client", task_id: str, position: int) -> int:
    """Count the events of a task in the log after a position; others may have emitted many pages of events since."""
    from task_scheduler.client.requests import NEWEST

    newest = client.emitted(before=NEWEST, limit=1)
    times = 0
    while newest and position < newest[0].sequence and (page := client.emitted(position, limit=1000)):
        times += sum(each.task_id == task_id for each in page)
        position = page[-1].sequence
    return times


def _clocks(made: "Scheduled", ahead: timedelta) -> Finding:
    """Compare clocks: a message comes by the service's, whatever that of this machine shows."""
    apart = (made.timestamp - ahead - datetime.now(UTC)).total_seconds()
    if abs(apart) <= _CLOCKS_DIFFER_S:
        return Finding("clock", ok=True, says="Its clock is that of this machine.")
    side = "ahead of" if apart > 0 else "behind"
    return Finding("clock", ok=False, says=f"Its clock is {abs(apart):,.0f} s {side} that of this machine.")


def _heard(client: "Client", task_id: str, position: int, seconds: float) -> "Event | None":
    """Wait until the stream has the event of a task; None if it does not come in time."""
    from task_scheduler.client import TaskSchedulerError

    found: queue.SimpleQueue[Event | TaskSchedulerError] = queue.SimpleQueue()

    def listen() -> None:
        try:
            found.put(next(event for event in client.events(position) if event.task_id == task_id))
        except TaskSchedulerError as error:
            found.put(error)
        except RuntimeError:  # nobody waits any more: the client is closed
            return

    threading.Thread(target=listen, daemon=True).start()
    try:
        event = found.get(timeout=seconds)
    except queue.Empty:
        return None
    if isinstance(event, TaskSchedulerError):
        raise event
    return event
