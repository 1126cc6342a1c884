"""Replaces a data file by a backup, together with its log: SQLite would apply the log of another file to it."""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from task_scheduler.local.data_file import DataFile, is_intact, open_read_only
from task_scheduler.local.schema import DataFileError
from task_scheduler.local.store import TaskStore

_SUFFIXES: Final = ("", "-wal", "-shm")
"""What SQLite keeps of one database: the file, its log, and the index of that. They belong together."""
_FAR: Final = 1_000_000
"""Events since a backup, at most, for a log whose end cannot be read."""


def restore(backup: Path, data: Path) -> Path | None:
    """Make `data` a copy of `backup`; return the new name of the file that was there, None if there was none.

    The data file must not be in use. Its log is written into it first, so that whatever interrupts the rest, either
    file is complete under a name of its own. Raises DataFileError.
    """
    if not backup.is_file():
        raise DataFileError(f"{backup} is not a file.")
    if not data.absolute().parent.is_dir():
        raise DataFileError(f"{data} cannot be restored: its folder does not exist.")
    if data.exists() and backup.samefile(data):
        raise DataFileError(f"{backup} is the data file itself.")
    draft = Path(f"{os.path.realpath(data)}.restoring")
    try:
        _copy(backup, draft)
        _prepare(draft, backup, data)
        _keep_owner(draft, data)
        return _replace(draft, data)
    except OSError as error:
        raise DataFileError(f"{data} cannot be restored: {error.strerror}.") from None
    finally:
        for end in _SUFFIXES:
            Path(f"{draft}{end}").unlink(missing_ok=True)


def _copy(backup: Path, draft: Path) -> None:
    try:
        with (
            closing(open_read_only(backup)) as source,
            closing(sqlite3.connect(draft)) as target,
        ):
            source.backup(target)
            intact = is_intact(target)
            is_empty = target.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    except sqlite3.Error as error:
        raise DataFileError(f"{backup} cannot be read: {error}.") from None
    if not intact:
        raise DataFileError(f"{backup} is damaged.")
    if is_empty:
        raise DataFileError(f"{backup} is empty.")
    draft.chmod(0o600)
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _prepare(draft: Path, backup: Path, data: Path) -> None:
    """Check that it is one of ours, and continue the numbers of the log: listeners hold numbers since the backup."""
    try:
        store = TaskStore.open(draft)
    except DataFileError as error:
        raise DataFileError(str(error).replace(str(draft), str(backup))) from None
    with closing(store), store.transaction():
        store.skip_to(_newest(data, store.position()))


def _newest(data: Path, backed_up: int) -> int:
    """Return the newest number in the log of a file; of one that cannot be read, a number that it has not reached."""
    if not data.exists():
        return 0
    with suppress(sqlite3.Error), closing(TaskStore(open_read_only(data))) as old:
        return old.position()
    return backed_up + _FAR


def _keep_owner(draft: Path, data: Path) -> None:
    """Give the copy the owner of the file that it replaces, where root restores for a service."""
    if data.exists() and os.geteuid() == 0:
        os.chown(draft, data.stat().st_uid, data.stat().st_gid)


def _replace(draft: Path, data: Path) -> Path | None:
    existed = data.exists()
    with closing(DataFile(data).open()) as file:
        kept = None
        if existed:
            kept = _unused_name(f"{file.path}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            with suppress(sqlite3.Error), closing(sqlite3.connect(file.path)) as old:
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # The log first: a file without its log lacks the last changes, and a log beside another file destroys it.
            for end in reversed(_SUFFIXES):
                if Path(f"{file.path}{end}").exists():
                    Path(f"{file.path}{end}").rename(f"{kept}{end}")
        draft.replace(file.path)
    return kept


def _unused_name(name: str) -> Path:
    """Return this name, or one with a number: what an earlier restoration kept must not be replaced."""
    names = (Path(name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(each for each in names if not each.exists())
