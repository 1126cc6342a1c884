"""What a client requests about each task, and when: drawn from a seed, separately for each task."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final

FAR_S: Final = 10_800.0
"""When a task is due that the run does not live to see."""

LARGE: Final = 3_000
"""Characters that make a message so large that its event refers to its task."""

_LONGEST_PART: Final = 0.6  # of the run, within which tasks are first asked for


class Act(StrEnum):
    """What is asked about a task that is there."""

    REPEAT = "repeat"
    """The request that made it, once more."""
    CHANGE = "change"
    POST_CANCEL = "POST /cancel"
    DELETE = "DELETE /tasks/{id}"
    BATCH_CANCEL = "POST /cancel/batch ids"
    TAG_CANCEL = "POST /cancel/batch tag"
    LOOK = "GET /tasks"


CANCELS: Final = (Act.POST_CANCEL, Act.DELETE, Act.BATCH_CANCEL, Act.TAG_CANCEL)


@dataclass(frozen=True)
class Step:
    """One thing that is asked."""

    act: Act
    part: float | None
    """When, as a part of the time that is left until the task is due; None: close to it."""
    close_s: float = 0.0
    """How long after the task is due, if it is close to it; negative: before."""
    due_in_s: float = 0.0
    """What it is changed to, from the moment of asking."""

    def wait_s(self, left_s: float) -> float:
        """Return how long to wait before it is asked, when the task is due in `left_s`."""
        return max(0.0, left_s + self.close_s if self.part is None else left_s * self.part)


@dataclass(frozen=True)
class Script:
    """One task."""

    name: str
    start_s: float
    """When it is first asked for, from the start of the run."""
    due_in_s: float
    tagged: bool
    steps: list[Step] = field(default_factory=list)
    large: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """Its tags: one of its own, by which it can be cancelled, and one that many share."""
        return {"task": self.name, "run": "chaos"} if self.tagged else {}

    def message(self, version: str) -> str:
        """Return the message of one version of it."""
        return f"{self.name}, {version}" + ("." * LARGE if self.large else "")


def scripts(seed: str, tasks: int, seconds: float, *, ahead_s: float = inf, far: float = 0.1) -> Iterator[Script]:
    """Yield a script for each task; most are due within the run and at most so far ahead, a part long after."""
    for number in range(tasks):
        draw = random.Random(f"{seed} task {number}")  # noqa: S311 - no secret
        start_s = draw.uniform(0, _LONGEST_PART * seconds)
        tagged = draw.random() < 0.3  # noqa: PLR2004 - a part of all tasks
        left_s = min(seconds - start_s, ahead_s)
        due_in_s = _due_in_s(draw, left_s, far)
        steps = _steps(draw, left_s, far, tagged=tagged)
        yield Script(f"task-{number}", start_s, due_in_s, tagged, steps, large=draw.random() < 0.3)  # noqa: PLR2004 - a part


def _due_in_s(draw: random.Random, left_s: float, far: float) -> float:
    """Most are due within the run, some at once, some long after it."""
    kind = draw.choices(["soon", "past", "far"], [95 - 100 * far, 5, 100 * far])
    return {"soon": draw.uniform(0.5, max(2.0, left_s)), "past": -5.0, "far": FAR_S}[kind[0]]


def _steps(draw: random.Random, left_s: float, far: float, *, tagged: bool) -> list[Step]:
    cancel = draw.choice(CANCELS if tagged else CANCELS[:-1])
    kinds: dict[tuple[Act, ...], float] = {
        (): 45,
        (Act.LOOK,): 5,
        (Act.REPEAT,): 8,
        (cancel,): 15,
        (Act.CHANGE,): 15,
        (Act.CHANGE, Act.CHANGE): 5,
        (Act.CHANGE, cancel, Act.POST_CANCEL): 7,  # once more
    }
    [acts] = draw.choices(list(kinds), list(kinds.values()))
    return [_moment(draw, act, _due_in_s(draw, left_s / 2, far) if act is Act.CHANGE else 0.0) for act in acts]


def _moment(draw: random.Random, act: Act, due_in_s: float = 0.0) -> Step:
    """Half of what is asked comes close to the time of the task, where it matters most."""
    if draw.random() < 0.5:  # noqa: PLR2004 - half
        return Step(act, part=None, close_s=draw.uniform(-2.5, 1.0), due_in_s=due_in_s)
    return Step(act, part=draw.random(), due_in_s=due_in_s)
