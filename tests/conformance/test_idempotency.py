"""Idempotency-Key on /schedule: the same request again is the same task."""

import json
import uuid
from collections.abc import Mapping

import pytest

from tests.support.api import IDEMPOTENCY_KEY, PAST, Answer, Api, together
from tests.support.clock import milliseconds
from tests.support.event_log import EventLog
from tests.support.task_list import tag_query, unique_tag, wait_until_listed


@pytest.fixture
def key() -> str:
    """A key that nobody used before."""
    return f"order {uuid.uuid4()}!"


def _schedule(api: Api, key: str | bytes, body: Mapping[str, object], *, method: str = "POST") -> Answer:
    return api.send(method, "/schedule", body=body, headers={IDEMPOTENCY_KEY: key})


def test_the_same_key_and_body_answer_the_first_task_again(api: Api, key: str) -> None:
    """Also for a time from now: it counts from the first request."""
    first = _schedule(api, key, {"in": "1h", "message": "once"})
    assert first.status == 200
    for method in ("POST", "GET"):
        again = _schedule(api, key, {"in": "1h", "message": "once"}, method=method)
        assert (again.status, again.body) == (200, first.body)


def test_the_order_and_the_layout_of_the_body_do_not_matter(api: Api, key: str) -> None:
    first = _schedule(api, key, {"in": "1h", "message": {"a": 1, "b": [2, {"c": 3, "d": "é"}]}, "n": None})
    other = '{ "n":null ,\n"message":{"b":[2,{"d":"\\u00e9","c":3}],"a":1},"in":"1h" }'
    again = api.send("POST", "/schedule", content=other.encode(), headers={IDEMPOTENCY_KEY: key})
    assert again.body == first.body


def test_another_body_under_the_same_key_is_409_and_changes_nothing(api: Api, key: str) -> None:
    body: dict[str, object] = {"in": "1h", "message": {"list": [1, 2]}}
    first = _schedule(api, key, body)
    shown = api.task(first.body["id"])
    for other in (
        {**body, "in": "2h"},
        {**body, "in": 3600},
        {**body, "message": {"list": [2, 1]}},
        {**body, "message": {"list": [1, "2"]}},
        {**body, "more": 1},
        {**body, "tags": {"a": "b"}},
        {"timestamp": first.body["timestamp"], "message": body["message"]},
    ):
        answer = _schedule(api, key, other)
        assert answer.status == 409, other
        assert "Idempotency-Key" in answer.errors[0]
    assert api.task(first.body["id"]) == shown
    assert _schedule(api, key, body).body == first.body


def test_other_keys_and_no_key_make_other_tasks(api: Api, key: str) -> None:
    body = {"in": "1h", "message": "twice"}
    ids = {_schedule(api, given, body).body["id"] for given in (key, key + "x", key.upper(), key[:-1])}
    ids |= {api.schedule(body).id, api.schedule(body).id}
    assert len(ids) == 6


@pytest.mark.parametrize("timestamp", [PAST, "2031-01-01T00:00:00Z"])
def test_20_equal_requests_at_once_make_one_task_and_one_event(
    api: Api, log: EventLog, key: str, timestamp: str
) -> None:
    tags = unique_tag()
    body = {"timestamp": timestamp, "message": "once", "tags": tags}
    answers = together(lambda _: _schedule(api, key, body), range(20), at_once=20)
    assert {answer.status for answer in answers} == {200}
    [task_id] = {answer.body["id"] for answer in answers}
    wait_until_listed(api, {"tag": tag_query(tags)}, 1)
    promised = api.ledger.accepted[task_id]
    if timestamp == PAST:
        log.wait_for([promised])
        log.pass_by(milliseconds(api.task(task_id)["emitted_at"]))
        assert len(log.of(task_id)) == 1
    else:
        assert api.cancel(task_id).status == 200


def test_of_different_bodies_at_once_one_wins(api: Api, key: str) -> None:
    bodies = [{"in": "1h", "message": number} for number in range(6)]
    answers = together(lambda body: _schedule(api, key, body), bodies, at_once=6)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    [(won, body)] = [(answer, body) for answer, body in zip(answers, bodies, strict=True) if answer.status == 200]
    assert api.task(won.body["id"])["message"] == body["message"]


def test_a_repeated_key_never_makes_a_second_task(api: Api, log: EventLog, key: str) -> None:
    """Nor is it answered with 200 for a task that will not be emitted."""
    out = _schedule(api, key, {"timestamp": PAST, "message": "out"}).body
    log.wait_for([api.ledger.accepted[out["id"]]])
    assert _schedule(api, key, {"timestamp": PAST, "message": "out"}).body == out
    body = {"in": "1h", "message": "never"}
    gone = _schedule(api, key + "cancelled", body).body["id"]
    api.cancel(gone)
    again = _schedule(api, key + "cancelled", body)
    assert again.status == 409
    assert f"{gone}, which was cancelled at" in again.errors[0]
    assert api.task(gone)["status"] == "cancelled"
    moved = _schedule(api, key + "changed", body).body["id"]
    later = api.change(moved, {"in": "5h", "message": "later"})
    repeated = _schedule(api, key + "changed", body).body
    assert (repeated["id"], repeated["timestamp"]) == (moved, later.timestamp)


def test_a_refused_request_does_not_use_its_key_up(api: Api, key: str) -> None:
    assert _schedule(api, key, {"in": "1h"}).status == 400
    assert _schedule(api, key, {"in": "1h", "message": "x" * 200_000}).status == 413
    assert _schedule(api, key, {"in": "1h", "message": "hello"}).status == 200


def test_the_secret_is_no_part_of_the_request(api: Api, key: str) -> None:
    """In the header or in the body, it is the same caller and the same request."""
    if api.deployment.secret is None:
        pytest.skip("a deployment without a secret takes whatever stands in its place")
    first = _schedule(api, key, {"in": "1h", "message": "once"})
    content = json.dumps({"in": "1h", "secret": api.deployment.secret, "message": "once"}).encode()
    headers = {IDEMPOTENCY_KEY: key}
    assert api.send("POST", "/schedule", content=content, headers=headers, anonymous=True).body == first.body


def test_a_key_has_up_to_255_printable_characters(api: Api, key: str) -> None:
    longest = f"{key:*<255}"
    body = {"in": "1h", "message": "hello"}
    assert _schedule(api, longest, body).status == 200
    for wrong in (f"{longest}*", "x" * 5_000, "é", "\N{SNOWMAN}", b"\xff"):
        answer = _schedule(api, wrong, body)
        assert answer.status == 400, wrong
        assert "Idempotency-Key" in answer.errors[0]
