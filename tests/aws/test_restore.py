"""What the page on operating on AWS tells to run after a restore does what it says."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from task_scheduler.aws.task_store import StoredState
from tests.support.world import World
from tests.unit.documents import ROOT, blocks


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an account in memory, with a table of tasks and one that was restored."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("dynamodb")
        for name in ("tasks", "restored"):
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
        yield client


@pytest.fixture
def copy_missing() -> Any:  # noqa: ANN401 - a function out of a page
    scope: dict[str, Any] = {}
    [block] = [one for one in blocks((ROOT / "docs/aws.md").read_text(), "python") if "boto3" in one]
    exec(block, scope)  # noqa: S102 - our own page
    return scope["copy_missing"]


def test_copying_brings_back_what_is_missing_and_leaves_the_rest(account: Any, copy_missing: Any) -> None:  # noqa: ANN401 - a client, and a function out of a page
    world = World(account)
    lost, kept = (world.new_task(number=number) for number in (1, 2))
    for task in (lost, kept):
        world.task_store.put(task, StoredState.SCHEDULED)
        item = account.get_item(TableName="tasks", Key={"id": {"S": task.id}})["Item"]
        account.put_item(TableName="restored", Item=item)
    account.delete_item(TableName="tasks", Key={"id": {"S": lost.id}})
    record = world.task_store.get(kept.id)
    assert record
    world.task_store.transition(record, StoredState.CANCELLED, now_ms=world.clock.ms)

    assert copy_missing("restored", "tasks") == 1

    states = {task.id: found.state for task in (lost, kept) if (found := world.task_store.get(task.id))}
    assert states == {lost.id: StoredState.SCHEDULED, kept.id: StoredState.CANCELLED}
