"""Whatever stores or carries data is encrypted, and takes it over TLS only; a type that is new here must say how."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
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


def _resource(template: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a resource by where it is among the constructs."""
    return next(
        one for one in template["Resources"].values() if one["Metadata"]["aws:cdk:path"].partition("/")[2] == path
    )


def _set(path: str, **properties: object) -> Callable[[Any], object]:
    return lambda template: _resource(template, path)["Properties"].update(properties)


def _unset(path: str, name: str) -> Callable[[Any], object]:
    return lambda template: _resource(template, path)["Properties"].pop(name)


def _statement(path: str, **parts: object) -> Callable[[Any], object]:
    """Change the statements that refuse plain HTTP."""

    def change(template: Any) -> None:  # noqa: ANN401 - any JSON
        for statement in _resource(template, path)["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                statement.update(parts)

    return change


def _add(kind: str) -> Callable[[Any], object]:
    added = {"Type": kind, "Properties": {}, "Metadata": {"aws:cdk:path": "TaskSchedulerOther/New/Resource"}}
    return lambda template: template["Resources"].update(New=added)


TOPIC, QUEUE = "Delivery/Topic/Resource", "Recorder/Events/Resource"
TOPIC_POLICY, QUEUE_POLICY = "Delivery/Topic/Policy/Resource", "Recorder/Events/Policy/Resource"
CARELESS: Final[dict[str, tuple[Callable[[Any], object], str]]] = {
    "a topic without a key": (_unset(TOPIC, "KmsMasterKeyId"), "AWS::SNS::Topic Delivery/Topic"),
    "a topic with a key that nobody has thought of": (
        _set(TOPIC, KmsMasterKeyId="alias/any"),
        "AWS::SNS::Topic Delivery/Topic",
    ),
    "a topic that takes plain HTTP": (_statement(TOPIC_POLICY, Effect="Allow"), "AWS::SNS::Topic Delivery/Topic"),
    "the topic of the mail, too": (
        _statement("Monitoring/Mailbox/Policy/Resource", Condition={}),
        "AWS::SNS::Topic Monitoring/Mailbox",
    ),
    "a queue that is not encrypted": (_set(QUEUE, SqsManagedSseEnabled=False), "AWS::SQS::Queue Recorder/Events"),
    "a queue that does not say so": (_unset(QUEUE, "SqsManagedSseEnabled"), "AWS::SQS::Queue Recorder/Events"),
    "a queue whose policy is about another": (
        _set(QUEUE_POLICY, Queues=["another"]),
        "AWS::SQS::Queue Recorder/Events",
    ),
    "a queue that refuses plain HTTP to some": (
        _statement(QUEUE_POLICY, Principal={"AWS": "111122223333"}),
        "AWS::SQS::Queue Recorder/Events",
    ),
    "a queue that refuses some calls": (
        _statement(QUEUE_POLICY, Action="sqs:DeleteQueue"),
        "AWS::SQS::Queue Recorder/Events",
    ),
    "a queue that refuses plain HTTP for another": (
        _statement(QUEUE_POLICY, Resource="another"),
        "AWS::SQS::Queue Recorder/Events",
    ),
    "a table that says how": (
        _set("Registry/Tasks/Resource", SSESpecification={"SSEEnabled": False}),
        "AWS::DynamoDB::Table Registry/Tasks",
    ),
    "a log group with a key": (
        _set("Sweeper/FunctionLogs/Resource", KmsKeyId="any"),
        "AWS::Logs::LogGroup Sweeper/FunctionLogs",
    ),
    "a stage with a cache": (
        _set("Api/Rest/DeploymentStage.v1/Resource", CacheClusterEnabled=True),
        "AWS::ApiGateway::Stage Api/Rest/DeploymentStage.v1",
    ),
    "a bucket": (_add("AWS::S3::Bucket"), "AWS::S3::Bucket New"),
    "a subscription over plain HTTP": (
        lambda template: next(one for one in template["Resources"].values() if one["Type"] == "AWS::SNS::Subscription")[
            "Properties"
        ].update(Protocol="http"),
        "AWS::SNS::Subscription",
    ),
}


@pytest.mark.parametrize("careless", CARELESS)
def test_a_careless_template_is_seen(other_stack: Synthesis, careless: str) -> None:
    change, named = CARELESS[careless]
    template = copy.deepcopy(dict(other_stack.template))
    change(template)
    [found] = unprotected(replace(other_stack, template=template))
    assert found.startswith(named)
