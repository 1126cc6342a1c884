"""What the AWS engine does costs what it returns, not what is stored: counted in calls, items read and bytes."""

import pytest

from lab.bench.aws import counted
from lab.bench.aws.counted import Cost
from task_scheduler.aws.event_log import PARTITIONS
from task_scheduler.aws.task_store import SHARDS, StoredState


@pytest.fixture(scope="module")
def few() -> dict[str, Cost]:
    return counted.costs(1_000)


@pytest.fixture(scope="module")
def many() -> dict[str, Cost]:
    """With four times as many; the emulated tables are slow to search, and `make bench-aws` counts with 100,000."""
    return counted.costs(4_000)


CALLS: dict[str, dict[str, int]] = {
    "schedule": {"PutItem": 1, "StartExecution": 1},
    "schedule with a tag": {"TransactWriteItems": 1, "StartExecution": 1},
    "get": {"GetItem": 1},
    "cancel": {"GetItem": 1, "StopExecution": 1, "UpdateItem": 1},
    "reschedule": {"GetItem": 1, "StopExecution": 1, "UpdateItem": 1, "StartExecution": 1},
    "list 50 scheduled": {"Query": 3 * SHARDS, "BatchGetItem": 1},  # parked, armed, and parked again
    "list 50 of any status": {"Query": (len(StoredState) + 1) * SHARDS, "BatchGetItem": 1},
    "sweep with nothing to do": {"Query": 2 * SHARDS},
    "record one": {"GetItem": 1, "UpdateItem": 1, "TransactWriteItems": 1},
    "record 10 at once": {"GetItem": 10, "UpdateItem": 1, "TransactWriteItems": 10},
    "page of 50 events": {"GetItem": 1, "Query": PARTITIONS},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", counted.OPERATIONS)
def test_an_operation_makes_the_same_calls_with_many_tasks_as_with_few(
    few: dict[str, Cost], many: dict[str, Cost], name: str
) -> None:
    assert few[name].calls == many[name].calls == CALLS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", counted.OPERATIONS)
def test_an_operation_reads_and_moves_the_same_with_many_tasks_as_with_few(
    few: dict[str, Cost], many: dict[str, Cost], name: str
) -> None:
    assert few[name].items == many[name].items
    assert many[name].sent == pytest.approx(few[name].sent, rel=0.01, abs=8), "but for longer numbers of events"
    assert many[name].received == pytest.approx(few[name].received, rel=0.01, abs=8)
