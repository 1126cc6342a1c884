"""What the page on costs takes for granted of the template is in the template."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from lab.bench import capacity
from lab.bench.cost import IDLE_METRICS, METRICS, SECRET_CACHE_S, SMALL, Cost, Deployment, main, million
from task_scheduler.aws import schema
from task_scheduler.aws.secret import CACHE_S
from task_scheduler.metrics import Metric
from tests.support.synthesis import Synthesis


def test_the_page_reckons_with_the_stack_that_a_stranger_deploys(stack: Synthesis) -> None:
    assert Deployment.of(stack.template) == Deployment()


def test_other_settings_make_another_price(other_stack: Synthesis) -> None:
    other = Deployment.of(other_stack.template)
    assert other == Deployment(task_days=60, event_days=14, recorders=20, alarms=11, dashboards=0)
    assert million(Cost(SMALL, other).emitted()) > million(Cost(SMALL).emitted())


def test_the_command_adds_up_a_month_by_the_template_that_it_is_given(
    open_stack: Synthesis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps(open_stack.template))
    main(["--tasks", "0", "--template", str(template)])
    without = capsys.readouterr().out
    main(["--tasks", "0"])
    figures = dict(re.findall(r"^(.+?) +([\d.]+)", capsys.readouterr().out, re.MULTILINE))
    assert figures["Secrets Manager"] == "0.40"
    assert re.search(r"Secrets Manager +0\.00", without)
    parts = [float(figure) for name, figure in figures.items() if name != "together"]
    assert sum(parts) == pytest.approx(float(figures["together"]), abs=0.05)


def test_the_page_counts_what_the_code_does_while_nothing_is_scheduled() -> None:
    assert SECRET_CACHE_S == CACHE_S
    assert len({*schema.SWEEPER_COUNTS, Metric.PENDING}) == IDLE_METRICS
    assert len({*schema.SWEEPER_COUNTS, *Metric}) == METRICS


def test_without_a_secret_there_is_none_to_pay(open_stack: Synthesis) -> None:
    assert Deployment.of(open_stack.template).secrets == 0


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("AWS::DynamoDB::Table", "BillingMode", "PROVISIONED"),
        ("AWS::Lambda::Function", "Architectures", ["x86_64"]),
        ("AWS::StepFunctions::StateMachine", "StateMachineType", "EXPRESS"),
    ],
)
def test_what_is_paid_in_another_way_is_refused(stack: Synthesis, kind: str, name: str, value: Any) -> None:  # noqa: ANN401 - as in JSON
    template: Any = deepcopy(stack.template)
    for resource in template["Resources"].values():
        if resource["Type"] == kind:
            resource["Properties"][name] = value
    with pytest.raises(ValueError, match="another way"):
        Deployment.of(template)


def test_the_model_of_the_capacity_sweeps_for_as_long_as_the_function_may(stack: Synthesis) -> None:
    [sweeper] = stack.resources("Lambda::Function", under="Sweeper")
    assert sweeper.properties["Timeout"] == capacity.SWEEP_S + 10  # which lambdas/sweeper.py keeps in hand
