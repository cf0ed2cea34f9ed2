"""How much an account may have, as the operator says. It must not know how any of it is counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """For each account; None is as much as the host gives.

    `instances` are those that run or are about to, as AWS counts them. `volume_size` is of one volume, `storage` of all, in GiB;
    `iops` is of all volumes whose IOPS are named for good (io1, io2).
    """

    instances: int | None = None
    volume_size: int | None = None
    storage: int | None = None
    iops: int | None = None
    snapshots: int | None = None


NONE = Limits()
