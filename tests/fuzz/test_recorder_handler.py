"""The recorder's function: of any batch that SQS hands over, exactly what was not recorded goes back to the queue."""

import importlib
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler.aws import schema
from task_scheduler.aws.recorder import Emission
from tests.fuzz.effort import effort

RECORDS: Final = st.lists(
    st.fixed_dictionaries(
        {
            "messageId": st.uuids().map(str),
            "receiptHandle": st.text(max_size=5),
            "body": st.text(max_size=10),
            "attributes": st.fixed_dictionaries(
                {"SentTimestamp": st.integers(0, 2**53).map(str), "ApproximateReceiveCount": st.integers(1, 9).map(str)}
            ),
            "messageAttributes": st.just({}) | st.just({"user": {"stringValue": "42", "dataType": "String"}}),
            "eventSource": st.just("aws:sqs"),
        }
    ),
    max_size=10,
    unique_by=lambda record: str(record["messageId"]),
)


class Scripted:
    """Records what it is told to, and remembers what it got."""

    def __init__(self) -> None:
        self.done: list[bool] = []
        self.got: list[Emission] = []

    def record(self, emissions: list[Emission]) -> list[bool]:
        self.got = emissions
        return self.done


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in (schema.TASKS_TABLE, schema.EVENTS_TABLE):
        monkeypatch.setenv(name, "a-table")
    for name in (schema.TASK_RETENTION_DAYS, schema.EVENT_RETENTION_DAYS):
        monkeypatch.setenv(name, "7")
    module = importlib.import_module("lambdas.recorder")
    monkeypatch.setattr(module, "recorder", Scripted())
    return module


@effort(40)
@given(records=RECORDS, data=st.data())
def test_what_was_not_recorded_goes_back_and_nothing_else(
    function: ModuleType, records: list[dict[str, Any]], data: st.DataObject
) -> None:
    function.recorder.done = data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))
    failures = [each["itemIdentifier"] for each in function.handler({"Records": records}, None)["batchItemFailures"]]
    wanted = [record["messageId"] for record, ok in zip(records, function.recorder.done, strict=True) if not ok]
    assert failures == wanted
    assert [emission.payload for emission in function.recorder.got] == [record["body"] for record in records]
    for emission, record in zip(function.recorder.got, records, strict=True):
        assert str(emission.emitted_ms) == record["attributes"]["SentTimestamp"]
