"""The recorder: appends every event of the topic to the event log."""

from typing import Final

from aws_cdk import Acknowledgment, Duration, Names, Validations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from task_scheduler.cdk.python_function import FunctionDefaults, PythonFunction
from task_scheduler.cdk.queues import queue

TIMEOUT_SECONDS: Final = 30


class Recorder(Construct):
    """Topic -> queue -> function. After ten attempts, an event is a dead letter, stored for two weeks."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.ITopic,
        defaults: FunctionDefaults,
        max_concurrency: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters: Final = queue(self, "DeadLetters")
        events = queue(
            self,
            "Events",
            # Six times the function's timeout, so that a throttled batch is not delivered twice:
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
            visibility_timeout=Duration.seconds(6 * TIMEOUT_SECONDS),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=10),
        )
        self.events: Final = events
        topic.add_subscription(subscriptions.SqsSubscription(events, raw_message_delivery=True))
        self.function: Final = PythonFunction(
            self,
            "Function",
            defaults=defaults,
            handler="recorder",
            description="Records what was emitted",
            timeout_seconds=TIMEOUT_SECONDS,
        )
        # Not event_sources.SqsEventSource, which grants more than Lambda needs; but under the same name, as an upgrade
        # cannot put a mapping of another name in place of this one. What Lambda needs is listed here:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-lambda-function-trigger.html
        events.grant(self.function, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        self.function.add_event_source_mapping(
            f"SqsEventSource:{Names.node_unique_id(events.node)}",
            event_source_arn=events.queue_arn,
            batch_size=10,
            report_batch_item_failures=True,
            # All of them write to one counter; and a crowd of tasks due at once must not take the whole
            # concurrency of the account from the API.
            max_concurrency=max_concurrency,
        )
        Validations.of(self).acknowledge(
            Acknowledgment(id="Serverless-SQSRedrivePolicy", reason="Where dead letters go needs none of its own"),
            Acknowledgment(
                id="Serverless-SNSRedrivePolicy",
                reason="The sweeper records what the queue has not got, from the timer",
            ),
            Acknowledgment(
                id="Serverless-LambdaEventSourceMappingDestination",
                reason="Of a queue it cannot have one; the queue sets aside what failed ten times",
            ),
        )
