"""Points in time: any instant, any offset, any precision; never early."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_scheduler import timestamps
from task_scheduler.aws.executions import wait_until_ms
from task_scheduler.task import Task

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
instants = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=offsets)  # noqa: DTZ001 - bounds are naive
digits = st.text("0123456789", min_size=1, max_size=25)


def exact_ms(instant: datetime) -> Fraction:
    return Fraction((instant - EPOCH) // timedelta(microseconds=1), 1000)


@given(instants, digits)
def test_any_number_of_digits_is_never_early_and_less_than_a_millisecond_late(instant: datetime, fraction: str) -> None:
    second = instant.replace(microsecond=0)
    offset = second.strftime("%z")
    text = f"{second.replace(tzinfo=None).isoformat()}.{fraction}{offset}"
    assert 0 <= timestamps.parse(text) - (exact_ms(second) + Fraction(f"0.{fraction}") * 1000) < 1


@given(instants)
def test_the_wait_on_aws_ends_on_a_whole_second_never_early_and_less_than_a_second_late(instant: datetime) -> None:
    due_ms = timestamps.parse(instant.isoformat())
    end_ms = wait_until_ms(Task(id="", due_ms=due_ms, payload="", created_ms=0))
    assert end_ms % 1000 == 0
    assert 0 <= end_ms - due_ms < 1000


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2026-12-01", "2026-12-01T00:00:00.000Z"),
        ("2026-12", "2026-12-01T00:00:00.000Z"),
        ("2026", "2026-01-01T00:00:00.000Z"),
        ("2026T09:30Z", "2026-01-01T09:30:00.000Z"),
        ("2026-12-01T24:00:00Z", "2026-12-02T00:00:00.000Z"),
        ("+002026-12-01T09:00Z", "2026-12-01T09:00:00.000Z"),
        ("2026-12-01t09:00z", "2026-12-01T09:00:00.000Z"),
        ("2026-12-01T09:00:00.999999999Z", "2026-12-01T09:00:01.000Z"),
        ("2026-12-01T09:00:00-00:00", "2026-12-01T09:00:00.000Z"),
    ],
)
def test_forms_beyond_those_of_python_are_understood(text: str, meaning: str) -> None:
    assert timestamps.format(timestamps.parse(text)) == meaning


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tomorrow", "ISO 8601"),
        ("", "ISO 8601"),
        ("1795300074", "ISO 8601"),
        ("Fri, 22 Nov 2030 10:30:00 GMT", "ISO 8601"),
        ("11/22/2030", "ISO 8601"),
        ("T10:30:00Z", "ISO 8601"),
        ("2026-12-01T09:00+", "ISO 8601"),
        ("2026-12-01T09:00ZZ", "ISO 8601"),
        ("2026-12-01T09:00Z" + " " * 1_000, "ISO 8601"),
        ("2026-12-01T09:00:00Zjunk", "ISO 8601"),
        ("٢٠٢٦-12-01", "ISO 8601"),
        ("2026-12-01T09:00:00." + "0" * 60 + "Z", "ISO 8601"),
        ("2026-02-29", "day"),
        ("2026-13-01", "month"),
        ("0000-01-01T00:00:00Z", "year 0"),
        ("2026-12-01T25:00", "between 00:00:00 and 24:00:00"),
        ("2026-12-01T24:00:01", "between 00:00:00 and 24:00:00"),
        ("2026-12-01T09:60", "between 00:00:00 and 24:00:00"),
        ("2026-12-01T09:00+24:00", "less than 24 hours"),
        ("2016-12-31T23:59:60Z", "leap second"),
        ("0001-01-01T00:00+01:00", "years 1 to 9999"),
        ("9999-12-31T23:59:59.9999Z", "years 1 to 9999"),
    ],
)
def test_what_is_no_time_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        timestamps.parse(text)


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, "", "s", "30", "30 s", "-5s", "1w", "1e3s", -1, -0.1, [], {}, "٣s", "5M", "1h30m", "30s\n"),
        *("9" * 5_000 + "d", "1." + "0" * 5_000 + "s"),
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        timestamps.parse_duration(value)
