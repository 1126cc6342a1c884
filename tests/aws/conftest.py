"""An AWS account in memory for each test."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.aws.world import World, tables


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with mock_aws(), tables() as dynamodb:
        yield World(dynamodb)
