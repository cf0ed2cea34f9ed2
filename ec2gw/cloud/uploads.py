"""The verbs of snapshots that clients write block by block: wishes of the face, then facts of the engine.

Only this module changes their records. A block is received when its row is written: its bytes then lie on the host, under its
number and checksum, so that of two writers of one block the record says who was last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from ec2gw.cloud import lookup, snapshots
from ec2gw.model import errors
from ec2gw.state.records import Snapshot, Upload, UploadBlock
from ec2gw.state.session import Transaction

BLOCK = 512 * 1024  # bytes (EBS User Guide, "EBS direct APIs concepts")
BLOCKS_PER_GIB = 2048
LARGEST = 65_536  # GiB (API_StartSnapshot)
MINUTES = 60  # that an upload may lie idle, unless said otherwise
MOST = 100  # of an account at a time (EBS endpoints and quotas, "Pending snapshots per account")
# What a snapshot's state message says of each end, as recorded from AWS.
TIMED_OUT = "Snapshot timed out"
WRONG_COUNT = "Changed blocks count mismatch for snapshot"
WRONG_CHECKSUM = "Checksum mismatch for snapshot"
_ROWS = 1000  # blocks in one query


@dataclass(frozen=True)
class Block:
    """A block that was received."""

    number: int
    checksum: bytes


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def start(
    tx: Transaction,
    account_id: str,
    size: int,
    zone: str,
    *,
    parent_id: str | None = None,
    description: str = "",
    minutes: int = MINUTES,
) -> Snapshot:
    """Begin a snapshot of `size` GiB that reads as its parent, or as zeros, where no block is written (API_StartSnapshot)."""
    if size > LARGEST:
        raise errors.Invalid("upload-too-large", size=size, most=LARGEST)
    if parent_id is not None:
        parent = snapshots.find(tx, account_id, parent_id)
        if parent.state == "error":
            raise errors.NotFound("not-found", kind="snapshot", ids=[parent_id])
        if parent.state != "completed":
            raise errors.WrongState("parent-not-completed", parent=parent_id)
        if size < parent.size:
            raise errors.Invalid("upload-below-parent", size=size, minimum=parent.size)
        zone = parent.zone
    pending = select(func.count()).where(
        Upload.snapshot_id == Snapshot.id, Snapshot.account_id == account_id, Snapshot.state == "pending"
    )
    if (tx.db.scalar(pending) or 0) >= MOST:
        raise errors.LimitExceeded("too-many-uploads")
    snapshot = snapshots.begin_fill(tx, account_id, size, zone, description)
    tx.db.add(Upload(snapshot_id=snapshot.id, parent_id=parent_id, minutes=minutes, written_at=tx.now))
    return snapshot


def check(tx: Transaction, account_id: str, snapshot_id: str, number: int) -> Upload:
    """Raise unless the account may write this block of the snapshot now. It changes nothing."""
    snapshot, upload = _find(tx, account_id, snapshot_id)
    if snapshot.state == "error":
        raise errors.NotFound("not-found", kind="snapshot", ids=[snapshot_id])
    if snapshot.state != "pending" or upload.count is not None:
        raise errors.WrongState("upload-complete")
    if number >= snapshot.size * BLOCKS_PER_GIB:
        raise errors.Invalid("block-beyond", number=number)
    return upload


def receive(tx: Transaction, account_id: str, snapshot_id: str, block: Block) -> Block | None:
    """Write down that the block's bytes are there (API_PutSnapshotBlock). Returns the block whose place it takes, if another."""
    upload = check(tx, account_id, snapshot_id, block.number)
    upload.written_at = tx.now
    row = tx.db.get(UploadBlock, (snapshot_id, block.number))
    if row is None:
        tx.db.add(UploadBlock(snapshot_id=snapshot_id, number=block.number, checksum=block.checksum))
        return None
    old = Block(row.number, row.checksum)
    row.checksum = block.checksum
    return old if old != block else None


def complete(tx: Transaction, account_id: str, snapshot_id: str, count: int, checksum: bytes | None = None) -> Snapshot:
    """Wish an upload to become what it says (API_CompleteSnapshot). Of one that is past that, nothing changes.

    Whether count and checksum are right is found out later, as on AWS: a snapshot of which they are not ends as `error`.
    """
    snapshot, upload = _find(tx, account_id, snapshot_id)
    if snapshot.state == "pending" and upload.count is None:
        upload.count, upload.checksum = count, checksum
        tx.touch(snapshot_id)
    return snapshot


def _find(tx: Transaction, account_id: str, snapshot_id: str) -> tuple[Snapshot, Upload]:
    snapshot = snapshots.find(tx, account_id, snapshot_id)
    upload = tx.db.get(Upload, snapshot_id)
    if upload is None:
        if snapshot.state == "completed":
            raise errors.WrongState("upload-complete")
        raise errors.NotFound("not-found", kind="snapshot", ids=[snapshot_id])
    return snapshot, upload


def readable(tx: Transaction, account_id: str, snapshot_id: str) -> Snapshot:
    """The snapshot whose blocks the account may read: completed, its own or shared with it. Raises NotFound for any other."""
    snapshot = lookup.shared(tx, Snapshot, "snap", account_id, snapshot_id)
    if snapshot.state != "completed":
        raise errors.NotFound("not-found", kind="snapshot", ids=[snapshot_id])
    return snapshot


# -- what the engine asks -------------------------------------------------------------------------------------------------------


def expires(upload: Upload) -> datetime:
    """When an upload that is not complete is given up."""
    return upload.written_at + timedelta(minutes=upload.minutes)


def staged(tx: Transaction) -> set[str]:
    """The snapshots of which blocks may lie where they were received."""
    return set(tx.db.scalars(select(Upload.snapshot_id).where(Upload.staged)))


def blocks(tx: Transaction, snapshot_id: str, after: int = -1) -> list[Block]:
    """The next blocks received, by number, some at a time; none when there are no more."""
    row = select(UploadBlock.number, UploadBlock.checksum).where(
        UploadBlock.snapshot_id == snapshot_id, UploadBlock.number > after
    )
    return [Block(*found) for found in tx.db.execute(row.order_by(UploadBlock.number).limit(_ROWS))]


def mismatch(tx: Transaction, snapshot_id: str) -> str | None:
    """What is wrong with an upload that is complete, for its state message; None when it is as the client said.

    The checksum is SHA-256 of the blocks' checksums one after the other, by number (API_CompleteSnapshot, LINEAR).
    """
    upload = tx.db.get(Upload, snapshot_id)
    if upload is None:
        return None
    count, digest = 0, hashlib.sha256()
    for block in _every(tx, snapshot_id):
        count += 1
        digest.update(block.checksum)
    if count != upload.count:
        return WRONG_COUNT
    return WRONG_CHECKSUM if upload.checksum not in (None, digest.digest()) else None


def _every(tx: Transaction, snapshot_id: str) -> Iterator[Block]:
    after = -1
    while some := blocks(tx, snapshot_id, after):
        yield from some
        after = some[-1].number


# -- facts ----------------------------------------------------------------------------------------------------------------------


def timed_out(tx: Transaction, snapshot_id: str) -> None:
    """Nobody has written for so long, unless somebody has meanwhile."""
    upload = tx.db.get(Upload, snapshot_id)
    if upload is not None and upload.count is None and expires(upload) <= tx.now:
        snapshots.failed(tx, snapshot_id, TIMED_OUT)


def cleared(tx: Transaction, snapshot_id: str) -> None:
    """No block lies where it was received any more."""
    upload = tx.db.get(Upload, snapshot_id)
    if upload is not None:
        upload.staged = False
    tx.db.execute(delete(UploadBlock).where(UploadBlock.snapshot_id == snapshot_id))
