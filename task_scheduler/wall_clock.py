"""Wall-clock times: what the clocks of a time zone show, and the instant at which they show it."""

import re
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # it has no types

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - what a wall clock shows has no offset
_SECOND: Final = timedelta(seconds=1)


def find_zone(name: object) -> ZoneInfo:
    """Return the time zone of an IANA name, by the newest rules at hand: the package's or this machine's.

    Raises ValueError with a clause that completes "timezone ...".
    """
    if not isinstance(name, str) or name not in _newest_rules().names:
        raise ValueError("must be the IANA name of a time zone, such as Europe/Berlin or America/New_York")
    return _load(name)


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


@dataclass(frozen=True, slots=True)
class _Rules:
    """A copy of the time zone database."""

    version: str
    """Such as 2026b: in the order of time as text."""
    names: frozenset[str]
    folder: Traversable


@cache
def _newest_rules() -> _Rules:
    """Return the newest copy; zoneinfo itself would take the machine's, however old that is."""
    return max(_candidates(), key=lambda rules: rules.version)


def _candidates() -> Iterator[_Rules]:
    package = resources.files("tzdata")
    names = package.joinpath("zones").read_text().split()
    yield _Rules(tzdata.IANA_VERSION, frozenset(names), package.joinpath("zoneinfo"))
    for path in zoneinfo.TZPATH:
        with suppress(OSError, ValueError):
            source = Path(path, "tzdata.zi").read_text()  # "# version 2026b", then lines such as "Z name ..."
            [version] = re.findall(r"^# version (\d{4}[a-z]+)$", source, re.MULTILINE)
            listed = re.findall(r"^(?:Z|L \S+) (\S+)", source, re.MULTILINE)
            yield _Rules(version, frozenset(name for name in listed if Path(path, name).is_file()), Path(path))


@cache
def _load(name: str) -> ZoneInfo:
    with _newest_rules().folder.joinpath(name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
