"""The commands that examples/README.md prints, run as they are printed: in a folder that holds `examples`."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from emulator.tools import environment
from tests.support.clock import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
README: Final = (EXAMPLES / "README.md").read_text()
COMMANDS: Final = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ ")]
_SECONDS: Final = 120  # for anything here, also on a busy machine; so that a test fails rather than hangs


def printed(command: str) -> str:
    """Return the command, which README.md prints."""
    assert command in COMMANDS
    return command


class Running:
    """An example that runs on, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process = process
        self._output = output
        self._errors = errors

    def lines(self) -> list[str]:
        """Return the whole lines of its standard output."""
        text = self._output.read_text()
        return text[: text.rfind("\n") + 1].splitlines()

    def errors(self) -> str:
        """Return its standard error."""
        return self._errors.read_text()

    def wait_for_lines(self, count: int) -> list[str]:
        """Return its lines once there are so many; fails when it ends before."""

        def enough() -> list[str] | None:
            assert self._process.poll() is None or len(self.lines()) >= count, self.errors()
            return self.lines() if len(self.lines()) >= count else None

        return eventually(enough, within=_SECONDS)

    def wait_for_error(self, text: str) -> None:
        """Return once its standard error has this text."""
        eventually(lambda: text in self.errors() or self._ended(), within=_SECONDS)
        assert text in self.errors()

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Stop it, by default as Ctrl-C does; returns its exit code."""
        self._process.send_signal(how)
        return self._process.wait(_SECONDS)

    def kill(self) -> None:
        """End it as a crash would."""
        self.stop(signal.SIGKILL)

    def exit_code(self) -> int:
        """Return its exit code once it has ended by itself."""
        return self._process.wait(_SECONDS)


class Workplace:
    """A folder with the examples in it, and the variables that say where Task Scheduler is."""

    def __init__(self, folder: Path, url: str, secret: str | None = None) -> None:
        self.folder = folder
        shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        self.variables = environment(
            folder,
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",  # ours are not what people have, and take their time
            TASK_SCHEDULER_URL=url,
        )
        if secret is not None:
            self.variables["TASK_SCHEDULER_SECRET"] = secret

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(  # noqa: S603 - a command of README.md
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    @contextmanager
    def running(self, command: str, **variables: str) -> Iterator[Running]:
        """Run a command while the block lasts."""
        number = len(list(self.folder.glob("*.output")))
        output, errors = self.folder / f"{number}.output", self.folder / f"{number}.errors"
        with output.open("wb") as written, errors.open("wb") as failed:
            process = subprocess.Popen(  # noqa: S603 - a command of README.md
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.variables | variables,
                stdout=written,
                stderr=failed,
            )
        try:
            yield Running(process, output, errors)
        finally:
            process.kill()
            process.wait(_SECONDS)
