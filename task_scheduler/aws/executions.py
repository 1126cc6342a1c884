"""The state machine's executions: one waits for each task and then publishes its event."""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from task_scheduler import timestamps
from task_scheduler.aws.errors import code, is_transient, translates
from task_scheduler.aws.schema import ATTRIBUTES, EVENT, PUBLISH_MESSAGE, WAIT_UNTIL
from task_scheduler.engine import UnavailableError
from task_scheduler.task import Task, encode

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_INERT_MS: Final = 60_000  # how far ahead an execution waits that is started only to be stopped
_ABORTED: Final = "ExecutionAborted"
_ENDS: Final = {"ExecutionSucceeded", "ExecutionFailed", _ABORTED, "ExecutionTimedOut"}
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.2

_translated: Final = translates("The timer of the task")


class ExecutionOutcome(Enum):
    """What has become of a task's timer."""

    RUNNING = auto()
    PUBLISHED = auto()
    FAILED = auto()
    """It failed or timed out: it will publish nothing, though it may have."""
    ABORTED = auto()
    """It was stopped, by a request or by hand, and will publish nothing, though it may have."""
    MISSING = auto()
    """It was never started, or Step Functions does not know it yet: its name may be free, or about to be used."""


_OUTCOMES: Final = {
    "RUNNING": ExecutionOutcome.RUNNING,
    "PENDING_REDRIVE": ExecutionOutcome.RUNNING,
    "SUCCEEDED": ExecutionOutcome.PUBLISHED,
    "ABORTED": ExecutionOutcome.ABORTED,
}


class Stop(Enum):
    """What came of the attempt to stop a timer."""

    STOPPED = auto()
    """It has not published and never will."""
    TOO_LATE = auto()
    """It has published or may do so; it was left alone."""
    INTERRUPTED = auto()
    """It was aborted in the publish: the message may be out, and will not go out by this timer if it is not."""


def wait_until_ms(task: Task) -> int:
    """Return the end of the wait: the first whole second not before the task is due.

    Step Functions drops the milliseconds of a timestamp (AWS, Wait state), which would wake it up early.
    """
    return timestamps.round_up_to_second(task.due_ms)


class ExecutionTimer:
    """Starts, stops and looks at executions; each is named after its task and revision, and so runs once.

    Calls raise ServiceError.
    """

    def __init__(
        self, client: "SFNClient", state_machine_arn: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._machine = state_machine_arn
        self._executions = state_machine_arn.replace(":stateMachine:", ":execution:")
        self._sleep = sleep

    @_translated
    def start(self, task: Task, *, not_before_ms: int = 0) -> None:
        """Start the timer of this revision. A repeated start does nothing: a name is good for one execution."""
        given = {
            WAIT_UNTIL: _second(max(wait_until_ms(task), not_before_ms)),
            EVENT: task.payload,
            ATTRIBUTES: {name: {"DataType": "String", "StringValue": value} for name, value in task.tags.items()},
        }
        try:
            self._client.start_execution(stateMachineArn=self._machine, name=_name(task), input=encode(given))
        except ClientError as error:
            if code(error) != "ExecutionAlreadyExists":
                raise

    @_translated
    def stop(self, task: Task, *, now_ms: int) -> Stop:
        """Stop the timer of this revision for good, unless it has entered the publish.

        If there is no execution yet, one that waits longer is started and stopped in its place: the name is then used
        up, and a start that comes late (its caller was slow, or its response was lost) is rejected.
        """
        # Once the wait is over, the publish may have been entered; it must not be interrupted.
        if now_ms >= wait_until_ms(task):
            history = self._history(task)
            if history.entered:
                return Stop.TOO_LATE
            if history.end is not None:
                return Stop.STOPPED
        stopped_ms = self._abort(task, inert_until_ms=timestamps.round_up_to_second(now_ms + _INERT_MS))
        # Up to a second before the end of the wait the publish cannot have been entered: both times are the service's
        # own clock.
        if stopped_ms is not None and stopped_ms <= wait_until_ms(task) - 1000:
            return Stop.STOPPED
        history = self._ended_history(task)
        if not history.entered:
            return Stop.STOPPED
        return Stop.INTERRUPTED if history.end == _ABORTED else Stop.TOO_LATE

    @_translated
    def outcome(self, task: Task) -> tuple[ExecutionOutcome, int | None]:
        """Return what has become of the timer of this revision, and when it ended, in ms."""
        try:
            execution = self._client.describe_execution(executionArn=self._arn(task))
        except ClientError as error:
            if code(error) != "ExecutionDoesNotExist":
                raise
            return ExecutionOutcome.MISSING, None
        stopped = execution.get("stopDate")
        outcome = _OUTCOMES.get(execution["status"], ExecutionOutcome.FAILED)
        return outcome, None if stopped is None else int(stopped.timestamp() * 1000)

    @_translated
    def has_entered(self, task: Task) -> bool:
        """Tell whether a timer that has ended had entered the publish: then the message may be out.

        A history that has no end yet rules nothing out.
        """
        try:
            return self._ended_history(task).entered
        except UnavailableError:
            return True

    def _abort(self, task: Task, *, inert_until_ms: int) -> int | None:
        """Abort the execution; return when it was stopped, in ms, None if it may have ended before."""
        for attempt in range(_ATTEMPTS):
            try:
                stopped = self._client.stop_execution(executionArn=self._arn(task), cause="The task was taken back.")
            except ClientError as error:
                if code(error) == "ExecutionDoesNotExist":
                    if attempt:  # it was started, and is not known yet
                        self._sleep(_PAUSE_S)
                    self.start(task, not_before_ms=inert_until_ms)
                    continue
                if is_transient(error):
                    raise
                return None  # it has ended, or else its history will have no end
            return int(stopped["stopDate"].timestamp() * 1000)
        raise _unstoppable()

    def _ended_history(self, task: Task) -> "_History":
        """Return the history as soon as it has the end of the execution.

        Events arrive in their order: an end that is there rules out that an entry is still to come.
        """
        for _ in range(_ATTEMPTS):
            history = self._history(task)
            if history.end is not None:
                return history
            self._sleep(_PAUSE_S)
        raise _unstoppable()

    def _history(self, task: Task) -> "_History":
        """Return what the history says by now: nothing of an execution that does not exist or is not known yet."""
        entered, end = False, None
        try:
            for event in self._history_events(task):
                entered = entered or event.get("stateEnteredEventDetails", {}).get("name") == PUBLISH_MESSAGE
                if event["type"] in _ENDS:
                    end = event["type"]
        except ClientError as error:
            if code(error) != "ExecutionDoesNotExist":
                raise
        return _History(entered, end)

    def _history_events(self, task: Task) -> Iterator[Mapping[str, Any]]:
        """Yield the history, page by page: a page may have fewer events than asked for (AWS, GetExecutionHistory)."""
        more: dict[str, Any] = {}
        while True:
            page = self._client.get_execution_history(
                executionArn=self._arn(task), maxResults=1000, includeExecutionData=False, **more
            )
            yield from page["events"]
            if not page.get("nextToken"):
                return
            more = {"nextToken": page["nextToken"]}

    def _arn(self, task: Task) -> str:
        return f"{self._executions}:{_name(task)}"


class _History(NamedTuple):
    """What the history of an execution says."""

    entered: bool
    """Whether the publish was entered."""
    end: str | None
    """The type of the event that ended it, None if it has not ended."""


def _unstoppable() -> UnavailableError:
    return UnavailableError("The timer of the task could not be stopped for certain; please try again.")


def _name(task: Task) -> str:
    return f"{task.id}-{task.revision}"


def _second(ms: int) -> str:
    """Return a whole second as RFC 3339 with the upper-case T and Z that Step Functions wants."""
    return timestamps.format(ms).replace(".000Z", "Z")
