"""Single facts of AWS that emulator/corrections adds to the emulator, applied in this process and undone."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from ministack.services import apigateway_v1  # type: ignore[import-untyped]  # it has no types
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]  # the same

from emulator.corrections import apigateway, cloudwatch

Response = tuple[int, dict[str, str], bytes]

METRIC: Final = {
    "Metric": {"Namespace": "AWS/States", "MetricName": "OpenExecutionCount"},
    "Period": 300,
    "Stat": "Sum",
}
USAGE: Final = {"Id": "usage", "MetricStat": METRIC, "ReturnData": False}
SHARE: Final = {"Id": "share", "Expression": "usage / 10000"}
ALARM: Final = {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 80, "EvaluationPeriods": 1}
CONFIGURED: Final = {
    "statusCode": "503",
    "responseParameters": {"gatewayresponse.header.Retry-After": "'1'"},
    "responseTemplates": {"application/json": '{"errors": ["Please try again."]}'},
}


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


class Gateway:
    """API Gateway in front of one function, whose concurrency a test takes away."""

    throttled = False
    reaches_function = True

    async def call(self) -> tuple[dict[str, Any], None]:
        """Stand in for the call of the function."""
        return {"throttle": self.throttled}, None

    async def invoke(self) -> Response:
        """Stand in for the integration, which passes on what the function returns."""
        if self.reaches_function:
            await apigateway_v1._call_lambda_raw()  # noqa: SLF001 - what is corrected
        return 429 if self.throttled else 200, {}, b""

    async def request(self) -> Response:
        """Send a request through the integration, and render an error as the emulator does."""
        response: Any = await apigateway_v1._invoke_lambda_proxy_v1()  # noqa: SLF001 - the same
        if not isinstance(response, tuple):
            context = {"api_id": "api", "stage": {"deploymentId": "d1"}, "stage_name": "v1"}
            context |= {"request_id": "r1", "resource_path": "/tasks"}
            response = apigateway_v1._gateway_error_response(response, context)  # noqa: SLF001 - the same
        status, headers, body = response
        return status, headers, body


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """One whose API defines no gateway responses."""
    gateway = Gateway()
    render = "_gateway_error_response"
    for name, value in {
        "_call_lambda_raw": gateway.call,
        "_invoke_lambda_proxy_v1": gateway.invoke,
        render: getattr(apigateway_v1, render),  # undone at the end
        "_deployed_gateway_responses": {"api": {"d1": {}}},
    }.items():
        monkeypatch.setattr(apigateway_v1, name, value)
    apigateway.answer_throttled_functions_as_failed_integrations()
    return gateway


def test_a_throttled_function_is_answered_with_500_where_no_gateway_response_is_defined(gateway: Gateway) -> None:
    gateway.throttled = True
    status, headers, body = asyncio.run(gateway.request())
    assert status == 500
    assert headers["x-amzn-ErrorType"] == "InternalServerErrorException"
    assert json.loads(body) == {"message": "Internal server error"}


@pytest.mark.parametrize("defined", ["INTEGRATION_FAILURE", "DEFAULT_5XX"])
def test_a_throttled_function_is_answered_by_the_gateway_response_of_the_api(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, defined: str
) -> None:
    monkeypatch.setattr(apigateway_v1, "_deployed_gateway_responses", {"api": {"d1": {defined: CONFIGURED}}})
    gateway.throttled = True
    status, headers, body = asyncio.run(gateway.request())
    assert status == 503
    assert headers["Retry-After"] == "1"
    assert json.loads(body) == {"errors": ["Please try again."]}


def test_a_throttled_request_does_not_fail_the_next_one(gateway: Gateway) -> None:
    """Even if the next one, in the same task, does not reach the function."""

    async def statuses() -> list[int]:
        gateway.throttled = True
        found = [(await gateway.request())[0]]
        gateway.throttled = False
        for gateway.reaches_function in (False, True):
            found.append((await gateway.request())[0])
        return found

    assert asyncio.run(statuses()) == [500, 200, 200]
