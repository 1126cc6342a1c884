"""What somebody would try who had got hold of a role's credentials; harmless where it is allowed."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from emulator.tools import ACCOUNT
from tests.infrastructure.laboratory import Laboratory
from tests.infrastructure.permissions import BY_DUE, EVENTS, EXECUTIONS, MACHINE, QUEUE, SECRET, TASKS, TOPIC, Call

Attempt = tuple[Call, str, Mapping[str, Any]]
"""What has to be allowed, the operation as boto3 calls it, and its parameters."""

_DENIALS: Final = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}


def allowed(laboratory: Laboratory, role: str) -> tuple[set[Call], set[Call]]:
    """Assume a role and try everything; return what worked or failed for another reason, and what was denied."""
    make = _assumed(laboratory, laboratory.physical("IAM::Role", role))
    outcomes: tuple[set[Call], set[Call]] = (set(), set())
    clients: dict[str, Any] = {}
    for call, operation, parameters in _attempts(laboratory):
        service = {"states": "stepfunctions"}.get(call[0].partition(":")[0], call[0].partition(":")[0])
        if service not in clients:
            clients[service] = make(service)
        try:
            getattr(clients[service], operation)(**parameters)
            denied = False
        except ClientError as error:
            denied = error.response["Error"]["Code"] in _DENIALS
        outcomes[denied].add(call)
    return outcomes


def _assumed(laboratory: Laboratory, role: str) -> Callable[[str], Any]:
    """Return what makes clients for a role that only a service may assume: for a moment it trusts us too."""
    iam = laboratory.client("iam")
    found = iam.get_role(RoleName=role)["Role"]
    trust = found["AssumeRolePolicyDocument"]
    us = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    both = trust | {"Statement": [*trust["Statement"], us]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(both))
    given = laboratory.client("sts").assume_role(RoleArn=found["Arn"], RoleSessionName="attempts")["Credentials"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    return laboratory.session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _attempts(laboratory: Laboratory) -> Iterator[Attempt]:
    yield from _on_table(laboratory, TASKS, "Registry/", {"id": {"S": "none"}})
    yield from _on_table(laboratory, EVENTS, "EventLog/", {"page": {"N": "7"}, "sequence": {"N": "7"}})
    by_due = {
        "TableName": laboratory.physical("DynamoDB::Table", "Registry/"),
        "IndexName": "by_due",
        "KeyConditionExpression": "bucket = :none",
        "ExpressionAttributeValues": {":none": {"S": "none"}},
    }
    yield ("dynamodb:Query", BY_DUE), "query", by_due
    yield from _on_machine(laboratory.machine)
    yield from _on_secret(laboratory.deployment.outputs["SecretArn"])
    topic = laboratory.deployment.outputs["TopicArn"]
    yield ("sns:Publish", TOPIC), "publish", {"TopicArn": topic, "Message": '"none of ours"'}
    yield ("sns:Subscribe", TOPIC), "subscribe", {"TopicArn": topic, "Protocol": "email", "Endpoint": "me@example.com"}
    yield from _on_queue(laboratory.physical("SQS::Queue", "Recorder/Events"))
    function = laboratory.physical("Lambda::Function", "Sweeper/")
    yield ("lambda:InvokeFunction", "<Sweeper/Function>"), "invoke", {"FunctionName": function}
    yield ("iam:ListRoles", "*"), "list_roles", {}


def _on_table(laboratory: Laboratory, resource: str, under: str, key: Mapping[str, Any]) -> Iterator[Attempt]:
    name = laboratory.physical("DynamoDB::Table", under)
    table = {"TableName": name}
    first = next(iter(key))
    never = {"ConditionExpression": f"attribute_exists({first})"}
    condition = {"KeyConditionExpression": f"{first} = :key", "ExpressionAttributeValues": {":key": key[first]}}
    yield ("dynamodb:GetItem", resource), "get_item", {**table, "Key": key}
    yield ("dynamodb:BatchGetItem", resource), "batch_get_item", {"RequestItems": {name: {"Keys": [key]}}}
    yield ("dynamodb:Query", resource), "query", {**table, **condition}
    yield ("dynamodb:Scan", resource), "scan", table
    yield ("dynamodb:PutItem", resource), "put_item", {**table, "Item": key, **never}
    yield ("dynamodb:UpdateItem", resource), "update_item", {**table, "Key": key, **never}
    yield ("dynamodb:DeleteItem", resource), "delete_item", {**table, "Key": key}


def _on_machine(machine: str) -> Iterator[Attempt]:
    mine = machine.replace(":stateMachine:", ":execution:")
    for resource, execution in ((EXECUTIONS, f"{mine}:none"), ("of another machine", f"{mine}-other:none")):
        yield ("states:StopExecution", resource), "stop_execution", {"executionArn": execution}
        yield ("states:DescribeExecution", resource), "describe_execution", {"executionArn": execution}
        yield ("states:GetExecutionHistory", resource), "get_execution_history", {"executionArn": execution}
    yield ("states:ListExecutions", MACHINE), "list_executions", {"stateMachineArn": machine}
    started = {"stateMachineArn": machine, "input": '{"wait_until":"2036-01-01T00:00:00Z"}'}
    yield ("states:StartExecution", MACHINE), "start_execution", started


def _on_secret(arn: str) -> Iterator[Attempt]:
    yield ("secretsmanager:GetSecretValue", SECRET), "get_secret_value", {"SecretId": arn}
    yield ("secretsmanager:GetSecretValue", "of others"), "get_secret_value", {"SecretId": "another"}
    yield ("secretsmanager:DescribeSecret", SECRET), "describe_secret", {"SecretId": arn}


def _on_queue(url: str) -> Iterator[Attempt]:
    queue = {"QueueUrl": url}
    yield ("sqs:ReceiveMessage", QUEUE), "receive_message", queue
    yield ("sqs:DeleteMessage", QUEUE), "delete_message", {**queue, "ReceiptHandle": "none"}
    yield ("sqs:GetQueueAttributes", QUEUE), "get_queue_attributes", queue
    yield ("sqs:SendMessage", QUEUE), "send_message", {**queue, "MessageBody": '"none of ours"'}
    yield (
        ("sqs:ChangeMessageVisibility", QUEUE),
        "change_message_visibility",
        {**queue, "ReceiptHandle": "none", "VisibilityTimeout": 0},
    )
