"""An upgrade from the release before keeps everything: names, URL and secret, and above all the tasks that wait."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import emulator
import task_scheduler
from releases.keeping import THIRD_PARTY, ReleaseError, check, keep, releases, unpacked
from stacks.bundle import OURS
from stacks.settings import Settings
from task_scheduler.aws import names
from tests.conformance.api import Accepted, Api, Deployment
from tests.conformance.clock import eventually, now_ms
from tests.infrastructure.synthesis import Synthesis, synthesise
from tests.infrastructure.test_recovery import Stack
from tests.infrastructure.upgrades import STATEFUL, replacements

PREVIOUS: Final = releases()[-1]
TEMPLATE: Final = "TaskScheduler.template.json"
WINDOW_S: Final = 40
PENDING: Final = range(2, 32, 2)
# A message that the old recorder held when it was replaced comes back after the queue's visibility timeout, of 180 s,
# unless the sweeper has recorded its task before.
RECORDED_S: Final = 200
KEY: Final = {"idempotency-key": "before and after"}
KEYED: Final = {"in": 900, "message": "with a key"}


def resource(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a resource of a type, the first one."""
    return next(one for one in template["Resources"].values() if one["Type"] == f"AWS::{kind}")


def test_an_upgrade_replaces_nothing_that_holds_something(stack: Synthesis) -> None:
    old = json.loads((PREVIOUS / TEMPLATE).read_text())
    assert {one["Type"] for one in old["Resources"].values()} >= STATEFUL.keys()
    assert list(replacements(old, stack.template)) == []


CHANGES: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "a table is named": lambda it: resource(it, "DynamoDB::Table")["Properties"].update(TableName="tasks"),
    "a table has another key": lambda it: resource(it, "DynamoDB::Table")["Properties"]["KeySchema"][0].update(
        AttributeName="bucket"
    ),
    "a key has another type": lambda it: [
        one.update(AttributeType="N") for one in resource(it, "DynamoDB::Table")["Properties"]["AttributeDefinitions"]
    ],
    "an index is gone": lambda it: resource(it, "DynamoDB::Table")["Properties"].pop("GlobalSecondaryIndexes"),
    "a secret is generated otherwise": lambda it: resource(it, "SecretsManager::Secret")["Properties"][
        "GenerateSecretString"
    ].update(PasswordLength=41),
    "a topic is named": lambda it: resource(it, "SNS::Topic")["Properties"].update(TopicName="emitted"),
    "a queue is named": lambda it: resource(it, "SQS::Queue")["Properties"].update(QueueName="events"),
    "a machine is of another type": lambda it: resource(it, "StepFunctions::StateMachine")["Properties"].update(
        StateMachineType="EXPRESS"
    ),
    "the stage has another name": lambda it: resource(it, "ApiGateway::Stage")["Properties"].update(StageName="v2"),
    "the API has moved in the tree of constructs": lambda it: it["Resources"].update(
        Moved=it["Resources"].pop(
            next(name for name, one in it["Resources"].items() if one["Type"] == "AWS::ApiGateway::RestApi")
        )
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_replacement_is_seen(stack: Synthesis, change: str) -> None:
    changed = copy.deepcopy(dict(stack.template))
    CHANGES[change](changed)
    assert len(list(replacements(stack.template, changed))) == 1


def test_the_version_is_that_of_the_newest_release_or_a_later_one() -> None:
    def parts(version: str) -> list[int]:
        return [int(part) for part in version.removesuffix(".dev0").split(".")]

    assert parts(task_scheduler.__version__) >= parts(PREVIOUS.name)


@pytest.mark.parametrize(
    ("version", "changes", "sentence"),
    [
        ("0.2.0.dev0", "", r"^0\.2\.0\.dev0 is not the version of a release"),
        (PREVIOUS.name, "", f"^releases/{PREVIOUS.name} is there already"),
        ("99.0.0", " M app.py\n", r"^Commit first; .*\n M app\.py"),
    ],
    ids=["unreleased", "again", "changed"],
)
def test_what_is_no_release_is_not_kept(version: str, changes: str, sentence: str) -> None:
    with pytest.raises(ReleaseError, match=sentence):
        check(version, changes=changes)


@pytest.mark.slow
def test_a_release_is_kept_with_all_that_its_deployment_takes(stack: Synthesis, tmp_path: Path) -> None:
    check("99.0.0", changes="", folder=tmp_path)
    keep(tmp_path / "99.0.0")
    assert {file.name for file in (tmp_path / "99.0.0").iterdir()} == {file.name for file in PREVIOUS.iterdir()}
    assert sum(file.stat().st_size for file in (tmp_path / "99.0.0").iterdir()) < 500_000
    kept = unpacked(tmp_path / "99.0.0", tmp_path / "assembly", packages=stack.code())
    assert json.loads((kept / TEMPLATE).read_text()) == stack.template
    asset = kept / stack.code().name
    expected = {
        path.relative_to(stack.code())
        for path in stack.code().rglob("*")
        if path.relative_to(stack.code()).parts[0] not in OURS or not path.name.startswith(THIRD_PARTY)
    }
    assert {path.relative_to(asset) for path in asset.rglob("*")} == expected
    for name in OURS:
        for path in (asset / name).rglob("*.py"):
            assert path.read_bytes() == (stack.code() / path.relative_to(asset)).read_bytes()


@dataclass(frozen=True)
class Upgrade:
    """A deployment before and after, with what was accepted before."""

    before: emulator.Deployment
    after: Stack
    pending: list[Accepted]
    """Due one after the other, so that some are before the upgrade, some during it, some after."""
    parked: Accepted
    tagged: Accepted
    keyed: Accepted
    cancelled: Accepted
    """Cancelled right after the upgrade."""
    changed: Accepted
    """Changed right after the upgrade, to be due at once."""
    physical: tuple[dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The checkout, with timers for the next seconds only."""
    return synthesise(tmp_path_factory.mktemp("present"), Settings(arming_window_days=WINDOW_S / 86_400))


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory, present: Synthesis) -> Path:
    """The release before, with the same setting, and a definition of the state machine that the upgrade changes."""
    folder = unpacked(PREVIOUS, tmp_path_factory.mktemp("previous") / "assembly", packages=present.code())
    file = folder / TEMPLATE
    template = json.loads(file.read_text())
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Lambda::Function":
            one["Properties"]["Environment"]["Variables"][names.ARMING_WINDOW_DAYS] = str(WINDOW_S / 86_400)
    text = json.dumps(template)
    assert r"\"MaxAttempts\":100" in text.replace(r"\\\"", r"\"")
    file.write_text(text.replace(r"MaxAttempts\":100", r"MaxAttempts\":99"))
    return folder


def physical_ids(deployment: emulator.Deployment) -> dict[str, str]:
    """Return what each stateful resource is, by its logical id."""
    listed = deployment.client("cloudformation").describe_stack_resources(StackName="TaskScheduler")["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed if one["ResourceType"] in STATEFUL}


@pytest.fixture(scope="module")
def upgrade(previous: Path, present: Synthesis) -> Iterator[Upgrade]:
    with emulator.deployed(assembly=previous) as before:
        api = Api(Deployment(before.url, before.secret, "emulator"))
        ids = physical_ids(before)
        with closing(api.http):
            old = Stack(before, api)
            assert api.http.get("health").json()["version"] == PREVIOUS.name
            keyed = api.send("POST", "/schedule", body=KEYED, headers=KEY).body["id"]
            tagged = api.schedule({"in": 900, "message": "tagged", "tags": {"user": "42"}})
            cancelled, changed = (api.schedule({"in": WINDOW_S - 1, "message": text}) for text in ("no", "other"))
            parked = api.schedule({"in": WINDOW_S + 8, "message": "parked"})
            pending = old.schedule(seconds=PENDING)
        after = before.deploy(present.folder)
        api = Api(Deployment(after.url, after.secret, "emulator"), api.ledger)
        with closing(api.http):
            assert now_ms() < pending[-1].due_ms, "the upgrade took so long that nothing waited for it"
            assert api.cancel(cancelled.id).status == httpx.codes.OK
            changed = api.change(changed.id, {"in": 1, "message": "sooner"})
            tasks = (pending, parked, tagged, api.ledger.accepted[keyed], cancelled, changed)
            yield Upgrade(before, Stack(after, api), *tasks, (ids, physical_ids(after)))


@pytest.mark.emulator
@pytest.mark.long
def test_the_upgrade_leaves_the_url_the_secret_and_everything_that_holds_something(upgrade: Upgrade) -> None:
    health = upgrade.after.api.http.get("health").json()
    assert health["version"] == task_scheduler.__version__
    assert upgrade.after.deployment.url == upgrade.before.url
    assert upgrade.after.deployment.secret == upgrade.before.secret
    assert dict(upgrade.after.deployment.outputs) == dict(upgrade.before.outputs)
    before, after = upgrade.physical
    assert len(before) > len(STATEFUL)
    assert {name: after[name] for name in before} == before


@pytest.mark.emulator
@pytest.mark.long
def test_tasks_from_before_are_emitted_once_and_not_early(upgrade: Upgrade) -> None:
    """Their executions go on with the definition they began with, though that of the machine is another."""
    steps = upgrade.after.deployment.client("stepfunctions")
    machine = steps.describe_state_machine(stateMachineArn=upgrade.after.deployment.outputs["StateMachineArn"])
    assert '"MaxAttempts":100' in machine["definition"]
    late = upgrade.after.wait_for(*upgrade.pending, seconds=RECORDED_S)
    assert min(late.values()) >= 0
    eventually(lambda: {upgrade.after.execution(task) for task in upgrade.pending} == {"SUCCEEDED"})
    assert {upgrade.after.api.task(task.id)["status"] for task in upgrade.pending} == {"emitted"}


@pytest.mark.emulator
@pytest.mark.long
def test_a_parked_task_from_before_gets_its_timer_afterwards(upgrade: Upgrade) -> None:
    """From the new sweeper; here it need not be waited for."""
    time.sleep(max(0, (upgrade.parked.due_ms - now_ms()) / 1000 - WINDOW_S + 1))
    upgrade.after.sweep()
    late = upgrade.after.wait_for(upgrade.parked, seconds=RECORDED_S)
    assert min(late.values()) >= 0


@pytest.mark.emulator
@pytest.mark.long
def test_tasks_from_before_are_listed_and_their_tags_and_keys_are_known(upgrade: Upgrade) -> None:
    api = upgrade.after.api
    listed = {task["id"]: task for task in api.send("GET", "/tasks?limit=1000").body["tasks"]}
    assert {task.id for task in (*upgrade.pending, upgrade.parked, upgrade.tagged, upgrade.keyed)} <= listed.keys()
    assert listed[upgrade.tagged.id]["message"] == "tagged"
    [found] = api.send("GET", "/tasks?tag=user:42").body["tasks"]
    assert found["id"] == upgrade.tagged.id
    assert api.send("POST", "/schedule", body=KEYED, headers=KEY).body["id"] == upgrade.keyed.id
    other = api.send("POST", "/schedule", body={**KEYED, "message": "another"}, headers=KEY)
    assert other.status == httpx.codes.CONFLICT


@pytest.mark.emulator
@pytest.mark.long
def test_tasks_from_before_can_be_cancelled_and_changed(upgrade: Upgrade) -> None:
    api = upgrade.after.api
    late = upgrade.after.wait_for(upgrade.changed, seconds=RECORDED_S)
    assert min(late.values()) >= 0
    assert api.task(upgrade.changed.id)["message"] == "sooner"
    executions = (upgrade.cancelled, upgrade.changed)
    eventually(lambda: {upgrade.after.execution(task) for task in executions} == {"ABORTED"})
    time.sleep(max(0, (upgrade.cancelled.due_ms - now_ms()) / 1000 + 1))
    assert upgrade.after.emissions(upgrade.cancelled) == {}
    assert api.task(upgrade.cancelled.id)["status"] == "cancelled"
