"""The events table: what was emitted, numbered in order, in pages of numbers; and the counter that gives them out."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from task_scheduler.aws.names import EXPIRES_AT, PAGE, SEQUENCE
from task_scheduler.engine import MAX_PAGE_BYTES
from task_scheduler.task import Event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

GAP_MS: Final = 5_000
"""How long a number may be missing before readers take it for lost: its writer died before it wrote."""

_PAGE_SIZE: Final = 1_000  # numbers in one partition: read in a query or two, written at 1,000 a second
_LOOK_BACK: Final = 100  # events that are read to see a gap before a page of new ones
_COUNTER: Final = {PAGE: {"N": "-1"}, SEQUENCE: {"N": "0"}}
_DAY_S: Final = 86_400


class EventLog:
    """The events table. Calls raise botocore's errors."""

    def __init__(
        self, client: "DynamoDBClient", table: str, *, retention_days: float, now_ms: Callable[[], int]
    ) -> None:
        self._client = client
        self._table = table
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

    def appending(self, event: Event) -> "PutTypeDef":
        """Return the put that appends an event under the number that it took."""
        expires = int(event.indexed_ms / 1000 + self._retention_s)
        return {
            "TableName": self._table,
            "Item": {
                PAGE: {"N": str(event.sequence // _PAGE_SIZE)},
                SEQUENCE: {"N": str(event.sequence)},
                "task": {"S": event.task_id},
                "event": {"S": event.event},
                "emitted": {"N": str(event.emitted_ms)},
                "indexed": {"N": str(event.indexed_ms)},
                EXPIRES_AT: {"N": str(expires)},
            },
            "ConditionExpression": "attribute_not_exists(#sequence)",
            "ExpressionAttributeNames": {"#sequence": SEQUENCE},
        }

    def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a number, up to the first gap that may still be filled."""
        page: list[Event] = []
        size = 0
        for event in self._settled(self._following(after, limit), after):
            page.append(event)
            size += len(event.event)
            if size > MAX_PAGE_BYTES:
                break
        return page

    def events_before(self, before: int, *, limit: int) -> list[Event]:
        """Return the last events before a number, in order, and only such as events() would return now."""
        newest = min(before - 1, self.position()) // _PAGE_SIZE
        found: list[Event] = []  # the last one first
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
        last: list[Event] = []
        while settled and not _is_full(last, limit):
            last.append(settled.pop())
        return last[::-1]

    def wait(self, *, after: int, seconds: float, pause_s: float, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Look every `pause_s` seconds whether an event follows a number; False when `seconds` have passed."""
        end_ms = self._now_ms() + seconds * 1000
        while True:
            if self.position() > after and self.events(after=after, limit=1):
                return True
            if self._now_ms() + pause_s * 1000 >= end_ms:
                return False
            sleep(pause_s)

    def _is_behind_all_gaps(self, event: Event) -> bool:
        """Tell whether no number before an event can still be filled: all were taken before it was written."""
        return event.indexed_ms < self._now_ms() - 2 * GAP_MS

    def _settled(self, events: Iterable[Event], after: int) -> Iterator[Event]:
        """Yield events up to the first gap that may still be filled."""
        for event in events:
            if event.sequence != after + 1 and event.indexed_ms > self._now_ms() - GAP_MS:
                return
            yield event
            after = event.sequence

    def _following(self, after: int, limit: int) -> list[Event]:
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

    def _query(self, page: int, edge: int, limit: int, *, backwards: bool = False) -> list[Event]:
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
        return [_event(item) for item in answer["Items"]]


def _is_full(page: list[Event], limit: int) -> bool:
    return len(page) >= limit or sum(len(event.event) for event in page) > MAX_PAGE_BYTES


def _event(item: dict[str, Any]) -> Event:
    return Event(
        sequence=int(item[SEQUENCE]["N"]),
        task_id=item["task"]["S"],
        event=item["event"]["S"],
        emitted_ms=int(item["emitted"]["N"]),
        indexed_ms=int(item["indexed"]["N"]),
    )
