"""The recorder: foreign messages do not stop it, and exactly what was not recorded goes back to the queue."""

import importlib
from types import SimpleNamespace

import pytest

from task_scheduler.aws import schema
from task_scheduler.aws.recorder import Emission
from task_scheduler.aws.task_store import StoredState
from tests.support.world import START_MS, World, tables

KNOWN = "00000000-0000-4000-8000-000000000001"
FOREIGN = [
    *("", "null", "[]", "{}", '"x"', "1e999", "NaN", '{"id": null}', "\ufeff{}", '{"id": "\\ud800"}', "9" * 5_000),
    *("[" * 100_000, '{"a":' * 100_000, f'{{"id": "{KNOWN}"}}', f'{{"id": "{KNOWN}", "message": null}}'),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda text: f"{text[:20]} {len(text)}")
def test_a_foreign_message_is_passed_over_and_the_batch_is_recorded_once(foreign: str) -> None:
    """Whoever may publish on the topic, also with the id of a task."""
    for foreign_first in (False, True):
        with tables() as client:
            world = World(client)
        task = world.new_task(number=1)
        assert task.id == KNOWN
        assert world.task_store.put(task, StoredState.SCHEDULED)
        bodies = [foreign, task.payload] if foreign_first else [task.payload, foreign]
        assert world.recorder.record([Emission(body, START_MS) for body in bodies]) == [True, True]
        assert [event.payload for event in world.logged()] == [task.payload]


def test_the_function_gives_back_what_was_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (schema.TASKS_TABLE, schema.EVENTS_TABLE):
        monkeypatch.setenv(name, "a-table")
    for name in (schema.TASK_RETENTION_DAYS, schema.EVENT_RETENTION_DAYS):
        monkeypatch.setenv(name, "7")
    function = importlib.import_module("lambdas.recorder")
    received: list[Emission] = []

    def record(emissions: list[Emission]) -> list[bool]:
        received.extend(emissions)
        return [True, False, True, False]

    monkeypatch.setattr(function, "recorder", SimpleNamespace(record=record))
    records = [
        {"messageId": f"message {n}", "body": f"body {n}", "attributes": {"SentTimestamp": str(1_000 + n)}}
        for n in range(4)
    ]
    failures = [{"itemIdentifier": "message 1"}, {"itemIdentifier": "message 3"}]
    assert function.handler({"Records": records}, None) == {"batchItemFailures": failures}
    assert received == [Emission(f"body {n}", 1_000 + n) for n in range(4)]
