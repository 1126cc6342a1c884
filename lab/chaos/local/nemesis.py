"""Which faults the node meets, and when: drawn from a seed before the run, so the same seed makes the same faults."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log
from typing import Final

_LONGEST_STEP_MS: Final = 7_200_000
_FURTHEST_MS: Final = 43_200_000  # from the system's time: events are stored for seven days by the stepped clock


class Kind(StrEnum):
    """What can happen to the node."""

    KILL = "killed"
    CRASH_LOOP = "killed again while starting"
    PAUSE = "suspended"
    STEP_FORWARD = "clock set forward"
    STEP_BACK = "clock set back"
    FULL_DISK = "disk full"


_WEIGHTS: Final = dict.fromkeys(Kind, 3) | {Kind.KILL: 5, Kind.CRASH_LOOP: 2, Kind.PAUSE: 2}


@dataclass(frozen=True)
class Fault:
    """One thing that happens."""

    at_s: float
    kind: Kind
    seconds: Sequence[float] = ()
    """How long the server stays dead, suspended or without room; for a crash loop, how long it lives each time."""
    step_ms: int = 0
    room: float = 0
    """Up to which part of its size SQLite's log can be written when the disk is full; it is written again and again."""


def plan(seed: str, *, seconds: float, every: float) -> list[Fault]:
    """Return the faults of a run, about one `every` so many seconds, each kind among the first ones."""
    draw = random.Random(f"faults {seed}")  # noqa: S311 - makes a plan, no secret
    first = draw.sample(list(Kind), len(Kind))
    faults = [_fault(draw, 0, Kind.CRASH_LOOP)]  # the very first start makes the file
    offset_ms = 0
    at_s = draw.uniform(0.5, 1.5) * every
    while at_s < seconds:
        kind = first.pop() if first else draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        fault = _fault(draw, at_s, kind)
        if abs(offset_ms + fault.step_ms) <= _FURTHEST_MS:
            offset_ms += fault.step_ms
            faults.append(fault)
        at_s += draw.uniform(0.1, 1.9) * every
    return faults


def _fault(draw: random.Random, at_s: float, kind: Kind) -> Fault:
    step_ms = round(exp(draw.uniform(log(10), log(_LONGEST_STEP_MS))))
    match kind:
        case Kind.CRASH_LOOP:
            return Fault(at_s, kind, [draw.uniform(0, 0.8) for _ in range(draw.randint(1, 3))])
        case Kind.PAUSE:
            return Fault(at_s, kind, [draw.uniform(0.05, 5)])
        case Kind.STEP_FORWARD | Kind.STEP_BACK:
            return Fault(at_s, kind, step_ms=step_ms if kind is Kind.STEP_FORWARD else -step_ms)
        case Kind.FULL_DISK:
            return Fault(at_s, kind, [draw.uniform(0.2, 4)], room=draw.choice([0, draw.random(), 1]))
    return Fault(at_s, kind, [draw.choice([0, draw.uniform(0, 2)])])
