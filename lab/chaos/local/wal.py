"""Where the last transaction in SQLite's write-ahead log can end, and what a power cut may leave behind it.

Only what follows may be torn: an acknowledged transaction was synced. The format is in sqlite.org/fileformat2.html, 4.
"""

import struct
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct(">II I I II II")  # magic, format, page size, checkpoint, salts, checksum
_FRAME: Final = struct.Struct(">II II II")  # page, size of the database, salts, checksum
_MAGIC: Final = {0x377F0682, 0x377F0683}


def end_of_log(path: Path) -> int:
    """Return behind which byte nothing can belong to a committed transaction.

    A frame counts if it has the salts of the header, whether or not it was committed: that errs on the safe side.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return len(header)
        magic, _, page_size, _, *salts, _, _ = _HEADER.unpack(header)
        if magic not in _MAGIC:
            raise ValueError(f"{path} is no write-ahead log")
        end = _HEADER.size
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            if list(_FRAME.unpack(frame)[2:4]) != salts or len(file.read(page_size)) < page_size:
                break
            end += _FRAME.size + page_size
    return end


def tear(path: Path, noise: bytes) -> None:
    """Leave what a transaction may leave that was being written when the power went: `noise`, and then nothing."""
    if not path.exists():
        return
    end = end_of_log(path)
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(end)
        file.write(noise)
