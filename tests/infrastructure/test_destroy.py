"""`make destroy`: the tables outlive the stack unless asked otherwise, and a later deployment finds its names free."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest

import emulator
from stacks.settings import Settings
from tests.infrastructure.inventory import Names, names_of
from tests.infrastructure.test_recovery import Stack
from tests.support.api import Accepted, Api, Deployment
from tests.support.clock import eventually, now_ms
from tests.support.contract import JsonObject
from tests.support.synthesis import Synthesis, shared_synthesis
from tests.unit.documents import ROOT, blocks

pytestmark = [pytest.mark.emulator, pytest.mark.long]

LEFT: Final = "left-of-the-old-stack"
RECORDED_S: Final = 60
LOOKED_AT_S: Final = 46  # the sweeper looks at what is later than 45 s
SOON_S: Final = 10  # longer than it takes to destroy, and shorter than to destroy and deploy


@dataclass(frozen=True)
class Story:
    """A stack with a task that was emitted and one that waits: destroyed, deployed anew, destroyed with its tables."""

    first: emulator.Deployment
    emitted: Accepted
    waiting: Accepted
    left: Names
    tables: dict[str, list[JsonObject]]
    """The items of the tables that were left."""
    second: emulator.Deployment
    new: Accepted
    """A task of the second deployment."""
    found: list[JsonObject]
    """What the second found by the tag of the task that waits, once the tasks had been copied."""
    log: dict[str, list[int]]
    """When each of the three was emitted by the second."""
    left_at_last: Names


def keep_apart(dynamodb: Any, name: str) -> None:  # noqa: ANN401 - a client
    """Copy the tasks to another table: AWS names those of a new stack otherwise, the emulator writes over the old."""
    shape = dynamodb.describe_table(TableName=name)["Table"]
    keys = {one["AttributeName"] for one in shape["KeySchema"]}
    dynamodb.create_table(
        TableName=LEFT,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=shape["KeySchema"],
        AttributeDefinitions=[one for one in shape["AttributeDefinitions"] if one["AttributeName"] in keys],
    )
    for item in dynamodb.scan(TableName=name)["Items"]:
        dynamodb.put_item(TableName=LEFT, Item=item)


def copy_missing(deployment: emulator.Deployment) -> None:
    """Copy the tasks that were left into the new table, by what docs/aws.md has for that."""
    [block] = [one for one in blocks((ROOT / "docs/aws.md").read_text(), "python") if "boto3" in one]
    scope: dict[str, Any] = {}
    exec(block, scope)  # noqa: S102 - our own page
    [new] = [name for name in names_of(deployment)["tables"] if "EventLog" not in name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", deployment.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        assert scope["copy_missing"](LEFT, new) >= 2


@pytest.fixture(scope="module")
def story(stack: Synthesis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    without_tables = shared_synthesis(tmp_path_factory, Settings(keep_tables=False))
    with emulator.deployed(assembly=stack.folder) as first:
        assert all(names_of(first).values())
        api = Api(Deployment(first.url, first.secret, "emulator"))
        with closing(api.http):
            emitted = api.schedule({"in": 0, "message": "emitted"})
            Stack(first, api).wait_for(emitted, seconds=RECORDED_S)
            waiting = api.schedule({"in": SOON_S, "message": "waiting", "tags": {"user": "42"}})
        first.destroy(stack.folder)
        left, dynamodb = names_of(first), first.client("dynamodb")
        tables = {name: dynamodb.scan(TableName=name)["Items"] for name in left["tables"]}
        keep_apart(dynamodb, *(name for name in tables if "EventLog" not in name))

        second = first.deploy(without_tables.folder)
        api = Api(Deployment(second.url, second.secret, "emulator"))
        with closing(api.http):
            now = Stack(second, api)
            new = api.schedule({"in": 0, "message": "new"})
            copy_missing(second)
            found = eventually(lambda: api.send("GET", "/tasks?tag=user:42").body["tasks"])
            time.sleep(max(0, (waiting.due_ms - now_ms()) / 1000 + LOOKED_AT_S))
            now.sweep()
            eventually(lambda: now.emissions(waiting) and now.emissions(new), within=RECORDED_S, every=1)
            log = now.emissions(emitted, waiting, new)
        second.destroy(without_tables.folder)
        yield Story(first, emitted, waiting, left, tables, second, new, found, log, names_of(first))


def test_the_tables_are_left_with_all_that_was_in_them_and_nothing_else_is(story: Story) -> None:
    assert {kind for kind, names in story.left.items() if names} == {"tables"}
    events, tasks = sorted(story.tables, key=lambda name: "EventLog" not in name)
    kept = [one.get("id", {}).get("S") for one in story.tables[tasks]]
    assert {story.emitted.id, story.waiting.id} <= set(kept)
    assert story.emitted.id in json.dumps(story.tables[events])


def test_a_deployment_after_it_works_and_has_a_secret_of_its_own(story: Story) -> None:
    assert story.second.secret
    assert story.second.secret != story.first.secret
    assert len(story.log[story.new.id]) == 1


def test_tasks_that_were_left_go_on_once_they_are_copied(story: Story) -> None:
    [task] = story.found
    assert (task["id"], task["status"]) == (story.waiting.id, "scheduled")
    [emitted_ms] = story.log[story.waiting.id]
    assert emitted_ms >= story.waiting.due_ms
    assert story.emitted.id not in story.log


def test_the_tables_go_too_where_they_were_not_to_be_kept(story: Story) -> None:
    assert not any(story.left_at_last.values())
