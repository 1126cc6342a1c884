"""The command line as a process of its own, which is gone when the test is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_ROOT: Final = Path(__file__).parents[2]
WITHIN: Final = 60  # seconds; long enough for anything here, so that a test fails rather than hangs


@contextmanager
def started(
    *arguments: str,
    url: str,
    secret: str = "",
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    """Start a command."""
    ours = ("TASK_SCHEDULER_", "COLUMNS", "LINES")  # the last two are pytest's own, and would be the terminal's size
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"TASK_SCHEDULER_URL": url, "TASK_SCHEDULER_SECRET": secret}
    command = [sys.executable, "-m", "task_scheduler.cli", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=_ROOT, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def run(*arguments: str, url: str, secret: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `given` on its standard input."""
    with started(*arguments, url=url, secret=secret, stdin=subprocess.PIPE) as process:
        stdout, stderr = process.communicate(given, WITHIN)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)
