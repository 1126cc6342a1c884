"""What a run on AWS did, in lines of text."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from lab.chaos.aws.nemesis import Plan
from lab.support.history import Observations

_LONGEST: Final = 5
_PARTS: Final = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "most": 1.0}


def done(
    plan: Plan, observed: Observations, *, swept: Mapping[str, int], longest_s: Mapping[str, float]
) -> dict[str, object]:
    """Return what went wrong, what the sweeper did, and how long everything took."""
    longest = sorted(longest_s.items(), key=lambda item: -item[1])[:_LONGEST]
    messages = len(observed.deliveries)
    repeated = messages - len({message.task_id for message in observed.deliveries})
    return {
        "calls to AWS": f"{sum(plan.calls.values())}, of which {sum(plan.faults.values())} went wrong",
        **_faults(plan),
        "sweeps": ", ".join(f"{name} {count}" for name, count in sorted(swept.items())) or "none",
        "messages": f"{messages} reached the subscriber, {repeated} of them not for the first time",
        "seconds late": ", ".join(f"{name} {late:.1f}" for name, late in _lateness(observed).items()),
        "longest requests": ", ".join(f"{answer} {seconds:.1f} s" for answer, seconds in longest),
    }


def _faults(plan: Plan) -> dict[str, str]:
    by_operation: dict[str, Counter[str]] = defaultdict(Counter)
    for (kind, operation), count in plan.faults.items():
        by_operation[operation][kind] += count
    return {
        f"  {operation}": f"{calls}: " + ", ".join(f"{kind} {n}" for kind, n in sorted(by_operation[operation].items()))
        for operation, calls in sorted(plan.calls.items())
    }


def _lateness(observed: Observations) -> dict[str, float]:
    late = sorted((entry.emitted_ms - entry.version.due_ms) / 1000 for entry in observed.log)
    return {name: late[round(part * (len(late) - 1))] for name, part in _PARTS.items()} if late else {}
