"""The promises of the AWS engine while a part of all its calls goes wrong: seeded, in memory, by a virtual clock.

CHAOS_SEED=8 CHAOS_TASKS=500 make test ARGS='-m slow tests/lab/test_aws_world.py' plays another, longer story.
"""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random
from typing import Final

import pytest

from lab.chaos.aws.nemesis import Plan
from lab.support.checker import Verdict
from tests.lab.small_aws import SmallAws
from tests.lab.virtual_time import VirtualTimeLoop
from tests.support.world import tables

pytestmark = pytest.mark.slow

SEED: Final = os.environ.get("CHAOS_SEED", "7")
TASKS: Final = int(os.environ.get("CHAOS_TASKS", "40"))
SECONDS: Final = 60.0

Run = Callable[[str, float, int], tuple[SmallAws, Verdict]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run with a seed, a rate and so many tasks, in an account of its own."""
    with ExitStack() as account:

        def go(seed: str, rate: float, count: int) -> tuple[SmallAws, Verdict]:
            account.close()
            drawn = Random(seed)  # noqa: S311 - for a test
            monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=drawn.getrandbits(128), version=4))
            aws = SmallAws(account.enter_context(tables()), Plan(seed, rate), seconds=SECONDS)
            with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(aws.world.clock)) as runner:
                return aws, runner.run(aws.run(seed, count, SECONDS))

        yield go


@pytest.mark.parametrize(
    "rate", [pytest.param(0.05, marks=pytest.mark.lab), 0.2, pytest.param(0.6, marks=pytest.mark.lab)]
)
def test_every_accepted_task_is_accounted_for_once(run: Run, rate: float) -> None:
    aws, verdict = run(SEED, rate, TASKS)
    assert verdict.violations == []
    assert verdict.accepted == TASKS
    assert verdict.emitted + verdict.cancelled + verdict.scheduled == TASKS
    assert aws.plan.faults.total() > rate * aws.plan.calls.total() / 2


@pytest.mark.lab
def test_the_same_seed_makes_the_same_history(run: Run) -> None:
    (one, _), (same, _), (other, _) = run("3", 0.2, 8), run("3", 0.2, 8), run("4", 0.2, 8)
    assert one.observed == same.observed != other.observed
    assert (one.history.responses, one.plan.faults) == (same.history.responses, same.plan.faults)
