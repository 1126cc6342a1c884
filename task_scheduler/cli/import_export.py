"""The commands that move many tasks: import and export, as lines of JSON."""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from task_scheduler.cli import output, params
from task_scheduler.cli.client_options import (
    CONNECT_TIMEOUT_S,
    client_options,
    explanation,
    json_option,
    open_client,
)
from task_scheduler.cli.output import INTERRUPTED, print_error
from task_scheduler.cli.tasks import selection_options
from task_scheduler.contract import MAX_PAGE

if TYPE_CHECKING:
    from task_scheduler.cli.importer import Tally
    from task_scheduler.cli.progress import Bar

_FILE: Final = click.Path(allow_dash=True, readable=False)  # which checks nothing, but lets a shell complete it


@click.command("import", short_help="Schedule a task for each line of JSON.")
@click.argument("file", type=_FILE, help="Lines of JSON; - is standard input.")
@client_options
@json_option
def import_tasks(*, file: str, url: str | None, secret: str | None, json: bool) -> None:
    """Schedule a task for each line of JSON, such as {"timestamp": "2026-12-01T09:00:00Z", "message": "Hello"}.

    A line is what POST /schedule takes; the id in a line of an export only tells it from others, since each task gets
    a new one. Lines that are refused are named by their number, and all others are imported. The same file again makes
    nothing twice for as long as its tasks are stored, so after Ctrl-C or a failure, import it again.
    """
    from task_scheduler.cli.importer import Tally

    with open_client(url, secret) as client:
        client.health()  # who mistyped the address shall not wait as long as an import does for a service in trouble
    tally = Tally()
    stopped, code = _import_all(file, url, secret, tally)
    imported = output.counted(tally.imported, "line")
    if stopped:
        print_error(f"{stopped} {imported} imported. To go on, import the same again: nothing is made twice.")
    if json:
        click.echo(output.as_json({"imported": tally.imported, "refused": tally.refused}))
    elif not stopped:
        click.echo(f"Imported {imported}, refused {tally.refused:,}. What was imported before is not made again.")
    raise click.exceptions.Exit(code or (1 if tally.refused else 0))


@click.command("export", short_help="Write tasks as lines of JSON that import takes.")
@click.argument("file", type=_FILE, default="-", help="Where to write; - is standard output.")
@selection_options
@client_options
def export_tasks(  # noqa: PLR0913 - the options of a command
    *,
    file: str,
    status: str,
    from_: str | None,
    to: str | None,
    tag: str | None,
    url: str | None,
    secret: str | None,
) -> None:
    """Write tasks as lines of JSON that import takes; FILE is replaced when all of them are written, or not at all."""
    from task_scheduler.cli.jsonl import line_of
    from task_scheduler.cli.progress import Bar

    chosen = params.selection(status, from_, to, tag)
    count = 0
    try:
        seen = file == "-" and sys.stdout.isatty()  # no bar among the lines
        with _written(file) as out, open_client(url, secret) as client, Bar("Exporting", None, hidden=seen) as bar:
            for task in client.list(**chosen, page_size=MAX_PAGE):
                out.write(line_of(task).encode() + b"\n")
                count += 1
                bar.show(count)
    except KeyboardInterrupt:
        state = f"{file} is as it was" if file != "-" else "the rest is missing"
        print_error(f"Interrupted after {output.counted(count, 'task')}; {state}.")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except OSError as error:
        if file == "-":
            raise  # like any other command that cannot print
        raise click.ClickException(f"Cannot write {file}: {error.strerror}.") from None
    if file != "-":
        click.echo(f"Exported {output.counted(count, 'task')} to {file}", err=True)


def _import_all(file: str, url: str | None, secret: str | None, tally: "Tally") -> tuple[str, int]:
    """Import a file; return what stopped it, if anything did, and the exit code for that."""
    import asyncio

    from task_scheduler.cli.jsonl import NotLinesError
    from task_scheduler.cli.progress import Bar
    from task_scheduler.client import TaskSchedulerError

    source, size = _open(file)
    with Bar("Importing", size) as bar:
        try:
            asyncio.run(_import(source, url, secret, tally, bar))
        except KeyboardInterrupt:
            return "Interrupted.", INTERRUPTED
        except TaskSchedulerError as error:
            return explanation(error), 1
        except NotLinesError as error:
            raise click.UsageError(str(error)) from None
        except OSError as error:
            return f"Cannot read {file}: {error.strerror}.", 1
    return "", 0


async def _import(source: BinaryIO, url: str | None, secret: str | None, tally: "Tally", bar: "Bar") -> None:
    from task_scheduler.cli.importer import RETRIES, Importer
    from task_scheduler.client import AsyncClient

    async with AsyncClient(url, secret, retries=RETRIES, connect_timeout=CONNECT_TIMEOUT_S) as client:
        await Importer(client, tally, say=bar.say, show=bar.show).run(source)


def _open(file: str) -> tuple[BinaryIO, int | None]:
    """Open what is to be read, with its size if it has one."""
    try:
        # Not sys.stdin: a thread may still be reading when the program ends, and would keep it from ending.
        source = open(sys.stdin.fileno(), "rb", closefd=False) if file == "-" else Path(file).open("rb")  # noqa: SIM115 - no path; who reads it closes it
        status = os.fstat(source.fileno())
    except OSError as error:
        raise click.UsageError(f"Cannot read {file}: {error.strerror}.") from None
    return source, status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _written(file: str) -> Iterator[BinaryIO]:
    """Yield where to write; a file takes its name only when the block is left without an error."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(file).resolve()
    if target.exists() and not target.is_file():  # a device or a pipe, which cannot be replaced
        with target.open("wb") as out:
            yield out
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
