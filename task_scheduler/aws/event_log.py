"""The events table: what was emitted, numbered in order, in pages of numbers; and the counter that gives them out."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from task_scheduler.aws.items import items_of
from task_scheduler.aws.names import EXPIRES_AT, PAGE, SEQUENCE, TASK_ID
from task_scheduler.engine import MAX_PAGE_BYTES
from task_scheduler.task import Event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

GAP_MS: Final = 5_000
"""How long a number may be missing before readers take it for lost: its writer died before it wrote."""

MOST_COPIED: Final = 2_750
"""Bytes of the largest text that an event has itself; a larger one stays with its task, to which the event refers.

One partition of DynamoDB writes 1,000 kilobytes a second, and a transaction counts each twice; with three kilobytes the
log still takes as many events as the recorder brings.
"""

_PAGE_SIZE: Final = 1_000  # numbers in one partition: read in a query or two, written at 1,000 a second
_LOOK_BACK: Final = 100  # events that are read to see a gap before a page of new ones
_COUNTER: Final = {PAGE: {"N": "-1"}, SEQUENCE: {"N": "0"}}
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class _Reference:
    """A text that is that of the task, by its digest, so that no other is ever taken for it."""

    digest: str
    length: int
    """In characters."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event as it is stored."""

    sequence: int
    task_id: str
    text: str | _Reference
    emitted_ms: int
    indexed_ms: int

    @property
    def length(self) -> int:
        return len(self.text) if isinstance(self.text, str) else self.text.length


class EventLog:
    """The events table, with the large texts in the tasks table. Calls raise botocore's errors."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        tasks_table: str,
        *,
        retention_days: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._client = client
        self._table = table
        self._tasks_table = tasks_table
        self._retention_s = retention_days * _DAY_S
        self._now_ms = now_ms

    def position(self) -> int:
        """Return the newest number given out, 0 when there was none."""
        item = self._client.get_item(TableName=self._table, Key=_COUNTER, ConsistentRead=True).get("Item")
        return 0 if item is None else int(item["last"]["N"])

    def take_numbers(self, count: int) -> int:
        """Take the next `count` numbers and return the first; readers pass those that are never used."""
        answer = self._client.update_item(
            TableName=self._table,
            Key=_COUNTER,
            UpdateExpression="ADD #last :count",
            ExpressionAttributeNames={"#last": "last"},
            ExpressionAttributeValues={":count": {"N": str(count)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["last"]["N"]) - count + 1

    def expiry(self, event: Event) -> int:
        """Return until when an event is kept, in seconds since the Unix epoch."""
        return int(event.indexed_ms / 1000 + self._retention_s)

    def appending(self, event: Event, *, refer: bool = False) -> "PutTypeDef":
        """Return the put that appends an event under the number that it took.

        With `refer` its text is left to the task, which has to have it for as long as the event is kept.
        """
        text: dict[str, Any] = {"S": event.event}
        if refer:
            text = {"M": {"digest": {"S": _digest(event.event)}, "length": {"N": str(len(event.event))}}}
        return {
            "TableName": self._table,
            "Item": {
                PAGE: {"N": str(event.sequence // _PAGE_SIZE)},
                SEQUENCE: {"N": str(event.sequence)},
                "task": {"S": event.task_id},
                "event": text,
                "emitted": {"N": str(event.emitted_ms)},
                "indexed": {"N": str(event.indexed_ms)},
                EXPIRES_AT: {"N": str(self.expiry(event))},
            },
            "ConditionExpression": "attribute_not_exists(#sequence)",
            "ExpressionAttributeNames": {"#sequence": SEQUENCE},
        }

    def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a number, up to the first gap that may still be filled."""
        while page := self._page(after, limit):
            if events := self._with_texts(page):
                return events
            after = page[-1].sequence
        return []

    def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a number, in order, and only such as events() would return now."""
        while page := self._page_before(before, limit):
            if events := self._with_texts(page):
                return events
            before = page[0].sequence
        return []

    def wait(self, *, after: int, seconds: float, pause_s: float, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Look every `pause_s` seconds whether an event follows a number; False when `seconds` have passed."""
        end_ms = self._now_ms() + seconds * 1000
        while True:
            if self.position() > after and self.events(after=after, limit=1):
                return True
            if self._now_ms() + pause_s * 1000 >= end_ms:
                return False
            sleep(pause_s)

    def _with_texts(self, page: Sequence[_Entry]) -> list[Event]:
        """Return the events of a page, without those whose text is gone.

        A task outlives its event, so that is so where the tables were brought back as they were at different moments.
        """
        wanted = dict.fromkeys(entry.task_id for entry in page if isinstance(entry.text, _Reference))
        items = items_of(self._client, self._tasks_table, list(wanted))
        texts: dict[str, str] = {item[TASK_ID]["S"]: item["event"]["S"] for item in items}
        events = []
        for entry in page:
            text = entry.text if isinstance(entry.text, str) else texts.get(entry.task_id, "")
            if isinstance(entry.text, str) or _digest(text) == entry.text.digest:
                events.append(Event(entry.sequence, entry.task_id, text, entry.emitted_ms, entry.indexed_ms))
        return events

    def _page(self, after: int, limit: int) -> list[_Entry]:
        """Return what is stored after a number, up to the first gap, and about MAX_PAGE_BYTES at most."""
        page: list[_Entry] = []
        size = 0
        for entry in self._settled(self._following(after, limit), after):
            page.append(entry)
            size += entry.length
            if size > MAX_PAGE_BYTES:
                break
        return page

    def _page_before(self, before: int, limit: int) -> list[_Entry]:
        """Return the last that is stored before a number, bounded in the same way."""
        newest = min(before - 1, self.position()) // _PAGE_SIZE
        found: list[_Entry] = []  # the last one first
        number = newest
        while number >= 0 and not (_is_full(found, limit) and self._is_behind_all_gaps(found[-1])):
            wanted = limit - len(found)
            edge = found[-1].sequence if found else before
            page = self._query(number, edge, wanted if wanted > 0 else _LOOK_BACK, backwards=True)
            found += page
            if not page:  # all of this page of numbers was read: a query ends early where its events are large
                if number < newest and (not found or found[-1].sequence // _PAGE_SIZE > number):
                    break  # what came before has expired
                number -= 1
        settled = list(self._settled(reversed(found), found[-1].sequence - 1)) if found else []
        last: list[_Entry] = []
        while settled and not _is_full(last, limit):
            last.append(settled.pop())
        return last[::-1]

    def _is_behind_all_gaps(self, entry: _Entry) -> bool:
        """Tell whether no number before an event can still be filled: all were taken before it was written."""
        return entry.indexed_ms < self._now_ms() - 2 * GAP_MS

    def _settled(self, entries: Iterable[_Entry], after: int) -> Iterator[_Entry]:
        """Yield events up to the first gap that may still be filled."""
        for entry in entries:
            if entry.sequence != after + 1 and entry.indexed_ms > self._now_ms() - GAP_MS:
                return
            yield entry
            after = entry.sequence

    def _following(self, after: int, limit: int) -> list[_Entry]:
        """Return events after a number as they are stored, gaps and all: at least one if there is any."""
        number = (after + 1) // _PAGE_SIZE
        found = self._query(number, after, limit)
        if found and len(found) < limit and found[-1].sequence % _PAGE_SIZE == _PAGE_SIZE - 1:
            found += self._query(number + 1, after, limit - len(found))
        if found:
            return found
        newest = self.position() // _PAGE_SIZE
        if newest == number:
            return []
        return self._query(self._first_page(number + 1, newest, after), after, limit)

    def _first_page(self, low: int, high: int, after: int) -> int:
        """Return the first page that holds anything, by halves: pages expire from the front."""
        while low < high:
            middle = (low + high) // 2
            if self._query(middle, after, 1):
                high = middle
            else:
                low = middle + 1
        return low

    def _query(self, page: int, edge: int, limit: int, *, backwards: bool = False) -> list[_Entry]:
        """Return events of one page: the first after a number, or backwards the last before it."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression=f"{PAGE} = :page AND #sequence {'<' if backwards else '>'} :edge",
            ExpressionAttributeNames={"#sequence": SEQUENCE},
            ExpressionAttributeValues={":page": {"N": str(page)}, ":edge": {"N": str(edge)}},
            ConsistentRead=True,
            ScanIndexForward=not backwards,
            Limit=limit,
        )
        return [_entry(item) for item in answer["Items"]]


def is_large(text: str) -> bool:
    """Tell whether an event had better refer to its text than have a copy."""
    return len(text.encode()) > MOST_COPIED


def _is_full(page: list[_Entry], limit: int) -> bool:
    return len(page) >= limit or sum(entry.length for entry in page) > MAX_PAGE_BYTES


def _entry(item: dict[str, Any]) -> _Entry:
    return _Entry(
        sequence=int(item[SEQUENCE]["N"]),
        task_id=item["task"]["S"],
        text=_text(item["event"]),
        emitted_ms=int(item["emitted"]["N"]),
        indexed_ms=int(item["indexed"]["N"]),
    )


def _text(attribute: dict[str, Any]) -> str | _Reference:
    if "S" in attribute:
        copied: str = attribute["S"]
        return copied
    fields = attribute["M"]
    return _Reference(fields["digest"]["S"], int(fields["length"]["N"]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
