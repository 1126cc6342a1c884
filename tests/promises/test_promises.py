"""The promises of both engines, against a model: whatever is called, fails, dies or is repeated, in whatever order.

Accepted tasks are emitted at least once, never early, and are in the log exactly once; cancels that were confirmed are
kept; and what was confirmed to be rescheduled is not emitted as it was.
"""

import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from task_scheduler import timestamps
from task_scheduler.aws.event_log import MAX_INLINE_BYTES
from task_scheduler.aws.sweeper import LEAST_TIMERS
from task_scheduler.engine import TaskNotFoundError, TooLateError, UnavailableError
from task_scheduler.task import Status, Task, changed_task, new_task, read_payload
from tests.promises.benches import AwsBench, Bench, LocalBench
from tests.support.world import CrashError

# From long ago to beyond the arming window of the bench, close to whole seconds and far from them.
delays = st.sampled_from([-3600.0, 0.0, 0.001, 0.999, 1.0, 1.5, 30.0, 59.999, 300.0, 86_000.0, 100_000.0])
sizes = st.sampled_from([0, MAX_INLINE_BYTES])  # the events of what is larger refer to their tasks, on AWS
pauses = st.sampled_from([0.0, 0.5, 0.999, 1.0, 2.0, 30.0, 61.0, 400.0, 90_000.0])


@dataclass
class Known:
    """What a client knows of a task from the answers it got."""

    task: Task
    accepted: bool = False
    cancelled: bool = False
    possible: frozenset[str] = frozenset()
    """The events of which one may go out."""


class Promises(RuleBasedStateMachine):
    """A client, the clock, and whatever can go wrong."""

    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.bench = self.make()
        self.restarts = 0
        self.known: dict[str, Known] = {}

    def make(self) -> Bench:
        raise NotImplementedError

    @rule(target=tasks, delay=delays, size=sizes)
    def schedule(self, delay: float, size: int) -> Known:
        due = timestamps.format(self.bench.clock.ms + int(delay * 1000))
        body = {"timestamp": due, "message": len(self.known), "more": "x" * size}
        task = new_task(body, task_id=str(uuid.UUID(int=len(self.known))), now_ms=self.bench.clock.ms)
        known = self.known[task.id] = Known(task, possible=frozenset([task.payload]))
        known.accepted = self.answered(self.bench.engine.schedule(task)) is not None
        return known

    @rule(known=tasks)
    def schedule_again(self, known: Known) -> None:
        if not known.cancelled and known.task.revision == 1:
            known.accepted |= self.answered(self.bench.engine.schedule(known.task)) is not None

    @rule(known=tasks)
    def cancel(self, known: Known) -> None:
        try:
            known.cancelled |= self.answered(self.bench.engine.cancel(known.task.id)) is not None
        except TooLateError:
            assert not known.cancelled, "a cancel that was confirmed was taken back"
        except TaskNotFoundError:
            assert not known.accepted, "an accepted task is not there"

    @rule(known=tasks, delay=delays)
    def reschedule(self, known: Known, delay: float) -> None:
        body = {"timestamp": timestamps.format(self.bench.clock.ms + int(delay * 1000)), "message": -len(self.known)}
        now_ms = self.bench.clock.ms
        drafts: list[Task] = []

        def change(task: Task) -> Task:
            drafts.append(changed_task(task, body, now_ms=now_ms))
            return drafts[-1]

        try:
            changed = self.answered(self.bench.engine.reschedule(known.task.id, change))
        except TooLateError:
            return
        except TaskNotFoundError:
            assert not known.accepted, "an accepted task is not there"
            return
        if changed is None:
            known.possible |= {draft.payload for draft in drafts}
        else:
            assert not known.cancelled, "a cancelled task was rescheduled"
            known.possible = frozenset([changed.payload])
            self.confirmed(known, changed)

    @rule(seconds=pauses)
    def wait(self, seconds: float) -> None:
        with suppress(CrashError):  # the recorder died; what it had is delivered again
            self.bench.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.restarts += 1
        self.bench.restart()

    @rule(data=st.data(), kind=st.sampled_from(["throttled", "lost", "crash"]))
    def break_a_call(self, data: st.DataObject, kind: str) -> None:
        if self.bench.faults:
            self.bench.plan(data.draw(st.sampled_from(self.bench.faults)), kind)

    def answered(self, call: Coroutine[Any, Any, Task]) -> Task | None:
        """Make a call; None where the client was told nothing that it could rely on."""
        try:
            task: Task = self.bench.run(call)
        except (UnavailableError, CrashError):
            return None
        return task

    def confirmed(self, known: Known, changed: Task) -> None:
        """What went out by now, if anything, is the changed event: it may be due already."""
        out = {event for _, event in self.bench.emitted() if read_payload(event)["id"] == known.task.id}
        assert out <= {changed.payload}, "a task that had gone out was rescheduled"
        known.task = changed

    def teardown(self) -> None:
        try:
            self.bench.settle()
            self.check()
        finally:
            self.bench.close()

    def check(self) -> None:
        emitted: dict[str, list[str]] = {}
        for emitted_ms, event in self.bench.emitted():
            fields = read_payload(event)
            assert emitted_ms >= timestamps.parse(fields["timestamp"]), "early"
            emitted.setdefault(fields["id"], []).append(event)
        logged = [event.task_id for event in self.bench.logged()]
        assert len(logged) == len(set(logged)), "a task is in the log twice"
        for task_id, known in self.known.items():
            if known.cancelled:
                assert task_id not in emitted, "cancelled, confirmed, and emitted all the same"
                assert task_id not in logged
            elif known.accepted:
                assert task_id in emitted or self.may_have_ended(known), "accepted and never emitted"
                assert (task_id in logged) == (task_id in emitted)
            assert set(emitted.get(task_id, [])) <= known.possible, "emitted as it was before it was rescheduled"

    def may_have_ended(self, known: Known) -> bool:
        """Tell whether a cancel whose answer was lost did work, or one timer after the other was lost."""
        task: Task = self.bench.run(self.bench.engine.get(known.task.id))
        return task.status is Status.CANCELLED or (task.status is Status.FAILED and self.restarts >= LEAST_TIMERS)


class AwsPromises(Promises):
    def make(self) -> Bench:
        return AwsBench()


class LocalPromises(Promises):
    def make(self) -> Bench:
        return LocalBench()


_BOUNDS = settings(
    derandomize=True,
    deadline=None,
    max_examples=50,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAwsPromises = pytest.mark.slow(AwsPromises.TestCase)
TestLocalPromises = pytest.mark.slow(LocalPromises.TestCase)
TestAwsPromises.settings = TestLocalPromises.settings = _BOUNDS
