"""A run under way: the deployment, what is used to ask it, and what it has promised so far."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import httpx

from task_scheduler.client import Client
from tests.acceptance.cloud import Cloud
from tests.acceptance.observer import Observer
from tests.acceptance.removal import Removal
from tests.acceptance.report import Finding, Outcome, Redaction, Verdict
from tests.acceptance.stack import Deployed, Stack
from tests.support.api import SECRET_HEADER
from tests.support.clock import iso, milliseconds, now_ms

_TIMEOUT_S: Final = 40
_BUSY: Final = frozenset({429, 503})
_BUSY_TRIES: Final = 20
_BUSY_PAUSE_S: Final = 0.3
_LOOKS: Final = 5
_PROBE_S: Final = 3600


@dataclass(frozen=True)
class Scale:
    """How much is asked, and how long the run waits; the defaults are those of AWS."""

    silence_s: float = 900
    listeners: int = 5
    """At once: each has a Lambda environment of its own."""
    cancels: int = 5
    """At each distance from the time at which a task is due."""
    late_tasks: int = 200
    spread_s: float = 60
    prompt_s: float = 5
    """A publish later than that has been delayed."""
    settle_s: float = 20
    """After which a message that was to be published has been."""
    mended_s: float = 200
    """Longer than it takes the sweeper to find a task whose timer is gone, and to start it again."""
    recovery_s: float = 120
    """After which a change to a function is in effect."""
    suite_s: float = 2_700


EMULATED: Final = Scale(silence_s=5, listeners=2, cancels=2, settle_s=5, prompt_s=10, recovery_s=30)
"""Each request of several at once starts a process, and there are few processors."""


@dataclass(frozen=True)
class Accepted:
    """A task that was accepted."""

    id: str
    due_ms: int
    """By the service's clock."""


@dataclass
class Run:
    """What a question may use."""

    cloud: Cloud
    stack: Stack
    deployed: Deployed
    observer: Observer
    removal: Removal
    redact: Redaction
    scale: Scale
    qualifier: str
    """Of the bootstrap that the run makes."""
    folder: Path
    log: Path
    """For what the conformance suite writes."""
    cancelled: set[str] = field(default_factory=set)
    """Tasks whose cancellation was confirmed."""
    late: set[str] = field(default_factory=set)
    """Tasks that were too late to cancel."""
    http: httpx.Client = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        """Open the connections."""
        headers = {SECRET_HEADER: self.deployed.secret}
        self.http = httpx.Client(base_url=self.deployed.url, headers=headers, timeout=_TIMEOUT_S)
        self.client = Client(self.deployed.url, self.deployed.secret)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.client.close()

    def schedule(self, seconds: float, **fields: object) -> Accepted:
        """Schedule a task that must be accepted."""
        return self._schedule({"in": seconds, "message": "acceptance", **fields})

    def schedule_on_a_second(self, seconds: float) -> Accepted:
        """Schedule a task for the first whole second by the service's clock that is so far ahead.

        Waits end on whole seconds, so this is exactly when it is published.
        """
        due_ms = -(-(now_ms() + self.ahead_ms + round(seconds * 1000)) // 1000) * 1000
        return self._schedule({"timestamp": iso(due_ms), "message": "acceptance"})

    @cached_property
    def ahead_ms(self) -> int:
        """By how much the service's clock is ahead of this machine's: the closest of a few looks."""
        looks = []
        for _ in range(_LOOKS):
            before = now_ms()
            task = self.schedule(_PROBE_S)
            after = now_ms()
            looks.append((after - before, task.due_ms - _PROBE_S * 1000 - (before + after) // 2))
            self.cancel(task.id)
        return min(looks)[1]

    def _schedule(self, fields: Mapping[str, object]) -> Accepted:
        body = self.send("POST", "schedule", fields).raise_for_status().json()
        return Accepted(body["id"], milliseconds(body["timestamp"]))

    def cancel(self, task_id: str) -> int:
        """Try to cancel a task; returns the status, and notes what it promises."""
        status = self.send("POST", "cancel", {"id": task_id}).status_code
        if status == httpx.codes.OK:
            self.cancelled.add(task_id)
        elif status == httpx.codes.CONFLICT:
            self.late.add(task_id)
        return status

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request; one that is to come again comes again, a few times."""
        for _ in range(_BUSY_TRIES):
            response = self.http.request(method, path, json=body)
            if response.status_code not in _BUSY:
                break
            time.sleep(_BUSY_PAUSE_S)
        return response


@dataclass(frozen=True)
class Question:
    """Something to find out."""

    name: str
    sentence: str
    ask: Callable[[Run], Outcome]


def ask_all(run: Run, questions: Sequence[Question], found: list[Finding], told: Callable[[Finding], object]) -> None:
    """Ask one after the other; an error is a FAIL and the next one is asked, an interruption ends it."""
    for question in questions:
        begin = time.monotonic()
        try:
            outcome = question.ask(run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are asked, and all is removed
            outcome = Outcome(Verdict.FAIL, f"{type(error).__name__}: {error}")
        found.append(Finding(question.name, question.sentence, outcome, time.monotonic() - begin))
        told(found[-1])


def not_asked(questions: Sequence[Question], found: Sequence[Finding], why: str) -> list[Finding]:
    """Return the questions that were not asked, as failed: a run that was cut short has not passed."""
    asked = {finding.name for finding in found}
    outcome = Outcome(Verdict.FAIL, f"It was not asked: {why}.")
    return [Finding(one.name, one.sentence, outcome, 0) for one in questions if one.name not in asked]


def at_once(call: Callable[[int], httpx.Response], count: int) -> list[int]:
    """Make so many requests at once; returns their statuses."""
    with ThreadPoolExecutor(count) as threads:
        return [response.status_code for response in threads.map(call, range(count))]
