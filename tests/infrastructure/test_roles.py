"""Least privilege: the calls of each role, all of them, and on what."""

import pytest

from tests.infrastructure.permissions import NEEDED_BY, QUEUE, SECRET, TOPIC, Call
from tests.support.synthesis import Synthesis


def granted(stack: Synthesis, role: str) -> set[Call]:
    """Return each call of a role with what it may be made on."""
    found = []
    for policy in stack.resources("IAM::Policy", under=role):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            assert statement.keys() <= {"Effect", "Action", "Resource"}
            assert statement["Effect"] == "Allow"
        found += stack.calls(policy)
    assert len(found) == len(set(found)), "a permission is given twice"
    return set(found)


@pytest.mark.parametrize("role", NEEDED_BY)
def test_a_role_has_what_is_needed_and_nothing_else(stack: Synthesis, role: str) -> None:
    assert granted(stack, role) == NEEDED_BY[role].keys()


def test_what_is_needed_is_known_of_every_role(stack: Synthesis) -> None:
    assert {role.path for role in stack.resources("IAM::Role")} == NEEDED_BY.keys()


def test_a_role_has_no_policy_but_its_own(stack: Synthesis) -> None:
    for role in stack.resources("IAM::Role"):
        assert role.properties.keys() == {"AssumeRolePolicyDocument"}
    for policy in stack.resources("IAM::Policy"):
        assert len(policy.properties["Roles"]) == 1


def test_without_a_secret_nothing_may_read_one(open_stack: Synthesis) -> None:
    for role, needed in NEEDED_BY.items():
        assert granted(open_stack, role) == {call for call in needed if call[1] != SECRET}


def test_only_the_topic_may_send_to_the_recorders_queue_and_nobody_without_tls(stack: Synthesis) -> None:
    [policy] = stack.resources("SQS::QueuePolicy", under="Recorder/Events/")
    allowed = [one for one in policy.properties["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert [(one["Action"], one["Principal"], stack.text(one["Resource"])) for one in allowed] == [
        ("sqs:SendMessage", {"Service": "sns.amazonaws.com"}, QUEUE)
    ]
    assert stack.text(allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"]) == TOPIC
