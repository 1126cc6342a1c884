"""What several suites share: clients, servers, fakes of AWS, a receiver, clocks."""

import pytest

pytest.register_assert_rewrite(
    "tests.support.api",
    "tests.support.contract",
    "tests.support.event_log",
    "tests.support.event_stream",
    "tests.support.task_list",
)
