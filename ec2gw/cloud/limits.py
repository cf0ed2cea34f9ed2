"""Holds each account to the operator's limits: asked before a record is added or grows, the only one that counts for them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from ec2gw.model import errors, volume_types
from ec2gw.state.records import Instance, Snapshot, Volume, VolumeModification
from ec2gw.state.session import Transaction

RUNNING = ("pending", "running")  # what counts (EC2 User Guide, "Amazon EC2 service quotas")
PROVISIONED = ("io1", "io2")
NOTHING = volume_types.Shape("", 0, 0, 0)


def room_for_instances(tx: Transaction, account_id: str, least: int, most: int) -> int:
    """How many more may run: at most `most`. Raises LimitExceeded where that is not even `least`."""
    limit = tx.limits.instances
    if limit is None:
        return most
    running = select(func.count()).where(Instance.account_id == account_id, Instance.state.in_(RUNNING))
    room = max(0, limit - (tx.db.scalar(running) or 0))
    if room < least:
        raise errors.LimitExceeded("instance-limit", room=room, requested=least)
    return min(most, room)


def check_volume(tx: Transaction, account_id: str, wanted: volume_types.Shape, before: volume_types.Shape = NOTHING) -> None:
    """Raise Invalid or LimitExceeded where a new volume, or one that was `before`, may not be as `wanted`."""
    limits = tx.limits
    if limits.volume_size is not None and wanted.size > max(limits.volume_size, before.size):
        raise errors.Invalid("volume-too-large", size=wanted.size, maximum=limits.volume_size)
    if limits.storage is not None and wanted.size > before.size:
        _check_sum(tx, account_id, "storage-limit", limits.storage, "size", wanted.size - before.size)
    if limits.iops is not None and wanted.type in PROVISIONED:
        had = (before.iops or 0) if before.type in PROVISIONED else 0
        if (more := (wanted.iops or 0) - had) > 0:
            _check_sum(tx, account_id, "iops-limit", limits.iops, "iops", more, Volume.type.in_(PROVISIONED))


def _check_sum(
    tx: Transaction, account_id: str, reason: str, limit: int, what: str, more: int, *which: ColumnElement[bool]
) -> None:
    """`more` beside what the account's volumes have, those that grow counted as they will be."""
    mine = (Volume.account_id == account_id, Volume.state != "deleting", *which)
    have = tx.db.scalar(select(func.sum(getattr(Volume, what))).where(*mine)) or 0
    growing = (
        select(VolumeModification.before, VolumeModification.after)
        .join(Volume, Volume.id == VolumeModification.id)
        .where(*mine, VolumeModification.state == "modifying")
    )
    have += sum(max(0, (after[what] or 0) - (before[what] or 0)) for before, after in tx.db.execute(growing))
    if have + more > limit:
        raise errors.LimitExceeded(reason, limit=limit)


def check_snapshot(tx: Transaction, account_id: str) -> None:
    """Raise LimitExceeded where there can be no further snapshot."""
    limit = tx.limits.snapshots
    if limit is None:
        return
    have = select(func.count()).where(Snapshot.account_id == account_id, Snapshot.state != "deleting")
    if (tx.db.scalar(have) or 0) >= limit:
        raise errors.LimitExceeded("snapshot-limit")
