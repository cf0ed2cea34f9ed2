"""The consoles' log files: what a guest said on its serial port, newest last, bounded. Knows no machine but its name."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

KEPT = 64 * 1024  # bytes that can be asked for
_TOLERATED = 1 << 20  # bytes on the disk before the oldest are given back
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01  # fallocate(2)


def newest(log: Path) -> bytes:
    """The newest 64 KiB; empty when nothing was ever said."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - KEPT))
            return file.read(KEPT)
    except FileNotFoundError:
        return b""


def bound(logs: Path) -> None:
    """Give back the space of what nobody can ask for any more, so that a talkative guest cannot fill the host's disk.

    QEMU goes on appending to the same file, so it is neither cut nor renamed: its beginning becomes a hole.
    """
    for log in logs.glob("*.log"):
        try:
            file = log.open("r+b")
        except FileNotFoundError:
            continue  # its machine has just been removed
        with file:
            status = os.fstat(file.fileno())
            if status.st_blocks * 512 > _TOLERATED:
                _punch(file.fileno(), status.st_size - KEPT)


def _punch(descriptor: int, length: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.fallocate64(descriptor, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
