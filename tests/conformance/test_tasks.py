"""GET /tasks/{id}: a task through its life."""

from tests.support.api import Api
from tests.support.clock import iso, milliseconds, now_ms
from tests.support.event_log import EventLog

_FIELDS = {
    "id",
    "status",
    "timestamp",
    "message",
    "extra",
    "created_at",
    "emitted_at",
    "cancelled_at",
    "failed_at",
}


def test_a_scheduled_task_shows_what_was_asked(api: Api) -> None:
    before = now_ms()
    task = api.schedule({"in": "1h", "message": {"a": [1]}, "customer": 7, "note": None})
    shown = api.task(task.id)
    created_at = shown["created_at"]
    assert set(shown) >= _FIELDS
    assert {name: shown[name] for name in _FIELDS} == {
        "id": task.id,
        "status": "scheduled",
        "timestamp": task.timestamp,
        "message": {"a": [1]},
        "extra": {"customer": 7, "note": None},
        "created_at": created_at,
        "emitted_at": None,
        "cancelled_at": None,
        "failed_at": None,
    }
    assert before <= milliseconds(created_at) <= now_ms()
    assert iso(milliseconds(created_at)) == created_at


def test_an_emitted_task_says_when(api: Api, log: EventLog) -> None:
    """The moment the log has it, the task says so too, with the same time."""
    for ahead in (0, 0.4):
        task = api.schedule({"in": ahead, "message": "hello"})
        [envelope] = log.wait_for([task])
        shown = api.task(task.id)
        assert shown["status"] == "emitted"
        assert shown["emitted_at"] == iso(envelope["metadata"]["ts"])
        assert milliseconds(shown["emitted_at"]) >= task.due_ms
        assert shown["cancelled_at"] is None
        assert shown["failed_at"] is None


def test_a_cancelled_task_says_when(api: Api) -> None:
    task = api.schedule({"in": "1h", "message": "hello"})
    before = now_ms()
    assert api.cancel(task.id).status == 200
    shown = api.task(task.id)
    assert shown["status"] == "cancelled"
    assert before <= milliseconds(shown["cancelled_at"]) <= now_ms()
    assert shown["emitted_at"] is None
    assert shown["message"] == "hello"
