"""`python -m lab.load`: a mixed load at a rate, for a time, against a server that is given or one of its own."""

import argparse
import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from lab.load.connection import Target
from lab.load.run import Run
from lab.load.server import Server, own_server

if sys.platform == "win32":  # pragma: no cover
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def arguments() -> argparse.ArgumentParser:
    """Return what can be given."""
    parser = argparse.ArgumentParser(prog="python -m lab load", description=__doc__)
    parser.add_argument("--url", help="of a deployment; without it, a server is started on this machine")
    parser.add_argument(
        "--secret",
        default=os.environ.get("TASK_SCHEDULER_SECRET"),
        help="of that deployment; prefer TASK_SCHEDULER_SECRET: others can see a command line",
    )
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--streams", type=int, default=50, help="listeners of the event stream (default: 50)")
    parser.add_argument("--seed", help="sends the same requests at the same times again")
    parser.add_argument("--most-open", type=int, default=400, help="requests under way at once (default: 400)")
    return parser


async def measure(given: argparse.Namespace) -> bool:
    """Run it and print the report; returns whether every promise was kept."""
    seed = given.seed or secrets.token_hex(4)
    async with AsyncExitStack() as stack:
        if given.url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="task-scheduler-load-"))
            server = await stack.enter_async_context(own_server(Path(folder)))
        else:
            server = Server(Target(given.url, given.secret))
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, end.set)
        sys.stdout.write(
            f"{given.rate:g} requests a second for {given.seconds:g} s, {given.streams} streams, seed {seed}\n"
        )
        sys.stdout.flush()
        run = Run(server, given, seed)
        await run.run(end)
        sys.stdout.write("\n".join(run.lines()) + "\n")
    return run.is_well


def main(given: Sequence[str]) -> int:
    """Return 0 if every promise was kept, 1 if not."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return 0 if runner.run(measure(arguments().parse_args(given))) else 1
    except OSError as error:
        sys.stderr.write(f"The server cannot be reached, or ended: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
