"""Fixtures that several files use."""

import pytest

from task_scheduler.client import AsyncClient, Client
from tests.support.fake_service import Kind, Scripted


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the two clients."""
    return Kind(Scripted, kind=request.param)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the tests that are coroutines."""
    return "asyncio"
