"""The run from beginning to end: deploy, ask, report, and remove everything, whatever happened."""

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from tests.acceptance.cloud import Cloud
from tests.acceptance.observer import Observer
from tests.acceptance.removal import Left, Removal
from tests.acceptance.report import Finding, Outcome, Redaction, Report, Verdict, line
from tests.acceptance.run import Question, Run, Scale, ask_all, not_asked
from tests.acceptance.stack import Stack, sweep

_SWEEP_S: Final = 300
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEPLOYED: Final = "Does the stack deploy?"


class Stage(Protocol):
    """Where the questions are asked."""

    def open(self) -> Run:
        """Deploy, and return what the questions use; each thing's removal is noted before it is made."""

    def sweep(self) -> list[str]:
        """Remove what the noted steps have left; return commands for what stays."""


@dataclass
class Deployment:
    """The stack of the run in an account."""

    cloud: Cloud
    name: str
    qualifier: str
    scale: Scale
    folder: Path
    log: Path
    removal: Removal
    redact: Redaction

    def open(self) -> Run:
        """Deploy under a name of its own."""
        stack = Stack(self.cloud, self.name, self.folder)
        deployed = stack.deploy(self.removal)
        self.redact.secrets.append(deployed.secret)
        observer = Observer.subscribe(self.cloud, deployed.outputs["TopicArn"], f"{self.name}-observer", self.removal)
        return Run(
            self.cloud,
            stack,
            deployed,
            observer,
            self.removal,
            self.redact,
            self.scale,
            self.qualifier,
            self.folder,
            self.log,
        )

    def sweep(self) -> list[str]:
        """Delete what stayed, and look until nothing with the name of the stack is there."""
        return sweep(self.cloud, self.name, self.qualifier, within_s=_SWEEP_S)


def accept(  # noqa: PLR0913 - the parts of a run, which tests replace
    stage: Stage,
    questions: Sequence[Question],
    removal: Removal,
    redact: Redaction,
    *,
    started: str,
    facts: Mapping[str, str],
    say: Callable[[str], object] = sys.stdout.write,
) -> Report:
    """Ask everything and remove everything; an error or an interruption ends the first part only."""
    found: list[Finding] = []
    durations: dict[str, str] = {}

    def told(finding: Finding) -> None:
        say(line(finding, redact))

    why = ""
    run: Run | None = None
    begin = time.monotonic()
    with Interruption(say) as interruption:
        try:
            run = stage.open()
            durations["Deployed in"] = f"{time.monotonic() - begin:.0f} s"
            ask_all(run, questions, found, told)
            interruption.disarm()
        except KeyboardInterrupt:
            why = "the run was interrupted"
        except Exception as error:  # noqa: BLE001 - whatever it is, what was made is removed
            interruption.disarm()
            outcome = Outcome(Verdict.FAIL, f"{type(error).__name__}: {error}")
            found.append(Finding("deployment", _DEPLOYED, outcome, time.monotonic() - begin))
            told(found[-1])
            why = "the deployment failed"
        begin = time.monotonic()
        if run is not None:
            run.close()
        left = [*removal.all(), *_swept(stage)]
        durations["Removed in"] = f"{time.monotonic() - begin:.0f} s"
    for finding in not_asked(questions, found, why):
        found.append(finding)
        told(finding)
    return Report(started, {**facts, **durations}, found, left)


class Interruption:
    """The first Ctrl-C, or another signal that ends a program, ends the questions; nothing stops the removal."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say: Final = say
        self._armed = True
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def disarm(self) -> None:
        """Interrupt nothing from here on."""
        self._armed = False

    def _handle(self, *_: object) -> None:
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt
        self._say("Everything is being removed; please wait, each step has a time limit.\n")


def _swept(stage: Stage) -> list[Left]:
    try:
        return [Left("something of the run", "it is still there", (command,)) for command in stage.sweep()]
    except Exception as error:  # noqa: BLE001 - the report must say what is known so far
        return [Left("perhaps more", f"looking for it failed: {error}", ())]
