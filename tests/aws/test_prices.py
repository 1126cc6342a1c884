"""The units that the page on costs goes by are those of the calls that the engine makes, for both sizes."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil
from typing import Any, Final

import pytest

from lab.bench.cost import (
    EVENT_BYTES,
    HOURS,
    LARGE,
    MAX_INLINE_BYTES,
    REFERENCE_BYTES,
    SMALL,
    TASK_BYTES,
    Cost,
    Deployment,
    Usage,
    added,
    month,
    parsed,
)
from lab.bench.prices import OFFERS, PRICES
from task_scheduler.api.routes import LONG_POLL_S
from task_scheduler.aws import event_log, schema
from task_scheduler.aws.task_store import StoredState
from task_scheduler.engine import IdempotencyKey
from task_scheduler.task import Task, changed_task, new_task
from tests.support.world import World, run, tables

READS: Final = "DynamoDB reads"
WRITES: Final = "DynamoDB writes"
BATCH: Final = Deployment().batch

pytestmark = pytest.mark.parametrize("size", [SMALL, LARGE])


class Meter:
    """A client of DynamoDB that counts the units of what goes through it, by the sizes of the items in the tables."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - moto's client
        self._client = client
        self.units: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:  # noqa: ANN401 - as in boto3
            writes = [*_writes(name, parameters)]
            before = [self._size(write) for write in writes]
            answer = getattr(self._client, name)(**parameters)
            for write, size in zip(writes, before, strict=True):
                units = ceil(max(size, self._size(write)) / 1024)
                self.units[WRITES] += units * (2 if name == "transact_write_items" else 1) + _index_writes(write)
            if name == "get_item":
                assert parameters["ConsistentRead"]  # half a unit otherwise
                self.units[READS] += max(ceil(_bytes(answer.get("Item", {})) / 4096), 1)
            elif name == "batch_get_item":
                [found] = answer["Responses"].values()
                self.units[READS] += sum(ceil(_bytes(item) / 4096) for item in found)
            elif name != "query":  # a look into the index is counted with the sweeper that makes it
                assert writes, name
            return answer

        return call

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return all that is in a table, without counting."""
        items: list[dict[str, Any]] = self._client.scan(TableName=table)["Items"]
        return items

    def _size(self, write: Mapping[str, Any]) -> int:
        """Return the bytes of the item that a write is about, as it is in its table now."""
        keys = {"tasks": [schema.TASK_ID], "events": [schema.PAGE, schema.SEQUENCE]}[write["TableName"]]
        key = write.get("Key") or {name: write["Item"][name] for name in keys}
        item = self._client.get_item(TableName=write["TableName"], Key=key).get("Item")
        return 0 if item is None else _bytes(item)


def _bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return an item's size: its names, its texts, and for each number a byte for two digits, and one more.

    A map takes three bytes, and one for each of its fields, beside what is in it (AWS, DynamoDB item sizes).
    """
    sizes: Mapping[str, Callable[[Any], int]] = {
        "S": lambda text: len(text.encode()),
        "N": lambda number: ceil(len(number) / 2) + 1,
        "M": lambda fields: 3 + len(fields) + _bytes(fields),
    }
    return sum(len(name) + sizes[kind](value) for name, typed in item.items() for kind, value in typed.items())


def _writes(name: str, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if name == "transact_write_items":
        for item in parameters["TransactItems"]:
            yield from item.values()
    elif name in {"put_item", "update_item"}:
        yield parameters


def _index_writes(write: Mapping[str, Any]) -> int:
    """Return how often the index is written to: a new item is put there, one that moves is deleted there first."""
    if "Item" in write:
        return 1 if schema.BUCKET in write["Item"] else 0
    return 2 if schema.BUCKET in str(write.get("ExpressionAttributeNames", {})) else 0


@pytest.fixture
def metered() -> Iterator[tuple[World, Meter]]:
    """A world, and the meter between its engine and its tables."""
    with tables() as client:
        meter = Meter(client)
        world = World(meter)
        world.clock.sleep(61)
        world.log.seal(
            world.log.reserve_sequence(1)
        )  # makes the checkpoint of the minute in which the tasks are recorded
        world.clock.sleep(-61)
        meter.units.clear()
        yield world, meter


def of_dynamodb(usages: Iterable[Usage], times: float = 1) -> dict[str, float]:
    usage = added((times, usage) for usage in usages)
    return {name: round(usage[name], 6) for name in (READS, WRITES) if usage.get(name)}


def schedule(world: World, size: int, count: int = 1, tags: Mapping[str, str] | None = None) -> list[Task]:
    """Schedule tasks whose events have so many bytes, give or take ten."""
    tasks = []
    for number in range(1, count + 1):
        body: dict[str, Any] = {"in": 60, "message": ""} | ({"tags": tags} if tags else {})
        task_id = f"00000000-0000-4000-8000-{number:012}"
        empty = new_task(body, task_id=task_id, now_ms=world.clock.ms)
        body["message"] = "x" * (size - len(empty.payload))
        tasks.append(new_task(body, task_id=task_id, now_ms=world.clock.ms))
        key = IdempotencyKey(str(uuid.UUID(int=number)), "f" * 64)  # as our clients send one
        run(world.engine.schedule(tasks[-1], key))
    return tasks


def test_scheduling_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    schedule(world, size)
    assert dict(meter.units) == of_dynamodb([Cost(size).schedule()])
    assert world.faults.calls["start_execution"] == Cost(size).schedule()["Step Functions"] == 1


@pytest.mark.parametrize("count", [1, 2, 8])
def test_tags_take_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int, count: int) -> None:
    world, meter = metered
    cost = Cost(size)
    schedule(world, size, tags={f"tag-{number}": "x" for number in range(count)})
    assert dict(meter.units) == of_dynamodb([cost.schedule(), cost.first_tag(), *[cost.further_tag()] * (count - 1)])


def test_emitting_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    schedule(world, size, BATCH)
    meter.units.clear()
    world.advance(61)
    assert len(world.published) == BATCH
    assert dict(meter.units) == of_dynamodb([Cost(size).emit()], BATCH)


def test_cancelling_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    [task] = schedule(world, size)
    meter.units.clear()
    run(world.engine.cancel(task.id))
    assert dict(meter.units) == of_dynamodb([Cost(size).cancel()])
    assert Cost(size).cancel().keys() & {"Step Functions", "SNS publishes", "SQS"} == set()


def test_rescheduling_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    [task] = schedule(world, size)
    meter.units.clear()
    world.faults.calls.clear()
    run(world.engine.reschedule(task.id, lambda old: changed_task(old, {"in": "2h"}, now_ms=world.clock.ms)))
    assert dict(meter.units) == of_dynamodb([Cost(size).reschedule()])
    assert world.faults.calls["start_execution"] == Cost(size).reschedule()["Step Functions"] == 1


def test_starting_a_parked_task_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    world.faults.plan("start_execution", "throttled")
    schedule(world, size)
    assert [found.state for found in world.task_store.get_all(["00000000-0000-4000-8000-000000000001"])] == [
        StoredState.PARKED
    ]
    meter.units.clear()
    world.sweep()
    assert dict(meter.units) == of_dynamodb([Cost(size).park()])


def test_items_are_as_large_as_the_page_reckons(metered: tuple[World, Meter], size: int) -> None:
    world, meter = metered
    schedule(world, size)
    world.advance(61)
    found: dict[str, int] = {}
    for table in ("tasks", "events"):
        [item] = [item for item in meter.items(table) if "event" in item]
        found[table] = _bytes(item) - _bytes({"": item["event"]})
    assert TASK_BYTES - 10 <= found["tasks"] <= TASK_BYTES
    assert EVENT_BYTES - 10 <= found["events"] <= EVENT_BYTES
    in_the_log = _bytes({"": item["event"]})
    assert in_the_log == size if size == SMALL else REFERENCE_BYTES - 10 <= in_the_log <= REFERENCE_BYTES
    assert event_log.MAX_INLINE_BYTES == MAX_INLINE_BYTES


def test_a_listener_takes_the_units_that_the_page_counts(metered: tuple[World, Meter], size: int) -> None:
    """It waits for the event, and is answered with it; a query is counted here, as it is consistent and finds one."""
    world, meter = metered
    schedule(world, size)
    world.advance(61)
    meter.units.clear()
    world.faults.calls.clear()
    run(world.engine.wait_for_events(after=1, seconds=1))
    assert len(run(world.engine.events(after=1, limit=100))) == 1
    run(world.engine.position())
    [event] = [item for item in meter.items("events") if "event" in item]
    meter.units[READS] += world.faults.calls["query"] * ceil(_bytes(event) / 4096)
    assert dict(meter.units) == of_dynamodb([Cost(size).streamed()])


def test_a_listener_reconnects_as_often_as_a_poll_ends(size: int) -> None:
    assert Cost(size).listener()["Lambda calls"] == HOURS * 3600 / LONG_POLL_S


def test_every_usage_has_a_price_and_a_name_of_its_own(size: int) -> None:
    cost = Cost(size)
    of_a_task = (cost.emitted(), cost.cancel(), cost.https_delivery(), cost.streamed())
    of_a_month = (cost.listener(), cost.idle(), cost.environment(), cost.polling(), cost.monitoring())
    for usage in (*of_a_task, *of_a_month):
        assert usage.keys() <= PRICES.keys()


def test_an_environment_reads_both_versions_of_the_secret_every_five_minutes(size: int) -> None:
    assert Cost(size).environment() == {"Secrets Manager calls": 2 * 12 * 730}
    assert Cost(size, Deployment(secrets=0)).environment() == {"Secrets Manager calls": 0}


def test_a_month_is_the_sum_of_what_happens_in_it(size: int) -> None:
    given = parsed(["--tasks", "10", "--bytes", str(size), "--tags", "2", "--cancelled", "4", "--https", "3"])
    usage = month(given, Deployment())
    assert usage["Step Functions"] == 10 + 6
    assert usage["SNS to https"] == 3 * 6 * ceil(size / 65536)
    assert usage["API Gateway (REST)"] == 10 + 4
    cost = Cost(size)
    used = [*[cost.schedule(), cost.first_tag(), cost.further_tag()] * 10, *[cost.cancel()] * 4, *[cost.emit()] * 6]
    assert usage[WRITES] == pytest.approx(added((1, one) for one in used)[WRITES])


def test_offers_count_pieces_where_their_pages_say_so(size: int) -> None:
    by_name = {offer.name: offer.million(size) for offer in OFFERS}
    assert by_name["EventBridge Scheduler"] == 1
    assert by_name["QStash, paid by use"] == {SMALL: 10, LARGE: 12.5}[size]  # 50 GB of 100 are free
    assert by_name["Cloud Tasks"] == pytest.approx(0.4 * 2 * ceil(size / 32768))
