"""The checker finds each kind of violation in a history that is wrong by hand, and none in one that is right."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.support.checker import check
from lab.support.history import Delivered, Emitted, History, Listed, Observations, Seen, TaskHistory, Version
from task_scheduler import timestamps

pytestmark = pytest.mark.lab

_DUE_MS = 1_800_000_000_000
_FIRST = Version(_DUE_MS, "first")
_SECOND = Version(_DUE_MS + 1_000, "second")
_OTHER = Version(_DUE_MS, "of another task")


def _answer(task_id: str, version: Version) -> dict[str, str]:
    return {"id": task_id, "timestamp": timestamps.format(version.due_ms), "message": version.message}


def _accepted(history: History, task_id: str, version: Version = _FIRST) -> TaskHistory:
    task = history.invoke(f"key of {task_id}", version)
    task.schedule_ok(_answer(task_id, version))
    return task


def _changed(task: TaskHistory, version: Version) -> None:
    task.invoke_change(version)
    task.change_ok(version, {**_answer("", version), "status": "scheduled"})


def _emitted(sequence: int, task_id: str, version: Version = _FIRST, late_ms: int = 3) -> Emitted:
    return Emitted(sequence, version.due_ms + late_ms, task_id, version)


def _found(*log: Emitted, scheduled: tuple[str, ...] = (), cancelled: tuple[str, ...] = ()) -> Observations:
    """Return what one would find where everybody saw what is in the log."""
    tasks = [Listed(entry.task_id, "emitted", entry.version, entry.emitted_ms) for entry in log]
    tasks += [Listed(task_id, "scheduled", _FIRST, None) for task_id in scheduled]
    tasks += [Listed(task_id, "cancelled", _FIRST, None) for task_id in cancelled]
    seen = [Seen(entry, entry.emitted_ms) for entry in log]
    deliveries = [Delivered(entry.task_id, entry.version, entry.emitted_ms) for entry in log]
    return Observations(list(log), tasks, seen, deliveries=deliveries, due_before_ms=_DUE_MS)


def _right() -> tuple[History, Observations]:
    """Return two tasks that were emitted, one that is cancelled and one that is to come."""
    history = History()
    for task_id in ("a", "b", "later"):
        _accepted(history, task_id)
    _accepted(history, "gone").cancel_ok()
    return history, _found(_emitted(4, "a"), _emitted(6, "b"), scheduled=("later",), cancelled=("gone",))


def test_a_right_history_adds_up() -> None:
    account = check(*_right())
    assert account.violations == []
    assert account.sum == "4 accepted = 2 emitted + 1 cancelled + 1 still scheduled"


def _lose(found: Observations) -> None:
    found.tasks = [task for task in found.tasks if task.id != "later"]


def _lose_from_the_log(found: Observations) -> None:
    del found.log[1], found.seen[1], found.deliveries[1]


def _log_twice(found: Observations) -> None:
    again = replace(found.log[0], sequence=7)
    found.log.append(again)
    found.seen.append(Seen(again, again.emitted_ms))


def _emit_early(found: Observations) -> None:
    found.log[0] = replace(found.log[0], emitted_ms=_DUE_MS - 1)
    found.seen[0] = Seen(found.log[0], _DUE_MS)
    found.tasks[0] = replace(found.tasks[0], emitted_ms=_DUE_MS - 1)


def _arrive_early(found: Observations) -> None:
    found.seen[0] = replace(found.seen[0], latest_ms=_DUE_MS - 1)


def _deliver_early(found: Observations) -> None:
    found.deliveries[0] = replace(found.deliveries[0], latest_ms=_DUE_MS - 1)


def _emit_what_is_cancelled(found: Observations) -> None:
    found.log.append(_emitted(7, "gone"))
    found.seen.append(Seen(found.log[-1], _DUE_MS + 3))
    found.deliveries.append(Delivered("gone", _FIRST, _DUE_MS + 3))


def _deliver_what_is_cancelled(found: Observations) -> None:
    found.deliveries.append(Delivered("gone", _FIRST, _DUE_MS + 3))


def _schedule_what_is_cancelled(found: Observations) -> None:
    found.tasks[-1] = replace(found.tasks[-1], status="scheduled")


def _cancel_what_is_scheduled(found: Observations) -> None:
    found.tasks[-2] = replace(found.tasks[-2], status="cancelled")


def _fail(found: Observations) -> None:
    found.tasks[-2] = replace(found.tasks[-2], status="failed")


def _forget_to_emit(found: Observations) -> None:
    found.due_before_ms = _DUE_MS + 1


def _miss_one(found: Observations) -> None:
    del found.seen[0]


def _see_one_twice(found: Observations) -> None:
    found.seen.append(found.seen[-1])


def _see_in_another_order(found: Observations) -> None:
    found.seen.reverse()


def _see_what_is_not_there(found: Observations) -> None:
    found.seen[0] = Seen(replace(found.seen[0].event, sequence=5), _DUE_MS + 3)


def _deliver_nothing(found: Observations) -> None:
    found.deliveries.clear()


def _deliver_what_is_not_there(found: Observations) -> None:
    found.deliveries.append(Delivered("later", _FIRST, _DUE_MS + 3))


def _deliver_something_else(found: Observations) -> None:
    found.deliveries.append(Delivered("a", _OTHER, _DUE_MS + 3))


def _repeat_a_number(found: Observations) -> None:
    for index, entry in enumerate(found.log):
        found.log[index] = replace(entry, sequence=4)
    found.seen = [Seen(entry, entry.emitted_ms) for entry in found.log]


def _emit_something_else(found: Observations) -> None:
    found.log[0] = replace(found.log[0], version=_OTHER)
    found.seen[0] = Seen(found.log[0], _DUE_MS + 3)


def _emit_for_a_stranger(found: Observations) -> None:
    found.log.append(_emitted(7, "stranger"))
    found.seen.append(Seen(found.log[-1], _DUE_MS + 3))


def _disagree_about_the_time(found: Observations) -> None:
    found.tasks[0] = replace(found.tasks[0], emitted_ms=_DUE_MS + 4)


def _list_twice(found: Observations) -> None:
    found.tasks.append(found.tasks[-2])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_lose, "later is listed 0 times: it was lost"),
        (_lose_from_the_log, "b is listed as emitted, and is not in the log"),
        (_log_twice, "a is in the log 2 times, at [4, 7]"),
        (_emit_early, "a was emitted 1 ms early, at 4"),
        (_arrive_early, "The listener got a 1 ms early, at 4"),
        (_deliver_early, "a was delivered 1 ms early"),
        (_emit_what_is_cancelled, "gone was emitted at 7, and its cancellation was confirmed"),
        (_deliver_what_is_cancelled, "gone was delivered, and its cancellation was confirmed"),
        (_schedule_what_is_cancelled, "gone is scheduled, and its cancellation was confirmed"),
        (_cancel_what_is_scheduled, "later is cancelled, and no client requested that"),
        (_fail, "later is failed"),
        (_forget_to_emit, "later was due at 2027-01-15T08:00:00.000Z, and is still scheduled"),
        (_miss_one, "The listener missed a, at 4"),
        (_see_one_twice, "The listener got b 2 times, at 6"),
        (_see_in_another_order, "The listener got 4 after 6"),
        (_see_what_is_not_there, "The listener got a at 5, unlike the log"),
        (_deliver_nothing, "a was emitted at 4, and never delivered"),
        (_deliver_what_is_not_there, "later was delivered, and is not in the log"),
        (_deliver_something_else, f"a is delivered as {_OTHER}, and was confirmed as {_FIRST}"),
        (_repeat_a_number, "The log goes from 4 to 4"),
        (_emit_something_else, f"a is emitted at 4 as {_OTHER}, and was confirmed as {_FIRST}"),
        (_emit_for_a_stranger, "stranger is emitted, and was never accepted"),
        (_disagree_about_the_time, f"a was emitted at {_DUE_MS + 4} by its task, and at another time by the log"),
        (_list_twice, "later is listed 2 times: a list repeats it"),
    ],
)
def test_a_violation_is_found(spoil: Callable[[Observations], None], sentence: str) -> None:
    history, found = _right()
    spoil(found)
    assert sentence in check(history, found).violations


def test_a_confirmed_change_is_what_must_be_emitted() -> None:
    history = History()
    _changed(_accepted(history, "a"), _SECOND)
    assert check(history, _found(_emitted(1, "a", _SECOND))).violations == []
    [emitted, *_] = check(history, _found(_emitted(1, "a", _FIRST))).violations
    assert emitted == f"a is emitted at 1 as {_FIRST}, and was confirmed as {_SECOND}"


@pytest.mark.parametrize("version", [_FIRST, _SECOND])
def test_a_change_that_got_no_answer_may_have_been_made(version: Version) -> None:
    history = History()
    task = _accepted(history, "a")
    task.invoke_change(_SECOND)
    task.change_failed(_SECOND, first=False)
    assert check(history, _found(_emitted(1, "a", version))).violations == []


def test_a_change_that_was_refused_at_once_was_not_made() -> None:
    history = History()
    task = _accepted(history, "a")
    task.invoke_change(_SECOND)
    task.change_failed(_SECOND, first=True)
    assert check(history, _found(_emitted(1, "a", _FIRST))).violations == []
    assert check(history, _found(_emitted(1, "a", _SECOND))).violations
    assert "a is still scheduled, and a change was rejected because it is over" in (
        check(history, _found(scheduled=("a",))).violations
    )


def test_only_a_change_that_lingers_may_be_made_after_a_later_one() -> None:
    third = Version(_DUE_MS, "third")
    for lingers in (True, False):
        history = History()
        task = _accepted(history, "a")
        task.invoke_change(_SECOND)
        task.change_unknown(_SECOND, lingers=lingers)
        _changed(task, third)
        assert (check(history, _found(_emitted(1, "a", _SECOND))).violations == []) is lingers
        assert check(history, _found(_emitted(1, "a", third))).violations == []


def test_a_cancel_that_got_no_answer_may_have_been_made() -> None:
    history = History()
    _accepted(history, "a").cancel_unknown()
    assert check(history, _found(cancelled=("a",))).violations == []
    assert check(history, _found(_emitted(1, "a"))).violations == []


def _accept_another(task: TaskHistory) -> None:
    task.schedule_ok(_answer("b", _FIRST))


def _accept_for_another_time(task: TaskHistory) -> None:
    task.schedule_ok(_answer("a", _SECOND))


def _cancel_what_is_too_late(task: TaskHistory) -> None:
    task.cancel_failed()
    task.cancel_ok()


def _refuse_after_a_cancel(task: TaskHistory) -> None:
    task.cancel_ok()
    task.cancel_failed()


def _change_after_a_cancel(task: TaskHistory) -> None:
    task.cancel_ok()
    _changed(task, _SECOND)


def _change_to_something_else(task: TaskHistory) -> None:
    task.invoke_change(_SECOND)
    task.change_ok(_SECOND, {**_answer("a", _FIRST), "status": "scheduled"})


def _change_what_is_emitted(task: TaskHistory) -> None:
    task.invoke_change(_FIRST)
    task.change_ok(_FIRST, {**_answer("a", _FIRST), "status": "emitted"})


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (_accept_another, "made two tasks, a and b"),
        (_accept_for_another_time, "was requested for"),
        (_cancel_what_is_too_late, "a cancel was confirmed after one was rejected"),
        (_refuse_after_a_cancel, "a cancel was rejected as too late after one was confirmed"),
        (_change_after_a_cancel, "a change was confirmed after a cancel was"),
        (_change_to_something_else, "was changed to"),
        (_change_what_is_emitted, "a change was confirmed of a task that is"),
        (TaskHistory.cancel_failed, "was never emitted, and a cancel was rejected"),
        (lambda task: task.schedule_failed(409, "key"), "was rejected though nothing was wrong with it: 409 key"),
    ],
)
def test_answers_that_contradict_each_other_are_found(answers: Callable[[TaskHistory], None], words: str) -> None:
    history = History()
    answers(_accepted(history, "a"))
    assert [line for line in check(history, _found(scheduled=("a",))).violations if words in line]


def test_a_task_without_a_definite_answer_is_found() -> None:
    history = History()
    history.invoke("key", _FIRST)
    assert check(history, _found()).violations == ["key never got a definite response"]


def test_a_complaint_of_the_driver_is_a_violation() -> None:
    history = History()
    history.errors.append("schedule was answered 500")
    assert check(history, _found()).violations == ["schedule was answered 500"]


def test_a_key_is_used_once() -> None:
    history = History()
    history.invoke("key", _FIRST)
    with pytest.raises(ValueError, match="used before"):
        history.invoke("key", _SECOND)
