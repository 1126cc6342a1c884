"""Times, delays, tags and cursors: any text is understood as the standard has it, or refused in words."""

import base64
import contextlib
import json
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from task_scheduler import timestamps
from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.query import Query, cursor
from task_scheduler.engine import Cursor
from task_scheduler.task import is_task_id, mistakes_in_tags
from tests.fuzz.effort import effort
from tests.fuzz.json_values import TEXTS, VALUES

pytestmark = pytest.mark.slow

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MS: Final = timedelta(milliseconds=1)

# All that a form of ISO 8601 is made of, in any order and number, and near misses.
COMMON: Final = " 2026 0001 9999 -12 -W53 -W01 -7 -00 -366 12 31 T t 24 23 59 60 : , . 5 000000001 Z z + - -09"
RARE: Final = "+14:00 -23:59:59.999999 +24:00 +000000 -000001 +275760 \N{ARABIC-INDIC DIGIT THREE} \0"
PIECES: Final = st.sampled_from([" ", *COMMON.split(" "), *RARE.split(" ")])
SHAPED: Final = st.lists(PIECES, max_size=12).map("".join)
NEARLY: Final = st.from_regex(
    r"[+-]?\d{4,6}(-?\d\d(-?\d\d)?|-?W\d\d(-?\d)?)?"
    r"([T ]\d\d(:?\d\d(:?\d\d([.,]\d{1,12})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?",
    fullmatch=True,
)
OFFSETS: Final = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
INSTANTS: Final = st.datetimes(timezones=st.none() | OFFSETS)
ZONES: Final = st.sampled_from(sorted(zoneinfo.available_timezones())).map(ZoneInfo)


def _exact_ms(instant: datetime) -> Fraction:
    return Fraction((instant - EPOCH) // timedelta(microseconds=1), 1000)


@effort(40)
@given(SHAPED | NEARLY | TEXTS, st.none() | ZONES)
@example("9999-W53-7", None)
@example("0001-01-01T00:00:00+00:01", None)
def test_any_text_is_a_time_or_refused_and_what_is_written_reads_back(text: str, zone: ZoneInfo | None) -> None:
    with contextlib.suppress(ValueError):  # any other error fails
        ms = timestamps.parse(text, zone)
        written = timestamps.format(ms)
        assert timestamps.parse(written) == ms
        assert timestamps.format(timestamps.parse(written)) == written


@effort(70)
@given(
    st.datetimes(datetime(1001, 1, 1), datetime(9998, 12, 1)),  # noqa: DTZ001 - the offset is written beside it
    st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%G-W%V-%u", "%GW%V%u"]),
    st.sampled_from(["", "T%H", "T%H:%M", "T%H%M", " %H:%M:%S", "t%H%M%S", "T%H:%M:%S.%f", "T%H%M%S,%f"]),
    st.sampled_from(["", "Z", "+01", "-0930", "+05:45", "-23:59:59", "+01:00:00.000001"]),
)
def test_python_and_we_agree_on_every_form(wall: datetime, date: str, clock: str, offset: str) -> None:
    text = wall.strftime(date + clock) + (offset if clock else "")
    theirs = datetime.fromisoformat(text)
    assert 0 <= timestamps.parse(text) - _exact_ms(theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) < 1


@effort(70)
@given(INSTANTS, st.sampled_from(["T", "t", " "]), st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
def test_what_python_writes_is_never_early(instant: datetime, separator: str, precision: str) -> None:
    text = instant.isoformat(separator, precision)
    there = datetime.fromisoformat(text)
    exact = _exact_ms(there if there.tzinfo else there.replace(tzinfo=UTC))
    try:
        assert 0 <= timestamps.parse(text) - exact < 1
    except ValueError:  # the offset, or the next millisecond, leads beyond the years that there are
        assert not (timestamps.parse("0001-01-01") <= exact <= timestamps.parse("9999-12-31T23:59:59.999"))


@effort(100)
@given(st.datetimes(datetime(1840, 1, 1), datetime(2500, 1, 1)), ZONES)  # noqa: DTZ001 - what clocks show has no offset
@example(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin"))  # noqa: DTZ001 - the same
@example(datetime(2026, 10, 25, 2, 30), ZoneInfo("Europe/Berlin"))  # noqa: DTZ001 - the same
@example(datetime(2026, 10, 4, 2, 15), ZoneInfo("Australia/Lord_Howe"))  # noqa: DTZ001 - the same; half an hour
@example(datetime(2026, 9, 6), ZoneInfo("America/Santiago"))  # noqa: DTZ001 - the same; a midnight that clocks skip
@example(datetime(2011, 12, 30, 12), ZoneInfo("Pacific/Apia"))  # noqa: DTZ001 - the same; a day that was skipped
def test_a_time_on_the_wall_is_the_first_at_which_the_clocks_show_it_or_have_passed_it(
    wall: datetime, zone: ZoneInfo
) -> None:
    """Held against zoneinfo: in a fold the earlier meaning, in a gap the moment at which it ends."""
    wall = wall.replace(microsecond=wall.microsecond // 1000 * 1000)
    found = EPOCH + timestamps.parse(wall.isoformat(), zone) * MS
    shown = found.astimezone(zone)
    meanings = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    exact = sorted(each for each in meanings if each.astimezone(zone).replace(tzinfo=None) == wall)
    if exact:
        assert found == exact[0]
    else:
        assert shown.replace(tzinfo=None) > wall
        assert (found - MS).astimezone(zone).replace(tzinfo=None) < wall


@effort(100)
@given(VALUES | st.from_regex(r"\d{1,20}(\.\d{1,20})?[smhd]?", fullmatch=True) | st.integers(-(10**400), 10**400))
def test_a_delay_is_refused_or_never_shorter_than_asked(value: object) -> None:
    try:
        ms = timestamps.parse_duration(value)
    except ValueError:
        return
    units = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    asked = Fraction(value[:-1]) * units[value[-1]] if isinstance(value, str) else Fraction(str(value)) * 1000
    assert 0 <= ms - asked < 1


@effort(70)
@given(VALUES | st.dictionaries(TEXTS, TEXTS, max_size=9))
def test_tags_are_refused_in_words_or_found_again_by_a_query(tags: object) -> None:
    mistakes = mistakes_in_tags(tags)
    assert all(" " in sentence and len(sentence) < 1_000 for sentence in mistakes)
    if not mistakes:
        assert isinstance(tags, dict)
        for name, value in tags.items():
            asked = Query({"tag": f"{name}:{value}"})
            assert asked.tasks().tag == (name, value)
            asked.check()


def _place(text: str) -> Cursor | None:
    asked = Query({"cursor": text})
    found = asked.tasks().after
    asked.check()
    return found


@effort(70)
@given(
    st.integers(-(2**62), 2**62),
    st.uuids().map(str),
    st.lists(st.tuples(st.integers(0, 200), st.characters()), max_size=3),
)
def test_a_cursor_leads_back_and_one_that_was_tampered_with_is_refused_or_leads_somewhere(
    due_ms: int, task_id: str, edits: list[tuple[int, str]]
) -> None:
    text = cursor(Cursor(due_ms, task_id)) or ""
    assert _place(text) == Cursor(due_ms, task_id)
    for at, character in edits:
        at %= len(text)  # noqa: PLW2901 - drawn from any range
        text = text[:at] + character + text[at + 1 :]
    _holds(text)


@effort(70)
@given(st.binary(max_size=150) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_a_cursor_that_no_page_gave_out_is_rejected_or_leads_somewhere(whole: bytes) -> None:
    _holds(base64.urlsafe_b64encode(whole).decode())


def _holds(text: str) -> None:
    try:
        place = _place(text)
    except BadRequestError as error:
        assert [sentence.split()[0] for sentence in error.errors] == ["cursor"]  # noqa: PT017 - most are refused
    else:
        assert place
        assert abs(place.due_ms) < 2**63
        assert is_task_id(place.task_id)


@effort(70)
@given(st.text(max_size=25) | st.integers(-(2**70), 2**70).map(str))
def test_a_position_is_a_number_that_every_engine_takes_or_is_refused(text: str) -> None:
    asked = Query({})
    found = asked.number("Last-Event-ID", text)
    if found is None:
        with pytest.raises(BadRequestError, match=r"^Last-Event-ID must be a whole number"):
            asked.check()
    else:
        assert 0 <= found < 2**63
        assert found == int(text)
