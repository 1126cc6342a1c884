"""Sizes: what just fits is taken, what just does not is a 413 that says the limit."""

import json
from typing import Final

import pytest

from tests.support.api import PAST, Answer, Api
from tests.support.event_log import EventLog

_MAX_EVENT: Final = 200_000  # bytes of UTF-8 JSON
_MAX_BODY: Final = 1_048_576  # bytes
_ID: Final = "8fceb45b-0241-4d04-9f3f-334679586370"


def _schedule_event_of(api: Api, size: int, *, character: str = "x") -> Answer:
    """Schedule a task whose emitted event has `size` bytes of compact JSON."""
    body = {"timestamp": PAST, "message": ""}
    frame = len(json.dumps({"id": _ID, **body}, separators=(",", ":")))
    count, rest = divmod(size - frame, len(character.encode()))
    body["message"] = character * count + "x" * rest
    return api.send("POST", "/schedule", content=json.dumps(body, ensure_ascii=False).encode())


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_an_event_of_200_000_bytes_is_taken_and_one_byte_more_is_not(api: Api, log: EventLog, character: str) -> None:
    answer = _schedule_event_of(api, _MAX_EVENT, character=character)
    assert answer.status == 200
    [envelope] = log.wait_for([api.ledger.accepted[answer.body["id"]]])
    assert len(json.dumps(envelope["event"], ensure_ascii=False, separators=(",", ":")).encode()) == _MAX_EVENT
    refused = _schedule_event_of(api, _MAX_EVENT + 1, character=character)
    assert refused.status == 413
    assert "200,000" in refused.errors[0]


def test_extra_fields_count_as_well(api: Api) -> None:
    answer = api.send("POST", "/schedule", body={"timestamp": PAST, "message": "hello", "more": "x" * _MAX_EVENT})
    assert answer.status == 413


@pytest.mark.parametrize("path", ["/schedule", "/cancel"])
def test_a_body_beyond_1_048_576_bytes_is_refused(api: Api, path: str) -> None:
    body = json.dumps({"in": "1h", "message": "hello", "id": _ID}).encode()
    answer = api.send("POST", path, content=body + b" " * (_MAX_BODY + 1 - len(body)))
    assert answer.status == 413
    assert "1,048,576" in answer.errors[0]


def test_a_body_of_1_048_576_bytes_is_read(api: Api) -> None:
    body = json.dumps({"in": "1h", "message": "hello"}).encode()
    assert api.send("POST", "/schedule", content=body + b" " * (_MAX_BODY - len(body))).status == 200
