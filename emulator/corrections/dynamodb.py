"""DynamoDB: reads that are eventually consistent."""

import time
from collections import ChainMap, deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from ministack.core.responses import AccountRegionScopedDict  # type: ignore[import-untyped]  # it has no types
from ministack.services import dynamodb  # type: ignore[import-untyped]  # the same

from emulator.rules import Clock, Lag

Item = Mapping[str, Any]
Table = dict[str, Any]
Key = tuple[Any, Any]
"""Of an item in ministack's tables: the values of partition key and sort key."""

_MEMBERS: Final = dynamodb._INDEX_MEMBERS  # noqa: SLF001 - the attribute of a table that holds its indexes


@dataclass(frozen=True)
class _Change:
    at: float
    key: Key
    before: Item | None


class History:
    """What the items that changed in the last seconds were before, for each table."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds: Final = seconds
        self._clock: Final = clock
        self._changes: Final[dict[str, deque[_Change]]] = {}

    def add(self, table: Table, key: Key, before: Item | None) -> None:
        """Remember an item that is about to change; None if it is new."""
        changes = self._changes.setdefault(table["TableArn"], deque())
        now = self._clock()
        changes.append(_Change(now, key, before))
        while changes[0].at < now - self._seconds:
            changes.popleft()

    def table(self, table: Table, age: float) -> Table:
        """Return the table as it was that many seconds ago; it shares with the table what has not changed."""
        then = self._clock() - age
        before: dict[Key, Item | None] = {}
        for change in list(self._changes.get(table["TableArn"], ())):
            if change.at > then:
                before.setdefault(change.key, change.before)
        return {**table, "items": _items(table, before), _MEMBERS: _members(table, before)} if before else table


def read_late(lag: Lag, clock: Clock = time.monotonic) -> None:
    """Read from global secondary indexes, and without ConsistentRead from tables, what was there a moment ago.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html. ministack 1.5.33
    always reads the newest, and rejects ConsistentRead on a global secondary index as AWS does.
    """
    history = History(lag.most, clock)
    _remember_changes(history)
    past: ContextVar[Mapping[str, Table]] = ContextVar("past")

    class Tables(AccountRegionScopedDict):  # type: ignore[misc]  # it has no types
        __slots__ = ()

        def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - as it was
            return past.get({}).get(key) or super().get(key, default)

        def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - as it was
            return past.get({}).get(key) or super().__getitem__(key)

    dynamodb._tables.__class__ = Tables  # noqa: SLF001 - there is no other place to take hold of

    def late(
        read: Callable[[Mapping[str, Any]], Any], tables: Callable[[Mapping[str, Any]], Iterable[str]]
    ) -> Callable[[Mapping[str, Any]], Any]:
        def read_as_it_was(request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as it was
            found = {name: dynamodb._tables.get(name) for name in tables(request)}  # noqa: SLF001 - the same
            age = lag()
            token = past.set({name: history.table(table, age) for name, table in found.items() if table})
            try:
                return read(request)
            finally:
                past.reset(token)

        return read_as_it_was

    for name in ("_get_item", "_query", "_scan"):
        setattr(dynamodb, name, late(getattr(dynamodb, name), _read_late_from))
    dynamodb._batch_get_item = late(dynamodb._batch_get_item, _got_late_from)  # noqa: SLF001 - the same


def _remember_changes(history: History) -> None:
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item  # noqa: SLF001 - the same

    def set_and_remember(table: Table, partition: object, sort: object, item: Item) -> Any:  # noqa: ANN401 - as it was
        history.add(table, (partition, sort), table["items"].get(partition, {}).get(sort))
        return set_item(table, partition, sort, item)

    def remove_and_remember(table: Table, partition: object, sort: object) -> Any:  # noqa: ANN401 - as it was
        history.add(table, (partition, sort), table["items"].get(partition, {}).get(sort))
        return remove_item(table, partition, sort)

    dynamodb._set_item, dynamodb._remove_item = set_and_remember, remove_and_remember  # noqa: SLF001 - the same


def _read_late_from(request: Mapping[str, Any]) -> Iterable[str]:
    """Name the table of a request, if the request may read what was there before."""
    name = dynamodb._normalize_table_name(request.get("TableName"))  # noqa: SLF001 - the same
    return [] if request.get("ConsistentRead") else [name]


def _got_late_from(request: Mapping[str, Any]) -> Iterable[str]:
    """Name the tables of a BatchGetItem that it may read as they were before."""
    for name, part in (request.get("RequestItems") or {}).items():
        if not part.get("ConsistentRead"):
            yield dynamodb._normalize_table_name(name)  # noqa: SLF001 - the same


def _items(table: Table, before: Mapping[Key, Item | None]) -> Mapping[Any, Any]:
    """Return the items of a table by partition key and sort key, with some as they were before."""
    partitions = {partition: dict(table["items"].get(partition, {})) for partition, _ in before}
    for (partition, sort), item in before.items():
        if item is None:
            partitions[partition].pop(sort, None)
        else:
            partitions[partition][sort] = item
    return ChainMap(partitions, table["items"])


def _members(table: Table, before: Mapping[Key, Item | None]) -> Mapping[str, Mapping[Any, Any]]:
    """Return the keys that each partition of each index has, with some items as they were before."""
    members = dynamodb._index_members(table)  # noqa: SLF001 - the same
    past = {}
    for name, hashes, ranges in dynamodb._index_key_schemas(table):  # noqa: SLF001 - the same
        partitions: dict[Any, dict[Key, None]] = {}
        for key, item in before.items():
            now = table["items"].get(key[0], {}).get(key[1])
            for state, there in ((now, False), (item, True)):
                partition = dynamodb._index_partition(state, hashes, ranges) if state else None  # noqa: SLF001 - the same
                if partition is None:
                    continue
                keys = partitions.setdefault(partition, dict(members[name].get(partition, {})))
                if there:
                    keys[key] = None
                else:
                    keys.pop(key, None)
        past[name] = ChainMap(partitions, members[name])
    return past
