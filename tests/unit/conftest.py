"""Fixtures that several files use."""

import pytest

from tests.support.fake_service import Asynchronous, Kind, Synchronous


@pytest.fixture(params=[Synchronous, Asynchronous], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the two clients."""
    found: Kind = request.param
    return found


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the tests that are coroutines."""
    return "asyncio"
