"""`make accept EMULATOR=1`: the whole command, in a process of its own, as an operator runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.questions import QUESTIONS
from tests.support.synthesis import ROOT

pytestmark = [pytest.mark.emulator, pytest.mark.long]

FEW: Final = ("delete-with-body", "untagged", "secret-again")
FAST_S: Final = 240
LONG_S: Final = 1_500


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command against an emulator of its own."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "tests.acceptance", "--emulator", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def report_of(printed: str) -> str:
    """Return the report that the command names at its end."""
    [name] = re.findall(r"The report is (build/accept-\S+\.md)\.", printed)
    file = Path(ROOT, name)
    text = file.read_text()
    file.unlink()
    return text


def lines(report: str) -> dict[str, str]:
    """Return the outcome of each question by its name."""
    return {
        name: outcome for outcome, name in re.findall(r"^\| (PASS|FAIL|INFO) \| `([a-z-]+)`:", report, re.MULTILINE)
    }


def test_it_deploys_asks_reports_and_leaves_nothing() -> None:
    with command(*(f"--only={name}" for name in FEW)) as process:
        printed, errors = process.communicate(timeout=FAST_S)
    report = report_of(printed)
    assert process.returncode == 0, printed + errors
    assert printed.startswith("The acceptance run deploys the stacks TaskSchedulerAccept-")
    assert lines(report) == dict.fromkeys(FEW, "PASS")
    assert "Nothing of the run is left." in report
    assert "000000000000" not in report


def test_after_ctrl_c_everything_is_removed() -> None:
    with command("--only=get-with-body", "--only=lateness") as process:
        assert process.stdout
        seen = ""
        while "get-with-body" not in seen:
            seen = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=FAST_S)
    assert process.returncode == 1, errors
    report = report_of(printed)
    assert lines(report) == {"get-with-body": "PASS", "lateness": "FAIL"}
    assert "It was not asked: the run was interrupted." in report
    assert "Nothing of the run is left." in report


def test_every_question_passes() -> None:
    with command() as process:
        printed, errors = process.communicate(timeout=LONG_S)
    report = report_of(printed)
    assert process.returncode == 0, report + errors
    assert lines(report).keys() == {question.name for question in QUESTIONS}
