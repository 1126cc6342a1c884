"""What is wrong with a service, in words: each ill on a service that has it."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from task_scheduler.cli.display import iso
from task_scheduler.cli.doctor import Finding, examine
from task_scheduler.client import Client
from tests.unit.fake_service import Stream, answer, position, refusal, shown

LOST = "5f0c4f2e-6a0b-4a55-9d0e-6c1d3f6f3c11"


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
    due: datetime = field(default_factory=lambda: datetime.now(UTC))
    lost: bool = False

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
            "/schedule": lambda: self._schedule(json.loads(request.content)["in"]),
            "/cancel": lambda: answer({"id": LOST, "message": "Cancelled"}),
            "/events": lambda: answer(
                {"events": self._events() if "after" in request.url.params else [], "position": 0}
            ),
        }
        return found.get(path, self._task)()

    def _schedule(self, ahead: float) -> httpx.Response:
        self.due = datetime.now(UTC) + self.skew + timedelta(seconds=float(ahead))
        self.lost = ahead > 60
        return answer({"id": LOST, "message": "Scheduled", "timestamp": iso(self.due)})

    def _task(self) -> httpx.Response:
        return answer(shown(id=LOST, status=self.cancelled if self.lost else "emitted", timestamp=iso(self.due)))

    def _events(self) -> list[dict[str, object]]:
        ms = int((self.due - self.early).timestamp() * 1000) + 1
        event = {"id": LOST, "timestamp": iso(self.due), "message": "test"}
        return [
            {"id": str(n), "indexed_at_ms": ms, "event": event, "metadata": {"id": LOST, "summary": "", "ts": ms}}
            for n in range(1, self.times + 1)
            if self.emits
        ]

    def _frames(self) -> list[bytes]:
        return [position(0), *(b"id: 1\ndata: %s\n\n" % json.dumps(event).encode() for event in self._events()[:1])]


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
        (Patient(streams=False), "A message is in the log of events, but the stream has not brought it within"),
        (Patient(early=timedelta(seconds=1)), "ms too early."),
        (Patient(times=2), "It is in the log 2 times, and the task is emitted."),
        (Patient(refuses={"/tasks": refusal(401, "The secret is missing.")}), "Set TASK_SCHEDULER_SECRET"),
        (Patient(refuses={"/schedule": refusal(503, "The table did not answer.")}), "The table did not answer."),
        (Patient(refuses={"/health": refusal(503, "The disk is full.")}), "answers: The disk is full."),
        (Patient(refuses={"/health": httpx.Response(200, text="<html>")}), "does not answer like Task Scheduler"),
    ],
    ids=[
        "ahead",
        "behind",
        "cancel",
        "emit",
        "stream",
        "early",
        "twice",
        "secret",
        "unavailable",
        "failing",
        "another",
    ],
)
def test_each_ill_is_named(patient: Patient, wrong: str) -> None:
    found = [finding.says for finding in findings(patient) if not finding.ok]
    assert [wrong in says for says in found] == [True]
