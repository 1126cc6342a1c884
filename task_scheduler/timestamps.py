"""Points in time as text and as integer milliseconds since the Unix epoch; reads no clock."""

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo

DAY_S: Final = 86_400
DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)  # what a wall clock shows has no offset
_MILLISECOND: Final = timedelta(milliseconds=1)
_EARLIEST_MS: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LATEST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_MAX_LENGTH: Final = 64  # characters: far beyond any clock's precision
_SECOND: Final = 10**_MAX_LENGTH  # so that every fraction of one that can be written is a whole number
_EXAMPLE: Final = "such as 2026-11-21T09:00:00Z or 2026-11-21T10:00:00.250+01:00"

# Calendar dates (basic, extended, reduced to the month or year, expanded year), week dates, and times in basic or
# extended form: what datetime.fromisoformat takes, and what ECMAScript's Date.parse takes beyond that (21.4.1.32).
_TIMESTAMP: Final = re.compile(
    r"""
    (?: (?P<year>[+-]\d{6}|\d{4}) - (?P<month>\d\d) - (?P<day>\d\d)
      | (?P<basic>\d{8})
      | (?P<week>\d{4}-?W\d\d(?:-?\d)?)
      | (?P<reduced>[+-]\d{6}|\d{4}) (?:-(?P<reduced_month>\d\d))? (?=[Tt]|\Z)
    )
    (?: [Tt\ ] (?P<hour>\d\d)
        (?: (?P<colon>:?) (?P<minute>\d\d) (?: (?P=colon) (?P<second>\d\d) (?: [.,] (?P<fraction>\d+) )? )? )?
        (?P<offset> [Zz]
          | (?P<sign>[+-]) (?P<offset_hour>\d\d)
            (?: (?P<offset_colon>:?) (?P<offset_minute>\d\d)
              (?: (?P=offset_colon) (?P<offset_second>\d\d) (?: \. (?P<offset_fraction>\d{1,6}) )? )? )?
        )?
    )?
    """,
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_DURATION: Final = re.compile(r"(?P<count>\d+(?:\.\d+)?)(?P<unit>[smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S}


def parse(text: str, zone: ZoneInfo | None = None) -> int:
    """Return the first millisecond since the epoch that is not before the ISO 8601 `text`.

    With a zone, it is the time that clocks show there: the earlier one of a time that they show twice, and the first
    moment after a gap for one that they skip. Without, no offset means UTC.
    Raises ValueError with a clause that completes "timestamp ...".
    """
    match = _TIMESTAMP.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(f"is not in a form of ISO 8601 that is understood here; write it {_EXAMPLE}")
    if zone and match["offset"]:
        raise ValueError("has an offset, and timezone would give another: leave one of them out")
    part = match.groupdict(default="0")
    if int(part["second"]) == 60:  # noqa: PLR2004 - the number of a leap second
        raise ValueError("is a leap second, which clocks here do not have; take the second before or after it")
    try:
        days = _date(match).toordinal() - _EPOCH.toordinal()
        clock = _clock(part)
        offset = _offset(part)
    except ValueError as error:
        raise ValueError(f"is not a date and time that exists ({error}); write it {_EXAMPLE}") from None
    ms = _in_range(-(-1000 * (days * 86_400 * _SECOND + clock - offset) // _SECOND))
    return ms if zone is None else _in_range(_instant_ms(ms, zone))


@lru_cache(maxsize=64)  # a response, and the event in it, name one moment several times
def round_up_to_second(ms: int) -> int:
    """Return the first whole second not before a time, in milliseconds as the time is."""
    return -(-ms // 1000) * 1000


def format(ms: int) -> str:  # noqa: A001 - always written timestamp.format
    """Return the RFC 3339 form in UTC with milliseconds: fixed width, so that text sorts as time does."""
    return (_EPOCH + ms * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_duration(value: object) -> int:
    """Return the milliseconds, rounded up, in a number of seconds or in text such as 30s, 5m, 2h or 7d.

    Raises ValueError with a clause that completes "in ...".
    """
    if isinstance(value, str) and len(value) <= _MAX_LENGTH and (match := _DURATION.fullmatch(value)):
        seconds: Fraction | int = Fraction(match["count"]) * _SECONDS[match["unit"]]
    elif isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, float):
        seconds = Fraction(str(value))
    else:
        raise ValueError('must be a number of seconds or a text such as "30s", "5m", "2h" or "7d"')
    if seconds < 0:
        raise ValueError("must not be negative")
    return ceil(seconds * 1000)


def _instant_ms(wall_ms: int, zone: ZoneInfo) -> int:
    """Return when the clocks of a zone show a time; both in milliseconds, as if the wall clock were in UTC.

    A time that they show twice is the earlier one; one that they skip is the first moment after the gap.
    """
    second, millisecond = divmod(wall_ms, 1000)
    wall = _NAIVE_EPOCH + timedelta(seconds=second)
    # PEP 495: of two meanings fold=0 is the earlier; in a gap it uses the offset before, and fold=1 by that after.
    before, after = (_seconds(wall.replace(tzinfo=zone, fold=fold).utcoffset()) for fold in (0, 1))
    if after <= before:
        return (second - before) * 1000 + millisecond
    early, late = second - after, second - before
    while late - early > 1:  # the clocks jump after `early`, and have jumped at `late`
        middle = (early + late) // 2
        if _offset_at(middle, zone) == before:
            early = middle
        else:
            late = middle
    return late * 1000


def _offset_at(second: int, zone: ZoneInfo) -> int:
    utc = _NAIVE_EPOCH + timedelta(seconds=second)
    return (zone.fromutc(utc.replace(tzinfo=zone)).replace(tzinfo=None) - utc) // timedelta(seconds=1)


def _seconds(offset: timedelta | None) -> int:
    return (offset or timedelta()) // timedelta(seconds=1)


def _date(match: re.Match[str]) -> date:
    if match["week"]:
        return date.fromisoformat(match["week"])
    if match["basic"]:
        return date.fromisoformat(match["basic"])
    if match["reduced"]:
        return date(int(match["reduced"]), int(match["reduced_month"] or 1), 1)
    return date(int(match["year"]), int(match["month"]), int(match["day"]))


def _clock(part: dict[str, str]) -> int:
    hour, minute, second = int(part["hour"]), int(part["minute"]), int(part["second"])
    clock = ((hour * 60 + minute) * 60 + second) * _SECOND + _fraction(part["fraction"])
    if hour > 24 or minute > 59 or second > 59 or clock > 86_400 * _SECOND:  # noqa: PLR2004 - the clock's own bounds
        raise ValueError("the time must lie between 00:00:00 and 24:00:00")
    return clock


def _offset(part: dict[str, str]) -> int:
    hour, minute, second = int(part["offset_hour"]), int(part["offset_minute"]), int(part["offset_second"])
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004 - the clock's own bounds
        raise ValueError("the offset must be less than 24 hours")
    offset = ((hour * 60 + minute) * 60 + second) * _SECOND + _fraction(part["offset_fraction"])
    return -offset if part["sign"] == "-" else offset


def _fraction(digits: str) -> int:
    """Return what stands behind the point."""
    return int(digits.ljust(_MAX_LENGTH, "0"))


def _in_range(ms: int) -> int:
    if not _EARLIEST_MS <= ms <= _LATEST_MS:
        raise ValueError("must lie in the years 1 to 9999")
    return ms
