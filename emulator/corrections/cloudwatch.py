"""CloudWatch: alarms on metric math."""

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]  # it has no types


def accept_metric_math() -> None:
    """Create alarms whose template has `Metrics`, which ministack 1.5.33 rejects.

    Such an alarm is described and deleted like any other. It is never evaluated: its state stays INSUFFICIENT_DATA.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    record = provisioners._cw_metric_alarm_record  # noqa: SLF001 - there is no other place to take hold of

    def record_with_metrics(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        metrics = properties.get("Metrics")
        if not metrics:
            found: dict[str, Any] = record(name, properties)
            return found
        single = sorted({"MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period"} & properties.keys())
        if single:
            raise ValueError(f"Metrics cannot be combined with {', '.join(single)}.")
        returned = [metric for metric in metrics if str(metric.get("ReturnData", True)).lower() == "true"]
        if len(returned) != 1:
            raise ValueError("Exactly one element of the metrics list should return data.")
        alarm = record(name, {**properties, "Metrics": None, "MetricName": "-", "Namespace": "-"})
        without = {"MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"}
        return {key: value for key, value in alarm.items() if key not in without} | {"Metrics": metrics}

    provisioners._cw_metric_alarm_record = record_with_metrics  # noqa: SLF001 - the same
