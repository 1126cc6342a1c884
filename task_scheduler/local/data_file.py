"""The data file as the operating system sees it: used by one server at a time, whatever its name, and still there."""

import os
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from task_scheduler.local.schema import DataFileError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    _OFD_SETLK = None
else:
    _OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", None)  # Linux alone has these locks in Python

_LOCKED_BYTE: Final = 2**62
"""Far behind the bytes that SQLite locks, from 2**30 on (SQLite, Locking and Concurrency)."""
_MEMORY: Final = ":memory:"


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database without creating it; raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def is_intact(connection: sqlite3.Connection) -> bool:
    """Check the structure of a whole database; raises sqlite3.Error if it cannot be read at all."""
    return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])


class DataFile:
    """A data file that is locked for this process from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._given = path
        self.path: Final = Path(os.path.realpath(path))
        """Without symbolic links."""
        self._lock = FileLock(f"{self.path}.lock", mode=0o600)
        self._made_lock = False
        self._descriptor = -1
        self._log: tuple[int, int] | None = None

    def open(self) -> Self:
        """Lock the file, and create it if it does not exist; raises DataFileError."""
        if str(self._given) == _MEMORY:
            raise DataFileError(f"{_MEMORY} would lose every task when the server stops. Give the name of a file.")
        if not self.path.parent.is_dir():
            raise DataFileError(f"{self._given} cannot be used: its folder does not exist.")
        self._made_lock = not Path(self._lock.lock_file).exists()
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            if not Path(self._lock.lock_file).exists():  # filelock takes a folder that refuses new files for a lock
                raise DataFileError(f"{self._given} cannot be used: no file can be created in its folder.") from None
            raise self._in_use() from None
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._open()
        except OSError as error:
            self.abandon()
            raise self._unusable(error) from None
        except DataFileError:
            self.abandon()
            raise
        return self

    def close(self) -> None:
        """Unlock the file, after SQLite has closed it: to close any descriptor of it would end SQLite's own locks."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def abandon(self) -> None:
        """Unlock a file that cannot be used, and leave no lock file: it may belong to another program."""
        if self._made_lock:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self.close()

    def problem(self) -> str | None:
        """Return what happened to the file since it was opened, as a sentence; None if it is in its place."""
        try:
            is_same = os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            is_same = False
        if not is_same:
            return "The data file was deleted or replaced while the server was running."
        log = self._find_log()
        if self._log is None:
            self._log = log
        if log != self._log:
            return "The log of the data file, whose name ends in -wal, was deleted or replaced."
        return None

    def damage(self) -> str | None:
        """Check the structure of the whole file; return what is wrong as a sentence. Takes a second for some 200 MB."""
        try:
            with closing(open_read_only(self.path)) as connection:
                intact = is_intact(connection)
        except sqlite3.OperationalError as error:  # it is locked, or gone: other checks report that
            intact = not error.sqlite_errorname.startswith("SQLITE_IOERR")
        except sqlite3.Error:
            intact = False
        return None if intact else "The data file is damaged: restore a backup."

    def _open(self) -> None:
        # For its owner alone; SQLite gives its log the same permissions.
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        names = os.fstat(self._descriptor).st_nlink
        if names > 1:
            raise DataFileError(
                f"{self._given} has {names} names (hard links), and SQLite must have one: under another name, another "
                "server would keep another log. Remove the others, or copy the file."
            )
        if _OFD_SETLK is not None:
            request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
            try:
                fcntl.fcntl(self._descriptor, _OFD_SETLK, request)
            except BlockingIOError:
                raise self._in_use() from None
            except OSError:
                pass  # a file system without such locks; the lock file has to suffice

    def _find_log(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = Path(f"{self.path}-wal").stat()
            return found.st_dev, found.st_ino
        return None

    def _in_use(self) -> DataFileError:
        return DataFileError(f"{self._given} is in use by another process.")

    def _unusable(self, error: OSError) -> DataFileError:
        return DataFileError(f"{self._given} cannot be used: {error.strerror}.")
