"""The recorder and the event log: each task once, in order, and no event is ever passed over."""

import uuid

import pytest

from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.task_store import StoredState
from task_scheduler.task import Task
from tests.support.world import CrashError, World


@pytest.fixture
def emissions(world: World) -> list[Emission]:
    """Ten tasks that were published."""
    tasks = [world.new_task(number=number) for number in range(1, 11)]
    for task in tasks:
        world.task_store.put(task, StoredState.SCHEDULED)
    return [emission(task) for task in tasks]


def emission(task: Task) -> Emission:
    return Emission(task.payload, task.due_ms)


def sequences(world: World) -> list[int]:
    return [event.sequence for event in world.log.events(after=0, limit=1000)]


def test_a_batch_takes_its_numbers_at_once_and_costs_one_transaction_each(
    world: World, emissions: list[Emission]
) -> None:
    world.log.reserve_sequence(1)  # makes the checkpoint of this minute
    world.faults.calls.clear()
    assert world.recorder.record(emissions) == [True] * 10
    assert world.faults.calls == {"get_item": 10, "update_item": 1, "transact_write_items": 10}
    world.clock.sleep(3)
    assert sequences(world) == list(range(2, 12))


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


def test_a_reader_stops_before_a_missing_number_and_seals_it_after_two_seconds(
    world: World, emissions: list[Emission]
) -> None:
    world.faults.plan("transact_write_items", "fine", "crash")
    with pytest.raises(CrashError):
        world.recorder.record(emissions[:5])
    world.recorder.record(emissions[5:])
    assert sequences(world) == [1]
    world.clock.sleep(1.9)
    assert sequences(world) == [1]
    world.clock.sleep(0.2)
    assert sequences(world) == [1, 6, 7, 8, 9, 10]
    world.recorder.record(emissions)
    assert sequences(world) == [1, 6, 7, 8, 9, 10, 11, 12, 13, 14]


def test_numbers_that_were_certainly_not_used_are_used_or_sealed_at_once(
    world: World, emissions: list[Emission]
) -> None:
    world.faults.plan("transact_write_items", "throttled", "conflict", "fine", "throttled", "throttled", "throttled")
    assert world.recorder.record(emissions[:3]) == [True, False, True]
    assert sequences(world) == [1, 2]  # and no reader has to wait for 3


def test_a_reader_that_waits_passes_numbers_at_the_end_that_are_never_used(
    world: World, emissions: list[Emission]
) -> None:
    world.log.reserve_sequence(250)
    assert not world.log.wait(after=0, seconds=22, pause_s=0.25, sleep=world.clock.sleep)
    world.recorder.record(emissions)
    world.faults.calls.clear()
    assert [event.sequence for event in world.log.events(after=0, limit=5)] == [251, 252, 253, 254, 255]
    assert world.faults.calls["put_item"] == 0


def test_no_event_is_skipped_between_two_outages(world: World, emissions: list[Emission]) -> None:
    for part in (emissions[:3], emissions[3:6], emissions[6:]):
        world.log.reserve_sequence(600)
        world.clock.sleep(120)
        assert all(world.recorder.record(part))
    assert len(world.logged()) == 10


def test_the_oldest_events_are_found_in_few_reads_when_a_million_have_expired(
    world: World, emissions: list[Emission]
) -> None:
    world.log.reserve_sequence(1_000_000)
    world.clock.sleep(8 * 86_400)  # they have expired, and the table has forgotten them
    world.recorder.record(emissions)
    world.clock.sleep(6)
    world.faults.calls.clear()
    assert world.log.clamp(0) == 1_000_000
    assert sequences(world) == list(range(1_000_001, 1_000_011))
    assert world.faults.calls["query"] < 40
    assert world.faults.calls["put_item"] == 0


def test_a_clock_that_is_behind_hides_no_event(world: World, emissions: list[Emission]) -> None:
    """A millisecond is enough where a minute ends: the checkpoint of the minute before is made last."""
    log = EventLog(world.dynamodb, "events", "tasks", retention_days=7, now_ms=lambda: world.clock.ms - 60_000)
    assert all(world.recorder.record(emissions[:5]))
    behind = Recorder(world.task_store, log, now_ms=world.clock, metrics=world.observed)
    assert all(behind.record(emissions[5:]))
    assert world.log.clamp(0) == 0
    assert sequences(world) == list(range(1, 11))


def test_a_position_outside_of_the_log_becomes_its_beginning_or_its_end(
    world: World, emissions: list[Emission]
) -> None:
    assert world.log.clamp(0) == world.log.clamp(7) == 0
    world.recorder.record(emissions)
    assert [world.log.clamp(position) for position in (0, 4, 10, 11, 10**18)] == [0, 4, 10, 10, 10]
    world.clock.sleep(8 * 86_400)
    world.expire()
    assert [world.log.clamp(position) for position in (0, 4, 10, 11)] == [10, 10, 10, 10]
    assert world.log.events(after=0, limit=100) == []
    assert world.log.events_before(11, limit=100) == []


def test_waiting_ends_with_the_first_event_or_with_the_time(world: World, emissions: list[Emission]) -> None:
    assert not world.log.wait(after=0, seconds=25, pause_s=0.25, sleep=world.clock.sleep)
    begin_ms = world.clock.ms

    def sleep(seconds: float) -> None:
        world.clock.sleep(seconds)
        if world.clock.ms >= begin_ms + 3_000:
            world.recorder.record(emissions[:1])

    assert world.log.wait(after=0, seconds=25, pause_s=0.25, sleep=sleep)
    assert world.clock.ms <= begin_ms + 3_250
