"""GET /events as Server-Sent Events: from now or from a position, whole however often it is cut."""

import random

import pytest

from tests.support.api import PAST, Accepted, Api, together
from tests.support.clock import iso, now_ms
from tests.support.event_log import EventLog
from tests.support.event_stream import EVENT_STREAM, follow, position, stream


def _some(api: Api, count: int, *, within_ms: int = 0) -> list[Accepted]:
    """Schedule tasks at random instants from now on; the past ones are emitted at once."""
    choose = random.Random(count)  # noqa: S311 - spreads the tasks, nothing secret
    base_ms = now_ms()
    dues = [base_ms + choose.randint(0, within_ms) for _ in range(count)]
    return together(lambda due_ms: api.schedule({"timestamp": iso(due_ms), "message": "hello"}), dues)


def test_a_stream_starts_now_with_its_position(api: Api, log: EventLog) -> None:
    before = api.schedule({"timestamp": PAST, "message": "before"})
    log.wait_for([before])
    with stream(api) as frames:
        first = next(frame for frame in frames if "id" in frame.fields)
    assert first.fields["event"] == "position"
    assert first.fields["id"] == first.fields["data"]
    after = api.schedule({"timestamp": PAST, "message": "after"})
    seen = follow(api, after=first.number, wanted={after.id})
    assert before.id not in {frame.task_id for frame in seen}


def test_a_frame_is_an_id_and_one_line_of_data(api: Api, log: EventLog) -> None:
    """The same envelope as in the log, with an unnamed event type."""
    start = log.position
    task = api.schedule({"timestamp": PAST, "message": "two\nlines\r\nand\u2028more\u0085"})
    [frame] = [frame for frame in follow(api, after=start, wanted={task.id}) if frame.task_id == task.id]
    assert frame.fields.keys() == {"id", "data"}
    [envelope] = log.wait_for([task])
    assert frame.envelope == envelope
    assert frame.fields["id"] == envelope["id"]


@pytest.mark.parametrize("name", ["Last-Event-ID", "?after"])
def test_a_position_replays_all_that_followed_in_order(api: Api, log: EventLog, name: str) -> None:
    start = log.position
    tasks = _some(api, 10)
    expected = sorted(int(envelope["id"]) for envelope in log.wait_for(tasks))
    seen: list[int] = []
    resume = {"last_event_id": start} if name == "Last-Event-ID" else {"after": start}
    with stream(api, **resume) as frames:
        for frame in frames:
            if frame.is_event:
                seen.append(frame.number)
            if seen[-1:] == expected[-1:]:
                break
    assert seen == sorted(set(seen))
    assert [number for number in seen if number in expected] == expected


def test_last_event_id_wins_over_after(api: Api, log: EventLog) -> None:
    """A client that reconnects sends the URL that it was given first, and what it has seen since."""
    start = log.position
    first, second = (
        int(log.wait_for([task])[0]["id"]) for task in (api.schedule({"timestamp": PAST, "message": n}) for n in (1, 2))
    )
    with stream(api, last_event_id=first, after=start) as frames:
        assert first < next(frame for frame in frames if frame.is_event).number <= second


@pytest.mark.slow
def test_a_stream_cut_at_random_misses_nothing_and_sees_nothing_twice(api: Api, log: EventLog) -> None:
    start = log.position
    choose = random.Random(3)  # noqa: S311 - where to cut, nothing secret
    tasks = _some(api, 40, within_ms=3_000)
    seen = follow(api, after=start, wanted={task.id for task in tasks}, cut_after=lambda: choose.randint(0, 7) or 1)
    numbers = [frame.number for frame in seen]
    assert numbers == sorted(set(numbers))
    received = [frame.task_id for frame in seen]
    assert all(received.count(task.id) == 1 for task in tasks)
    log.wait_for(tasks)


@pytest.mark.slow
def test_nothing_arrives_before_it_is_due(api: Api, log: EventLog) -> None:
    """By this machine's clock; how late it may be is measured elsewhere, the 30 s only prove that it came."""
    start = log.position
    tasks = {task.id: task for task in _some(api, 20, within_ms=2_500)}
    for frame in follow(api, after=start, wanted=set(tasks)):
        if task := tasks.get(frame.task_id):
            skew_ms = 0 if api.deployment.kind != "given" else 2_000
            assert frame.arrived_ms + skew_ms >= task.due_ms
            assert frame.envelope["metadata"]["ts"] >= task.due_ms
            assert frame.envelope["metadata"]["ts"] <= task.due_ms + 30_000


def test_an_idle_stream_says_that_it_lives(api: Api) -> None:
    """At once where the connection is kept; a function, which cannot keep it, ends it so in good time."""
    with stream(api, last_event_id=position(api)) as frames:
        assert next(frame.comment for frame in frames if frame.comment) == "sse-handshake"


def test_only_a_client_that_asks_for_a_stream_gets_one(api: Api) -> None:
    for accept in ("*/*", "application/json", "application/json, text/plain, */*", "text/html"):
        assert "events" in api.send("GET", "/events?limit=1", headers={"accept": accept}).body
    assert EVENT_STREAM not in api.send("GET", "/health", headers={"accept": EVENT_STREAM}).headers["content-type"]
