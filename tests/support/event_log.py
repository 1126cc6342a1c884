"""The event log, read as pages of JSON."""

from collections import defaultdict
from collections.abc import Iterable
from threading import Lock
from typing import Final

from tests.support.api import Accepted, Api, together
from tests.support.clock import NotInTimeError, eventually, now_ms
from tests.support.contract import JsonObject
from tests.support.event_stream import position

_WITHIN: Final = 60  # seconds after its due time in which a task must be in the log; this is no race


class EventLog:
    """All that was emitted after `after`, or since this log was made."""

    def __init__(self, api: Api, *, after: int | None = None) -> None:
        self.position = position(api) if after is None else after
        self._api = api
        self._by_task: dict[str, list[JsonObject]] = defaultdict(list)
        self._lock = Lock()

    def of(self, task_id: str) -> list[JsonObject]:
        """Return the envelopes of one task: none, or one if the server is right."""
        self._read_on()
        return self._by_task.get(task_id, [])

    def emitted(self) -> set[str]:
        """Return all tasks that were emitted."""
        self._read_on()
        return set(self._by_task)

    def repeated(self) -> list[str]:
        """Return the tasks that were emitted more than once."""
        self._read_on()
        return [task_id for task_id, envelopes in self._by_task.items() if len(envelopes) > 1]

    def wait_for(self, tasks: Iterable[Accepted]) -> list[JsonObject]:
        """Return the envelope of each task, in the order of `tasks`, when all are there, each once."""
        wanted = list(tasks)
        ahead = max((task.due_ms - now_ms() for task in wanted), default=0) / 1000
        missing = {task.id for task in wanted}

        def all_there() -> bool:
            self._read_on()
            missing.difference_update(self._by_task.keys() & missing)
            return not missing

        try:
            eventually(all_there, within=_WITHIN + max(0, ahead), every=self._api.deployment.patience)
        except NotInTimeError:
            raise AssertionError(f"accepted, due and not emitted: {sorted(missing)}") from None
        envelopes = [self._by_task[task.id] for task in wanted]
        assert all(len(found) == 1 for found in envelopes), "a task is in the log twice"
        return [found[0] for found in envelopes]

    def pass_by(self, due_ms: int) -> None:
        """Wait until a task due a second after `due_ms` was emitted: what was due by then had its time."""
        witness = self._api.schedule({"in": max(0, due_ms - now_ms()) / 1000 + 1, "message": "a witness"})
        self.wait_for([witness])

    def _read_on(self) -> None:
        with self._lock:
            while True:
                page = self._api.send("GET", f"/events?after={self.position}&limit=1000").body
                if not page["events"]:
                    return
                assert page["position"] > self.position, "a page that does not follow the one before it"
                self.position = page["position"]
                for envelope in page["events"]:
                    self._by_task[envelope["metadata"]["id"]].append(envelope)


def audit(api: Api, log: EventLog) -> None:
    """Hold all that was promised against the log; what is not due is cancelled, to leave nothing behind."""
    pending = [task.id for task in api.ledger.accepted.values() if task.due_ms > now_ms()]
    together(api.cancel, [task_id for task_id in pending if task_id not in api.ledger.cancelled])
    cancelled = api.ledger.cancelled.copy()
    kept = [task for task in api.ledger.accepted.values() if task.id not in cancelled]
    assert all(task.due_ms <= now_ms() for task in kept), "a task that is not due could not be cancelled"
    log.wait_for(kept)
    emitted = cancelled & log.emitted()
    assert not emitted, f"cancelled, confirmed and emitted all the same: {emitted}"
    assert not log.repeated()
