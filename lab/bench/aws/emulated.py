"""Our stack and the bare one in the same emulator: how long a schedule takes, and how late the message goes out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import httpx

from emulator.deployment import Deployment
from lab.bench.aws.bare_stack import deploy_bare, emptied, queue_behind
from task_scheduler import timestamps

_AHEAD_MS: Final = 3_000  # far enough for the schedule to be over
_SETTLED_S: Final = 30
_WARM_UP: Final = 10


@dataclass
class Side:
    """One of the two: where to ask, where its messages arrive, and the runs so far."""

    url: str
    headers: Mapping[str, str]
    queue: str
    latencies: list[float] = field(default_factory=list)
    """Median milliseconds of a schedule, one for each run."""
    latenesses: list[float] = field(default_factory=list)
    """Median milliseconds from the second that a task is due until its message is in the queue, one for each run."""


def sides(deployment: Deployment) -> tuple[Side, Side]:
    """Return ours and the bare one, each with a queue behind its topic."""
    bare = deploy_bare(deployment)
    ours = queue_behind(deployment, deployment.outputs["TopicArn"], "ours")
    return (
        Side(f"{deployment.url}schedule", {"x-pd-secret": deployment.secret}, ours),
        Side(f"{bare.url}schedule", {}, queue_behind(deployment, bare.topic, "bare")),
    )


def run_once(deployment: Deployment, both: tuple[Side, Side], calls: int) -> None:
    """Schedule so many tasks on each side, in turns, one after the other, and wait until all were emitted."""
    spent: list[list[float]] = [[], []]
    with httpx.Client(timeout=30, trust_env=False) as client:
        for number in range(_WARM_UP + calls):
            for side, times in zip(both, spent, strict=True):
                took = _schedule(client, side)
                if number >= _WARM_UP:
                    times.append(took)
    for side, times in zip(both, spent, strict=True):
        side.latencies.append(median(times))
        side.latenesses.append(median(_latenesses(deployment, side.queue, _WARM_UP + calls)[_WARM_UP:]))


def _schedule(client: httpx.Client, side: Side) -> float:
    """Schedule one task for a whole second, which is all that Step Functions knows; return the milliseconds."""
    due_ms = (time.time_ns() // 1_000_000 + _AHEAD_MS) // 1000 * 1000
    body = {"timestamp": timestamps.format(due_ms).replace(".000Z", "Z"), "message": due_ms}
    began = time.perf_counter()
    answer = client.post(side.url, json=body, headers=side.headers)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return took * 1000


def _latenesses(deployment: Deployment, queue: str, count: int) -> list[float]:
    """Wait for so many messages; return how late each came, those that were due first at the beginning."""
    found: list[tuple[int, float]] = []
    end = time.monotonic() + _SETTLED_S
    while len(found) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{count - len(found)} of {count} messages did not arrive.")
        for message in emptied(deployment, queue):
            due_ms = message["body"]["message"]
            found.append((due_ms, message["sent_ms"] - due_ms))
    return [late for _, late in sorted(found)]
