"""Records what was emitted: marks the task and appends to the event log, together and once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.aws.clients import code, was_rejected
from task_scheduler.aws.event_log import EventLog, is_large
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event, is_task_id, read_payload

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_logger: Final = logging.getLogger(__name__)

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Emission:
    """A message that went out."""

    payload: str
    emitted_ms: int


class Recorder:
    """Writes emissions down. What is repeated, by SNS, SQS or a caller whose answer was lost, changes nothing."""

    def __init__(
        self,
        client: "DynamoDBClient",
        task_store: TaskStore,
        log: EventLog,
        *,
        now_ms: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._client = client  # one that attempts a call once: another attempt takes another sequence number
        self._task_store = task_store
        self._log = log
        self._now_ms = now_ms
        self._metrics = metrics

    def record(self, emissions: Sequence[Emission]) -> list[bool]:
        """Record emissions in their order; tell for each whether that is done, or has to be tried again later."""
        ids = [_task_id(emission.payload) for emission in emissions]
        records: dict[str | None, StoredTask] = {}
        done = {task_id: self._is_settled(task_id, records) for task_id in dict.fromkeys(ids)}
        numbers = SequenceAllocator(self._log, list(done.values()).count(False))
        for task_id, emission in zip(ids, emissions, strict=True):
            if task_id is not None and not done[task_id]:
                record = records.get(task_id)
                done[task_id] = self._record(task_id, emission, record, numbers)
                if done[task_id]:
                    self._count(emission, record)
        numbers.seal_unused()
        return [done[task_id] for task_id in ids]

    def record_open(self, record: StoredTask, emission: Emission) -> bool:
        """Record the emission of a task that was just seen open; tell whether that is done."""
        numbers = SequenceAllocator(self._log, 1)
        done = self._record(record.task.id, emission, record, numbers)
        numbers.seal_unused()
        if done:
            self._count(emission, record)
        return done

    def _is_settled(self, task_id: str | None, records: dict[str | None, StoredTask]) -> bool:
        """Tell whether there is nothing to record, and note what is kept of the task.

        Where that cannot be read, the recording itself will find out.
        """
        if task_id is None:
            _logger.warning("A message on the topic was not published by the state machine; it is left out of the log.")
            return True
        try:
            record = self._task_store.get(task_id)
        except (BotoCoreError, ClientError):
            return False
        if record is None:
            _logger.warning("The message of an unknown task is left out of the log.", extra={"task_id": task_id})
            return True
        records[task_id] = record
        return record.state is StoredState.EMITTED

    def _count(self, emission: Emission, record: StoredTask | None) -> None:
        """Count an emission that is recorded; a rare one twice, where two recorders have it at the same moment."""
        self._metrics.count(Metric.EMITTED)
        if record is not None:
            late_ms = emission.emitted_ms - record.task.expected_ms
            self._metrics.observe(Metric.LATENESS, [max(late_ms, 0) / 1000])  # SQS's clock is not Step Functions'

    def _record(
        self, task_id: str, emission: Emission, record: StoredTask | None, numbers: "SequenceAllocator"
    ) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                outcome = self._append(task_id, emission, record, numbers)
            except (BotoCoreError, ClientError) as error:
                # It may have worked: then the next attempt finds the task emitted.
                _logger.warning("An emission was not recorded yet: %s", code(error), extra={"task_id": task_id})
                continue
            if outcome is _Outcome.RECORDED:
                return True
            if outcome is _Outcome.CHANGED:
                record = None
        return False

    def _append(
        self, task_id: str, emission: Emission, record: StoredTask | None, numbers: "SequenceAllocator"
    ) -> "_Outcome":
        """Mark the task and append the event in one transaction.

        An event with a large text refers to the task, if the task has the text that went out: its revision is a
        condition, and a task never changes once it is emitted. Otherwise, as after a change at the same moment, the
        event has a copy.
        """
        sequence = numbers.take()
        event = Event(sequence, task_id, emission.payload, emission.emitted_ms, indexed_ms=self._now_ms())
        refer = record is not None and record.task.payload == event.payload and is_large(event.payload)
        update = self._task_store.mark_emitted_request(
            task_id,
            emitted_ms=event.emitted_ms,
            unchanged=record if refer else None,
            until=self._log.expiry(event),
        )
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": update}, {"Put": self._log.append_request(event, refer=refer)}]
            )
        except (BotoCoreError, ClientError) as error:
            marking, append_request = _failed_conditions(error)
            if append_request:  # a reader has sealed the number, and soon the others that were reserved with it
                numbers.discard()
            elif was_rejected(error):
                numbers.give_back(sequence)
            if not marking and not append_request and code(error) != "TransactionCanceledException":
                raise
            if not marking:
                return _Outcome.IN_THE_WAY
            return _Outcome.CHANGED if refer else _Outcome.RECORDED  # the latter by another
        return _Outcome.RECORDED


class _Outcome(Enum):
    """What came of a transaction."""

    RECORDED = auto()
    CHANGED = auto()
    """The task is not as it was read: it may have another text, or be recorded by another."""
    IN_THE_WAY = auto()
    """Another write was in its way, or its sequence number was sealed."""


def _failed_conditions(error: BotoCoreError | ClientError) -> tuple[bool, bool]:
    """Tell for the two writes of the transaction whether its condition was the reason that it failed."""
    response = error.response if isinstance(error, ClientError) else {}
    reasons = [reason.get("Code") for reason in response.get("CancellationReasons", [])]
    marking, append_request = (reason == "ConditionalCheckFailed" for reason in (*reasons, None, None)[:2])
    return marking, append_request


class SequenceAllocator:
    """Sequence numbers, reserved for a whole batch at once.

    A number that was not used for certain is used for the next event: readers wait for a number that is missing.
    """

    def __init__(self, log: EventLog, count: int) -> None:
        self._log = log
        self._count = count
        self._reserved: list[int] = []

    def take(self) -> int:
        """Return a number that no one else has. Raises botocore's errors."""
        if not self._reserved:
            count = max(self._count, 1)
            first = self._log.reserve_sequence(count)
            self._reserved = list(range(first, first + count))
        self._count -= 1
        return self._reserved.pop(0)

    def give_back(self, sequence: int) -> None:
        """Take back a number that was certainly not used."""
        self._count += 1
        self._reserved.insert(0, sequence)

    def discard(self) -> None:
        """Use none of the numbers that are left, as readers seal them."""
        self._reserved = []

    def seal_unused(self) -> None:
        """Seal the numbers that are left, so that no reader has to wait before it does."""
        try:
            for sequence in self._reserved:
                self._log.seal(sequence)
        except (BotoCoreError, ClientError) as error:
            _logger.warning("Sequence numbers were not used: %s", code(error))


def _task_id(event: str) -> str | None:
    """Return the id in an emitted event, None if the text is none of ours: a reader of the log counts on a message."""
    try:
        fields = read_payload(event)
        task_id, message = fields["id"], fields["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return None if message is None or not is_task_id(task_id) else task_id
