"""The limits that a deployment meets, as numbers: AWS's quotas, our settings, and what follows from the design."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from lab.bench.cost import API_SECONDS, SMALL, Cost, Deployment
from stacks.settings import Settings
from task_scheduler.aws.event_log import PARTITIONS
from task_scheduler.aws.sweeper import LOOK_MS
from task_scheduler.aws.task_store import SHARDS

PARTITION_WRITES: Final = 1_000
"""Write units a second of one partition of DynamoDB, and of one item."""

TABLE_WRITES: Final = 40_000
"""Write units a second of one table with its indexes, unless more is asked for."""

LOOK_S: Final = LOOK_MS // 1000
TRIES: Final = 2
"""Of a call by the SDK; a test holds it against the client's."""

SWEEP_EVERY_S: Final = 60
SWEEP_S: Final = 45
"""How much of each minute a sweep may take; held by a test."""

SWEEP_THREADS: Final = 8
ATTEND_S: Final = 0.1
"""Assumed: how long one thread of the sweeper takes for a task: two calls, on a third of a processor."""

THROTTLED_S: Final = 0.5
"""How long a thread takes for a call that is rejected twice: the SDK waits up to 1 s."""

RETRY_FIRST_S: Final = 1
RETRY_LONGEST_S: Final = 300
RETRIES: Final = 100
"""Of a publish, in the state machine; held by a test."""


@dataclass(frozen=True)
class Quotas:
    """What an account may do in a region by default, each second where nothing else is said.

    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html and
    https://docs.aws.amazon.com/general/latest/gr/sns.html
    """

    start_rate: float = 300
    start_burst: float = 1_300
    transitions: float = 5_000
    publishes: float = 30_000
    describe_rate: float = 15
    describe_burst: float = 300
    open_executions: int = 1_000_000
    environments: int = 1_000
    """Lambda environments at once; API Gateway's own 10,000 requests a second are further away."""


LARGE_REGION: Final = Quotas()
SMALL_REGION: Final = Quotas(
    start_rate=150, start_burst=800, transitions=800, publishes=300, describe_rate=10, describe_burst=250
)


@dataclass(frozen=True)
class Design:
    """What is ours: settings, and figures of the code. The defaults are those that are deployed."""

    requests_per_second: float = Settings().requests_per_second
    request_burst: float = Settings().request_burst
    window_days: float = Settings().arming_window_days
    recorders: int = Deployment().recorders
    shards: int = SHARDS
    event_partitions: int = PARTITIONS
    """Over which the numbers of one page of the event log are spread."""
    halves: bool = True
    """Whether the sweeper leaves half of its time to parked tasks, however many are overdue."""
    size: int = SMALL

    @property
    def recorded(self) -> float:
        """Return how many events a second the recorder can write down."""
        cost = Cost(self.size)
        batches = self.recorders / cost.recording_seconds()
        return cost.deployment.batch * min(batches, PARTITION_WRITES)  # each batch moves the one counter

    @property
    def logged(self) -> float:
        """Return how many events a second the event log takes: a transaction writes each unit twice."""
        return self.event_partitions * PARTITION_WRITES / (2 * Cost(self.size).event_writes)

    @property
    def tabled(self) -> float:
        """Return how many tasks a second the tasks table takes, each scheduled and emitted."""
        cost = Cost(self.size)
        return TABLE_WRITES / (3 * cost.task_writes + 3 * cost.deployment.indexes)

    @property
    def indexed(self) -> float:
        """Return how many tasks a second the shards of what is scheduled take: each comes and goes."""
        return self.shards * PARTITION_WRITES / 2

    @property
    def swept(self) -> float:
        """Return how many parked tasks a second the sweeper starts, over the whole minute."""
        return SWEEP_THREADS / ATTEND_S * SWEEP_S / SWEEP_EVERY_S


DEPLOYED: Final = Design()


@dataclass(frozen=True)
class Ceiling:
    """How many tasks a second one limit lets through for ever, and what lifts it."""

    name: str
    rate: float
    lift: str


def ceilings(quotas: Quotas, design: Design) -> Iterator[Ceiling]:
    """Yield each limit in tasks a second, scheduled one by one and emitted."""
    api = API_SECONDS + design.size * 1e-6
    yield Ceiling("recorder", design.recorded, "`recorder_concurrency`")
    yield Ceiling("StartExecution", quotas.start_rate, "its quota")
    yield Ceiling("SNS publishes", quotas.publishes, "its quota")
    yield Ceiling("event log", design.logged, "nothing: more stacks")
    yield Ceiling("requests_per_second", design.requests_per_second, "the setting, or batches of a hundred")
    yield Ceiling("transitions", quotas.transitions / Deployment().transitions, "its quota")
    yield Ceiling("index", design.indexed, "nothing: more stacks")
    yield Ceiling("tasks table", design.tabled, "DynamoDB's quota for a table")
    yield Ceiling("Lambda environments", quotas.environments / api, "its quota")


def raised(design: Design, quotas: Quotas, rate: float) -> tuple[Design, Quotas]:
    """Return a deployment for a rate, with all raised that can be: a half more than needed."""
    room = 1.5 * rate
    return (
        replace(design, requests_per_second=max(design.requests_per_second, min(room, 10_000)), request_burst=5_000),
        replace(
            quotas,
            start_rate=max(quotas.start_rate, room),
            start_burst=max(quotas.start_burst, 4 * room),
            transitions=max(quotas.transitions, 2 * room),
            publishes=max(quotas.publishes, room),
            open_executions=max(quotas.open_executions, int(room * 3_600)),
            environments=max(quotas.environments, int(room * 0.2) + 100),
        ),
    )
