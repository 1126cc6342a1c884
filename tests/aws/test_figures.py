"""What is counted on AWS: each thing once, under the names that both engines share, written once an invocation."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from botocore.awsrequest import AWSResponse

from task_scheduler.aws import clients
from task_scheduler.aws.errors import ServiceError
from task_scheduler.aws.metrics import CloudWatchMetrics, metrics_with_throttle_hook
from task_scheduler.aws.pending_count import PendingCount
from task_scheduler.aws.task_store import StoredState
from task_scheduler.metrics import COUNTERS, DISTRIBUTIONS, GAUGES, Metric
from task_scheduler.task import changed_task
from tests.support.world import World

NAMESPACE: Final = "TaskScheduler"
SERVICE: Final = "task-scheduler"


@pytest.fixture
def observer(monkeypatch: pytest.MonkeyPatch) -> CloudWatchMetrics:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", SERVICE)
    found = CloudWatchMetrics()
    found._metrics.metric_set.clear()  # noqa: SLF001 - Powertools keeps one set for all of its objects
    return found


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_invocation_writes_one_line_with_all_that_it_counted(
    observer: CloudWatchMetrics, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(number: int, _context: object) -> int:
        observer.count(Metric.SCHEDULED, number)
        observer.count(Metric.SCHEDULED)
        observer.gauge(Metric.PENDING, 7)
        observer.observe(Metric.LATENESS, [0.5, 0.25])
        return number + 1

    assert observer.flush_after(handler)(3, None) == 4
    [line] = written(capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [["service"]])
    assert line["service"] == SERVICE
    assert {one["Name"]: one["Unit"] for one in directive["Metrics"]} == {
        "scheduled": "Count",
        "pending": "Count",
        "lateness_seconds": "Seconds",
    }
    assert (line["scheduled"], line["pending"], line["lateness_seconds"]) == ([3, 1], [7], [0.5, 0.25])


def test_what_was_counted_is_written_though_the_invocation_fails_and_only_once(
    observer: CloudWatchMetrics, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(event: str, _context: object) -> None:
        if event == "bad":
            observer.count(Metric.EMITTED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observer.flush_after(handler)("bad", None)
    observer.flush_after(handler)("good", None)
    [line] = written(capsys)
    assert line["emitted"] == [1]


def test_a_large_batch_loses_no_figure(observer: CloudWatchMetrics, capsys: pytest.CaptureFixture[str]) -> None:
    """One line has a hundred values of a metric at most."""
    handler = observer.flush_after(lambda _event, _context: observer.observe(Metric.LATENESS, [0.1] * 250))
    handler(None, None)
    assert sum(len(line["lateness_seconds"]) for line in written(capsys)) == 250


def test_each_try_that_aws_throttles_is_counted(
    observer: CloudWatchMetrics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    answers = iter(["ThrottlingException", "InternalServerError", None])

    class Raw:
        def __init__(self, body: bytes) -> None:
            self.body = body

        def stream(self, **_: object) -> Iterator[bytes]:
            yield self.body

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        code = next(answers)
        body = json.dumps({"__type": code} if code else {}).encode()
        return AWSResponse(request.url, 400 if code else 200, {}, Raw(body))  # type: ignore[arg-type]  # any mapping will do

    metrics = metrics_with_throttle_hook()
    client = clients.client("dynamodb")
    client.meta.events.register("before-send", answer)
    handler = metrics.flush_after(lambda _event, _context: client.get_item(TableName="t", Key={"id": {"S": "1"}}))
    with pytest.raises(client.exceptions.InternalServerError):  # 400 is not tried again, whatever it says
        handler(None, None)
    handler(None, None)
    assert [line["throttled"] for line in written(capsys)] == [[1]]
    assert observer is not metrics


def test_a_task_counts_once_however_often_it_is_sent_cancelled_or_delivered(world: World) -> None:
    first, second = world.new_task(number=1), world.new_task(number=2)
    for task in (first, first, second):
        asyncio.run(world.engine.schedule(task))
    for _ in range(2):
        asyncio.run(world.engine.cancel(second.id))
    world.advance(60.4)
    world.machine.published *= 3
    world.deliver()
    assert world.observed.counts == {Metric.SCHEDULED: 2, Metric.CANCELLED: 1, Metric.EMITTED: 1}
    assert world.observed.spans == {Metric.LATENESS: [0.4]}


def test_a_change_is_neither_scheduled_nor_cancelled_and_counts_its_lateness_from_the_new_time(world: World) -> None:
    task = world.new_task()
    asyncio.run(world.engine.schedule(task))
    asyncio.run(world.engine.reschedule(task.id, lambda old: changed_task(old, {"in": 100}, now_ms=world.clock.ms)))
    world.advance(101)
    assert world.observed.counts == {Metric.SCHEDULED: 1, Metric.EMITTED: 1}
    assert world.observed.spans == {Metric.LATENESS: [1]}


def test_what_is_scheduled_is_counted_at_once_where_it_is_little(world: World) -> None:
    pending_count = PendingCount(world.task_store)
    assert pending_count.count_on() == 0
    for number in range(1, 21):
        world.task_store.put(world.new_task(number=number), StoredState.PARKED if number % 2 else StoredState.SCHEDULED)
    asyncio.run(world.engine.cancel(world.new_task(number=1).id))
    assert pending_count.count_on() == 19


def test_what_is_scheduled_is_counted_part_by_part_where_it_is_much(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sweep asks as often as the one before; until the end is reached, the count before it stands."""
    monkeypatch.setattr("task_scheduler.aws.task_store._COUNTED_AT_ONCE", 1)
    for number in range(1, 61):
        world.task_store.put(world.new_task(number=number), StoredState.SCHEDULED)
    pending_count = PendingCount(world.task_store)
    seen = []
    for _ in range(12):
        world.faults.calls.clear()
        seen.append(pending_count.count_on())
        assert world.faults.calls["query"] <= 24
    assert seen[:2] == [None, None]
    assert {60} == set(seen) - {None}


def test_a_count_that_fails_begins_anew(world: World) -> None:
    for number in range(1, 11):
        world.task_store.put(world.new_task(number=number), StoredState.SCHEDULED)
    pending_count = PendingCount(world.task_store)
    world.faults.plan("query", *["fine"] * 9, "throttled")
    with pytest.raises(ServiceError):
        pending_count.count_on()
    assert pending_count.count_on() == 10


def test_every_metric_is_of_one_kind() -> None:
    assert sorted((*COUNTERS, *GAUGES, *DISTRIBUTIONS)) == sorted(Metric)
    assert all(metric.meaning for metric in Metric)
