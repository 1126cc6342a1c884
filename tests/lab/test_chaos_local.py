"""A short run of the local driver, which the suite can afford; and the parts of it that have to be right."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.chaos.local.clock import SteppedClock
from lab.chaos.local.nemesis import Kind, plan
from lab.chaos.local.wal import end_of_log, tear

_DAY_MS = 86_400_000


@pytest.mark.slow
def test_nothing_is_violated_under_faults(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--seconds", "4", "--every", "1", "--rate", "40", "--seed", "short"]
    code = main(["chaos", "local", *options])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "None lost, none early, none twice" in printed
    assert f"make chaos ARGS='local {' '.join(options)}'" in printed


@pytest.mark.lab
@pytest.mark.slow
def test_a_planted_violation_ends_the_command_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client records a confirmation for each cancel that was rejected."""
    monkeypatch.setattr("lab.support.history.TaskHistory.cancel_failed", lambda task: task.cancel_ok())
    assert main(["chaos", "local", "--seconds", "4", "--every", "9", "--rate", "40", "--seed", "short"]) == 1
    assert "and its cancellation was confirmed" in capsys.readouterr().out


@pytest.mark.lab
def test_a_seed_makes_the_same_plan_again_and_another_makes_another() -> None:
    faults = plan("one", seconds=60, every=2)
    assert plan("one", seconds=60, every=2) == faults
    assert plan("two", seconds=60, every=2) != faults
    assert plan("one", seconds=600, every=2)[: len(faults)] == faults


@pytest.mark.lab
def test_every_kind_of_fault_is_among_the_first() -> None:
    for seed in range(20):
        assert {fault.kind for fault in plan(str(seed), seconds=60, every=1)[:9]} == set(Kind)


@pytest.mark.lab
def test_a_clock_is_never_set_so_far_that_events_expire() -> None:
    offset_ms = 0
    for fault in plan("long", seconds=10_000, every=1):
        offset_ms += fault.step_ms
        assert abs(offset_ms) < _DAY_MS


@pytest.mark.lab
def test_a_clock_is_set_for_all_who_go_by_it(tmp_path: Path) -> None:
    clock = SteppedClock.create(tmp_path / "clock")
    other = SteppedClock(tmp_path / "clock")
    before_ms = time.time_ns() // 1_000_000
    assert 0 <= other.now_ms() - before_ms < 60_000
    clock.step(3_600_000)
    assert 3_600_000 <= other.now_ms() - before_ms < 3_660_000
    assert other.now_ns() // 1_000_000 >= before_ms + 3_600_000


@pytest.mark.lab
def test_the_latest_time_that_a_clock_has_shown_is_kept(tmp_path: Path) -> None:
    clock = SteppedClock.create(tmp_path / "clock")
    clock.step(3_600_000)
    shown_ms = clock.now_ms()
    clock.step(-7_200_000)
    assert clock.now_ms() < shown_ms - 7_000_000
    assert shown_ms <= clock.latest_ms() < shown_ms + 60_000


def _written(path: Path, rows: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS item (text TEXT)")
    for number in range(rows):
        connection.execute("INSERT INTO item VALUES (?)", (f"{number}" * 500,))
    return connection


def _copied(path: Path, to: Path) -> Path:
    """Return a copy of a database as a crash would leave it."""
    to.mkdir()
    for suffix in ("", "-wal"):
        (to / f"{path.name}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    return to / path.name


@pytest.mark.lab
@pytest.mark.parametrize("noise", [b"", b"x" * 10, b"\0" * 5_000, bytes(range(256)) * 100])
def test_a_torn_log_loses_nothing_that_was_committed(tmp_path: Path, noise: bytes) -> None:
    with closing(_written(tmp_path / "x.db", 30)):
        copy = _copied(tmp_path / "x.db", tmp_path / "copy")
    tear(Path(f"{copy}-wal"), noise)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchall() == [(30,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.lab
def test_a_log_that_began_anew_ends_where_its_new_part_does(tmp_path: Path) -> None:
    with closing(_written(tmp_path / "x.db", 30)) as connection:
        log = Path(f"{tmp_path / 'x.db'}-wal")
        size = log.stat().st_size
        assert end_of_log(log) == size
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("INSERT INTO item VALUES ('new')")
        assert log.stat().st_size == size
        assert 32 < end_of_log(log) < size
        copy = _copied(tmp_path / "x.db", tmp_path / "copy")
    tear(Path(f"{copy}-wal"), b"noise")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchall() == [(31,)]


@pytest.mark.lab
def test_a_log_without_a_whole_header_is_all_torn(tmp_path: Path) -> None:
    log = tmp_path / "x.db-wal"
    tear(log, b"noise")
    assert not log.exists()
    log.write_bytes(b"\x37\x7f")
    assert end_of_log(log) == 2
    log.write_bytes(b"no log of SQLite is this, whatever it is")
    with pytest.raises(ValueError, match="no write-ahead log"):
        end_of_log(log)
