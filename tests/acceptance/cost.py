"""What a run costs at most, by the project's own model and list prices."""

from dataclasses import dataclass
from typing import Final

from lab.bench.cost import HOURS, LARGE, SMALL, Cost, Deployment, added, dollars

SUITE_TASKS: Final = 2_400
"""Twice what the conformance suite schedules; the run itself is compared with it."""

SUITE_REQUESTS: Final = 12_000
SUITE_LARGE: Final = 100
"""Tasks of the suite with messages of some 100 kB."""

OTHER_TASKS: Final = 100
"""Of the questions, besides those whose lateness is measured."""

HOURS_AT_MOST: Final = 3
_STACKS: Final = 2  # the second one is deployed with iam-policy.json
_DAY: Final = 1 / 30  # of a month; what is charged by the month is charged by the hour, so this is more
_LISTENER_HOURS: Final = 6
_MARGIN: Final = 1.5
"""For what the model leaves out: requests to KMS, a few to S3, those of the observer's queue."""


@dataclass(frozen=True)
class Estimate:
    """The most that a run uses."""

    tasks: int
    transitions: int
    requests: int
    dollars: float

    def sentence(self) -> str:
        """Return the sentence that states the cost."""
        return (
            f"This run costs at most {self.dollars:.2f} US dollars by list prices: {self.tasks:,} tasks, "
            f"{self.transitions:,} state transitions, {self.requests:,} requests, and two deployments for up to "
            f"{HOURS_AT_MOST} hours. Afterwards nothing costs anything."
        )


def estimate(late_tasks: int) -> Estimate:
    """Return an upper bound for a run that measures the lateness of so many tasks."""
    deployment = Deployment(dashboards=0)
    small, large = Cost(SMALL, deployment), Cost(LARGE, deployment)
    tasks, requests = SUITE_TASKS + OTHER_TASKS + late_tasks, SUITE_REQUESTS + OTHER_TASKS + late_tasks
    hours = HOURS_AT_MOST / HOURS
    monthly = {**small.monitoring(), "Secrets Manager": deployment.secrets + 1}
    usage = added(
        [
            # Every task is tagged, changed and emitted; every further request is a cancel, the dearest of them.
            *((tasks, part) for part in (small.schedule(), small.first_tag(), small.emit(), small.reschedule())),
            *((SUITE_LARGE, part) for part in (large.schedule(), large.emit(), large.reschedule())),
            (requests, small.cancel()),
            (requests, small.streamed()),
            (_LISTENER_HOURS / HOURS, small.listener()),
            (_STACKS * hours, small.idle()),
            (_STACKS * hours, small.polling()),
            (_STACKS * _DAY, monthly),
        ]
    )
    transitions = round(usage["Step Functions"])
    return Estimate(tasks + SUITE_LARGE, transitions, tasks + requests, _MARGIN * dollars(usage))
