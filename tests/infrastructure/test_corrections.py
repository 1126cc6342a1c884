"""Single facts of AWS that emulator/corrections adds to the emulator, applied in this process and undone."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]  # the same

from emulator.corrections import cloudwatch

METRIC: Final = {
    "Metric": {"Namespace": "AWS/States", "MetricName": "OpenExecutionCount"},
    "Period": 300,
    "Stat": "Sum",
}
USAGE: Final = {"Id": "usage", "MetricStat": METRIC, "ReturnData": False}
SHARE: Final = {"Id": "share", "Expression": "usage / 10000"}
ALARM: Final = {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 80, "EvaluationPeriods": 1}


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Make the record of an alarm with these properties, as the emulator does for a template."""
    name = "_cw_metric_alarm_record"
    monkeypatch.setattr(provisioners, name, getattr(provisioners, name))  # undone at the end
    cloudwatch.accept_metric_math()

    def record(**properties: object) -> dict[str, Any]:
        made: dict[str, Any] = getattr(provisioners, name)("Alarm", {**ALARM, **properties})
        return made

    return record


def test_an_alarm_on_metric_math_has_metrics_and_no_single_metric(alarm: Callable[..., dict[str, Any]]) -> None:
    made = alarm(Metrics=[USAGE, SHARE])
    assert made["Metrics"] == [USAGE, SHARE]
    assert made["Threshold"] == ALARM["Threshold"]
    assert made.keys().isdisjoint({"MetricName", "Namespace", "Statistic", "Period", "Dimensions"})


def test_an_alarm_on_a_single_metric_is_as_before(alarm: Callable[..., dict[str, Any]]) -> None:
    made = alarm(MetricName="Failed", Namespace="TaskScheduler", Period=60)
    assert (made["MetricName"], made["Namespace"], made["Period"]) == ("Failed", "TaskScheduler", 60)
    assert "Metrics" not in made


@pytest.mark.parametrize(
    "metrics",
    [
        [{**USAGE, "ReturnData": True}, SHARE],
        [{**USAGE, "ReturnData": "true"}, {**SHARE, "ReturnData": True}],
        [{"Id": "usage", "MetricStat": METRIC}, SHARE],
        [USAGE, {**SHARE, "ReturnData": False}],
        [USAGE, {**SHARE, "ReturnData": "false"}],
    ],
    ids=["both", "both, one as text", "both by default", "none", "none, one as text"],
)
def test_exactly_one_metric_of_an_alarm_returns_data(
    alarm: Callable[..., dict[str, Any]], metrics: list[dict[str, Any]]
) -> None:
    with pytest.raises(ValueError, match="Exactly one element of the metrics list should return data"):
        alarm(Metrics=metrics)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MetricName", "Failed"),
        ("Namespace", "TaskScheduler"),
        ("Statistic", "Sum"),
        ("ExtendedStatistic", "p99"),
        ("Period", 60),
    ],
)
def test_metric_math_cannot_be_mixed_with_a_single_metric(
    alarm: Callable[..., dict[str, Any]], name: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"Metrics cannot be combined with {name}"):
        alarm(Metrics=[USAGE, SHARE], **{name: value})
