"""The AWS engine keeps its promises when calls fail, are lost or repeated, and when processes die between two calls."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from task_scheduler.aws.task_store import StoredState
from task_scheduler.engine import (
    IdempotencyKey,
    KeyConflictError,
    KeyOfEndedTaskError,
    TagCancellation,
    TaskNotFoundError,
    TaskQuery,
    TooLateError,
    UnavailableError,
)
from task_scheduler.task import InvalidTaskError, Status, Task, changed_task, new_task
from tests.support.world import CrashError, World, ids, refusal, run


def test_a_task_is_emitted_on_the_second_after_its_time_and_logged_once(world: World) -> None:
    task = world.new_task(due_s=59.001)
    run(world.engine.schedule(task))
    world.advance(59.5)
    assert not world.published
    world.advance(0.5)
    assert world.published == [(task.due_ms + 999, task.payload)]
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


def test_a_cancelled_task_is_never_published_and_stays_cancelled(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    for _ in range(2):
        cancelled = run(world.engine.cancel(task.id))
        assert (cancelled.status, cancelled.ended_ms) == (Status.CANCELLED, world.clock.ms)
    world.minutes(5)
    assert not world.published


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


@pytest.mark.parametrize(("seconds", "reads"), [(59, 0), (59.001, 1), (60.5, 1 + 1)])
def test_the_history_decides_only_when_the_stop_came_within_a_second_of_the_end(
    world: World, seconds: float, reads: int
) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(seconds)  # the wait's end has not been noticed yet
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    assert world.faults.calls["get_execution_history"] == reads
    world.minutes(5)
    assert not world.published


def test_a_cancel_that_died_before_its_mark_can_be_repeated(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.faults.plan("update_item", "crash")
    with pytest.raises(CrashError):
        run(world.engine.cancel(task.id))
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    world.minutes(3)
    assert not world.published


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
    assert not world.published


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
    assert not world.published


def test_a_task_that_is_parked_though_its_start_worked_can_be_cancelled(world: World) -> None:
    task = world.new_task()
    world.faults.plan("start_execution", "lost")
    run(world.engine.schedule(task))
    record = world.task_store.get(task.id)
    assert record is not None
    assert record.state is StoredState.PARKED
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    world.minutes(5)
    assert not world.published


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
    assert not world.published
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


KEY = IdempotencyKey("rent-reminder-42", "a")


def test_the_same_key_means_the_same_task_and_another_request_is_a_conflict(world: World) -> None:
    first = world.new_task(number=1)
    assert run(world.engine.schedule(first, KEY)) == first
    world.clock.sleep(5)
    assert run(world.engine.schedule(world.new_task(number=2), KEY)) == first
    with pytest.raises(KeyConflictError):
        run(world.engine.schedule(world.new_task(number=3), replace(KEY, fingerprint="b")))
    world.advance(120)
    assert ids(world) == [first.id]
    assert run(world.engine.schedule(world.new_task(number=4), KEY)).status is Status.EMITTED


def test_a_key_costs_one_write_more(world: World) -> None:
    run(world.engine.schedule(world.new_task(), KEY))
    assert world.faults.calls == {"put_item": 2, "start_execution": 1}


def test_the_key_of_a_cancelled_task_is_refused(world: World) -> None:
    first = world.new_task(number=1)
    run(world.engine.schedule(first, KEY))
    run(world.engine.cancel(first.id))
    with pytest.raises(KeyOfEndedTaskError, match=f"belongs to task {first.id}, which was cancelled at 2026-11-21T09"):
        run(world.engine.schedule(world.new_task(number=2), KEY))


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_key_that_is_used_again_when_its_task_has_expired_makes_a_new_task(
    world: World,
    cancelled: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    first = world.new_task(number=1)
    run(world.engine.schedule(first, KEY))
    if cancelled:
        run(world.engine.cancel(first.id))
    world.advance(60)
    world.clock.sleep(31 * 86_400)  # the name of the execution is used for 90 days
    world.expire()
    second = world.new_task(number=2)
    assert run(world.engine.schedule(second, replace(KEY, fingerprint="another"))) == second
    world.advance(60)
    assert world.published[-1] == (second.due_ms, second.payload)
    assert run(world.engine.get(second.id)).status is Status.EMITTED


def test_a_key_lives_as_long_as_its_task_also_when_the_task_is_moved(world: World) -> None:
    first = world.new_task(number=1)
    run(world.engine.schedule(first, KEY))
    run(world.engine.reschedule(first.id, lambda task: changed_task(task, {"in": "200d"}, now_ms=world.clock.ms)))
    world.clock.sleep(199 * 86_400)
    world.expire()
    assert run(world.engine.schedule(world.new_task(number=2), KEY)).id == first.id


@pytest.mark.parametrize(("call", "number"), [("put_item", 1), ("put_item", 2), ("start_execution", 1)])
@pytest.mark.parametrize("kind", ["crash", "throttled", "lost", "repeated"])
def test_a_keyed_request_that_died_anywhere_can_be_repeated(world: World, call: str, number: int, kind: str) -> None:
    world.faults.plan(call, *["fine"] * (number - 1), kind)
    with suppress(CrashError, UnavailableError):
        run(world.engine.schedule(world.new_task(number=1), KEY))
    run(world.engine.schedule(world.new_task(number=2), KEY))
    world.advance(60)
    world.minutes(2)
    assert len(world.published) == len(ids(world)) == 1


def test_a_throttled_batch_keeps_each_task_and_attempts_one_start(world: World) -> None:
    tasks = [world.new_task(due_s=300, number=number) for number in range(100)]
    world.faults.plan("start_execution", "throttled")
    assert run(world.engine.schedule_all(tasks)) == tasks
    assert world.faults.calls["start_execution"] == 1
    assert world.sweep().armed == 100
    world.advance(300)
    assert len(set(ids(world))) == 100


@pytest.mark.parametrize("call", ["put_item", "start_execution", "update_item", "get_item", "stop_execution"])
def test_a_batch_responds_within_twelve_seconds_whatever_is_throttled(world: World, call: str) -> None:
    """Two attempts of a throttled call take up to a second."""
    tasks = [world.new_task(due_s=300, number=number) for number in range(100)]
    keys = [IdempotencyKey(str(number), "") for number in range(100)]
    world.faults.delays[call] = 1
    world.faults.plan(call, *["throttled"] * 1_000)
    ids_of_all = [task.id for task in tasks]
    batches = (
        world.engine.schedule_all(tasks, keys),
        world.engine.cancel_all(ids_of_all),
    )
    for batch in batches:
        began_ms = world.clock.ms
        outcomes = run(batch)
        assert world.clock.ms - began_ms <= 12_000
        assert len(outcomes) == 100
        assert all(isinstance(outcome, Task | UnavailableError | TaskNotFoundError) for outcome in outcomes)


def test_a_cancel_by_tag_responds_within_twelve_seconds_and_says_that_there_is_more(world: World) -> None:
    for number in range(300):
        run(world.engine.schedule(world.new_task(due_s=300, number=number, tags={"user": "42"})))
    world.faults.delays["stop_execution"] = 0.07
    cancelled: list[int] = []
    more = True
    while more:
        began_ms = world.clock.ms
        done = run(world.engine.cancel_tagged(("user", "42")))
        assert world.clock.ms - began_ms <= 12_000
        cancelled.append(done.cancelled)
        more = done.more
    assert sum(cancelled) == 300
    assert len(cancelled) > 1


def test_a_cancel_by_tag_does_not_read_the_tasks_of_the_tag_that_ended_before(world: World) -> None:
    for number in range(300):
        run(world.engine.schedule(world.new_task(due_s=1, number=number, tags={"user": "42"})))
    world.advance(2)
    world.deliver()
    run(world.engine.schedule(world.new_task(due_s=300, number=300, tags={"user": "42"})))
    world.faults.items.clear()
    assert run(world.engine.cancel_tagged(("user", "42"))) == TagCancellation(1, 0, more=False)
    assert world.faults.items["batch_get_item"] <= 2


def test_a_row_of_a_tag_outlives_a_task_that_was_moved_into_the_past(world: World) -> None:
    task = world.new_task(due_s=100 * 86_400, tags={"user": "42"})
    run(world.engine.schedule(task))
    world.clock.sleep(50 * 86_400)
    change = {"timestamp": "2020-01-01T00:00:00Z"}
    run(world.engine.reschedule(task.id, lambda task: changed_task(task, change, now_ms=world.clock.ms)))
    world.expire()
    assert listed(world, tag=("user", "42")) == [task.id]


def test_a_batch_is_repeated_by_its_key(world: World) -> None:
    keys = [replace(KEY, name=f"{KEY.name}\n{index}") for index in range(2)]
    tasks = [world.new_task(number=number) for number in (1, 2)]
    assert run(world.engine.schedule_all(tasks, keys)) == tasks
    again = [world.new_task(number=number) for number in (3, 4)]
    assert run(world.engine.schedule_all(again, keys)) == tasks


def enter_publish(world: World, task: Task) -> None:
    for step in ("wait ends", "enter publish"):
        world.machine.take(f"{step} {task.id}-1")


def test_a_cancel_that_is_too_late_leaves_the_publish_alone(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(60)
    enter_publish(world, task)  # SNS has not answered yet
    for change in (world.engine.cancel(task.id), world.engine.reschedule(task.id, lambda task: task)):
        with pytest.raises(TooLateError, match="already being emitted"):
            run(change)
    assert world.machine.executions[f"{task.id}-1"].status == "RUNNING"
    assert world.faults.calls["stop_execution"] == 0


def test_a_task_whose_start_got_no_answer_is_cancelled_also_under_a_smaller_window(world: World) -> None:
    task = world.new_task(due_s=30 * 86_400)
    world.faults.plan("start_execution", "lost")
    run(world.engine.schedule(task))
    world.engine._arming_window_ms = 86_400_000  # noqa: SLF001 - as the next deployment has it
    assert run(world.engine.cancel(task.id)).status is Status.CANCELLED
    world.advance(30 * 86_400)
    assert not world.published


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_stop_that_was_not_carried_out_is_no_end(world: World, code: str) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))

    def refuse(*_: Any) -> None:  # noqa: ANN401 - as any
        error = refusal(code, "StopExecution")
        status = 500 if code == "InternalServerError" else 400
        error.response["ResponseMetadata"] = {"HTTPStatusCode": status}  # type: ignore[typeddict-item]  # the rest is not read
        raise error

    world.faults.special["refused"] = refuse
    world.faults.plan("stop_execution", "refused")
    with pytest.raises(UnavailableError):
        run(world.engine.cancel(task.id))
    assert world.faults.calls["get_execution_history"] == 0
    world.advance(60)
    assert ids(world) == [task.id]


@pytest.mark.parametrize("error", ["AccessDeniedException", "ExecutionLimitExceeded", "StateMachineDeleting"])
def test_tasks_that_cannot_be_started_are_reported_as_overdue(world: World, error: str) -> None:
    tasks = [world.new_task(number=number) for number in range(3)]

    def refuse(*_: Any) -> None:  # noqa: ANN401 - as any
        raise refusal(error, "StartExecution")

    world.faults.special["refused"] = refuse
    world.faults.plan("start_execution", *["refused"] * 10_000)
    for task in tasks:
        run(world.engine.schedule(task))
    world.clock.sleep(125)
    assert world.sweep().overdue == 3
    (problem,) = run(world.engine.check_health()).failures
    assert problem.startswith("Tasks are overdue: one was due at 2026-11-21T09:01:00")


def test_keys_that_a_batch_leaves_out_are_read_again(world: World) -> None:
    tasks = [world.new_task(number=number) for number in range(1, 6)]
    run(world.engine.schedule_all(tasks))
    asked: list[int] = []

    def leave_half_out(_name: str, call: Callable[..., Any], given: dict[str, Any]) -> Any:  # noqa: ANN401 - as in boto3
        [(table, wanted)] = given["RequestItems"].items()
        asked.append(len(wanted["Keys"]))
        response = call(RequestItems={table: {**wanted, "Keys": wanted["Keys"][::2]}})
        left = wanted["Keys"][1::2]
        return {**response, "UnprocessedKeys": {table: {**wanted, "Keys": left}} if left else {}}

    world.faults.special["half"] = leave_half_out
    world.faults.plan("batch_get_item", *["half"] * 9)
    assert [found.task.id for found in world.task_store.get_all([task.id for task in tasks])] == [
        task.id for task in tasks
    ]
    assert asked == [5, 2, 1]


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
