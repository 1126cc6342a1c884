"""A queue that subscribes to the topic, and stores everything until the end."""

import json

from emulator import Deployment
from lab.support.history import Delivered


class Subscriber:
    """The queue."""

    def __init__(self, deployment: Deployment) -> None:
        self._sqs = deployment.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="chaos-subscriber")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        deployment.client("sns").subscribe(
            TopicArn=deployment.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=arn["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )

    def received(self) -> list[Delivered]:
        """Return everything that came, repetitions too."""
        found: list[Delivered] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", []):
            found += [
                Delivered.of(json.loads(message["Body"]), int(message["Attributes"]["SentTimestamp"]))
                for message in messages
            ]
        return found
