"""The client calls that Pipedream documents for its Task Scheduler, made with Pipedream's own package."""

import json
from typing import Any

import pytest

from tests.conformance.clients import run
from tests.support.api import Accepted, Api, together
from tests.support.clock import now_ms
from tests.support.event_log import EventLog

pytestmark = pytest.mark.slow  # and needs what npm installs

_JEDI = {"name": "Luke", "title": "Jedi"}


def _call(name: str, argument: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON that Pipedream's client got."""
    answer = json.loads(run("pipedream.cjs", name, json.dumps(argument)))
    return answer["status"], answer["data"]


def _request(api: Api, method: str | None, path: str, data: object, **headers: str) -> dict[str, Any]:
    """Make a request for Pipedream's client; without a method it says none."""
    config = {"url": f"{api.deployment.url.rstrip('/')}{path}", "headers": api.secret | headers, "data": data}
    return config if method is None else {"method": method, **config}


def _accepted(api: Api, status: int, data: dict[str, Any]) -> Accepted:
    assert status == 200
    task = Accepted(data["id"], data["timestamp"])
    api.ledger.accepted[task.id] = task
    return task


def test_the_documented_snippet_schedules(api: Api, log: EventLog) -> None:
    """It gives axios no method, which makes it a GET with a body."""
    params = {
        "taskSchedulerURL": api.deployment.url.rstrip("/"),
        "numSeconds": 1,
        "secret": api.deployment.secret,
    }
    before = now_ms()
    task = _accepted(api, *_call("snippet", params))
    assert before <= task.due_ms - 1_000 <= now_ms()
    [envelope] = log.wait_for([task])
    assert envelope["event"] == {"id": task.id, "timestamp": task.timestamp, "message": _JEDI}
    assert envelope["metadata"]["ts"] >= task.due_ms


def test_the_documented_timestamps_are_past_and_emitted_at_once(api: Api, log: EventLog) -> None:
    bodies: list[dict[str, object]] = [
        {"timestamp": "2020-08-21T04:29:00.951Z", "message": _JEDI},
        {"timestamp": "2020-09-18T04:40:59Z", "message": "foo"},
    ]
    requests = [_request(api, method, "/schedule", body) for body in bodies for method in (None, "POST")]
    tasks = [
        _accepted(api, *answer) for answer in together(lambda request: _call("axios", request), requests, at_once=2)
    ]
    events = [envelope["event"] for envelope in log.wait_for(tasks)]
    assert events == [
        {"id": task.id, **body} for task, body in zip(tasks, [b for b in bodies for _ in range(2)], strict=True)
    ]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_documented_cancel_cancels(api: Api, method: str) -> None:
    task = api.schedule({"in": "1h", "message": _JEDI})
    status, data = _call("axios", _request(api, method, "/cancel", {"id": task.id}))
    assert (status, data["id"]) == (200, task.id)
    assert api.task(task.id)["status"] == "cancelled"
