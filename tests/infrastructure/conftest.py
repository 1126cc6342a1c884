"""The stack as it is synthesised with different settings."""

import pytest

from stacks.settings import Settings
from tests.infrastructure.test_subscribers import EMAIL, FUNCTION, HTTPS, QUEUE
from tests.support.synthesis import Synthesis, shared_synthesis


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """With the settings that a stranger deploys."""
    return shared_synthesis(tmp_path_factory, Settings())


@pytest.fixture(scope="session")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Without a secret."""
    return shared_synthesis(tmp_path_factory, Settings(secret=False))


@pytest.fixture(scope="session")
def other_stack(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """With every setting away from its default, but for the secret."""
    settings = Settings(
        stack="TaskSchedulerOther",
        production=True,
        keep_tables=False,
        dashboard=False,
        alarm_email=EMAIL,
        recorder_concurrency=20,
        log_retention_days=7,
        task_retention_days=60,
        event_retention_days=14,
        arming_window_days=0.5,
        subscribers=(HTTPS, EMAIL, QUEUE, FUNCTION),
        stream_listeners=10,
        stream_reserved_concurrency=20,
        requests_per_second=50,
        request_burst=80,
    )
    return shared_synthesis(tmp_path_factory, settings)
