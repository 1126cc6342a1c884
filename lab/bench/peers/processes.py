"""Processes of those that are compared: started in a group of their own, asked with a limit of time, ended for sure."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any, Final, cast

from lab.support.server import ROOT

_ENDS_IN_S: Final = 5


class PeerError(Exception):
    """One of those that are compared did not do what it was asked."""


class Process:
    """A process and those that it starts."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], errors: Path, user: str | None = None
    ) -> None:
        with errors.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules, and servers that were found
                command,
                cwd=ROOT if user is None else errors.parent,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                user=user,
                extra_groups=None if user is None else [],
            )
        self._errors = errors
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self.pid = self._process.pid
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, what: str, timeout_s: float, **how: object) -> Any:  # noqa: ANN401 - whatever the method returns
        """Return what a producer answers."""
        self.tell(what, **how)
        return self.answer(timeout_s, what)

    def tell(self, what: str, **how: object) -> None:
        """Ask without waiting."""
        pipe = cast("IO[bytes]", self._process.stdin)
        try:
            pipe.write(json.dumps({"do": what, **how}).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise PeerError(f"it has ended: {self.last_words()}") from error

    def answer(self, timeout_s: float, what: str) -> Any:  # noqa: ANN401 - the same
        """Wait for what was asked."""
        try:
            line = self._answers.get(timeout=timeout_s)
        except Empty as error:
            raise PeerError(f"no answer to {what} within {timeout_s:.0f} s") from error
        if not line:
            raise PeerError(f"it has ended: {self.last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(str(answer["error"]))
        return answer["answer"]

    def finish(self, timeout_s: float) -> None:
        """Wait until it ends by itself."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"not done within {timeout_s:.0f} s") from error
        finally:
            self.end()
        if self._process.returncode:
            raise PeerError(self.last_words())

    def last_words(self) -> str:
        """Return the last line that it wrote on standard error."""
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDS_IN_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(_ENDS_IN_S)
        with contextlib.suppress(OSError):  # what was written last may not have been read
            cast("IO[bytes]", self._process.stdin).close()

    def _read(self) -> None:
        with cast("IO[bytes]", self._process.stdout) as pipe:
            for line in pipe:
                self._answers.put(line)
        self._answers.put(b"")


def memory_mib(processes: Sequence[Process]) -> float:
    """Return the memory of processes and all that they started, pages that are shared counted once (PSS)."""
    parents = {int(stat.parent.name): _parent(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    family = {process.pid for process in processes}
    while children := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= children
    return sum(map(_pss_kib, family)) / 1024


def _parent(stat: Path) -> int:
    with contextlib.suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return 0


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError as error:
        raise PeerError("this system does not tell how much memory it takes") from error
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
