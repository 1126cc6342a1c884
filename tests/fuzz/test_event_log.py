"""Paging through the event logs, forwards and backwards: over gaps, ends of pages of numbers, and large events."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from task_scheduler.aws.event_log import SEAL_AFTER_MS, EventLog
from task_scheduler.engine import MAX_PAGE_BYTES
from task_scheduler.local.store import TaskStore
from task_scheduler.task import Event, Task, encode
from tests.fuzz.effort import effort
from tests.support.world import START_MS, Clock, tables

pytestmark = pytest.mark.slow

# How the next numbers end: written, or lost with their writer; each with its age.
RUNS: Final = st.lists(
    st.tuples(
        st.sampled_from(["written", "written", "lost"]), st.integers(1, 6), st.sampled_from([0, 1_500, 2_500, 50_000])
    ),
    min_size=1,
    max_size=8,
).map(lambda runs: sorted(runs, key=lambda run: -run[2]))  # a number that was taken later is written later


@dataclass(frozen=True)
class Log:
    """The log, and what a look at every event of it would find."""

    log: EventLog
    stored: list[Event]

    def settled(self) -> list[int]:
        """Return what events() may show: up to the first gap that may still be filled."""
        found: list[int] = []
        for event in self.stored:
            behind = found[-1] if found else self.stored[0].sequence - 1
            if event.sequence != behind + 1 and event.indexed_ms > START_MS - SEAL_AFTER_MS:
                break
            found.append(event.sequence)
        return found


def _filled(first: int, runs: list[tuple[str, int, int]], size: int) -> Log:
    """Fill a table: numbers of one age at once, older ones first, behind some that were reserved an hour ago."""
    with tables() as dynamodb:
        clock = Clock()
        log = EventLog(dynamodb, "events", "tasks", retention_days=7, now_ms=clock)
    clock.ms -= 3_600_000
    log.reserve_sequence(first)
    clock.ms = START_MS
    stored: list[Event] = []
    for kind, count, age_ms in runs:
        number = log.reserve_sequence(count)
        for sequence in range(number, number + count) if kind == "written" else ():
            event = Event(sequence, "", encode({"message": "é" * size}), START_MS - age_ms, START_MS - age_ms)
            dynamodb.put_item(**log.append_request(event))
            stored.append(event)
    return Log(log, stored)


@effort(3)
@given(first=st.sampled_from([0, 3, 990, 998, 999, 1_000, 2_995]), runs=RUNS, limit=st.integers(1, 7))
@example(first=994, runs=[("written", 6, 50_000), ("written", 6, 50_000)], limit=4)  # over the end of a page of numbers
@example(first=0, runs=[("written", 3, 50_000), ("lost", 1, 0), ("written", 2, 0)], limit=1)
def test_pages_forwards_and_backwards_agree(first: int, runs: list[tuple[str, int, int]], limit: int) -> None:
    kept = _filled(first, [("written", 1, 50_000), *runs], 1)
    forwards: list[int] = []
    while page := kept.log.events(after=forwards[-1] if forwards else first, limit=limit):
        assert len(page) <= limit
        forwards += [event.sequence for event in page]
    assert forwards == kept.settled()
    backwards: list[int] = []
    while page := kept.log.events_before(backwards[0] if backwards else 2**63 - 1, limit=limit):
        assert len(page) <= limit
        backwards = [event.sequence for event in page] + backwards
    assert backwards == forwards


def test_large_events_are_not_passed_over_backwards_where_a_page_of_numbers_ends() -> None:
    kept = _filled(995, [("written", 14, 50_000)], 95_000)
    seen: list[int] = []
    while page := kept.log.events_before(seen[0] if seen else 1_010, limit=1_000):
        assert sum(len(event.payload) for event in page[1:]) <= MAX_PAGE_BYTES
        seen = [event.sequence for event in page] + seen
    assert seen == [event.sequence for event in kept.stored]


@effort(60)
@given(
    count=st.integers(0, 30),
    gone=st.integers(0, 30),
    limit=st.integers(1, 8),
    large=st.booleans(),
    edge=st.integers(0, 35),
)
def test_pages_of_the_file_forwards_and_backwards_agree(
    *, count: int, gone: int, limit: int, large: bool, edge: int
) -> None:
    with closing(TaskStore.open(Path(":memory:"))) as store:
        for number in range(count):
            event = encode({"message": "x" * (190_000 if large else 1)})
            store.insert(Task(f"{number:02}", START_MS, event, created_ms=START_MS))
            store.emit_due(until_ms=START_MS + number, from_ms=START_MS + number, limit=1)
        store.expire(tasks_before_ms=0, events_before_ms=START_MS + gone, limit=100)
        kept = list(range(min(gone, count) + 1, count + 1))
        forwards: list[int] = []
        while page := store.events(after=forwards[-1] if forwards else edge, until=store.position(), limit=limit):
            forwards += [event.sequence for event in page]
        assert forwards == [number for number in kept if number > edge]
        backwards: list[int] = []
        while page := store.events_before(backwards[0] if backwards else edge, limit=limit):
            backwards = [event.sequence for event in page] + backwards
        assert backwards == [number for number in kept if number < edge]
