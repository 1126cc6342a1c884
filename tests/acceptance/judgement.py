"""What was observed becomes an outcome; no I/O, so that every judgement can be tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import httpx

from tests.acceptance.report import Outcome, Verdict

_SHOWN: Final = 3
_MOST_LATE_S: Final = 60  # from then on the service itself calls a task overdue

Published = Mapping[str, Sequence[int]]
"""When each task was published, in ms, once for each publish."""


@dataclass(frozen=True)
class Cancel:
    """An attempt to cancel a task, so many seconds after it was due."""

    task_id: str
    due_ms: int
    offset_s: float
    status: int
    behind_s: float = 0
    """How much later than planned it was sent."""


def verdict(mistakes: Sequence[str], fact: str) -> Outcome:
    """Return PASS with the fact, or FAIL with the first mistakes before it."""
    if not mistakes:
        return Outcome(Verdict.PASS, fact)
    more = f" and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
    return Outcome(Verdict.FAIL, f"{'; '.join(mistakes[:_SHOWN])}{more}. {fact}")


def counts(values: Sequence[object]) -> str:
    """Write values with how often each comes: 200 5, 409 1."""
    return ", ".join(f"{value} {values.count(value)}" for value in dict.fromkeys(sorted(values, key=str)))


def truth(cancels: Sequence[Cancel], published: Published) -> Outcome:
    """A 200 means that the task is never published, a 409 that it is."""
    offsets = sorted({one.offset_s for one in cancels})
    seen = [f"due{at:+g} s: {counts([one.status for one in cancels if one.offset_s == at])}" for at in offsets]
    return verdict(_untrue(cancels, published), f"{'; '.join(seen)}; {_punctuality(cancels)}.")


def _punctuality(cancels: Sequence[Cancel]) -> str:
    """Say how far the cancels were from their plan: a machine under load sends them later."""
    return f"sent at most {max(one.behind_s for one in cancels):.2f} s later than planned"


def _untrue(cancels: Sequence[Cancel], published: Published) -> list[str]:
    mistakes = []
    for one in cancels:
        is_published = bool(published.get(one.task_id))
        when = f"a cancel at due{one.offset_s:+g} s"
        if one.status == httpx.codes.OK and is_published:
            mistakes.append(f"{when} was confirmed and the task was published")
        elif one.status == httpx.codes.CONFLICT and not is_published:
            mistakes.append(f"{when} came too late and the task was not published")
        elif one.status not in {httpx.codes.OK, httpx.codes.CONFLICT}:
            mistakes.append(f"{when} was answered with {one.status}")
    return mistakes


def harmless(
    cancels: Sequence[Cancel], published: Published, executions: Mapping[str, str], *, prompt_s: float
) -> Outcome:
    """A task whose cancels were all rejected is published in time, and what the other cancels said is true, too.

    A cancel that meets the very end of the wait may interrupt the publish; then another execution has to do it at once,
    and the message may go out twice.
    """
    rejected = [
        task_id
        for task_id in dict.fromkeys(one.task_id for one in cancels)
        if {one.status for one in cancels if one.task_id == task_id} == {httpx.codes.CONFLICT}
    ]
    if not rejected:
        return Outcome(Verdict.FAIL, f"No task had only rejected cancels: {counts([one.status for one in cancels])}.")
    due = {one.task_id: one.due_ms for one in cancels}
    mistakes, late = _untrue(cancels, published), []
    interrupted = sum(executions[task_id] != "SUCCEEDED" for task_id in rejected)
    for task_id in rejected:
        times = published.get(task_id, ())
        if not times:
            mistakes.append("a task was not published")
        else:
            late.append((min(times) - due[task_id]) / 1000)
            if late[-1] > prompt_s:
                mistakes.append(f"a task was published {late[-1]:.1f} s late")
    fact = f"{len(rejected)} of {len(due)} tasks had rejected cancels only, {_punctuality(cancels)}"
    if interrupted:
        fact += f"; the publish of {interrupted} was interrupted and started again"
    return verdict(mistakes, f"{fact}; published at most {max(late):.2f} s late." if late else f"{fact}.")


def lateness(due_ms: Mapping[str, int], published: Published, logged: Published) -> Outcome:
    """Every task is published and in the log, none early, none twice in the log."""
    missing = [task_id for task_id in due_ms if not published.get(task_id) or not logged.get(task_id)]
    early = [
        task_id
        for task_id, due in due_ms.items()
        for times in (published, logged)
        if min(times.get(task_id) or [due]) < due
    ]
    twice = [task_id for task_id in due_ms if len(logged.get(task_id, ())) > 1]
    mistakes = [
        f"{len(set(ids))} {what}"
        for what, ids in {"missing": missing, "early": early, "twice in the log": twice}.items()
        if ids
    ]
    late = sorted((min(published[task_id]) - due) / 1000 for task_id, due in due_ms.items() if published.get(task_id))
    if not late:
        return verdict([*mistakes, "nothing was published"], f"{len(due_ms)} tasks.")
    if late[-1] > _MOST_LATE_S:
        mistakes.append(f"one {late[-1]:.1f} s late")
    again = sum(len(published[task_id]) > 1 for task_id in due_ms if published.get(task_id))
    return verdict(
        mistakes,
        f"{len(late)} of {len(due_ms)} tasks: min {late[0]:.3f} s, median {percentile(late, 0.5):.3f} s, "
        f"p99 {percentile(late, 0.99):.3f} s, max {late[-1]:.3f} s late; {again} published twice.",
    )


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return the smallest value that so large a part of the values does not exceed."""
    return ordered[max(0, ceil(part * len(ordered)) - 1)]


def error_format(response: httpx.Response) -> list[str]:
    """Return what is wrong with an error response; nothing if it is in the one format of our errors."""
    try:
        body = response.json()
    except ValueError:
        return [f"the body is not JSON ({response.headers.get('content-type', 'no content type')})"]
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not errors or not all(isinstance(one, str) and one for one in errors):
        return ["the body is not a list of sentences under errors"]
    return []
