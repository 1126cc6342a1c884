"""The state machine's executions: one waits for each task and then publishes its event."""

import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from task_scheduler import timestamp
from task_scheduler.aws.clients import code
from task_scheduler.aws.names import ATTRIBUTES, EVENT, PUBLISH_MESSAGE, WAIT_UNTIL
from task_scheduler.engine import UnavailableError
from task_scheduler.task import Task, encode

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_INERT_MS: Final = 60_000  # how far ahead an execution waits that is started only to be stopped
_ENDS: Final = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
_TRIES: Final = 5
_PAUSE_S: Final = 0.2


class Fate(Enum):
    """What has become of a task's timer."""

    RUNNING = auto()
    PUBLISHED = auto()
    DEAD = auto()
    """It was aborted, failed, timed out, or never started: it will publish nothing, though it may have."""


def wait_until_ms(task: Task) -> int:
    """Return the end of the wait: the first whole second not before the task is due.

    Step Functions drops the milliseconds of a timestamp (AWS, Wait state), which would wake it up early.
    """
    return -(-task.due_ms // 1000) * 1000


class Timer:
    """Starts, stops and looks at executions; each is named after its task and revision, and so runs once.

    Calls raise botocore's errors.
    """

    def __init__(
        self, client: "SFNClient", state_machine_arn: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._machine = state_machine_arn
        self._executions = state_machine_arn.replace(":stateMachine:", ":execution:")
        self._sleep = sleep

    def start(self, task: Task, *, not_before_ms: int = 0) -> None:
        """Start the timer of this revision. A repeated start does nothing: a name is good for one execution."""
        given = {
            WAIT_UNTIL: _second(max(wait_until_ms(task), not_before_ms)),
            EVENT: task.event,
            ATTRIBUTES: {name: {"DataType": "String", "StringValue": value} for name, value in task.tags.items()},
        }
        try:
            self._client.start_execution(stateMachineArn=self._machine, name=_name(task), input=encode(given))
        except ClientError as error:
            if code(error) != "ExecutionAlreadyExists":
                raise

    def stop(self, task: Task, *, now_ms: int) -> bool:
        """Stop the timer of this revision for good; tell whether it can be ruled out that it published.

        Where there is no execution yet, one that waits longer is started and stopped in its place: the name is then
        used up, and a start that comes late (its caller was slow, or its answer was lost) finds it taken.
        """
        for _ in range(_TRIES):
            try:
                stopped = self._client.stop_execution(executionArn=self._arn(task), cause="The task was taken back.")
            except ClientError as error:
                if code(error) != "ExecutionDoesNotExist":
                    break  # what is finished cannot be stopped; what it did is in its history
                self.start(task, not_before_ms=-(-(now_ms + _INERT_MS) // 1000) * 1000)
                continue
            # Up to a second before the end of the wait the publish cannot have been entered: both times are the
            # service's own clock.
            if stopped["stopDate"].timestamp() * 1000 <= wait_until_ms(task) - 1000:
                return True
            break
        return not self._has_published(task)

    def fate(self, task: Task) -> tuple[Fate, int | None]:
        """Return what has become of the timer of this revision, and when it ended, in ms."""
        try:
            execution = self._client.describe_execution(executionArn=self._arn(task))
        except ClientError as error:
            if code(error) != "ExecutionDoesNotExist":
                raise
            return Fate.DEAD, None
        stopped = execution.get("stopDate")
        fate = {"RUNNING": Fate.RUNNING, "PENDING_REDRIVE": Fate.RUNNING, "SUCCEEDED": Fate.PUBLISHED}.get(
            execution["status"], Fate.DEAD
        )
        return fate, None if stopped is None else int(stopped.timestamp() * 1000)

    def _has_published(self, task: Task) -> bool:
        """Read in the history of an ended execution whether the publish was entered: then the message may be out."""
        for _ in range(_TRIES):
            history = self._client.get_execution_history(executionArn=self._arn(task), maxResults=1000)["events"]
            entered = any(event.get("stateEnteredEventDetails", {}).get("name") == PUBLISH_MESSAGE for event in history)
            if entered or any(event["type"] in _ENDS for event in history):
                return entered
            self._sleep(_PAUSE_S)  # the end of the execution has not reached its history yet
        raise UnavailableError("The timer of the task could not be stopped for certain; please try again.")

    def _arn(self, task: Task) -> str:
        return f"{self._executions}:{_name(task)}"


def _name(task: Task) -> str:
    return f"{task.id}-{task.revision}"


def _second(ms: int) -> str:
    """Return a whole second as RFC 3339 with the upper-case T and Z that Step Functions wants."""
    return timestamp.format(ms).replace(".000Z", "Z")
