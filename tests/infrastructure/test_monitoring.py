"""The alarms of the template, and that they watch what is really counted."""

from dataclasses import fields
from typing import Any, Final

from task_scheduler.aws.sweeper import Sweep
from task_scheduler.engine import OVERDUE_MS
from task_scheduler.metrics import Metric
from tests.infrastructure.test_subscribers import EMAIL
from tests.support.synthesis import Synthesis

VISIBLE: Final = "ApproximateNumberOfMessagesVisible"


def alarms(stack: Synthesis) -> dict[str, Any]:
    """Return the properties of each alarm by its name among the constructs."""
    found = stack.resources("CloudWatch::Alarm")
    return {alarm.path.removeprefix("Monitoring/"): alarm.properties for alarm in found}


def dimensions(stack: Synthesis, alarm: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]: stack.text(one["Value"]) for one in alarm["Dimensions"]}


def test_there_is_an_alarm_for_each_way_to_miss_a_message(stack: Synthesis, other_stack: Synthesis) -> None:
    watched = {"Failed", "Overdue", "NotRecorded", "SweeperSilent", "ServerErrors", "ApiThrottled", "RecorderThrottled"}
    watched |= {"Throttled", "OpenExecutions"}
    assert alarms(stack).keys() == watched
    assert alarms(other_stack).keys() == watched | {"NotDelivered"}


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics of an alarm, each as properties of its own; AWS charges an alarm by them."""
    if "Metrics" not in alarm:
        return [alarm]
    stats = [one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one]
    return [{**stat["Metric"], "Period": stat["Period"], "Statistic": stat["Stat"]} for stat in stats]


def test_the_alarms_cost_nothing_in_an_account_that_has_no_others(stack: Synthesis) -> None:
    """Ten metrics of alarms are free: https://aws.amazon.com/cloudwatch/pricing/."""
    assert sum(len(metrics(alarm)) for alarm in alarms(stack).values()) <= 10


# Any number of these would be too many; those of others are counted over five minutes.
AT_ONCE: Final = {"Failed", "Overdue", "NotRecorded", "NotDelivered"}
THRESHOLDS: Final = {"ServerErrors": 5, "Throttled": 100, "OpenExecutions": 80}


def test_an_alarm_goes_off_at_the_first_count_and_never_for_want_of_data(other_stack: Synthesis) -> None:
    for name, alarm in alarms(other_stack).items():
        assert alarm["EvaluationPeriods"] == 1
        assert alarm["AlarmDescription"]
        assert "DatapointsToAlarm" not in alarm
        if name == "SweeperSilent":
            continue
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["Threshold"] == THRESHOLDS.get(name, 1)
        assert {metric["Period"] for metric in metrics(alarm)} == {60 if name in AT_ONCE else 300}
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_open_executions_of_the_account_are_compared_with_its_quota(stack: Synthesis) -> None:
    """Both are metrics of Step Functions for all state machines together, without a dimension."""
    alarm = alarms(stack)["OpenExecutions"]
    assert [(one["Namespace"], one["MetricName"], one["Statistic"]) for one in metrics(alarm)] == [
        ("AWS/States", "OpenExecutionCount", "Maximum"),
        ("AWS/States", "OpenExecutionLimit", "Maximum"),
    ]
    assert not any("Dimensions" in one for one in metrics(alarm))
    [expression] = [one for one in alarm["Metrics"] if "Expression" in one]
    count, limit = (one["Id"] for one in alarm["Metrics"] if "MetricStat" in one)
    assert expression["Expression"] == f"100 * {count} / {limit}"
    assert [one["Id"] for one in alarm["Metrics"] if one.get("ReturnData", True)] == [expression["Id"]]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 80)


def test_a_sweeper_that_does_not_run_is_told_of_though_it_leaves_no_data(stack: Synthesis) -> None:
    alarm = alarms(stack)["SweeperSilent"]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("overdue", "SampleCount")
    assert alarm["Namespace"] == alarms(stack)["Overdue"]["Namespace"]
    assert dimensions(stack, alarm) == {"service": "task-scheduler"}
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["Period"]) == ("LessThanThreshold", 1, 300)
    assert alarm["TreatMissingData"] == "breaching"


def test_an_address_hears_when_an_alarm_goes_off_and_when_it_is_over(stack: Synthesis, other_stack: Synthesis) -> None:
    [mailbox] = other_stack.resources("SNS::Topic", under="Monitoring/")
    assert "KmsMasterKeyId" not in mailbox.properties  # alarms may not use AWS's key
    [subscription] = other_stack.resources("SNS::Subscription", under="Monitoring/")
    assert (subscription.properties["Protocol"], subscription.properties["Endpoint"]) == ("email", EMAIL)
    for alarm in alarms(other_stack).values():
        assert [other_stack.text(action) for action in alarm["AlarmActions"]] == ["<Monitoring/Mailbox>"]
        assert alarm["OKActions"] == alarm["AlarmActions"]
    assert not stack.resources("SNS::Topic", under="Monitoring/")
    assert not any("AlarmActions" in alarm for alarm in alarms(stack).values())


def test_only_alarms_of_this_account_may_write_to_that_address(other_stack: Synthesis) -> None:
    [policy] = other_stack.resources("SNS::TopicPolicy", under="Monitoring/")
    allowed = [one for one in policy.properties["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    [statement] = allowed
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_an_alarm_has_no_name_of_its_own_so_that_two_stacks_can_be_in_an_account(stack: Synthesis) -> None:
    assert not any("AlarmName" in alarm for alarm in alarms(stack).values())


def test_the_alarms_watch_what_this_deployments_sweeper_counts(stack: Synthesis) -> None:
    [sweeper] = stack.resources("Lambda::Function", under="Sweeper/")
    environment = sweeper.properties["Environment"]["Variables"]
    for name, statistic in {"Failed": "Sum", "Overdue": "Maximum", "Throttled": "Sum"}.items():
        alarm = alarms(stack)[name]
        assert alarm["MetricName"] in {field.name for field in fields(Sweep)} | {Metric.THROTTLED}
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
