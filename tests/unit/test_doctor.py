"""What is wrong with a service, in words: each ill on a service that has it."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from task_scheduler.cli.doctor import Finding, examine
from task_scheduler.cli.output import iso
from task_scheduler.client import Client
from tests.support.fake_service import Stream, answer, position, refusal, shown

CANCELLED = "5f0c4f2e-6a0b-4a55-9d0e-6c1d3f6f3c11"
UNTAGGED = "0a7d9a44-54a6-4d2c-8f57-3b8e3f0b5a01"
TAGGED = "9c1de1c2-0f0f-4d7d-9d5c-7b6b1c1f2e02"


@dataclass
class Patient:
    """A service that emits two seconds after it was asked, in its own time, unless it has an ill."""

    skew: timedelta = timedelta()
    early: timedelta = timedelta()
    emits: bool = True
    streams: bool = True
    cancelled: str = "cancelled"
    times: int = 1
    refuses: dict[str, httpx.Response] = field(default_factory=dict)
    loses_untagged: bool = False
    due: datetime = field(default_factory=lambda: datetime.now(UTC))
    emitted: list[str] = field(default_factory=list)
    """The ids of what is due in two seconds, in their order."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path in self.refuses:
            return self.refuses[path]
        if path == "/events" and "text/event-stream" in request.headers["accept"]:
            frames = self._frames() if self.emits and self.streams else []
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(*frames))
        found = {
            "/health": lambda: answer({"status": "ok", "version": "9.9.9"}),
            "/tasks": lambda: answer({"tasks": [], "cursor": None}),
            "/schedule": lambda: self._schedule(json.loads(request.content)),
            "/cancel": lambda: answer({"id": CANCELLED, "message": "Cancelled"}),
            "/events": lambda: answer({"events": self._page(request.url.params), "position": 0}),
        }
        return found.get(path, lambda: self._task(path.rpartition("/")[2]))()

    def _schedule(self, body: dict[str, Any]) -> httpx.Response:
        self.due = datetime.now(UTC) + self.skew + timedelta(seconds=float(body["in"]))
        task_id = CANCELLED if body["in"] > 60 else TAGGED if "tags" in body else UNTAGGED
        if task_id != CANCELLED and not (self.loses_untagged and task_id == UNTAGGED):
            self.emitted.append(task_id)
        return answer({"id": task_id, "message": "Scheduled", "timestamp": iso(self.due)})

    def _task(self, task_id: str) -> httpx.Response:
        status = self.cancelled if task_id == CANCELLED else "emitted"
        return answer(shown(id=task_id, status=status, timestamp=iso(self.due)))

    def _events(self) -> list[dict[str, object]]:
        ms = int((self.due - self.early).timestamp() * 1000) + 1
        ids = [task_id for task_id in self.emitted for _ in range(self.times) if self.emits]
        return [
            {
                "id": str(number),
                "indexed_at_ms": ms,
                "event": {"id": task_id, "timestamp": iso(self.due), "message": "test"},
                "metadata": {"id": task_id, "summary": "", "ts": ms},
            }
            for number, task_id in enumerate(ids, 1)
        ]

    def _page(self, query: httpx.QueryParams) -> list[dict[str, object]]:
        """Return a page of one event: others may have emitted so many, or so large ones."""
        if "after" not in query:
            return self._events()[-1:]
        return [event for event in self._events() if int(str(event["id"])) > int(query["after"])][:1]

    def _frames(self) -> list[bytes]:
        events = self._events()
        return [
            position(0),
            *(b"id: %d\ndata: %s\n\n" % (n, json.dumps(event).encode()) for n, event in enumerate(events, 1)),
        ]


def findings(patient: Patient) -> list[Finding]:
    with Client(
        "http://patient.test", transport=httpx.MockTransport(patient), retries=0, sleep=lambda _seconds: None
    ) as client:
        return list(examine(client, patience_s=-1.5))  # it emits at once, and is waited for half a second


def test_a_service_that_is_well_is_said_to_be() -> None:
    assert all(finding.ok for finding in findings(Patient()))


@pytest.mark.parametrize(
    ("patient", "wrong"),
    [
        (Patient(skew=timedelta(hours=3)), "Its clock is 10,800 s ahead of that of this machine."),
        (Patient(skew=timedelta(seconds=-30)), "Its clock is 30 s behind that of this machine."),
        (Patient(cancelled="scheduled"), "A cancelled task is scheduled."),
        (Patient(emits=False), "A message was not emitted within"),
        (Patient(loses_untagged=True), "A message was not emitted within"),
        (Patient(streams=False), "A message is in the log of events, but the stream has not brought it within"),
        (Patient(early=timedelta(seconds=1)), "ms too early."),
        (Patient(times=2), "It is in the log 2 times, and the task is emitted."),
        (Patient(refuses={"/tasks": refusal(401, "The secret is missing.")}), "Set TASK_SCHEDULER_SECRET"),
        (Patient(refuses={"/schedule": refusal(503, "The table did not answer.")}), "The table did not answer."),
        (Patient(refuses={"/health": refusal(503, "The disk is full.")}), "responds: The disk is full."),
        (Patient(refuses={"/health": httpx.Response(200, text="<html>")}), "does not respond like Task Scheduler"),
    ],
)
def test_each_ill_is_named(patient: Patient, wrong: str) -> None:
    found = [finding.says for finding in findings(patient) if not finding.ok]
    assert found
    assert all(wrong in says.replace("A message with tags", "A message") for says in found)
