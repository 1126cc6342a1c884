"""Holds what a server promised against what became of it, and says in words what does not fit."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.chaos.ledger import Delivered, Emitted, Evidence, Kept, Ledger, Promise, Version
from task_scheduler import timestamps


@dataclass(frozen=True)
class Account:
    """Where every accepted task is."""

    accepted: int
    emitted: int
    cancelled: int
    scheduled: int
    violations: Sequence[str]

    @property
    def sum(self) -> str:
        """The equation that must hold."""
        return (
            f"{self.accepted} accepted = {self.emitted} emitted + {self.cancelled} cancelled"
            f" + {self.scheduled} still scheduled"
        )


def settle(ledger: Ledger, evidence: Evidence) -> Account:
    """Return where every accepted task is, and a sentence for each violation of a promise."""
    accepted = ledger.accepted
    logged = {entry.task_id for entry in evidence.log}
    statuses = Counter(task.status for task in evidence.kept if task.id in accepted and task.id not in logged)
    emitted = len(logged & accepted.keys())
    account = Account(
        len(accepted), emitted, statuses["cancelled"], statuses["scheduled"], list(_violations(ledger, evidence))
    )
    whole = account.emitted + account.cancelled + account.scheduled == account.accepted
    return account if whole or account.violations else _unbalanced(account)


def _unbalanced(account: Account) -> Account:
    return Account(
        account.accepted, account.emitted, account.cancelled, account.scheduled, [f"The sum is wrong: {account.sum}"]
    )


def _violations(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    yield from ledger.complaints
    log: dict[str, list[Emitted]] = defaultdict(list)
    for entry in evidence.log:
        log[entry.task_id].append(entry)
    kept: dict[str, list[Kept]] = defaultdict(list)
    for task in evidence.kept:
        kept[task.id].append(task)
    delivered: dict[str, list[Delivered]] = defaultdict(list)
    for message in evidence.deliveries:
        delivered[message.task_id].append(message)
    for promise in ledger.promises.values():
        yield from _answers(promise)
        if promise.id is not None:
            yield from _task(promise, log[promise.id], kept[promise.id], evidence)
            yield from _deliveries(promise, log[promise.id], delivered[promise.id], evidence)
    for place, ids in (("emitted", set(log)), ("kept", set(kept)), ("delivered", set(delivered))):
        for stranger in sorted(ids.difference(ledger.accepted)):
            yield f"{stranger} is {place}, and nobody was told that it is accepted"
    yield from _order(evidence)
    yield from _listener(evidence)


def _answers(promise: Promise) -> Iterator[str]:
    name = promise.id or promise.key
    yield from (f"{name} {sentence}" for sentence in promise.broken)
    if promise.refusal:
        yield f"{name} was refused though nothing was wrong with it: {promise.refusal}"
    elif promise.id is None:
        yield f"{name} never got a definite answer"


def _task(promise: Promise, log: list[Emitted], kept: list[Kept], evidence: Evidence) -> Iterator[str]:
    """Look at one accepted task: in the log once, or cancelled, or still to come."""
    name = promise.id
    if len(log) > 1:
        yield f"{name} is in the log {len(log)} times, at {[entry.sequence for entry in log]}"
    if len(kept) != 1:
        yield f"{name} is kept {len(kept)} times: {'it was lost' if not kept else 'a list repeats it'}"
    if promise.cancelled and log:
        yield f"{name} was emitted at {log[0].sequence}, and its cancellation was confirmed"
    if promise.too_late and not log:
        yield f"{name} was never emitted, and a cancel was refused since it was too late"
    for entry in log:
        yield from _version(promise, entry.version, f"emitted at {entry.sequence}")
        if entry.emitted_ms < entry.version.due_ms:
            early = entry.version.due_ms - entry.emitted_ms
            yield f"{name} was emitted {early} ms early, at {entry.sequence}"
    for task in kept:
        yield from _kept(promise, task, log, evidence)


def _kept(promise: Promise, task: Kept, log: list[Emitted], evidence: Evidence) -> Iterator[str]:
    name = promise.id
    if task.status == "emitted" and not log:
        yield f"{name} counts as emitted, and is not in the log"
    elif task.status != "emitted" and log:
        yield f"{name} is in the log at {log[0].sequence}, and counts as {task.status}"
    if task.status == "emitted" and log and task.emitted_ms != log[0].emitted_ms:
        yield f"{name} was emitted at {task.emitted_ms} by its task, and at {log[0].emitted_ms} by the log"
    if task.status == "cancelled" and not promise.cancelled and not promise.may_be_cancelled:
        yield f"{name} is cancelled, and nobody asked for that"
    if task.status != "cancelled" and promise.cancelled:
        yield f"{name} is {task.status}, and its cancellation was confirmed"
    if task.status == "scheduled" and task.version.due_ms < evidence.due_before_ms:
        yield f"{name} was due at {timestamps.format(task.version.due_ms)}, and is still scheduled"
    if task.status == "scheduled" and promise.over:
        yield f"{name} is still scheduled, and a change was refused since it is over"
    if task.status not in {"scheduled", "emitted", "cancelled"}:
        yield f"{name} is {task.status}"
    yield from _version(promise, task.version, "kept")


def _version(promise: Promise, found: Version, where: str) -> Iterator[str]:
    """Look whether it is the last confirmed version, or one that may have followed it."""
    if found not in promise.possible:
        expected = " or ".join(map(str, promise.possible))
        yield f"{promise.id} is {where} as {found}, and was confirmed as {expected}"


def _deliveries(promise: Promise, log: list[Emitted], delivered: list[Delivered], evidence: Evidence) -> Iterator[str]:
    name = promise.id
    if log and not delivered and evidence.delivered:
        yield f"{name} was emitted at {log[0].sequence}, and never delivered"
    if delivered and promise.cancelled:
        yield f"{name} was delivered, and its cancellation was confirmed"
    if delivered and not log:
        yield f"{name} was delivered, and is not in the log"
    for message in delivered:
        yield from _version(promise, message.version, "delivered")
        if message.latest_ms < message.version.due_ms:
            yield f"{name} was delivered {message.version.due_ms - message.latest_ms} ms early"
    if len(versions := {message.version for message in delivered}) > 1:
        yield f"{name} was delivered as different things: {versions}"


def _order(evidence: Evidence) -> Iterator[str]:
    for before, after in pairwise(evidence.log):
        if after.sequence <= before.sequence:
            yield f"The log goes from {before.sequence} to {after.sequence}"


def _listener(evidence: Evidence) -> Iterator[str]:
    """Hold what the listener saw against the log: the same entries, in the same order, each once."""
    if not evidence.followed:
        return
    seen = [item.event for item in evidence.seen]
    for item in evidence.seen:
        if item.latest_ms < item.event.version.due_ms:
            early = item.event.version.due_ms - item.latest_ms
            yield f"The listener got {item.event.task_id} {early} ms early, at {item.event.sequence}"
    for entry, count in Counter(seen).items():
        if count > 1:
            yield f"The listener got {entry.task_id} {count} times, at {entry.sequence}"
    heard = set(seen)
    logged = set(evidence.log)
    yield from (f"The listener missed {e.task_id}, at {e.sequence}" for e in evidence.log if e not in heard)
    yield from (f"The listener got {e.task_id} at {e.sequence}; the log has it not so" for e in seen if e not in logged)
    for before, after in pairwise(seen):
        if after.sequence < before.sequence:
            yield f"The listener got {after.sequence} after {before.sequence}"
