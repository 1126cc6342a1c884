"""How far one deployment on AWS goes, on paper: quotas, item sizes and batch times, and the tables of docs/scale.md.

Steady rates and single crowds only: each figure is a quotient of a limit and what a task takes of it. The queue timer
is a design that is not built yet; its figures are those that it aims at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from docs.markdown import table
from lab.bench.cost import API_SECONDS, LARGE, SECONDS_PER_BYTE, SMALL, Cost, Deployment

# Of the code and the template; tests compare them.
SHARDS: Final = 8
EVENT_PARTITIONS: Final = 8
REQUESTS: Final = 500
WINDOW_S: Final = 86_400
SWEEP_EVERY_S: Final = 60
SWEEP_S: Final = 45  # of these
SWEEP_THREADS: Final = 8

RECONCILE_S: Final = 0.1
"""Assumed, not measured: how long a thread of the sweeper takes for a task."""

# Of the queue timer, as it is designed.
LOADED_S: Final = 2_000
"""Messages a second that a sweep sends, in batches of ten."""
DISPATCHERS: Final = 150
"""Batches of ten that are dispatched at once, each within the time of one call of the API."""
QUEUE_LOAD_S: Final = 12 * 60
"""How long before its time a task is loaded into the queue."""

CROWD: Final = 1_000_000
HORIZONS: Final = {"5 minutes": 300, "1 hour": 3_600, "1 day": 86_400, "30 days": 30 * 86_400, "1 year": 365 * 86_400}

_DOCS: Final = "https://docs.aws.amazon.com"
_STATES: Final = f"{_DOCS}/step-functions/latest/dg/service-quotas.html"
_DYNAMODB: Final = f"{_DOCS}/amazondynamodb/latest/developerguide"


@dataclass(frozen=True)
class Quota:
    """What an account may do in a region by default: in us-east-1, and in a small region."""

    what: str
    large: float
    small: float
    source: str


_QUOTAS: Final = (
    Quota("`StartExecution` a second", 300, 150, _STATES),
    Quota("state transitions a second", 5_000, 800, _STATES),
    Quota("open executions", 1_000_000, 1_000_000, _STATES),
    Quota("SNS publishes a second", 30_000, 300, f"{_DOCS}/general/latest/gr/sns.html"),
    Quota("Lambda environments", 1_000, 1_000, f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html"),
    Quota("write units of a table a second", 40_000, 40_000, f"{_DYNAMODB}/ServiceQuotas.html"),
    Quota("write units of a partition a second", 1_000, 1_000, f"{_DYNAMODB}/bp-partition-key-design.html"),
)
_STARTS, _TRANSITIONS, _OPEN, _PUBLISHES, _ENVIRONMENTS, _TABLE, _PARTITION = _QUOTAS


@dataclass(frozen=True)
class Limit:
    """How many tasks a second one limit lets through for ever, and what raises it."""

    name: str
    rate: float
    raised_by: str


@dataclass(frozen=True)
class Model:
    """One deployment under the quotas of a region, with messages of one size."""

    small_region: bool = False
    size: int = SMALL
    recorders: int = Deployment().recorders

    def _quota(self, quota: Quota) -> float:
        return quota.small if self.small_region else quota.large

    @property
    def recorded(self) -> float:
        """Events a second that the recorder writes."""
        return self.recorders * Deployment().batch / Cost(self.size).recording_seconds()

    @property
    def swept(self) -> float:
        """Parked tasks a second that the sweeper starts, over the whole minute."""
        return SWEEP_THREADS / RECONCILE_S * SWEEP_S / SWEEP_EVERY_S

    def shared(self) -> Iterator[Limit]:
        """Yield the limits of both timers; a transaction writes each unit of the event log twice."""
        cost, partition = Cost(self.size), self._quota(_PARTITION)
        written = 3 * (cost.task_writes + cost.deployment.indexes)  # scheduled, and then moved to emitted
        yield Limit("recorder", self.recorded, "`recorder_concurrency`")
        yield Limit("requests_per_second", REQUESTS, "the setting, or batches of a hundred")
        yield Limit("event log", EVENT_PARTITIONS * partition / (2 * cost.event_writes), "nothing: more stacks")
        yield Limit("index", SHARDS * partition / 2, "nothing: more stacks")
        yield Limit("tasks table", self._quota(_TABLE) / written, "DynamoDB's quota for a table")
        yield Limit("Lambda environments", self._quota(_ENVIRONMENTS) / self._call_s(1), "its quota")
        yield Limit("SNS publishes", self._quota(_PUBLISHES), "its quota")

    def executions(self, horizon: float = 0) -> Iterator[Limit]:
        """Yield what Step Functions adds, for tasks that are due after so many seconds."""
        yield Limit("StartExecution", self._quota(_STARTS), "its quota")
        yield Limit("transitions", self._quota(_TRANSITIONS) / Deployment().transitions, "its quota")
        if horizon:
            yield Limit("open executions", self._quota(_OPEN) / min(horizon, WINDOW_S), "its quota")
        if horizon > WINDOW_S:
            yield Limit("sweeper", self.swept, "a longer `arming_window_days`, and a quota for it")

    def queue(self, horizon: float = 0) -> Iterator[Limit]:
        """Yield what the queue timer adds: a claim writes the whole item, and the loader sends what is far."""
        batch = Deployment().batch
        yield Limit("dispatcher", DISPATCHERS * batch / self._call_s(batch), "its concurrency")
        yield Limit("claims", self._quota(_TABLE) / Cost(self.size).task_writes, "DynamoDB's quota for a table")
        if horizon > QUEUE_LOAD_S:
            yield Limit("loader", LOADED_S * SWEEP_S / SWEEP_EVERY_S, "more threads")

    def _call_s(self, messages: int) -> float:
        return API_SECONDS + messages * self.size * SECONDS_PER_BYTE


def quotas_table() -> str:
    """Return AWS's quotas, each with its source."""
    rows = [(one.what, _rate(one.large), _rate(one.small), f"[AWS]({one.source})") for one in _QUOTAS]
    return table(("by default", "us-east-1", "a small region", "source"), rows)


def rates_table() -> str:
    """Return each limit in tasks a second, in large and small regions, and for large messages."""
    models = (Model(), Model(small_region=True), Model(size=LARGE))
    rates = [{limit.name: limit for limit in (*one.executions(), *one.shared())} for one in models]
    rows = [
        (name, *(_rate(each[name].rate) for each in rates), limit.raised_by)
        for name, limit in sorted(rates[0].items(), key=lambda item: item[1].rate)
    ]
    return table(("tasks a second, for ever", "us-east-1", "a small region", "us-east-1, 100 kB", "raised by"), rows)


def sizes_table() -> str:
    """Return what a message of each size takes."""
    head = (
        "bytes of an event",
        "write units of a task",
        "of the event log",
        "ten are recorded in",
        "recorded a second",
    )
    rows: list[tuple[object, ...]] = []
    for size in (SMALL, 1_000, 10_000, LARGE):
        cost, recorded = Cost(size), Model(size=size).recorded
        batch = f"{cost.recording_seconds():.2g} s"
        rows.append((f"{size:,}", cost.task_writes, cost.event_writes, batch, _rate(recorded)))
    return table(head, rows)


def horizons_table() -> str:
    """Return the rate up to which messages go out on time, and the bottleneck, by how far ahead tasks are due."""
    large, small = Model(), Model(small_region=True)
    rows = []
    for name, ahead in HORIZONS.items():
        here, there = (_bottleneck(*one.executions(ahead), *one.shared()) for one in (large, small))
        queued = _bottleneck(*large.queue(ahead), *(one for one in large.shared() if one.name != "requests_per_second"))
        rows.append((name, here, there, queued))
    return table(("tasks a second, due in", "us-east-1", "a small region", "queue timer (planned), in batches"), rows)


def _bottleneck(*limits: Limit) -> str:
    """Name the lowest limit; the recorder and the event log delay no message."""
    found = min((one for one in limits if one.name not in {"recorder", "event log"}), key=lambda one: one.rate)
    return f"{_rate(found.rate)}: {found.name}"


def crowds_table() -> str:
    """Return how long a million tasks that are due at one second take, to be published and to be in the log."""
    crowds = {
        "us-east-1": (Model(), Model().executions()),
        "a small region": (Model(small_region=True), Model(small_region=True).executions()),
        "us-east-1, `recorder_concurrency=15`": (Model(recorders=15), Model().executions()),
        "us-east-1, the queue timer (planned), 60 recorders": (Model(recorders=60), Model().queue()),
    }
    rows = []
    for name, (model, timer) in crowds.items():
        rates = {limit.name: limit.rate for limit in (*timer, *model.shared())}
        rates["transitions"] = rates.get("transitions", inf) * Deployment().transitions  # the others were before
        out_s = CROWD / min(
            rates[one] for one in rates.keys() & {"transitions", "SNS publishes", "dispatcher", "claims"}
        )
        logged_s = max(out_s, CROWD / min(rates["recorder"], rates["event log"]))
        rows.append((name, *(f"{seconds / 60:.1f} minutes" for seconds in (out_s, logged_s))))
    return table(("a million due at once", "all published after", "all in the event log after"), rows)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 20 else f"{rate:.1f}"  # noqa: PLR2004 - below that the tenths matter
