"""Wall-clock times: `timezone` beside `timestamp`; the instant is answered, and what was given is emitted."""

import pytest

from tests.support.api import Api
from tests.support.clock import DAY_MS, iso, now_ms
from tests.support.event_log import EventLog

_REAL_DAYS = {
    ("2024-12-01T09:00", "Europe/Berlin"): "2024-12-01T08:00:00.000Z",
    ("2024-03-31T02:30", "Europe/Berlin"): "2024-03-31T01:00:00.000Z",  # a gap
    ("2024-10-27T02:30", "Europe/Berlin"): "2024-10-27T00:30:00.000Z",  # a fold
}


def _far_wall_time(days: int = 30) -> str:
    return iso(now_ms() + days * DAY_MS).replace("Z", "")


def test_the_event_carries_the_time_and_the_zone_as_they_were_written(api: Api, log: EventLog) -> None:
    task = api.schedule({"timestamp": "2024-12-01T09:00", "timezone": "Europe/Berlin", "message": "ring"})
    [envelope] = log.wait_for([task])
    assert envelope["event"] == {
        "id": task.id,
        "timestamp": "2024-12-01T09:00",
        "timezone": "Europe/Berlin",
        "message": "ring",
    }
    shown = api.task(task.id)
    assert shown["timestamp"] == "2024-12-01T08:00:00.000Z"
    assert shown["extra"] == {"timezone": "Europe/Berlin"}


def test_a_batch_takes_zones_too(api: Api) -> None:
    bodies = [{"timestamp": wall, "timezone": zone, "message": "ring"} for wall, zone in _REAL_DAYS]
    wrong = {"timestamp": "2024-12-01", "timezone": "Mars/Olympus", "message": "ring"}
    results = api.schedule_batch([*bodies, wrong])
    assert [result.get("timestamp") for result in results] == [*_REAL_DAYS.values(), None]
    assert results[-1]["status"] == 400


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"timestamp": "2026-12-01T09:00Z", "timezone": "Europe/Berlin"}, "timestamp has an offset"),
        ({"timestamp": "2026-12-01T09:00+01:00", "timezone": "Europe/Berlin"}, "timestamp has an offset"),
        ({"timestamp": "2026-12-01T09:00", "timezone": "Europe/Atlantis"}, "timezone must be the IANA name"),
        ({"timestamp": "2026-12-01T09:00", "timezone": None}, "timezone must be the IANA name"),
        ({"timestamp": "2026-12-01T09:00", "timezone": "../../etc/localtime"}, "timezone must be the IANA name"),
        ({"in": "1h", "timezone": "Europe/Berlin"}, "timezone goes with timestamp"),
    ],
)
def test_a_zone_that_cannot_be_meant_is_refused(api: Api, body: dict[str, object], sentence: str) -> None:
    [error] = api.refuse(body | {"message": "ring"})
    assert error.startswith(sentence)


def test_each_mistake_is_named(api: Api) -> None:
    errors = api.refuse({"timestamp": "soon", "timezone": "Mars/Olympus"})
    assert [error.split()[0] for error in errors] == ["timezone", "timestamp", "message"]


def test_another_time_takes_its_own_zone_along(api: Api) -> None:
    wall = _far_wall_time()
    task = api.schedule({"timestamp": wall, "timezone": "Europe/Berlin", "message": "ring", "n": 1})
    changed = api.change(task.id, {"timestamp": wall, "timezone": "Asia/Kathmandu"})
    assert task.due_ms - changed.due_ms in {3.75 * 3_600_000, 4.75 * 3_600_000}
    assert api.task(task.id)["extra"] == {"timezone": "Asia/Kathmandu", "n": 1}
    assert api.cancel(task.id).status == 200


@pytest.mark.parametrize("change", [{"in": "2d"}, {"timestamp": iso(now_ms() + DAY_MS)}], ids=["in", "timestamp"])
def test_another_time_leaves_no_old_zone_behind(api: Api, change: dict[str, str]) -> None:
    task = api.schedule({"timestamp": _far_wall_time(), "timezone": "Europe/Berlin", "message": "ring"})
    api.change(task.id, change)
    assert api.task(task.id)["extra"] == {}
    assert api.cancel(task.id).status == 200


def test_another_message_leaves_time_and_zone_alone(api: Api) -> None:
    task = api.schedule({"timestamp": _far_wall_time(), "timezone": "Europe/Berlin", "message": "ring"})
    assert api.change(task.id, {"message": "knock"}).timestamp == task.timestamp
    assert api.task(task.id)["extra"] == {"timezone": "Europe/Berlin"}
    assert api.cancel(task.id).status == 200


def test_a_zone_alone_changes_nothing(api: Api) -> None:
    task = api.schedule({"in": "1d", "message": "ring"})
    answer = api.send("PATCH", f"/tasks/{task.id}", body={"timezone": "Europe/Berlin"})
    assert answer.status == 400
    assert api.task(task.id)["timestamp"] == task.timestamp
    assert api.cancel(task.id).status == 200
