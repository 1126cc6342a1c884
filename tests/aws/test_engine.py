"""The AWS engine keeps its promises when calls fail, are lost or repeated, and when processes die between two calls."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from task_scheduler.aws.registry import State
from task_scheduler.engine import KeyConflictError, TaskNotFoundError, TaskQuery, TooLateError, UnavailableError
from task_scheduler.task import InvalidTaskError, Status, Task, changed_task, new_task
from tests.aws.world import CrashError, World, ids, run


def test_scheduling_is_one_write_and_one_start(world: World) -> None:
    run(world.engine.schedule(world.new_task()))
    assert world.faults.calls == {"put_item": 1, "start_execution": 1}


def test_a_task_is_emitted_on_the_second_after_its_time_and_logged_once(world: World) -> None:
    task = world.new_task(due_s=59.001)
    run(world.engine.schedule(task))
    world.advance(59.5)
    assert not world.machine.published
    world.advance(0.5)
    assert world.machine.published == [(task.due_ms + 999, task.event)]
    assert ids(world) == [task.id]
    assert run(world.engine.get(task.id)).status is Status.EMITTED


def test_a_task_beyond_the_arming_window_is_parked_and_started_in_time(world: World) -> None:
    task = world.new_task(due_s=361 * 86_400)
    run(world.engine.schedule(task))
    world.sweep()
    assert not world.machine.executions
    assert run(world.engine.get(task.id)).status is Status.SCHEDULED
    world.clock.sleep(86_400)
    world.sweep()
    assert world.machine.executions
    world.advance(360 * 86_400)
    assert ids(world) == [task.id]


def test_a_far_task_is_cancelled_by_one_read_and_one_write(world: World) -> None:
    task = world.new_task(due_s=361 * 86_400)
    run(world.engine.schedule(task))
    world.faults.calls.clear()
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    assert world.faults.calls == {"get_item": 1, "update_item": 1}


@pytest.mark.parametrize("kind", ["throttled", "lost"])
def test_a_task_whose_start_fails_is_accepted_and_started_by_the_sweeper(world: World, kind: str) -> None:
    task = world.new_task(due_s=300)
    world.faults.plan("start_execution", kind)
    run(world.engine.schedule(task))
    world.minutes(6)
    assert ids(world) == [task.id]


def test_a_task_that_can_be_neither_started_nor_parked_is_emitted_within_two_minutes(world: World) -> None:
    task = world.new_task(due_s=30)
    world.faults.plan("start_execution", "throttled")
    world.faults.plan("update_item", "throttled")
    run(world.engine.schedule(task))
    world.advance(30)
    world.minutes(2)
    assert ids(world) == [task.id]


def test_a_write_that_is_lost_is_told_to_the_caller(world: World) -> None:
    world.faults.plan("put_item", "throttled")
    with pytest.raises(UnavailableError):
        run(world.engine.schedule(world.new_task()))


def test_a_write_that_is_repeated_changes_nothing(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    run(world.engine.schedule(task))
    world.advance(60)
    assert ids(world) == [task.id]


def test_a_process_that_dies_between_write_and_start_loses_nothing(world: World) -> None:
    task = world.new_task(due_s=30)
    world.faults.plan("start_execution", "crash")
    with pytest.raises(CrashError):
        run(world.engine.schedule(task))
    world.minutes(3)
    assert ids(world) == [task.id]


def test_a_cancelled_task_is_never_published_and_stays_cancelled(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    for _ in range(2):
        cancelled = run(world.engine.cancel(task.id))
        assert (cancelled.status, cancelled.ended_ms) == (Status.CANCELLED, world.clock.ms)
    world.minutes(5)
    assert not world.machine.published


def test_an_unknown_task_cannot_be_cancelled(world: World) -> None:
    with pytest.raises(TaskNotFoundError):
        run(world.engine.cancel(world.new_task().id))


def test_an_emitted_task_cannot_be_cancelled(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.advance(60)
    with pytest.raises(TooLateError, match="already emitted at 2026-11-21T09:01:00"):
        run(world.engine.cancel(task.id))


def test_a_task_that_is_published_but_not_recorded_yet_cannot_be_cancelled(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(60)
    world.machine.run()
    with pytest.raises(TooLateError, match="being emitted"):
        run(world.engine.cancel(task.id))
    world.deliver()
    assert ids(world) == [task.id]


@pytest.mark.parametrize(("seconds", "reads"), [(59, 0), (59.001, 1), (60.5, 1)])
def test_the_history_decides_only_when_the_stop_came_within_a_second_of_the_end(
    world: World, seconds: float, reads: int
) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(seconds)  # the wait's end has not been noticed yet
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    assert world.faults.calls["get_execution_history"] == reads
    world.minutes(5)
    assert not world.machine.published


def test_a_cancel_that_dies_before_its_mark_is_no_cancel(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.faults.plan("update_item", "crash")
    with pytest.raises(CrashError):
        run(world.engine.cancel(task.id))
    world.minutes(3)
    assert ids(world) == [task.id]


def test_a_cancel_that_died_before_its_mark_can_be_repeated(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.faults.plan("update_item", "crash")
    with pytest.raises(CrashError):
        run(world.engine.cancel(task.id))
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    world.minutes(3)
    assert not world.machine.published


@pytest.mark.parametrize("call", ["get_item", "stop_execution", "update_item"])
@pytest.mark.parametrize("kind", ["throttled", "lost"])
def test_a_cancel_that_cannot_be_confirmed_says_so_and_can_be_repeated(world: World, call: str, kind: str) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.faults.plan(call, kind)
    try:
        run(world.engine.cancel(task.id))
    except UnavailableError:
        run(world.engine.cancel(task.id))
    world.minutes(5)
    assert not world.machine.published


def test_a_cancel_that_another_write_is_in_the_way_of_is_tried_again(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.faults.plan("update_item", "conflict", "conflict")
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED


def test_a_start_that_comes_after_the_cancel_starts_nothing(world: World) -> None:
    task = world.new_task()
    world.faults.plan("start_execution", "crash")
    with pytest.raises(CrashError):
        run(world.engine.schedule(task))
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    run(world.engine.schedule(task))  # the same task again: its write and its start were only slow
    world.minutes(5)
    assert not world.machine.published


def test_a_task_that_is_parked_though_its_start_worked_can_be_cancelled(world: World) -> None:
    task = world.new_task()
    world.faults.plan("start_execution", "lost")
    run(world.engine.schedule(task))
    record = world.registry.get(task.id)
    assert record is not None
    assert record.state is State.PARKED
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    world.minutes(5)
    assert not world.machine.published


def tagged(world: World, number: int, due_s: float = 60) -> Task:
    body = {"in": due_s, "message": number, "tags": {"user": "42", "n": str(number)}}
    return new_task(body, task_id=str(uuid.UUID(int=number)), now_ms=world.clock.ms)


def listed(world: World, **query: Any) -> list[str]:  # noqa: ANN401 - fields of a query
    """Return the ids of all pages of a list."""
    found: list[str] = []
    asked = TaskQuery(**query)
    while True:
        page = run(world.engine.tasks(asked, limit=2))
        found += [task.id for task in page.tasks]
        if page.next is None:
            return found
        asked = replace(asked, after=page.next)


def test_lists_merge_the_shards_in_the_order_of_due_times(world: World) -> None:
    tasks = [tagged(world, number, due_s=60 + number % 3) for number in range(1, 12)]
    for task in tasks:
        run(world.engine.schedule(task))
    in_order = [task.id for task in sorted(tasks, key=lambda task: (task.due_ms, task.id))]
    run(world.engine.cancel(in_order[0]))
    assert listed(world) == in_order
    assert listed(world, status=Status.SCHEDULED) == in_order[1:]
    assert listed(world, status=Status.CANCELLED) == in_order[:1]
    assert listed(world, tag=("user", "42")) == in_order
    assert listed(world, tag=("user", "42"), status=Status.SCHEDULED) == in_order[1:]
    assert listed(world, tag=("n", "5")) == [tasks[4].id]
    middle = tasks[0].due_ms
    assert listed(world, from_ms=middle) == [task.id for task in tasks_from(tasks, middle)]
    assert listed(world, to_ms=middle) == [
        task_id for task_id in in_order if task_id not in listed(world, from_ms=middle)
    ]


def tasks_from(tasks: list[Task], from_ms: int) -> list[Task]:
    return sorted((task for task in tasks if task.due_ms >= from_ms), key=lambda task: (task.due_ms, task.id))


def test_a_rescheduled_task_is_found_at_its_new_time_only(world: World) -> None:
    for number in (1, 2):
        run(world.engine.schedule(tagged(world, number)))
    first, second = listed(world)
    now_ms = world.clock.ms
    moved = run(world.engine.reschedule(first, lambda task: changed_task(task, {"in": 500}, now_ms=now_ms)))
    assert (moved.due_ms, moved.revision) == (now_ms + 500_000, 2)
    for query in ({}, {"status": Status.SCHEDULED}, {"tag": ("user", "42")}):
        assert listed(world, **query) == [second, first]
    world.advance(61)
    assert ids(world) == [second]
    world.advance(440)
    assert ids(world) == [second, first]


def test_a_task_moves_between_parked_and_armed_with_its_time(world: World) -> None:
    task = world.new_task(due_s=400 * 86_400)
    run(world.engine.schedule(task))
    now_ms = world.clock.ms
    run(world.engine.reschedule(task.id, lambda task: changed_task(task, {"in": 60}, now_ms=now_ms)))
    assert len(world.machine.executions) == 1
    run(world.engine.reschedule(task.id, lambda task: changed_task(task, {"in": "400d"}, now_ms=now_ms)))
    world.advance(120)
    assert not world.machine.published
    assert run(world.engine.get(task.id)).revision == 3


def test_a_task_that_went_out_cannot_be_rescheduled(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(60)
    world.machine.run()
    with pytest.raises(TooLateError):
        run(world.engine.reschedule(task.id, lambda task: changed_task(task, {"in": 60}, now_ms=world.clock.ms)))
    world.deliver()
    assert ids(world) == [task.id]


def test_a_change_that_is_refused_leaves_the_timer_alone(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    with pytest.raises(InvalidTaskError):
        run(world.engine.reschedule(task.id, lambda task: changed_task(task, {"in": "soon"}, now_ms=world.clock.ms)))
    world.advance(60)
    assert ids(world) == [task.id]


def test_the_same_key_means_the_same_task_and_another_request_is_a_conflict(world: World) -> None:
    first = replace(world.new_task(), fingerprint="a")
    assert run(world.engine.schedule(first)) == first
    world.clock.sleep(5)
    again = replace(first, due_ms=first.due_ms + 5_000)
    assert run(world.engine.schedule(again)) == first
    with pytest.raises(KeyConflictError):
        run(world.engine.schedule(replace(first, fingerprint="b")))
    world.advance(120)
    assert ids(world) == [first.id]


def test_a_batch_tells_what_became_of_each(world: World) -> None:
    tasks = [world.new_task(number=number) for number in (1, 2)]
    assert run(world.engine.schedule_all(tasks)) == tasks
    unknown = str(uuid.UUID(int=99))
    outcomes = run(world.engine.cancel_all([tasks[0].id, unknown, tasks[1].id]))
    assert [getattr(outcome, "status", type(outcome)) for outcome in outcomes] == [
        Status.CANCELLED,
        TaskNotFoundError,
        Status.CANCELLED,
    ]
