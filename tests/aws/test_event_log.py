"""The recorder and the event log: each task once, in order, and no event is ever passed over."""

import uuid

import pytest

from task_scheduler.aws.recorder import Emission
from task_scheduler.aws.registry import State
from task_scheduler.task import Task
from tests.aws.world import CrashError, World


@pytest.fixture
def emissions(world: World) -> list[Emission]:
    """Ten tasks that were published."""
    tasks = [world.new_task(number=number) for number in range(1, 11)]
    for task in tasks:
        world.registry.put(task, State.SCHEDULED)
    return [emission(task) for task in tasks]


def emission(task: Task) -> Emission:
    return Emission(task.event, task.due_ms)


def sequences(world: World) -> list[int]:
    return [event.sequence for event in world.log.events(after=0, limit=1000)]


def test_a_batch_takes_its_numbers_at_once_and_costs_one_transaction_each(
    world: World, emissions: list[Emission]
) -> None:
    world.faults.calls.clear()
    assert world.recorder.record(emissions) == [True] * 10
    assert world.faults.calls == {"get_item": 10, "update_item": 1, "transact_write_items": 10}
    assert sequences(world) == list(range(1, 11))


def test_what_is_delivered_again_changes_nothing(world: World, emissions: list[Emission]) -> None:
    assert all(world.recorder.record([*emissions, *emissions]))
    assert all(world.recorder.record(emissions))
    assert sequences(world) == list(range(1, 11))


@pytest.mark.parametrize("event", ["not json", "[]", '{"id": 5}', '{"id": "x"}', f'{{"id": "{uuid.UUID(int=7)}"}}'])
def test_what_others_publish_on_the_topic_is_left_out(world: World, emissions: list[Emission], event: str) -> None:
    assert all(world.recorder.record([Emission(event, 0), *emissions]))
    assert sequences(world) == list(range(1, 11))


@pytest.mark.parametrize("call", ["get_item", "update_item", "transact_write_items"])
@pytest.mark.parametrize("kind", ["throttled", "lost"])
def test_a_call_that_fails_or_is_lost_is_made_up_for(
    world: World, emissions: list[Emission], call: str, kind: str
) -> None:
    world.faults.plan(call, kind)
    for _ in range(2):
        done = world.recorder.record(emissions)
    assert all(done)
    assert len({event.task_id for event in world.logged()}) == len(world.logged()) == 10


def test_what_cannot_be_recorded_is_given_back_and_does_not_hold_up_the_others(
    world: World, emissions: list[Emission]
) -> None:
    world.faults.plan("transact_write_items", "fine", "throttled", "throttled", "throttled")
    assert world.recorder.record(emissions) == [True, False] + [True] * 8
    assert all(world.recorder.record(emissions))
    assert len(world.logged()) == 10


def test_a_gap_holds_readers_back_until_the_event_behind_it_is_five_seconds_old(
    world: World, emissions: list[Emission]
) -> None:
    world.faults.plan("transact_write_items", "fine", "crash")
    with pytest.raises(CrashError):
        world.recorder.record(emissions[:5])
    world.recorder.record(emissions[5:])
    assert sequences(world) == [1]
    world.clock.sleep(4.9)
    assert sequences(world) == [1]
    world.clock.sleep(0.2)
    assert sequences(world) == [1, 6, 7, 8, 9, 10]
    world.recorder.record(emissions)
    assert sequences(world) == [1, 6, 7, 8, 9, 10, 11, 12, 13, 14]


def test_a_number_is_not_written_once_readers_may_have_passed_it(world: World, emissions: list[Emission]) -> None:
    world.faults.delays["transact_write_items"] = 1.5
    assert all(world.recorder.record(emissions))
    world.clock.sleep(6)
    assert sequences(world)[:4] == [1, 2, 11, 12]


def test_reading_goes_on_over_the_ends_of_pages_of_numbers(world: World, emissions: list[Emission]) -> None:
    world.log.take_numbers(994)
    world.recorder.record(emissions)
    world.clock.sleep(6)
    assert sequences(world) == list(range(995, 1005))
    assert [event.sequence for event in world.log.events(after=997, limit=4)] == [998, 999, 1000, 1001]


def test_the_oldest_events_are_found_in_few_reads_when_a_million_have_expired(
    world: World, emissions: list[Emission]
) -> None:
    world.log.take_numbers(1_000_000)
    world.recorder.record(emissions)
    world.clock.sleep(6)
    world.faults.calls.clear()
    assert sequences(world) == list(range(1_000_001, 1_000_011))
    assert world.faults.calls["query"] < 20


def test_waiting_ends_with_the_first_event_or_with_the_time(world: World, emissions: list[Emission]) -> None:
    assert not world.log.wait(after=0, seconds=25, pause_s=0.25, sleep=world.clock.sleep)
    begin_ms = world.clock.ms

    def sleep(seconds: float) -> None:
        world.clock.sleep(seconds)
        if world.clock.ms >= begin_ms + 3_000:
            world.recorder.record(emissions[:1])

    assert world.log.wait(after=0, seconds=25, pause_s=0.25, sleep=sleep)
    assert world.clock.ms <= begin_ms + 3_250


def test_the_last_events_before_a_number_come_in_order_also_over_the_ends_of_pages(
    world: World, emissions: list[Emission]
) -> None:
    assert world.log.events_before(1, limit=5) == []
    world.log.take_numbers(994)
    world.recorder.record(emissions)
    world.clock.sleep(6)
    for before, limit, expected in (
        (10**18, 3, [1002, 1003, 1004]),
        (1002, 4, [998, 999, 1000, 1001]),
        (997, 100, [995, 996]),
        (995, 100, []),
        (0, 100, []),
    ):
        assert [event.sequence for event in world.log.events_before(before, limit=limit)] == expected
