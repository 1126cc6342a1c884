"""GET /events as pages of JSON."""

from tests.support.api import PAST, Accepted, Api, together
from tests.support.clock import now_ms
from tests.support.contract import JsonObject
from tests.support.event_log import EventLog


def _some(api: Api, log: EventLog, count: int, *, message: str = "hello") -> list[Accepted]:
    tasks = together(lambda n: api.schedule({"timestamp": PAST, "message": message, "n": n}), range(count))
    log.wait_for(tasks)
    return tasks


def _pages(api: Api, after: int, until: int, *, limit: int) -> list[list[JsonObject]]:
    """Return the pages from after `after` up to the event numbered `until`; each position fits its page."""
    pages: list[list[JsonObject]] = []
    while after < until:
        page = api.send("GET", f"/events?after={after}&limit={limit}").body
        assert 0 < len(page["events"]) <= limit
        after = page["position"]
        assert after == int(page["events"][-1]["id"])
        pages.append([envelope for envelope in page["events"] if int(envelope["id"]) <= until])
    return pages


def _whole(pages: list[list[JsonObject]]) -> list[JsonObject]:
    return [envelope for page in pages for envelope in page]


def test_an_envelope_has_the_event_and_when_it_was_emitted(api: Api, log: EventLog) -> None:
    before = now_ms()
    task = api.schedule({"timestamp": PAST, "message": "hello"})
    [envelope] = log.wait_for([task])
    assert set(envelope) == {"id", "indexed_at_ms", "event", "metadata"}
    assert set(envelope["metadata"]) == {"id", "summary", "ts"}
    assert envelope["id"].isdigit()
    assert envelope["event"] == {"id": task.id, "timestamp": PAST, "message": "hello"}
    assert envelope["metadata"]["id"] == task.id
    assert envelope["metadata"]["summary"] == "hello"
    assert before <= envelope["metadata"]["ts"] <= envelope["indexed_at_ms"] <= now_ms()


def test_pages_have_no_gap_and_no_repetition(api: Api, log: EventLog) -> None:
    start = log.position
    tasks = _some(api, log, 25)
    until = log.position
    whole = _whole(_pages(api, start, until, limit=1_000))
    assert {envelope["metadata"]["id"] for envelope in whole} >= {task.id for task in tasks}
    numbers = [int(envelope["id"]) for envelope in whole]
    assert numbers == sorted({number for number in numbers if number > start})
    for limit in (1, 7, 25):
        pages = _pages(api, start, until, limit=limit)
        assert _whole(pages) == whole
        assert all(len(page) == limit for page in pages[:-1])


def test_a_position_ahead_of_the_log_becomes_its_end(api: Api, log: EventLog) -> None:
    """It belongs to a log that is gone, and a reader that kept it would miss all that is new."""
    end = log.position
    page = api.send("GET", f"/events?after={end + 1_000_000}").body
    assert all(int(envelope["id"]) > end for envelope in page["events"])  # others emit meanwhile
    assert end <= page["position"] < end + 1_000_000
    new = api.schedule({"timestamp": PAST, "message": "new"})
    log.wait_for([new])
    read = api.send("GET", f"/events?after={page['position']}&limit=1000").body["events"]
    assert new.id in {envelope["metadata"]["id"] for envelope in read}


def test_a_page_has_100_events_unless_a_limit_is_given(api: Api, log: EventLog) -> None:
    start = log.position
    _some(api, log, 101)
    assert len(api.send("GET", f"/events?after={start}").body["events"]) == 100
    assert len(api.send("GET", "/events").body["events"]) <= 100


def test_large_events_come_in_pages_that_an_answer_can_carry(api: Api, log: EventLog) -> None:
    """A function answers 6 MB at most, and 1,000 events may have 200: a page may be short, never empty."""
    start = log.position
    tasks = _some(api, log, 36, message="x" * 190_000)
    pages = _pages(api, start, log.position, limit=1_000)
    assert len(pages) > 1
    assert {task.id for task in tasks} <= {envelope["metadata"]["id"] for envelope in _whole(pages)}


def test_after_and_before_are_the_ends_of_a_window(api: Api, log: EventLog) -> None:
    start = log.position
    _some(api, log, 8)
    whole = _whole(_pages(api, start, log.position, limit=1_000))
    first, last = whole[1]["id"], whole[5]["id"]
    page = api.send("GET", f"/events?before={last}&limit=2").body
    assert page == {"events": whole[3:5], "position": int(whole[4]["id"])}
    assert api.send("GET", f"/events?after={first}&before={last}").body["events"] == whole[2:5]
    assert api.send("GET", f"/events?after={first}&before={last}&limit=2").body["events"] == whole[2:4]
    assert api.send("GET", f"/events?after={last}&before={first}").body["events"] == []
    assert api.send("GET", f"/events?after={first}&before={first}").body["events"] == []
