"""The API as design says it behaves, over HTTP, whatever engine is behind it."""

import pytest

pytest.register_assert_rewrite(
    "tests.conformance.api",
    "tests.conformance.contract",
    "tests.conformance.event_log",
    "tests.conformance.event_stream",
    "tests.conformance.task_list",
)
