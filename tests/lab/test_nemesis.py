"""Which calls go wrong is drawn from a seed, and nothing else decides it."""

from collections import Counter

import pytest

from lab.chaos.aws.nemesis import CONFLICTING, Kind, Plan
from lab.support.workload import Act, scripts

pytestmark = pytest.mark.lab


def drawn(plan: Plan, operation: str, calls: int = 2000) -> list[Kind | None]:
    return [plan.next(operation) for _ in range(calls)]


def test_the_same_seed_draws_the_same_faults_whatever_is_called_in_between() -> None:
    alone, among_others = Plan("7", 0.2), Plan("7", 0.2)
    found = []
    for _ in range(500):
        among_others.next("GetItem")
        found.append(among_others.next("PutItem"))
    assert found == drawn(alone, "PutItem", 500)
    assert found != drawn(Plan("8", 0.2), "PutItem", 500)


@pytest.mark.parametrize("rate", [0, 0.05, 0.5, 1])
def test_the_rate_is_the_part_of_calls_that_go_wrong(rate: float) -> None:
    found = drawn(Plan("1", rate), "PutItem")
    assert abs(sum(kind is not None for kind in found) / len(found) - rate) < 0.03


@pytest.mark.parametrize("operation", ["TransactWriteItems", "BatchGetItem", "StartExecution"])
def test_every_kind_is_drawn_that_an_operation_can_meet_and_no_other(operation: str) -> None:
    expected = set(Kind)
    expected -= set() if operation in CONFLICTING else {Kind.CONFLICT}
    expected -= set() if operation == "BatchGetItem" else {Kind.PARTIAL}
    assert set(drawn(Plan("1", 1), operation)) == expected


def test_after_the_end_nothing_goes_wrong_and_nothing_is_counted() -> None:
    plan = Plan("1", 1)
    drawn(plan, "PutItem", 10)
    plan.end()
    assert drawn(plan, "PutItem", 10) == [None] * 10
    assert plan.calls == {"PutItem": 10}
    assert plan.faults.total() == 10


def test_a_script_does_all_that_can_be_done_to_tasks_and_is_the_same_for_a_seed() -> None:
    played = list(scripts("7", 1000, 250))
    assert played == list(scripts("7", 1000, 250))
    assert played != list(scripts("8", 1000, 250))
    acts = Counter(step.act for script in played for step in script.steps)
    assert acts.keys() == set(Act)
    assert min(acts.values()) > 10
    assert {script.due_in_s > 250 for script in played} == {script.due_in_s < 0 for script in played} == {True, False}
    assert all(script.tagged for script in played if any(step.act is Act.TAG_CANCEL for step in script.steps))
