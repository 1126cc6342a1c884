"""Time zones by their IANA names, with the newest rules at hand."""

import re
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # it has no types


def find_zone(name: object) -> ZoneInfo:
    """Return the time zone of an IANA name, by the newer of the rules of the tzdata package and of this machine.

    Raises ValueError with a clause that completes "timezone ...".
    """
    if not isinstance(name, str) or name not in _newest_rules().names:
        raise ValueError("must be the IANA name of a time zone, such as Europe/Berlin or America/New_York")
    return _load(name)


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
