"""An AWS account in memory for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from moto import mock_aws

from task_scheduler.aws.registry import SHARDS
from tests.aws.world import World, tables


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """A world, and then another, each with an account of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with ExitStack() as account:

        def make(*, shards: int = SHARDS) -> World:
            account.close()
            account.enter_context(mock_aws())
            return World(account.enter_context(tables()), shards=shards)

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
