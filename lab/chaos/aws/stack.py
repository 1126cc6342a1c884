"""What a run takes hold of in a deployed stack: the functions' way to AWS, the sweeper, the queues."""

import json
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from emulator import Deployment
from lab.support.history import Delivered

_REDELIVERY_S: Final = 35
"""After how long a message that was not recorded comes again: soon, but later than the recorder's time is over."""


class Stack:
    """A deployment in the emulator, with a queue of our own that subscribes to its topic."""

    def __init__(self, deployment: Deployment) -> None:
        self._lambda = deployment.client("lambda")
        self._sqs = deployment.client("sqs")
        self._functions: list[dict[str, Any]] = self._lambda.list_functions()["Functions"]
        [self._sweeper] = [one["FunctionName"] for one in self._functions if "-SweeperFunction" in one["FunctionName"]]
        [mapping] = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        self._queue = self._sqs.get_queue_url(QueueName=mapping["EventSourceArn"].rpartition(":")[2])["QueueUrl"]
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"VisibilityTimeout": str(_REDELIVERY_S)})
        self._subscriber = self._sqs.create_queue(QueueName="chaos-subscriber")["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._subscriber, AttributeNames=["QueueArn"])
        deployment.client("sns").subscribe(
            TopicArn=deployment.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=found["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )

    def divert(self, url: str) -> None:
        """Let the functions call AWS by this URL; all else stays as it is."""
        for function in self._functions:
            name = function["FunctionName"]
            variables = function["Environment"]["Variables"] | {"AWS_ENDPOINT_URL": url}
            self._lambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
            self._lambda.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def sweep(self) -> str:
        """Sweep now, as the rule does every minute; return what went wrong, if anything."""
        try:
            response = self._lambda.invoke(FunctionName=self._sweeper, Payload=b"{}")
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return response["Payload"].read().decode() if "FunctionError" in response else ""

    def unrecorded(self) -> int:
        """Return how many messages wait to be recorded, or are being recorded."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def received(self) -> list[Delivered]:
        """Return all that has come to the subscriber, repetitions too, with the time at which it was sent."""
        found: list[Delivered] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._subscriber,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", []):
            found += [
                Delivered.of(json.loads(one["Body"]), int(one["Attributes"]["SentTimestamp"])) for one in messages
            ]
        return found
