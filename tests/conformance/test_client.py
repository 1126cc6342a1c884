"""The Python clients against a real service: the whole life of tasks, and the stream of events."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from task_scheduler.client import (
    AsyncClient,
    BadRequestError,
    Client,
    KeyConflictError,
    Status,
    TaskNotFoundError,
    TooLateError,
    UnauthorizedError,
)
from task_scheduler.client.requests import NEWEST
from tests.support.api import PAST, Deployment
from tests.support.clock import eventually
from tests.support.task_list import unique_tag

_UNKNOWN = "8fceb45b-0241-4d04-9f3f-334679586370"


@pytest.fixture
def client(deployment: Deployment) -> Iterator[Client]:
    """A client of the deployment."""
    with Client(deployment.url, deployment.secret or "") as client:
        yield client


def test_a_task_is_scheduled_looked_at_changed_and_cancelled(client: Client) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    tags = unique_tag()
    made = client.schedule(due, {"name": "Luke"}, tags=tags, extra={"cup": 2})
    assert made.timestamp == due
    task = client.get(made.id)
    assert (task.id, task.status, task.timestamp, task.message) == (made.id, Status.SCHEDULED, due, {"name": "Luke"})
    assert (task.tags, task.extra["cup"], task.emitted_at) == (tags, 2, None)
    assert client.reschedule(made.id, due + timedelta(microseconds=1)).timestamp == due + timedelta(milliseconds=1)
    moved = client.reschedule(made.id, delay=timedelta(hours=1), message="later")
    assert abs(moved.timestamp - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert moved.message == "later"
    client.cancel(made.id)
    client.cancel(made.id)
    gone = client.get(made.id)
    assert gone.status is Status.CANCELLED
    assert gone.cancelled_at is not None
    with pytest.raises(TooLateError):
        client.reschedule(made.id, delay=5)


def test_a_wall_clock_time_is_that_of_its_zone(client: Client) -> None:
    year = datetime.now(UTC).year + 1
    for given in (f"{year}-07-01T09:00", datetime(year, 7, 1, 9)):  # noqa: DTZ001 - a wall clock
        made = client.schedule(given, "hello", timezone="Europe/Berlin")
        assert made.timestamp == datetime(year, 7, 1, 7, tzinfo=UTC)
        assert client.get(made.id).extra["timezone"] == "Europe/Berlin"
        client.cancel(made.id)


def test_one_key_is_one_task(client: Client) -> None:
    [key] = unique_tag().values()
    made = client.schedule_in("1h", "once", idempotency_key=key)
    assert client.schedule_in("1h", "once", idempotency_key=key) == made
    assert client.schedule_in("1h", "once").id != made.id
    with pytest.raises(KeyConflictError):
        client.schedule_in("1h", "another", idempotency_key=key)


def test_mistakes_are_told_in_the_words_of_the_service(client: Client, deployment: Deployment) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.schedule("soon", None)
    assert [sentence.split()[0] for sentence in caught.value.errors] == ["timestamp", "message"]
    for call in (client.get, client.cancel, lambda task_id: client.reschedule(task_id, delay=5)):
        for task_id in (_UNKNOWN, "../health"):
            with pytest.raises(TaskNotFoundError):
                call(task_id)
    assert client.health()
    if deployment.secret is not None:
        with Client(deployment.url, "wrong") as stranger:
            assert stranger.health()
            with pytest.raises(UnauthorizedError):
                stranger.get(_UNKNOWN)
            with pytest.raises(UnauthorizedError):
                next(stranger.events())


def test_lists_go_over_pages_and_tags_cancel_all(client: Client, deployment: Deployment) -> None:
    [tag] = unique_tag().items()
    base = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    made = [client.schedule(base + timedelta(seconds=number), number, tags=dict([tag])).id for number in range(5)]

    def listed(due_from: datetime | None = None, due_to: datetime | None = None) -> list[str]:
        return [task.id for task in client.list(tag=tag, page_size=2, due_from=due_from, due_to=due_to)]

    eventually(lambda: listed() == made, every=deployment.patience)
    assert listed(due_from=base + timedelta(seconds=1), due_to=base + timedelta(seconds=3)) == made[1:3]
    assert client.cancel_tagged(*tag) == 5
    eventually(lambda: not list(client.list(Status.SCHEDULED, tag=tag)), every=deployment.patience)
    assert {client.get(task_id).status for task_id in made} == {Status.CANCELLED}


def test_events_are_followed_from_now_and_from_a_position(client: Client) -> None:
    """The stream is left and taken up again; on AWS it consists of many answers anyway."""
    with contextlib.closing(client.events()) as events:
        first = client.schedule_in(4, "one")  # by then the stream has begun
        one = next(event for event in events if event.task_id == first.id)
    second, third = client.schedule(PAST, {"n": 2}), client.schedule(PAST, {"n": 3})
    found = []
    with contextlib.closing(client.events(one.sequence)) as events:
        for event in events:
            assert event.sequence > one.sequence
            found.append(event)
            if {second.id, third.id} <= {event.task_id for event in found}:
                break
    numbers = [event.sequence for event in found]
    assert numbers == sorted(set(numbers))
    assert {event.message["n"] for event in found if event.task_id in {second.id, third.id}} == {2, 3}
    page = client.emitted(one.sequence - 1, 1)
    assert page == [one]
    with pytest.raises(TooLateError):
        client.cancel(first.id)


def test_the_asynchronous_client_does_the_same(deployment: Deployment) -> None:
    async def walk() -> None:
        async with AsyncClient(deployment.url, deployment.secret or "") as client:
            assert await client.health()
            [tag] = unique_tag().items()
            made = await asyncio.gather(
                *(client.schedule_in("1h", number, tags=dict([tag])) for number in range(5)),
                client.schedule_in("2h", "kept for later"),
            )
            task = await client.reschedule(made[-1].id, message="another")
            assert (await client.get(task.id)).message == "another"
            await client.cancel(task.id)
            found: set[str] = set()
            while len(found) < 5:
                found = {task.id async for task in client.list(tag=tag, page_size=2)}
                await asyncio.sleep(deployment.patience)
            assert found == {scheduled.id for scheduled in made[:-1]}
            assert await client.cancel_tagged(*tag) == 5
            due = await client.schedule(PAST, "now")
            newest = await client.emitted(before=NEWEST, limit=1)
            async with contextlib.aclosing(client.events(newest[0].sequence - 1 if newest else 0)) as events:
                async for event in events:
                    if event.task_id == due.id:
                        break
            with pytest.raises(TooLateError):
                await client.cancel(due.id)

    asyncio.run(walk())
