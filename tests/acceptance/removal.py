"""What was created is removed, whatever happens: each step is noted before the thing it removes is made."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.cloud import CdkError

_GONE: Final = ("NotFound", "NoSuch", "DoesNotExist", "NonExistent", "ResourceNotFoundException")
_ERRORS: Final = (BotoCoreError, ClientError, CdkError, OSError, RuntimeError, AssertionError)


@dataclass(frozen=True)
class Step:
    """How to remove one thing."""

    what: str
    remove: Callable[[], object]
    commands: tuple[str, ...]
    """What an operator types where that failed."""


@dataclass(frozen=True)
class Left:
    """Something that could not be removed."""

    what: str
    why: str
    commands: tuple[str, ...]


@dataclass
class Removal:
    """The steps so far; the last thing that was made goes first."""

    say: Callable[[str], object] = sys.stdout.write
    _steps: list[Step] = field(default_factory=list)

    def add(self, what: str, remove: Callable[[], object], *commands: str) -> Step:
        """Note how to remove what is about to be made."""
        step = Step(what, remove, commands)
        self._steps.append(step)
        return step

    def now(self, step: Step) -> None:
        """Remove one thing before the end; the step stays noted if that fails."""
        _remove(step)
        self._steps.remove(step)

    def all(self) -> list[Left]:
        """Take every step, also after one that failed; returns what is left."""
        left = []
        while self._steps:
            step = self._steps.pop()
            self.say(f"Removing {step.what} ...\n")
            try:
                _remove(step)
            except _ERRORS as error:
                left.append(Left(step.what, str(error).strip() or type(error).__name__, step.commands))
        return left


def _remove(step: Step) -> None:
    try:
        step.remove()
    except ClientError as error:
        if not any(part in error.response["Error"]["Code"] for part in _GONE):
            raise


def until_empty(look: Callable[[], Sequence[str]], *, within_s: float, every_s: float) -> Sequence[str]:
    """Look until nothing is found, or the time is over; returns what was found last."""
    deadline = time.monotonic() + within_s
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return found
