"""The custom metrics that the functions write."""

from typing import Final

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch

SERVICE: Final = "task-scheduler"
"""The service name of Powertools, in logs and as a dimension of metrics."""
_PERIOD: Final = Duration.minutes(1)  # the sweeper's


def service_metric(
    name: str, *, statistic: str = "Sum", period: Duration = _PERIOD, label: str | None = None
) -> cloudwatch.Metric:
    """Return a custom metric; Powertools adds the service as its dimension."""
    return cloudwatch.Metric(
        namespace=Aws.STACK_NAME,
        metric_name=name,
        dimensions_map={"service": SERVICE},
        period=period,
        statistic=statistic,
        label=label,
    )
