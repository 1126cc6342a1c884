"""The model of the capacity has the constants of the code."""

import inspect
import re
from pathlib import Path

from lab.bench import capacity
from lab.bench.cost import Deployment
from stacks.settings import Settings
from task_scheduler.aws.event_log import PARTITIONS
from task_scheduler.aws.sweeper import Sweeper
from task_scheduler.aws.task_store import SHARDS

ROOT = Path(__file__).resolve().parents[2]


def test_the_constants_are_those_of_the_code() -> None:
    settings = Settings()
    assert (capacity.SHARDS, capacity.EVENT_PARTITIONS) == (SHARDS, PARTITIONS)
    assert (settings.requests_per_second, settings.arming_window_days) == (capacity.REQUESTS, 1)
    assert inspect.signature(Sweeper).parameters["threads"].default == capacity.SWEEP_THREADS
    [spare] = re.findall(r"_SPARE_MS: Final = ([\d_]+)", (ROOT / "lambdas" / "sweeper.py").read_text())
    assert int(spare) == 55_000 - capacity.SWEEP_S * 1000  # a test of the template verifies the 55 s
    assert Deployment().sweeps_an_hour * capacity.SWEEP_EVERY_S == 3_600
