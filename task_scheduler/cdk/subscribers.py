"""The subscriptions of the topic other than the recorder's: the endpoints that an operator configures."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from aws_cdk import Acknowledgment, Arn, ArnFormat, Aws, CfnCondition, Fn, Validations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from task_scheduler.cdk.endpoints import subscription_protocol
from task_scheduler.cdk.queues import queue

# The protocols that support raw delivery: the event without the envelope of SNS.
_RAW: Final = (sns.SubscriptionProtocol.HTTPS, sns.SubscriptionProtocol.SQS)


class Subscribers(Construct):
    """The subscriptions, and one dead-letter queue for all of them; each message in it names the error."""

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic, endpoints: Sequence[str]) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters: Final = queue(self, "DeadLetters")
        Validations.of(self.dead_letters).acknowledge(
            Acknowledgment(id="AwsSolutions-SQS3", reason="It is itself where dead letters go, those of subscriptions"),
            Acknowledgment(id="Serverless-SQSRedrivePolicy", reason="Where dead letters go needs none of its own"),
        )
        self.subscriptions: Final[list[sns.Subscription]] = []
        for endpoint in endpoints:
            protocol = sns.SubscriptionProtocol[subscription_protocol(endpoint).upper()]
            self.subscriptions.append(
                sns.Subscription(
                    self,
                    _id(endpoint),
                    topic=topic,
                    protocol=protocol,
                    endpoint=endpoint,
                    raw_message_delivery=True if protocol in _RAW else None,
                    dead_letter_queue=self.dead_letters,
                )
            )
            if protocol is sns.SubscriptionProtocol.LAMBDA:
                self._permit(endpoint, topic)

    def _permit(self, function: str, topic: sns.ITopic) -> None:
        """Let the topic invoke a function of this account and region; elsewhere, its owner has to allow it."""
        arn = Arn.split(function, ArnFormat.COLON_RESOURCE_NAME)
        permission = lambda_.CfnPermission(
            self,
            f"{function}Permission",
            action="lambda:InvokeFunction",
            function_name=function,
            principal="sns.amazonaws.com",
            source_arn=topic.topic_arn,
        )
        # The account is known at deployment only, not at synthesis.
        permission.cfn_options.condition = CfnCondition(
            self,
            f"{function}IsHere",
            expression=Fn.condition_and(
                Fn.condition_equals(Aws.ACCOUNT_ID, arn.account), Fn.condition_equals(Aws.REGION, arn.region)
            ),
        )


def _id(endpoint: str) -> str:
    """Return the construct id of a subscription. It is printed, so it omits the path of a URL, which may be secret."""
    if not endpoint.startswith("https://"):
        return endpoint
    return f"https {urlsplit(endpoint).hostname} {sha256(endpoint.encode()).hexdigest()[:12]}"
