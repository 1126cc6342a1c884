"""An upgrade from the stored baseline keeps everything: names, URL and secret, and above all the tasks that wait."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import emulator
import task_scheduler
from stacks.settings import Settings
from tests.infrastructure.test_recovery import Stack
from tests.infrastructure.upgrade import BASELINE, TEMPLATE
from tests.infrastructure.upgrade.__main__ import write_baseline
from tests.infrastructure.upgrade.replacements import STATEFUL, replacements
from tests.support.api import IDEMPOTENCY_KEY, Accepted, Api, Deployment
from tests.support.clock import eventually, now_ms
from tests.support.synthesis import Synthesis, shared_synthesis

PENDING: Final = range(2, 62, 4)
# If a recorder is replaced while it holds a message, the message returns after the visibility timeout of the queue
# (180 s), unless the sweeper records its task before.
RECORDED_S: Final = 200
KEY: Final = {IDEMPOTENCY_KEY: "before and after"}
KEYED: Final = {"in": 900, "message": "with a key"}
DEFINITION_BEFORE: Final = "before the upgrade"


def resource(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a resource of a type, the first one."""
    return next(one for one in template["Resources"].values() if one["Type"] == f"AWS::{kind}")


def test_an_upgrade_replaces_no_stateful_resource(stack: Synthesis) -> None:
    old = json.loads((BASELINE / TEMPLATE).read_text())
    assert {one["Type"] for one in old["Resources"].values()} >= STATEFUL.keys()
    assert list(replacements(old, stack.template)) == []


@pytest.mark.slow
def test_the_script_writes_a_baseline_of_the_present_tree(stack: Synthesis, tmp_path: Path) -> None:
    write_baseline(tmp_path / "baseline")
    template = json.loads((tmp_path / "baseline" / TEMPLATE).read_text())
    assert template["Resources"].keys() == stack.template["Resources"].keys()
    assert list(replacements(stack.template, template)) == []
    files = json.loads((tmp_path / "baseline" / f"{Settings().stack}.assets.json").read_text())["files"]
    written = {path.name for path in (tmp_path / "baseline").iterdir()}
    assert written >= {file["source"]["path"] for file in files.values()}


@dataclass(frozen=True)
class Upgrade:
    """A deployment before and after, with what was accepted before."""

    before: emulator.Deployment
    after: Stack
    events: list[dict[str, Any]]
    """The event log before the upgrade."""
    pending: list[Accepted]
    """Due one after the other, so that some are before the upgrade, some during it, some after."""
    parked: Accepted
    """Beyond the arming window before the upgrade, within it afterwards."""
    tagged: Accepted
    keyed: Accepted
    cancelled: Accepted
    """Cancelled right after the upgrade."""
    changed: Accepted
    """Changed right after the upgrade, to be due at once."""
    physical: tuple[dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline with another definition of the state machine, so that the upgrade changes it in any case."""
    folder = Path(shutil.copytree(BASELINE, tmp_path_factory.mktemp("upgrade") / "baseline"))
    template = json.loads((folder / TEMPLATE).read_text())
    parts = resource(template, "StepFunctions::StateMachine")["Properties"]["DefinitionString"]["Fn::Join"][1]
    parts[0] = parts[0].replace("{", f'{{"Comment":"{DEFINITION_BEFORE}",', 1)
    (folder / TEMPLATE).write_text(json.dumps(template))
    return folder


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout with a larger arming window, so that the upgrade changes the functions in any case."""
    return shared_synthesis(tmp_path_factory, Settings(arming_window_days=3)).folder


def physical_ids(deployment: emulator.Deployment) -> dict[str, str]:
    """Return the physical id of each stateful resource by its logical id."""
    listed = deployment.client("cloudformation").describe_stack_resources(StackName="TaskScheduler")["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed if one["ResourceType"] in STATEFUL}


def definition(deployment: emulator.Deployment) -> str:
    """Return the definition of the state machine."""
    steps = deployment.client("stepfunctions")
    arn = deployment.outputs["StateMachineArn"]
    return str(steps.describe_state_machine(stateMachineArn=arn)["definition"])


@pytest.fixture(scope="module")
def upgrade(baseline: Path, present: Path) -> Iterator[Upgrade]:
    with emulator.deployed(assembly=baseline) as before:
        assert DEFINITION_BEFORE in definition(before)
        api = Api(Deployment(before.url, before.secret, "emulator"))
        ids = physical_ids(before)
        with closing(api.http):
            old = Stack(before, api)
            old.wait_for(api.schedule({"in": 0, "message": "emitted before"}), seconds=RECORDED_S)
            events = api.send("GET", "/events?after=0&limit=1000").body["events"]
            keyed = api.send("POST", "/schedule", body=KEYED, headers=KEY).body["id"]
            tagged = api.schedule({"in": 900, "message": "tagged", "tags": {"user": "42"}})
            cancelled, changed = (api.schedule({"in": 600, "message": text}) for text in ("no", "other"))
            parked = api.schedule({"in": "2d", "message": "parked"})
            assert old.execution(parked) is None
            pending = old.schedule(seconds=PENDING)
        after = before.deploy(present)
        api = Api(Deployment(after.url, after.secret, "emulator"), api.ledger)
        with closing(api.http):
            assert now_ms() < pending[-1].due_ms, "the upgrade took so long that no task was waiting"
            assert api.cancel(cancelled.id).status == httpx.codes.OK
            changed = api.change(changed.id, {"in": 1, "message": "sooner"})
            tasks = (pending, parked, tagged, api.ledger.accepted[keyed], cancelled, changed)
            yield Upgrade(before, Stack(after, api), events, *tasks, (ids, physical_ids(after)))


@pytest.mark.emulator
@pytest.mark.long
def test_the_upgrade_keeps_url_secret_outputs_and_stateful_resources(upgrade: Upgrade) -> None:
    health = upgrade.after.api.http.get("health").json()
    assert health["version"] == task_scheduler.__version__
    assert upgrade.after.deployment.url == upgrade.before.url
    assert upgrade.after.deployment.secret == upgrade.before.secret
    assert upgrade.before.outputs.items() <= upgrade.after.deployment.outputs.items()
    before, after = upgrade.physical
    assert len(before) > len(STATEFUL)
    assert before.items() <= after.items()


@pytest.mark.emulator
@pytest.mark.long
def test_pending_tasks_are_emitted_once_and_not_early(upgrade: Upgrade) -> None:
    """Their executions go on with the definition they began with, though that of the state machine has changed."""
    assert DEFINITION_BEFORE not in definition(upgrade.after.deployment)
    late = upgrade.after.wait_for(*upgrade.pending, seconds=RECORDED_S)
    assert min(late.values()) >= 0
    eventually(lambda: {upgrade.after.execution(task) for task in upgrade.pending} == {"SUCCEEDED"})
    assert {upgrade.after.api.task(task.id)["status"] for task in upgrade.pending} == {"emitted"}


@pytest.mark.emulator
@pytest.mark.long
def test_the_event_log_continues(upgrade: Upgrade) -> None:
    upgrade.after.wait_for(*upgrade.pending, seconds=RECORDED_S)
    last = upgrade.events[-1]["id"]
    following = upgrade.after.api.send("GET", f"/events?after={last}&limit=1000").body["events"]
    log = upgrade.after.api.send("GET", "/events?after=0&limit=1000").body["events"]
    assert following
    assert log[: len(upgrade.events) + len(following)] == upgrade.events + following
    numbers = [int(envelope["id"]) for envelope in log]
    assert numbers == sorted(set(numbers))


@pytest.mark.emulator
@pytest.mark.long
def test_a_parked_task_gets_its_timer_from_the_new_sweeper(upgrade: Upgrade) -> None:
    def armed() -> bool:
        upgrade.after.sweep()
        return upgrade.after.execution(upgrade.parked) == "RUNNING"

    eventually(armed, within=RECORDED_S, every=1)


@pytest.mark.emulator
@pytest.mark.long
def test_tasks_are_listed_and_their_tags_and_keys_are_known(upgrade: Upgrade) -> None:
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
def test_tasks_can_be_cancelled_and_changed(upgrade: Upgrade) -> None:
    api = upgrade.after.api
    late = upgrade.after.wait_for(upgrade.changed, seconds=RECORDED_S)
    assert min(late.values()) >= 0
    assert api.task(upgrade.changed.id)["message"] == "sooner"
    executions = (upgrade.cancelled, upgrade.changed)
    eventually(lambda: {upgrade.after.execution(task) for task in executions} == {"ABORTED"})
    time.sleep(max(0, (upgrade.cancelled.due_ms - now_ms()) / 1000 + 1))
    assert upgrade.after.emissions(upgrade.cancelled) == {}
    assert api.task(upgrade.cancelled.id)["status"] == "cancelled"
