"""DynamoDB in memory, quick enough for ten thousand worlds and as strict as AWS about what the engine uses of it.

It takes conditions of comparisons and attribute_exists/attribute_not_exists joined by AND, updates by SET, ADD and
REMOVE, and keys-only indexes that may lag. What it does not know fails the test.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias

from botocore.exceptions import ClientError
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Value: TypeAlias = dict[str, Any]
"""An attribute value, such as {"S": "text"} or {"N": "1"}."""
Item: TypeAlias = dict[str, Value]
Key: TypeAlias = tuple[str | int, ...]

_RESERVED: Final = frozenset(word.strip() for word in ReservedKeywords.get_reserved_keywords())
_FUNCTION: Final = re.compile(r"(attribute_exists|attribute_not_exists)\(([#\w]+)\)")
_COMPARISON: Final = re.compile(r"([#\w]+) (=|<>|<|<=|>|>=) (:\w+)")
_BETWEEN: Final = re.compile(r"([#\w]+) BETWEEN (:\w+) AND (:\w+)")
_BEGINS: Final = re.compile(r"begins_with\(([#\w]+), (:\w+)\)")
_MAX_TRANSACTION: Final = 100  # actions (AWS, TransactWriteItems)
_MAX_BATCH: Final = 100  # keys (AWS, BatchGetItem)


def refused(code: str, message: str = "", **more: object) -> ClientError:
    """Return the error of a service."""
    response: Any = {"Error": {"Code": code, "Message": message or code}, **more}
    return ClientError(response, "call")


def _invalid(message: str) -> ClientError:
    return refused("ValidationException", message)


@dataclass(frozen=True)
class Schema:
    """The keys of a table and of its keys-only indexes."""

    keys: tuple[str, ...]
    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class _Table:
    """Items by their keys; items are never changed in place."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.items: dict[Key, Item] = {}
        self.indexed: dict[Key, Item] = {}
        """The items as the indexes know them."""
        self.pending: dict[Key, list[Item | None]] = {}
        """What the indexes have yet to learn of an item, oldest first."""
        self.digests: dict[Key, int] = {}

    def key(self, item: Mapping[str, Value], *, only: bool = False) -> Key:
        if any(name not in item for name in self.schema.keys) or (only and len(item) != len(self.schema.keys)):
            raise _invalid("The provided key element does not match the schema")
        return tuple(_scalar(item[name]) for name in self.schema.keys)

    def write(self, key: Key, item: Item | None, *, lags: bool) -> None:
        if item is None:
            self.items.pop(key, None)
            self.digests.pop(key, None)
        else:
            self.items[key] = item
            self.digests[key] = hash(repr(sorted(item.items())))
        if lags and self.schema.indexes:
            self.pending.setdefault(key, []).append(item)
        else:
            self.index(key, item)

    def index(self, key: Key, item: Item | None) -> None:
        if item is None:
            self.indexed.pop(key, None)
        else:
            self.indexed[key] = item

    def state(self) -> Hashable:
        return (frozenset(self.digests.items()), repr(sorted(self.pending.items())) if self.pending else "")


class MemoryDynamoDB:
    """The calls of a DynamoDB client, and the steps by which its indexes catch up."""

    def __init__(self, schemas: Mapping[str, Schema], *, index_lags: bool = False) -> None:
        self.index_lags = index_lags
        self._tables = {name: _Table(schema) for name, schema in schemas.items()}

    def get_item(  # as in boto3
        self,
        *,
        TableName: str,  # noqa: N803
        Key: Item,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str] | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        del ConsistentRead
        table = self._table(TableName)
        given = _Given(ExpressionAttributeNames, None, ProjectionExpression)
        item = table.items.get(table.key(Key, only=True))
        return {} if item is None else {"Item": given.project(item, ProjectionExpression)}

    def put_item(self, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as in boto3
        """Write one item; takes what an action of a transaction takes."""
        return self._write_one("Put", given)

    def update_item(self, *, ReturnValues: str = "NONE", **given: Any) -> dict[str, Any]:  # noqa: ANN401, N803 - as in boto3
        """Change one item; takes what an action of a transaction takes, and ReturnValues."""
        table = self._table(given["TableName"])
        key = table.key(given["Key"], only=True)
        old = table.items.get(key, {})
        self._write_one("Update", given)
        new = table.items[key]
        match ReturnValues:
            case "NONE":
                return {}
            case "ALL_NEW":
                return {"Attributes": dict(new)}
            case "ALL_OLD":
                return {"Attributes": dict(old)}
            case "UPDATED_NEW":
                return {"Attributes": {name: value for name, value in new.items() if old.get(name) != value}}
        raise _invalid(ReturnValues)

    def delete_item(self, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as in boto3
        """Remove one item; takes what an action of a transaction takes."""
        return self._write_one("Delete", given)

    def transact_write_items(
        self,
        *,
        TransactItems: Sequence[Mapping[str, Mapping[str, Any]]],  # noqa: N803 - as in boto3
        ClientRequestToken: str = "",  # noqa: N803 - the same
    ) -> dict[str, Any]:
        """Carry out all of the actions or none."""
        del ClientRequestToken
        if not 1 <= len(TransactItems) <= _MAX_TRANSACTION:
            raise _invalid("Member must have length less than or equal to 100")
        actions = [self._action(kind, given) for one in TransactItems for kind, given in one.items()]
        if len({(id(action.table), action.key) for action in actions}) != len(TransactItems):
            raise _invalid("Transaction request cannot include multiple operations on one item")
        if not all(action.holds() for action in actions):
            reasons = [{"Code": "None"} if action.holds() else action.failure() for action in actions]
            raise refused("TransactionCanceledException", CancellationReasons=reasons)
        for action in actions:
            action.apply(lags=self.index_lags)
        return {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803 - as in boto3
        """Return the items of some keys, in an order of its own."""
        responses = {}
        for name, wanted in RequestItems.items():
            table = self._table(name)
            keys = [table.key(key, only=True) for key in wanted["Keys"]]
            if not 1 <= len(keys) <= _MAX_BATCH or len(set(keys)) != len(keys):
                raise _invalid("Provided list of item keys is too long or contains duplicates")
            projection = wanted.get("ProjectionExpression")
            given = _Given(wanted.get("ExpressionAttributeNames"), None, projection)
            found = [table.items[key] for key in reversed(keys) if key in table.items]
            responses[name] = [given.project(item, projection) for item in found]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def query(  # noqa: PLR0913 - as in boto3
        self,
        *,
        TableName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Mapping[str, Value],  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str] | None = None,  # noqa: N803
        IndexName: str | None = None,  # noqa: N803
        ProjectionExpression: str | None = None,  # noqa: N803
        Select: str | None = None,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        Limit: int = 1_000,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Return the items of one partition, a page at a time."""
        table = self._table(TableName)
        given = _Given(
            ExpressionAttributeNames, ExpressionAttributeValues, KeyConditionExpression, ProjectionExpression
        )
        if IndexName is not None and ConsistentRead:
            raise _invalid("Consistent reads are not supported on global secondary indexes")
        keys = table.schema.keys if IndexName is None else table.schema.indexes[IndexName]
        order = tuple(dict.fromkeys((*keys, *table.schema.keys)))
        items = table.items if IndexName is None else table.indexed
        rows = [item for item in items.values() if given.matches(item, KeyConditionExpression, keys)]
        rows.sort(key=lambda item: _position(item, order), reverse=not ScanIndexForward)
        if ExclusiveStartKey is not None:
            start = _position(ExclusiveStartKey, order)
            rows = [
                row
                for row in rows
                if (_position(row, order) > start if ScanIndexForward else _position(row, order) < start)
            ]
        page = rows[:Limit]
        answer: dict[str, Any] = {"Count": len(page)}
        if Select != "COUNT":
            if IndexName is not None:
                page = [{name: row[name] for name in order} for row in page]
            answer["Items"] = [given.project(row, ProjectionExpression) for row in page]
        if len(page) == Limit:  # also where nothing follows, as AWS does
            answer["LastEvaluatedKey"] = {name: rows[Limit - 1][name] for name in order}
        return answer

    def scan(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803 - as in boto3
        """Return all items of a table in one page."""
        return {"Items": self.items(TableName)}

    def items(self, table: str) -> list[Item]:
        """Return all items of a table, for checks."""
        return list(self._tables[table].items.values())

    def steps(self) -> list[str]:
        """Return the steps by which an index learns of the oldest write of an item that it does not know."""
        return [f"index learns of {name} {key}" for name, table in self._tables.items() for key in table.pending]

    def take(self, step: str) -> None:
        """Take such a step."""
        for name, table in self._tables.items():
            for key, writes in [*table.pending.items()]:
                if step == f"index learns of {name} {key}":
                    table.index(key, writes.pop(0))
                    if not writes:
                        del table.pending[key]

    def state(self) -> Hashable:
        """Return all that later calls depend on."""
        return tuple(table.state() for table in self._tables.values())

    def _table(self, name: str) -> _Table:
        table = self._tables.get(name)
        if table is None:
            raise refused("ResourceNotFoundException")
        return table

    def _action(self, kind: str, given: Mapping[str, Any]) -> "_Action":
        return _Action(self._table(given["TableName"]), kind, {**given})

    def _write_one(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        action = self._action(kind, given)
        if not action.holds():
            failure = action.failure()
            failure.pop("Code")
            raise refused("ConditionalCheckFailedException", **failure)
        action.apply(lags=self.index_lags)
        return {}


class _Action:
    """A write of one item under a condition."""

    def __init__(self, table: _Table, kind: str, given: dict[str, Any]) -> None:
        given.pop("TableName")
        self.table = table
        self._kind = kind
        self._condition: str | None = given.pop("ConditionExpression", None)
        self._update: str | None = given.pop("UpdateExpression", None)
        self._returns = given.pop("ReturnValuesOnConditionCheckFailure", "NONE")
        self._given = _Given(
            given.pop("ExpressionAttributeNames", None),
            given.pop("ExpressionAttributeValues", None),
            self._condition,
            self._update,
        )
        self._item: Item = {
            name: _normal(value) for name, value in given.pop("Item" if kind == "Put" else "Key").items()
        }
        self.key = table.key(self._item, only=kind != "Put")
        if given or kind not in {"Put", "Update", "Delete", "ConditionCheck"}:
            raise _invalid(f"Unknown parameters of {kind}: {[*given]}")
        for index in table.schema.indexes.values():
            if any("S" not in self._item[name] for name in index if name in self._item):
                raise _invalid("Type mismatch for index key")

    def holds(self) -> bool:
        return self._condition is None or self._given.holds(self.table.items.get(self.key), self._condition)

    def failure(self) -> dict[str, Any]:
        old = self.table.items.get(self.key)
        item = {"Item": dict(old)} if self._returns == "ALL_OLD" and old else {}
        return {"Code": "ConditionalCheckFailed", **item}

    def apply(self, *, lags: bool) -> None:
        match self._kind:
            case "Put":
                self.table.write(self.key, self._item, lags=lags)
            case "Delete":
                self.table.write(self.key, None, lags=lags)
            case "Update":
                old = self.table.items.get(self.key, self._item)
                new = self._given.updated(old, self._update)
                if any(new.get(name) != self._item[name] for name in self.table.schema.keys):
                    raise _invalid("Cannot update attribute. This attribute is part of the key")
                self.table.write(self.key, new, lags=lags)


class _Given:
    """The names and values of the placeholders in a call's expressions: all used, and none missing."""

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None, *texts: str | None) -> None:
        if (names is not None and not names) or (values is not None and not values):
            raise _invalid("ExpressionAttributeNames or ExpressionAttributeValues must not be empty")
        self._names = names or {}
        self._values = {name: _normal(value) for name, value in (values or {}).items()}
        used = frozenset[str]().union(*(_placeholders(text) for text in texts if text is not None))
        if used != {*self._names, *self._values}:
            raise _invalid(f"Placeholders used: {sorted(used)}; defined: {sorted({*self._names, *self._values})}")

    def holds(self, item: Item | None, condition: str) -> bool:
        """Tell whether a condition holds for an item, or for none."""
        return all(self._test(item or {}, test) for test in _tests(condition))

    def matches(self, item: Item, condition: str, keys: Sequence[str]) -> bool:
        """Tell whether an item is in the range that a key condition names."""
        if any(name not in item for name in keys):
            return False
        tests = _tests(condition)
        names = [self._name(test[1]) for test in tests]
        if names != [*keys][: len(names)] or tests[0][0] != "=":
            raise _invalid("Query condition missed key schema element")
        return all(self._test(item, test) for test in tests)

    def updated(self, item: Item, update: str | None) -> Item:
        """Return what an update makes of an item."""
        new = dict(item)
        for verb, name, token in _changes(update or ""):
            attribute = self._name(name)
            match verb:
                case "SET":
                    new[attribute] = self._values[token]
                case "ADD":
                    old = int(item.get(attribute, {"N": "0"})["N"])
                    new[attribute] = {"N": str(old + int(self._values[token]["N"]))}
                case "REMOVE":
                    new.pop(attribute, None)
        return new

    def project(self, item: Item, projection: str | None) -> Item:
        """Return the attributes that are wanted of an item."""
        if projection is None:
            return dict(item)
        names = [self._name(name) for name in projection.split(", ")]
        return {name: item[name] for name in names if name in item}

    def _name(self, token: str) -> str:
        if token.startswith("#"):
            return self._names[token]
        if token.upper() in _RESERVED:
            raise _invalid(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def _test(self, item: Item, test: tuple[str, ...]) -> bool:
        operator, name, *tokens = test
        value = item.get(self._name(name))
        if operator in {"attribute_exists", "attribute_not_exists"}:
            return (value is not None) == (operator == "attribute_exists")
        wanted = [self._values[token] for token in tokens]
        if operator in {"=", "<>"}:
            return (value == wanted[0]) == (operator == "=")
        return value is not None and _compare(operator, _scalar(value), [_scalar(one) for one in wanted])


@cache
def _placeholders(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[#:]\w+", text))


@cache
def _tests(condition: str) -> tuple[tuple[str, ...], ...]:
    """Return the tests of a condition: each an operator, a name and the values."""
    return tuple(_read_tests(condition))


def _read_tests(condition: str) -> Iterator[tuple[str, ...]]:
    parts = re.split(r" AND (?!:)", condition)  # not that of BETWEEN
    for part in parts:
        if found := _FUNCTION.fullmatch(part):
            yield found[1], found[2]
        elif found := _COMPARISON.fullmatch(part):
            yield found[2], found[1], found[3]
        elif found := _BETWEEN.fullmatch(part):
            yield "BETWEEN", found[1], found[2], found[3]
        elif found := _BEGINS.fullmatch(part):
            yield "begins_with", found[1], found[2]
        else:
            raise AssertionError(f"not known here: {part}")


@cache
def _changes(update: str) -> tuple[tuple[str, str, str], ...]:
    """Return the changes of an update: each a verb, a name and a value, empty for REMOVE."""
    return tuple(_read_changes(update))


def _read_changes(update: str) -> Iterator[tuple[str, str, str]]:
    words = re.split(r"\b(SET|ADD|REMOVE) ", update)
    for verb, clause in zip(words[1::2], words[2::2], strict=True):
        for part in clause.strip().split(", "):
            form = {"SET": r"([#\w]+) = (:\w+)", "ADD": r"([#\w]+) (:\w+)", "REMOVE": r"([#\w]+)()"}[verb]
            found = re.fullmatch(form, part)
            assert found, f"not known here: {update}"
            yield verb, found[1], found[2]


def _compare(operator: str, value: Any, wanted: Sequence[Any]) -> bool:  # noqa: ANN401 - two of one type
    match operator:
        case "<":
            return bool(value < wanted[0])
        case "<=":
            return bool(value <= wanted[0])
        case ">":
            return bool(value > wanted[0])
        case ">=":
            return bool(value >= wanted[0])
        case "BETWEEN":
            return bool(wanted[0] <= value <= wanted[1])
        case "begins_with":
            return bool(value.startswith(wanted[0]))
    raise AssertionError(operator)


def _position(item: Mapping[str, Value], order: Sequence[str]) -> Key:
    return tuple(_scalar(item[name]) for name in order)


def _scalar(value: Value) -> str | int:
    """Return a text or a whole number, as keys are."""
    ((kind, content),) = value.items()
    if not isinstance(content, str) or not content:
        raise _invalid("The parameter cannot be empty, and must be a string")
    return int(content) if kind == "N" else content


def _normal(value: Value) -> Value:
    """Return a value as AWS gives it back; its numbers have to be texts."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "N":
            if not isinstance(content, str):
                raise _invalid(f"{kind} must be a string, not {content!r}")
            return {kind: str(int(content)) if kind == "N" else str(content)}
        case "M":
            return {"M": {name: _normal(one) for name, one in content.items()}}
        case "L":
            return {"L": [_normal(one) for one in content]}
        case "BOOL" | "NULL" | "SS" | "NS":
            return dict(value)
    raise _invalid(f"unknown type {kind}")
