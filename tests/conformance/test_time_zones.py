"""Wall-clock times: `timezone` beside `timestamp`; the instant is answered, and what was given is emitted."""

import pytest

from tests.support.api import Api
from tests.support.clock import DAY_MS, iso, milliseconds, now_ms
from tests.support.event_log import EventLog

_REAL_DAYS = {
    ("2024-12-01T09:00", "Europe/Berlin"): "2024-12-01T08:00:00.000Z",
    ("2024-03-31T02:30", "Europe/Berlin"): "2024-03-31T01:00:00.000Z",  # a gap
    ("2024-10-27T02:30", "Europe/Berlin"): "2024-10-27T00:30:00.000Z",  # a fold
}
_IN_30_DAYS = iso(now_ms() + 30 * DAY_MS).replace("Z", "")  # on a clock of any zone


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


@pytest.mark.parametrize(
    ("change", "extra"),
    [
        ({"timestamp": _IN_30_DAYS, "timezone": "Asia/Kathmandu"}, {"timezone": "Asia/Kathmandu", "n": 1}),
        ({"timestamp": iso(now_ms() + DAY_MS)}, {"n": 1}),
        ({"in": "2d"}, {"n": 1}),
        ({"message": "knock"}, {"timezone": "Europe/Berlin", "n": 1}),
        ({"timezone": "Asia/Kathmandu"}, None),
    ],
    ids=lambda given: str(given and [*given]),
)
def test_a_change_of_the_time_replaces_the_zone(
    api: Api, change: dict[str, str], extra: dict[str, object] | None
) -> None:
    """A message alone leaves time and zone as they are; a zone alone is rejected."""
    task = api.schedule({"timestamp": _IN_30_DAYS, "timezone": "Europe/Berlin", "message": "ring", "n": 1})
    before = api.task(task.id)
    assert api.send("PATCH", f"/tasks/{task.id}", body=change).status == (400 if extra is None else 200)
    changed = api.task(task.id)
    if extra is None:
        assert changed == before
    else:
        assert changed["extra"] == extra
        assert (changed["timestamp"] == before["timestamp"]) == ("message" in change)
    if "Asia/Kathmandu" in change.values() and extra is not None:
        assert task.due_ms - milliseconds(changed["timestamp"]) in {3.75 * 3_600_000, 4.75 * 3_600_000}
    assert api.cancel(task.id).status == 200
