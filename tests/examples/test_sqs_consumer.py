"""The consumer of a queue: the effect of each task once, whatever comes twice, dies or cannot be read."""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from emulator.process import Emulator
from tests.examples import aws_command
from tests.examples.printed import Workplace, printed
from tests.support.clock import eventually

pytestmark = pytest.mark.slow

CREATE_DEAD: Final = printed("aws sqs create-queue --queue-name credits-dead")
CREATE: Final = printed(
    "aws sqs create-queue --queue-name credits --attributes "
    r"""'{"RedrivePolicy": "{\"deadLetterTargetArn\": \"<ARN of credits-dead>\", \"maxReceiveCount\": 5}"}'"""
)
SUBSCRIBE: Final = printed(
    "aws sns subscribe --topic-arn $TOPIC_ARN --protocol sqs --notification-endpoint $QUEUE_ARN "
    """--attributes '{"RawMessageDelivery": "true"}'"""
)
CONSUME: Final = printed("python examples/sqs_consumer.py $QUEUE_URL credits.db")


class Account:
    """An AWS account with the topic and the queues."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {
            name: boto3.client(
                name,
                endpoint_url=endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
            )
            for name in ("sns", "sqs")
        }
        self.topic = self._clients["sns"].create_topic(Name="tasks")["TopicArn"]
        self.dead = self.run(CREATE_DEAD)["QueueUrl"]
        self.queue = self.run(CREATE.replace("<ARN of credits-dead>", self._arn(self.dead)))["QueueUrl"]
        self._set(VisibilityTimeout="1")
        self.run(SUBSCRIBE.replace("$TOPIC_ARN", self.topic).replace("$QUEUE_ARN", self._arn(self.queue)))

    def run(self, command: str) -> Any:  # noqa: ANN401 - what the operation answers
        """Do what a command of the AWS CLI would."""
        read = aws_command.read(command)
        return read.run(self._clients[read.service])

    def publish(self, task_id: str, message: object) -> None:
        """Publish an event as Task Scheduler does."""
        self.publish_text(json.dumps({"id": task_id, "timestamp": "2026-12-01T08:00:00.000Z", "message": message}))

    def publish_text(self, text: str) -> None:
        """Publish anything."""
        self._clients["sns"].publish(TopicArn=self.topic, Message=text)

    def left(self) -> int:
        """Return how many messages are in the queue, whether one can see them or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._clients["sqs"].get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def dead_letters(self) -> list[str]:
        """Return what has come to the dead-letter queue, and take it from there."""
        found = self._clients["sqs"].receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10)
        return [message["Body"] for message in found.get("Messages", [])]

    def _arn(self, queue: str) -> str:
        answer = self._clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _set(self, **attributes: str) -> None:
        self._clients["sqs"].set_queue_attributes(QueueUrl=self.queue, Attributes=attributes)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account that lives for a test."""
    emulator = Emulator(tmp_path)
    try:
        yield Account(emulator.start().endpoint)
    finally:
        emulator.kill()  # a stop waits for the long polls that nobody waits for


@pytest.fixture
def workplace(account: Account, tmp_path: Path) -> Workplace:
    """A folder to run the example in, and the environment that it needs."""
    folder = tmp_path / "work"
    folder.mkdir()
    place = Workplace(folder, "http://127.0.0.1:9")
    place.variables |= {"AWS_ENDPOINT_URL": account.endpoint, "QUEUE_URL": account.queue}
    return place


def accounts(workplace: Workplace) -> dict[str, int]:
    with closing(sqlite3.connect(workplace.folder / "credits.db")) as database:
        return dict(database.execute("SELECT name, cents FROM accounts ORDER BY name"))


def test_each_task_is_credited_once_and_what_cannot_be_read_goes_to_the_dead_letters(
    account: Account, workplace: Workplace
) -> None:
    account.publish("task-1", {"account": "luke", "cents": 500})
    account.publish("task-1", {"account": "luke", "cents": 500})
    account.publish("task-2", {"account": "leia", "cents": 100})
    account.publish("task-3", {"account": "leia"})
    account.publish("task-5", {"account": "leia", "cents": 10**30})
    account.publish_text("no JSON")
    with workplace.running(CONSUME) as consumer:
        eventually(lambda: account.left() == 3)
        assert accounts(workplace) == {"leia": 100, "luke": 500}
        assert "Task task-1 came again." in consumer.errors()
        consumer.kill()
    with workplace.running(CONSUME) as consumer:
        account.publish("task-1", {"account": "luke", "cents": 500})
        account.publish("task-4", {"account": "luke", "cents": 1})
        dead: list[str] = []
        while len(dead) < 3:
            dead += eventually(account.dead_letters, every=0.2)
        assert sorted("no JSON" in text for text in dead) == [False, False, True]
        eventually(lambda: account.left() == 0)
        assert accounts(workplace) == {"leia": 100, "luke": 501}
        started = time.monotonic()
        assert consumer.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 5  # seconds, though it waits up to 20 for messages
        assert consumer.errors().splitlines()[-1] == "Stopped."


def test_what_stops_the_consumer_loses_nothing(account: Account, workplace: Workplace) -> None:
    """The effect fails, and the id of the task is not written down without it; or there is no such queue."""
    with workplace.running(CONSUME) as consumer:
        consumer.wait_for_error("Waiting")
        with closing(sqlite3.connect(workplace.folder / "credits.db", isolation_level=None)) as other:
            other.execute("CREATE TRIGGER no BEFORE INSERT ON accounts BEGIN SELECT RAISE(ABORT, 'not now'); END")
            account.publish("task-1", {"account": "luke", "cents": 500})
            assert consumer.exit_code() == 1
            assert consumer.errors().splitlines()[-1] == "The consumer ends: not now"
            other.execute("DROP TRIGGER no")
            assert other.execute("SELECT * FROM handled").fetchall() == []
    with workplace.running(CONSUME):
        eventually(lambda: account.left() == 0)
        assert accounts(workplace) == {"luke": 500}
    done = workplace.run(CONSUME, QUEUE_URL=f"{account.queue}-of-nobody")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The consumer ends: ")
    assert "Traceback" not in done.stderr
