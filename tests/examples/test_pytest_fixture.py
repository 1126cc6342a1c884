"""The fixture for other people's tests: it runs theirs, and leaves no server behind."""

import pytest

from tests.examples.printed import Workplace, printed

pytestmark = pytest.mark.slow

PYTEST = printed("python -m pytest examples/pytest_fixture")


def test_an_app_is_tested_with_it(nowhere: Workplace) -> None:
    done = nowhere.run(f"{PYTEST} -p no:cacheprovider", TASK_SCHEDULER_SECRET="not for tests")  # noqa: S106 - any
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_test_that_fails_leaves_no_server_and_no_task(nowhere: Workplace) -> None:
    (nowhere.folder / "examples" / "pytest_fixture" / "test_trial_period.py").write_text(
        """
import os
from pathlib import Path

def test_fails(scheduler):
    scheduler.client.schedule_in("1d", "never")
    Path("url").write_text(scheduler.url)
    raise RuntimeError

def test_finds_nothing(scheduler):
    assert scheduler.advance("2d") == []
"""
    )
    done = nowhere.run(f"{PYTEST} -p no:cacheprovider -p no:randomly")
    assert "1 failed, 1 passed" in done.stdout
    url = (nowhere.folder / "url").read_text()
    gone = nowhere.run(f"curl -sS {url}/health")
    assert gone.returncode != 0


def test_a_server_that_does_not_start_is_said(nowhere: Workplace) -> None:
    conftest = nowhere.folder / "examples" / "pytest_fixture" / "conftest.py"
    conftest.write_text(conftest.read_text().replace('"--test-clock"', '"--no-such-option"'))
    done = nowhere.run(f"{PYTEST} -p no:cacheprovider")
    assert done.returncode == 1
    assert "Task Scheduler did not start" in done.stdout
    assert "no-such-option" in done.stdout + done.stderr
