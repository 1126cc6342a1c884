"""The data file: one server at a time under any name, reported when it is lost, and restored as a whole."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from task_scheduler.local.data_file import DataFile
from task_scheduler.local.restore import restore
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.store import TaskStore
from task_scheduler.task import Task, new_task

NOW_MS = 1_795_300_000_000


def task(number: int) -> Task:
    body = {"in": 60, "message": f"task {number}"}
    return new_task(body, task_id=f"00000000-0000-4000-8000-{number:012}", now_ms=NOW_MS)


def write(path: Path, *numbers: int) -> None:
    with closing(TaskStore.open(path)) as store, store.transaction():
        for number in numbers:
            store.insert(task(number))


def stored(path: Path) -> int:
    with closing(TaskStore.open(path)) as store:
        return store.pending()


@pytest.mark.parametrize("kind", ["the same name", "a symbolic link", "a symbolic link to its folder", "renamed since"])
def test_a_file_is_used_by_one_server_under_any_name(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    data = folder / "tasks.db"
    with closing(DataFile(data).open()):
        other = tmp_path / "other.db"
        if kind == "the same name":
            other = data
        elif kind == "a symbolic link":
            other.symlink_to(data)
        elif kind == "a symbolic link to its folder":
            (tmp_path / "link").symlink_to(folder)
            other = tmp_path / "link" / "tasks.db"
        else:
            data.rename(other)
        with pytest.raises(DataFileError, match="in use by another process"):
            DataFile(other).open()
    DataFile(other).open().close()


def test_a_file_with_hard_links_is_rejected_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "tasks.db"
    write(data, 1)
    os.link(data, tmp_path / "other.db")
    for name in ("tasks.db", "other.db"):
        with pytest.raises(DataFileError, match="hard links"):
            DataFile(tmp_path / name).open()
    (tmp_path / "other.db").unlink()
    DataFile(data).open().close()
    assert stored(data) == 1


def test_a_database_in_memory_is_rejected() -> None:
    with pytest.raises(DataFileError, match="lose every task"):
        DataFile(Path(":memory:")).open()


def test_locking_the_file_leaves_sqlite_its_own_locks(tmp_path: Path) -> None:
    data = tmp_path / "tasks.db"
    with closing(DataFile(data).open()):
        write(data, 1)
        with closing(TaskStore.open(data)) as one, closing(sqlite3.connect(data, timeout=0)) as other:
            with one.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")


def test_a_file_that_was_deleted_or_replaced_is_reported(tmp_path: Path) -> None:
    data, other = tmp_path / "tasks.db", tmp_path / "other.db"
    write(other, 2)
    with closing(DataFile(data).open()) as file, closing(TaskStore.open(data)) as store:
        with store.transaction():
            store.insert(task(1))
        assert file.problem() is None
        log = Path(f"{data}-wal")
        log.rename(tmp_path / "aside")
        assert "-wal" in str(file.problem())
        (tmp_path / "aside").rename(log)
        assert file.problem() is None
        data.unlink()
        assert "deleted or replaced" in str(file.problem())
        other.rename(data)
        assert "deleted or replaced" in str(file.problem())


def test_a_damaged_file_is_found_out(tmp_path: Path) -> None:
    data = tmp_path / "tasks.db"
    write(data, *range(500))
    with closing(DataFile(data).open()) as file:
        assert file.damage() is None
        with data.open("r+b") as raw:
            raw.seek(data.stat().st_size // 2)
            raw.write(b"\xff" * 8192)
        assert file.damage() == "The data file is damaged: restore a backup."


def test_a_restored_backup_takes_the_place_of_the_file_and_of_its_log(tmp_path: Path) -> None:
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(data, 1)
    with closing(sqlite3.connect(data)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    unclosed = TaskStore.open(data)
    with unclosed.transaction():
        for number in range(2, 5):
            unclosed.insert(task(number))
    kept = restore(backup, data)
    assert kept
    unclosed.close()
    assert stored(data) == 1
    assert stored(kept) == 4
    assert data.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in tmp_path.iterdir()} >= {"tasks.db", kept.name, "backup.db"}
    assert not [file for file in tmp_path.iterdir() if "restoring" in file.name]
    assert restore(backup, tmp_path / "new.db") is None
    assert stored(tmp_path / "new.db") == 1


@pytest.mark.parametrize("kind", ["absent", "no database", "another program's", "damaged", "the file itself", "in use"])
def test_what_cannot_be_restored_changes_nothing(tmp_path: Path, kind: str) -> None:
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(data, 1)
    if kind == "no database":
        backup.write_text("hello")
    elif kind == "another program's":
        with closing(sqlite3.connect(backup)) as other:
            other.execute("CREATE TABLE theirs (x)")
    elif kind == "damaged":
        write(backup, *range(500))
        with backup.open("r+b") as raw:
            raw.seek(backup.stat().st_size // 2)
            raw.write(b"\xff" * 8192)
    elif kind == "the file itself":
        backup.symlink_to(data)
    elif kind == "in use":
        write(backup, 2, 3)
    user = DataFile(data).open() if kind == "in use" else None
    with pytest.raises(DataFileError):
        restore(backup, data)
    if user:
        user.close()
    assert stored(data) == 1
    assert not [file for file in tmp_path.iterdir() if "restoring" in file.name]


def test_a_start_that_fails_leaves_no_lock_beside_the_file(tmp_path: Path) -> None:
    foreign = tmp_path / "passwd"
    foreign.write_text("root:x:0:0")
    file = DataFile(foreign).open()
    with pytest.raises(DataFileError):
        TaskStore.open(file.path)
    file.abandon()
    assert [each.name for each in tmp_path.iterdir()] == ["passwd"]
    assert foreign.read_text() == "root:x:0:0"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_refuses_new_files_is_not_taken_for_a_file_in_use() -> None:
    with pytest.raises(DataFileError, match="no file can be created in its folder"):
        DataFile(Path("/proc/tasks.db")).open()


def test_a_folder_that_does_not_exist_is_named_and_not_made(tmp_path: Path) -> None:
    write(tmp_path / "backup.db", 1)
    with pytest.raises(DataFileError, match="its folder does not exist"):
        DataFile(tmp_path / "typo" / "tasks.db").open()
    with pytest.raises(DataFileError, match="its folder does not exist"):
        restore(tmp_path / "backup.db", tmp_path / "typo" / "tasks.db")
    assert not (tmp_path / "typo").exists()


def test_an_empty_file_is_no_backup(tmp_path: Path) -> None:
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(data, 1)
    backup.touch()
    with pytest.raises(DataFileError, match="is empty"):
        restore(backup, data)
    assert stored(data) == 1


def test_a_log_whose_end_cannot_be_read_continues_far_ahead(tmp_path: Path) -> None:
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(backup, 1)
    data.write_bytes(b"damaged")
    restore(backup, data)
    with closing(TaskStore.open(data)) as store:
        assert store.position() == 1_000_000


def test_two_restorations_within_a_second_keep_both_files(tmp_path: Path) -> None:
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(backup, 1)
    write(data, 2, 3)
    first, second = restore(backup, data), restore(backup, data)
    assert first is not None
    assert second is not None
    assert first != second
    assert (stored(first), stored(second)) == (2, 1)


def test_numbers_of_the_log_continue_after_those_of_the_file_that_was_replaced(tmp_path: Path) -> None:
    """A listener with a position since the backup would miss events that had its numbers."""
    data, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    write(data, 1)
    with closing(sqlite3.connect(data)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    with closing(TaskStore.open(data)) as store, store.transaction():
        store.emit_due(until_ms=NOW_MS + 10**9, from_ms=NOW_MS, limit=10)
        for number in range(2, 6):
            store.insert(task(number))
        store.emit_due(until_ms=NOW_MS + 10**9, from_ms=NOW_MS, limit=10)
    restore(backup, data)
    with closing(TaskStore.open(data)) as store, store.transaction():
        assert store.position() == 5
        [emission] = store.emit_due(until_ms=NOW_MS + 10**9, from_ms=NOW_MS, limit=10)
    assert emission.sequence == 6
