"""Every line of the log that concerns a task has its id, as a field of its own; and none has its message."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import pytest

from task_scheduler.engine import EngineError, UnavailableError
from task_scheduler.task import Task, changed_task
from tests.support.world import World

MESSAGE: Final = "only for the eyes of subscribers"

# Of these no task is known: a page, the whole log of events, a text on the topic that is not ours.
OF_NO_TASK: Final = ("A message on the topic", "The event log did not respond", "The table of tasks did not respond")

FAILING: Final = (
    *("put_item", "get_item", "update_item", "transact_write_items", "batch_get_item"),
    *("start_execution", "stop_execution", "describe_execution", "get_execution_history"),
)


def run(call: Coroutine[Any, Any, Any]) -> None:
    with suppress(EngineError):
        asyncio.run(call)


def life(world: World, task: Task) -> None:
    """Do with a task all that can be done, and then to one that is overdue."""
    run(world.engine.schedule(task))
    run(world.engine.reschedule(task.id, lambda old: changed_task(old, {"in": 120}, now_ms=world.clock.ms)))
    world.machine.lose()
    for _ in range(4):
        with suppress(UnavailableError):  # a sweep that dies
            world.minutes(1)
    run(world.engine.cancel(task.id))
    run(world.engine.get(task.id))
    world.recorder.record([])


@pytest.mark.parametrize("tags", [{}, {"user": "42"}], ids=["plain", "tagged"])
@pytest.mark.parametrize("call", FAILING)
def test_a_line_that_concerns_a_task_has_its_id_and_not_its_message(
    world: World, caplog: pytest.LogCaptureFixture, call: str, tags: dict[str, str]
) -> None:
    task = world.new_task(tags=tags)
    task = changed_task(task, {"message": MESSAGE}, now_ms=world.clock.ms)
    world.faults.plan(call, *["throttled", "lost"] * 20)
    with caplog.at_level(logging.INFO):
        life(world, task)
    lines = [record for record in caplog.records if record.name.startswith("task_scheduler")]
    for record in lines:
        assert MESSAGE not in record.getMessage()
        assert getattr(record, "task_id", None) == task.id or record.getMessage().startswith(OF_NO_TASK), record


def test_calls_that_fail_are_logged_at_all(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Else the test above would hold of an empty log."""
    task = world.new_task()
    world.faults.plan("start_execution", *["throttled"] * 3)
    run(world.engine.schedule(task))
    [line] = caplog.records
    assert (line.getMessage(), line.__dict__["task_id"]) == (
        "The timer of the task did not respond: ThrottlingException",
        task.id,
    )
