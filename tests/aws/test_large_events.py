"""Events with large texts: they refer to their tasks if that is what went out, and have a copy if it may not be."""

from dataclasses import replace
from typing import Any

import pytest

from task_scheduler.aws.event_log import MAX_INLINE_BYTES
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.schema import EXPIRES_AT, TASK_ID
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.engine import MAX_PAGE_BYTES
from task_scheduler.task import Task, changed_task, new_task
from tests.support.world import World, ids, run

LARGE = 90_000


def exactly(world: World, size: int, character: str = "x", number: int = 1) -> Task:
    """Make a task that is due in a minute and whose event has exactly so many bytes."""
    task_id = world.new_task(number=number).id
    empty = new_task({"in": 60, "message": ""}, task_id=task_id, now_ms=world.clock.ms)
    message = character * ((size - len(empty.payload)) // len(character.encode()))
    message += "x" * (size - len(empty.payload) - len(message.encode()))
    return new_task({"in": 60, "message": message}, task_id=task_id, now_ms=world.clock.ms)


def stored(world: World, table: str) -> list[dict[str, Any]]:
    """Return the items of a table that have, or refer to, the text of an event."""
    items: list[dict[str, Any]] = world.dynamodb.scan(TableName=table)["Items"]
    return [item for item in items if "event" in item]


def record_of(world: World, task: Task) -> StoredTask:
    found = world.task_store.get(task.id)
    assert found is not None
    return found


@pytest.mark.parametrize("character", ["x", "é", "😀"])
@pytest.mark.parametrize(("more", "kind"), [(0, "S"), (1, "M")])
def test_a_text_that_is_large_is_not_copied(world: World, character: str, more: int, kind: str) -> None:
    task = exactly(world, MAX_INLINE_BYTES + more, character)
    run(world.engine.schedule(task))
    world.advance(61)
    assert [event.payload for event in world.logged()] == [task.payload]
    assert [list(item["event"]) for item in stored(world, "events")] == [[kind]]
    assert (world.faults.calls["batch_get_item"] > 0) == (kind == "M")


def test_what_went_out_is_in_the_log_though_its_task_was_changed_meanwhile(world: World) -> None:
    """The change lost, as its timer had published; or the recorder looked before the change, and wrote after it."""
    for number, look in enumerate(("after", "before"), 1):
        task = exactly(world, LARGE, number=number)
        run(world.engine.schedule(task))
        seen = record_of(world, task)
        changed = changed_task(task, {"message": "y" * LARGE}, now_ms=world.clock.ms)
        assert world.task_store.reschedule(seen, changed, StoredState.SCHEDULED)
        emission = Emission(task.payload, world.clock.ms)
        if look == "after":
            assert world.recorder.record([emission]) == [True]
        else:
            assert world.recorder.record_open(seen, emission)
        assert world.logged()[-1].payload == task.payload
        assert record_of(world, task).task.payload == changed.payload
    assert [list(item["event"]) for item in stored(world, "events")] == [["S"], ["S"]]


@pytest.mark.parametrize("kind", ["throttled", "lost", "repeated", "conflict"])
def test_a_write_that_goes_wrong_leaves_one_event_and_its_text(world: World, kind: str) -> None:
    task = exactly(world, LARGE)
    run(world.engine.schedule(task))
    world.faults.plan("transact_write_items", kind)
    world.advance(61)
    assert [event.payload for event in world.logged()] == [task.payload]
    assert record_of(world, task).state is StoredState.EMITTED


def test_what_another_has_recorded_is_recorded_once(world: World) -> None:
    task = exactly(world, LARGE)
    run(world.engine.schedule(task))
    seen = record_of(world, task)
    for _ in range(2):
        assert world.recorder.record_open(seen, Emission(task.payload, world.clock.ms))
    assert ids(world) == [task.id]
    [event] = stored(world, "events")
    assert list(event["event"]) == ["M"]


def test_a_task_is_kept_for_as_long_as_its_event(world: World) -> None:
    brief = TaskStore(world.dynamodb, "tasks", retention_days=1)
    recorder = Recorder(brief, world.log, now_ms=world.clock, metrics=world.observed)
    tasks = [exactly(world, LARGE, number=1), exactly(world, 300, number=2)]
    for task in tasks:
        run(world.engine.schedule(task))
    assert recorder.record([Emission(task.payload, world.clock.ms) for task in tasks]) == [True, True]
    until = {item["task"]["S"]: int(item[EXPIRES_AT]["N"]) for item in stored(world, "events")}
    kept = {item[TASK_ID]["S"]: int(item[EXPIRES_AT]["N"]) for item in stored(world, "tasks")}
    assert kept == {tasks[0].id: until[tasks[0].id], tasks[1].id: world.clock.ms // 1000 + 86_400}


def test_pages_are_bounded_before_their_texts_are_read(world: World) -> None:
    for number in range(1, 41):
        run(world.engine.schedule(exactly(world, LARGE if number % 4 else 300, number=number)))
    world.advance(61)
    world.clock.sleep(20)
    forwards: list[int] = []
    while page := world.log.events(after=forwards[-1] if forwards else 0, limit=1000):
        assert sum(len(event.payload) for event in page) <= MAX_PAGE_BYTES + LARGE
        forwards += [event.sequence for event in page]
    backwards: list[int] = []
    while page := world.log.events_before(backwards[0] if backwards else 41, limit=1000):
        assert sum(len(event.payload) for event in page) <= MAX_PAGE_BYTES + LARGE
        backwards = [event.sequence for event in page] + backwards
    assert forwards == backwards == list(range(1, 41))
    assert len(world.log.events(after=0, limit=3)) == len(world.log.events_before(41, limit=3)) == 3


@pytest.mark.parametrize("gone", [[1], [1, 2], [2, 3], [3, 4], [1, 2, 3, 4]])
def test_an_event_whose_task_was_brought_back_from_another_moment_is_passed_over(world: World, gone: list[int]) -> None:
    tasks = [exactly(world, LARGE, number=number) for number in range(1, 5)]
    for task in tasks:
        run(world.engine.schedule(task))
    world.advance(61)
    for number in gone:
        task = tasks[number - 1]
        world.dynamodb.delete_item(TableName="tasks", Key={TASK_ID: {"S": task.id}})
        if number % 2:  # it is there, and is not what went out
            assert world.task_store.put(replace(task, payload=task.payload.replace("x", "z")), StoredState.SCHEDULED)
    left = [task.id for number, task in enumerate(tasks, 1) if number not in gone]
    assert ids(world) == left
    world.clock.sleep(20)
    for limit in (1, 2, 10):
        found = [event.task_id for event in world.log.events(after=0, limit=limit)]
        assert found == left[: len(found)]
        assert found == left[:limit] or (limit == 2 and found)  # a page of two may have lost one of them
        assert [event.task_id for event in world.log.events_before(10, limit=limit)][-1:] == left[-1:]
    assert world.log.wait(after=0, seconds=1, pause_s=0.25, sleep=world.clock.sleep) == (left != [])
