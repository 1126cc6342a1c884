"""What a task is made of, and the bounds it must keep."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler.task import (
    MAX_QUOTED_EVENT_BYTES,
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


def test_an_event_of_little_but_quotes_is_refused_where_its_execution_could_not_start() -> None:
    with pytest.raises(TaskTooLargeError, match=f"{MAX_QUOTED_EVENT_BYTES:,}"):
        task(timestamp="2026-12-01", message=[""] * 60_000)
