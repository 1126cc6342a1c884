"""The recorder: whatever the queue delivers, how often and in which pieces, each emission is in the log once."""

import json
from contextlib import ExitStack, suppress
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from task_scheduler.api import sse
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.recorder import Emission
from task_scheduler.aws.task_store import StoredState
from tests.fuzz.effort import effort
from tests.support.world import START_MS, CrashError, World, tables

pytestmark = pytest.mark.slow

KNOWN: Final = range(1, 13)  # the numbers of the tasks that there are
FAULTY: Final = ("get_item", "update_item", "transact_write_items")
FAULTS: Final = ("throttled", "lost", "repeated", "crash", "conflict")
NOBODYS: Final = ["", "null", "[]", "{}", '"x"', "1e999", "NaN", '{"id": null}', "\ufeff{}", '{"id": "\\ud800"}']
TOO_MUCH: Final = {"arrays": "[" * 100_000, "objects": '{"a":' * 100_000, "digits": "9" * 5_000}  # by short names
FORGED: Final = [
    f'{{"id": "00000000-0000-4000-8000-{number:012}"{rest}}}' for number in KNOWN for rest in ("", ', "message": null')
]
MESSAGES: Final = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN),
    st.sampled_from([*NOBODYS, *TOO_MUCH, *FORGED]),
    st.text(max_size=20),
    st.uuids().map('{{"id": "{}", "message": "of a task that there is not"}}'.format),
    st.dictionaries(st.sampled_from(["id", "message"]), st.integers() | st.text(max_size=5)).map(json.dumps),
)


class Recording(RuleBasedStateMachine):
    """A queue that delivers in any order and again, calls that fail or kill, and readers in between."""

    @initialize(taken=st.sampled_from([0, 0, 990, 999, 1_000]))
    def begin(self, taken: int) -> None:
        """Also near the end of a page of numbers."""
        self.opened = ExitStack()
        dynamodb = self.opened.enter_context(tables())
        self.world = World(dynamodb)
        self.log = EventLog(
            dynamodb, "events", "tasks", retention_days=7, now_ms=self.world.clock
        )  # of a reader without faults
        if taken:
            self.world.log.reserve_sequence(taken)
        self.confirmed: set[int] = set()
        self.seen: list[int] = []
        tasks = {number: self.world.new_task(number=number) for number in KNOWN}
        self.ids = {task.id: number for number, task in tasks.items()}
        self.bodies = {number: task.payload for number, task in tasks.items()}
        for task in tasks.values():
            assert self.world.task_store.put(task, StoredState.SCHEDULED)

    @rule(call=st.sampled_from(FAULTY), kinds=st.lists(st.sampled_from((*FAULTS, "fine")), min_size=1, max_size=5))
    def plan(self, call: str, kinds: list[str]) -> None:
        self.world.faults.plan(call, *kinds)

    @rule(call=st.sampled_from(FAULTY), seconds=st.floats(0, 1.5))
    def slow_down(self, call: str, seconds: float) -> None:
        self.world.faults.delays[call] = seconds

    @rule(messages=st.lists(MESSAGES, min_size=1, max_size=10))
    def deliver(self, messages: list[int | str]) -> None:
        bodies = [self.bodies[given] if isinstance(given, int) else TOO_MUCH.get(given, given) for given in messages]
        with suppress(CrashError):
            done = self.world.recorder.record([Emission(body, START_MS) for body in bodies])
            assert len(done) == len(bodies)
            self.confirmed |= {given for given, ok in zip(messages, done, strict=True) if ok and isinstance(given, int)}

    @rule(seconds=st.floats(0, 7))
    def wait(self, seconds: float) -> None:
        self.world.clock.sleep(seconds)

    @rule(limit=st.integers(1, 5))
    def read(self, limit: int) -> None:
        """Go on where the last read ended: whatever is written later stands behind that."""
        page = self.log.events(after=self.seen[-1] if self.seen else 0, limit=limit)
        self.seen += [event.sequence for event in page]

    @invariant()
    def numbers_rise(self) -> None:
        if hasattr(self, "seen"):
            assert self.seen == sorted(set(self.seen))

    def teardown(self) -> None:
        """Deliver what is not confirmed until it is, without faults, as a queue does."""
        if not hasattr(self, "world"):
            return
        try:
            self._settle()
        finally:
            self.opened.close()

    def _settle(self) -> None:
        self.world.faults.planned.clear()
        self.world.faults.delays.clear()
        recorded = {self.ids[event.task_id] for event in self.world.logged()}
        assert self.confirmed <= recorded
        assert all(self.world.recorder.record([Emission(body, START_MS) for body in self.bodies.values()]))
        logged = self.world.logged()
        assert sorted(event.task_id for event in logged) == sorted(self.ids)
        numbers = [event.sequence for event in logged]
        assert numbers == sorted(set(numbers))
        assert self.seen == [number for number in numbers if self.seen and number <= self.seen[-1]]
        for event in logged:
            json.loads(sse.envelope(event))
            record = self.world.task_store.get(event.task_id)
            assert record
            assert record.state is StoredState.EMITTED


def test_any_deliveries_with_any_faults_leave_each_emission_once_in_the_log() -> None:
    run_state_machine_as_test(Recording, settings=effort(4, steps=12))
