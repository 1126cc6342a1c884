"""What the run has found: one line per question, for the terminal and as Markdown, without secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Final, NamedTuple

from tests.acceptance.removal import Left

_SHOWN: Final = 4  # digits of the account id


class Verdict(StrEnum):
    """How a question was answered; INFO is a fact to note, which no promise depends on."""

    PASS = auto()
    FAIL = auto()
    INFO = auto()


class Outcome(NamedTuple):
    """A verdict and the observed fact, in words."""

    verdict: Verdict
    fact: str


@dataclass(frozen=True)
class Finding:
    """A question with its outcome."""

    name: str
    sentence: str
    outcome: Outcome
    seconds: float


@dataclass
class Redaction:
    """Takes out of every text what a report must not have."""

    account: str
    secrets: list[str] = field(default_factory=list)

    @property
    def masked(self) -> str:
        """The account id as the report shows it."""
        return "*" * (len(self.account) - _SHOWN) + self.account[-_SHOWN:]

    def __call__(self, text: str) -> str:
        """Return the text on one line, without secrets and without the account id."""
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "(secret)")
        return " ".join(text.replace(self.account, self.masked).split())


@dataclass(frozen=True)
class Report:
    """A run that is over."""

    started: str
    facts: Mapping[str, str]
    """Versions, account, region, stack, durations, by name."""
    findings: Sequence[Finding]
    left: Sequence[Left]
    """What could not be removed."""

    @property
    def passed(self) -> bool:
        """Whether every question passed or is a fact to note, and nothing is left."""
        return bool(self.findings) and not self.left and not self.failed

    @property
    def failed(self) -> list[Finding]:
        """The questions that did not pass."""
        return [finding for finding in self.findings if finding.outcome.verdict is Verdict.FAIL]

    def markdown(self, redact: Redaction) -> str:
        """Write it for people: one line per question."""
        lines = [f"# Acceptance run of {self.started}", ""]
        lines += [f"- {name}: {redact(value)}" for name, value in self.facts.items()]
        lines += [
            "",
            f"**{self.summary()}**",
            "",
            "| outcome | question | observed | seconds |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {one.outcome.verdict.upper()} | `{one.name}`: {_cell(one.sentence)} "
            f"| {_cell(redact(one.outcome.fact))} | {one.seconds:.0f} |"
            for one in self.findings
        ]
        if self.left:
            lines += ["", "## Left behind", ""]
            for one in self.left:
                lines.append(f"- {redact(one.what)}: {redact(one.why)}")
                lines += [f"  - `{redact(command)}`" for command in one.commands]
        return "\n".join(lines) + "\n"

    def summary(self) -> str:
        """Say in a sentence or two how it went."""
        noted = sum(one.outcome.verdict is Verdict.INFO for one in self.findings)
        passed = len(self.findings) - noted - len(self.failed)
        gone = "Nothing of the run is left." if not self.left else f"LEFT BEHIND: {len(self.left)}, see below."
        return f"{passed} passed, {len(self.failed)} failed, {noted} noted. {gone}"


def line(finding: Finding, redact: Redaction) -> str:
    """Return a question as a line for the terminal."""
    verdict = finding.outcome.verdict.upper()
    return f"{verdict}  {finding.name}: {finding.sentence} {redact(finding.outcome.fact)} ({finding.seconds:.0f} s)\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
