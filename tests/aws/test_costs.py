"""What the AWS engine does costs what it returns, not what is stored: counted in calls, items read and bytes."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from task_scheduler.aws.event_log import PARTITIONS, EventLog
from task_scheduler.aws.recorder import Emission
from task_scheduler.aws.task_store import SHARDS, StoredState, TaskStore
from task_scheduler.engine import TaskQuery
from task_scheduler.task import Event, Status, Task, changed_task
from tests.support.world import World, run, tables

FEW: Final = 1_000
MANY: Final = 4_000
FIRST_DUE_S: Final = 3_600
PLACE: Final = 500
"""Of the task that an operation is about, among the others by their times."""
NEW: Final = 1_000_000
"""Its number; the next one is that of a task to schedule."""


class Meter:
    """A client of DynamoDB that counts what goes through it."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a client in memory
        self._client = client
        self.items = self.bytes = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:  # noqa: ANN401 - as in boto3
            response = getattr(self._client, name)(**parameters)
            pages = response.get("Responses", {}).values()
            self.items += len(response.get("Items", ())) + sum(map(len, pages)) + ("Item" in response)
            self.bytes += len(json.dumps(parameters)) + len(json.dumps(response))
            return response

        return call


@dataclass(frozen=True)
class Cost:
    calls: Counter[str]
    items: int
    bytes: int


def task_of(world: World, number: int, tags: dict[str, str] | None = None) -> Task:
    return world.new_task(FIRST_DUE_S + number / 1000, number, tags)


def filled(pending: int) -> tuple[World, Meter]:
    """Return a world with so many tasks and as many events of others, and the meter before its tables."""
    with tables() as client:
        world = World(meter := Meter(client))
        task_store = TaskStore(client, "tasks", retention_days=30)
        log = EventLog(client, "events", "tasks", retention_days=7, now_ms=world.clock)
        log.reserve_sequence(pending)
        for number in range(1, pending + 1):
            task = task_of(world, number)
            task_store.put(task, StoredState.SCHEDULED)
            event = Event(number, task.id, task.payload, emitted_ms=world.clock.ms, indexed_ms=world.clock.ms)
            client.put_item(**log.append_request(event))
        world.clock.sleep(61)
        world.log.seal(world.log.reserve_sequence(1))  # makes the checkpoint of this minute
        return world, meter


OPERATIONS: dict[str, Callable[[World, Task], object]] = {
    "schedule": lambda world, _: run(world.engine.schedule(task_of(world, NEW + 1))),
    "schedule with a tag": lambda world, _: run(world.engine.schedule(task_of(world, NEW + 1, {"user": "42"}))),
    "get": lambda world, task: run(world.engine.get(task.id)),
    "cancel": lambda world, task: run(world.engine.cancel(task.id)),
    "reschedule": lambda world, task: run(
        world.engine.reschedule(task.id, lambda old: changed_task(old, {"in": "2h"}, now_ms=world.clock.ms))
    ),
    "list 50 scheduled": lambda world, _: run(world.engine.tasks(TaskQuery(status=Status.SCHEDULED), limit=50)),
    "list 50 of any status": lambda world, _: run(world.engine.tasks(TaskQuery(), limit=50)),
    "sweep with nothing to do": lambda world, _: world.sweep(),
    "record one": lambda world, task: world.recorder.record([Emission(task.payload, world.clock.ms)]),
    "record 10 at once": lambda world, _: world.recorder.record(
        [Emission(task_of(world, number).payload, world.clock.ms) for number in range(1, 11)]
    ),
    "page of 50 events": lambda world, _: run(world.engine.events(after=500, limit=50)),
}
CALLS: dict[str, dict[str, int]] = {
    "schedule": {"put_item": 1, "start_execution": 1},
    "schedule with a tag": {"transact_write_items": 1, "start_execution": 1},
    "get": {"get_item": 1},
    "cancel": {"get_item": 1, "stop_execution": 1, "update_item": 1},
    "reschedule": {"get_item": 1, "stop_execution": 1, "update_item": 1, "start_execution": 1},
    "list 50 scheduled": {"query": 3 * SHARDS, "batch_get_item": 1},  # parked, armed, and parked again
    "list 50 of any status": {"query": (len(StoredState) + 1) * SHARDS, "batch_get_item": 1},
    "sweep with nothing to do": {"query": 2 * SHARDS},
    "record one": {"get_item": 1, "update_item": 1, "transact_write_items": 1},
    "record 10 at once": {"get_item": 10, "update_item": 1, "transact_write_items": 10},
    "page of 50 events": {"get_item": 1, "query": PARTITIONS},
}


def cost(pending: int, name: str) -> Cost:
    """Return what an operation takes with so many tasks pending and as many events in the log."""
    world, meter = filled(pending)
    task = world.new_task(FIRST_DUE_S + PLACE / 1000, NEW)
    run(world.engine.schedule(task))
    world.faults.calls.clear()
    meter.items = meter.bytes = 0
    OPERATIONS[name](world, task)
    return Cost(world.faults.calls, meter.items, meter.bytes)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_costs_the_same_with_many_tasks_as_with_few(name: str) -> None:
    few, many = cost(FEW, name), cost(MANY, name)
    assert few.calls == many.calls == CALLS[name]
    assert few.items == many.items
    assert many.bytes == pytest.approx(few.bytes, rel=0.01, abs=16), "but for longer numbers of events"
