"""Least privilege: the calls of each role, all of them, and on what."""

from typing import Final

import pytest

from tests.infrastructure.synthesis import Synthesis, listed

TASKS: Final = "<Registry/Tasks.Arn>"
BY_DUE: Final = "<Registry/Tasks.Arn>/index/by_due"
EVENTS: Final = "<EventLog/Events.Arn>"
MACHINE: Final = "<Timer/StateMachine>"
EXECUTIONS: Final = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<AWS::StackName>-timer:*"
QUEUE: Final = "<Recorder/Events.Arn>"
SECRET: Final = "<Secret/Value.Id>"  # noqa: S105 - the name of a resource

RECORDING: Final = {
    ("dynamodb:GetItem", TASKS),
    ("dynamodb:UpdateItem", TASKS),
    ("dynamodb:PutItem", EVENTS),
    ("dynamodb:UpdateItem", EVENTS),
}
CALLS: Final = {
    "Api/FunctionRole": {
        ("dynamodb:GetItem", TASKS),
        ("dynamodb:PutItem", TASKS),
        ("dynamodb:UpdateItem", TASKS),
        ("dynamodb:BatchGetItem", TASKS),
        ("dynamodb:Query", BY_DUE),
        ("states:StartExecution", MACHINE),
        ("states:StopExecution", EXECUTIONS),
        ("states:GetExecutionHistory", EXECUTIONS),
        ("secretsmanager:GetSecretValue", SECRET),
    },
    "Api/StreamRole": {
        ("dynamodb:GetItem", EVENTS),
        ("dynamodb:Query", EVENTS),
        ("secretsmanager:GetSecretValue", SECRET),
    },
    "Recorder/FunctionRole": {
        *RECORDING,
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:DeleteMessage", QUEUE),
        ("sqs:ChangeMessageVisibility", QUEUE),
        ("sqs:GetQueueAttributes", QUEUE),
        ("sqs:GetQueueUrl", QUEUE),
    },
    "Sweeper/FunctionRole": {
        *RECORDING,
        ("dynamodb:BatchGetItem", TASKS),
        ("dynamodb:Query", BY_DUE),
        ("states:StartExecution", MACHINE),
        ("states:DescribeExecution", EXECUTIONS),
    },
    "Timer/StateMachine/Role": {
        ("sns:Publish", "<Delivery/Topic>"),
        # What log delivery needs, and no service lets it be narrower:
        # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
        ("logs:CreateLogDelivery", "*"),
        ("logs:GetLogDelivery", "*"),
        ("logs:UpdateLogDelivery", "*"),
        ("logs:DeleteLogDelivery", "*"),
        ("logs:ListLogDeliveries", "*"),
        ("logs:PutResourcePolicy", "*"),
        ("logs:DescribeResourcePolicies", "*"),
        ("logs:DescribeLogGroups", "*"),
    },
}


def calls(stack: Synthesis, role: str) -> set[tuple[str, str]]:
    """Return each call of a role with what it may be made on."""
    found = set()
    for statement in stack.statements(under=role):
        assert statement.keys() <= {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        found |= {(action, stack.text(on)) for action in listed(statement["Action"]) for on in resources}
    return found


def own_log(role: str) -> set[tuple[str, str]]:
    log_group = f"<{role.removesuffix('Role')}Logs.Arn>"
    return {("logs:CreateLogStream", log_group), ("logs:PutLogEvents", log_group)}


@pytest.mark.parametrize("role", CALLS)
def test_a_role_has_its_own_calls_and_no_other(stack: Synthesis, role: str) -> None:
    logs = set() if role.startswith("Timer/") else own_log(role)
    assert calls(stack, role) == CALLS[role] | logs


def test_the_table_above_knows_every_role(stack: Synthesis) -> None:
    assert {role.path for role in stack.resources("IAM::Role")} == CALLS.keys()


def test_a_role_has_no_policy_but_its_own(stack: Synthesis) -> None:
    for role in stack.resources("IAM::Role"):
        assert role.properties.keys() == {"AssumeRolePolicyDocument"}
    for policy in stack.resources("IAM::Policy"):
        assert len(policy.properties["Roles"]) == 1


def test_no_call_is_a_wildcard(stack: Synthesis) -> None:
    for statement in stack.statements():
        assert not any("*" in action for action in listed(statement["Action"]))


def test_without_a_secret_nothing_may_read_one(open_stack: Synthesis) -> None:
    for role, expected in CALLS.items():
        logs = set() if role.startswith("Timer/") else own_log(role)
        assert calls(open_stack, role) == {call for call in expected | logs if call[1] != SECRET}


def test_only_the_topic_may_send_to_the_recorders_queue_and_nobody_without_tls(stack: Synthesis) -> None:
    [policy] = stack.resources("SQS::QueuePolicy", under="Recorder/Events/")
    allowed = [one for one in policy.properties["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert [(one["Action"], one["Principal"], stack.text(one["Resource"])) for one in allowed] == [
        ("sqs:SendMessage", {"Service": "sns.amazonaws.com"}, QUEUE)
    ]
    assert stack.text(allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"]) == "<Delivery/Topic>"


def test_topic_and_queues_refuse_whoever_comes_without_tls(stack: Synthesis) -> None:
    policies = stack.resources("SQS::QueuePolicy") + stack.resources("SNS::TopicPolicy")
    guarded = {
        stack.text(statement["Resource"]).strip("<>").removesuffix(".Arn")
        for policy in policies
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert guarded == {"Recorder/Events", "Recorder/DeadLetters", "Delivery/Topic"}
