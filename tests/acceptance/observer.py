"""A queue of the run's own that subscribes to the topic: what was published, when, and how often."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tests.acceptance.cloud import Cloud
from tests.acceptance.removal import Removal
from tests.support.clock import NotInTimeError, eventually, milliseconds

_WAIT_S: Final = 1


@dataclass(frozen=True)
class Publication:
    """A message that SNS has delivered."""

    message_id: str
    """Of the publish: a repeated delivery has the same one."""
    at_ms: int
    """By the clock of SNS; in the emulator by that of SQS, as its SNS knows whole seconds only, and rounds down."""
    event: Mapping[str, Any]
    attributes: Mapping[str, str]


@dataclass
class Observer:
    """Reads the queue when somebody looks; the times are those of SNS, so a late look changes nothing."""

    cloud: Cloud
    url: str
    _found: dict[str, dict[str, Publication]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def subscribe(cls, cloud: Cloud, topic: str, name: str, removal: Removal) -> Self:
        """Create the queue and subscribe it, once its removal is noted."""
        sqs, sns = cloud.client("sqs"), cloud.client("sns")
        arn = f"arn:{cloud.partition}:sqs:{cloud.region}:{cloud.account}:{name}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        removal.add(
            f"the queue {name}",
            lambda: sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"]),
            f"aws sqs delete-queue --queue-url https://sqs.{cloud.region}.amazonaws.com/{cloud.account}/{name}",
        )
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        subscribed = subscription["SubscriptionArn"]
        removal.add(
            f"the subscription of the queue {name}",
            lambda: sns.unsubscribe(SubscriptionArn=subscribed),
            f"aws sns unsubscribe --subscription-arn {subscribed}",
        )
        return cls(cloud, url)

    def of(self, task_id: str) -> list[Publication]:
        """Return each publish of a task that is known so far."""
        return list(self._found.get(task_id, {}).values())

    def read(self) -> None:
        """Take everything that is in the queue."""
        client = self.cloud.client("sqs")
        while messages := client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S, AttributeNames=["SentTimestamp"]
        ).get("Messages"):
            for message in messages:
                self._take(json.loads(message["Body"]), sent_ms=int(message["Attributes"]["SentTimestamp"]))
                client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def wait_for(self, task_ids: Iterable[str], *, within_s: float) -> bool:
        """Read until each of the tasks was published at least once; tell whether they all were."""
        wanted = set(task_ids)

        def all_there() -> bool:
            self.read()
            return wanted <= self._found.keys()

        try:
            return eventually(all_there, within=within_s, every=0.5)
        except NotInTimeError:
            return False

    def _take(self, envelope: Mapping[str, Any], *, sent_ms: int) -> None:
        event = json.loads(envelope["Message"])
        given: Mapping[str, Mapping[str, str]] = envelope.get("MessageAttributes") or {}
        self._found[event["id"]][envelope["MessageId"]] = Publication(
            message_id=envelope["MessageId"],
            at_ms=sent_ms if self.cloud.endpoint else milliseconds(envelope["Timestamp"]),
            event=event,
            attributes={name: attribute["Value"] for name, attribute in given.items()},
        )
