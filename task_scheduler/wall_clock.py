"""Wall-clock times: what the clocks of a time zone show, and the instant at which they show it."""

import zoneinfo
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - what a wall clock shows has no offset
_SECOND: Final = timedelta(seconds=1)


def find_zone(name: object) -> ZoneInfo:
    """Return the time zone of an IANA name, by the rules that this machine has (PEP 615: the system's, else tzdata's).

    Raises ValueError with a clause that completes "timezone ...".
    """
    if not isinstance(name, str) or name not in _names():
        raise ValueError("must be the IANA name of a time zone, such as Europe/Berlin or America/New_York")
    return ZoneInfo(name)


def instant_ms(wall_ms: int, zone: ZoneInfo) -> int:
    """Return when the clocks of a zone show a time; both in milliseconds, as if the wall clock were in UTC.

    A time that they show twice is the earlier one; one that they skip is the first moment after the gap.
    """
    second, millisecond = divmod(wall_ms, 1000)
    wall = _EPOCH + second * _SECOND
    # PEP 495: of two meanings fold=0 is the earlier; in a gap it goes by the offset before, and fold=1 by that after.
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
    utc = _EPOCH + second * _SECOND
    return (zone.fromutc(utc.replace(tzinfo=zone)).replace(tzinfo=None) - utc) // _SECOND


def _seconds(offset: timedelta | None) -> int:
    return (offset or timedelta()) // _SECOND


@cache
def _names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
