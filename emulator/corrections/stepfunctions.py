"""Step Functions: names and input of executions, how they wait and end, what is known of them, quotas, and SNS."""

import json
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from ministack import app  # type: ignore[import-untyped]  # it has no types
from ministack.core import iam_evaluator  # type: ignore[import-untyped]  # the same
from ministack.core.responses import (  # type: ignore[import-untyped]  # the same
    error_response_json,
    get_account_id,
    get_region,
    json_response,
)
from ministack.services import stepfunctions  # type: ignore[import-untyped]  # the same

from emulator.rules import Clock, Every, Lag, Quota, TokenBucket

Request = Mapping[str, Any]
Response = Any  # ministack's own: status, headers, body

_PUBLISH: Final = "arn:aws:states:::sns:publish"
_RUNNING: Final = "RUNNING"

_MAX_NAME: Final = 80
_FORBIDDEN_IN_NAMES: Final = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]""")
_MAX_INPUT_BYTES: Final = 262_144
_TIMESTAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_TERMINAL_EVENTS: Final = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}

QUOTAS: Final[Mapping[str, Quota]] = {
    "StartExecution": Quota(1300, 300),
    "StopExecution": Quota(1000, 200),
    "DescribeExecution": Quota(300, 15),
    "GetExecutionHistory": Quota(400, 20),
    "ListExecutions": Quota(200, 5),
    "DescribeStateMachine": Quota(200, 20),
    "DescribeStateMachineForExecution": Quota(200, 1),
    "ListStateMachines": Quota(100, 5),
    "SendTaskSuccess": Quota(3000, 500),
    "SendTaskFailure": Quota(3000, 500),
    "SendTaskHeartbeat": Quota(3000, 500),
}
"""In us-east-1, us-west-2 and eu-west-1; smaller elsewhere.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

_machine_role: Final[ContextVar[str]] = ContextVar("machine_role")


def publish_with_the_role_of_the_machine() -> None:
    """Check `sns:Publish` against the role of the state machine, and pass on message attributes.

    ministack 1.5.33 asks no state machine for its role, and reads attributes in the query protocol's form only.
    """
    execute = stepfunctions._execute_task  # noqa: SLF001 - there is no other place to take hold of
    integrations = stepfunctions._SERVICE_DISPATCH  # noqa: SLF001 - the same
    publish = integrations[_PUBLISH]

    def execute_in_role(state: object, given: object, execution: Mapping[str, Any], context: object) -> object:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"])  # noqa: SLF001 - the same
        _machine_role.set(machine["roleArn"] if machine else "")
        return execute(state, given, execution, context)

    def publish_with_attributes(resource: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as it was
        _demand("sns:Publish", given["TopicArn"])
        return publish(resource, _with_entries(given))

    stepfunctions._execute_task = execute_in_role  # noqa: SLF001 - the same
    integrations[_PUBLISH] = publish_with_attributes


def reject_invalid_starts() -> None:
    """Reject a name that is too long or has forbidden characters, and input that is too long or is no JSON.

    ministack 1.5.33 checks neither. The rules and codes are in
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html; AWS counts the input in
    bytes of UTF-8, and what it calls input that has too many is not recorded. The sentences are moto's.
    """
    start = stepfunctions._start_execution  # noqa: SLF001 - there is no other place to take hold of

    def start_valid(request: Request) -> Response:
        name, given = request.get("name"), request.get("input", "{}")
        if name is not None and not 1 <= len(name) <= _MAX_NAME:
            return _too_long("name", _MAX_NAME)
        if name is not None and _FORBIDDEN_IN_NAMES.search(name):
            return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        if len(given.encode(errors="surrogatepass")) > _MAX_INPUT_BYTES:
            return _too_long("input", _MAX_INPUT_BYTES)
        try:
            json.loads(given)
        except ValueError as error:
            return error_response_json(
                "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'", 400
            )
        return start(request)

    stepfunctions._start_execution = start_valid  # noqa: SLF001 - the same


def start_idempotently() -> None:
    """Return the running execution for its own name and input; any other use of a name is ExecutionAlreadyExists.

    Also once the execution has closed, for 90 days on AWS, here for good. ministack 1.5.33 rejects the first too.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    start = stepfunctions._start_execution  # noqa: SLF001 - the same

    def start_once(request: Request) -> Response:
        execution = _execution_named(request)
        if execution and execution["status"] == _RUNNING and execution["input"] == request.get("input", "{}"):
            return json_response({key: execution[key] for key in ("executionArn", "startDate")})
        return start(request)

    stepfunctions._start_execution = start_once  # noqa: SLF001 - the same


def wait_until_the_whole_second() -> None:
    """Let a Wait end at the whole second of its timestamp, and fail the execution if that is no RFC 3339.

    Step Functions drops the milliseconds, and wants an upper-case T and Z:
    https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html. The error is the one that LocalStack recorded
    on AWS. ministack 1.5.33 waits for the milliseconds too, and not at all for what it cannot read.
    """
    execute = stepfunctions._execute_wait  # noqa: SLF001 - the same

    def execute_valid(state: Mapping[str, Any], given: object, context: object = None) -> Any:  # noqa: ANN401 - as it was
        if "TimestampPath" in state:
            effective = stepfunctions._apply_input_path(state, given, context)  # noqa: SLF001 - the same
            whole_second(stepfunctions._resolve_path(state["TimestampPath"], effective))  # noqa: SLF001 - the same
        return execute(state, given, context)

    def sleep_until(timestamp: str) -> None:
        remaining = whole_second(timestamp) - datetime.now(UTC)
        stepfunctions._scaled_sleep(remaining.total_seconds())  # noqa: SLF001 - the same

    stepfunctions._execute_wait = execute_valid  # noqa: SLF001 - the same
    stepfunctions._sleep_until = sleep_until  # noqa: SLF001 - the same


def whole_second(timestamp: object) -> datetime:
    """Return the second at which a wait ends; raises ministack's error for a failed execution if it is no timestamp."""
    found = _TIMESTAMP.fullmatch(timestamp) if isinstance(timestamp, str) else None
    try:
        return datetime.fromisoformat("".join(found.groups() if found else ""))
    except ValueError:
        raise stepfunctions._ExecutionError(  # noqa: SLF001 - its own way to fail an execution
            "States.Runtime",
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            f"{timestamp}",
        ) from None


def stop_a_finished_execution_in_two_ways() -> None:
    """Answer StopExecution of a finished execution with its stop date, and every second time with an error.

    AWS's answer is not recorded anywhere that we know of: the reference lists a ValidationException, and users have
    seen an abort of a finished execution succeed without an effect, by a program that ignores errors
    (https://github.com/awslabs/visual-asset-management-system/issues/344). So callers have to be right with both.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    """
    stop = stepfunctions._stop_execution  # noqa: SLF001 - the same
    fails = Every(2)

    def stop_running(request: Request) -> Response:
        execution = stepfunctions._executions.get(request.get("executionArn"))  # noqa: SLF001 - the same
        if execution is None or execution["status"] == _RUNNING:
            return stop(request)
        if fails():
            return error_response_json("ValidationException", "Execution is not running", 400)
        return json_response({"stopDate": execution["stopDate"]})

    stepfunctions._stop_execution = stop_running  # noqa: SLF001 - the same


def leave_finished_executions_alone() -> None:
    """Let nothing change an execution, or be added to its history, once it has ended.

    A stop is final, byte for byte: measured in https://github.com/floci-io/floci/issues/2734. In ministack 1.5.33 the
    state that was interrupted still writes that it was exited, and may turn ABORTED into FAILED.
    """
    add, fail = stepfunctions._add_event, stepfunctions._fail_execution  # noqa: SLF001 - the same

    def add_unless_finished(execution: Mapping[str, Any], kind: str, details: object = None) -> Any:  # noqa: ANN401 - as it was
        last = execution["events"][-1]
        return last if last["type"] in _TERMINAL_EVENTS else add(execution, kind, details)

    def fail_unless_finished(execution: Mapping[str, Any], error: str, cause: str) -> None:
        if execution["status"] == _RUNNING:
            fail(execution, error, cause)

    stepfunctions._add_event = add_unless_finished  # noqa: SLF001 - the same
    stepfunctions._fail_execution = fail_unless_finished  # noqa: SLF001 - the same


def describe_executions_late(lag: Lag, clock: Clock = time.time) -> None:
    """Describe an execution as it was a moment ago: one that is new does not exist, one that just ended still runs.

    "This operation is eventually consistent. The results are best effort and may not reflect very recent updates":
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    """
    describe = stepfunctions._describe_execution  # noqa: SLF001 - the same

    def describe_late(request: Request) -> Response:
        arn = request.get("executionArn")
        execution = stepfunctions._executions.get(arn)  # noqa: SLF001 - the same
        seen = clock() - lag()
        if execution is None or _seconds(execution["startDate"]) > seen:
            return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
        response = describe(request)
        if execution["stopDate"] is None or _seconds(execution["stopDate"]) <= seen:
            return response
        ended = {"status": _RUNNING, "stopDate": None, "output": None}
        shown = {key: value for key, value in json.loads(response[2]).items() if key not in {"error", "cause"}}
        return json_response(shown | ended)

    stepfunctions._describe_execution = describe_late  # noqa: SLF001 - the same


def throttle(quotas: Mapping[str, Quota], clock: Clock = time.monotonic) -> None:
    """Reject requests beyond the quotas of an account in a region; ministack 1.5.33 knows none.

    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    handle = stepfunctions.handle_request
    buckets: dict[tuple[str, str, str], TokenBucket] = {}

    async def handle_within_quota(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: object
    ) -> Response:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in quotas:
            owner = (get_account_id(), get_region(), action)
            if not buckets.setdefault(owner, TokenBucket(quotas[action], clock)).take():
                return error_response_json("ThrottlingException", "Rate exceeded", 400)
        return await handle(method, path, headers, body, query)

    stepfunctions.handle_request = handle_within_quota


def _execution_named(request: Request) -> Mapping[str, Any] | None:
    """Return the execution that has the name of a request to start one."""
    machine = stepfunctions._resolve_state_machine_arn(request.get("stateMachineArn", ""))  # noqa: SLF001 - the same
    if machine is None or "name" not in request:
        return None
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{request['name']}"
    found: Mapping[str, Any] | None = stepfunctions._executions.get(arn)  # noqa: SLF001 - the same
    return found


def _too_long(parameter: str, limit: int) -> Response:
    return error_response_json(
        "ValidationException",
        f"1 validation error detected: Value at '{parameter}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}",
        400,
    )


def _seconds(date: str) -> float:
    """Return the seconds since the Unix epoch of a date as ministack stores it."""
    return datetime.fromisoformat(date).timestamp()


def _demand(action: str, resource: str) -> None:
    """Fail the task if the role of its machine may not do this: ministack asks no machine for its role."""
    role = _machine_role.get()
    if not app.AUTH or not role:  # a machine that is gone has none
        return
    account = role.split(":")[4]
    request = iam_evaluator.EvalContext(
        principal_arn=role,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=resource.split(":")[3],
        secure_transport=True,
    )
    policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], account)  # noqa: SLF001 - there is no public way
    if iam_evaluator.evaluate(request, policies).decision != "Allow":
        raise stepfunctions._ExecutionError(  # noqa: SLF001 - its own way to fail a task
            "SNS.AuthorizationErrorException", f"{role} is not authorized to perform: {action} on resource: {resource}"
        )


def _with_entries(given: Mapping[str, Any]) -> dict[str, Any]:
    """Write the map of message attributes as the query protocol does, the only form that ministack 1.5.33 reads."""
    attributes: Mapping[str, Mapping[str, str]] = given.get("MessageAttributes", {})
    entries = dict(given)
    for number, (name, value) in enumerate(attributes.items(), 1):
        entries[f"MessageAttributes.entry.{number}.Name"] = name
        entries |= {f"MessageAttributes.entry.{number}.Value.{part}": text for part, text in value.items()}
    return entries
