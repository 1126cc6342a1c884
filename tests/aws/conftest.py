"""An AWS account in memory for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from task_scheduler.aws.task_store import SHARDS
from tests.support.world import World, tables


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """A world, and then another, each with an account of its own."""
    with ExitStack() as account:
        yield lambda *, shards=SHARDS: World(account.enter_context(tables()), shards=shards)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
