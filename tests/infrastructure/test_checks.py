"""What other people's checks say of the template."""

import json
from pathlib import Path
from typing import Any, Final

import cdk_nag
import pytest

from stacks.settings import Settings
from tests.infrastructure.test_subscribers import EMAIL, FUNCTION, HTTPS, QUEUE
from tests.support.synthesis import Synthesis, synthesise


def violations(folder: Path) -> list[Any]:
    """Return what the checks report, warnings too, but not the stack's own warnings; errors also fail the synthesis."""
    report = json.loads((folder / "validation-report.json").read_text())
    found = [violation for plugin in report["pluginReports"] for violation in plugin["violations"]]
    return [one for one in found if "cdk:annotation" not in one["ruleMetadata"]]


OTHER: Final = Settings(
    production=True,
    secret=False,
    subscribers=(HTTPS, EMAIL, QUEUE, FUNCTION),
    alarm_email=EMAIL,
    stream_reserved_concurrency=20,
)


@pytest.mark.parametrize("settings", [Settings(), OTHER], ids=["default", "other"])
def test_cdk_nag_finds_nothing_that_is_not_acknowledged(tmp_path: Path, settings: Settings) -> None:
    synthesise(tmp_path, settings, cdk_nag.AwsSolutionsChecks, cdk_nag.ServerlessChecks)
    assert violations(tmp_path) == []


@pytest.mark.slow
def test_cfn_lint_finds_nothing(stack: Synthesis, other_stack: Synthesis) -> None:
    # Here, since it takes as long to import as half of all tests, and every test process would.
    from cfnlint.api import lint_file  # type: ignore[import-untyped]  # noqa: PLC0415 - as said; and it has no types
    from cfnlint.config import ManualArgs  # type: ignore[import-untyped]  # noqa: PLC0415 - the same

    config = ManualArgs(
        regions=["us-east-1", "eu-central-1"],
        ignore_checks=["W3005"],  # CDK says again in DependsOn what references say already
    )
    for one in (stack, other_stack):
        [template] = one.folder.glob("*.template.json")
        assert lint_file(template, config=config) == []
