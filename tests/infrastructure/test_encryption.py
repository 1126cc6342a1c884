"""Whatever stores or carries data is encrypted, and takes it over TLS only; a type that is new here must say how."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.support.synthesis import Resource, Synthesis, listed

# Types that neither store nor carry what callers send.
WITHOUT_DATA: Final = frozenset(
    {
        "AWS::ApiGateway::Account",
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::ApiGateway::Method",
        "AWS::ApiGateway::Resource",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)
# Encrypted by AWS whatever a template says, and reached by its HTTPS endpoints only: tables (AWS owned key), secrets
# (aws/secretsmanager), logs, environments of functions (aws/lambda), executions, and the API, which has no plain port.
BY_AWS: Final[dict[str, str]] = {
    "AWS::ApiGateway::RestApi": "EndpointConfiguration",
    "AWS::ApiGateway::Stage": "CacheClusterEnabled",
    "AWS::DynamoDB::Table": "SSESpecification",
    "AWS::Lambda::Function": "KmsKeyArn",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::StepFunctions::StateMachine": "EncryptionConfiguration",
}


def _refuses_plain_http(stack: Synthesis, target: Resource) -> bool:
    """Tell whether nobody may send anything, nor take anything from a queue, over plain HTTP."""
    kind, attribute, arn, carried = (
        ("SQS::QueuePolicy", "Queues", ".Arn", "sqs:*")
        if target.type == "AWS::SQS::Queue"
        else ("SNS::TopicPolicy", "Topics", "", "sns:Publish")
    )
    for policy in stack.resources(kind):
        if target.path not in {stack.text(one).strip("<>") for one in policy.properties[attribute]}:
            continue
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            if (
                statement["Effect"] == "Deny"
                and statement["Principal"] in ("*", {"AWS": "*"})
                and stack.text(statement["Resource"]) == f"<{target.path}{arn}>"
                and carried in listed(statement["Action"])
                and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            ):
                return True
    return False


def _topic(stack: Synthesis, topic: Resource) -> bool:
    """Alarms cannot publish to a topic with AWS's key, so that of their mail has none; it carries no task."""
    encrypted = topic.path == "Monitoring/Mailbox" or stack.text(topic.properties.get("KmsMasterKeyId", "")).endswith(
        "alias/aws/sns"
    )
    return encrypted and _refuses_plain_http(stack, topic)


def _queue(stack: Synthesis, queue: Resource) -> bool:
    return queue.properties.get("SqsManagedSseEnabled") is True and _refuses_plain_http(stack, queue)


def _subscription(_stack: Synthesis, subscription: Resource) -> bool:
    return subscription.properties["Protocol"] in {"https", "sqs", "lambda", "email"}


def _is_not_turned_off(_stack: Synthesis, resource: Resource) -> bool:
    value: Any = resource.properties.get(BY_AWS[resource.type])
    return value is None or resource.type == "AWS::ApiGateway::RestApi"


PROTECTED: Final[dict[str, Callable[[Synthesis, Resource], bool]]] = {
    "AWS::SNS::Topic": _topic,
    "AWS::SQS::Queue": _queue,
    "AWS::SNS::Subscription": _subscription,
    **dict.fromkeys(BY_AWS, _is_not_turned_off),
}


def unprotected(stack: Synthesis) -> Iterator[str]:
    """Yield each resource with data that is not protected, and each of a type that nobody has thought of."""
    for kind in sorted({whole["Type"] for whole in stack.template["Resources"].values()} - WITHOUT_DATA):
        for resource in stack.resources(kind.removeprefix("AWS::")):
            if kind not in PROTECTED or not PROTECTED[kind](stack, resource):
                yield f"{kind} {resource.path}"


@pytest.mark.parametrize("settings", ["stack", "open_stack", "other_stack"])
def test_whatever_stores_or_carries_data_is_encrypted_and_takes_tls_only(
    settings: str, request: pytest.FixtureRequest
) -> None:
    assert list(unprotected(request.getfixturevalue(settings))) == []
