"""What the stores share: a folder's lock, its unfinished work, lasting renames, names and sizes that are fit for a disk.

It must not know how any of them keeps one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ec2gw.backend import ports

_NAME = re.compile(r"[a-z]{1,16}-[a-z0-9-]{1,64}")
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


def checked(name: str) -> str:
    """`name`, when it is fit to name a disk on the host (no path, no option); else a final HostError."""
    if not _NAME.fullmatch(name):
        raise ports.HostError(f"{name!r} cannot name a disk", final=True)
    return name


def check_size(name: str, size: int, origin: str, origin_size: int) -> None:
    """A disk holds all of what it is made from."""
    if size < origin_size:
        raise ports.HostError(f"{name} of {size} bytes is smaller than its origin {origin}", final=True)


class Folder:
    """`path` and in it `lock`, `work/`, and the folders named by `parts`, all for the owner alone.

    Whatever is in a part is whole. What is being made is in `work/`, in a folder of its own that its maker keeps locked: the
    kernel drops that lock however the maker ends, and the next `Folder` throws the remains away.
    """

    def __init__(self, path: Path, *parts: str) -> None:
        self.path = path.absolute()
        self._work = self.path / "work"
        for folder in (self.path, self._work, *(self.path / part for part in parts)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.locked():
            for remains in self._work.iterdir():
                with opened(remains, os.O_RDONLY) as descriptor, contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(remains)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone in the folder, among threads and processes alike (a flock belongs to one opening of a file). Not reentrant."""
        with host_errors(), opened(self.path / "lock", os.O_RDWR | os.O_CREAT) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A fresh folder for unfinished things, gone afterwards with all that was not moved out. Enter it before `locked`."""
        with host_errors(), contextlib.ExitStack() as stack:
            with self.locked():
                place = self._work / secrets.token_hex(8)
                place.mkdir(mode=0o700)
                fcntl.flock(stack.enter_context(opened(place, os.O_RDONLY)), fcntl.LOCK_EX)
            stack.callback(shutil.rmtree, place)
            yield place

    def put(self, made: Path, final: Path) -> None:
        """Give what `work` made its final name: whole, flushed to the disk, and there after a power cut."""
        if not made.is_symlink():
            made.chmod(0o600)
            with opened(made, os.O_RDWR) as descriptor:
                os.fsync(descriptor)
        made.replace(final)
        self.flush(final.parent)

    def flush(self, part: Path) -> None:
        """Make the names in `part` last through a power cut."""
        with opened(part, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)

    def capacity(self) -> tuple[int, int]:
        """(bytes in all, bytes free) of the file system."""
        usage = shutil.disk_usage(self.path)
        return usage.total, usage.free


@contextlib.contextmanager
def host_errors() -> Iterator[None]:
    """What the operating system refuses is a HostError, final where waiting cannot help."""
    try:
        yield
    except OSError as error:
        raise ports.HostError(str(error), final=error.errno in _HOPELESS) from error


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """The descriptor of a file or folder, which is closed afterwards. A file that is made is its owner's alone."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
