"""The model of the capacity: the constants of the code, and quotients that are easily checked."""

import inspect
import re
from pathlib import Path

import pytest

from lab.bench import capacity
from lab.bench.capacity import Model
from lab.bench.cost import LARGE, Cost, Deployment
from stacks.settings import Settings
from task_scheduler.aws.event_log import PARTITIONS
from task_scheduler.aws.sweeper import Sweeper
from task_scheduler.aws.task_store import SHARDS

ROOT = Path(__file__).resolve().parents[2]


def rates(model: Model) -> dict[str, float]:
    return {limit.name: limit.rate for limit in (*model.executions(capacity.WINDOW_S), *model.shared())}


def test_the_constants_are_those_of_the_code() -> None:
    settings = Settings()
    assert (capacity.SHARDS, capacity.EVENT_PARTITIONS) == (SHARDS, PARTITIONS)
    assert (settings.requests_per_second, settings.arming_window_days) == (capacity.REQUESTS, 1)
    assert inspect.signature(Sweeper).parameters["threads"].default == capacity.SWEEP_THREADS
    [spare] = re.findall(r"_SPARE_MS: Final = ([\d_]+)", (ROOT / "lambdas" / "sweeper.py").read_text())
    assert int(spare) == 55_000 - capacity.SWEEP_S * 1000  # a test of the template verifies the 55 s
    assert Deployment().sweeps_an_hour * capacity.SWEEP_EVERY_S == 3_600


def test_a_million_executions_are_open_after_a_day_of_eleven_a_second() -> None:
    assert rates(Model())["open executions"] == pytest.approx(1_000_000 / 86_400)


def test_the_event_log_takes_a_thousand_units_a_second_each_twice() -> None:
    assert rates(Model())["event log"] == 8 * 500
    assert rates(Model(size=LARGE))["event log"] == pytest.approx(8 * 1_000 / (2 * Cost(LARGE).event_writes))


def test_a_small_region_publishes_less_and_records_as_much() -> None:
    large, small = rates(Model()), rates(Model(small_region=True))
    assert (large["SNS publishes"], small["SNS publishes"]) == (30_000, 300)
    assert large["recorder"] == small["recorder"] == pytest.approx(50 / 0.303)
