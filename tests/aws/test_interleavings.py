"""The guarantees hold in every interleaving of requests, sweeps, recorders and readers, also when services lag."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from task_scheduler.aws.engine import AwsEngine
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionOutcome, ExecutionTimer
from task_scheduler.aws.task_store import KeyHolder, StoredState, StoredTask, TaskStore
from task_scheduler.engine import IdempotencyKey
from task_scheduler.task import Task
from tests.aws.explorer import explore
from tests.aws.simulation import Simulation
from tests.support.memory_step_functions import StopOfEnded, Topic


@dataclass(frozen=True)
class Scenario:
    """A model, and up to how many preemptions it is explored by `make test` and by `make test-long`."""

    make: Callable[[], Simulation]
    preemptions: int | None
    """None where it takes too long for `make test`."""
    long: int


def _scheduled(simulation: Simulation, due_s: float = 60) -> Task:
    task = simulation.schedule(simulation.new_task(due_s))
    assert task is not None
    return task


def _parked(simulation: Simulation, due_s: float = 60) -> Task:
    simulation.faults["start_execution"] = ["ThrottlingException"]
    return _scheduled(simulation, due_s)


def _lost(simulation: Simulation) -> Task:
    """Schedule a task, and lose its execution; by now it is overdue."""
    task = _scheduled(simulation)
    simulation.machine.lose()
    simulation.clock.ms += 120_000
    return task


def _near(simulation: Simulation, task: Task, *before_s: float) -> None:
    """Let the clock pass the due time while the actors run."""
    simulation.clock.ms = task.due_ms - 2_000
    simulation.instants = [task.due_ms - int(one * 1000) for one in before_s]


def _add_cancel(simulation: Simulation, task: Task, actor: str = "cancel") -> None:
    simulation.scheduler.spawn(actor, lambda: simulation.cancel(task.id, actor=actor))


def _add_reschedule(simulation: Simulation, task: Task, message: str = "new", actor: str = "reschedule") -> None:
    simulation.scheduler.spawn(actor, lambda: simulation.reschedule(task.id, message, actor=actor))


def _add_sweeps(simulation: Simulation, *actors: str) -> None:
    for actor in actors:
        simulation.scheduler.spawn(actor, simulation.sweep)


def cancel_when_due(
    *before_s: float, stop_of_ended: StopOfEnded = StopOfEnded.OLD_DATE, history_page: int = 1_000
) -> Simulation:
    simulation = Simulation(stop_of_ended=stop_of_ended, history_page=history_page)
    task = _scheduled(simulation)
    _near(simulation, task, *before_s)
    _add_cancel(simulation, task)
    return simulation


def two_cancels() -> Simulation:
    simulation = Simulation()
    task = _scheduled(simulation)
    _near(simulation, task, 0)
    _add_cancel(simulation, task, "cancel A")
    _add_cancel(simulation, task, "cancel B")
    return simulation


def reschedule_when_due(stop_of_ended: StopOfEnded = StopOfEnded.OLD_DATE) -> Simulation:
    simulation = Simulation(stop_of_ended=stop_of_ended)
    task = _scheduled(simulation)
    _near(simulation, task, 0.5, 0)
    _add_reschedule(simulation, task)
    return simulation


def reschedule_and_cancel(*, index_lags: bool = False) -> Simulation:
    simulation = Simulation(index_lags=index_lags)
    task = _scheduled(simulation)
    _near(simulation, task, 0)
    _add_reschedule(simulation, task)
    _add_cancel(simulation, task)
    return simulation


def two_reschedules() -> Simulation:
    simulation = Simulation()
    task = _scheduled(simulation)
    _near(simulation, task, 0)
    _add_reschedule(simulation, task, "new A", "reschedule A")
    _add_reschedule(simulation, task, "new B", "reschedule B")
    return simulation


def repeated_schedule(*actors: str) -> Simulation:
    """A client repeats a request, or several clients send it, before the first one has its response."""
    simulation = Simulation()
    for number, actor in enumerate(actors, 1):
        task = simulation.new_task(number=number)
        simulation.scheduler.spawn(
            actor, partial(lambda task, actor: void(simulation.schedule(task, key="key", actor=actor)), task, actor)
        )
    return simulation


def repeated_schedule_and_cancel() -> Simulation:
    """A client whose first response was late repeats the request, and cancels what the response names."""
    simulation = Simulation()
    tasks = [simulation.new_task(2), simulation.new_task(2)]
    simulation.instants = [tasks[0].due_ms]

    def first() -> None:
        simulation.schedule(tasks[0], key="key", actor="first")

    def second() -> None:
        if (task := simulation.schedule(tasks[1], key="key", actor="second")) is not None:
            simulation.cancel(task.id, actor="second")

    simulation.scheduler.spawn("first", first)
    simulation.scheduler.spawn("second", second)
    return simulation


def two_sweeps(
    add: Callable[[Simulation, Task], None] | None = None,
    lose: Callable[[Simulation], Task] = _lost,
    *,
    describe_lags: bool = False,
    index_lags: bool = False,
) -> Simulation:
    """Two sweeps meet a task whose timer is lost, and a request concerns it at the same time."""
    simulation = Simulation(describe_lags=describe_lags, index_lags=index_lags, is_prompt=False)
    task = lose(simulation)
    _add_sweeps(simulation, "sweep A", "sweep B")
    if add is not None:
        add(simulation, task)
    return simulation


def _overdue_parked(simulation: Simulation) -> Task:
    task = _parked(simulation)
    simulation.clock.ms += 120_000
    return task


def parked_and_sweep(add: Callable[[Simulation, Task], None], fault: str, *, describe_lags: bool = False) -> Simulation:
    """A task whose start was refused, or whose start's response was lost, is started by a sweep."""
    simulation = Simulation(describe_lags=describe_lags, is_prompt=False)
    simulation.faults["start_execution"] = [fault]
    task = _scheduled(simulation)
    _add_sweeps(simulation, "sweep")
    add(simulation, task)
    return simulation


def cancel_after_rearm() -> Simulation:
    """A first timer published without learning so; the recorder lags, and the sweeper gives the task other timers."""
    simulation = Simulation(is_prompt=False)
    task = _scheduled(simulation)
    simulation.machine.topic = Topic.ANSWERS_LATE
    simulation.publish(task)
    simulation.machine.topic = Topic.REFUSES
    simulation.clock.ms += 60_000
    simulation.sweep()
    simulation.machine.run()
    simulation.machine.topic = Topic.WORKS
    simulation.clock.ms += 60_000
    _add_sweeps(simulation, "sweep")
    _add_cancel(simulation, task)
    return simulation


def cancel_and_sweep_after_rearm() -> Simulation:
    """A cancel and a sweep meet the second timer of a task, which publishes at that moment."""
    simulation = Simulation(is_prompt=False)
    task = _lost(simulation)
    simulation.sweep()
    simulation.clock.ms += 60_000
    _add_sweeps(simulation, "sweep")
    _add_cancel(simulation, task)
    return simulation


def schedule_and_cancel_tagged(*, index_lags: bool = False) -> Simulation:
    """One task of the tag is accepted before the cancel begins, another one at the same time."""
    simulation = Simulation(index_lags=index_lags)
    early = simulation.schedule(simulation.new_task(number=1, tags={"user": "42"}))
    late = simulation.new_task(number=2, tags={"user": "42"})
    assert early is not None

    def cancel() -> None:
        simulation.cancel_tagged("user", "42", actor="cancel")
        cancelled = {one.task.id for one in simulation.responses.get("cancel", []) if one.task is not None}
        if early.id not in cancelled:
            simulation.broken.append("a cancel by tag misses a task that was accepted before")

    simulation.scheduler.spawn("schedule", lambda: void(simulation.schedule(late, actor="schedule")))
    simulation.scheduler.spawn("cancel", cancel)
    return simulation


def list_while_sweeping(*sweeps: str, fault: str | None = None) -> Simulation:
    """A parked task is started, or its start is refused again, while it is listed."""
    simulation = Simulation(is_prompt=False)
    task = _parked(simulation)
    simulation.faults["start_execution"] = [fault] if fault else []
    _add_sweeps(simulation, *sweeps)
    simulation.scheduler.spawn("list", lambda: simulation.list_open(task.id))
    return simulation


def list_while_rescheduling() -> Simulation:
    simulation = Simulation(is_prompt=False)
    task = _scheduled(simulation)
    far_s = 3 * 86_400  # it is parked, then
    simulation.scheduler.spawn(
        "reschedule", lambda: simulation.reschedule(task.id, "new", due_s=far_s, actor="reschedule")
    )
    simulation.scheduler.spawn("list", lambda: simulation.list_open(task.id))
    return simulation


def _published(simulation: Simulation, count: int) -> None:
    """Schedule tasks and publish them; no message is delivered yet."""
    tasks = [simulation.schedule(simulation.new_task(number=number)) for number in range(1, count + 1)]
    for task in tasks:
        assert task is not None
        simulation.publish(task)


def two_recorders() -> Simulation:
    """Both are given the same messages, in different orders, and one of them once more on its own."""
    simulation = Simulation(delivers=False)
    _published(simulation, 2)
    simulation.scheduler.spawn("recorder A", lambda: simulation.record(0, 1))
    simulation.scheduler.spawn("recorder B", lambda: simulation.record(1, 0))
    return simulation


def recorder_and_sweeps() -> Simulation:
    """The recorder lags behind, and sweeps record what was published."""
    simulation = Simulation(delivers=False)
    _published(simulation, 1)
    simulation.clock.ms += 60_000
    _add_sweeps(simulation, "sweep A", "sweep B")
    simulation.scheduler.spawn("recorder", lambda: simulation.record(0))
    return simulation


def slow_recorder_and_readers(*readers: str, recorders: int = 2) -> Simulation:
    """One recorder is held up for longer than readers wait; another one goes on."""
    simulation = Simulation(delivers=False)
    _published(simulation, recorders)
    simulation.instants = [simulation.clock.ms + 6_000]
    for number in range(recorders):
        simulation.scheduler.spawn(f"recorder {number}", partial(simulation.record, number))
    for reader in readers:
        simulation.scheduler.spawn(reader, partial(simulation.follow, reader, times=2))
    return simulation


def void(_returned: object) -> None:
    """Make a statement of an expression."""


# A comment says which mistake a scenario finds; MUTATIONS shows it.
SCENARIOS: dict[str, Scenario] = {
    # A cancel that stops the publish, finds that it was entered, and returns 409: the message is delayed.
    "cancel x due time": Scenario(partial(cancel_when_due, 1.5, 0.5, 0), 2, 3),
    "cancel x due time, stop of ended is an error": Scenario(
        partial(cancel_when_due, 0.5, 0, stop_of_ended=StopOfEnded.ERROR), 1, 3
    ),
    # Only the first page of the history is read.
    "cancel x due time, history in pages": Scenario(partial(cancel_when_due, 0, history_page=2), 2, 3),
    "cancel x cancel": Scenario(two_cancels, 0, 3),
    "reschedule x due time": Scenario(reschedule_when_due, 1, 3),
    "reschedule x due time, stop of ended is an error": Scenario(partial(reschedule_when_due, StopOfEnded.ERROR), 1, 3),
    "reschedule x cancel": Scenario(reschedule_and_cancel, 0, 3),
    "reschedule x cancel, index lags": Scenario(partial(reschedule_and_cancel, index_lags=True), None, 2),
    "reschedule x reschedule": Scenario(two_reschedules, None, 3),
    "repeated schedule": Scenario(partial(repeated_schedule, "first", "second", "third"), 2, 3),
    # A repeated request returns 200 for a cancelled task, or makes a second one.
    "repeated schedule x cancel": Scenario(repeated_schedule_and_cancel, None, 3),
    # A sweep takes an execution that the other one is about to start for one that died.
    "two sweeps": Scenario(two_sweeps, 1, 3),
    "two sweeps x cancel": Scenario(partial(two_sweeps, _add_cancel), None, 2),
    "two sweeps x reschedule": Scenario(partial(two_sweeps, _add_reschedule), None, 2),
    "two sweeps, describe lags": Scenario(partial(two_sweeps, describe_lags=True), 0, 1),
    "two sweeps x cancel, describe lags": Scenario(partial(two_sweeps, _add_cancel, describe_lags=True), None, 1),
    "two sweeps x cancel, index lags": Scenario(partial(two_sweeps, _add_cancel, index_lags=True), None, 1),
    "two sweeps x parked": Scenario(partial(two_sweeps, lose=_parked), 3, 3),
    "two sweeps x overdue parked": Scenario(partial(two_sweeps, lose=_overdue_parked), 0, 2),
    "two sweeps x overdue parked x cancel": Scenario(partial(two_sweeps, _add_cancel, _overdue_parked), None, 2),
    "parked x cancel x sweep": Scenario(partial(parked_and_sweep, _add_cancel, "ThrottlingException"), 3, 3),
    "parked x reschedule x sweep": Scenario(partial(parked_and_sweep, _add_reschedule, "ThrottlingException"), 3, 3),
    "lost start x cancel x sweep": Scenario(partial(parked_and_sweep, _add_cancel, "lost", describe_lags=True), 3, 3),
    # The sweeper forgets that a dead execution had entered its publish.
    "cancel after re-arm": Scenario(cancel_after_rearm, 3, 3),
    # A sweep finds the execution that a cancel aborted, and pauses before the next one.
    "cancel x sweep after re-arm": Scenario(cancel_and_sweep_after_rearm, 0, 3),
    "cancel by tag x schedule": Scenario(schedule_and_cancel_tagged, 3, 3),
    # The index does not know the task yet.
    "cancel by tag x schedule, index lags": Scenario(partial(schedule_and_cancel_tagged, index_lags=True), 1, 2),
    "list x arming": Scenario(partial(list_while_sweeping, "sweep"), 3, 3),
    # The task steps back from SCHEDULED to PARKED, which was read before.
    "list x refused arming": Scenario(partial(list_while_sweeping, "sweep", fault="ThrottlingException"), 3, 3),
    # The same, and it has another due time by then.
    "list x reschedule to a far time": Scenario(list_while_rescheduling, 3, 3),
    "recorder x recorder": Scenario(two_recorders, 3, 3),
    "recorder x two sweeps": Scenario(recorder_and_sweeps, 1, 3),
    # A reader takes a missing sequence number for lost, and it is written all the same.
    "slow recorder x reader": Scenario(partial(slow_recorder_and_readers, "reader"), 1, 3),
    "slow recorder x reader x reader": Scenario(partial(slow_recorder_and_readers, "reader A", "reader B"), 0, 2),
}


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Keep the warnings of ten thousand worlds out of the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.preemptions is not None])
def test_the_guarantees_hold_in_every_interleaving(name: str) -> None:
    scenario = SCENARIOS[name]
    report = explore(scenario.make, preemptions=scenario.preemptions or 0)
    assert not report.violations, str(report)
    assert report.is_complete


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_guarantees_hold_in_every_interleaving_with_more_preemptions(name: str) -> None:
    scenario = SCENARIOS[name]
    report = explore(scenario.make, preemptions=scenario.long)
    assert not report.violations, str(report)


def _move_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a change of state overwrite whatever the table has by then."""
    move = TaskStore.transition

    def overwrite(task_store: TaskStore, record: StoredTask, state: StoredState, **more: Any) -> bool:  # noqa: ANN401 - as it was
        now = task_store.get(record.task.id)
        return now is not None and move(task_store, replace(record, task=now.task, state=now.state), state, **more)

    monkeypatch.setattr(TaskStore, "transition", overwrite)


def _record_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a recorder write what another one has written meanwhile."""
    emission = TaskStore.mark_emitted_request

    def overwrite(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the method takes
        update = emission(*given, **more)
        return {**update, "ConditionExpression": update["ConditionExpression"].replace(" AND #state <> :state", "")}

    monkeypatch.setattr(TaskStore, "mark_emitted_request", overwrite)


def _take_missing_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = ExecutionTimer.outcome

    def dead(timer: ExecutionTimer, task: Task) -> tuple[ExecutionOutcome, int | None]:
        found, ended_ms = outcome(timer, task)
        return (ExecutionOutcome.FAILED if found is ExecutionOutcome.MISSING else found), ended_ms

    monkeypatch.setattr(ExecutionTimer, "outcome", dead)
    monkeypatch.setattr(ExecutionTimer, "has_entered", lambda *_: False)


def _take_aborted_for_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "task_scheduler.aws.executions._OUTCOMES",
        {"RUNNING": ExecutionOutcome.RUNNING, "SUCCEEDED": ExecutionOutcome.PUBLISHED},
    )


def _stop_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither look before a stop, nor start a publish again that was interrupted."""
    stop = ExecutionTimer.stop
    monkeypatch.setattr(ExecutionTimer, "stop", lambda timer, task, **_: stop(timer, task, now_ms=0))
    monkeypatch.setattr(AwsEngine, "_resume", lambda *_: None)


def _read_one_page_of_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_page(timer: ExecutionTimer, task: Task) -> Any:  # noqa: ANN401 - events of Step Functions
        arn = timer._arn(task)  # noqa: SLF001 - the code that is mutated
        call = timer._client.get_execution_history  # noqa: SLF001 - the same
        return call(executionArn=arn, maxResults=1000, includeExecutionData=False)["events"]

    monkeypatch.setattr(ExecutionTimer, "_history_events", first_page)


def _take_over_without_tombstone(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_over(
        task_store: TaskStore, key: IdempotencyKey, holder: KeyHolder, task: Task, state: StoredState
    ) -> bool:
        values = {"task": {"S": task.id}, "fingerprint": {"S": key.fingerprint}}
        update = task_store._key_update(key.name, holder.task_id, values)  # noqa: SLF001 - the code that is mutated
        return task_store._write(update) and task_store.put(task, state, key=key.name)  # noqa: SLF001 - the same

    monkeypatch.setattr(TaskStore, "take_over_key", take_over)


@dataclass(frozen=True)
class Mutation:
    """A fix undone, and a scenario in which that is seen."""

    undo: Callable[[pytest.MonkeyPatch], None]
    scenario: str
    violation: str


MUTATIONS: dict[str, Mutation] = {
    "a change of state has no condition": Mutation(
        _move_unconditionally, "reschedule x cancel", "cancel 200, and the message was published"
    ),
    "a recording has no condition": Mutation(
        _record_unconditionally, "recorder x recorder", "the event log does not have each published task once"
    ),
    "a missing execution counts as dead": Mutation(
        _take_missing_for_dead, "two sweeps, describe lags", "two live executions of one task"
    ),
    "a cancel stops without looking": Mutation(
        _stop_without_looking, "cancel x due time", "409, and the message was delayed"
    ),
    "one page of the history is read": Mutation(
        _read_one_page_of_the_history, "cancel x due time, history in pages", "503, and no service had failed"
    ),
    "a sweep pauses after an execution that was aborted": Mutation(
        _take_aborted_for_failed, "cancel x sweep after re-arm", "409, and the message was delayed"
    ),
    "a publish of an earlier execution is forgotten": Mutation(
        lambda patch: patch.setattr(ExecutionTimer, "has_entered", lambda *_: False),
        "cancel after re-arm",
        "cancel 200, and the message was published",
    ),
    "a list reads parked tasks once": Mutation(
        lambda patch: patch.setattr("task_scheduler.aws.task_store._READING_ORDER", tuple(StoredState)),
        "list x refused arming",
        "a list misses a task that is open all the time",
    ),
    "a reader skips a number without sealing it": Mutation(
        lambda patch: patch.setattr(EventLog, "seal", lambda *_: True),
        "slow recorder x reader",
        "a reader that followed the event log missed an event",
    ),
    "a key is taken over without a tombstone": Mutation(
        _take_over_without_tombstone,
        "repeated schedule",
        "one key, and two tasks",
    ),
    "a cancel by tag looks once": Mutation(
        lambda patch: patch.setattr("task_scheduler.aws.engine._INDEX_LAG_MS", 0),
        "cancel by tag x schedule, index lags",
        "a cancel by tag misses a task that was accepted before",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fix_that_is_undone_breaks_a_guarantee(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    mutation = MUTATIONS[name]
    scenario = SCENARIOS[mutation.scenario]
    mutation.undo(monkeypatch)
    report = explore(scenario.make, preemptions=scenario.long, stop_at_first=True)
    assert mutation.violation in report.violations, str(report)
