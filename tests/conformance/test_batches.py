"""POST /schedule/batch and /cancel/batch: many at once, each for itself."""

import uuid
from typing import Final

import pytest

from tests.support.api import IDEMPOTENCY_KEY, PAST, Api
from tests.support.clock import DAY_MS, iso, now_ms
from tests.support.contract import JsonObject
from tests.support.event_log import EventLog
from tests.support.task_list import tag_query, unique_tag, wait_until_listed

_UNKNOWN: Final = "8fceb45b-0241-4d04-9f3f-334679586370"


def test_a_batch_answers_each_item_in_order_as_its_own_request(api: Api, log: EventLog) -> None:
    base = now_ms() + DAY_MS
    bodies = [{"timestamp": iso(base - number), "message": number, "n": number} for number in range(9)]
    results = api.schedule_batch([*bodies, {"timestamp": PAST, "message": "at once"}])
    for body, result in zip(bodies, results[:-1], strict=True):
        due = body["timestamp"]
        assert result == {"status": 200, "id": result["id"], "message": f"Scheduled task at {due}", "timestamp": due}
        shown = api.task(result["id"])
        assert (shown["message"], shown["timestamp"]) == (body["n"], due)
    assert len({result["id"] for result in results}) == len(results)
    [envelope] = log.wait_for([api.ledger.accepted[results[-1]["id"]]])
    assert envelope["event"] == {"id": results[-1]["id"], "timestamp": PAST, "message": "at once"}


def test_wrong_items_do_not_spoil_the_others(api: Api, log: EventLog) -> None:
    """Each has its own sentences, the same that it would get alone; the rest is scheduled."""
    good = {"timestamp": PAST, "message": "good"}
    wrong: list[object] = [
        {},
        {"timestamp": PAST},
        {"timestamp": "soon", "message": None},
        {"in": "1h", "message": "hello", "tags": []},
        {"in": "1h", "message": "hello", "id": _UNKNOWN},
    ]
    no_objects: list[object] = [None, 5, "hello", [], [good], True]
    large: object = {"timestamp": PAST, "message": "x" * 200_000}
    items = [good, *wrong, good, *no_objects, large, good]
    results = api.schedule_batch(items)
    assert [result["status"] for result in results] == [
        200 if item is good else 413 if item is large else 400 for item in items
    ]
    for item, result in zip(items, results, strict=True):
        if item in wrong:
            assert result["errors"] == api.refuse(item)
        elif item is not good:
            assert all(" " in sentence for sentence in result["errors"])
    log.wait_for(api.ledger.accepted[result["id"]] for result in results if result["status"] == 200)


@pytest.mark.parametrize("path", ["/schedule/batch", "/cancel/batch"])
def test_batches_have_1_to_100_items(api: Api, path: str) -> None:
    name = "tasks" if path == "/schedule/batch" else "ids"
    item: object = {"in": "500d", "message": "hello"} if name == "tasks" else _UNKNOWN
    for items in ([], [item] * 101, None, {}, "x", 5, {"0": item}):
        answer = api.send("POST", path, body={name: items})
        assert answer.status == 400, items
        assert name in answer.errors[0].split()
        assert "100" in answer.errors[0]
    for body in ({}, {"items": [item]}):
        assert name in api.send("POST", path, body=body).errors[0].split()
    for content in (b"", b"[]", b"null", b"{", b"\xff"):
        assert api.send("POST", path, content=content).status == 400, content
    assert len(api.send("POST", path, body={name: [item] * 100}).body["results"]) == 100


def test_a_batch_with_a_key_can_be_repeated(api: Api) -> None:
    headers = {IDEMPOTENCY_KEY: f"batch {uuid.uuid4()}"}
    tasks: list[object] = [{"in": "1h", "message": 1}, {"message": "no time"}, {"in": "2h", "message": 1}]

    def send(items: list[object]) -> list[JsonObject]:
        return list(api.send("POST", "/schedule/batch", body={"tasks": items}, headers=headers).body["results"])

    first = send(tasks)
    assert [result["status"] for result in first] == [200, 400, 200]
    assert send(tasks) == first
    api.cancel(first[0]["id"])
    changed = send([tasks[0], {"in": "1h", "message": "with a time"}, {"in": "3h", "message": 1}])
    assert [result["status"] for result in changed] == [409, 200, 409]
    alone = api.send("POST", "/schedule", body=tasks[0], headers=headers)
    assert alone.body["id"] not in {first[0]["id"], first[2]["id"]}


def test_a_secret_beside_the_items_is_not_kept_with_them(api: Api) -> None:
    secret = api.deployment.secret or "anything"
    body = {"secret": secret, "tasks": [{"in": "1h", "message": "hello", "secret": secret}]}
    headers = {IDEMPOTENCY_KEY: f"batch {uuid.uuid4()}"}
    [result] = api.send("POST", "/schedule/batch", body=body, headers=headers, anonymous=True).body["results"]
    assert secret not in str(api.task(result["id"]))


def test_ids_are_cancelled_each_for_itself_in_order(api: Api, log: EventLog) -> None:
    emitted = api.schedule({"timestamp": PAST, "message": "too late"})
    log.wait_for([emitted])
    one, two, cancelled = (api.schedule({"in": "1h", "message": "never"}).id for _ in range(3))
    api.cancel(cancelled)
    ids = [one, _UNKNOWN, emitted.id, cancelled, "nonsense", two.upper(), one]
    results = api.send("POST", "/cancel/batch", body={"ids": ids}).body["results"]
    assert [result["status"] for result in results] == [200, 404, 409, 200, 404, 200, 200]
    assert results[0] == {"status": 200, "id": one, "message": f"Cancelled task {one}"}
    assert _UNKNOWN in results[1]["errors"][0]
    assert f"{emitted.id} was already emitted at" in results[2]["errors"][0]
    assert results[5]["id"] == two
    assert {api.task(task_id)["status"] for task_id in (one, two, cancelled)} == {"cancelled"}


def test_a_tag_cancels_all_scheduled_tasks_that_carry_it_and_says_how_many(api: Api, log: EventLog) -> None:
    tags, others = unique_tag(), unique_tag()
    emitted = api.schedule({"timestamp": PAST, "message": "out", "tags": tags})
    log.wait_for([emitted])
    cancelled = api.schedule({"in": "1h", "message": "never", "tags": tags})
    api.cancel(cancelled.id)
    near, far = (api.schedule({"in": ahead, "message": "never", "tags": tags}) for ahead in ("1h", "500d"))
    other = api.schedule({"in": "1h", "message": "stays", "tags": others})
    wait_until_listed(api, {"tag": tag_query(tags), "status": "scheduled"}, 2)
    body = {"tag": tag_query(tags)}
    answer = api.send("POST", "/cancel/batch", body=body)
    assert answer.body == {"cancelled": 2, "not_cancelled": 0, "more": False}
    for task in (near, far):
        assert api.task(task.id)["status"] == "cancelled"
        assert api.cancel(task.id).status == 200
    assert api.task(other.id)["status"] == "scheduled"
    assert api.task(emitted.id)["status"] == "emitted"
    again = api.send("POST", "/cancel/batch", body=body)
    assert again.body == {"cancelled": 0, "not_cancelled": 0, "more": False}


@pytest.mark.slow
def test_a_tag_cancels_page_by_page(api: Api) -> None:
    """More than fit into a page; where time is up before the last one, the same request goes on."""
    tags = unique_tag()
    for ahead in ("1h", "500d", "501d"):
        api.schedule_batch([{"in": ahead, "message": "never", "tags": tags}] * 70)
    wait_until_listed(api, {"tag": tag_query(tags), "limit": 1_000}, 210)
    cancelled = 0
    more = True
    while more:
        answer = api.send("POST", "/cancel/batch", body={"tag": tag_query(tags)}).body
        assert answer["not_cancelled"] == 0 or api.deployment.kind != "local"
        assert answer["cancelled"] or not answer["more"]
        cancelled += answer["cancelled"]
        more = answer["more"] or answer["not_cancelled"] > 0  # throttled, as all that is 503
    assert cancelled == 210
    listed = wait_until_listed(api, {"tag": tag_query(tags), "status": "cancelled", "limit": 1_000}, 210)
    api.ledger.cancelled |= {task["id"] for task in listed}


def test_a_tag_that_is_none_is_refused(api: Api) -> None:
    tags: list[object] = ["", "user", ":", "user:", ":42", 5, None, {"user": "42"}, ["user:42"]]
    for tag in tags:
        answer = api.send("POST", "/cancel/batch", body={"tag": tag})
        assert answer.status == 400, tag
        assert "tag" in answer.errors[0]
    both = api.send("POST", "/cancel/batch", body={"tag": "user:42", "ids": [_UNKNOWN]})
    assert both.status == 400
