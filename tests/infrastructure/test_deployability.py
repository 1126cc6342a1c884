"""Whether AWS would accept the template: cdk-preflight's rules, over combinations of settings.

CloudFormation's schemas accept what services then reject, and the first deployment rolls back. cdk-preflight collects
such rejections, each of them reproduced on AWS; in strict mode it also fails on errors of CDK's template validation.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from cdk_preflight import Preflight

from stacks.settings import Settings
from stacks.task_scheduler_stack import TaskSchedulerStack
from tests.infrastructure.test_checks import violations
from tests.infrastructure.test_subscribers import EMAIL, FUNCTION, HTTPS, QUEUE
from tests.support.synthesis import CONTEXT

# Every setting that adds, removes or protects resources. All others only change a value within its bounds.
CHOICES: Final[Mapping[str, tuple[Any, Any]]] = {
    "secret": (True, False),
    "production": (False, True),
    "keep_tables": (True, False),
    "dashboard": (True, False),
    "alarm_email": (None, EMAIL),
    "subscribers": ((), (HTTPS, EMAIL, QUEUE, FUNCTION)),
    "stream_reserved_concurrency": (None, 20),
}


def pairwise() -> Iterator[tuple[Any, ...]]:
    """Yield eight combinations that have both choices of each setting beside both of every other (pairwise testing)."""
    for run in range(8):
        yield tuple(choices[(run & mask).bit_count() % 2] for mask, choices in enumerate(CHOICES.values(), 1))


@dataclass(frozen=True)
class Checked:
    """An assembly that has a stack for each of these settings."""

    folder: Path
    combinations: list[Settings]


def app(folder: Path) -> cdk.App:
    checked = cdk.App(outdir=str(folder), analytics_reporting=False, context=CONTEXT)
    Preflight.apply(checked, strict=True)
    return checked


@pytest.fixture(scope="module", params=["pairwise", pytest.param("all", marks=pytest.mark.long)])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("combinations")
    all_of_them = app(folder)
    combinations = [
        Settings(stack=f"TaskScheduler{number}", **dict(zip(CHOICES, values, strict=True)))
        for number, values in enumerate(pairwise() if request.param == "pairwise" else product(*CHOICES.values()))
    ]
    for settings in combinations:
        TaskSchedulerStack(all_of_them, settings.stack, settings=settings)
    all_of_them.synth()
    return Checked(folder, combinations)


@pytest.mark.slow
def test_no_combination_of_settings_has_what_aws_is_known_to_reject(checked: Checked) -> None:
    assert violations(checked.folder) == []
    assert len(list(checked.folder.glob("*.template.json"))) == len(checked.combinations)


@pytest.mark.slow
def test_tables_are_deleted_when_a_creation_fails_unless_they_are_protected(checked: Checked) -> None:
    for settings in checked.combinations:
        template = json.loads((checked.folder / f"{settings.stack}.template.json").read_text())
        policies = {
            resource["DeletionPolicy"]
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::DynamoDB::Table"
        }
        kept = "RetainExceptOnCreate" if settings.keep_tables else "Delete"
        assert policies == {"Retain" if settings.production else kept}
