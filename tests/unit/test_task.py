"""What a task is made of, and the bounds it must keep."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler.task import (
    HORIZON_MS,
    MAX_EVENT_BYTES,
    MAX_QUOTED_EVENT_BYTES,
    InvalidTaskError,
    Task,
    TaskTooLargeError,
    encode,
    new_task,
)

ID = "8fceb45b-0241-4d04-9f3f-334679586370"
NOW_MS = 1_795_300_000_000

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children) | st.dictionaries(texts, children),
)


def task(**body: Any) -> Task:  # noqa: ANN401 - any JSON
    return new_task(body, task_id=ID, now_ms=NOW_MS)


def errors(**body: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON
    with pytest.raises(InvalidTaskError) as caught:
        task(**body)
    return caught.value.errors


@given(json_values.filter(lambda value: value is not None), st.dictionaries(texts, json_values))
def test_the_event_is_the_body_as_given_and_the_id(message: Any, extra: dict[str, Any]) -> None:  # noqa: ANN401 - any JSON
    # Hypothesis takes words from the source as keys, too; those with a meaning of their own are tested for themselves.
    body = {key: value for key, value in extra.items() if key not in {"id", "in", "tags", "timezone"}}
    body |= {"timestamp": "2026-12-01T10:00:00+01:00", "message": message}
    assert json.loads(task(**body).payload) == {"id": ID, **body}


@given(json_values)
def test_events_hold_only_characters_that_every_service_takes(value: object) -> None:
    text = encode(value)
    assert json.loads(text) == value
    assert not [character for character in text if character < " " or character in "\ufffe\uffff"]


def test_a_delay_becomes_the_timestamp_of_the_event() -> None:
    delayed = task(**{"in": "90s", "message": 1})
    assert delayed.due_ms == NOW_MS + 90_000
    assert json.loads(delayed.payload) == {"id": ID, "timestamp": "2026-11-21T22:28:10.000Z", "message": 1}


@pytest.mark.parametrize("message", [False, 0, "", [], {}])
def test_messages_that_count_for_nothing_are_messages(message: object) -> None:
    assert json.loads(task(timestamp="2026-12-01", message=message).payload)["message"] == message


def test_every_mistake_is_named() -> None:
    found = errors(id="mine", timestamp="soon")
    assert [sentence.split()[0] for sentence in found] == ["timestamp", "message", "id"]


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"timestamp": "2026-12-01", "in": 5},
        {"timestamp": None},
        {"timestamp": 1_795_300_000},
        {"timestamp": True},
        {"in": "soon"},
    ],
)
def test_a_task_needs_exactly_one_time(when: dict[str, Any]) -> None:
    assert any(name in errors(message="x", **when)[0] for name in ("timestamp", "in "))


def test_the_horizon_is_ten_years() -> None:
    assert task(**{"in": HORIZON_MS // 1000, "message": "x"}).due_ms == NOW_MS + HORIZON_MS
    assert "ten years" in errors(**{"in": HORIZON_MS // 1000 + 1, "message": "x"})[0]
    assert "ten years" in errors(timestamp="9999-12-31T23:59:59Z", message="x")[0]


def test_an_event_may_have_just_the_most_bytes() -> None:
    room = MAX_EVENT_BYTES - len(task(timestamp="2026-12-01", message="").payload)
    assert len(task(timestamp="2026-12-01", message="x" * room).payload) == MAX_EVENT_BYTES
    with pytest.raises(TaskTooLargeError, match="200,000"):
        task(timestamp="2026-12-01", message="x" * (room + 1))


def test_an_event_of_little_but_quotes_is_refused_where_its_execution_could_not_start() -> None:
    with pytest.raises(TaskTooLargeError, match=f"{MAX_QUOTED_EVENT_BYTES:,}"):
        task(timestamp="2026-12-01", message=[""] * 60_000)
