"""The bare stack in the emulator, beside ours: a REST API, one function, the same state machine, and a topic."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from emulator.deployment import Deployment
from emulator.tools import REGION

_SOURCE: Final = Path(__file__).with_name("bare_handler.py")
_STAGE: Final = "v1"


@dataclass(frozen=True)
class BareStack:
    """Where it is."""

    url: str
    topic: str


def deploy_bare(deployment: Deployment) -> BareStack:
    """Make it with the emulator's API; it goes when the emulator goes."""
    topic: str = deployment.client("sns").create_topic(Name="bare")["TopicArn"]
    role: str = deployment.client("iam").create_role(RoleName="bare", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function = _function(deployment.client("lambda"), role, _machine(deployment, role, topic))
    api = _api(deployment.client("apigateway"), function)
    return BareStack(f"{deployment.endpoint}/_aws/execute-api/{api}/{_STAGE}/", topic)


def _machine(deployment: Deployment, role: str, topic: str) -> str:
    """Copy our state machine, but for the topic that it publishes to."""
    client = deployment.client("stepfunctions")
    ours = client.describe_state_machine(stateMachineArn=deployment.outputs["StateMachineArn"])["definition"]
    definition = ours.replace(deployment.outputs["TopicArn"], topic)
    if definition == ours:
        raise RuntimeError("The state machine does not name the topic.")
    arn: str = client.create_state_machine(name="bare", definition=definition, roleArn=role)["stateMachineArn"]
    return arn


def _function(client: Any, role: str, machine: str) -> str:  # noqa: ANN401 - a client of boto3
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.write(_SOURCE, _SOURCE.name)
    arn: str = client.create_function(
        FunctionName="bare",
        Runtime="python3.13",
        Role=role,
        Handler=f"{_SOURCE.stem}.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        MemorySize=512,
        Environment={"Variables": {"STATE_MACHINE_ARN": machine}},
    )["FunctionArn"]
    return arn


def _api(client: Any, function: str) -> str:  # noqa: ANN401 - a client of boto3
    api: str = client.create_rest_api(name="bare", endpointConfiguration={"types": ["REGIONAL"]})["id"]
    [root] = client.get_resources(restApiId=api)["items"]
    resource = client.create_resource(restApiId=api, parentId=root["id"], pathPart="schedule")["id"]
    place = {"restApiId": api, "resourceId": resource, "httpMethod": "POST"}
    client.put_method(**place, authorizationType="NONE")
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
    client.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    client.create_deployment(restApiId=api, stageName=_STAGE)
    return api


def queue_behind(deployment: Deployment, topic: str, name: str) -> str:
    """Make a queue that gets what the topic publishes, as it is, and return its URL."""
    sqs = deployment.client("sqs")
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployment.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return url


def emptied(deployment: Deployment, queue: str) -> list[dict[str, Any]]:
    """Take what is in a queue: for each message its text, and when it was sent, in ms."""
    sqs = deployment.client("sqs")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageSystemAttributeNames=["SentTimestamp"]
    ).get("Messages", []):
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        found += [{"body": json.loads(m["Body"]), "sent_ms": int(m["Attributes"]["SentTimestamp"])} for m in messages]
    return found
