"""Compares a history with the observations: every accepted task exactly once in the log, never early, never lost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.support.history import Emitted, History, Listed, Observations, TaskHistory, Version
from task_scheduler import timestamps


@dataclass(frozen=True)
class Verdict:
    """Where every accepted task is, and a sentence for each violation."""

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


def check(history: History, observed: Observations) -> Verdict:
    """Return the verdict on a run."""
    accepted = history.accepted
    logged = {entry.task_id for entry in observed.log}
    statuses = Counter(task.status for task in observed.tasks if task.id in accepted and task.id not in logged)
    counts = (len(accepted), len(logged & accepted.keys()), statuses["cancelled"], statuses["scheduled"])
    verdict = Verdict(*counts, violations=[*_violations(history, observed)])
    if counts[0] == sum(counts[1:]) or verdict.violations:
        return verdict
    return Verdict(*counts, violations=[f"The sum is wrong: {verdict.sum}"])


def report(history: History, verdict: Verdict, done: Mapping[str, object]) -> list[str]:
    """Return lines about what was done and found."""
    operations = sorted({operation for operation, _ in history.responses})
    ended = {
        operation: ", ".join(
            f"{how} {count}" for (of, how), count in sorted(history.responses.items()) if of == operation
        )
        for operation in operations
    }
    lines = [*_aligned(done), "", *_aligned(ended), "", verdict.sum]
    if verdict.violations:
        lines += [
            "",
            f"{len(verdict.violations)} violations, the first 50:",
            *(f"  {one}" for one in verdict.violations[:50]),
        ]
    else:
        lines.append("None lost, none early, none twice, none after its cancellation was confirmed.")
    return lines


def _aligned(values: Mapping[str, object]) -> list[str]:
    width = max(map(len, values), default=0)
    return [f"{name:{width}}  {value}" for name, value in values.items()]


def _violations(history: History, observed: Observations) -> Iterator[str]:
    yield from history.errors
    log, listed = _by_task(observed.log), defaultdict[str, list[Listed]](list)
    for one in observed.tasks:
        listed[one.id].append(one)
    for task in history.tasks.values():
        name = task.id or task.key
        found = [*task.errors]
        if task.rejection:
            found.append(f"was rejected though nothing was wrong with it: {task.rejection}")
        elif task.id is None:
            found.append("never got a definite response")
        else:
            found += _logged(task, log[name])
            found += _listed(task, listed[name], log[name], observed.due_before_ms)
        yield from (f"{name} {sentence}" for sentence in found)
    yield from _delivered(history, observed, log)
    delivered = {message.task_id for message in observed.deliveries}
    for place, ids in (("emitted", log.keys()), ("listed", listed.keys()), ("delivered", delivered)):
        for stranger in sorted(set(ids).difference(history.accepted)):
            yield f"{stranger} is {place}, and was never accepted"
    yield from _followed(observed)


def _by_task(entries: Iterable[Emitted]) -> defaultdict[str, list[Emitted]]:
    found: defaultdict[str, list[Emitted]] = defaultdict(list)
    for entry in entries:
        found[entry.task_id].append(entry)
    return found


def _logged(task: TaskHistory, log: Sequence[Emitted]) -> Iterator[str]:
    """Check that a task is in the log at most once, as it was confirmed, not early, and not if it is cancelled."""
    if len(log) > 1:
        yield f"is in the log {len(log)} times, at {[entry.sequence for entry in log]}"
    if task.cancelled and log:
        yield f"was emitted at {log[0].sequence}, and its cancellation was confirmed"
    if task.too_late and not log:
        yield "was never emitted, and a cancel was rejected because it was too late"
    for entry in log:
        yield from _version(task, entry.version, f"emitted at {entry.sequence}")
        if (early_ms := entry.version.due_ms - entry.emitted_ms) > 0:
            yield f"was emitted {early_ms} ms early, at {entry.sequence}"


def _listed(task: TaskHistory, listed: Sequence[Listed], log: Sequence[Emitted], due_before_ms: int) -> Iterator[str]:
    """Check that a task is listed once, with a status that agrees with the log and with the responses."""
    if len(listed) != 1:
        yield f"is listed {len(listed)} times: {'it was lost' if not listed else 'a list repeats it'}"
    for one in listed:
        status, at = one.status, log[0].sequence if log else None
        wrong = {
            f"is {status}": status not in {"scheduled", "emitted", "cancelled"},
            "is listed as emitted, and is not in the log": status == "emitted" and not log,
            f"is in the log at {at}, and is listed as {status}": status != "emitted" and bool(log),
            f"was emitted at {one.emitted_ms} by its task, and at another time by the log": status == "emitted"
            and bool(log)
            and one.emitted_ms != log[0].emitted_ms,
            "is cancelled, and no client requested that": status == "cancelled"
            and not (task.cancelled or task.may_be_cancelled),
            f"is {status}, and its cancellation was confirmed": status != "cancelled" and task.cancelled,
            f"was due at {timestamps.format(one.version.due_ms)}, and is still scheduled": status == "scheduled"
            and one.version.due_ms < due_before_ms,
            "is still scheduled, and a change was rejected because it is over": status == "scheduled" and task.over,
        }
        yield from (sentence for sentence, is_so in wrong.items() if is_so)
        yield from _version(task, one.version, "listed")


def _version(task: TaskHistory, found: Version, where: str) -> Iterator[str]:
    """Check that it is the last confirmed version, or one that may have followed it."""
    if found not in task.possible:
        yield f"is {where} as {found}, and was confirmed as {' or '.join(map(str, task.possible))}"


def _delivered(history: History, observed: Observations, log: Mapping[str, Sequence[Emitted]]) -> Iterator[str]:
    """Check that each emitted task was delivered at least once, always as the same version, and no other was."""
    accepted = history.accepted
    delivered = {message.task_id for message in observed.deliveries}
    for task_id in accepted:
        if log[task_id] and task_id not in delivered:
            yield f"{task_id} was emitted at {log[task_id][0].sequence}, and never delivered"
    versions: defaultdict[str, set[Version]] = defaultdict(set)
    for message in observed.deliveries:
        if not (task := accepted.get(message.task_id)):
            continue
        versions[message.task_id].add(message.version)
        if task.cancelled:
            yield f"{task.id} was delivered, and its cancellation was confirmed"
        if not log[message.task_id]:
            yield f"{task.id} was delivered, and is not in the log"
        if (early_ms := message.version.due_ms - message.latest_ms) > 0:
            yield f"{task.id} was delivered {early_ms} ms early"
        yield from (f"{task.id} {sentence}" for sentence in _version(task, message.version, "delivered"))
    yield from (
        f"{task_id} was delivered as {len(found)} versions" for task_id, found in versions.items() if len(found) > 1
    )


def _followed(observed: Observations) -> Iterator[str]:
    """Check that the numbers of the log rise, and that the listener saw the log, each entry once and in its order."""
    for before, after in pairwise(observed.log):
        if after.sequence <= before.sequence:
            yield f"The log goes from {before.sequence} to {after.sequence}"
    seen = [item.event for item in observed.seen]
    for item in observed.seen:
        if (early_ms := item.event.version.due_ms - item.latest_ms) > 0:
            yield f"The listener got {item.event.task_id} {early_ms} ms early, at {item.event.sequence}"
    for event, count in Counter(seen).items():
        if count > 1:
            yield f"The listener got {event.task_id} {count} times, at {event.sequence}"
    missed, invented = set(observed.log).difference(seen), set(seen).difference(observed.log)
    yield from (f"The listener missed {event.task_id}, at {event.sequence}" for event in missed)
    yield from (f"The listener got {event.task_id} at {event.sequence}, unlike the log" for event in invented)
    for earlier, later in pairwise(seen):
        if later.sequence < earlier.sequence:
            yield f"The listener got {later.sequence} after {earlier.sequence}"
