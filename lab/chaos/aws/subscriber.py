"""A queue that subscribes to a topic, and stores everything until it is read."""

import json
from typing import Any

from emulator import Deployment
from lab.support.history import Delivered


class Subscriber:
    """The queue; without a topic, behind that of the deployment."""

    def __init__(self, deployment: Deployment, topic: str = "", *, name: str = "chaos-subscriber") -> None:
        self._sqs = deployment.client("sqs")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        deployment.client("sns").subscribe(
            TopicArn=topic or deployment.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=attributes["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )

    def messages(self) -> list[tuple[dict[str, Any], int]]:
        """Return what has come since the last time, repetitions too, and when each was sent, in ms."""
        found: list[tuple[dict[str, Any], int]] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", []):
            found += [(json.loads(one["Body"]), int(one["Attributes"]["SentTimestamp"])) for one in messages]
        return found

    def received(self) -> list[Delivered]:
        """Return the same as deliveries."""
        return [Delivered.of(body, sent_ms) for body, sent_ms in self.messages()]
