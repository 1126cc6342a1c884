"""What each role is for, tried out one by one: every operation tells whether it works."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import httpx

from task_scheduler.aws.event_log import SEAL_AFTER_MS
from task_scheduler.aws.task_store import StoredState
from task_scheduler.task import Task
from tests.infrastructure.inventory import BEHIND_S
from tests.infrastructure.laboratory import HOUR_MS, MINUTE_MS, NO_TAGS, Laboratory
from tests.infrastructure.permissions import API, RECORDER, STREAM, SWEEPER, TIMER
from tests.support.clock import eventually, now_ms

FAR_MS: Final = 500 * 24 * HOUR_MS  # beyond the arming window: parked, without a timer
TAGS: Final = {"user": "42"}


def schedule(laboratory: Laboratory, *, tags: Mapping[str, str] = NO_TAGS, key: str | None = None) -> str | None:
    """Return the id of a task that was accepted."""
    body = {"in": "1h", "message": "hello", "tags": tags}
    answer = laboratory.http.post("schedule", json=body, headers={"idempotency-key": key} if key else {})
    return str(answer.json()["id"]) if answer.is_success else None


def starts_the_timer(laboratory: Laboratory) -> bool:
    task_id = schedule(laboratory)
    record = laboratory.task_store.get(task_id) if task_id else None
    return record is not None and laboratory.execution(record.task) == "RUNNING"


def repeats(laboratory: Laboratory) -> bool:
    key = str(uuid4())
    first, second = (schedule(laboratory, key=key) for _ in range(2))
    return first == second is not None


def shows(laboratory: Laboratory) -> bool:
    return laboratory.http.get(f"tasks/{laboratory.task().id}").is_success


def lists(laboratory: Laboratory) -> bool:
    laboratory.task()
    time.sleep(BEHIND_S)
    answer = laboratory.http.get("tasks?status=scheduled&limit=1")
    return answer.is_success and len(answer.json()["tasks"]) == 1


def cancels(laboratory: Laboratory, task: Task) -> bool:
    answer = laboratory.http.post("cancel", json={"id": task.id})
    return answer.is_success and laboratory.state(task) is StoredState.CANCELLED


def refuses_to_cancel(laboratory: Laboratory) -> bool:
    task = laboratory.published(in_ms=0)
    return laboratory.http.post("cancel", json={"id": task.id}).status_code == httpx.codes.CONFLICT


def reschedules(laboratory: Laboratory, *, tags: Mapping[str, str] = NO_TAGS) -> Task | None:
    """Return a task that was given another time."""
    task = laboratory.waiting(tags=tags)
    answer = laboratory.http.patch(f"tasks/{task.id}", json={"in": "2h"})
    return task if answer.is_success and laboratory.record(task).task.revision == 2 else None


def starts_the_next_timer(laboratory: Laboratory) -> bool:
    task = reschedules(laboratory)
    return task is not None and laboratory.execution(task, revision=2) == "RUNNING"


def reads_events(laboratory: Laboratory, query: str) -> bool:
    answer = laboratory.http.get(f"events?{query}")
    return answer.is_success and len(answer.json()["events"]) > 0


def follows(laboratory: Laboratory) -> bool:
    answer = laboratory.http.get("events", headers={"accept": "text/event-stream", "last-event-id": "0"})
    return answer.is_success and "\ndata: " in answer.text


def skips(laboratory: Laboratory) -> bool:
    """Reserve a number that is never used, and read what follows it."""
    number = laboratory.log.reserve_sequence(1)
    try:
        assert records(laboratory)
        time.sleep(SEAL_AFTER_MS / 1000 + 0.5)
        return reads_events(laboratory, f"after={number - 1}")
    finally:
        laboratory.log.seal(number)  # so that the other operations do not meet it


def records(laboratory: Laboratory, *, size: int = 0) -> bool:
    task = laboratory.task(in_ms=0, size=size)
    return hands_over(laboratory, task) and laboratory.state(task) is StoredState.EMITTED


def passes_over(laboratory: Laboratory) -> bool:
    task = laboratory.task(in_ms=0)
    assert laboratory.task_store.transition(laboratory.record(task), StoredState.EMITTED, now_ms=now_ms())
    position = laboratory.log.position()
    return hands_over(laboratory, task) and laboratory.log.position() == position


def hands_over(laboratory: Laboratory, task: Task) -> bool:
    """Hand a message to the recorder, as Lambda does; tell whether it is done with it."""
    message: dict[str, Any] = {"messageId": "1", "body": task.payload, "attributes": {"SentTimestamp": str(now_ms())}}
    return bool(laboratory.invoke("Recorder/", {"Records": [message]}) == {"batchItemFailures": []})


def sweeps(laboratory: Laboratory) -> dict[str, bool]:
    """Sweep once; tell what of all that a sweep does was done."""
    parked = laboratory.task(StoredState.PARKED)
    missing = laboratory.task(in_ms=-2 * MINUTE_MS)
    dead = laboratory.aborted(laboratory.task(in_ms=-2 * MINUTE_MS))
    published = laboratory.published(in_ms=-2 * MINUTE_MS)
    hopeless = laboratory.given_up()
    time.sleep(BEHIND_S)
    laboratory.invoke("Sweeper/")
    return {
        "arm": laboratory.execution(parked) == "RUNNING",
        "start what is missing": laboratory.execution(missing) is not None,
        "rearm": laboratory.execution(dead, revision=2) is not None,
        "record for the recorder": laboratory.state(published) is StoredState.EMITTED,
        "give up": laboratory.state(hopeless) is StoredState.FAILED,
    }


def publishes(laboratory: Laboratory) -> bool:
    client = laboratory.client("stepfunctions")
    arn = laboratory.publish(f"laboratory-{uuid4()}")

    def outcome() -> str | None:
        history = client.get_execution_history(executionArn=arn)["events"]
        return next((one["type"] for one in history if one["type"] in {"TaskSucceeded", "TaskFailed"}), None)

    published = eventually(outcome, within=30) == "TaskSucceeded"
    if not published:
        client.stop_execution(executionArn=arn)  # it would try again for hours
    return published


_API: Final[Mapping[str, Callable[[Laboratory], object]]] = {
    "schedule": schedule,
    "schedule with tags": lambda laboratory: schedule(laboratory, tags=TAGS),
    "start the timer": starts_the_timer,
    "repeat a request": repeats,
    "show": shows,
    "list": lists,
    "cancel": lambda laboratory: cancels(laboratory, laboratory.waiting()),
    "cancel before the timer has started": lambda laboratory: cancels(laboratory, laboratory.task()),
    "cancel what is parked": lambda laboratory: cancels(laboratory, laboratory.task(StoredState.PARKED, in_ms=FAR_MS)),
    "cancel at the last moment": lambda laboratory: cancels(laboratory, laboratory.ended()),
    "refuse to cancel what is published": refuses_to_cancel,
    "reschedule": reschedules,
    "reschedule with tags": lambda laboratory: reschedules(laboratory, tags=TAGS),
    "start the next timer": starts_the_next_timer,
    "read the contract": lambda laboratory: laboratory.http.get("openapi.json").is_success,
}
_STREAM: Final[Mapping[str, Callable[[Laboratory], object]]] = {
    "read the next events": lambda laboratory: reads_events(laboratory, "after=0"),
    "read the last events": lambda laboratory: reads_events(laboratory, "before=1000"),
    "follow the stream": follows,
    "skip a number that is never used": skips,
}
_RECORDER: Final[Mapping[str, Callable[[Laboratory], object]]] = {
    "record": records,
    "pass over what is recorded": passes_over,
}


def _each(operations: Mapping[str, Callable[[Laboratory], object]]) -> Callable[[Laboratory], dict[str, bool]]:
    return lambda laboratory: {name: bool(operation(laboratory)) for name, operation in operations.items()}


OPERATIONS: Final[Mapping[str, Callable[[Laboratory], dict[str, bool]]]] = {
    API: _each(_API),
    STREAM: _each(_STREAM),
    RECORDER: _each(_RECORDER),
    SWEEPER: sweeps,
    TIMER: _each({"publish": publishes}),
}
"""By role: all that it is for."""
