"""An upgrade of the local engine: a data file of each published format is opened, and everything in it goes on."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.formats.sample import CANCELLED, FORMATS, KEYED, SOON, WAITING
from tests.support.api import Api
from tests.support.clock import eventually, milliseconds
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

SAMPLES: Final = sorted(FORMATS.glob("*.sqlite3"))


class EarlierServer(LocalServer):
    """The present server with its clock set to the time at which the sample was made."""

    program = ("-m", "tests.e2e.earlier_server")


@dataclass(frozen=True)
class Upgrade:
    """What the API of that time returned about the file, and the present API on a copy of it."""

    tasks: dict[str, dict[str, Any]]
    events: list[dict[str, Any]]
    api: Api

    def said(self, message: object) -> dict[str, Any]:
        """Return the one task with this message as it was returned then."""
        [task] = [task for task in self.tasks.values() if task["message"] == message]
        return task

    def log(self) -> list[dict[str, Any]]:
        """Return the events that there are now."""
        return list(self.api.send("GET", "/events?after=0&limit=1000").body["events"])

    def advance(self, by: str) -> None:
        """Set the clock forward; what is due then is in the log."""
        self.api.http.post("/clock", json={"advance": by}).raise_for_status()


@pytest.fixture(params=SAMPLES, ids=[sample.stem for sample in SAMPLES])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgrade]:
    sample: Path = request.param
    said = json.loads(sample.with_suffix(".json").read_text())
    data = shutil.copyfile(sample, tmp_path / sample.name)
    opened_ms = max(milliseconds(task["created_at"]) for task in said["tasks"]) + 60_000
    with EarlierServer(data, options=(f"--now={opened_ms}",)) as server:
        api = server.api()
        with closing(api.http):
            yield Upgrade({task["id"]: task for task in said["tasks"]}, said["events"], api)


def test_tasks_and_events_of_an_earlier_format_are_unchanged(upgrade: Upgrade) -> None:
    assert {task["status"] for task in upgrade.tasks.values()} == {"scheduled", "emitted", "cancelled"}
    overdue = upgrade.said(SOON["message"])["id"]
    eventually(lambda: upgrade.api.task(overdue)["status"] == "emitted")
    now = {task["id"]: task for task in upgrade.api.send("GET", "/tasks?limit=1000").body["tasks"]}
    assert now.keys() == upgrade.tasks.keys()
    for task_id in upgrade.tasks.keys() - {overdue}:
        assert upgrade.tasks[task_id].items() <= now[task_id].items()
    tagged = upgrade.api.send("GET", "/tasks?tag=user:42").body["tasks"]
    assert {task["id"] for task in tagged} == {
        task_id for task_id, task in upgrade.tasks.items() if task["extra"].get("tags") == {"user": "42"}
    }
    log = upgrade.log()
    assert upgrade.events
    assert log[: len(upgrade.events)] == upgrade.events
    assert [envelope["metadata"]["id"] for envelope in log[len(upgrade.events) :]] == [overdue]


def test_waiting_tasks_of_an_earlier_format_can_be_changed_and_cancelled(upgrade: Upgrade) -> None:
    changed, cancelled = (upgrade.said(WAITING[number]["message"])["id"] for number in (KEYED, 2))
    upgrade.api.change(changed, {"in": "1d", "message": "sooner"})
    assert upgrade.api.cancel(cancelled).status == 200
    upgrade.advance("3100d")
    last = {envelope["metadata"]["id"]: envelope["event"]["message"] for envelope in upgrade.log()}
    assert last[changed] == "sooner"
    assert cancelled not in last


def test_waiting_tasks_of_an_earlier_format_are_emitted_once_and_cancelled_ones_never(upgrade: Upgrade) -> None:
    waiting = {task["id"]: milliseconds(task["timestamp"]) for task in upgrade.tasks.values()}
    for task in upgrade.tasks.values():
        if task["status"] != "scheduled" or task["message"] == SOON["message"]:
            del waiting[task["id"]]
    assert len(waiting) == len(WAITING) - 1
    upgrade.advance("2700d")
    assert waiting.keys().isdisjoint(envelope["metadata"]["id"] for envelope in upgrade.log())
    upgrade.advance("400d")
    log = [envelope for envelope in upgrade.log() if envelope["metadata"]["id"] in waiting]
    assert [envelope["metadata"]["id"] for envelope in log] == sorted(waiting, key=lambda task: waiting[task])
    assert all(envelope["metadata"]["ts"] >= waiting[envelope["metadata"]["id"]] for envelope in log)
    assert all(int(envelope["id"]) > int(upgrade.events[-1]["id"]) for envelope in log)
    for task_id in waiting:
        assert upgrade.api.task(task_id)["status"] == "emitted"
        said, event = upgrade.tasks[task_id], next(one["event"] for one in log if one["event"]["id"] == task_id)
        assert (event["message"], {**event, **said["extra"]}) == (said["message"], event)
    assert upgrade.said(WAITING[CANCELLED]["message"])["id"] not in {one["metadata"]["id"] for one in upgrade.log()}
    upgrade.advance("1d")
    assert [one for one in upgrade.log() if one["metadata"]["id"] in waiting] == log
