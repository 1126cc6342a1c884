"""A Task Scheduler for your tests, with a clock that they set forward. Copy this file beside your own tests."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from task_scheduler.client import Client, Event

COMMAND = Path(sysconfig.get_path("scripts")) / "task-scheduler"


class Scheduler:
    """A running Task Scheduler, as one test sees it."""

    def __init__(self, url: str, client: Client) -> None:
        self.url = url
        self.client = client
        newest = client.emitted(before=2**63 - 1, limit=1)
        self._position = newest[0].sequence if newest else 0

    def advance(self, by: str) -> list[Event]:
        """Set the clock forward, by "90s", "2h" or "30d"; returns what was emitted since the last time."""
        # When the answer is there, all that was due by then has been emitted.
        httpx.post(f"{self.url}/clock", json={"advance": by}, trust_env=False).raise_for_status()
        emitted: list[Event] = []
        while page := self.client.emitted(after=self._position, limit=1000):
            emitted += page
            self._position = page[-1].sequence
        return emitted


@pytest.fixture(scope="session")
def scheduler_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests, on a free port, with a file that goes with the run."""
    data = tmp_path_factory.mktemp("task-scheduler") / "tasks.db"
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--test-clock", "--data", data],
        env={name: value for name, value in os.environ.items() if not name.startswith("TASK_SCHEDULER_")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # waits for its end
        try:
            first_line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"listens on (\S+)", first_line)
            if not found:
                pytest.fail("Task Scheduler did not start; why is on its standard error.")
            yield found[1]
        finally:
            process.terminate()


@pytest.fixture
def scheduler(scheduler_url: str) -> Iterator[Scheduler]:
    """The server without tasks of other tests. The clock is where they left it, and their idempotency keys are used."""
    with Client(scheduler_url, secret="") as client:
        yield Scheduler(scheduler_url, client)
        for task in client.list(status="scheduled"):
            client.cancel(task.id)
