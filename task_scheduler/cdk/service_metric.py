"""The metrics that the functions write themselves."""

from typing import Final

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch

SERVICE: Final = "task-scheduler"
"""What Powertools calls us, in logs and as the dimension of metrics."""
_PERIOD: Final = Duration.minutes(1)  # the sweeper's


def service_metric(
    name: str, *, statistic: str = "Sum", period: Duration = _PERIOD, label: str | None = None
) -> cloudwatch.Metric:
    """Return a metric of ours; Powertools adds the service as its dimension."""
    return cloudwatch.Metric(
        namespace=Aws.STACK_NAME,
        metric_name=name,
        dimensions_map={"service": SERVICE},
        period=period,
        statistic=statistic,
        label=label,
    )
