"""The events table: what was emitted, numbered in order, and the counter that gives out the numbers.

A writer reserves sequence numbers and then appends events under them, so a number may be missing for a moment, or for
ever if its writer died. A reader never skips a missing number: it seals it first, by a conditional put of an empty
item. A writer that comes later is rejected by its own condition and takes another number. Clocks decide how soon a
number is sealed, never whether an event is seen before it expires.

The numbers of a page are spread over several partitions, which a reader merges: no partition is hot. Checkpoints name
the first number of each minute in which numbers were reserved; by them a reader finds the first event that has not
expired without looking at what has.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from task_scheduler.aws.batch_get import items_of
from task_scheduler.aws.errors import code, translates
from task_scheduler.aws.schema import EXPIRES_AT, PAGE, SEQUENCE, TASK_ID
from task_scheduler.engine import MAX_PAGE_BYTES
from task_scheduler.task import Event
from task_scheduler.timestamps import DAY_S

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, UpdateTypeDef

SEAL_AFTER_MS: Final = 2_000
"""How long a number is missing before a reader seals it: a writer needs some hundredths of a second."""

PARTITIONS: Final = 8
"""Partitions of a page, each of which takes 1,000 write request units a second (AWS, DynamoDB quotas).

A transaction needs two units for each kilobyte, so 2,000 events a second of up to a kilobyte need 500 of each.
"""

MAX_INLINE_BYTES: Final = 700
"""Bytes of the largest text that an event has itself, so that it has less than a kilobyte; a larger text stays with its
task, to which the event refers (claim check)."""

_PAGE_SIZE: Final = 1_000  # numbers
_LOOK_BACK: Final = 200  # numbers in which a page of the newest events looks for gaps before it
_PROBE: Final = 100  # numbers in which a reader who waits looks for an event
_MOST_NOTED: Final = 10_000  # missing numbers that a reader remembers
_COUNTER: Final = {PAGE: {"N": "-1"}, SEQUENCE: {"N": "0"}}
_CHECKPOINTS: Final = -2
_MINUTE_MS: Final = 60_000
_MARGIN_MS: Final = 2 * _MINUTE_MS  # what has gone from the table lies before the checkpoint of its time to expire

_translated: Final = translates("The event log")


@dataclass(frozen=True, slots=True)
class PayloadRef:
    """A text that is that of the task, by its digest, so that no other is ever taken for it."""

    digest: str
    length: int
    """In characters."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event as it is stored."""

    sequence: int
    task_id: str
    text: str | PayloadRef
    emitted_ms: int
    indexed_ms: int

    @property
    def length(self) -> int:
        return len(self.text) if isinstance(self.text, str) else self.text.length


_Found = dict[int, _Entry | None]
"""Events by their numbers; None where a number is sealed."""


class Append(Enum):
    """What came of the transaction that appends an event and marks its task."""

    APPENDED = auto()
    NOT_MARKED = auto()
    """The condition on the task failed; the number was not used."""
    CONFLICT = auto()
    """Another write was in the way; the number was not used."""
    SEALED = auto()
    """A reader has sealed the number."""


class EventLog:
    """The events table, with the large texts in the tasks table. Calls raise ServiceError."""

    def __init__(  # noqa: PLR0913 - keyword-only where it matters
        self,
        client: "DynamoDBClient",
        table: str,
        tasks_table: str,
        *,
        retention_days: float,
        now_ms: Callable[[], int],
        append_client: "DynamoDBClient | None" = None,
    ) -> None:
        """`append_client` attempts a call once: another attempt of an append needs another number."""
        self._client = client
        self._append_client = append_client or client
        self._table = table
        self._tasks_table = tasks_table
        self._retention_s = retention_days * DAY_S
        self._now_ms = now_ms
        self._checkpoint = -1  # the minute of the last one that this instance has made sure of
        self._missing_since: dict[int, int] = {}

    @_translated
    def position(self) -> int:
        """Return the newest number that was reserved, 0 if there was none."""
        item = self._client.get_item(TableName=self._table, Key=_COUNTER, ConsistentRead=True).get("Item")
        return 0 if item is None else int(item["last"]["N"])

    @_translated
    def clamp(self, position: int) -> int:
        """Return the position itself, or where the log begins or ends if it is outside."""
        end = self.position()
        return end if position >= end else max(position, self._first_stored(end) - 1)

    @_translated
    def reserve_sequence(self, count: int) -> int:
        """Reserve the next `count` numbers and return the first; readers seal those that are never used."""
        self._make_checkpoint()
        response = self._client.update_item(
            TableName=self._table,
            Key=_COUNTER,
            UpdateExpression="ADD #last :count",
            ExpressionAttributeNames={"#last": "last"},
            ExpressionAttributeValues={":count": {"N": str(count)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(response["Attributes"]["last"]["N"]) - count + 1

    def expiry(self, event: Event) -> int:
        """Return until when an event is stored, in seconds since the Unix epoch."""
        return self._expiry(event.indexed_ms)

    def append_request(self, event: Event, *, refer: bool = False) -> "PutTypeDef":
        """Return the put of an event under its number, with the text or a reference to that of the task."""
        text: dict[str, Any] = {"S": event.payload}
        if refer:
            text = {"M": {"digest": {"S": _digest(event.payload)}, "length": {"N": str(len(event.payload))}}}
        return self._put(
            event.sequence,
            {
                "task": {"S": event.task_id},
                "event": text,
                "emitted": {"N": str(event.emitted_ms)},
                "indexed": {"N": str(event.indexed_ms)},
                EXPIRES_AT: {"N": str(self.expiry(event))},
            },
        )

    @_translated
    def append(self, event: Event, *, mark: "UpdateTypeDef", refer: bool = False) -> Append:
        """Append an event under the number that was reserved for it, and mark its task, in one transaction.

        With `refer` its text is left to the task, which has to be stored for as long as the event.
        """
        put = self.append_request(event, refer=refer)
        try:
            self._append_client.transact_write_items(TransactItems=[{"Update": mark}, {"Put": put}])
        except ClientError as error:
            if code(error) != "TransactionCanceledException":
                raise
            marking, appending = _failed_conditions(error)
            return Append.SEALED if appending else Append.NOT_MARKED if marking else Append.CONFLICT
        return Append.APPENDED

    @_translated
    def seal(self, sequence: int) -> bool:
        """Make sure that no event will ever be appended under a number; False if the number was used meanwhile."""
        try:
            self._client.put_item(**self._put(sequence, {EXPIRES_AT: {"N": str(self._expiry(self._now_ms()))}}))
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    @_translated
    def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a number, up to the first number that may still be used."""
        while True:
            page, settled = self._page(after, limit)
            if events := self._with_texts(page):
                return events
            if settled == after:
                return []
            after = settled

    @_translated
    def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a number, in order, and only such as events() would return now."""
        while page := self._page_before(before, limit):
            if events := self._with_texts(page):
                return events
            before = page[0].sequence
        return []

    @_translated
    def wait(self, *, after: int, seconds: float, pause_s: float, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Look every `pause_s` seconds whether an event follows a number; False when `seconds` have passed."""
        end_ms = self._now_ms() + seconds * 1000
        while True:
            page, settled = self._page(after, _PROBE)
            if self._with_texts(page):
                return True
            after = settled
            if self._now_ms() + pause_s * 1000 >= end_ms:
                return False
            sleep(pause_s)

    def _with_texts(self, page: Sequence[_Entry]) -> list[Event]:
        """Return the events of a page, without those whose text is gone.

        A task outlives its event, so that is the case only where the tables were restored to different times.
        """
        wanted = dict.fromkeys(entry.task_id for entry in page if isinstance(entry.text, PayloadRef))
        items = items_of(self._client, self._tasks_table, list(wanted))
        texts: dict[str, str] = {item[TASK_ID]["S"]: item["event"]["S"] for item in items if "event" in item}
        events = []
        for entry in page:
            text = entry.text if isinstance(entry.text, str) else texts.get(entry.task_id, "")
            if isinstance(entry.text, str) or _digest(text) == entry.text.digest:
                events.append(Event(entry.sequence, entry.task_id, text, entry.emitted_ms, entry.indexed_ms))
        return events

    def _page(self, after: int, limit: int) -> tuple[list[_Entry], int]:
        """Return events after a number, and the number up to which all is settled: used, sealed or expired."""
        newest = self.position()
        page: list[_Entry] = []
        size = 0
        while after < newest and len(page) < limit:
            found, settled = self._range(after, min(after + limit - len(page), newest), newest)
            for entry in found:
                page.append(entry)
                size += entry.length
                if size > MAX_PAGE_BYTES:
                    return page, entry.sequence
            if settled == after:
                break
            after = settled
        return page, after

    def _range(self, after: int, last: int, newest: int) -> tuple[list[_Entry], int]:
        """Return the events after a number and up to another one, and the number up to which all is settled."""
        found = self._read(after + 1, last)
        missing = [number for number in range(after + 1, last + 1) if number not in found]
        if missing:
            first = self._first_stored(newest)
            if not found and first > last:
                return [], first - 1
            end = self._settle([number for number in missing if number >= first], found, newest)
            last = last if end is None else end - 1
        return [entry for number, entry in sorted(found.items()) if entry and number <= last], last

    def _page_before(self, before: int, limit: int) -> list[_Entry]:
        """Return the last events before a number, bounded in the same way, and none that follows an unsettled number.

        It looks for such numbers in the page and in the _LOOK_BACK numbers before it.
        """
        newest = self.position()
        low = min(before - 1, newest)
        page: list[_Entry] = []
        while low > 0 and not (_is_full(page, limit) and page[0].sequence - low > _LOOK_BACK):
            high, low = low, max(low - max(limit, _LOOK_BACK), 0)
            found, settled = self._range(low, high, newest)
            if settled > high:  # all of these have expired
                break
            page = found + page if settled == high else found
        last: list[_Entry] = []
        while page and not _is_full(last, limit):
            last.append(page.pop())
        return last[::-1]

    def _settle(self, numbers: Sequence[int], found: _Found, newest: int) -> int | None:
        """Seal missing numbers, in order; return the first that may still be used, None if there is none.

        A number that was used meanwhile is added to `found`.
        """
        if not numbers:
            return None
        last_ms = self._now_ms() - SEAL_AFTER_MS
        reserved_by_ms = self._reserved_by(numbers, found, newest)
        old = list(takewhile(lambda number: reserved_by_ms[number] <= last_ms, numbers))
        for number in old:
            if self.seal(number):
                found[number] = None
            else:
                found |= self._read(number, number)
            del self._missing_since[number]
        return numbers[len(old)] if len(old) < len(numbers) else None

    def _reserved_by(self, numbers: Sequence[int], found: _Found, newest: int) -> Mapping[int, int]:
        """Return for missing numbers a time by which they were reserved, as far as it is known.

        That is when they were first seen missing here, when an event was written under a higher number, or the minute
        of the checkpoint that follows them.
        """
        now_ms = self._now_ms()
        if len(self._missing_since) > _MOST_NOTED:
            self._missing_since.clear()
        young = self._first_since(now_ms - _MINUTE_MS, newest)
        events = sorted((entry.sequence, entry.indexed_ms) for entry in found.values() if entry)
        times: dict[int, int] = {}
        later_ms = now_ms
        for number in reversed(numbers):
            while events and events[-1][0] > number:
                later_ms = min(later_ms, events.pop()[1])
            seen_ms = self._missing_since.setdefault(number, now_ms)
            times[number] = min(seen_ms, later_ms, now_ms - _MINUTE_MS if number < young else now_ms)
        return times

    def _read(self, first: int, last: int) -> _Found:
        """Return what is stored under the numbers from `first` to `last`, of each partition by one query."""
        counts: dict[int, int] = {}
        for number in range(first, last + 1):
            counts[_partition(number)] = counts.get(_partition(number), 0) + 1
        items = [item for partition, count in counts.items() for item in self._query(partition, first - 1, count)]
        return {number: _entry(item) for item in items if (number := int(item[SEQUENCE]["N"])) <= last}

    def _query(self, partition: int, edge: int, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the first items of a partition after a sort key."""
        return self._client.query(
            TableName=self._table,
            KeyConditionExpression=f"{PAGE} = :page AND #sequence > :edge",
            ExpressionAttributeNames={"#sequence": SEQUENCE},
            ExpressionAttributeValues={":page": {"N": str(partition)}, ":edge": {"N": str(edge)}},
            ConsistentRead=True,
            Limit=limit,
        )["Items"]

    def _make_checkpoint(self) -> None:
        """Make sure, before numbers are reserved, that there is a checkpoint for this minute.

        It names a number that is not above any number reserved in this minute or a later one, whatever clocks say: an
        environment whose clock is ahead has made a checkpoint of its own before it reserved, and this one, which may be
        made after that but for an earlier minute, does not name a higher number. Hence the order of the two reads.
        """
        now_ms = self._now_ms()
        minute = now_ms // _MINUTE_MS
        if minute == self._checkpoint:
            return
        first = self.position() + 1
        for later in self._query(_CHECKPOINTS, minute, 1):
            first = min(first, int(later["first"]["N"]))
        put: PutTypeDef = {
            "TableName": self._table,
            "Item": {
                PAGE: {"N": str(_CHECKPOINTS)},
                SEQUENCE: {"N": str(minute)},
                "first": {"N": str(first)},
                EXPIRES_AT: {"N": str(self._expiry(now_ms + _MARGIN_MS))},
            },
            "ConditionExpression": "attribute_not_exists(#sequence)",
            "ExpressionAttributeNames": {"#sequence": SEQUENCE},
        }
        try:
            self._client.put_item(**put)
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
        self._checkpoint = minute

    def _first_stored(self, newest: int) -> int:
        """Return a number before which all events have expired."""
        return self._first_since(int(self._now_ms() - self._retention_s * 1000), newest)

    def _first_since(self, ms: int, newest: int) -> int:
        """Return a number before which all were reserved before a time: `newest` + 1 if that is all up to `newest`.

        `newest` has to be read before, so that numbers which are reserved meanwhile do not count.
        """
        found = self._query(_CHECKPOINTS, ms // _MINUTE_MS - 1, 1)
        return min(int(found[0]["first"]["N"]), newest + 1) if found else newest + 1

    def _expiry(self, ms: int) -> int:
        return int((ms + _MARGIN_MS) / 1000 + self._retention_s)

    def _put(self, sequence: int, attributes: dict[str, Any]) -> "PutTypeDef":
        """Return the put of an item under a number that is not used yet."""
        return {
            "TableName": self._table,
            "Item": {PAGE: {"N": str(_partition(sequence))}, SEQUENCE: {"N": str(sequence)}, **attributes},
            "ConditionExpression": "attribute_not_exists(#sequence)",
            "ExpressionAttributeNames": {"#sequence": SEQUENCE},
        }


def _failed_conditions(error: ClientError) -> tuple[bool, bool]:
    """Tell for the two writes of the transaction whether its condition was the reason that it failed."""
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    marking, appending = (reason == "ConditionalCheckFailed" for reason in (*reasons, None, None)[:2])
    return marking, appending


def is_large(text: str) -> bool:
    """Tell whether an event should refer to its text rather than have a copy."""
    return len(text.encode()) > MAX_INLINE_BYTES


def _partition(sequence: int) -> int:
    """Return the partition key of a number: the page, and the partition within it."""
    return sequence // _PAGE_SIZE * PARTITIONS + sequence % PARTITIONS


def _is_full(page: list[_Entry], limit: int) -> bool:
    return len(page) >= limit or sum(entry.length for entry in page) > MAX_PAGE_BYTES


def _entry(item: Mapping[str, Any]) -> _Entry | None:
    """Return the event in an item, None if the item seals its number."""
    if "task" not in item:
        return None
    return _Entry(
        sequence=int(item[SEQUENCE]["N"]),
        task_id=item["task"]["S"],
        text=_text(item["event"]),
        emitted_ms=int(item["emitted"]["N"]),
        indexed_ms=int(item["indexed"]["N"]),
    )


def _text(attribute: Mapping[str, Any]) -> str | PayloadRef:
    if "S" in attribute:
        copied: str = attribute["S"]
        return copied
    fields = attribute["M"]
    return PayloadRef(fields["digest"]["S"], int(fields["length"]["N"]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
