"""Every call of every use case goes wrong once, in every way: the promises hold all the same."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from task_scheduler import timestamps
from task_scheduler.engine import EngineError
from task_scheduler.task import Task, changed_task, read_payload
from tests.support.world import CrashError, World

MOST_CALLS = 14  # that any of the use cases makes


@dataclass
class Story:
    """A world with one task in it, and what its client was told."""

    world: World
    task: Task
    accepted: bool = False
    cancelled: bool = False

    def schedule(self) -> None:
        asyncio.run(self.world.engine.schedule(self.task))
        self.accepted = True

    def cancel(self) -> None:
        asyncio.run(self.world.engine.cancel(self.task.id))
        self.cancelled = True

    def reschedule(self) -> None:
        now_ms = self.world.clock.ms
        change = {"in": 90, "message": "changed"}
        asyncio.run(self.world.engine.reschedule(self.task.id, lambda task: changed_task(task, change, now_ms=now_ms)))

    def sweep(self) -> None:
        self.world.sweep()

    def fall_due(self) -> None:
        self.world.advance(60)

    def lose_the_timer_and_sweep(self) -> None:
        self.world.machine.lose()
        self.world.clock.sleep(120)
        self.world.sweep()

    def sweep_before_the_recorder(self) -> None:
        self.world.clock.sleep(60)
        self.world.machine.run()
        self.world.clock.sleep(60)
        self.world.sweep()


def near(story: Story) -> None:
    story.schedule()


def parked(story: Story) -> None:
    story.world.faults.plan("start_execution", "throttled")
    story.schedule()


def nothing(_story: Story) -> None:
    pass


CASES: dict[str, tuple[Callable[[Story], None], Callable[[Story], None]]] = {
    "schedule": (nothing, Story.schedule),
    "cancel": (near, Story.cancel),
    "cancel what is parked": (parked, Story.cancel),
    "reschedule": (near, Story.reschedule),
    "reschedule what is parked": (parked, Story.reschedule),
    "record": (near, Story.fall_due),
    "start what is parked": (parked, Story.sweep),
    "start again what died": (near, Story.lose_the_timer_and_sweep),
    "record what nobody recorded": (near, Story.sweep_before_the_recorder),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["throttled", "lost", "repeated", "crash"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tags", [{}, {"user": "42"}], ids=["untagged", "tagged"])
def test_the_promises_hold_whichever_call_goes_wrong(
    make_world: Callable[..., World], case: str, kind: str, tags: dict[str, str]
) -> None:
    begin, act = CASES[case]
    for number in range(1, MOST_CALLS + 1):
        world = make_world(shards=1)  # all shards are read by the same call
        story = Story(world, world.new_task(number=number, tags=tags))
        begin(story)
        world.faults.plan_nth(number, kind)
        with suppress(EngineError, CrashError):
            act(story)
        if world.faults.countdown > 0:
            return  # fewer calls than that were made: all have gone wrong once
        world.faults.plan_nth(0, "fine")
        world.minutes(8)
        check(story)
    raise AssertionError("there are more calls than were tried")


def check(story: Story) -> None:
    published = story.world.published
    logged = [event.task_id for event in story.world.logged()]
    for ms, event in published:
        assert ms >= timestamps.parse(read_payload(event)["timestamp"]), "early"
    assert len(logged) == len(set(logged)), "in the log twice"
    if story.cancelled:
        assert not published, "cancelled, confirmed, and emitted all the same"
    elif story.accepted:
        record = story.world.task_store.get(story.task.id)
        assert record is not None
        if record.task.status != "cancelled":  # by a cancel whose answer was lost
            assert published, "accepted and never emitted"
            assert logged == [story.task.id]
