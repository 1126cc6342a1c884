"""Step Functions and the topic in memory: the two states of the project, each of the service's own steps one by itself.

An execution waits, leaves the wait, enters the publish, publishes, and succeeds. What AWS leaves open is an option:
when DescribeExecution learns of something ("this operation is eventually consistent"), what StopExecution answers for
an execution that has ended, how many events a page of the history has. An execution that is aborted while its publish
is under way may still publish. A name is never free again.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from task_scheduler import timestamps
from task_scheduler.aws import schema
from tests.support.memory_dynamodb import refused

MACHINE: Final = "arn:aws:states:eu-west-1:123456789012:stateMachine:timer"
_EXECUTION: Final = MACHINE.replace(":stateMachine:", ":execution:") + ":"
_MAX_INPUT: Final = 262_144  # bytes (AWS, Step Functions quotas)


class Phase(StrEnum):
    """How far an execution has come."""

    WAITING = "waiting"
    WAITED = "waited"
    ENTERED = "entered"
    PUBLISHED = "published"


class Topic(StrEnum):
    """What becomes of a publish."""

    WORKS = "works"
    REFUSES = "refuses"
    ANSWERS_LATE = "answers late"
    """The message goes out, but the execution does not learn so, and fails."""


class StopOfEnded(StrEnum):
    """What StopExecution answers for an execution that has ended: AWS does not document it."""

    OLD_DATE = "200 with the date of the end"
    ERROR = "an error"


@dataclass
class Execution:
    """One execution: its message is published once at most."""

    name: str
    input: str
    started_ms: int
    status: str = "RUNNING"
    phase: Phase = Phase.WAITING
    stopped_ms: int | None = None
    known: tuple[str, int | None] | None = None
    """Status and end as DescribeExecution knows them."""
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def task_id(self) -> str:
        return self.name.rpartition("-")[0]

    @cached_property
    def wait_ms(self) -> int:
        """Return when the wait ends: Step Functions drops the milliseconds."""
        until = json.loads(self.input)[schema.WAIT_UNTIL]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until), f"not a timestamp for a Wait state: {until}"
        return timestamps.parse(until)

    @cached_property
    def message(self) -> str:
        text: str = json.loads(self.input)[schema.EVENT]
        return text

    def add(self, kind: str, **details: object) -> None:
        self.history.append({"id": len(self.history) + 1, "type": kind, **details})


@dataclass(frozen=True)
class Message:
    """What went out on the topic."""

    execution: str
    task_id: str
    text: str
    at_ms: int


class MemoryStepFunctions:
    """The calls of a Step Functions client, and the steps that the service takes by itself."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        describe_lags: bool = False,
        stop_of_ended: StopOfEnded = StopOfEnded.OLD_DATE,
        history_page: int = 1_000,
    ) -> None:
        self.executions: dict[str, Execution] = {}
        self.published: list[Message] = []
        self.topic = Topic.WORKS
        self.most_open = 1_000_000
        self.overlaps: list[str] = []
        """Executions that were started while another one of their task was running."""
        self._now_ms = now_ms
        self._describe_lags = describe_lags
        self._stop_of_ended = stop_of_ended
        self._history_page = history_page

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002, N803 - as in boto3
        """Start an execution; the same name and input while it runs start nothing."""
        if stateMachineArn != MACHINE:
            raise refused("StateMachineDoesNotExist")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
            raise refused("InvalidName")
        if len(input.encode()) > _MAX_INPUT:
            raise refused("InvalidExecutionInput")
        existing = self.executions.get(name)
        if existing is None:
            self._start(name, input)
        elif existing.status != "RUNNING" or existing.input != input:
            raise refused("ExecutionAlreadyExists")
        return {"executionArn": _EXECUTION + name, "startDate": _date(self.executions[name].started_ms)}

    def stop_execution(self, *, executionArn: str, cause: str) -> dict[str, Any]:  # noqa: N803 - as in boto3
        """Abort an execution that runs."""
        del cause
        execution = self._find(executionArn)
        if execution.status == "RUNNING":
            self._end(execution, "ABORTED")
        elif self._stop_of_ended is StopOfEnded.ERROR:
            raise refused("ValidationException")
        assert execution.stopped_ms is not None
        return {"stopDate": _date(execution.stopped_ms)}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - as in boto3
        """Return the status of an execution as far as it is known."""
        execution = self._find(executionArn)
        if execution.known is None:
            raise refused("ExecutionDoesNotExist")
        status, stopped_ms = execution.known
        return {"status": status} | ({} if stopped_ms is None else {"stopDate": _date(stopped_ms)})

    def get_execution_history(  # as in boto3
        self,
        *,
        executionArn: str,  # noqa: N803
        maxResults: int,  # noqa: N803
        includeExecutionData: bool,  # noqa: N803
        nextToken: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Return a page of the history, which may have fewer events than asked for."""
        assert not includeExecutionData, "it would bring the event once for each attempt to publish it"
        events = self._find(executionArn).history
        if not 0 <= maxResults <= 1_000:
            raise refused("ValidationException")
        start = 0
        if nextToken is not None:
            arn, _, number = nextToken.rpartition(" ")
            if arn != executionArn:
                raise refused("InvalidToken")
            start = int(number)
        end = start + min(maxResults or 100, self._history_page)
        more = {"nextToken": f"{executionArn} {end}"} if end < len(events) else {}
        return {"events": events[start:end], **more}

    def steps(self) -> list[str]:
        """Return what the service can do by itself now."""
        return [f"{step} {name}" for name, execution in self.executions.items() for step in self._steps(execution)]

    def late_steps(self) -> list[str]:
        """Return those steps that may also never be taken: publishes of executions that were aborted meanwhile."""
        return [step for step in self.steps() if step.startswith("publish late ")]

    def take(self, step: str) -> None:
        """Take one of the steps."""
        verb, _, name = step.rpartition(" ")
        execution = self.executions[name]
        match verb:
            case "describe learns of":
                execution.known = (execution.status, execution.stopped_ms)
            case "wait ends":
                execution.phase = Phase.WAITED
                execution.add("WaitStateExited", stateExitedEventDetails={"name": schema.WAIT_UNTIL_DUE})
            case "enter publish":
                execution.phase = Phase.ENTERED
                execution.add("TaskStateEntered", stateEnteredEventDetails={"name": schema.PUBLISH_MESSAGE})
                execution.add("TaskScheduled")
            case "publish" | "publish late":
                self._publish(execution)
            case "succeed":
                execution.add("TaskSucceeded")
                self._end(execution, "SUCCEEDED")
            case "fail":
                execution.add("TaskFailed")
                self._end(execution, "FAILED")

    def run(self) -> None:
        """Take steps until none is left, but for publishes of executions that were aborted."""
        while steps := [step for step in self.steps() if step not in self.late_steps()]:
            for step in steps:
                self.take(step)

    def lose(self) -> None:
        """End all that run, as AWS does after a year."""
        for execution in self.executions.values():
            if execution.status == "RUNNING":
                self._end(execution, "TIMED_OUT")
                execution.known = (execution.status, execution.stopped_ms)

    def is_idle(self) -> bool:
        """Tell whether no execution runs."""
        return all(execution.status != "RUNNING" for execution in self.executions.values())

    def state(self) -> Hashable:
        """Return all that later calls depend on."""
        executions = frozenset(
            (one.name, one.input, one.status, one.phase, one.stopped_ms, one.known, len(one.history))
            for one in self.executions.values()
        )
        return (executions, tuple(self.published), tuple(self.overlaps), self.topic)

    def _start(self, name: str, given: str) -> None:
        running = [one for one in self.executions.values() if one.status == "RUNNING"]
        if len(running) >= self.most_open:
            raise refused("ExecutionLimitExceeded")
        execution = Execution(name, given, self._now_ms())
        if not self._describe_lags:
            execution.known = ("RUNNING", None)
        self.overlaps += [name for one in running if one.task_id == execution.task_id]
        execution.add("ExecutionStarted")
        execution.add("WaitStateEntered", stateEnteredEventDetails={"name": schema.WAIT_UNTIL_DUE})
        assert execution.wait_ms > 0
        self.executions[name] = execution

    def _steps(self, execution: Execution) -> Iterator[str]:
        if execution.known != (execution.status, execution.stopped_ms):
            yield "describe learns of"
        if execution.status != "RUNNING":
            if execution.status == "ABORTED" and execution.phase is Phase.ENTERED and self.topic is not Topic.REFUSES:
                yield "publish late"
            return
        match execution.phase:
            case Phase.WAITING if execution.wait_ms <= self._now_ms():
                yield "wait ends"
            case Phase.WAITED:
                yield "enter publish"
            case Phase.ENTERED:
                yield "fail" if self.topic is Topic.REFUSES else "publish"
            case Phase.PUBLISHED:
                yield "fail" if self.topic is Topic.ANSWERS_LATE else "succeed"

    def _publish(self, execution: Execution) -> None:
        execution.phase = Phase.PUBLISHED
        self.published.append(Message(execution.name, execution.task_id, execution.message, self._now_ms()))

    def _end(self, execution: Execution, status: str) -> None:
        execution.status = status
        execution.stopped_ms = self._now_ms()
        if not self._describe_lags:
            execution.known = (status, execution.stopped_ms)
        execution.add({"TIMED_OUT": "ExecutionTimedOut"}.get(status, f"Execution{status.capitalize()}"))

    def _find(self, arn: str) -> Execution:
        if not arn.startswith(_EXECUTION):
            raise refused("InvalidArn")
        execution = self.executions.get(arn.removeprefix(_EXECUTION))
        if execution is None:
            raise refused("ExecutionDoesNotExist")
        return execution


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
