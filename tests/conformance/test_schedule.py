"""POST and GET /schedule: what is accepted, and what is answered and emitted then."""

import uuid

import pytest

from tests.support.api import PAST, Accepted, Api, together
from tests.support.clock import DAY_MS, iso, milliseconds, now_ms
from tests.support.event_log import EventLog


def test_the_answer_has_an_id_a_message_and_the_timestamp(api: Api) -> None:
    due = iso(now_ms() + DAY_MS)
    answer = api.send("POST", "/schedule", body={"timestamp": due, "message": {"name": "Luke"}})
    assert answer.body == {"id": answer.body["id"], "message": f"Scheduled task at {due}", "timestamp": due}
    assert str(uuid.UUID(answer.body["id"])) == answer.body["id"]


def test_the_emitted_event_is_the_body_and_the_id(api: Api, log: EventLog) -> None:
    """The timestamp stays as it was written; other fields are kept, whatever their names."""
    body = {
        "timestamp": "2020-08-21T06:29:00.951+02:00",
        "message": "hello",
        "customer": {"id": 7, "vip": True},
        "": "an empty name",
        "$.b": 1,
        "a.$": 2,
        "__proto__": {"x": 1},
        "status": "cancelled",
        "event": None,
        "due_ms": 0,
        "revision": 9,
    }
    task = api.schedule(body)
    assert task.timestamp == PAST
    [envelope] = log.wait_for([task])
    assert envelope["event"] == {"id": task.id, **body}


def test_the_event_of_a_task_with_in_carries_the_computed_timestamp(api: Api, log: EventLog) -> None:
    task = api.schedule({"in": 0, "message": "hello", "n": 1})
    [envelope] = log.wait_for([task])
    assert envelope["event"] == {"id": task.id, "timestamp": task.timestamp, "message": "hello", "n": 1}


@pytest.mark.parametrize(
    "unit",
    [
        {0: 0, 2: 2_000, 0.5: 500, 1.25: 1_250, 90_000: 90_000_000},
        {"30s": 30_000, "5m": 300_000},
        {"2h": 7_200_000, "7d": 7 * DAY_MS},
    ],
)
def test_in_counts_from_now(api: Api, unit: dict[object, int]) -> None:
    for duration, milliseconds_ahead in unit.items():
        before = now_ms()
        task = api.schedule({"in": duration, "message": "hello"})
        assert before <= task.due_ms - milliseconds_ahead <= now_ms(), duration


def test_the_horizon_is_ten_years(api: Api) -> None:
    ten_years = 3_652 * DAY_MS
    assert api.schedule({"timestamp": iso(now_ms() + ten_years - DAY_MS), "message": "far"}).id
    assert api.schedule({"in": "3650d", "message": "far"}).id
    beyond = iso(now_ms() + ten_years + 2 * DAY_MS)
    assert "timestamp" in " ".join(api.refuse({"timestamp": beyond, "message": "farther"}))
    assert "in" in " ".join(api.refuse({"in": "3655d", "message": "farther"})).split()


@pytest.mark.slow
def test_a_task_is_never_emitted_early(api: Api, log: EventLog) -> None:
    """Not by the server's clock, whatever the fraction of the second; the stream's test looks at ours."""
    base = now_ms() + 1_000
    dues = [base + fraction for fraction in (0, 1, 37, 250, 499, 500, 501, 750, 951, 998, 999, 1_000, 1_333, 1_999)]

    def schedule(due_ms: int) -> Accepted:
        return api.schedule({"timestamp": iso(due_ms), "message": due_ms})

    for envelope in log.wait_for(together(schedule, dues)):
        due_ms = milliseconds(envelope["event"]["timestamp"])
        assert envelope["metadata"]["ts"] >= due_ms
        assert envelope["metadata"]["ts"] <= now_ms() + 1_000
