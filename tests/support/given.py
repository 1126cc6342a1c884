"""The deployment that is given on the command line, by --url, to the suites that ask by HTTP."""

import os
from typing import Final

import pytest

_SECRET: Final = "SECRET_OF_GIVEN_DEPLOYMENT"  # noqa: S105 - the name of a variable


def keep_secret() -> None:
    """Move its secret out of TASK_SCHEDULER_SECRET, which the tests must not see, to where the workers find it."""
    if found := os.environ.pop("TASK_SCHEDULER_SECRET", None):
        os.environ[_SECRET] = found


def secret(config: pytest.Config) -> str | None:
    """Return its secret: by --secret, or by the environment, which no log of make or pytest shows."""
    given: str | None = config.getoption("--secret")
    return given or os.environ.get(_SECRET)
