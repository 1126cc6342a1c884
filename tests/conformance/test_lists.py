"""GET /tasks: which tasks a list has, in which order, and in pages."""

import random
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.support.api import PAST, Accepted, Api, together
from tests.support.clock import DAY_MS, iso, milliseconds, now_ms
from tests.support.contract import JsonObject
from tests.support.event_log import EventLog
from tests.support.task_list import page, pages, tag_query, unique_tag, wait_until_listed, walk

_FAR_MS: Final = 500 * DAY_MS  # beyond the arming window, where a task has no timer to stop: cheap in the emulator


def _schedule(api: Api, dues: list[int], tags: dict[str, str]) -> list[Accepted]:
    return together(lambda due: api.schedule({"timestamp": iso(due), "message": "hello", "tags": tags}), dues)


def _ids(tasks: list[JsonObject]) -> list[str]:
    return [task["id"] for task in tasks]


def _in_order(tasks: list[Accepted]) -> list[str]:
    return [task.id for task in sorted(tasks, key=lambda task: (task.due_ms, task.id))]


def test_pages_show_tasks_as_they_are_soonest_first_whatever_their_size(api: Api) -> None:
    """Near ones, and those that lie far ahead; equal times by their ids."""
    tags = unique_tag()
    base = now_ms() + _FAR_MS
    near = [now_ms() + ahead * DAY_MS for ahead in (1, 3_000, 2, 400, 30, 800, 30, 30)]
    tasks = _schedule(api, near + [base + step // 3 for step in range(15)], tags)
    asked = {"tag": tag_query(tags)}
    listed = wait_until_listed(api, asked, len(tasks))
    assert listed == [api.task(task["id"]) for task in listed]
    for limit in (1, 7, 23, 1_000):
        assert _ids(walk(api, {**asked, "limit": limit})) == _in_order(tasks), limit


def test_a_list_has_50_tasks_unless_a_limit_is_given(api: Api) -> None:
    tags = unique_tag()
    body = {"in": "500d", "message": "hello", "tags": tags}
    tasks = [result["id"] for result in api.schedule_batch([body] * 52)]
    asked = {"tag": tag_query(tags)}
    assert set(_ids(wait_until_listed(api, asked, len(tasks)))) == set(tasks)
    first = page(api, asked)
    assert len(first["tasks"]) == 50
    second = page(api, {**asked, "cursor": first["cursor"]})
    assert len(second["tasks"]) == 2
    assert second["cursor"] is None


@pytest.mark.parametrize("limit", [3, 10])
def test_tasks_that_stay_are_listed_once_while_others_come_and_go(api: Api, limit: int) -> None:
    """Between pages some are cancelled, some move and some come, before and behind the place that was reached."""
    choose = random.Random(limit)  # noqa: S311 - a choice of tasks, nothing secret
    tags = unique_tag()
    base = now_ms() + _FAR_MS
    tasks = _schedule(api, [base + choose.randrange(50) * 1_000 for _ in range(30)], tags)
    asked = {"tag": tag_query(tags), "status": "scheduled"}
    wait_until_listed(api, asked, len(tasks))
    touched: set[str] = set()
    seen: list[JsonObject] = []
    for tasks_of_page in pages(api, {**asked, "limit": limit}):
        seen += tasks_of_page
        gone, moved = choose.sample(tasks, 2)
        api.cancel(gone.id)
        api.send("PATCH", f"/tasks/{moved.id}", body={"timestamp": iso(base + choose.randrange(50) * 1_000)})
        touched |= {gone.id, moved.id}
        _schedule(api, [base + choose.randrange(50) * 1_000], tags)
    stayed = [task for task in tasks if task.id not in touched]
    assert [task_id for task_id in _ids(seen) if task_id in {task.id for task in stayed}] == _in_order(stayed)
    dues = [milliseconds(task["timestamp"]) for task in seen]
    assert dues == sorted(dues)


def test_a_list_of_a_status_has_only_that_status(api: Api, log: EventLog) -> None:
    tags = unique_tag()
    waiting, cancelled = _schedule(api, [now_ms() + DAY_MS, now_ms() + DAY_MS], tags)
    emitted = api.schedule({"timestamp": PAST, "message": "hello", "tags": tags})
    api.cancel(cancelled.id)
    log.wait_for([emitted])
    asked = {"tag": tag_query(tags)}
    expected = {"scheduled": [waiting.id], "cancelled": [cancelled.id], "emitted": [emitted.id], "failed": []}
    for status, ids in expected.items():
        listed = wait_until_listed(api, {**asked, "status": status}, len(ids))
        assert _ids(listed) == ids
        assert {task["status"] for task in listed} <= {status}
    assert set(_ids(wait_until_listed(api, asked, 3))) == {waiting.id, cancelled.id, emitted.id}


def test_the_ends_of_a_window_are_timestamps_of_any_form(api: Api) -> None:
    """Also with the plus of an offset not escaped, which then arrives as a space."""
    tags = unique_tag()
    task = api.schedule({"timestamp": "2031-05-05T05:05:05Z", "message": "hello", "tags": tags})
    wait_until_listed(api, {"tag": tag_query(tags)}, 1)
    for window, expected in {
        "from=2031-05-05T05:05:05Z": 1,
        "from=2031-05-05T07:05:05%2B02:00": 1,
        "from=2031-05-05T07:05:05+02:00": 1,
        "from=2031-05-05T07:05:06+02:00": 0,
        "from=2031-05-05": 1,
        "to=2031-05-05": 0,
        "to=2031-05-05T05:05:05Z": 0,
        "to=2031-05-05T05:05:05.001Z": 1,
        "from=2031-05-05T05:05:05Z&to=2031-05-05T05:05:05Z": 0,
        "from=2031-05-06&to=2031-05-04": 0,
        "to=2031-05-06": 1,
        "from=20310505&to=2031-W20": 1,
        "from=0001-01-01&to=9999-12-31": 1,
    }.items():
        answer = api.send("GET", f"/tasks?tag={tag_query(tags)}&{window}")
        assert _ids(answer.body["tasks"]) == [task.id] * expected, window


def test_large_tasks_come_in_pages_that_an_answer_can_carry(api: Api) -> None:
    tags = unique_tag()
    body = {"in": "1h", "message": "x" * 190_000, "tags": tags}
    tasks = together(lambda _: api.schedule(body), range(12))
    asked = {"tag": tag_query(tags)}
    wait_until_listed(api, asked, len(tasks))
    found = list(pages(api, {**asked, "limit": 1_000}))
    assert len(found) > 1
    assert [task["id"] for tasks_of_page in found for task in tasks_of_page] == _in_order(tasks)


def test_each_wrong_parameter_is_named(api: Api) -> None:
    wrong = {"status": "done", "from": "soon", "to": "-1", "tag": "user", "limit": "0", "cursor": "nonsense"}
    answer = api.send("GET", f"/tasks?{urlencode(wrong)}")
    assert answer.status == 400
    assert [error.split()[0] for error in answer.errors] == ["status", "from", "to", "tag", "cursor", "limit"]
