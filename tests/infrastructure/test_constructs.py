"""The constructs in an app that is not ours: the one of docs/aws.md, without the context of our cdk.json."""

import runpy
from typing import Final

import aws_cdk as cdk
import pytest

from tests.infrastructure.permissions import NEEDED_BY
from tests.infrastructure.test_roles import granted
from tests.infrastructure.test_stack import environment
from tests.support.synthesis import ROOT, Synthesis, read_synthesis
from tests.unit.documents import blocks

# The construct ids of the document, and those that our stack has had since its first deployment.
RENAMED: Final = {"<Tasks/": "<Registry/", "<Emitted/": "<Delivery/"}
FUNCTIONS: Final = ("Api/Function", "Api/Stream", "Recorder/Function", "Sweeper/Function")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The stack of the document."""
    folder = tmp_path_factory.mktemp("shop")
    [code] = [block for block in blocks((ROOT / "docs/aws.md").read_text(), "python") if "task_scheduler.cdk" in block]
    (folder / "shop.py").write_text(code)
    app = cdk.App(
        outdir=str(folder / "cdk.out"), analytics_reporting=False, context={"aws:cdk:enable-path-metadata": True}
    )
    runpy.run_path(str(folder / "shop.py"))["ShopStack"](app, "Shop")
    app.synth()
    return read_synthesis(folder / "cdk.out", "Shop")


def ours(text: str) -> str:
    """Return an expression with the construct ids of our stack."""
    for theirs, name in RENAMED.items():
        text = text.replace(theirs, name)
    return text


@pytest.mark.parametrize("role", NEEDED_BY)
def test_another_app_grants_each_role_what_it_needs_and_nothing_else(shop: Synthesis, role: str) -> None:
    assert {(action, ours(on)) for action, on in granted(shop, role)} == NEEDED_BY[role].keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_app_gives_each_function_the_variables_that_it_reads(
    shop: Synthesis, stack: Synthesis, function: str
) -> None:
    given = environment(shop, function)
    assert {name: ours(value) for name, value in given.items()} == environment(stack, function)


def test_another_app_subscribes_its_own_queue_to_the_topic(shop: Synthesis) -> None:
    subscribed = {shop.text(one.properties["Endpoint"]) for one in shop.resources("SNS::Subscription")}
    assert subscribed == {"<Recorder/Events.Arn>", "<Reminders.Arn>"}
    assert not shop.warnings
