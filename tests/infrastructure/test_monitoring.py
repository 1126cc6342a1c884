"""The alarms of the template, and that they watch what is really counted."""

from dataclasses import fields
from typing import Any, Final

from task_scheduler.aws.sweeper import OVERDUE_MS, Sweep
from tests.infrastructure.synthesis import Synthesis

VISIBLE: Final = "ApproximateNumberOfMessagesVisible"


def alarms(stack: Synthesis) -> dict[str, Any]:
    """Return the properties of each alarm by its name among the constructs."""
    found = stack.resources("CloudWatch::Alarm")
    return {alarm.path.removeprefix("Monitoring/"): alarm.properties for alarm in found}


def dimensions(stack: Synthesis, alarm: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]: stack.text(one["Value"]) for one in alarm["Dimensions"]}


def test_there_is_an_alarm_for_each_way_to_miss_a_message(stack: Synthesis, other_stack: Synthesis) -> None:
    assert alarms(stack).keys() == {"Failed", "Overdue", "NotRecorded"}
    assert alarms(other_stack).keys() == {"Failed", "Overdue", "NotRecorded", "NotDelivered"}


def test_an_alarm_goes_off_at_the_first_count_and_never_for_want_of_data(other_stack: Synthesis) -> None:
    for alarm in alarms(other_stack).values():
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (1, 1, 60)
        assert alarm["TreatMissingData"] == "notBreaching"
        assert "DatapointsToAlarm" not in alarm
        assert alarm["AlarmDescription"]


def test_an_alarm_has_no_name_of_its_own_so_that_two_stacks_can_be_in_an_account(stack: Synthesis) -> None:
    assert not any("AlarmName" in alarm for alarm in alarms(stack).values())


def test_the_alarms_watch_what_this_deployments_sweeper_counts(stack: Synthesis) -> None:
    [sweeper] = stack.resources("Lambda::Function", under="Sweeper/")
    environment = sweeper.properties["Environment"]["Variables"]
    for name, statistic in {"Failed": "Sum", "Overdue": "Maximum"}.items():
        alarm = alarms(stack)[name]
        assert alarm["MetricName"] in {field.name for field in fields(Sweep)}
        assert alarm["Statistic"] == statistic
        assert alarm["Namespace"] == environment["POWERTOOLS_METRICS_NAMESPACE"] == {"Ref": "AWS::StackName"}
        assert dimensions(stack, alarm) == {"service": environment["POWERTOOLS_SERVICE_NAME"]}


def test_the_alarm_for_overdue_tasks_says_what_overdue_is(stack: Synthesis) -> None:
    assert f"overdue by more than {OVERDUE_MS // 1000} s" in alarms(stack)["Overdue"]["AlarmDescription"]


def test_the_alarms_watch_the_queues_of_what_was_set_aside(other_stack: Synthesis) -> None:
    for name, queue in {"NotRecorded": "Recorder", "NotDelivered": "Subscribers"}.items():
        alarm = alarms(other_stack)[name]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/SQS", VISIBLE, "Maximum")
        assert dimensions(other_stack, alarm) == {"QueueName": f"<{queue}/DeadLetters.QueueName>"}
