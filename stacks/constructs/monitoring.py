"""The alarms: what nobody would notice before a message is missed."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.python_function import SERVICE
from task_scheduler.aws import names

_PERIOD: Final = Duration.minutes(1)  # the sweeper's


class Monitoring(Construct):
    """Alarms on what the sweeper counts and on what could not be delivered or recorded.

    Each goes off at the first count and tells nobody yet: add the actions that suit you. Without data none goes
    off: a queue that was never used has no metrics.
    """

    def __init__(self, scope: Construct, construct_id: str, *, dead_letters: Mapping[str, sqs.IQueue]) -> None:
        super().__init__(scope, construct_id)
        self.alarms: Final[list[cloudwatch.Alarm]] = []
        self.counts: Final = [_counted(name, statistic="Sum") for name in names.SWEEPER_COUNTS]
        self._alarm(
            "Failed",
            _counted("failed", statistic="Sum"),
            "A task failed: its message could not be published for a day. GET /tasks?status=failed names it.",
        )
        # One sweep is enough: what a sweep counts has been late by more than 60 s already. The maximum, as sweeps
        # that overlap count the same tasks.
        self._alarm(
            "Overdue",
            _counted("overdue", statistic="Maximum"),
            "A task is overdue by more than 60 s and was not seen to be emitted; the sweeper is mending it.",
        )
        for name, queue in dead_letters.items():
            self._alarm(
                name,
                queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
                f"Messages wait in {queue.node.path}: find out why, hand them on, and delete them.",
            )

    def _alarm(self, name: str, metric: cloudwatch.IMetric, description: str) -> None:
        self.alarms.append(
            cloudwatch.Alarm(
                self,
                name,
                alarm_description=description,
                metric=metric,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                threshold=1,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        )


def _counted(name: str, *, statistic: str) -> cloudwatch.Metric:
    """Return a metric of ours; Powertools adds the service as its dimension."""
    return cloudwatch.Metric(
        namespace=Aws.STACK_NAME,
        metric_name=name,
        dimensions_map={"service": SERVICE},
        period=_PERIOD,
        statistic=statistic,
    )
