"""Volumes as raw files that share blocks by reflink, or are copied sparsely where no machine runs on them; no program is needed.

It must not know of layers. Without reflink a copy takes time and is no instant in a running machine's life: `stores.file_store`
gives such a folder to simulated machines only.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ec2gw.backend import images, ports
from ec2gw.backend.stores.folder import Folder, check_size, checked

_FICLONE = 0x40049409  # linux/fs.h
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.EXDEV, errno.ENOSYS}


def reflinks(folder: Path) -> bool:
    """True when the file system of `folder` can make a file that shares another's blocks."""
    with Folder(folder).work() as work:
        (work / "one").write_bytes(bytes(4096))
        with (work / "one").open("rb") as source, (work / "two").open("wb") as target:
            return _clone(source.fileno(), target.fileno())


class RawStore:
    """`disks/<name>.raw` in `folder`. See `ports.VolumeStore`."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder, "disks")
        self._disks = self._folder.path / "disks"

    def observe(self) -> Mapping[str, int]:
        with self._folder.locked(), os.scandir(self._disks) as entries:
            return {entry.name.removesuffix(".raw"): entry.stat().st_size for entry in entries}

    def create(self, name: str, size: int, origin: str | None = None) -> None:
        if self._path(name).exists():
            return
        if origin is not None:
            check_size(name, size, origin, self._size(origin))
        self._make(name, origin, size)

    def snapshot(self, volume: str, name: str) -> None:
        if not self._path(name).exists():
            self._make(name, volume, self._size(volume))

    def copy(self, origin: str, name: str) -> None:
        self.snapshot(origin, name)

    def settle(self, snapshot: str) -> None:
        """Nothing is owed: a copy depends on no other file."""

    def grow(self, name: str, size: int) -> None:
        with self._folder.locked():
            if self._size(name) < size:
                os.truncate(self._path(name), size)

    def remove(self, name: str) -> None:
        with self._folder.locked():
            self._path(name).unlink(missing_ok=True)
            self._folder.flush(self._disks)

    def source(self, name: str) -> ports.Source:
        self._size(name)
        return ports.DiskFile(self._path(name), "raw")

    def fill(self, name: str, image: Path, image_format: str, progress: Callable[[float], None]) -> None:
        if self._path(name).exists():
            return
        with self._folder.work() as work:
            made = work / "disk"
            if image_format == "raw":
                _copy(image, made)
                progress(100.0)
            else:
                images.convert(image, images.accepted(image, image_format), made, "raw", progress)
            os.truncate(made, images.whole_gib(made.stat().st_size))
            self._folder.put(made, self._path(name))

    def assemble(self, name: str, size: int, origin: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        if self._path(name).exists():
            return
        if origin is not None:
            check_size(name, size, origin, self._size(origin))
        self._make(name, origin, size, blocks)

    def extents(self, snapshot: str) -> Sequence[ports.Extent]:
        path, end = self._path(snapshot), self._size(snapshot)
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            return [
                ports.Extent(start, hole - start, path, start, inode, (str(path), start))
                for start, hole in _written(file.fileno(), end)
            ]

    def capacity(self) -> tuple[int, int]:
        return self._folder.capacity()

    def _make(self, name: str, origin: str | None, size: int, blocks: Iterable[tuple[int, Path]] = ()) -> None:
        with self._folder.work() as work:
            made = work / "disk"
            if origin is None:
                made.touch()
            else:
                _copy(self._path(origin), made)
            os.truncate(made, size)
            with made.open("r+b") as file:
                for at, block in blocks:
                    file.seek(at)
                    file.write(block.read_bytes())
            self._folder.put(made, self._path(name))

    def _size(self, name: str) -> int:
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError as error:
            raise ports.HostError(f"there is no disk {name}", final=True) from error

    def _path(self, name: str) -> Path:
        return self._disks / f"{checked(name)}.raw"


def _copy(origin: Path, made: Path) -> None:
    """Share the blocks of `origin`, or copy those that are written and leave the holes holes."""
    with origin.open("rb") as source_file, made.open("wb") as target_file:
        source, target = source_file.fileno(), target_file.fileno()
        if _clone(source, target):
            return
        end = os.fstat(source).st_size
        os.truncate(target, end)
        for start, hole in _written(source, end):
            os.lseek(target, start, os.SEEK_SET)
            at = start
            while at < hole:
                sent = os.sendfile(target, source, at, hole - at)
                if sent == 0:  # the file was cut meanwhile
                    return
                at += sent


def _written(file: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes: (from, to)."""
    hole = 0
    while hole < end:
        try:
            start = os.lseek(file, hole, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        hole = os.lseek(file, start, os.SEEK_HOLE)
        yield start, hole


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_REFLINK:
            return False
        raise
    return True
