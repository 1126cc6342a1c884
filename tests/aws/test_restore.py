"""What the page on operating on AWS tells to run after a restore does what it says."""

from typing import Any

import boto3
import pytest

from task_scheduler.aws.registry import State
from tests.aws.world import World
from tests.unit.documents import ROOT, blocks


@pytest.fixture
def copy_missing(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function out of a page
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    scope: dict[str, Any] = {}
    [block] = blocks((ROOT / "docs/aws.md").read_text(), "python")
    exec(block, scope)  # noqa: S102 - our own page
    return scope["copy_missing"]


def test_copying_brings_back_what_is_missing_and_leaves_the_rest(world: World, copy_missing: Any) -> None:  # noqa: ANN401 - a function out of a page
    client = boto3.client("dynamodb", region_name="eu-west-1")
    shape = client.describe_table(TableName="tasks")["Table"]
    client.create_table(
        TableName="restored",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=shape["KeySchema"],
        AttributeDefinitions=[one for one in shape["AttributeDefinitions"] if one["AttributeName"] == "id"],
    )
    lost, kept = (world.new_task(number=number) for number in (1, 2))
    for task in (lost, kept):
        world.registry.put(task, State.SCHEDULED)
        item = client.get_item(TableName="tasks", Key={"id": {"S": task.id}})["Item"]
        client.put_item(TableName="restored", Item=item)
    client.delete_item(TableName="tasks", Key={"id": {"S": lost.id}})
    record = world.registry.get(kept.id)
    assert record
    world.registry.move(record, State.CANCELLED, now_ms=world.clock.ms)

    assert copy_missing("restored", "tasks") == 1

    states = {task.id: found.state for task in (lost, kept) if (found := world.registry.get(task.id))}
    assert states == {lost.id: State.SCHEDULED, kept.id: State.CANCELLED}
