"""The local engine: durable, never early, honest about cancels, and alive when the disk is full."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import pytest

from task_scheduler.engine import (
    OVERDUE_MS,
    Health,
    TaskQuery,
    TooLateError,
    UnavailableError,
)
from task_scheduler.local.clock import system_ms
from task_scheduler.local.engine import LocalEngine
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.store import TaskStore
from task_scheduler.metrics import Metric
from task_scheduler.task import Status, Task
from tests.support.observations import Observations

Read = TypeVar("Read")

pytestmark = pytest.mark.anyio

NOW_MS = 1_795_300_000_000
DAY_MS = 86_400_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


class Desk:
    """An engine on a file, with a clock that stands until it is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.observations = Observations()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LocalEngine]:
        async with LocalEngine(self.path, now_ms=self.clock, metrics=self.observations) as engine:
            self.engine = engine
            yield engine

    async def at(self, ms: int) -> list[str]:
        """Set the clock and return the ids that are in the log then."""
        self.clock.ms = ms
        await self.engine.run_due()
        return [event.task_id for event in await self.engine.events(after=0, limit=1000)]

    async def until(self, look: Callable[[], Awaitable[Read]], found: Callable[[Read], bool]) -> None:
        """Let the clock go on until what is read is as it should be."""
        async with asyncio.timeout(30):
            while not found(await look()):
                self.clock.ms += 1_000
                await asyncio.sleep(0.01)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "tasks.db")


@pytest.fixture
async def engine(desk: Desk) -> AsyncIterator[LocalEngine]:
    """The engine of the desk, open for the whole test."""
    async with desk.open() as opened:
        yield opened


def task(number: int = 1, *, due_ms: int = NOW_MS + 1_000, size: int = 0) -> Task:
    event = f'{{"id":"{number}","timestamp":"","message":"{"x" * size}"}}'
    return Task(id=str(number), due_ms=due_ms, payload=event, created_ms=NOW_MS)


async def test_a_task_is_emitted_at_its_millisecond_and_not_before(desk: Desk, engine: LocalEngine) -> None:
    await engine.schedule(task())
    assert await desk.at(NOW_MS + 999) == []
    assert await desk.at(NOW_MS + 1_000) == ["1"]
    assert await desk.at(NOW_MS + 2_000) == ["1"]
    (event,) = await engine.events(after=0, limit=10)
    assert (event.sequence, event.emitted_ms, event.payload) == (1, NOW_MS + 1_000, task().payload)
    emitted = await engine.get("1")
    assert (emitted.status, emitted.ended_ms) == (Status.EMITTED, NOW_MS + 1_000)
    assert desk.observations.spans[Metric.LATENESS] == [0]


async def _commit_ahead(desk: Desk, ahead_ms: int = 3, number: int = 1) -> None:
    """Schedule a task that falls due in a moment, and wait until it was written down for then."""
    desk.clock.ms = task(number).due_ms - ahead_ms
    await desk.engine.schedule(task(number))
    assert await desk.at(desk.clock.ms) == []
    assert desk.engine._reader.position() == number  # noqa: SLF001 - it cannot be seen from outside


async def test_a_task_that_is_committed_ahead_of_its_due_time_is_not_visible_as_emitted(
    desk: Desk, engine: LocalEngine
) -> None:
    await _commit_ahead(desk)
    assert await engine.position() == 0
    assert await engine.events_before(10, limit=10) == []
    assert not await engine.wait_for_events(after=0, seconds=0.01)
    assert Metric.LATENESS not in desk.observations.spans
    with pytest.raises(TooLateError):
        await engine.cancel("1")
    with pytest.raises(TooLateError):
        await engine.reschedule("1", lambda task: task)
    assert await desk.at(NOW_MS + 999) == []
    assert await desk.at(NOW_MS + 1_000) == ["1"]
    assert [event.emitted_ms for event in await engine.events_before(10, limit=10)] == [NOW_MS + 1_000]
    assert desk.observations.spans[Metric.LATENESS] == [0]


async def test_a_task_committed_ahead_is_emitted_once_and_not_early_after_a_restart(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_scheduler.local.store.STAGE_AHEAD_MS", 400)  # to open the file takes a part of that

    async with desk.open():
        await _commit_ahead(desk, ahead_ms=400)
    began = time.monotonic()
    async with desk.open() as engine:
        assert time.monotonic() - began >= 0.4
        assert await engine.position() == 1
        assert await desk.at(NOW_MS + 5_000) == ["1"]


async def test_an_overdue_task_is_emitted_right_after_one_committed_ahead(desk: Desk, engine: LocalEngine) -> None:
    await _commit_ahead(desk)
    await engine.schedule(task(2, due_ms=NOW_MS))
    assert await desk.at(desk.clock.ms) == []
    assert await desk.at(NOW_MS + 1_000) == ["1", "2"]
    emitted = await engine.events(after=0, limit=10)
    assert [event.emitted_ms for event in emitted] == [NOW_MS + 1_000] * 2


async def test_a_clock_set_back_does_not_delay_a_task_committed_ahead(desk: Desk, engine: LocalEngine) -> None:
    await _commit_ahead(desk)
    desk.clock.ms -= 3_600_000
    assert await engine.wait_for_events(after=0, seconds=30)
    await engine.schedule(task(2, due_ms=desk.clock.ms))
    assert await desk.at(desk.clock.ms) == ["1", "2"]
    assert (await engine.get("2")).ended_ms == desk.clock.ms


async def test_a_new_webhook_gets_a_task_committed_ahead(desk: Desk, engine: LocalEngine) -> None:
    await _commit_ahead(desk)
    position = await engine.open_webhook("https://a.example")
    await desk.at(NOW_MS + 1_000)
    assert [event.task_id for event in await engine.events(after=position, limit=10)] == ["1"]


async def _get_shows_it(engine: LocalEngine, number: int) -> bool:
    return (await engine.get(str(number))).status is Status.EMITTED


async def _list_has_it(engine: LocalEngine, number: int) -> bool:
    page = await engine.tasks(TaskQuery(status=Status.EMITTED), limit=20)
    return str(number) in {task.id for task in page.tasks}


async def _scheduled_list_lacks_it(engine: LocalEngine, number: int) -> bool:
    page = await engine.tasks(TaskQuery(status=Status.SCHEDULED), limit=20)
    return str(number) not in {task.id for task in page.tasks}


@pytest.mark.parametrize("tells", [_get_shows_it, _list_has_it, _scheduled_list_lacks_it])
async def test_no_response_shows_an_emission_before_the_due_time(
    tmp_path: Path, tells: Callable[[LocalEngine, int], Awaitable[bool]]
) -> None:
    """By the system's clock, asked again and again until it does."""
    async with LocalEngine(tmp_path / "tasks.db", now_ms=system_ms, metrics=Observations()) as engine:
        for number in range(10):
            due_ms = engine.now_ms() + 20
            await engine.schedule(task(number, due_ms=due_ms))
            while not await tells(engine, number):
                pass
            assert system_ms() >= due_ms


async def test_overdue_tasks_are_emitted_after_a_restart_soonest_first_and_once(desk: Desk) -> None:
    async with desk.open() as engine:
        for number in (3, 1, 2):
            await engine.schedule(task(number, due_ms=NOW_MS + number * 1_000))
    desk.clock.ms += 1_000_000
    for _ in range(2):
        async with desk.open():
            assert await desk.at(desk.clock.ms) == ["1", "2", "3"]


async def test_calls_that_come_together_share_a_commit(engine: LocalEngine) -> None:
    commits = 0
    transaction = engine._written.transaction  # noqa: SLF001 - a commit cannot be seen from outside

    def counted():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the same as what it wraps
        nonlocal commits
        commits += 1
        return transaction()

    engine._written.transaction = counted  # type: ignore[method-assign]  # noqa: SLF001 - the same
    await asyncio.gather(*(engine.schedule(task(number)) for number in range(500)))
    assert commits < 100


async def test_a_full_disk_rejects_new_tasks_and_loses_none(desk: Desk, engine: LocalEngine) -> None:
    await engine.schedule(task(1))
    engine._written._connection.execute("PRAGMA max_page_count = 20")  # noqa: SLF001 - a disk of 80 kB
    with pytest.raises(UnavailableError, match="cannot be written"):
        await engine.schedule(task(2, size=100_000))
    assert await engine.check_health() == Health(
        ["The data file cannot be written, so no task is accepted or emitted."], []
    )
    engine._written._connection.execute("PRAGMA max_page_count = 1000000")  # noqa: SLF001 - room again
    await engine.schedule(task(3, size=100_000))
    assert await engine.check_health() == Health([], [])
    assert await desk.at(NOW_MS + 1_000) == ["1", "3"]
    assert desk.observations.counts == {Metric.SCHEDULED: 2, Metric.EMITTED: 2}


async def test_a_file_that_cannot_be_read_is_unavailable_and_reported(engine: LocalEngine) -> None:
    await engine.schedule(task())
    engine._reader.close()  # noqa: SLF001 - a disk that is gone
    with pytest.raises(UnavailableError, match="cannot be read"):
        await engine.get("1")
    with pytest.raises(UnavailableError, match="cannot be read"):
        await engine.tasks(TaskQuery(), limit=10)
    assert (await engine.check_health()).failures == ["The data file cannot be read."]


async def test_a_damaged_file_rejects_changes_and_still_emits(desk: Desk, engine: LocalEngine) -> None:
    await engine.schedule(task())
    engine._damage = "The data file is damaged."  # noqa: SLF001 - as the inspection finds it, which takes its time
    with pytest.raises(UnavailableError, match=r"damaged\. Nothing was changed"):
        await engine.schedule(task(2))
    with pytest.raises(UnavailableError, match=r"damaged\. Nothing was changed"):
        await engine.cancel("1")
    assert "The data file is damaged." in (await engine.check_health()).failures
    desk.clock.ms = NOW_MS + 1_000
    assert await engine.wait_for_events(after=0, seconds=30)


async def test_overdue_tasks_are_reported_by_the_health_check(desk: Desk, engine: LocalEngine) -> None:
    await engine.schedule(task(1))
    engine._written._connection.execute("PRAGMA query_only = ON")  # noqa: SLF001 - a disk that was unplugged
    desk.clock.ms = task(1).due_ms + OVERDUE_MS
    assert not any("overdue" in failure for failure in (await engine.check_health()).failures)
    desk.clock.ms += 1
    assert "Tasks are overdue: one was due at 2026-11-21T22:26:41.000Z." in (await engine.check_health()).failures


async def test_a_webhook_that_is_behind_is_reported_by_the_health_check(desk: Desk, engine: LocalEngine) -> None:
    for url in ("https://a.example", "https://b.example"):
        await engine.open_webhook(url)
    await engine.schedule(task(1))
    await desk.at(NOW_MS + 1_000)
    [event] = await engine.events(after=0, limit=1)
    await engine.advance_webhook("https://a.example", event, None)
    behind = "1 of 2 webhooks did not accept a message for more than a minute."
    desk.clock.ms += OVERDUE_MS
    assert await engine.check_health() == Health([], [])
    desk.clock.ms += 1
    assert await engine.check_health() == Health([], [behind])


async def test_an_event_that_a_webhook_has_not_received_does_not_expire(desk: Desk, engine: LocalEngine) -> None:
    await engine.open_webhook("https://a.example")
    for number in (1, 2):
        await engine.schedule(task(number))
    assert await desk.at(NOW_MS + 2_000) == ["1", "2"]
    first, second = await engine.events(after=0, limit=2)
    await engine.advance_webhook("https://a.example", first, None)
    desk.clock.ms += 60 * DAY_MS
    await desk.until(lambda: engine.events(after=0, limit=2), lambda events: len(events) == 1)
    await engine.schedule(task(3, due_ms=desk.clock.ms + DAY_MS))
    assert await engine.events(after=0, limit=2) == [second]
    await engine.advance_webhook("https://a.example", second, None)
    desk.clock.ms += DAY_MS // 2
    await desk.until(lambda: engine.events(after=0, limit=2), lambda events: not events)


async def test_a_clock_that_jumps_by_years_emits_in_order_and_does_not_stop_expiry(
    desk: Desk, engine: LocalEngine
) -> None:
    dues = {number: NOW_MS + 1_000 + number * 37 % 1_200 for number in range(1_200)}
    await asyncio.gather(*(engine.schedule(task(number, due_ms=due_ms)) for number, due_ms in dues.items()))
    desk.clock.ms = NOW_MS + 10 * 365 * DAY_MS
    await engine.run_due()  # more than fit into a transaction, more than expire at once
    emitted = [event for after in (0, 1_000) for event in await engine.events(after=after, limit=1_000)]
    assert [int(event.task_id) for event in emitted] == sorted(dues, key=lambda number: dues[number])
    desk.clock.ms = NOW_MS + DAY_MS
    await engine.schedule(task(2_000, due_ms=desk.clock.ms))
    await engine.run_due()
    assert (await engine.get("1")).ended_ms == desk.clock.ms
    desk.clock.ms += 8 * DAY_MS
    await desk.until(lambda: engine.events(after=0, limit=1), lambda events: not events)
    desk.clock.ms += 30 * DAY_MS
    await desk.until(lambda: engine.tasks(TaskQuery(), limit=1), lambda page: not page.tasks)


async def test_pending_tasks_are_counted_again_after_a_restart(desk: Desk) -> None:
    async with desk.open() as engine:
        for number in range(1, 6):
            await engine.schedule(task(number, due_ms=NOW_MS + number * 1_000))
        await engine.schedule(task(5, due_ms=NOW_MS + 5_000))
        await engine.cancel("5")
        await engine.cancel("5")
        assert desk.observations.gauges == {Metric.PENDING: 4}
    async with desk.open() as engine:
        await engine.run_due()  # what is overdue comes before the census, and that before the next turn
        await engine.run_due()
        assert desk.observations.gauges == {Metric.PENDING: 4}
        await desk.at(NOW_MS + 2_000)
        assert desk.observations.gauges == {Metric.PENDING: 2}
    assert desk.observations.counts == {Metric.SCHEDULED: 5, Metric.CANCELLED: 1, Metric.EMITTED: 2}


async def test_a_change_is_counted_although_its_caller_was_cancelled(desk: Desk, engine: LocalEngine) -> None:
    leaving = asyncio.create_task(engine.schedule(task(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    await engine.schedule(task(2))
    assert desk.observations.counts[Metric.SCHEDULED] == 2
    assert desk.observations.gauges[Metric.PENDING] == 2


async def test_calls_beyond_the_queue_limit_are_rejected_at_once(
    desk: Desk, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those who were not, are served."""
    monkeypatch.setattr("task_scheduler.local.writer._MAX_WAITING", 3)

    await engine.schedule(task(0))
    disk = threading.Event()
    taken = threading.Event()

    def wait(_store: TaskStore) -> None:
        taken.set()
        disk.wait(30)

    slow = asyncio.create_task(engine._writer.change(wait))  # noqa: SLF001 - nothing else keeps the thread busy
    await asyncio.to_thread(taken.wait, 30)
    waiting = [asyncio.create_task(engine.schedule(task(number))) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="nothing was changed"):
        await engine.schedule(task(4))
    with pytest.raises(UnavailableError):
        await engine.cancel("0")
    with pytest.raises(UnavailableError):
        await engine.reschedule("0", lambda task: task)
    disk.set()
    await asyncio.gather(slow, *waiting)
    assert await desk.at(NOW_MS + 1_000) == ["0", "1", "2", "3"]


async def test_a_cached_page_is_never_older_than_the_event_that_was_waited_for(engine: LocalEngine) -> None:
    for number in range(1, 4):
        await engine.schedule(task(number, due_ms=NOW_MS))
        assert await engine.wait_for_events(after=number - 1, seconds=30)
        pages = [await engine.events(after=0, limit=10) for _ in range(2)]
        assert [[event.task_id for event in page] for page in pages] == [list("123"[:number])] * 2
        assert [event.sequence for event in await engine.events(after=number - 1, limit=10)] == [number]


async def test_a_file_belongs_to_one_process_at_a_time(desk: Desk) -> None:
    async with desk.open():
        with pytest.raises(DataFileError, match="in use"):
            async with desk.open():
                pass
    async with desk.open():
        pass


async def test_a_file_of_a_newer_version_is_rejected_and_left_alone(tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    TaskStore.open(newer).close()
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    before = newer.read_bytes()
    with pytest.raises(DataFileError, match="newer"):
        TaskStore.open(newer)
    assert newer.read_bytes() == before
