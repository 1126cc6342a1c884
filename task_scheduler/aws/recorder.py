"""Records what was emitted: marks the task and appends to the event log, together and once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from task_scheduler.aws.errors import ServiceError
from task_scheduler.aws.event_log import Append, EventLog, is_large
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.metrics import Metric, Metrics
from task_scheduler.task import Event, Task, is_task_id, read_payload

_logger: Final = logging.getLogger(__name__)

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Emission:
    """A message that went out."""

    payload: str
    emitted_ms: int


@dataclass(slots=True)
class _Recording:
    """An emission that is not recorded yet."""

    task_id: str
    emission: Emission
    stored: StoredTask | None
    """The task as it was read, None if it could not be read or has changed since."""


class Recorder:
    """Writes emissions down. What is repeated, by SNS, SQS or a caller whose response was lost, changes nothing."""

    def __init__(self, task_store: TaskStore, log: EventLog, *, now_ms: Callable[[], int], metrics: Metrics) -> None:
        self._task_store = task_store
        self._log = log
        self._now_ms = now_ms
        self._metrics = metrics

    def record(self, emissions: Sequence[Emission]) -> list[bool]:
        """Record emissions in their order; tell for each whether that is done, or needs another attempt later."""
        ids = [_task_id(emission.payload) for emission in emissions]
        first = dict(zip(ids[::-1], emissions[::-1], strict=True))
        found = (self._unrecorded(task_id, first[task_id]) for task_id in dict.fromkeys(ids))
        failed = self._record_all([recording for recording in found if recording is not None])
        return [task_id not in failed for task_id in ids]

    def record_open(self, stored: StoredTask, emission: Emission) -> bool:
        """Record the emission of a task that was just seen open; tell whether that is done."""
        return not self._record_all([_Recording(stored.task.id, emission, stored)])

    def _unrecorded(self, task_id: str | None, emission: Emission) -> _Recording | None:
        """Return what is to be recorded, None if there is nothing.

        Where the task cannot be read, the recording itself will find out.
        """
        if task_id is None:
            _logger.warning("A message on the topic was not published by the state machine; it is left out of the log.")
            return None
        try:
            stored = self._task_store.get(task_id)
        except ServiceError:
            return _Recording(task_id, emission, None)
        if stored is None:
            _logger.warning("The message of an unknown task is left out of the log.", extra={"task_id": task_id})
            return None
        return None if stored.state is StoredState.EMITTED else _Recording(task_id, emission, stored)

    def _record_all(self, recordings: Sequence[_Recording]) -> set[str | None]:
        """Record emissions under numbers that are reserved together; return the ids of those that failed."""
        numbers = SequenceAllocator(self._log, len(recordings))
        failed: set[str | None] = {
            recording.task_id for recording in recordings if not self._record(recording, numbers)
        }
        numbers.seal_unused()
        return failed

    def _record(self, recording: _Recording, numbers: "SequenceAllocator") -> bool:
        task = None if recording.stored is None else recording.stored.task
        for _ in range(_ATTEMPTS):
            try:
                is_done = self._append(recording, numbers)
            except ServiceError as error:
                # It may have worked: then the next attempt finds the task emitted.
                about = {"task_id": recording.task_id}
                _logger.warning("An emission was not recorded yet: %s", error.code, extra=about)
                continue
            if is_done:
                self._count(recording.emission, task)
                return True
        return False

    def _append(self, recording: _Recording, numbers: "SequenceAllocator") -> bool:
        """Mark the task and append the event in one transaction; tell whether that is done, by this call or another.

        An event with a large text refers to the task (claim check), if the task has the text that was emitted: its
        revision is a condition, and a task never changes once it is emitted. Otherwise, as after a change at the same
        moment, the event has a copy.
        """
        emission, stored = recording.emission, recording.stored
        sequence = numbers.take()
        event = Event(sequence, recording.task_id, emission.payload, emission.emitted_ms, indexed_ms=self._now_ms())
        refer = stored is not None and stored.task.payload == event.payload and is_large(event.payload)
        mark = self._task_store.mark_emitted_request(
            event.task_id,
            emitted_ms=event.emitted_ms,
            unchanged=stored if refer else None,
            until=self._log.expiry(event),
        )
        try:
            outcome = self._log.append(event, mark=mark, refer=refer)
        except ServiceError as error:
            if error.was_rejected:
                numbers.give_back(sequence)
            raise
        if outcome is Append.SEALED:  # and readers soon seal the others that were reserved with it
            numbers.discard()
        elif outcome is not Append.APPENDED:
            numbers.give_back(sequence)
        if outcome is Append.NOT_MARKED and refer:  # it may have another text, or be recorded by another
            recording.stored = None
            return False
        return outcome in {Append.APPENDED, Append.NOT_MARKED}

    def _count(self, emission: Emission, task: Task | None) -> None:
        """Count an emission that is recorded; a rare one twice, where two recorders have it at the same moment."""
        self._metrics.count(Metric.EMITTED)
        if task is not None:
            late_ms = emission.emitted_ms - task.expected_ms
            self._metrics.observe(Metric.LATENESS, [max(late_ms, 0) / 1000])  # SQS's clock is not Step Functions'


class SequenceAllocator:
    """Sequence numbers, reserved for a whole batch at once.

    A number that was not used for certain is used for the next event: readers wait for a number that is missing.
    """

    def __init__(self, log: EventLog, count: int) -> None:
        self._log = log
        self._count = count
        self._reserved: list[int] = []

    def take(self) -> int:
        """Return a number that no one else has. Raises ServiceError."""
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
        except ServiceError:
            _logger.warning("Sequence numbers were not used; readers seal them in a moment.")


def _task_id(event: str) -> str | None:
    """Return the id in an emitted event, None if the text is none of ours: a reader of the log counts on a message."""
    try:
        fields = read_payload(event)
        task_id, message = fields["id"], fields["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return None if message is None or not is_task_id(task_id) else task_id
