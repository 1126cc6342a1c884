"""Puts the parts together from the environment variables that the stack sets."""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from task_scheduler.aws import schema
from task_scheduler.aws.clients import client
from task_scheduler.aws.engine import AwsEngine
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionTimer
from task_scheduler.aws.pending_count import PendingCount
from task_scheduler.aws.recorder import Recorder
from task_scheduler.aws.secret import StoredSecret
from task_scheduler.aws.sweeper import Sweeper
from task_scheduler.aws.task_store import TaskStore
from task_scheduler.metrics import Metrics

_THREADS: Final = 8  # for the items of a batch; a client has ten connections (botocore, max_pool_connections)


def now_ms() -> int:
    """Return the system's time."""
    return time.time_ns() // 1_000_000


@cache
def _dynamodb(*, poll: bool, once: bool) -> Any:  # noqa: ANN401 - as of client()
    """Return the client of each kind, shared by both tables: each one more takes its time at every start."""
    return client("dynamodb", poll=poll, once=once)


@cache
def task_store() -> TaskStore:
    """Return the tasks table."""
    return TaskStore(
        _dynamodb(poll=False, once=False),
        os.environ[schema.TASKS_TABLE],
        retention_days=_days(schema.TASK_RETENTION_DAYS),
    )


@cache
def event_log(*, poll: bool = False, appends: bool = False) -> EventLog:
    """Return the events table."""
    return EventLog(
        _dynamodb(poll=poll, once=False),
        os.environ[schema.EVENTS_TABLE],
        os.environ[schema.TASKS_TABLE],
        retention_days=_days(schema.EVENT_RETENTION_DAYS),
        now_ms=now_ms,
        append_client=_dynamodb(poll=False, once=True) if appends else None,
    )


@cache
def timer() -> ExecutionTimer:
    """Return the state machine's executions."""
    return ExecutionTimer(client("stepfunctions"), os.environ[schema.STATE_MACHINE_ARN])


def engine(metrics: Metrics, *, polls: bool = False) -> AwsEngine:
    """Return the engine behind the API, or the one behind its event stream, which polls."""
    log = event_log(poll=polls)
    window = _days(schema.ARMING_WINDOW_DAYS)
    return AwsEngine(
        task_store(), timer(), log, arming_window_days=window, now_ms=now_ms, metrics=metrics, threads=_THREADS
    )


def recorder(metrics: Metrics) -> Recorder:
    """Return what writes emissions down."""
    return Recorder(task_store(), event_log(appends=True), now_ms=now_ms, metrics=metrics)


def sweeper(metrics: Metrics) -> Sweeper:
    """Return the safety net."""
    window = _days(schema.ARMING_WINDOW_DAYS)
    return Sweeper(task_store(), timer(), recorder(metrics), arming_window_days=window, now_ms=now_ms)


def pending_count() -> PendingCount:
    """Return what counts the tasks that are scheduled."""
    return PendingCount(task_store())


def secrets() -> Callable[[], tuple[str, ...]] | StoredSecret:
    """Return what tells the valid secrets: none where the deployment has none."""
    arn = os.environ.get(schema.SECRET_ARN)
    return StoredSecret(client("secretsmanager"), arn, now_ms=now_ms) if arn else tuple


def _days(name: str) -> float:
    return float(os.environ[name])
