"""The state machine of the template, executed by moto's interpreter.

moto takes local time for UTC and may end a wait up to a second early; neither is so on AWS.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from moto.sns.models import sns_backends

from stacks.settings import Settings
from task_scheduler.aws.schema import ATTRIBUTES, EVENT, PUBLISH_MESSAGE, WAIT_UNTIL, WAIT_UNTIL_DUE
from tests.support.synthesis import Synthesis, shared_synthesis

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef
    from mypy_boto3_stepfunctions import SFNClient

PAST: Final = "2020-08-21T04:29:01Z"
REGION: Final = "us-east-1"
EARLY_S: Final = 1
EVENTS: Final = {
    "64-bit integers": '{"id":"1","message":[9223372036854775807,-9223372036854775808,1e400]}',
    "floats as they are written": '{"id":"2","message":[0.1,1.0,100e-2,-0.0,1E5]}',
    "keys that look like paths": '{"id":"3","message":{"a.$":"$.event","$.b":1,"$$.Execution.Id":"States.Format(1)"}}',
    "emoji and other scripts": '{"id":"4","message":"🕰️ ünïcödé \u2028 中文"}',
    "escapes": '{"id":"5","message":"\\u0000 \\ud800 \\" \\\\ \\n \\/"}',
    "spaces and the order of keys": '{ "z" : 1 ,\n "a": [ ] }',
    "braces of a template": '{"id":"6","message":"{} {0} ${x} {{y}}"}',
    "190,000 bytes": json.dumps({"id": "7", "message": "x" * 190_000}),
}


@dataclass(frozen=True)
class Account:
    """An account in memory, with the machine of the template and a queue that hears what it publishes."""

    states: "SFNClient"
    sns: "SNSClient"
    sqs: "SQSClient"
    machine: str
    topic: str
    queue: str

    def start(self, event: str, *, wait_until: str = PAST, tags: Mapping[str, str] | None = None) -> str:
        """Start an execution as the functions do; returns its ARN."""
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in (tags or {}).items()}
        given = json.dumps({WAIT_UNTIL: wait_until, EVENT: event, ATTRIBUTES: attributes}, ensure_ascii=False)
        return self.states.start_execution(stateMachineArn=self.machine, name=str(uuid4()), input=given)["executionArn"]

    def end(self, execution: str, *, seconds: float = 20) -> str:
        """Wait for the end of an execution; returns its status."""
        deadline = time.monotonic() + seconds
        while (status := self.states.describe_execution(executionArn=execution)["status"]) == "RUNNING":
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.02)
        return status

    def subscribe(self) -> None:
        """Let the queue hear the topic as the stack's own queue does."""
        queue = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue, Attributes=raw)

    def published(self) -> list[str]:
        """Return the messages that went out since the last look."""
        return [message["Body"] for message in self.received()]

    def sent(self) -> list[str]:
        """Return all messages that the topic took, whoever heard them."""
        topic = sns_backends[self.topic.split(":")[4]][REGION].topics[self.topic]
        return [message for _id, message, *_ in topic.sent_notifications]

    def received(self) -> list["MessageTypeDef"]:
        """Return the same, with what came along."""
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for message in answer.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return answer.get("Messages", [])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The stack, synthesised."""
    return shared_synthesis(tmp_path_factory, Settings())


@pytest.fixture
def account(template: Synthesis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A fresh account where it is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    time.tzset()
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        states = boto3.client("stepfunctions", region_name=REGION)
        sns = boto3.client("sns", region_name=REGION)
        sqs = boto3.client("sqs", region_name=REGION)
        topic = sns.create_topic(Name="topic")["TopicArn"]
        queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
        definition = template.definition({"AWS::Partition": "aws", "Delivery/Topic": topic})
        machine = states.create_state_machine(
            name="timer", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/timer"
        )["stateMachineArn"]
        account = Account(states, sns, sqs, machine, topic, queue)
        account.subscribe()
        yield account
    monkeypatch.undo()
    time.tzset()


def test_what_is_published_is_the_event_character_for_character(account: Account) -> None:
    for name, event in EVENTS.items():
        assert account.end(account.start(event)) == "SUCCEEDED", name
        assert account.published() == [event], name


def test_tags_go_out_as_attributes_of_the_message(account: Account) -> None:
    tags = {"user": "42", "a.b-c_d": "ünï $.event {} 中文", "9": " "}
    assert account.end(account.start("{}", tags=tags)) == "SUCCEEDED"
    [message] = account.received()
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == tags
    assert {value["DataType"] for value in message["MessageAttributes"].values()} == {"String"}


def test_a_message_without_tags_has_no_attributes(account: Account) -> None:
    assert account.end(account.start("{}", tags={})) == "SUCCEEDED"
    [message] = account.received()
    assert "MessageAttributes" not in message


def test_a_time_that_has_passed_is_no_reason_to_wait(account: Account) -> None:
    started = time.monotonic()
    assert account.end(account.start("{}", wait_until=PAST)) == "SUCCEEDED"
    assert time.monotonic() - started < 1


def test_nothing_is_published_before_the_wait_ends(account: Account) -> None:
    wait_until = datetime.fromtimestamp(int(time.time()) + 3, UTC)
    execution = account.start('{"id":"1"}', wait_until=wait_until.strftime("%Y-%m-%dT%H:%M:%SZ"))
    while time.time() < wait_until.timestamp() - EARLY_S:
        assert account.published() == []
        time.sleep(0.1)
    assert account.end(execution) == "SUCCEEDED"
    assert account.published() == ['{"id":"1"}']


def test_a_stopped_execution_publishes_nothing(account: Account) -> None:
    wait_until = datetime.fromtimestamp(int(time.time()) + 4, UTC)
    execution = account.start('{"id":"1"}', wait_until=wait_until.strftime("%Y-%m-%dT%H:%M:%SZ"))
    while not account.states.get_execution_history(executionArn=execution)["events"]:
        time.sleep(0.02)  # moto cannot stop what it has not begun
    account.states.stop_execution(executionArn=execution)
    assert account.end(execution) == "ABORTED"
    time.sleep(max(0, wait_until.timestamp() - time.time()) + 0.5)
    assert account.published() == []


def test_a_publish_that_fails_is_tried_again_until_it_works(account: Account) -> None:
    account.sns.delete_topic(TopicArn=account.topic)
    execution = account.start('{"id":"1"}')
    time.sleep(0.5)  # the first attempt has failed by now
    account.sns.create_topic(Name="topic")  # nobody is subscribed yet: the next attempt may come before that
    assert account.end(execution) == "SUCCEEDED"
    assert account.sent() == ['{"id":"1"}']
    history = account.states.get_execution_history(executionArn=execution)["events"]
    assert "TaskFailed" in {event["type"] for event in history}
    entered = [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]
    assert entered == [WAIT_UNTIL_DUE, PUBLISH_MESSAGE]
