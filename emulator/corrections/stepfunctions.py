"""Step Functions: the integration with SNS."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from ministack import app  # type: ignore[import-untyped]  # it has no types
from ministack.core import iam_evaluator  # type: ignore[import-untyped]  # the same
from ministack.services import stepfunctions  # type: ignore[import-untyped]  # the same

_PUBLISH: Final = "arn:aws:states:::sns:publish"

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
