"""What each operation asks of AWS, counted where botocore sends it: calls, items that are read, and bytes.

The tables are moto's, in memory. They are filled from behind, since their API would take minutes; what is counted goes
through botocore as in a function.
"""

import asyncio
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from botocore.session import Session, get_session
from moto import mock_aws
from moto.backends import get_backend
from moto.dynamodb.models.table import Table

from lab.bench.aws.function import environment
from task_scheduler.aws import schema
from task_scheduler.aws.engine import AwsEngine
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionTimer
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.sweeper import Sweeper
from task_scheduler.aws.task_store import StoredState, TaskStore
from task_scheduler.engine import TaskQuery
from task_scheduler.metrics import NullMetrics
from task_scheduler.task import Event, Status, Task, changed_task, new_task

PAGE: Final = 50
BATCH: Final = 10
_HOUR_MS: Final = 3_600_000
_ACCOUNT: Final = "123456789012"  # moto's
_KEPT_DAYS: Final = 30


@dataclass
class Cost:
    """What one operation asked of AWS."""

    calls: Counter[str] = field(default_factory=Counter)
    """By the names that AWS has for them."""
    items: int = 0
    """Read from tables and indexes."""
    sent: int = 0
    """Bytes in the bodies of requests."""
    received: int = 0
    """Bytes in the bodies of answers."""


class Meter:
    """Notes what goes through the clients of a session."""

    def __init__(self, session: Session) -> None:
        self.cost = Cost()
        session.register("before-send", self._note_request)  # type: ignore[arg-type]  # it is called with names
        session.register("response-received", self._note_answer)  # type: ignore[arg-type]  # the same

    def _note_request(self, request: Any, event_name: str, **_: object) -> None:  # noqa: ANN401 - botocore's own
        self.cost.calls[event_name.rpartition(".")[2]] += 1
        self.cost.sent += len(request.body)

    def _note_answer(self, response_dict: Any, parsed_response: Any, **_: object) -> None:  # noqa: ANN401 - the same
        self.cost.received += len(response_dict["body"])
        pages = parsed_response.get("Responses", {}).values()
        self.cost.items += len(parsed_response.get("Items", ())) + sum(map(len, pages)) + ("Item" in parsed_response)


class Account:
    """The engine, the recorder and the sweeper over tables that hold many tasks."""

    def __init__(self, pending: int) -> None:
        session = get_session()
        self.meter = Meter(session)
        self.now_ms = time.time_ns() // 1_000_000
        dynamodb: Any = session.create_client("dynamodb")
        stepfunctions: Any = session.create_client("stepfunctions")
        _make_tables(dynamodb)
        timer = ExecutionTimer(stepfunctions, _make_machine(stepfunctions))
        self.task_store = self._task_store(dynamodb)
        log = self._log(dynamodb)
        self.engine = AwsEngine(
            self.task_store, timer, log, arming_window_days=360, now_ms=self._now, metrics=NullMetrics()
        )
        self.recorder = Recorder(self.task_store, log, now_ms=self._now, metrics=NullMetrics())
        self.sweeper = Sweeper(
            self.task_store, timer, self.recorder, arming_window_days=360, now_ms=self._now, threads=1
        )
        self._fill(pending, log)

    def task(self, number: int, tags: Mapping[str, str] | None = None) -> Task:
        """Make the task of a number; all are due in an hour or so, later ones later, and of the same size."""
        body = {"in": 3600 + number / 1000, "message": "Hello", **({"tags": tags} if tags else {})}
        return new_task(body, task_id=str(uuid.UUID(int=number)), now_ms=self.now_ms)

    def cost(self, operation: Callable[["Account", Task], object], task: Task) -> Cost:
        """Run an operation on a task that is scheduled, and return what it asked for."""
        asyncio.run(self.engine.schedule(task))
        self.meter.cost = Cost()
        operation(self, task)
        cost, self.meter.cost = self.meter.cost, Cost()
        return cost

    def _now(self) -> int:
        return self.now_ms

    def _task_store(self, client: Any) -> TaskStore:  # noqa: ANN401 - a client, or what stands in for one
        return TaskStore(client, "tasks", retention_days=_KEPT_DAYS)

    def _log(self, client: Any) -> EventLog:  # noqa: ANN401 - the same
        return EventLog(client, "events", "tasks", retention_days=_KEPT_DAYS, now_ms=self._now)

    def _fill(self, pending: int, log: EventLog) -> None:
        """Keep so many tasks, and as many events of others."""
        tables = get_backend("dynamodb")[_ACCOUNT][os.environ["AWS_REGION"]].tables

        class Behind:
            def put_item(self, *, TableName: str, Item: Any, **_: object) -> None:  # noqa: ANN401, N803 - as in boto3
                tables[TableName].put_item(Item)

        behind = Behind()
        task_store = self._task_store(behind)
        log.reserve_sequence(pending)
        for number in range(pending):
            task = self.task(number)
            task_store.put(task, StoredState.SCHEDULED)
            event = Event(number + 1, task.id, task.payload, emitted_ms=self.now_ms, indexed_ms=self.now_ms - _HOUR_MS)
            behind.put_item(**self._log(behind).append_request(event))


OPERATIONS: Final[Mapping[str, Callable[[Account, Task], object]]] = {
    "schedule": lambda account, task: asyncio.run(account.engine.schedule(_another(account, task, None))),
    "schedule with a tag": lambda account, task: asyncio.run(
        account.engine.schedule(_another(account, task, {"user": "42"}))
    ),
    "get": lambda account, task: asyncio.run(account.engine.get(task.id)),
    "cancel": lambda account, task: asyncio.run(account.engine.cancel(task.id)),
    "reschedule": lambda account, task: asyncio.run(
        account.engine.reschedule(task.id, lambda old: changed_task(old, {"in": "2h"}, now_ms=account.now_ms))
    ),
    f"list {PAGE} scheduled": lambda account, _: asyncio.run(
        account.engine.tasks(TaskQuery(status=Status.SCHEDULED), limit=PAGE)
    ),
    f"list {PAGE} of any status": lambda account, _: asyncio.run(account.engine.tasks(TaskQuery(), limit=PAGE)),
    "sweep with nothing to do": lambda account, _: account.sweeper.sweep(end_ms=account.now_ms + 45_000),
    "record one": lambda account, task: account.recorder.record([Emission(task.payload, account.now_ms)]),
    f"record {BATCH} at once": lambda account, _: account.recorder.record(_batch(account)),
    f"page of {PAGE} events": lambda account, _: asyncio.run(account.engine.events(after=500, limit=PAGE)),
}


def costs(pending: int) -> dict[str, Cost]:
    """Return what each operation asks for with so many tasks pending and as many events in the log."""
    with _no_account(), mock_aws(), _no_way_back():
        account = Account(pending)
        return {
            name: account.cost(operation, account.task(pending + 100 * number))
            for number, (name, operation) in enumerate(OPERATIONS.items(), 1)
        }


def _another(account: Account, task: Task, tags: Mapping[str, str] | None) -> Task:
    return account.task(uuid.UUID(task.id).int + 1, tags)


def _batch(account: Account) -> list[Emission]:
    """Return the emissions of a few of the tasks that the tables were filled with."""
    return [Emission(account.task(number).payload, account.now_ms) for number in range(BATCH)]


def _no_account() -> AbstractContextManager[object]:
    return patch.dict(os.environ, environment(), clear=True)


def _no_way_back() -> AbstractContextManager[object]:
    """Keep moto from copying all tables before each transaction, in case that it fails; here none does."""
    selective = SimpleNamespace(deepcopy=lambda found: found if isinstance(found, Table) else deepcopy(found))
    return patch("moto.dynamodb.models.copy", selective)


def _make_machine(client: Any) -> str:  # noqa: ANN401 - a client of botocore
    arn: str = client.create_state_machine(
        name="timer",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn=f"arn:aws:iam::{_ACCOUNT}:role/timer",
    )["stateMachineArn"]
    return arn


def _make_tables(client: Any) -> None:  # noqa: ANN401 - a client of botocore
    """Make both tables with the keys that the stack gives them."""
    index = {
        "IndexName": schema.BY_DUE,
        "KeySchema": _key(schema.BUCKET, schema.DUE_ID),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    client.create_table(
        TableName="tasks",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=_types("S", schema.TASK_ID, schema.BUCKET, schema.DUE_ID),
        KeySchema=_key(schema.TASK_ID),
        GlobalSecondaryIndexes=[index],
    )
    client.create_table(
        TableName="events",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=_types("N", schema.PAGE, schema.SEQUENCE),
        KeySchema=_key(schema.PAGE, schema.SEQUENCE),
    )


def _key(*attributes: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(attributes, ("HASH", "RANGE"), strict=False)]


def _types(kind: str, *attributes: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name in attributes]
