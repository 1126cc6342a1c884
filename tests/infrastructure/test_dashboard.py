"""The dashboard: every metric on it is one of this deployment's own."""

import json
from typing import Any, Final

from task_scheduler.aws import schema
from task_scheduler.aws.sweeper import Sweep
from task_scheduler.metrics import Metric
from tests.support.synthesis import Synthesis

# The names that the metrics of this stack may have as their dimensions.
OWN: Final = {
    "ApiName": {"TaskScheduler"},
    "FunctionName": {"<Api/Function>", "<Api/Stream>", "<Recorder/Function>", "<Sweeper/Function>"},
    "QueueName": {"<Recorder/Events.QueueName>"},
    "StateMachineArn": {"<Timer/StateMachine>"},
    "service": {"task-scheduler"},
}


def widgets(stack: Synthesis) -> list[Any]:
    body = stack.text(stack.resource("CloudWatch::Dashboard").properties["DashboardBody"])
    found: list[Any] = json.loads(body)["widgets"]
    return found


def metrics(stack: Synthesis) -> list[list[str]]:
    """Return namespace, name and dimensions of each line of each graph."""
    return [line[:-1] for widget in widgets(stack) for line in widget["properties"].get("metrics", ())]


def test_it_is_named_after_the_stack_and_the_region(stack: Synthesis) -> None:
    """The dashboards of all regions of an account share their names."""
    name = stack.resource("CloudWatch::Dashboard").properties["DashboardName"]
    assert stack.text(name) == "<AWS::StackName>-<AWS::Region>"


def test_it_shows_only_what_is_of_this_deployment(stack: Synthesis) -> None:
    lines = metrics(stack)
    assert len(lines) > 20
    for namespace, _name, *dimensions in lines:
        assert namespace.startswith("AWS/") or namespace == "<AWS::StackName>"
        for dimension, value in zip(dimensions[::2], dimensions[1::2], strict=True):
            assert value in OWN[dimension]


def test_it_shows_everything_that_is_counted(stack: Synthesis) -> None:
    swept = Sweep().counts().keys()
    assert set(schema.SWEEPER_COUNTS) == swept
    shown = {name for namespace, name, *_ in metrics(stack) if namespace == "<AWS::StackName>"}
    assert shown == swept | set(Metric)


def test_it_shows_every_alarm(stack: Synthesis) -> None:
    [alarms] = [widget["properties"]["alarms"] for widget in widgets(stack) if widget["type"] == "alarm"]
    assert len(alarms) == len(stack.resources("CloudWatch::Alarm"))


def test_it_can_be_left_out(other_stack: Synthesis) -> None:
    assert not other_stack.resources("CloudWatch::Dashboard")
