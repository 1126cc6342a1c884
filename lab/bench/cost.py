"""What the AWS engine costs: what the template says, the units of each action, list prices.

`python -m lab cost` computes your own case. The units are those of the calls that the engine makes: a test
counts them. Sizes are those of the emitted event as JSON, in bytes.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final, Self

from lab.bench.prices import PRICES

SMALL: Final = 300  # bytes of an event whose message is a line or two
LARGE: Final = 100_000

# Assumed, not measured on AWS: how long a call of `api` takes, and one of `recorder` with ten messages twice that.
API_SECONDS: Final = 0.15
# Assumed: what a byte of the message adds, as it is parsed, written, and sent on: 0.1 s for 100 kB.
SECONDS_PER_BYTE: Final = 1e-6
LOG_KB: Final = 1  # assumed: what Lambda logs of a call
# What an item of the tasks table holds beside the event: ids, times, the key, names; held by a test.
TASK_BYTES: Final = 250
KEY_BYTES: Final = 200  # an item of an idempotency key, which our clients send with each task
EVENT_BYTES: Final = 110  # the same of the events table
# Bytes of the largest event that is copied into the events table; a larger one refers to its task.
MAX_INLINE_BYTES: Final = 700
REFERENCE_BYTES: Final = 90  # what it holds in place of the event
INDEX_BYTES: Final = 220  # an entry of the index with what DynamoDB adds to it (100 bytes)
ANSWER_BYTES: Final = 500  # assumed: an answer of the API, or the head of what is sent, with its HTTP headers
# How long a function uses a secret that it has read; a read is a call for each of two versions.
SECRET_CACHE_S: Final = 300
POLLERS: Final = 5
# Lambda polls a queue with nothing in it by five long polls: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
POLL_S: Final = 20
# Custom metrics that the sweeper publishes every minute, whatever happens; in use there are six more.
IDLE_METRICS: Final = 6
METRICS: Final = 12

Usage = Mapping[str, float]

_KB: Final = 1024
_READ: Final = 4 * _KB
_PIECE: Final = 64 * _KB  # as SNS and SQS count
_GB: Final = 1e9
HOURS: Final = 730  # in a month


@dataclass(frozen=True)
class Deployment:
    """What costs depend on in a template; the defaults are those of the stack with its default settings."""

    api_gb: float = 0.5
    stream_gb: float = 0.25
    recorder_gb: float = 0.5
    sweeper_gb: float = 0.5
    batch: int = 10
    """Messages that the recorder takes at once when there are many."""
    recorders: int = 5
    """That may run at once."""
    sweeps_an_hour: float = 60
    transitions: int = 2
    """States that an execution enters."""
    indexes: int = 1
    """Of the tasks table; each holds the keys only."""
    task_days: int = 30
    event_days: int = 7
    secrets: int = 1
    alarms: int = 10
    """Metrics of the alarms: one on a ratio has two."""
    dashboards: int = 1

    @classmethod
    def of(cls, template: Mapping[str, Any]) -> Self:
        """Read a synthesised template; raises ValueError where it is not paid as this module reckons."""
        found: dict[str, list[dict[str, Any]]] = {}
        for resource in template["Resources"].values():
            found.setdefault(resource["Type"].removeprefix("AWS::"), []).append(resource.get("Properties", {}))
        functions = {one["Handler"].split(".")[1]: one for one in found["Lambda::Function"] if "Handler" in one}
        indexes = [index for table in found["DynamoDB::Table"] for index in table.get("GlobalSecondaryIndexes", [])]
        if (
            {table["BillingMode"] for table in found["DynamoDB::Table"]} != {"PAY_PER_REQUEST"}
            or {index["Projection"]["ProjectionType"] for index in indexes} != {"KEYS_ONLY"}
            or {architecture for one in functions.values() for architecture in one["Architectures"]} != {"arm64"}
            or {one.get("StateMachineType", "STANDARD") for one in found["StepFunctions::StateMachine"]} != {"STANDARD"}
        ):
            raise ValueError("The template pays for tables, functions or executions in another way.")
        [mapping], [machine] = found["Lambda::EventSourceMapping"], found["StepFunctions::StateMachine"]
        [rule] = [one for one in found["Events::Rule"] if "ScheduleExpression" in one]
        rates = {"rate(1 minute)": 60, "rate(5 minutes)": 12, "rate(1 hour)": 1}
        environment = functions["api"]["Environment"]["Variables"]
        return cls(
            **{f"{name}_gb": one["MemorySize"] / 1024 for name, one in functions.items()},
            batch=mapping["BatchSize"],
            recorders=mapping["ScalingConfig"]["MaximumConcurrency"],
            sweeps_an_hour=rates[rule["ScheduleExpression"]],
            transitions=json.dumps(machine["DefinitionString"]).count('\\"Type\\"'),
            indexes=len(indexes),
            task_days=int(environment["TASK_RETENTION_DAYS"]),
            event_days=int(environment["EVENT_RETENTION_DAYS"]),
            secrets=len(found.get("SecretsManager::Secret", [])),
            alarms=sum(_metrics_of(alarm) for alarm in found.get("CloudWatch::Alarm", [])),
            dashboards=len(found.get("CloudWatch::Dashboard", [])),
        )


class Cost:
    """The units of each action with messages of one size, in one deployment."""

    def __init__(self, size: int = SMALL, deployment: Deployment | None = None) -> None:
        self.size = size
        self.deployment = deployment or Deployment()
        self.task_writes = ceil((size + TASK_BYTES) / _KB)
        self._task_reads = ceil((size + TASK_BYTES) / _READ)
        refers = size > MAX_INLINE_BYTES
        self._event_bytes = (REFERENCE_BYTES if refers else size) + EVENT_BYTES
        self.event_writes = ceil(self._event_bytes / _KB)
        self._event_reads = ceil(self._event_bytes / _READ) + (self._task_reads if refers else 0)
        self._pieces = ceil(size / _PIECE)

    # A write to the table writes to its index too: once where an item is new, twice where it moves in the index. An
    # update is charged by the whole item, an item in a transaction twice, its index not:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    def schedule(self) -> Usage:
        """Claim the key, put the task, start the execution, respond; and store the task until it expires."""
        indexes, days = self.deployment.indexes, self.deployment.task_days
        stored = (self.size + TASK_BYTES + KEY_BYTES + indexes * INDEX_BYTES) / _GB * days / 30
        return {
            **self._request(self.size),
            "DynamoDB writes": 1 + self.task_writes + indexes,
            "DynamoDB storage": stored,
            "Step Functions": 1,
        }

    def first_tag(self) -> Usage:
        """Put a row, and the task with it in one transaction."""
        return {"DynamoDB writes": self.task_writes + 2 + self.deployment.indexes}

    def further_tag(self) -> Usage:
        """Put a row more."""
        return {"DynamoDB writes": 2 + self.deployment.indexes}

    def emit(self) -> Usage:
        """Publish, and record in a batch: read and mark the task, append the event, move the counter once."""
        batch = self.deployment.batch
        received = ceil(batch * self.size / _PIECE) / batch
        return {
            "Step Functions": self.deployment.transitions - 1,
            "SNS publishes": self._pieces,
            "SQS": self._pieces + received + 1 / batch,  # sent one by one; received and deleted in batches
            "DynamoDB reads": self._task_reads,
            "DynamoDB writes": 2 * self.task_writes + 2 * self.deployment.indexes + 2 * self.event_writes + 1 / batch,
            "DynamoDB storage": self._event_bytes / _GB * self.deployment.event_days / 30,
            "Lambda calls": 1 / batch,
            "Lambda time (arm64)": self.recording_seconds() / batch * self.deployment.recorder_gb,
            "CloudWatch logs": LOG_KB / 1_000_000 / batch,
        }

    def cancel(self) -> Usage:
        """Read the task, stop its execution (free), mark the task."""
        return {**self._request(0), "DynamoDB reads": self._task_reads, "DynamoDB writes": self._moved()}

    def reschedule(self) -> Usage:
        """Read the task, stop its execution, let its key live longer, write the next revision, start its execution."""
        cancel = self.cancel()
        return {**cancel, "DynamoDB writes": cancel["DynamoDB writes"] + 1, "Step Functions": 1}

    def park(self) -> Usage:
        """Find a task whose time has come near, read it, mark it: what the sweeper does before it starts a timer."""
        return {"DynamoDB reads": self._task_reads, "DynamoDB writes": self._moved()}

    def https_delivery(self) -> Usage:
        """Hand the message to one https subscriber."""
        return {"SNS to https": self._pieces, "Data out": (self.size + ANSWER_BYTES) / _GB}

    def streamed(self) -> Usage:
        """Hand the event to one listener, who comes back for the next: its environment is paid for by `listener`."""
        return {
            **self._request(0),
            "Lambda time (arm64)": 0,
            # Is there one, which one, and where to go on: the counter each time, the event twice.
            "DynamoDB reads": 3 + 2 * self._event_reads,
            "Data out": (self.size + ANSWER_BYTES) / _GB,
        }

    def listener(self) -> Usage:
        """Listen for a month: an idle one reconnects every 22 s, and looks at the counter four times a second."""
        polls = HOURS * 3600 / 22
        return {
            "API Gateway (REST)": polls,
            "Lambda calls": polls,
            "Lambda time (arm64)": HOURS * 3600 * self.deployment.stream_gb,
            "DynamoDB reads": HOURS * 3600 * 4,
            "CloudWatch logs": polls * LOG_KB / 1_000_000,
            **self.environment(),
        }

    def environment(self) -> Usage:
        """Read the secret for a month, in one environment of `api` or `stream` that is in use all the time."""
        return {"Secrets Manager calls": 2 * HOURS * 3600 / SECRET_CACHE_S if self.deployment.secrets else 0}

    def monitoring(self, metrics: int = METRICS) -> Usage:
        """Keep alarms, custom metrics and the dashboard for a month."""
        return {
            "CloudWatch alarms": self.deployment.alarms,
            "CloudWatch metrics": metrics,
            "CloudWatch dashboards": self.deployment.dashboards,
        }

    def polling(self) -> Usage:
        """Look into the recorder's queue for a month, where nothing comes in."""
        return {"SQS": POLLERS * HOURS * 3600 / POLL_S}

    def idle(self) -> Usage:
        """Sweep for a month: 8 shards of 2 states, and their count; a query that finds nothing is half a unit."""
        sweeps = HOURS * self.deployment.sweeps_an_hour
        return {
            "Lambda calls": sweeps,
            "Lambda time (arm64)": sweeps * API_SECONDS * 2 * self.deployment.sweeper_gb,
            "DynamoDB reads": sweeps * 2 * 16 * 0.5,
            "CloudWatch logs": sweeps * LOG_KB / 1_000_000,
        }

    def recording_seconds(self) -> float:
        """Return how long the recorder takes for a batch, as assumed."""
        return 2 * API_SECONDS + self.deployment.batch * self.size * SECONDS_PER_BYTE

    def emitted(self) -> Usage:
        """Schedule and emit: a task as most are."""
        return added([(1, self.schedule()), (1, self.emit())])

    def _moved(self) -> float:
        return self.task_writes + 2 * self.deployment.indexes

    def _request(self, size: int) -> dict[str, float]:
        return {
            "API Gateway (REST)": 1,  # of any size; only HTTP APIs count pieces
            "Lambda calls": 1,
            "Lambda time (arm64)": (API_SECONDS + size * SECONDS_PER_BYTE) * self.deployment.api_gb,
            "CloudWatch logs": LOG_KB / 1_000_000,
            "Data out": ANSWER_BYTES / _GB,
        }


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1


def dollars(usage: Usage) -> float:
    """Return what a usage costs."""
    return sum(count * PRICES[name].dollars / PRICES[name].per for name, count in usage.items())


def million(usage: Usage) -> float:
    """Return what it costs a million times."""
    return 1_000_000 * dollars(usage)


def added(usages: Iterable[tuple[float, Usage]]) -> dict[str, float]:
    """Add usages up, each as often as it says."""
    total: dict[str, float] = {}
    for times, usage in usages:
        for name, count in usage.items():
            total[name] = total.get(name, 0) + times * count
    return {name: total[name] for name in PRICES if name in total}


def month(given: argparse.Namespace, deployment: Deployment) -> dict[str, float]:
    """Return what a month with these figures uses."""
    cost, emitted = Cost(given.bytes, deployment), given.tasks - given.cancelled
    return added(
        [
            (given.tasks, cost.schedule()),
            (given.tasks if given.tags else 0, cost.first_tag()),
            (given.tasks * max(given.tags - 1, 0), cost.further_tag()),
            (given.cancelled, cost.cancel()),
            (given.rescheduled, cost.reschedule()),
            (emitted, cost.emit()),
            (emitted * given.https, cost.https_delivery()),
            (emitted * given.listeners, cost.streamed()),
            (given.listeners, cost.listener()),
            (1, {**cost.idle(), "Secrets Manager": deployment.secrets}),
            (1, cost.environment()),
            (1, cost.polling()),
            (1, cost.monitoring(METRICS if given.tasks else IDLE_METRICS)),
        ]
    )


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the figures of a month."""
    parser = argparse.ArgumentParser(
        prog="python -m lab cost", description="What a month costs on AWS, by list prices."
    )
    parser.add_argument("--tasks", type=int, default=1_000_000, help="that are scheduled")
    parser.add_argument("--bytes", type=int, default=SMALL, help="of the emitted event as JSON")
    parser.add_argument("--tags", type=int, default=0, help="of each task")
    parser.add_argument("--cancelled", type=int, default=0, help="tasks of those")
    parser.add_argument("--rescheduled", type=int, default=0, help="how often a task is")
    parser.add_argument("--https", type=int, default=0, help="subscribers by https")
    parser.add_argument("--listeners", type=int, default=0, help="on GET /events, all month")
    parser.add_argument("--template", type=Path, help="as cdk synth writes it; else that of the default settings")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Print what a month costs, service by service."""
    given = parsed(arguments)
    deployment = Deployment.of(json.loads(given.template.read_text())) if given.template else Deployment()
    usage = month(given, deployment)
    for name, count in usage.items():
        sys.stdout.write(f"{name:20} {dollars({name: count}):12,.2f}\n")
    sys.stdout.write(f"{'together':20} {dollars(usage):12,.2f} US dollars\n")
