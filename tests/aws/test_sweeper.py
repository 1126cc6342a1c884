"""What the sweeper starts, mends and gives up, and what it leaves alone."""

import json

import pytest

from task_scheduler.aws import schema
from task_scheduler.aws.task_store import StoredState
from task_scheduler.engine import TooLateError
from task_scheduler.task import Status
from tests.support.memory_step_functions import MACHINE, Topic
from tests.support.world import World, ids, run


def test_an_emission_that_never_reached_the_recorder_is_recorded_by_the_sweeper(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.clock.sleep(60)
    world.machine.run()
    world.clock.sleep(60)
    world.sweep()
    (event,) = world.logged()
    assert (event.task_id, event.emitted_ms) == (task.id, task.due_ms)
    world.deliver()
    assert len(world.logged()) == 1


def test_what_is_overdue_and_has_to_wait_does_not_hide_what_stands_behind_it(world: World) -> None:
    for number in range(500):
        task = world.new_task(due_s=1, number=number)
        world.task_store.put(task, StoredState.SCHEDULED)
        world.machine.start_execution(
            stateMachineArn=MACHINE,
            name=f"{task.id}-1",
            input=json.dumps({schema.WAIT_UNTIL: "2027-01-01T00:00:00Z", schema.EVENT: task.payload}),
        )
    lost = world.new_task(due_s=2, number=500)
    world.task_store.put(lost, StoredState.SCHEDULED)
    world.clock.sleep(120)
    sweep = world.sweep()
    assert (sweep.overdue, sweep.rearmed) == (501, 1)
    world.advance(1)
    assert ids(world) == [lost.id]


def test_a_thousand_parked_tasks_are_started_by_the_next_sweep(world: World) -> None:
    for number in range(1000):
        world.task_store.put(world.new_task(due_s=300, number=number), StoredState.PARKED)
    assert world.sweep().armed == 1000
    assert len(world.machine.executions) == 1000


def test_a_parked_task_whose_start_is_refused_is_started_by_a_later_sweep_and_in_time(world: World) -> None:
    task = world.new_task(due_s=300)
    world.task_store.put(task, StoredState.PARKED)
    world.faults.plan("start_execution", "throttled")
    assert world.sweep().armed == 0
    assert not world.machine.executions
    assert world.sweep().armed == 1
    world.advance(300)
    assert world.published == [(task.due_ms, task.payload)]


def test_a_task_that_cannot_be_published_is_tried_for_a_day_and_then_failed(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.machine.topic = Topic.REFUSES
    world.minutes(25 * 60, step=20)
    assert run(world.engine.get(task.id)).status is Status.FAILED
    assert 20 <= len(world.machine.executions) <= 40
    with pytest.raises(TooLateError, match="already failed"):
        run(world.engine.cancel(task.id))


def test_a_task_that_nobody_looked_after_for_days_is_tried_before_it_is_given_up(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.machine.lose()
    world.clock.sleep(3 * 86_400)
    world.minutes(2)
    assert ids(world) == [task.id]


def test_a_start_that_is_refused_does_not_count_as_a_timer_that_died(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.machine.lose()
    world.faults.plan("start_execution", *["throttled"] * 30)
    world.minutes(31)
    record = world.task_store.get(task.id)
    assert record is not None
    assert (record.task.revision, record.rearmed) == (2, 1)
    world.minutes(2)
    assert ids(world) == [task.id]


@pytest.mark.parametrize("apart_s", [0, 0.001])
def test_tasks_that_cannot_be_processed_do_not_starve_those_behind_them(world: World, apart_s: float) -> None:
    """DescribeExecution takes 15 calls a second; publishes that wait for SNS use them up."""
    for number in range(500):
        task = world.new_task(due_s=1 + number * apart_s, number=number)
        world.task_store.put(task, StoredState.SCHEDULED)
        world.machine.start_execution(
            stateMachineArn=MACHINE,
            name=f"{task.id}-1",
            input=json.dumps({schema.WAIT_UNTIL: "2027-01-01T00:00:00Z", schema.EVENT: task.payload}),
        )
    lost = world.new_task(due_s=1 + 500 * apart_s, number=500)
    world.task_store.put(lost, StoredState.SCHEDULED)
    world.clock.sleep(120)
    world.faults.delays["describe_execution"] = 0.1
    sweeps = 0
    while f"{lost.id}-1" not in world.machine.executions:
        sweeps += 1
        world.sweep()
        assert sweeps <= 6


def test_a_mark_whose_response_was_lost_is_followed_by_the_start(world: World) -> None:
    task = world.new_task(due_s=300)
    world.task_store.put(task, StoredState.PARKED)
    world.faults.plan("update_item", "repeated")  # the client's second attempt finds its condition broken
    assert world.sweep().armed == 1
    assert list(world.machine.executions) == [f"{task.id}-1"]


def test_a_topic_that_is_mended_gets_what_it_missed(world: World) -> None:
    task = world.new_task()
    run(world.engine.schedule(task))
    world.machine.topic = Topic.REFUSES
    world.minutes(5)
    world.machine.topic = Topic.WORKS
    world.minutes(10)
    assert ids(world) == [task.id]


def test_an_account_that_can_open_no_more_executions_is_asked_once_a_sweep(world: World) -> None:
    """And not for each parked task: a try writes it twice, and uses up calls that the API needs."""
    for number in range(500):
        world.task_store.put(world.new_task(due_s=300, number=number), StoredState.PARKED)
    world.machine.most_open = 3
    world.faults.calls.clear()
    assert world.sweep().armed == 3
    assert world.faults.calls["start_execution"] == 3 + 1
    assert world.faults.calls["update_item"] == 3 + 2
    world.machine.most_open = 1_000
    assert world.sweep().armed == 497
    world.advance(300)
    assert len(set(ids(world))) == 500
