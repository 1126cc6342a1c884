"""The alarms, and the topic that they publish to."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Acknowledgment, Aws, Duration, Validations
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.service_metric import service_metric
from task_scheduler.metrics import Metric

_PERIOD: Final = Duration.minutes(1)  # the sweeper's
_LONGER: Final = Duration.minutes(5)


class AlarmTopic(sns.Topic):
    """A topic that alarms publish to, and an address that gets them once it is confirmed."""

    def __init__(self, scope: Construct, construct_id: str, *, email: str) -> None:
        super().__init__(scope, construct_id, enforce_ssl=True)
        self.add_subscription(subscriptions.EmailSubscription(email))
        self.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        Validations.of(self).acknowledge(
            # https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
            Acknowledgment(id="AwsSolutions-SNS2", reason="Alarms cannot use AWS's key, and their words are no secret"),
            Acknowledgment(
                id="Serverless-SNSRedrivePolicy", reason="CloudWatch still shows the alarm that was not mailed"
            ),
        )


class Monitoring(Construct):
    """Alarms on what the sweeper counts, on what could not be delivered or recorded, and on the functions.

    Missing data sets off only the alarm of the sweeper: a queue that was never used has no metrics. With an email
    address, each alarm is sent there when it goes off and when it is over; without, add your own actions to `alarms`.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, and each is watched
        self,
        scope: Construct,
        construct_id: str,
        *,
        dead_letters: Mapping[str, sqs.IQueue],
        rest_api: apigateway.RestApi,
        functions: Mapping[str, lambda_.Function],
        email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms: Final[list[cloudwatch.Alarm]] = []
        self.topic: Final = AlarmTopic(self, "Mailbox", email=email) if email else None
        self._action: Final = actions.SnsAction(self.topic) if self.topic else None
        self._alarm(
            "Failed",
            service_metric(Metric.FAILED),
            "A task failed: its message could not be published for a day. GET /tasks?status=failed names it.",
        )
        # One sweep is enough: what a sweep counts has been late by more than 60 s already. The maximum, as sweeps
        # that overlap count the same tasks.
        self._alarm(
            "Overdue",
            service_metric(schema.OVERDUE, statistic="Maximum"),
            "A task is overdue by more than 60 s and was not seen to be emitted; the sweeper is reconciling it.",
        )
        for name, queue in dead_letters.items():
            self._alarm(
                name,
                queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
                f"Messages wait in {queue.node.path}: find out why, hand them on, and delete them.",
            )
        self._alarm(
            "SweeperSilent",
            # The metric Invocations includes failed ones; the function writes this one at the end of a sweep.
            service_metric(schema.OVERDUE, period=_LONGER, statistic="SampleCount"),
            "The sweeper has not completed a sweep for five minutes: nothing that dies is started again or reported.",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "ServerErrors",
            rest_api.metric_server_error(period=_LONGER, statistic="Sum"),
            "The API responded 5xx five times in five minutes; the log of the function says why.",
            threshold=5,
        )
        for name, function in functions.items():
            self._alarm(
                f"{name}Throttled",
                function.metric_throttles(period=_LONGER, statistic="Sum"),
                "Lambda had no environment left for a call: raise the account's concurrency, or ask for less of it.",
            )

        self._alarm(
            "Throttled",
            service_metric(Metric.THROTTLED, period=_LONGER),
            "AWS has refused a hundred calls in five minutes as too many; tasks are accepted all the same and started "
            "by the sweeper. Raise the quota that is too low.",
            threshold=100,
        )
        self._alarm(
            "OpenExecutions",
            # Of all state machines of the account; no value is reported below 10,000:
            # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
            cloudwatch.MathExpression(
                expression="100 * open / allowed",
                using_metrics={"open": _states("OpenExecutionCount"), "allowed": _states("OpenExecutionLimit")},
                label="% of the open executions that the account may have",
                period=_LONGER,
            ),
            "More than 80 % of the executions that this account may have open in this region are: beyond its quota, "
            "tasks wait in the table for their start. Raise the quota, or make arming_window_days smaller.",
            threshold=80,
        )

    def _alarm(  # noqa: PLR0913 - keyword-only, but for what every alarm says
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        threshold: float = 1,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=description,
            metric=metric,
            comparison_operator=comparison,
            threshold=threshold,
            evaluation_periods=1,
            treat_missing_data=missing,
        )
        if self._action:
            alarm.add_alarm_action(self._action)
            alarm.add_ok_action(self._action)
        self.alarms.append(alarm)


def _states(name: str) -> cloudwatch.Metric:
    """Return a metric of Step Functions for the account and region."""
    return cloudwatch.Metric(namespace="AWS/States", metric_name=name, period=_LONGER, statistic="Maximum")
