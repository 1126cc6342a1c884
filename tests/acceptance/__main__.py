"""`make accept`: says what it costs, asks, tries everything on the AWS account of the caller, and removes it again."""

import argparse
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

import task_scheduler
from emulator import EmulatorError
from emulator.tools import BUILD, CDK, ROOT
from stacks.account import PreconditionError
from stacks.settings import SettingError
from tests.acceptance.accept import Deployment, accept
from tests.acceptance.cloud import CdkError, Cloud, caller, emulated
from tests.acceptance.cost import estimate
from tests.acceptance.questions import QUESTIONS
from tests.acceptance.removal import Removal
from tests.acceptance.report import Redaction, Report
from tests.acceptance.run import EMULATED, Question, Scale

PREFIX: Final = "TaskSchedulerAccept-"
NOT_STARTED: Final = 2
_HOUR: Final = "It takes about an hour; credentials that expire before its end would leave things behind.\n"


def main(arguments: list[str] | None = None) -> int:
    """Run it; returns 0 where all passed and nothing is left, 1 where not, 2 where nothing was started."""
    given = _parse(arguments)
    questions = [one for one in QUESTIONS if not given.only or one.name in given.only]
    scale = _scale(given)
    with ExitStack() as stack:
        try:
            if given.emulator:
                stack.enter_context(emulated())
            cloud = caller(given.stack, emulated=given.emulator)
        except (PreconditionError, SettingError, EmulatorError, CdkError) as error:
            return _refuse(str(error))
        except KeyboardInterrupt:
            return _refuse("stopped before anything was created.")
        _say(statement(cloud, given.stack, len(questions), scale))
        if not given.emulator and not given.yes and (reason := unconfirmed(sys.stdin)):
            return _refuse(reason)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="task-scheduler-accept-")))
        return _run(cloud, given, questions, scale, folder)


def statement(cloud: Cloud, name: str, questions: int, scale: Scale) -> str:
    """Say what the run creates, where, and what it costs."""
    where = "in the emulator on this machine, which costs nothing" if cloud.endpoint else f"in region {cloud.region}"
    return (
        f"The acceptance run deploys the stacks {name}, {name}-iam and {name}-toolkit into account {cloud.account}, "
        f"{where}, asks {questions} question{'s' if questions > 1 else ''}, and destroys all of it.\n"
        f"{estimate(scale.late_tasks).sentence()} What stays is the history of its metrics, "
        f"which CloudWatch keeps for 15 months without charge.\n{'' if cloud.endpoint else _HOUR}"
    )


def unconfirmed(answers: TextIO) -> str:
    """Ask whether to go on; return why not, or nothing."""
    if not answers.isatty():
        return "nothing was started, as there is no terminal to confirm it: set YES=1 to agree beforehand."
    _say("Go on? [y/N] ")
    return "" if answers.readline().strip().lower() in {"y", "yes"} else "nothing was started."


def _run(cloud: Cloud, given: argparse.Namespace, questions: list[Question], scale: Scale, folder: Path) -> int:
    now = datetime.now(UTC)
    BUILD.mkdir(exist_ok=True)
    file = BUILD / f"accept-{now:%Y-%m-%dT%H%MZ}.md"
    redact, removal = Redaction(cloud.account), Removal(_say)
    qualifier = f"ts{secrets.token_hex(4)}"
    log = file.with_suffix(".suite.log")
    deployment = Deployment(cloud, given.stack, qualifier, scale, folder, log, removal, redact)
    report = accept(
        deployment,
        questions,
        removal,
        redact,
        started=f"{now:%Y-%m-%d %H:%M} UTC",
        facts={**_versions(), "Account": redact.masked, "Region": cloud.region, "Stack": given.stack}
        | ({"Place": "the emulator, not AWS"} if cloud.endpoint else {}),
        say=_say,
    )
    file.write_text(report.markdown(redact))
    _tell(report, file)
    return 0 if report.passed else 1


def _tell(report: Report, file: Path) -> None:
    for one in report.left:
        _say(f"\nCould not remove {one.what}: {one.why}\n" + "".join(f"  {command}\n" for command in one.commands))
    _say(f"\n{report.summary()} The report is {file.relative_to(ROOT)}.\n")


def _versions() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - the one that people use
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    cli = subprocess.run([CDK, "--version"], capture_output=True, text=True, check=False).stdout.split(" ")[0].strip()  # noqa: S603 - our own tool
    return {
        "Task Scheduler": f"{task_scheduler.__version__}, commit {commit or 'unknown'}",
        "CDK": f"CLI {cli or 'unknown'}, aws-cdk-lib {version('aws-cdk-lib')}",
        "Python": f"{sys.version.split()[0]}, botocore {version('botocore')}",
    }


def _scale(given: argparse.Namespace) -> Scale:
    scale = EMULATED if given.emulator else Scale()
    named = {"silence_s": given.silence, "late_tasks": given.tasks, "spread_s": given.spread}
    return replace(scale, **{name: value for name, value in named.items() if value is not None})


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="agree to the cost beforehand")
    parser.add_argument("--emulator", action="store_true", help="in an emulator on this machine instead of AWS")
    parser.add_argument("--only", action="append", choices=[one.name for one in QUESTIONS], help="ask this one only")
    parser.add_argument("--silence", type=float, metavar="SECONDS", help="before GET /events is asked again")
    parser.add_argument("--tasks", type=int, metavar="N", help="whose lateness is measured")
    parser.add_argument("--spread", type=float, metavar="SECONDS", help="within which they are due")
    parser.add_argument(
        "--stack", type=_name, default=f"{PREFIX}{secrets.token_hex(3)}", help=f"must begin with {PREFIX}"
    )
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    if not text.startswith(PREFIX):
        raise argparse.ArgumentTypeError(f"must begin with {PREFIX}, so that it is no stack of yours")
    return text


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"Task Scheduler: {sentence}\n")
    return NOT_STARTED


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(main())
