"""The hands of the face that moves blocks: its requests for bytes, which the records have allowed, carried to the host.

Trouble on the host is logged here and told as Unavailable: a face knows nothing of hosts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import structlog

from ec2gw.backend.blocks import Reader
from ec2gw.backend.ports import HostError, VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.model import errors

log = structlog.get_logger(__name__)


class Blocks:
    """Blocks of snapshots in the stores by zone, and those received in `staging`. Every verb raises Unavailable."""

    def __init__(self, stores: Mapping[str, VolumeStore], staging: Staging) -> None:
        self._stores = stores
        self._staging = staging
        self._reader = Reader()

    def written(self, snapshot: str, zone: str) -> Sequence[int]:
        """The numbers of the blocks that a snapshot has, in order."""
        with _told(snapshot):
            return self._reader.written(self._stores[zone], snapshot)

    def changed(self, first: tuple[str, str], second: tuple[str, str]) -> Sequence[int]:
        """The numbers of the blocks that differ between two snapshots, each named with its zone, in order."""
        with _told(second[0]):
            one, other = ((self._stores[zone], snapshot) for snapshot, zone in (first, second))
            return self._reader.changed(one, other)

    def read(self, snapshot: str, zone: str, number: int) -> bytes:
        """The bytes of a block."""
        with _told(snapshot):
            return self._reader.read(self._stores[zone], snapshot, number)

    def receive(self, snapshot: str, number: int, checksum: bytes, data: bytes) -> None:
        """Keep a block's bytes until its snapshot is made; they last through a power cut."""
        with _told(snapshot):
            self._staging.put(snapshot, number, checksum, data)

    def drop(self, snapshot: str, number: int, checksum: bytes) -> None:
        """Forget a block that was received."""
        with _told(snapshot):
            self._staging.drop(snapshot, number, checksum)


@contextlib.contextmanager
def _told(snapshot: str) -> Iterator[None]:
    try:
        yield
    except HostError as trouble:
        log.warning("host trouble", id=snapshot, error=str(trouble))
        raise errors.Unavailable("host-trouble") from trouble
