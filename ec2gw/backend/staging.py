"""Blocks received for snapshots that are not made yet. It must not know who receives them, nor what becomes of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ec2gw.backend import ports
from ec2gw.backend.stores.folder import checked, host_errors


class Staging:
    """`<snapshot>/<number>-<checksum>` in `folder`. What has such a name is whole and on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        with host_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, snapshot: str, number: int, checksum: bytes, data: bytes) -> None:
        """Keep a block's bytes; they last through a power cut."""
        final = self.path(snapshot, number, checksum)
        with host_errors():
            final.parent.mkdir(mode=0o700, exist_ok=True)
            draft = final.with_name(f".{secrets.token_hex(8)}")
            try:
                with _create(draft) as descriptor:
                    if os.write(descriptor, data) != len(data):
                        raise ports.HostError(f"{draft} cannot be written")
                    os.fsync(descriptor)
                draft.replace(final)
            finally:
                draft.unlink(missing_ok=True)
            with _open_folder(final.parent) as descriptor:
                os.fsync(descriptor)

    def path(self, snapshot: str, number: int, checksum: bytes) -> Path:
        """Where a block is when it is there."""
        return self._folder / checked(snapshot) / f"{number}-{checksum.hex()}"

    def drop(self, snapshot: str, number: int, checksum: bytes) -> None:
        """Forget a block. Nothing is done when it is gone."""
        with host_errors():
            self.path(snapshot, number, checksum).unlink(missing_ok=True)

    def snapshots(self) -> set[str]:
        """The snapshots of which something is here."""
        with host_errors():
            return {path.name for path in self._folder.iterdir()}

    def remove(self, snapshot: str) -> None:
        """Forget all blocks of a snapshot. Nothing is done when they are gone."""
        with host_errors(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder / checked(snapshot))


@contextlib.contextmanager
def _create(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
