"""Records what was emitted: marks the task and appends to the event log, together and once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.aws.clients import code
from task_scheduler.aws.event_log import EventLog, is_large
from task_scheduler.aws.registry import Record, Registry, State
from task_scheduler.metrics import Metric, Observer
from task_scheduler.task import Event, is_task_id, read_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_logger: Final = logging.getLogger(__name__)

_FRESH_MS: Final = 2_000  # a number older than this is not used: readers pass it soon (event_log.GAP_MS)
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Emission:
    """A message that went out."""

    event: str
    emitted_ms: int


class Recorder:
    """Writes emissions down. What is repeated, by SNS, SQS or a caller whose answer was lost, changes nothing."""

    def __init__(
        self,
        client: "DynamoDBClient",
        registry: Registry,
        log: EventLog,
        *,
        now_ms: Callable[[], int],
        observer: Observer,
    ) -> None:
        self._client = client  # one that tries once: a slow write must not land after readers have passed its number
        self._registry = registry
        self._log = log
        self._now_ms = now_ms
        self._observer = observer

    def record(self, emissions: Sequence[Emission]) -> list[bool]:
        """Record emissions in their order; tell for each whether that is done, or has to be tried again later."""
        ids = [_task_id(emission.event) for emission in emissions]
        records: dict[str | None, Record] = {}
        done = {task_id: self._is_settled(task_id, records) for task_id in dict.fromkeys(ids)}
        numbers = _Numbers(self._log, list(done.values()).count(False), self._now_ms)
        for task_id, emission in zip(ids, emissions, strict=True):
            if task_id is not None and not done[task_id]:
                record = records.get(task_id)
                done[task_id] = self._record(task_id, emission, record, numbers)
                if done[task_id]:
                    self._count(emission, record)
        return [done[task_id] for task_id in ids]

    def record_open(self, record: Record, emission: Emission) -> bool:
        """Record the emission of a task that was just seen open; tell whether that is done."""
        done = self._record(record.task.id, emission, record, _Numbers(self._log, 1, self._now_ms))
        if done:
            self._count(emission, record)
        return done

    def _is_settled(self, task_id: str | None, records: dict[str | None, Record]) -> bool:
        """Tell whether there is nothing to record, and note what is kept of the task.

        Where that cannot be read, the recording itself will find out.
        """
        if task_id is None:
            _logger.warning("A message on the topic was not published by the state machine; it is left out of the log.")
            return True
        try:
            record = self._registry.get(task_id)
        except (BotoCoreError, ClientError):
            return False
        if record is None:
            _logger.warning("The message of an unknown task is left out of the log.", extra={"task_id": task_id})
            return True
        records[task_id] = record
        return record.state is State.EMITTED

    def _count(self, emission: Emission, record: Record | None) -> None:
        """Count an emission that is recorded; a rare one twice, where two recorders have it at the same moment."""
        self._observer.count(Metric.EMITTED)
        if record is not None:
            late_ms = emission.emitted_ms - record.task.expected_ms
            self._observer.observe(Metric.LATENESS, [max(late_ms, 0) / 1000])  # SQS's clock is not Step Functions'

    def _record(self, task_id: str, emission: Emission, record: Record | None, numbers: "_Numbers") -> bool:
        for _ in range(_TRIES):
            try:
                if self._append(task_id, emission, record, numbers.next()):
                    return True
            except (BotoCoreError, ClientError) as error:
                # It may have worked: then the next try finds the task emitted.
                _logger.warning("An emission was not recorded yet: %s", code(error), extra={"task_id": task_id})
            record = None  # it may no longer be what the table has
        return False

    def _append(self, task_id: str, emission: Emission, record: Record | None, sequence: int) -> bool:
        """Mark and append in one transaction; False where another write was in its way.

        An event with a large text refers to the task, if that is what went out: its revision is a condition, and a task
        never changes once it is emitted. Otherwise, as after a change at the same moment, it has a copy.
        """
        event = Event(sequence, task_id, emission.event, emission.emitted_ms, indexed_ms=self._now_ms())
        refer = record is not None and record.task.event == event.event and is_large(event.event)
        update = self._registry.emission(
            task_id,
            emitted_ms=event.emitted_ms,
            unchanged=record if refer else None,
            until=self._log.expiry(event),
        )
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": update}, {"Put": self._log.appending(event, refer=refer)}]
            )
        except ClientError as error:
            if code(error) != "TransactionCanceledException":
                raise
            reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            return not refer and reasons[:1] == ["ConditionalCheckFailed"]  # emitted already: recorded by another
        return True


class _Numbers:
    """Sequence numbers, taken for a whole batch at once, and anew when they have grown old."""

    def __init__(self, log: EventLog, count: int, now_ms: Callable[[], int]) -> None:
        self._log = log
        self._now_ms = now_ms
        self._count = count
        self._taken_ms = 0
        self._left: list[int] = []

    def next(self) -> int:
        """Return a number that nobody else has, young enough to be written."""
        if not self._left or self._now_ms() > self._taken_ms + _FRESH_MS:
            self._taken_ms = self._now_ms()
            first = self._log.take_numbers(max(self._count, 1))
            self._left = list(range(first, first + max(self._count, 1)))
        self._count -= 1
        return self._left.pop(0)


def _task_id(event: str) -> str | None:
    """Return the id in an emitted event, None if the text is none of ours: a reader of the log counts on a message."""
    try:
        fields = read_event(event)
        task_id, message = fields["id"], fields["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return None if message is None or not is_task_id(task_id) else task_id
