"""Bodies that are not what they should be: refused with a reason, and the server lives on."""

from collections.abc import Iterator

import pytest

from tests.support.api import PAST, Api, together


@pytest.fixture(autouse=True)
def _server_lives_on(api: Api) -> Iterator[None]:
    yield
    assert api.send("GET", "/health").body["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/schedule"), ("GET", "/schedule"), ("POST", "/cancel"), ("DELETE", "/cancel")]
)
def test_what_is_no_json_object_is_refused(api: Api, method: str, path: str) -> None:
    """Samples of what tests/unit/test_json_body.py has."""
    for content in (
        b"",
        b'["hello"]',
        b'{"id": 1,}',
        b'{"id": "\xff"}',
        b'{"in": NaN}',
        b'{"id": "\\ud800"}',
        b"[" * 10**5,
    ):
        answer = api.send(method, path, content=content)
        assert answer.status == 400, content[:100]
        assert "body" in answer.errors[0].lower() or "JSON" in answer.errors[0], answer


def test_each_mistake_has_a_sentence_that_names_its_field(api: Api) -> None:
    mistakes: list[tuple[dict[str, object], list[str]]] = [
        ({}, ["timestamp", "message"]),
        ({"timestamp": PAST}, ["message"]),
        ({"timestamp": PAST, "message": None}, ["message"]),
        ({"message": "hello"}, ["timestamp"]),
        ({"timestamp": None, "message": "hello"}, ["timestamp"]),
        ({"timestamp": PAST, "in": 5, "message": "hello"}, ["timestamp"]),
        ({"timestamp": PAST, "in": None, "message": "hello"}, ["timestamp"]),
        ({"timestamp": PAST, "message": "hello", "id": "8fceb45b-0241-4d04-9f3f-334679586370"}, ["id"]),
        ({"timestamp": PAST, "message": "hello", "id": None}, ["id"]),
        ({"timestamp": 5, "message": None, "id": 1}, ["timestamp", "message", "id"]),
        ({"in": "soon", "id": 1}, ["in", "message", "id"]),
    ]
    for body, fields in api.few(mistakes):
        errors = api.refuse(body)
        assert len(errors) == len(fields), body
        for name in fields:
            assert any(name in error.replace(":", " ").split() for error in errors), f"{body}: {errors}"


def test_cancel_wants_an_id(api: Api) -> None:
    ids: list[object] = [None, 5, ["x"], {}, True]
    for body in api.few([{}, {"task": "x"}, *({"id": task_id} for task_id in ids)]):
        for method in ("POST", "DELETE"):
            answer = api.send(method, "/cancel", body=body)
            assert answer.status == 400, body
            assert "id" in answer.errors[0].split(), body


def test_queries_of_the_event_log_that_are_no_numbers_are_refused(api: Api) -> None:
    for name, values in {
        "before": ["", "x", "-1", "1.5", "1e3", "%D9%A3", "null"],
        "after": ["", "x", "-1", "1.5", "1e3", "0x10", "1_000", "%D9%A3", "%2B1", "%00", "null"],
        "limit": ["", "x", "-1", "0", "1001", "1.5", "1_0", "%D9%A3", "9" * 30, "9" * 5_000],
    }.items():
        chosen = api.few(values)
        answers = together(lambda path: api.send("GET", path), [f"/events?{name}={value}" for value in chosen])
        for value, answer in zip(chosen, answers, strict=True):
            assert answer.status == 400, f"{name}={value}"
            assert name in answer.errors[0].split(), answer


def test_positions_beyond_all_numbers_are_no_crash(api: Api) -> None:
    """Whether they are refused or nothing follows them."""
    for position in (2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**38, 10**40, "9" * 5_000):
        for name in ("after", "before"):
            assert api.send("GET", f"/events?{name}={position}").status in {200, 400}


def test_the_content_type_does_not_matter(api: Api) -> None:
    """`curl -d` says that it sends a form."""
    for content_type in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json; charset=utf-8",
        "nonsense",
    ):
        answer = api.send(
            "POST", "/schedule", body={"in": "1h", "message": "hello"}, headers={"content-type": content_type}
        )
        assert answer.status == 200, content_type
