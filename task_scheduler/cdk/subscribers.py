"""Who hears every emitted event besides the recorder: the endpoints of the setting `subscribers`."""

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

# SNS leaves its envelope away for these, so that they get the event as it is; the others know no raw delivery.
_RAW: Final = (sns.SubscriptionProtocol.HTTPS, sns.SubscriptionProtocol.SQS)


class Subscribers(Construct):
    """The subscriptions, and one queue for what SNS could not deliver to any of them; each message says why."""

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
        """Let the topic call a function of this account and region; whom others let call is theirs to say."""
        arn = Arn.split(function, ArnFormat.COLON_RESOURCE_NAME)
        permission = lambda_.CfnPermission(
            self,
            f"{function}Permission",
            action="lambda:InvokeFunction",
            function_name=function,
            principal="sns.amazonaws.com",
            source_arn=topic.topic_arn,
        )
        # The account of a deployment is not known before it is made.
        permission.cfn_options.condition = CfnCondition(
            self,
            f"{function}IsHere",
            expression=Fn.condition_and(
                Fn.condition_equals(Aws.ACCOUNT_ID, arn.account), Fn.condition_equals(Aws.REGION, arn.region)
            ),
        )


def _id(endpoint: str) -> str:
    """Return the id of a subscription; deployments print it, so it has no path of a URL, which may be secret."""
    if not endpoint.startswith("https://"):
        return endpoint
    return f"https {urlsplit(endpoint).hostname} {sha256(endpoint.encode()).hexdigest()[:12]}"
