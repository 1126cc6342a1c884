"""The processes in which the emulator runs functions: kills the one that is making a call. Linux only."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TCP: Final = _PROC / "net" / "tcp"
CAN_KILL: Final = _TCP.exists()
"""Whether this system tells which process has a connection."""
_LOCAL_ADDRESS, _INODE = 1, 9  # columns of it
_PARENT: Final = 1  # field of stat, counted from after the name


class Workers:
    """The children of one process, and no others."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def kill_caller(self, port: int) -> bool:
        """Kill the child that holds the connection from this port; False where there is none, or no /proc."""
        with suppress(OSError):
            wanted = f"socket:[{_inode(port)}]"
            for pid in self._children():
                with suppress(OSError):
                    if _holds(pid, wanted):
                        return self._kill(pid, wanted)
        return False

    def _children(self) -> Iterator[int]:
        for folder in _PROC.iterdir():
            if folder.name.isdigit() and _parent(int(folder.name)) == self._parent:
                yield int(folder.name)

    def _kill(self, pid: int, wanted: str) -> bool:
        """Kill by a handle: the number may be another process's by the time of the signal."""
        handle = os.pidfd_open(pid)
        try:
            if _parent(pid) != self._parent or not _holds(pid, wanted):
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
        return True


def _inode(port: int) -> int:
    """Return the inode of the socket on 127.0.0.1 with this port, 0 where there is none."""
    for line in _TCP.read_text().splitlines()[1:]:
        columns = line.split()
        address, _, number = columns[_LOCAL_ADDRESS].partition(":")
        if int(number, 16) == port and address == "0100007F":
            return int(columns[_INODE])
    return 0


def _parent(pid: int) -> int:
    """Return the parent of a process, 0 where it has gone."""
    with suppress(OSError):
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[_PARENT])
    return 0


def _holds(pid: int, wanted: str) -> bool:
    """Tell whether a process has this open."""
    for descriptor in (_PROC / str(pid) / "fd").iterdir():
        with suppress(OSError):
            if str(descriptor.readlink()) == wanted:
                return True
    return False
