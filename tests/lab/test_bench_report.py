"""What was measured is written as it was, and into its own place."""

from pathlib import Path

import pytest

from lab.bench.limit import heap_timer
from lab.bench.local import p99
from lab.bench.report import Row, machine, number, shown, spread, write
from lab.support.client import now_ms

pytestmark = pytest.mark.lab


def test_a_row_shows_median_least_and_most_and_the_ratio_of_runs_that_followed_each_other() -> None:
    row = Row("tasks", "a second", [50, 100, 90], [100, 100, 60], "0.7 at least")
    assert row.ratio() == 1.0
    [_, _, line] = shown([row]).splitlines()
    assert line == "| tasks | 90.0 (50.0 - 100) a second | 100 (60.0 - 100) a second | 1.00 | 0.7 at least |"


def test_a_row_that_nothing_is_held_against_shows_no_ratio() -> None:
    assert Row("memory", "MiB", [57.25]).ratio() is None
    assert shown([Row("memory", "MiB", [57.25])]).splitlines()[-1] == "| memory | 57.2 MiB |  |  |  |"
    assert spread([]) == "not measured"
    assert [number(value) for value in (1234.5, 12.34, 0.1234)] == ["1,234", "12.3", "0.12"]


def test_a_part_is_written_into_its_place_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    places = "".join(f"# {name}\n\n<!-- make bench: {name} table -->\nold\n<!-- end -->\n\n" for name in ("a", "b"))
    page.write_text(places)
    for _ in range(2):
        write("b", {"table": "| new |"}, page=page)
    assert page.read_text() == places.replace("b table -->\nold\n", "b table -->\n\n| new |\n\n")
    with pytest.raises(ValueError, match="no place for c table"):
        write("c", {"table": ""}, page=page)


def test_the_99th_percentile_is_what_99_of_100_are_not_above() -> None:
    assert p99([float(value) for value in range(1, 102)]) == 100
    assert p99([7.0]) == 7


def test_the_limit_of_a_timer_wakes_up_for_each_and_never_early() -> None:
    late = heap_timer([now_ms() + offset for offset in (20, 0, 10)])
    assert len(late) == 3
    assert min(late) >= 0


def test_the_machine_is_named_with_its_versions() -> None:
    told = machine(["uvicorn", "no-such-package"])
    assert "cores" in told
    assert "uvicorn " in told
    assert "no-such-package" not in told
