"""deployment.toml, the settings of an operator's deployment, and what overrides them for a single run."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from stacks.settings import PREFIX, SettingError, Settings, shown

NAME: Final = "deployment.toml"
_FILE: Final = f"{PREFIX}file"
"""Names another file in the context, or none with an empty value."""

METADATA: Final = "TaskScheduler::Settings"
"""Where a template records, as JSON text, the settings that it was made with and that differ from their defaults."""


@dataclass(frozen=True)
class GivenSettings:
    """The settings of a deployment and where they come from."""

    settings: Settings
    given: frozenset[str]
    """The names that the file or the context has, whatever their values."""
    file: str | None
    """The name of the file that was read."""
    overridden: bool
    """Whether the context has settings, too."""


def read(context: Mapping[str, Any], folder: Path) -> GivenSettings:
    """Read deployment.toml in a folder, and the context of the CDK over it.

    Raises SettingError, whose text says where the mistake is.
    """
    given = {key.removeprefix(PREFIX): value for key, value in context.items() if key.startswith(PREFIX)}
    known = {setting.name for setting in fields(Settings)}
    if forgotten := sorted(known & context.keys()):
        raise SettingError(" ".join(f"{name} has to be written {PREFIX}{name}." for name in forgotten))
    path = _path(given.pop("file", None), folder)
    kept = _parse(path) if path else {}
    if path:
        _settings(kept, path.name)
    settings = _settings({**kept, **given}, "The CDK context (-c)")
    return GivenSettings(settings, frozenset({**kept, **given}), path.name if path else None, bool(given))


def lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line of deployment.toml for each setting, for people to read; URLs are shown by their host only."""
    for name, value in values.items():
        printed = [shown(one) for one in value] if isinstance(value, tuple | list) else value
        yield f"{name} = {json.dumps(printed)}"  # what a setting can be is written alike in JSON and TOML


def _path(name: object, folder: Path) -> Path | None:
    """Find the file: the usual one may be missing, one that was named may not."""
    if name is None:
        path = folder / NAME
        return path if os.path.lexists(path) else None  # a link that leads nowhere is a mistake, not a missing file
    if name == "":
        return None
    if not os.path.lexists(path := folder / str(name)):
        raise SettingError(f"{_FILE}: there is no file {str(name)!r} in {folder}.")
    return path


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise SettingError(f"{path.name} is not UTF-8: {error.reason} at position {error.start}.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(
            f"{path.name} is not valid TOML: {error}; true and false are in lower case, texts in quotes."
        ) from None
    except OSError as error:
        raise SettingError(f"{path.name} cannot be read: {error.strerror}.") from None


def _settings(values: Mapping[str, Any], source: str) -> Settings:
    try:
        return Settings.of(values)
    except SettingError as error:
        raise SettingError(f"{source}: {error}") from None
