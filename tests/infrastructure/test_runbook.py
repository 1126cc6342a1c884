"""The page on operating on AWS has what the template has: each alarm an answer, each output a line."""

from typing import Final

from tests.support.synthesis import Synthesis
from tests.unit.documents import ROOT

PAGE: Final = (ROOT / "docs/aws.md").read_text()


def test_each_alarm_has_an_answer_in_the_runbook(other_stack: Synthesis) -> None:
    alarms = {alarm.path.removeprefix("Monitoring/") for alarm in other_stack.resources("CloudWatch::Alarm")}
    runbook = PAGE.split("\n## When an alarm goes off\n")[1].split("\n## ")[0]
    answered = {line.removeprefix("### ") for line in runbook.splitlines() if line.startswith("### ")}
    assert answered == alarms


def test_each_output_has_a_line(stack: Synthesis) -> None:
    table = PAGE.split("\n## Outputs\n")[1].split("\n## ")[0]
    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert named == stack.template["Outputs"].keys()
