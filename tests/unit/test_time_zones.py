"""Wall-clock times in every time zone: the earlier of two, the first moment after a gap, and no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from task_scheduler import timestamps
from task_scheduler.time_zones import find_zone


@pytest.mark.parametrize(("wall", "zone"), [("0001-01-01", "Asia/Tokyo"), ("9999-12-31T23:59", "America/New_York")])
def test_a_time_whose_instant_has_no_year_is_refused(wall: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"^must lie in the years 1 to 9999$"):
        timestamps.parse(wall, find_zone(zone))


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", "Europe", "Europe/Berlin\0", "CEST-2", None, 1, []]
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match=r"^must be the IANA name of a time zone"):
        find_zone(name)


def _copy(folder: Path, version: str, zone: str, rules: str) -> None:
    """Compile a copy of the time zone database with one zone, as a system has it."""
    source = folder / "source"
    source.write_text(f"Zone {zone} {rules} - XYZ\n")
    subprocess.run(["zic", "-d", folder, source], check=True, capture_output=True)  # noqa: S603, S607 - of the system
    (folder / "tzdata.zi").write_text(f"# version {version}\nZ {zone} {rules} - XYZ\n")


@pytest.mark.skipif(shutil.which("zic") is None, reason="zic, which compiles time zones, is not installed")
@pytest.mark.parametrize(("version", "offset"), [("1999a", "-07:00"), ("2999a", "-03:00"), (None, "-07:00")])
def test_the_newest_rules_win(tmp_path: Path, version: str | None, offset: str) -> None:
    """Those of the machine only if they are newer than the package's; where they tell no version, they are not."""
    _copy(tmp_path, version or "1999a", "America/Vancouver", "-3")
    if version is None:
        (tmp_path / "tzdata.zi").unlink()
    script = (
        "from datetime import datetime; from task_scheduler.time_zones import find_zone;"
        "print(datetime(2026, 12, 1, 9, tzinfo=find_zone('America/Vancouver')).isoformat())"
    )
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"2026-12-01T09:00:00{offset}"


@pytest.mark.parametrize("name", ["localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin", "tzdata.zi"])
def test_a_file_beside_the_zones_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        find_zone(name)
