"""The tasks table: the truth about every task. Every change names the state and the revision that it starts from."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from task_scheduler import timestamp
from task_scheduler.aws.clients import code
from task_scheduler.aws.names import BUCKET, BY_DUE, DUE_ID, EXPIRES_AT, TASK_ID
from task_scheduler.task import Status, Task

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

SHARDS: Final = 8
"""Partitions of each state in the index: one takes 1,000 writes a second (AWS, DynamoDB quotas)."""

_EARLIEST_MS: Final = timestamp.parse("0001-01-01")
_DAY_S: Final = 86_400


class State(StrEnum):
    """A task's state as the table has it: what people see as scheduled is armed, or parked until it can be."""

    SCHEDULED = "scheduled"
    """A timer was or is being started for it."""
    PARKED = "parked"
    """No timer yet: the sweeper starts one."""
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN: Final = frozenset({State.SCHEDULED, State.PARKED})


@dataclass(frozen=True, slots=True)
class Record:
    """A task and what only this engine needs to know of it."""

    task: Task
    state: State
    rearmed: int = 0
    """How often a timer of it died and another was started."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the index tells of a task."""

    task_id: str
    due_ms: int


class Registry:
    """The tasks table. Calls raise botocore's errors."""

    def __init__(self, client: "DynamoDBClient", table: str, *, retention_days: float) -> None:
        self._client = client
        self._table = table
        self._retention_s = retention_days * _DAY_S

    def put(self, task: Task, state: State) -> None:
        """Keep a new task. Its id is random: an item that is there already was put by an earlier try of this call."""
        item: dict[str, Any] = {
            TASK_ID: {"S": task.id},
            "state": {"S": state},
            "due": {"N": str(task.due_ms)},
            "revision": {"N": str(task.revision)},
            "created": {"N": str(task.created_ms)},
            "event": {"S": task.event},
            BUCKET: {"S": _bucket(state, task.id)},
            DUE_ID: {"S": _due_id(task.due_ms, task.id)},
        }
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression=f"attribute_not_exists({TASK_ID})"
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise

    def get(self, task_id: str) -> Record | None:
        """Return a task as it is now."""
        item = self._client.get_item(TableName=self._table, Key={TASK_ID: {"S": task_id}}, ConsistentRead=True).get(
            "Item"
        )
        return None if item is None else _record(item)

    def move(self, record: Record, state: State, *, now_ms: int) -> bool:
        """Take a task from the state and revision of `record` to `state`; False where it has moved on meanwhile."""
        return self._update(record, state, ended_ms=None if state in OPEN else now_ms)

    def rearm(self, record: Record) -> Record | None:
        """Give a task its next revision, and so the name of a new timer; None where it has moved on meanwhile."""
        task = replace(record.task, revision=record.task.revision + 1)
        renewed = replace(record, task=task, state=State.SCHEDULED, rearmed=record.rearmed + 1)
        return renewed if self._update(record, State.SCHEDULED, ended_ms=None, renewed=renewed) else None

    def emission(self, task_id: str, *, emitted_ms: int) -> "UpdateTypeDef":
        """Return the update that marks a task emitted, whatever else the table said: the message did go out."""
        return {
            "TableName": self._table,
            "Key": {TASK_ID: {"S": task_id}},
            "UpdateExpression": f"SET #state = :state, #ended = :ended, #bucket = :bucket, {EXPIRES_AT} = :expires",
            "ConditionExpression": f"attribute_exists({TASK_ID}) AND #state <> :state",
            "ExpressionAttributeNames": {"#state": "state", "#ended": "ended", "#bucket": BUCKET},
            "ExpressionAttributeValues": self._ending(State.EMITTED, task_id, emitted_ms),
        }

    def due(self, state: State, *, until_ms: int, limit: int) -> Iterator[Found]:
        """Yield up to `limit` tasks of each shard that are in `state` and due by a time, soonest first in each."""
        for shard in range(SHARDS):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression=f"#bucket = :bucket AND {DUE_ID} < :end",
                ExpressionAttributeNames={"#bucket": BUCKET},  # a reserved word
                ExpressionAttributeValues={
                    ":bucket": {"S": f"{state}#{shard}"},
                    ":end": {"S": _due_id(until_ms + 1, "")},
                },
                Limit=limit,
            )
            for item in answer["Items"]:
                yield Found(item[TASK_ID]["S"], int(item[DUE_ID]["S"].partition("#")[0]) + _EARLIEST_MS)

    def _update(self, record: Record, state: State, *, ended_ms: int | None, renewed: Record | None = None) -> bool:
        task = record.task
        values: dict[str, Any] = {
            ":from": {"S": record.state},
            ":revision": {"N": str(task.revision)},
            ":state": {"S": state},
            ":bucket": {"S": _bucket(state, task.id)},
        }
        names = {"#state": "state", "#revision": "revision", "#bucket": BUCKET}
        changes = ["#state = :state", "#bucket = :bucket"]
        if ended_ms is not None:
            changes += ["#ended = :ended", f"{EXPIRES_AT} = :expires"]
            names["#ended"] = "ended"
            values |= self._ending(state, task.id, ended_ms)
        if renewed is not None:
            changes += ["#revision = :next", "rearmed = :rearmed"]
            values |= {":next": {"N": str(renewed.task.revision)}, ":rearmed": {"N": str(renewed.rearmed)}}
        try:
            self._client.update_item(
                TableName=self._table,
                Key={TASK_ID: {"S": task.id}},
                UpdateExpression="SET " + ", ".join(changes),
                ConditionExpression="#state = :from AND #revision = :revision",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _ending(self, state: State, task_id: str, ended_ms: int) -> dict[str, Any]:
        return {
            ":state": {"S": state},
            ":bucket": {"S": _bucket(state, task_id)},
            ":ended": {"N": str(ended_ms)},
            ":expires": {"N": str(int(ended_ms / 1000 + self._retention_s))},
        }


def _bucket(state: State, task_id: str) -> str:
    return f"{state}#{zlib.crc32(task_id.encode()) % SHARDS}"


def _due_id(due_ms: int, task_id: str) -> str:
    """Return a text that sorts by due time and is the task's own: times count from year 1, so that none is negative."""
    return f"{due_ms - _EARLIEST_MS:015}#{task_id}"


def _record(item: Mapping[str, Any]) -> Record:
    state = State(item["state"]["S"])
    ended = item.get("ended")
    task = Task(
        id=item[TASK_ID]["S"],
        due_ms=int(item["due"]["N"]),
        event=item["event"]["S"],
        created_ms=int(item["created"]["N"]),
        revision=int(item["revision"]["N"]),
        status=Status.SCHEDULED if state in OPEN else Status(state),
        ended_ms=None if ended is None else int(ended["N"]),
    )
    return Record(task, state, rearmed=int(item.get("rearmed", {"N": "0"})["N"]))
