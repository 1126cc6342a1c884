"""The test clock: months in milliseconds, and what is forgotten after them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.api import IDEMPOTENCY_KEY, PAST, Api
from tests.support.clock import DAY_MS, eventually, iso, milliseconds, now_ms
from tests.support.contract import JsonObject, check_error_shape
from tests.support.event_stream import position
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

_SECRET: Final = "of a server that lives for a second"  # noqa: S105 - it guards nothing


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A client of a server with a test clock."""
    with LocalServer(tmp_path / "tasks.db", secret=_SECRET, options=("--test-clock",)) as server:
        client = server.api()
        yield client


def _post(api: Api, content: bytes) -> httpx.Response:
    return api.http.post("/clock", content=content, headers=api.secret)


def _advance(api: Api, by: str) -> int:
    """Set the clock forward; returns the time that it is then."""
    response = _post(api, b'{"advance": "%s"}' % by.encode()).raise_for_status()
    assert response.json().keys() == {"now"}
    return milliseconds(response.json()["now"])


def _events(api: Api) -> list[JsonObject]:
    return list(api.send("GET", "/events?limit=1000").body["events"])


def _emitted(api: Api) -> list[str]:
    return [envelope["metadata"]["id"] for envelope in _events(api)]


def test_far_tasks_are_emitted_in_order_at_their_time(api: Api) -> None:
    """They are in the log when the answer comes: no test has to wait."""
    nine_years = api.schedule({"in": "3287d", "message": "+9 y"})
    year_and_a_day = api.schedule({"in": "366d", "message": "+366 d"})
    almost_a_year = api.schedule({"in": "364d", "message": "+364 d"})
    assert _advance(api, "363d") < almost_a_year.due_ms
    assert _emitted(api) == []
    for by, task in (("1d", almost_a_year), ("2d", year_and_a_day), ("2921d", nine_years)):
        assert api.task(task.id)["status"] == "scheduled"
        assert _advance(api, by) >= task.due_ms
        newest = _events(api)[-1]
        assert newest["metadata"]["id"] == task.id
        assert 0 <= newest["metadata"]["ts"] - task.due_ms < 5_000
        assert api.task(task.id)["emitted_at"] == iso(newest["metadata"]["ts"])
    assert newest["id"] == "3"


def test_everything_goes_by_the_clock(api: Api) -> None:
    ahead = _advance(api, "100d")
    assert 0 <= now_ms() + 100 * DAY_MS - ahead < 5_000
    task = api.schedule({"in": "1h", "message": "hello"})
    assert 0 <= task.due_ms - 3_600_000 - ahead < 5_000
    assert 0 <= milliseconds(api.task(task.id)["created_at"]) - ahead < 5_000
    assert api.cancel(task.id).status == 200
    assert 0 <= milliseconds(api.task(task.id)["cancelled_at"]) - ahead < 5_000
    past = api.schedule({"timestamp": iso(ahead - 1), "message": "past by this clock, not by the real one"})
    eventually(lambda: _emitted(api) == [past.id])
    assert _advance(api, "0s") >= ahead


def test_there_is_no_clock_to_set_unless_it_was_asked_for(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "tasks.db") as server:
        client = server.api()
        assert client.send("POST", "/clock", body={"advance": "1d"}).status == 404


def test_the_clock_is_set_by_post_and_with_the_secret(api: Api) -> None:
    assert api.http.get("/clock", headers=api.secret).status_code == 405
    assert api.http.post("/clock", content=b'{"advance": "1d"}').status_code == 401
    assert _advance(api, "0s") < now_ms() + 5_000


def test_wrong_bodies_leave_the_clock_alone(api: Api) -> None:
    for content in (
        *(b"", b"[]", b"{", b"null", b"30"),
        *(b"{}", b'{"advance": null}', b'{"advance": "soon"}', b'{"advance": -1}', b'{"advance": true}'),
        *(
            b'{"advance": "30d", "to": 5}',
            b'{"by": "30d"}',
            b'{"advance": "9999999d"}',
            b'{"advance": 1e300}',
            b'{"advance": 1e308}',
        ),
    ):
        response = _post(api, content)
        assert response.status_code == 400, content
        check_error_shape(response)
    assert _advance(api, "0s") < now_ms() + 5_000


def test_events_are_kept_7_days_and_tasks_30_days_after_their_end(api: Api) -> None:
    """The position stays, so that a reader who comes back is where the log goes on."""
    body = {"timestamp": PAST, "message": "hello"}
    emitted = [result["id"] for _ in range(6) for result in api.schedule_batch([body] * 100)]
    cancelled = api.schedule({"in": "1h", "message": "never"})
    api.cancel(cancelled.id)
    waiting = api.schedule({"in": "60d", "message": "still there"})
    keyed = api.send("POST", "/schedule", body={"in": 0, "message": "hello"}, headers={IDEMPOTENCY_KEY: "a key"})
    emitted.append(keyed.body["id"])
    eventually(lambda: position(api) == len(emitted))
    _advance(api, "6d")
    assert len(_emitted(api)) == len(emitted)
    _advance(api, "2d")
    eventually(lambda: _emitted(api) == [])
    assert position(api) == len(emitted)
    assert api.send("GET", f"/events?before={len(emitted) + 1}").body["events"] == []
    assert api.task(emitted[0])["status"] == "emitted"
    _advance(api, "21d")
    assert api.task(cancelled.id)["status"] == "cancelled"
    _advance(api, "2d")
    gone = [emitted[0], emitted[-1], cancelled.id]
    eventually(lambda: all(api.send("GET", f"/tasks/{task_id}").status == 404 for task_id in gone))
    eventually(lambda: [task["id"] for task in api.send("GET", "/tasks").body["tasks"]] == [waiting.id])
    assert api.task(waiting.id)["status"] == "scheduled"
    again = api.send("POST", "/schedule", body={"in": 0, "message": "hello"}, headers={IDEMPOTENCY_KEY: "a key"})
    assert again.status == 200  # the key is kept as long as its task
    _advance(api, "30d")
    assert _emitted(api)[-1:] == [waiting.id]
    assert int(_events(api)[-1]["id"]) == len(emitted) + 2
