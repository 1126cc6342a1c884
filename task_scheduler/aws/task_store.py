"""The tasks table: the source of truth about every task.

Every change is a conditional write that names the state and the revision that it starts from. In addition to the tasks
there are rows for tags, idempotency keys and tombstones, which expire, and two bookmarks of the sweeper, which do not.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from task_scheduler import timestamps
from task_scheduler.aws.batch_get import items_of
from task_scheduler.aws.errors import code, translates
from task_scheduler.aws.schema import BUCKET, BY_DUE, DUE_ID, EXPIRES_AT, TASK_ID
from task_scheduler.engine import Cursor, IdempotencyKey, TaskQuery
from task_scheduler.task import Status, Task
from task_scheduler.timestamps import DAY_S

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, TransactWriteItemTypeDef, UpdateTypeDef

SHARDS: Final = 8
"""Partitions of each state in the index: one takes 1,000 writes a second (AWS, DynamoDB quotas)."""

_EARLIEST_MS: Final = timestamps.parse("0001-01-01")
_LATEST_MS: Final = timestamps.parse("9999-12-31")
_CONFLICT_PAUSES_S: Final = (0.05, 0.1, 0.2)
_EXTRA_S: Final = 3 * DAY_S  # a task ends within a day or so of its due time, or it has failed
_YES: Final = {"N": "1"}
_NO: Final = {"N": "0"}
_COUNTED_AT_ONCE: Final = 1_000  # tasks that one query counts: 18 read request units or so


_translated: Final = translates("The table of tasks")


class StoredState(StrEnum):
    """A task's state as the table has it: what people see as scheduled is armed, or parked until it can be."""

    PARKED = "parked"
    """The sweeper starts its timer; there may be one already if a start was attempted."""
    SCHEDULED = "scheduled"
    """A timer was or is being started for it."""
    EMITTED = "emitted"
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN: Final = frozenset({StoredState.SCHEDULED, StoredState.PARKED})

_READING_ORDER: Final = (
    StoredState.PARKED,
    StoredState.SCHEDULED,
    StoredState.PARKED,
    StoredState.FAILED,
    StoredState.CANCELLED,
    StoredState.EMITTED,
)
"""A list that reads the states in this order misses no task that changes its state meanwhile.

A task moves from each state to later ones only, but for a start that is rejected, which leads from scheduled back to
parked: therefore parked is read twice.
"""


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task and what only this engine needs to know of it."""

    task: Task
    state: StoredState
    rearmed: int = 0
    """How often a timer of it died and another was started."""
    attempted: bool = False
    """Whether a start of this revision was attempted, though the task is parked: its timer may be running."""
    entered: bool = False
    """Whether a timer that died had entered the publish: the message may be out already."""
    key: str | None = None
    """The name of its idempotency key."""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """What is stored under an idempotency key."""

    task_id: str
    fingerprint: str


class TaskStore:
    """The tasks table. Calls raise ServiceError."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        retention_days: float,
        shards: int = SHARDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._retention_s = retention_days * DAY_S
        self._shards = shards
        self._sleep = sleep

    @_translated
    def claim_key(self, key: IdempotencyKey, task: Task) -> KeyHolder | None:
        """Claim a key for a task that is about to be put; return None, or the one that holds the key already.

        A key costs one write. A request that dies before the put leaves a key without a task, which the next
        request with that key takes over.
        """
        row = {
            TASK_ID: {"S": _key_id(key.name)},
            "task": {"S": task.id},
            "fingerprint": {"S": key.fingerprint},
            EXPIRES_AT: self._outliving(task),
        }
        if self._write(self._new(row)):
            return None
        item = self._item(_key_id(key.name))
        if item is None:  # it has expired since
            return self.claim_key(key, task)
        holder = KeyHolder(item["task"]["S"], item["fingerprint"]["S"])
        return None if holder.task_id == task.id else holder

    @_translated
    def take_over_key(self, key: IdempotencyKey, holder: KeyHolder, task: Task, state: StoredState) -> bool:
        """Store a new task, and give it a key whose task is gone; False if that has changed meanwhile.

        The writer of that task may be slow rather than dead: a tombstone under its id rejects its put, whenever it
        comes. All in one transaction, so that no request finds the key without a task.
        """
        tombstone = self._new({TASK_ID: {"S": holder.task_id}, EXPIRES_AT: self._outliving(task)})
        new_holder = {"task": {"S": task.id}, "fingerprint": {"S": key.fingerprint}}
        return self._write(
            self._new({TASK_ID: {"S": task.id}, **self._attributes(task, state, key.name)}),
            task,
            tombstone,
            self._key_update(key.name, holder.task_id, {EXPIRES_AT: self._outliving(task), **new_holder}),
        )

    @_translated
    def prolong_key(self, name: str, task: Task) -> None:
        """Let the key of a task that gets a later due time live as long as the task."""
        self._write(self._key_update(name, task.id, {EXPIRES_AT: self._outliving(task)}))

    @_translated
    def put(self, task: Task, state: StoredState, *, key: str | None = None) -> bool:
        """Store a new task, and a row for each of its tags; False if there is an item with its id already."""
        return self._write(self._new({TASK_ID: {"S": task.id}, **self._attributes(task, state, key)}), task)

    @_translated
    def get(self, task_id: str) -> StoredTask | None:
        """Return a task as it is now."""
        item = self._item(task_id)
        return None if item is None or "state" not in item else _record(item)

    @_translated
    def transition(self, record: StoredTask, state: StoredState, *, now_ms: int, attempted: bool = False) -> bool:
        """Take a task from the state and revision of `record` to `state`; False if it has changed meanwhile.

        With `attempted`, it is noted that a start of this revision was attempted.
        """
        task_id = record.task.id
        changes = self._in_state(state, task_id) if state in OPEN else self._ending(state, task_id, now_ms)
        if attempted:
            changes["attempted"] = _YES
        return self._update(record, changes)

    @_translated
    def rearm(self, record: StoredTask, *, entered: bool = False) -> StoredTask | None:
        """Give a task its next revision, and so the name of a new timer; None if it has changed meanwhile.

        Only for a task whose present timer has ended: its name is used up then, and no revision but the newest has a
        timer that runs. `entered` notes that the timer had entered the publish.
        """
        task = replace(record.task, revision=record.task.revision + 1)
        entered = entered or record.entered
        renewed = replace(record, task=task, state=StoredState.SCHEDULED, rearmed=record.rearmed + 1, entered=entered)
        changes = {
            **self._in_state(renewed.state, task.id),
            "revision": _number(task.revision),
            "rearmed": _number(renewed.rearmed),
        }
        if entered:
            changes["entered"] = _YES
        return renewed if self._update(record, changes) else None

    def mark_emitted_request(
        self, task_id: str, *, emitted_ms: int, unchanged: StoredTask | None = None, until: int = 0
    ) -> "UpdateTypeDef":
        """Return the update that marks a task emitted, whatever else the table said: the message did go out.

        With `unchanged` it works only if the task still has that revision, which is then stored until `until` a time at
        least, in seconds since the Unix epoch.
        """
        ending = self._ending(StoredState.EMITTED, task_id, emitted_ms)
        expected = {}
        if unchanged is not None:
            expected["revision"] = _number(unchanged.task.revision)
            ending[EXPIRES_AT] = _number(max(int(ending[EXPIRES_AT]["N"]), until))
        condition = f"attribute_exists({TASK_ID}) AND #state <> :state"
        return self._update_request(task_id, ending, expected=expected, condition=condition)

    @_translated
    def reschedule(self, record: StoredTask, new: Task, state: StoredState) -> bool:
        """Replace the task of `record` by its next revision; False where it has moved on meanwhile."""
        changes = {
            **self._in_state(state, new.id),
            "due": _number(new.due_ms),
            DUE_ID: {"S": _due_id(new.due_ms, new.id)},
            "revision": _number(new.revision),
            "event": {"S": new.payload},
            "changed": _number(new.changed_ms),
            "rearmed": _NO,
            "attempted": _NO,
        }
        return self._update(record, changes, new)

    @_translated
    def due(self, state: StoredState, *, until_ms: int, after: Cursor | None, limit: int) -> list[Cursor]:
        """Return the `limit` soonest tasks after a cursor that are in `state` and due by a time."""
        return self._merge([state], _first(None, after), _due_id(until_ms + 1, ""), limit)

    @_translated
    def soonest(self, state: StoredState) -> list[Cursor]:
        """Return the task in a state that is due first, if there is one."""
        return self._merge([state], _first(None, None), _due_id(_LATEST_MS, ""), 1)

    @_translated
    def counts(self, states: Iterable[StoredState]) -> Iterator[int]:
        """Yield how many tasks in these states each of a row of queries finds, to be added up."""
        for bucket in (f"{state}#{shard}" for state in states for shard in range(self._shards)):
            start: dict[str, Any] = {}
            while True:
                response = self._client.query(
                    TableName=self._table,
                    IndexName=BY_DUE,
                    Select="COUNT",
                    KeyConditionExpression="#bucket = :bucket",
                    ExpressionAttributeNames={"#bucket": BUCKET},
                    ExpressionAttributeValues={":bucket": {"S": bucket}},
                    Limit=_COUNTED_AT_ONCE,
                    **start,
                )
                yield response["Count"]
                if "LastEvaluatedKey" not in response:
                    break
                start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    @_translated
    def find(self, query: TaskQuery, *, limit: int) -> list[Cursor]:
        """Return the `limit` soonest tasks that match a query, as far as the index knows.

        A status together with a tag is not in the index: the caller looks at the status.
        """
        if query.tag:
            prefixes = ["tag#{}:{}".format(*query.tag)]
        else:
            prefixes = [state for state in _READING_ORDER if query.status in {None, _status(state)}]
        last = _due_id(_LATEST_MS if query.to_ms is None else max(query.to_ms, _EARLIEST_MS), "")
        return self._merge(prefixes, _first(query.from_ms, query.after), last, limit)

    @_translated
    def get_all(self, task_ids: Sequence[str]) -> Iterator[StoredTask]:
        """Yield the tasks of these ids as they are now, in this order, without those that are not there."""
        for item in items_of(self._client, self._table, task_ids, sleep=self._sleep):
            yield _record(item)

    @_translated
    def bookmark(self, name: str) -> Cursor | None:
        """Return the cursor that was stored under a name, None if there is none."""
        item = self._item(_bookmark_id(name))
        return _cursor(item["place"]["S"]) if item and item["place"]["S"] else None

    @_translated
    def set_bookmark(self, name: str, cursor: Cursor | None) -> None:
        """Store a cursor under a name, or none."""
        text = _due_id(cursor.due_ms, cursor.task_id) if cursor else ""
        self._client.put_item(TableName=self._table, Item={TASK_ID: {"S": _bookmark_id(name)}, "place": {"S": text}})

    def _item(self, item_id: str) -> Mapping[str, Any] | None:
        return self._client.get_item(TableName=self._table, Key={TASK_ID: {"S": item_id}}, ConsistentRead=True).get(
            "Item"
        )

    def _merge(self, prefixes: Sequence[str], first: str, last: str, limit: int) -> list[Cursor]:
        """Read at most a page of each shard, from `first` to before `last`, and return the soonest of all."""
        if first >= last:
            return []
        found: set[str] = set()
        for bucket in (f"{prefix}#{shard}" for prefix in prefixes for shard in range(self._shards)):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_DUE,
                KeyConditionExpression=f"#bucket = :bucket AND {DUE_ID} BETWEEN :first AND :last",
                ExpressionAttributeNames={"#bucket": BUCKET},
                ExpressionAttributeValues={
                    ":bucket": {"S": bucket},
                    ":first": {"S": first},
                    ":last": {"S": last},
                },
                Limit=limit,
            )
            found |= {item[DUE_ID]["S"] for item in response["Items"]}
        # A task that changes its bucket while they are read may be found in two.
        return [_cursor(due_id) for due_id in sorted(found) if due_id < last][:limit]

    def _write(
        self, main: "TransactWriteItemTypeDef", tagged: Task | None = None, *more: "TransactWriteItemTypeDef"
    ) -> bool:
        """Make a write, in one transaction with the rows of a task's tags and with others; False if a condition fails.

        If another write is in the way, the recorder's for one, it is attempted again in a moment.
        """
        writes = [main, *more, *(self._tag_rows(tagged) if tagged else [])]
        for pause_s in (*_CONFLICT_PAUSES_S, None):
            try:
                self._write_once(writes)
            except ClientError as error:
                reasons = error.response.get("CancellationReasons", [{"Code": code(error).removesuffix("Exception")}])
                reason = next((reason["Code"] for reason in reasons if reason.get("Code", "None") != "None"), "")
                if reason == "ConditionalCheckFailed":
                    return False
                if reason != "TransactionConflict" or pause_s is None:
                    raise
                self._sleep(pause_s)
            else:
                return True
        raise AssertionError  # the last attempt has returned or raised

    def _write_once(self, writes: Sequence["TransactWriteItemTypeDef"]) -> None:
        main = writes[0]
        if len(writes) > 1:
            self._client.transact_write_items(TransactItems=writes)
        elif "Put" in main:
            self._client.put_item(**main["Put"])
        else:
            self._client.update_item(**main["Update"])

    def _new(self, item: Mapping[str, Any]) -> "TransactWriteItemTypeDef":
        """Return the put of an item under an id that no item has."""
        put: PutTypeDef = {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": f"attribute_not_exists({TASK_ID})",
        }
        return {"Put": put}

    def _attributes(self, task: Task, state: StoredState, key: str | None) -> dict[str, Any]:
        """Return all of a new task but its id."""
        return {
            **self._in_state(state, task.id),
            "due": _number(task.due_ms),
            "revision": _number(task.revision),
            "created": _number(task.created_ms),
            "event": {"S": task.payload},
            "changed": _number(task.changed_ms),
            **({"key": {"S": key}} if key is not None else {}),
            DUE_ID: {"S": _due_id(task.due_ms, task.id)},
        }

    def _tag_rows(self, task: Task) -> "Iterator[TransactWriteItemTypeDef]":
        """Yield the put of a row for each tag: it stands in the index under the tag, and outlives the task."""
        for name, value in task.tags.items():
            row = {
                TASK_ID: {"S": f"{task.id}#{name}"},
                BUCKET: {"S": self._bucket(f"tag#{name}:{value}", task.id)},
                DUE_ID: {"S": _due_id(task.due_ms, task.id)},
                EXPIRES_AT: self._outliving(task),
            }
            yield {"Put": {"TableName": self._table, "Item": row}}

    def _key_update(self, name: str, holder_id: str, values: Mapping[str, Any]) -> "TransactWriteItemTypeDef":
        """Return the update of attributes of a key, if it still has this holder."""
        return {"Update": self._update_request(_key_id(name), values, expected={"task": {"S": holder_id}})}

    def _update_request(
        self, item_id: str, changes: Mapping[str, Any], *, expected: Mapping[str, Any], condition: str = ""
    ) -> "UpdateTypeDef":
        """Return the conditional write of attributes, if others have the expected values and the condition holds."""
        conditions = [condition] if condition else []
        return {
            "TableName": self._table,
            "Key": {TASK_ID: {"S": item_id}},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            "ConditionExpression": " AND ".join([*conditions, *(f"#{name} = :expected_{name}" for name in expected)]),
            "ExpressionAttributeNames": {f"#{name}": name for name in (*changes, *expected)},
            "ExpressionAttributeValues": {
                **{f":{name}": value for name, value in changes.items()},
                **{f":expected_{name}": value for name, value in expected.items()},
            },
        }

    def _outliving(self, task: Task) -> dict[str, str]:
        """Return when a row that goes with a task expires, which is after the task itself has."""
        return _number(int(task.expected_ms / 1000 + self._retention_s) + _EXTRA_S)

    def _update(self, record: StoredTask, changes: Mapping[str, Any], tagged: Task | None = None) -> bool:
        """Change attributes of a task, if it still has the state and revision of `record` (optimistic concurrency)."""
        expected = {"state": {"S": record.state}, "revision": _number(record.task.revision)}
        return self._write({"Update": self._update_request(record.task.id, changes, expected=expected)}, tagged)

    def _bucket(self, prefix: str, task_id: str) -> str:
        return f"{prefix}#{zlib.crc32(task_id.encode()) % self._shards}"

    def _in_state(self, state: StoredState, task_id: str) -> dict[str, Any]:
        return {"state": {"S": state}, BUCKET: {"S": self._bucket(state, task_id)}}

    def _ending(self, state: StoredState, task_id: str, ended_ms: int) -> dict[str, Any]:
        expires_s = int(ended_ms / 1000 + self._retention_s)
        return {**self._in_state(state, task_id), "ended": _number(ended_ms), EXPIRES_AT: _number(expires_s)}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _due_id(due_ms: int, task_id: str) -> str:
    """Return a text that sorts by due time and is the task's own: times count from year 1, so that none is negative."""
    return f"{due_ms - _EARLIEST_MS:015}#{task_id}"


def _key_id(name: str) -> str:
    """Return the id of the item of an idempotency key; no task has such an id."""
    return f"key#{name}"


def _bookmark_id(name: str) -> str:
    return f"bookmark#{name}"


def _first(from_ms: int | None, after: Cursor | None) -> str:
    """Return where to begin in the index: not before a time, and after a cursor."""
    first = _due_id(_EARLIEST_MS if from_ms is None else max(from_ms, _EARLIEST_MS), "")
    return max(first, _due_id(after.due_ms, after.task_id) + "\0") if after else first


def _cursor(due_id: str) -> Cursor:
    due, _, task_id = due_id.partition("#")
    return Cursor(int(due) + _EARLIEST_MS, task_id)


def _status(state: StoredState) -> Status:
    return Status.SCHEDULED if state in OPEN else Status(state)


def _record(item: Mapping[str, Any]) -> StoredTask:
    state = StoredState(item["state"]["S"])
    ended = item.get("ended")
    task = Task(
        id=item[TASK_ID]["S"],
        due_ms=int(item["due"]["N"]),
        payload=item["event"]["S"],
        created_ms=int(item["created"]["N"]),
        revision=int(item["revision"]["N"]),
        status=_status(state),
        ended_ms=None if ended is None else int(ended["N"]),
        changed_ms=int(item["changed"]["N"]),
    )
    key = item.get("key")
    return StoredTask(
        task,
        state,
        rearmed=int(item.get("rearmed", _NO)["N"]),
        attempted=item.get("attempted", _NO) == _YES,
        entered=item.get("entered", _NO) == _YES,
        key=None if key is None else key["S"],
    )
