"""`make accept` without an account: the statement, the refusal, the judgements, the report, and the removal."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast
from unittest.mock import Mock

import boto3
import pytest

from tests.acceptance import __main__ as command
from tests.acceptance.accept import accept
from tests.acceptance.cloud import Cloud
from tests.acceptance.removal import Left, Removal
from tests.acceptance.report import Outcome, Redaction, Report, Verdict
from tests.acceptance.run import Question, Run

ACCOUNT: Final = "123456789012"
SECRET: Final = "correct-horse-battery-staple"  # noqa: S105 - of no deployment
OK: Final = Outcome(Verdict.PASS, "as it should be")
NAME: Final = "TaskSchedulerAccept-abc123"


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(ACCOUNT, "aws", "eu-west-1", boto3.Session(region_name="eu-west-1"), tmp_path)


@dataclass
class World:
    """What a run has made and removed, and what it has printed."""

    made: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    removal: Removal = field(init=False)

    def __post_init__(self) -> None:
        self.removal = Removal(self.printed.append)

    def make(self, what: str) -> None:
        self.removal.add(what, lambda: self.made.remove(what), f"remove {what}")
        self.made.append(what)

    def open(self) -> Run:
        self.make("the stack")
        return cast("Run", SimpleNamespace(close=lambda: None, world=self))

    def sweep(self) -> list[str]:
        return self.stays

    def run(self, *asked: Callable[[Run], Outcome]) -> Report:
        questions = [Question(f"question-{number}", "Is it so?", ask) for number, ask in enumerate(asked)]
        redact = Redaction(ACCOUNT, [SECRET])
        return accept(self, questions, self.removal, redact, started="now", facts={}, say=self.printed.append)


def outcomes(report: Report) -> list[tuple[str, str]]:
    return [(one.outcome.verdict, one.outcome.fact) for one in report.findings]


def test_after_a_question_that_fails_the_others_are_asked_and_all_is_removed() -> None:
    world = World()

    def fails(_run: Run) -> Outcome:
        world.make("a queue")
        raise ValueError(f"no {SECRET} of {ACCOUNT}")

    report = world.run(fails, lambda _: OK)
    assert not report.passed
    assert world.made == []
    assert outcomes(report)[1] == ("pass", "as it should be")
    text = "".join(world.printed) + report.markdown(Redaction(ACCOUNT, [SECRET]))
    assert SECRET not in text
    assert ACCOUNT not in text
    assert "ValueError: no (secret) of ********9012" in text


def test_what_cannot_be_removed_is_named_with_its_commands_and_the_rest_goes() -> None:
    world = World(stays=["aws dynamodb delete-table --table-name kept"])

    def makes(_run: Run) -> Outcome:
        world.removal.add("a bucket", stubborn, f"aws s3 rb --force s3://bucket-{ACCOUNT}")
        world.make("a queue")
        return OK

    def stubborn() -> None:
        raise RuntimeError("it is not empty")

    report = world.run(makes)
    assert world.made == []
    assert not report.passed
    assert report.left[0] == Left("a bucket", "it is not empty", (f"aws s3 rb --force s3://bucket-{ACCOUNT}",))
    assert report.left[1].commands == ("aws dynamodb delete-table --table-name kept",)
    text = report.markdown(Redaction(ACCOUNT))
    assert "`aws s3 rb --force s3://bucket-********9012`" in text
    assert "LEFT BEHIND: 2" in text


@pytest.mark.parametrize(
    ("arguments", "terminal", "typed", "code"),
    [
        *(([], True, "y\n", 0), ([], True, "YES\n", 0), ([], True, "\n", 2), ([], True, "n\n", 2), ([], True, "", 2)),
        *(([], False, "y\n", 2), (["--yes"], False, "", 0)),
    ],
)
def test_only_a_yes_at_a_terminal_or_beforehand_starts_it(  # noqa: PLR0913 - what is typed where
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, arguments: list[str], *, terminal: bool, typed: str, code: int
) -> None:
    answers = io.StringIO(typed)
    started = Mock(return_value=0)
    monkeypatch.setattr(answers, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdin", answers)
    monkeypatch.setattr(command, "caller", lambda _stack, **_: cloud)
    monkeypatch.setattr(command, "_run", started)
    assert command.main(arguments) == code
    assert started.called is (code == 0)


def test_an_endpoint_that_may_not_be_aws_is_rejected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert command.main(["--yes"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), "AWS_ENDPOINT_URL is set" in err) == ("", 1, True)


def test_a_stack_name_without_the_prefix_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--stack", "TaskScheduler"])
    assert "must begin with TaskSchedulerAccept-" in capsys.readouterr().err
