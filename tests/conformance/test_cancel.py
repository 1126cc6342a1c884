"""Cancelling: 200 only if the message will not be emitted, 409 only if it was."""

import random
import time
from typing import Final

import pytest

from tests.support.api import PAST, Accepted, Answer, Api, together
from tests.support.clock import iso, now_ms
from tests.support.event_log import EventLog

_UNKNOWN: Final = "8fceb45b-0241-4d04-9f3f-334679586370"
_WAYS: Final = ["POST /cancel", "DELETE /cancel", "DELETE /tasks"]


def _cancel(api: Api, way: str, task_id: str) -> Answer:
    method, path = way.split()
    if path == "/tasks":
        return api.send(method, f"/tasks/{task_id}")
    return api.send(method, path, body={"id": task_id})


@pytest.mark.slow
@pytest.mark.parametrize("way", _WAYS)
def test_cancel_before_the_due_time_keeps_the_message_in(api: Api, log: EventLog, way: str) -> None:
    """Cancelling again is the same answer, before the due time and after it."""
    task = api.schedule({"in": 2, "message": "never"})
    expected = {"id": task.id, "message": f"Cancelled task {task.id}"}
    assert [_cancel(api, way, task.id).body for _ in range(2)] == [expected] * 2
    log.pass_by(task.due_ms)
    assert not log.of(task.id)
    assert _cancel(api, way, task.id).body == expected
    assert api.task(task.id)["status"] == "cancelled"


@pytest.mark.parametrize("way", _WAYS)
def test_cancel_answers_409_when_already_emitted(api: Api, log: EventLog, way: str) -> None:
    task = api.schedule({"timestamp": PAST, "message": "too late"})
    [envelope] = log.wait_for([task])
    for _ in range(2):
        answer = _cancel(api, way, task.id)
        assert answer.status == 409
        assert f"already emitted at {iso(envelope['metadata']['ts'])}" in answer.errors[0]
    assert api.task(task.id)["status"] == "emitted"


@pytest.mark.parametrize("way", _WAYS)
def test_cancel_answers_404_when_there_is_no_such_task(api: Api, way: str) -> None:
    assert _cancel(api, way, _UNKNOWN).status == 404
    assert _cancel(api, way, "nonsense").status == 404
    assert _cancel(api, way, _UNKNOWN.upper()).status == 404
    if way != "DELETE /tasks":
        for task_id in ("", " ", "\x00", "😀", "../schedule", "x" * 5_000, "*", "%"):
            assert _cancel(api, way, task_id).status == 404, task_id


def test_many_cancels_of_one_task_agree(api: Api) -> None:
    task = api.schedule({"in": "1h", "message": "never"})
    assert {answer.status for answer in together(api.cancel, [task.id] * 8)} == {200}


@pytest.mark.slow
def test_cancels_racing_the_due_instant_tell_the_truth(api: Api, log: EventLog) -> None:
    """Each answer agrees with what was emitted: not the message of a 200, exactly once that of a 409."""
    # A request to the emulator takes so long that fewer of them fill the time around the instant.
    count, spread_ms, ahead_ms = (200, 600, 1_500) if api.deployment.kind == "local" else (30, 1_500, 4_000)
    choose = random.Random(7)  # noqa: S311 - spreads the cancels, nothing secret
    base_ms = now_ms() + ahead_ms
    dues = [base_ms + choose.randrange(300) for _ in range(count)]
    tasks = together(lambda due_ms: api.schedule({"timestamp": iso(due_ms), "message": "a race"}), dues)

    def cancel(task: Accepted) -> Answer:
        time.sleep(max(0, task.due_ms + choose.randint(-spread_ms, spread_ms) - now_ms()) / 1000)
        return api.cancel(task.id)

    answers = together(cancel, tasks, at_once=count)
    assert {answer.status for answer in answers} <= {200, 409}
    log.wait_for(task for task, answer in zip(tasks, answers, strict=True) if answer.status == 409)
    log.pass_by(max(dues))
    shown = together(lambda task: api.task(task.id)["status"], tasks)
    for task, answer, status in zip(tasks, answers, shown, strict=True):
        assert len(log.of(task.id)) == (answer.status == 409)
        assert status == ("emitted" if answer.status == 409 else "cancelled")
