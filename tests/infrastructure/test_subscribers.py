"""Subscribers in the template: those that the setting names, each in the way it can be reached."""

from typing import Any, Final

import pytest

from tests.support.synthesis import ROOT, Synthesis

HTTPS: Final = "https://example.com/hook"
EMAIL: Final = "someone@example.com"
QUEUE: Final = "arn:aws:sqs:eu-central-1:123456789012:orders"
FUNCTION: Final = "arn:aws:lambda:us-east-1:123456789012:function:orders:live"


def subscriptions(stack: Synthesis) -> dict[str, Any]:
    """Return the properties of each subscription by its endpoint."""
    found = [one.properties for one in stack.resources("SNS::Subscription", under="Subscribers/")]
    return {one["Endpoint"]: one for one in found}


def test_without_subscribers_only_the_recorder_hears_the_topic(stack: Synthesis) -> None:
    assert subscriptions(stack) == {}
    assert not stack.resources("SQS::Queue", under="Subscribers/")


@pytest.mark.parametrize(
    ("endpoint", "protocol"), [(HTTPS, "https"), (EMAIL, "email"), (QUEUE, "sqs"), (FUNCTION, "lambda")]
)
def test_a_subscriber_hears_the_topic(other_stack: Synthesis, endpoint: str, protocol: str) -> None:
    subscription = subscriptions(other_stack)[endpoint]
    assert subscription["Protocol"] == protocol
    assert other_stack.text(subscription["TopicArn"]) == "<Delivery/Topic>"


def test_the_event_comes_as_it_is_to_whom_sns_can_send_it_so(other_stack: Synthesis) -> None:
    raw = {endpoint for endpoint, one in subscriptions(other_stack).items() if one.get("RawMessageDelivery")}
    assert raw == {HTTPS, QUEUE}


def test_what_cannot_be_delivered_is_kept_for_every_subscriber(other_stack: Synthesis) -> None:
    for subscription in subscriptions(other_stack).values():
        assert other_stack.text(subscription["RedrivePolicy"]["deadLetterTargetArn"]) == "<Subscribers/DeadLetters.Arn>"
    allowed = {
        (one["Principal"]["Service"], other_stack.text(one["Condition"]["ArnEquals"]["aws:SourceArn"]))
        for policy in other_stack.resources("SQS::QueuePolicy", under="Subscribers/")
        for one in policy.properties["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    }
    assert allowed == {("sns.amazonaws.com", "<Delivery/Topic>")}


def test_the_topic_may_call_a_function_of_the_same_account_and_region(other_stack: Synthesis) -> None:
    [permission] = other_stack.resources("Lambda::Permission", under="Subscribers/")
    assert permission.properties["FunctionName"] == FUNCTION
    assert permission.properties["Action"] == "lambda:InvokeFunction"
    assert permission.properties["Principal"] == "sns.amazonaws.com"
    assert other_stack.text(permission.properties["SourceArn"]) == "<Delivery/Topic>"
    condition = other_stack.template["Conditions"][permission.whole["Condition"]]
    assert condition == {
        "Fn::And": [
            {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "123456789012"]},
            {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]},
        ]
    }


def test_the_page_about_subscribers_names_what_there_is(other_stack: Synthesis) -> None:
    page = (ROOT / "docs" / "aws-subscribers.md").read_text()
    [queue] = other_stack.resources("SQS::Queue", under="Subscribers/")
    [alarm] = other_stack.resources("CloudWatch::Alarm", under="Monitoring/NotDelivered")
    for name in ("`subscribers`", "TopicArn", queue.path, alarm.path.removeprefix("Monitoring/")):
        assert name in page
