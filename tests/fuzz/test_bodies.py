"""Any bytes as a body, any event of API Gateway: an answer of the one shape, no fault, the same from both engines."""

import json
import uuid
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from task_scheduler.api.errors import BadRequestError, BodyTooLargeError
from task_scheduler.api.idempotency import fingerprint, read_key, task_key
from task_scheduler.api.json_body import read_object, read_secret
from task_scheduler.contract import IDEMPOTENCY_KEY_HEADER
from task_scheduler.task import MAX_DEPTH
from tests.fuzz.effort import effort
from tests.fuzz.engines import SECRET, Asked, Engine, Function, LocalApp, event
from tests.fuzz.json_values import BODIES, VALUES

pytestmark = pytest.mark.slow

KNOWN: Final = "a key that both engines know"
ROUTES: Final = st.sampled_from(
    [
        ("POST", "/schedule"),
        ("GET", "/schedule"),
        ("POST", "/schedule/batch"),
        ("POST", "/cancel"),
        ("DELETE", "/cancel"),
        ("POST", "/cancel/batch"),
        ("PATCH", "/tasks/{known}"),
        ("PATCH", "/tasks/00000000-0000-4000-8000-000000000000"),
        ("DELETE", "/tasks/x"),
        ("PUT", "/schedule"),
    ]
)
KEYS: Final = st.sampled_from(["one", "two", "", "é", "x" * 255, "x" * 256]) | st.text("abc~", max_size=3)
SECRETS: Final = st.sampled_from(
    [{"x-pd-secret": SECRET}] * 6 + [{}, {"x-pd-secret": "wrong"}, {"X-PD-Secret": SECRET}]
)
HEADERS: Final = SECRETS | st.builds(lambda secret, key: {**secret, "idempotency-key": key}, SECRETS, KEYS)
ASKED: Final = st.builds(lambda route, body, headers: Asked(route[0], route[1], body, headers), ROUTES, BODIES, HEADERS)


@pytest.fixture(scope="module")
def known(local: LocalApp, function: Function) -> str:
    """The id of a task that both have."""
    asked = Asked("POST", "/schedule", b'{"in": "1d", "message": 1}', {"x-pd-secret": SECRET, "idempotency-key": KNOWN})
    task_id = uuid.uuid4()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: task_id)
        assert {engine(asked).body["id"] for engine in (local, function)} == {str(task_id)}
    return str(task_id)


def _same(local: Engine, function: Engine, asked: Asked) -> None:
    here, there = local(asked), function(asked)
    here.check()
    there.check()
    assert here.status == there.status, (asked, here, there)
    if here.status >= 400:
        assert here.body == there.body, asked
    elif isinstance(here.body, dict) and "results" in here.body:
        assert [each["status"] for each in here.body["results"]] == [each["status"] for each in there.body["results"]]


@effort(40)
@given(asked=ASKED)
@example(Asked("POST", "/schedule", json.dumps({"secret": SECRET, "in": 1, "message": 1}).encode(), headers={}))
def test_both_engines_give_the_same_answer_to_the_same_bytes(
    local: LocalApp, function: Function, known: str, asked: Asked
) -> None:
    _same(local, function, replace(asked, path=asked.path.replace("{known}", known)))


@effort(40)
@given(
    path=st.lists(
        st.sampled_from(["", "schedule", "cancel", "tasks", "events", "health", "docs", "batch", "x", "~a_b"]),
        max_size=3,
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
)
def test_both_engines_have_the_same_paths(local: LocalApp, function: Function, path: list[str], method: str) -> None:
    _same(local, function, Asked(method, "/" + "/".join(path), headers={"x-pd-secret": SECRET}))


@effort(40)
@given(
    path=st.sampled_from(["/tasks", "/events"]),
    query=st.dictionaries(
        st.sampled_from(["status", "from", "to", "tag", "limit", "cursor", "after", "before", "lastEventId", "x", "é"]),
        st.text(max_size=8) | st.sampled_from(["1", "scheduled", "2026-12-01", "user:42"]),
        max_size=3,
    ),
)
def test_both_engines_read_the_same_queries(
    local: LocalApp, function: Function, path: str, query: dict[str, str]
) -> None:
    _same(local, function, Asked("GET", path, query=query))


@effort(40)
@given(data=st.data(), route=ROUTES, body=BODIES)
def test_no_event_of_api_gateway_is_too_strange(
    function: Function, data: st.DataObject, route: tuple[str, str], body: bytes
) -> None:
    asked = Asked(route[0], route[1], body)
    text = body.decode("utf-8", "replace")
    shapes: dict[str, list[object]] = {
        "headers": [None, {}, {"x-pd-secret": SECRET}, {"X-Pd-Secret": SECRET, "Accept": "*/*"}],
        "multiValueHeaders": [None, {}, {"x-pd-secret": [SECRET, SECRET]}, {"accept": ["a", "b"]}],
        "queryStringParameters": [None, {}, {"x": ""}],
        "multiValueQueryStringParameters": [None, {}, {"x": ["", "1"]}],
        "pathParameters": [None, {}],
    }
    changes = {name: data.draw(st.sampled_from(values)) for name, values in shapes.items() if data.draw(st.booleans())}
    if data.draw(st.booleans()):
        changes |= {"body": data.draw(st.sampled_from([None, "", text])), "isBase64Encoded": False}
    found = function.call(event(asked, **changes), None)
    assert found["statusCode"] < 500, found
    assert found["statusCode"] < 400 or json.loads(found["body"])["errors"]


@effort(100)
@given(BODIES)
def test_a_body_is_an_object_that_json_can_carry_or_is_refused_in_words(body: bytes) -> None:
    read_secret(body)
    try:
        fields = read_object(body)
    except (BadRequestError, BodyTooLargeError) as error:
        assert " " in str(error)  # noqa: PT017 - most bodies are refused, and some are not
        return
    text = json.dumps(fields, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "secret" not in fields
    assert _depth(fields) <= MAX_DEPTH
    expected = json.loads(body.decode("utf-8-sig"))  # the last of equal names wins, as everywhere
    expected.pop("secret", None)
    assert fields == expected


@effort(70)
@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), st.randoms(use_true_random=False))
def test_a_fingerprint_does_not_go_by_the_order_of_fields(fields: dict[str, Any], random: Any) -> None:  # noqa: ANN401 - of Hypothesis
    names = list(fields)
    random.shuffle(names)
    assert fingerprint({name: fields[name] for name in names}) == fingerprint(fields)
    assert fingerprint({**fields, "another": 1}) != fingerprint({**fields, "another": 2})


@effort(70)
@given(st.text(max_size=300), st.integers(0, 99), st.text(max_size=300))
def test_a_key_is_refused_or_is_one_of_its_own_for_each_item_of_a_batch(key: str, index: int, other: str) -> None:
    try:
        given = read_key({IDEMPOTENCY_KEY_HEADER: key})
    except BadRequestError:
        assert not (1 <= len(key) <= 255 and all(" " <= character <= "~" for character in key))
        return
    one, item = task_key(given, {}), task_key(given, {}, index=index)
    assert one is not None
    assert item is not None
    assert one.name == key
    assert item.name not in {key, other}
    assert item != task_key(given, {}, index=index + 1)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
