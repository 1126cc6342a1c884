"""The dashboard: one page that shows whether tasks come in, wait and go out."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Aws, Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.service_metric import service_metric
from task_scheduler.metrics import Metric

_PERIOD: Final = Duration.minutes(1)


class Dashboard(Construct):
    """A dashboard named after the stack and its region, as its name is unique in an account, not in a region."""

    def __init__(  # noqa: PLR0913 - keyword-only, and each is a box of the diagram
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarms: Sequence[cloudwatch.IAlarm],
        rest_api: apigateway.RestApi,
        machine: sfn.StateMachine,
        functions: Mapping[str, lambda_.Function],
        events: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        each = functions.items()
        self.dashboard: Final = cloudwatch.Dashboard(
            self,
            "Page",
            dashboard_name=f"{Aws.STACK_NAME}-{Aws.REGION}",
            default_interval=Duration.hours(3),
            widgets=[
                [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms], width=24, height=2)],
                [
                    _graph(
                        "Requests a minute",
                        rest_api.metric_count(label="all", period=_PERIOD),
                        rest_api.metric_client_error(label="4xx", period=_PERIOD),
                        rest_api.metric_server_error(label="5xx", period=_PERIOD),
                    ),
                    _graph("Seconds until a response, without GET /events", *_spread(Metric.LATENCY)),
                    _graph("Seconds from a task's time until it went out", *_spread(Metric.LATENESS)),
                ],
                [
                    _graph(
                        "Tasks a minute",
                        *(service_metric(name) for name in (Metric.SCHEDULED, Metric.EMITTED, Metric.CANCELLED)),
                    ),
                    _graph("Tasks that are scheduled", service_metric(Metric.PENDING, statistic="Maximum")),
                    _graph(
                        "Timers a minute",
                        machine.metric_started(label="started", period=_PERIOD),
                        machine.metric_succeeded(label="published", period=_PERIOD),
                        machine.metric_aborted(label="cancelled or changed", period=_PERIOD),
                        machine.metric_failed(label="failed", period=_PERIOD),
                    ),
                ],
                [
                    _graph("What the sweeper counts", *map(service_metric, schema.SWEEPER_COUNTS)),
                    _graph(
                        "Age of the oldest event to record",
                        events.metric_approximate_age_of_oldest_message(label="seconds", period=_PERIOD),
                    ),
                    _graph(
                        "Concurrent executions",
                        *(
                            function.metric("ConcurrentExecutions", label=name, statistic="Maximum", period=_PERIOD)
                            for name, function in each
                        ),
                    ),
                ],
                [
                    _graph("Errors", *(function.metric_errors(label=name, period=_PERIOD) for name, function in each)),
                    _graph(
                        "Throttles",
                        service_metric(Metric.THROTTLED, label="calls of AWS"),
                        machine.metric_throttled(label="timers", period=_PERIOD),
                        *(function.metric_throttles(label=name, period=_PERIOD) for name, function in each),
                    ),
                    _graph(
                        "Duration, p99",
                        *(
                            function.metric_duration(label=name, statistic="p99", period=_PERIOD)
                            for name, function in each
                        ),
                    ),
                ],
            ],
        )


def _spread(name: str) -> list[cloudwatch.IMetric]:
    return [service_metric(name, statistic=statistic, label=statistic) for statistic in ("p50", "p99", "Maximum")]


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=[*metrics], width=8, height=6, left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False)
    )
