"""The units that the page on costs goes by are those of the calls that the engine makes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pytest
from moto import mock_aws

from docs import costs
from task_scheduler.aws import names
from tests.aws.world import World, tables

READS: Final = "DynamoDB reads"
WRITES: Final = "DynamoDB writes"


class Meter:
    """A client of DynamoDB that counts the units of what goes through it; all items here are small."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - moto's client
        self._client = client
        self.units: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:  # noqa: ANN401 - as in boto3
            for unit, count in _units(name, parameters):
                self.units[unit] += count
            return getattr(self._client, name)(**parameters)

        return call


def _units(name: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield what a call consumes: an item's unit, twice in a transaction, and those of the index."""
    if name == "get_item":
        assert parameters["ConsistentRead"]  # half a unit otherwise
        yield READS, 1
    elif name == "transact_write_items":
        for item in parameters["TransactItems"]:
            [(kind, write)] = item.items()
            yield WRITES, 2 + _index_writes(kind, write)
    elif name in {"put_item", "update_item"}:
        yield WRITES, 1 + _index_writes({"put_item": "Put", "update_item": "Update"}[name], parameters)
    else:
        raise AssertionError(name)


def _index_writes(kind: str, write: Mapping[str, Any]) -> int:
    """Return how often the index is written to: a new item is put there, one that moves is deleted there first."""
    if kind == "Put":
        return 1 if names.BUCKET in write["Item"] else 0
    return 2 if names.BUCKET in str(write.get("ExpressionAttributeNames", {})) else 0


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, Meter]]:
    """A world, and the meter between its engine and its tables."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with mock_aws(), tables() as client:
        meter = Meter(client)
        yield World(meter), meter


def of_dynamodb(actions: Iterable[str], times: float = 1) -> dict[str, float]:
    usage = costs.added((times, costs.ACTIONS[action]) for action in actions)
    return {name: round(usage[name], 6) for name in (READS, WRITES) if name in usage}


def schedule(world: World, count: int = 1, tags: Mapping[str, str] | None = None) -> list[str]:
    tasks = [world.new_task(number=number, tags=tags) for number in range(1, count + 1)]
    for task in tasks:
        asyncio.run(world.engine.schedule(task))
    return [task.id for task in tasks]


def test_scheduling_takes_the_units_that_the_page_counts(metered: tuple[World, Meter]) -> None:
    world, meter = metered
    schedule(world)
    assert dict(meter.units) == of_dynamodb(["schedule"])
    assert world.faults.calls["start_execution"] == costs.ACTIONS["schedule"]["Step Functions"] == 1


@pytest.mark.parametrize("count", [1, 2, 8])
def test_tags_take_the_units_that_the_page_counts(metered: tuple[World, Meter], count: int) -> None:
    world, meter = metered
    schedule(world, tags={f"tag-{number}": "x" for number in range(count)})
    assert dict(meter.units) == of_dynamodb(["schedule", "first tag", *["further tag"] * (count - 1)])


def test_emitting_takes_the_units_that_the_page_counts(metered: tuple[World, Meter]) -> None:
    world, meter = metered
    schedule(world, costs.BATCH)
    meter.units.clear()
    world.advance(61)
    assert len(world.machine.published) == costs.BATCH
    assert dict(meter.units) == of_dynamodb(["emit"], costs.BATCH)


def test_cancelling_takes_the_units_that_the_page_counts(metered: tuple[World, Meter]) -> None:
    world, meter = metered
    [task_id] = schedule(world)
    meter.units.clear()
    asyncio.run(world.engine.cancel(task_id))
    assert dict(meter.units) == of_dynamodb(["cancel"])
    assert costs.ACTIONS["cancel"].keys() & {"Step Functions", "SNS publishes", "SQS"} == set()


def test_every_usage_has_a_price() -> None:
    for usage in (*costs.ACTIONS.values(), costs.LISTENER, costs.IDLE):
        assert usage.keys() <= costs.PRICES.keys()
