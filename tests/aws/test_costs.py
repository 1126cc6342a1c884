"""What the AWS engine does costs what it returns, not what is stored: counted in calls and in items read."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from task_scheduler import timestamp
from task_scheduler.aws.registry import SHARDS, State
from task_scheduler.engine import TaskQuery
from task_scheduler.task import Status, changed_task, new_task
from tests.aws.world import World

PAGE = 10


def fill(world: World, count: int) -> list[str]:
    """Keep tasks that are far from due, and return their ids, soonest due first."""
    ids = []
    for number in range(count):
        body = {"timestamp": timestamp.format(world.clock.ms + 3_600_000 + number), "message": number}
        task = new_task(body, task_id=str(uuid.UUID(int=number)), now_ms=world.clock.ms)
        world.registry.put(task, State.SCHEDULED)
        ids.append(task.id)
    return ids


def change(world: World) -> Any:  # noqa: ANN401 - a function of a task
    return lambda task: changed_task(task, {"in": "2h"}, now_ms=world.clock.ms)


CALLS: dict[str, Callable[[World, str], object]] = {
    "get": lambda world, task_id: asyncio.run(world.engine.get(task_id)),
    "cancel": lambda world, task_id: asyncio.run(world.engine.cancel(task_id)),
    "reschedule": lambda world, task_id: asyncio.run(world.engine.reschedule(task_id, change(world))),
    "list": lambda world, _: asyncio.run(world.engine.tasks(TaskQuery(status=Status.SCHEDULED), limit=PAGE)),
    "list all": lambda world, _: asyncio.run(world.engine.tasks(TaskQuery(), limit=PAGE)),
    "sweep": lambda world, _: world.sweep(),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_the_same_with_many_tasks_as_with_few(world: World, name: str) -> None:
    costs: list[tuple[dict[str, int], dict[str, int]]] = []
    for count in (2 * SHARDS * PAGE, 6 * SHARDS * PAGE):
        ids = fill(world, count)
        task_id = ids[count // 2 + len(costs)]
        world.faults.calls.clear()
        world.faults.items.clear()
        CALLS[name](world, task_id)
        costs.append((dict(world.faults.calls), dict(world.faults.items)))
    assert costs[0] == costs[1]


def test_a_page_reads_no_more_than_a_page_of_each_shard_and_then_the_tasks_on_it(world: World) -> None:
    fill(world, 4 * SHARDS * PAGE)
    world.faults.calls.clear()
    world.faults.items.clear()
    page = asyncio.run(world.engine.tasks(TaskQuery(status=Status.SCHEDULED), limit=PAGE))
    assert [task.due_ms for task in page.tasks] == sorted(task.due_ms for task in page.tasks)
    assert len(page.tasks) == PAGE
    assert world.faults.calls == {"query": 2 * SHARDS, "batch_get_item": 1}  # what is scheduled is armed or parked
    assert world.faults.items["query"] <= SHARDS * (PAGE + 1)
    assert world.faults.items["batch_get_item"] == PAGE
