"""The secret on AWS is in Secrets Manager, and with those who send it; nothing that the stack writes down has it."""

import json
from collections.abc import Iterator

import pytest

from emulator import Deployment, deployed
from stacks.settings import Settings
from tests.support import secrecy
from tests.support.clock import eventually
from tests.support.synthesis import shared_synthesis

pytestmark = pytest.mark.emulator


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(assembly=shared_synthesis(tmp_path_factory, Settings()).folder) as found:
        yield found


def written(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Yield everything that the stack keeps, each with its kind."""
    dynamodb = deployment.client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        yield "items", json.dumps(dynamodb.scan(TableName=table)["Items"], default=str)
    steps = deployment.client("stepfunctions")
    for one in steps.list_executions(stateMachineArn=deployment.outputs["StateMachineArn"])["executions"]:
        yield "executions", json.dumps(steps.describe_execution(executionArn=one["executionArn"]), default=str)
        yield "histories", json.dumps(steps.get_execution_history(executionArn=one["executionArn"]), default=str)
    logs = deployment.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        yield "logs", json.dumps(logs.filter_log_events(logGroupName=group["logGroupName"])["events"])
    for function in deployment.client("lambda").list_functions()["Functions"]:
        yield "functions", json.dumps(function, default=str)
    template = deployment.client("cloudformation").get_template(StackName="TaskScheduler")["TemplateBody"]
    yield "template", template if isinstance(template, str) else json.dumps(template)


def test_the_secret_is_in_nothing_that_is_answered_or_kept(deployment: Deployment) -> None:
    said = secrecy.answers(deployment.url, deployment.secret)
    assert "past" in said
    assert deployment.secret not in said
    dynamodb = deployment.client("dynamodb")
    [log] = [table for table in dynamodb.list_tables()["TableNames"] if "EventLog" in table]
    eventually(lambda: dynamodb.scan(TableName=log)["Count"] > 4)  # a counter, and what was due at once
    kept = list(written(deployment))
    assert {kind for kind, _ in kept} == {"items", "executions", "histories", "logs", "functions", "template"}
    assert '\\"_aws\\"' in "".join(text for kind, text in kept if kind == "logs"), "no metrics were written"
    assert "past" in "".join(text for kind, text in kept if kind in {"items", "executions"})
    assert not [kind for kind, text in kept if deployment.secret in text]
