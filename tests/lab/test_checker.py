"""The checker finds each kind of violation in a history that is wrong by hand, and none in one that is right."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from lab.support.checker import check
from lab.support.history import Delivered, Emitted, History, Listed, Observations, Seen, TaskHistory, Version

DUE_MS: Final = 1_800_000_000_000
FIRST, SECOND, THIRD = (Version(DUE_MS + number, f"version {number}") for number in range(3))

# Two tasks that were emitted, one that is to come, and one that is cancelled.
A, B = Emitted(4, DUE_MS + 3, "a", FIRST), Emitted(6, DUE_MS + 3, "b", FIRST)
LATER, GONE = Listed("later", "scheduled", FIRST, None), Listed("gone", "cancelled", FIRST, None)
AGAIN, GONE_EMITTED, STRANGER = (Emitted(7, DUE_MS + 3, task_id, FIRST) for task_id in ("a", "gone", "stranger"))
TOLD: Final = Delivered("a", FIRST, DUE_MS + 3)


def listed(entry: Emitted) -> Listed:
    return Listed(entry.task_id, "emitted", entry.version, entry.emitted_ms)


def observed(
    *log: Emitted,
    tasks: Sequence[Listed] | None = None,
    seen: Sequence[Seen] | None = None,
    deliveries: Sequence[Delivered] | None = None,
    due_before_ms: int = DUE_MS,
) -> Observations:
    """Return what is observed where everybody got what is in the log, but for what is given."""
    return Observations(
        list(log),
        [*map(listed, log), LATER, GONE] if tasks is None else list(tasks),
        [Seen(entry, entry.emitted_ms) for entry in log] if seen is None else list(seen),
        deliveries=[Delivered(entry.task_id, entry.version, entry.emitted_ms) for entry in log]
        if deliveries is None
        else list(deliveries),
        due_before_ms=due_before_ms,
    )


def response(task_id: str, version: Version, status: str = "scheduled") -> dict[str, str]:
    return {"id": task_id, **version.body, "status": status}


def accepted(history: History, task_id: str) -> TaskHistory:
    task = history.invoke(f"key of {task_id}", FIRST)
    task.schedule_ok(response(task_id, FIRST))
    return task


SEEN_A, SEEN_B = (Seen(entry, DUE_MS + 3) for entry in (A, B))
TOLD_B: Final = replace(TOLD, task_id="b")
A_LISTED, B_LISTED = listed(A), listed(B)
EARLY: Final = DUE_MS - 1

OBSERVED: Final[dict[str, Observations]] = {
    "later is listed 0 times: it was lost": observed(A, B, tasks=[A_LISTED, B_LISTED, GONE]),
    "later is listed 2 times: a list repeats it": observed(A, B, tasks=[A_LISTED, B_LISTED, LATER, LATER, GONE]),
    "later is failed": observed(A, B, tasks=[A_LISTED, B_LISTED, replace(LATER, status="failed"), GONE]),
    "later is cancelled, and no client requested that": observed(
        A, B, tasks=[A_LISTED, B_LISTED, replace(LATER, status="cancelled"), GONE]
    ),
    "gone is scheduled, and its cancellation was confirmed": observed(
        A, B, tasks=[A_LISTED, B_LISTED, LATER, replace(GONE, status="scheduled")]
    ),
    "b is listed as emitted, and is not in the log": observed(A, tasks=[A_LISTED, B_LISTED, LATER, GONE]),
    f"a was emitted at {EARLY} by its task, and at another time by the log": observed(
        A, B, tasks=[replace(A_LISTED, emitted_ms=EARLY), B_LISTED, LATER, GONE]
    ),
    "later was due at 2027-01-15T08:00:00.000Z, and is still scheduled": observed(A, B, due_before_ms=DUE_MS + 1),
    "a is in the log 2 times, at [4, 7]": observed(A, B, AGAIN),
    "a was emitted 1 ms early, at 4": observed(replace(A, emitted_ms=EARLY), B),
    "gone was emitted at 7, and its cancellation was confirmed": observed(A, B, GONE_EMITTED),
    f"a is emitted at 4 as {SECOND}, and was confirmed as {FIRST}": observed(replace(A, version=SECOND), B),
    "stranger is emitted, and was never accepted": observed(A, B, STRANGER),
    "The log goes from 4 to 4": observed(A, replace(B, sequence=4)),
    "The listener got a 1 ms early, at 4": observed(A, B, seen=[replace(SEEN_A, latest_ms=EARLY), SEEN_B]),
    "The listener missed a, at 4": observed(A, B, seen=[SEEN_B]),
    "The listener got b 2 times, at 6": observed(A, B, seen=[SEEN_A, SEEN_B, SEEN_B]),
    "The listener got 4 after 6": observed(A, B, seen=[SEEN_B, SEEN_A]),
    "The listener got a at 5, unlike the log": observed(A, B, seen=[Seen(replace(A, sequence=5), DUE_MS + 3), SEEN_B]),
    "a was delivered 1 ms early": observed(A, B, deliveries=[replace(TOLD, latest_ms=EARLY), TOLD_B]),
    "a was emitted at 4, and never delivered": observed(A, B, deliveries=[TOLD_B]),
    "gone was delivered, and its cancellation was confirmed": observed(
        A, B, deliveries=[TOLD, TOLD_B, replace(TOLD, task_id="gone")]
    ),
    "later was delivered, and is not in the log": observed(
        A, B, deliveries=[TOLD, TOLD_B, replace(TOLD, task_id="later")]
    ),
    f"a is delivered as {SECOND}, and was confirmed as {FIRST}": observed(
        A, B, deliveries=[TOLD, TOLD_B, replace(TOLD, version=SECOND)]
    ),
}


@pytest.fixture
def history() -> History:
    found = History()
    for task_id in ("a", "b", "later"):
        accepted(found, task_id)
    accepted(found, "gone").cancel_ok()
    return found


def test_a_right_history_adds_up(history: History) -> None:
    verdict = check(history, observed(A, B))
    assert verdict.violations == []
    assert verdict.sum == "4 accepted = 2 emitted + 1 cancelled + 1 still scheduled"


@pytest.mark.parametrize("sentence", OBSERVED)
def test_a_wrong_observation_is_found(history: History, sentence: str) -> None:
    assert sentence in check(history, OBSERVED[sentence]).violations


def changed(task: TaskHistory, version: Version, status: str = "scheduled") -> None:
    task.invoke_change(version)
    task.change_ok(version, response("later", version, status))


def change_failed(task: TaskHistory, *, first: bool) -> None:
    task.invoke_change(SECOND)
    if not first:
        task.change_unknown(SECOND, lingers=False)
    task.change_failed(SECOND)


def change_unknown(task: TaskHistory, *, lingers: bool) -> None:
    task.invoke_change(SECOND)
    task.change_unknown(SECOND, lingers=lingers)
    changed(task, THIRD)


RESPONSES: Final[dict[str, list[Callable[[TaskHistory], None]]]] = {
    "made two tasks, later and other": [lambda task: task.schedule_ok(response("other", FIRST))],
    "was requested for": [lambda task: task.schedule_ok(response("later", SECOND))],
    "was rejected though nothing was wrong with it: 409 key": [lambda task: task.schedule_failed(409, "key")],
    "a cancel was confirmed after one was rejected": [TaskHistory.cancel_failed, TaskHistory.cancel_ok],
    "a cancel was rejected as too late after one": [TaskHistory.cancel_ok, TaskHistory.cancel_failed],
    "was never emitted, and a cancel was rejected": [TaskHistory.cancel_failed],
    "a change was confirmed after a cancel was": [TaskHistory.cancel_ok, lambda task: changed(task, SECOND)],
    "a change was confirmed of a task that is": [lambda task: changed(task, SECOND, "emitted")],
    "was changed to": [lambda task: task.change_ok(SECOND, response("later", FIRST))],
    "is still scheduled, and a change was rejected": [lambda task: change_failed(task, first=True)],
}


@pytest.mark.parametrize("words", RESPONSES)
def test_responses_that_contradict_each_other_are_found(history: History, words: str) -> None:
    for act in RESPONSES[words]:
        act(history.tasks["key of later"])
    assert [line for line in check(history, observed(A, B)).violations if words in line]


def test_a_complaint_and_a_task_without_a_definite_response_are_found(history: History) -> None:
    history.errors.append("POST /schedule got 500")
    history.invoke("key", FIRST)
    assert check(history, observed(A, B)).violations == ["POST /schedule got 500", "key never got a definite response"]


@pytest.mark.parametrize(
    ("act", "possible"),
    [
        (lambda task: changed(task, SECOND), {SECOND}),
        (lambda task: change_failed(task, first=True), {FIRST}),
        (lambda task: change_failed(task, first=False), {FIRST, SECOND}),  # an earlier attempt may have made it
        (lambda task: change_unknown(task, lingers=True), {SECOND, THIRD}),
        (lambda task: change_unknown(task, lingers=False), {THIRD}),
    ],
)
def test_only_what_was_confirmed_or_may_have_been_carried_out_may_be_emitted(
    act: Callable[[TaskHistory], object], possible: set[Version]
) -> None:
    for version in (FIRST, SECOND, THIRD):
        history = History()
        act(accepted(history, "a"))
        found = Emitted(4, version.due_ms, "a", version)
        assert (check(history, observed(found, tasks=[listed(found)])).violations == []) is (version in possible)


@pytest.mark.parametrize("found", [observed(A, tasks=[A_LISTED]), observed(tasks=[replace(GONE, id="a")])])
def test_a_cancel_without_a_response_may_have_been_carried_out(found: Observations) -> None:
    history = History()
    accepted(history, "a").cancel_unknown()
    assert check(history, found).violations == []
