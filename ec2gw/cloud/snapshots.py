"""The verbs of snapshots: wishes of the faces, then facts of the engine. Only this module changes their records."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select

from ec2gw.cloud import limits, lookup, permissions, settings
from ec2gw.model import errors, ids, lifecycle
from ec2gw.state import records
from ec2gw.state.records import FastRestore, Image, ImageSnapshot, Instance, Snapshot, Upload, Volume, VolumeModification
from ec2gw.state.session import Transaction

MOST_PENDING = 5  # of one volume (EBS User Guide, "Create snapshots")
MOST_PENDING_OF = {"st1": 1, "sc1": 1}
LOCK_DAYS, COOL_HOURS = (1, 36_500), (1, 72)  # API_LockSnapshot
MOST_COPIES = 20  # of an account at a time (EBS User Guide, "Copy a snapshot")


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def create(tx: Transaction, account_id: str, volume_id: str, description: str = "") -> Snapshot:
    """Wish for a snapshot of what a volume holds now (API_CreateSnapshot)."""
    volume = lookup.one(tx, Volume, "vol", account_id, volume_id)
    if volume.state not in ("available", "in-use"):
        if volume.state == "deleting":
            raise errors.NotFound("not-found", kind="volume", ids=[volume_id])
        raise errors.WrongState("volume-wrong-state", volume=volume_id, state=volume.state)
    _check_pending(tx, volume)
    return cut(tx, volume, description)


def create_set(
    tx: Transaction,
    account_id: str,
    instance_id: str,
    *,
    without_root: bool = False,
    without: Sequence[str] = (),
    description: str = "",
) -> list[Snapshot]:
    """Wish for a snapshot of each volume at an instance, all of one instant (API_CreateSnapshots)."""
    instance = lookup.one(tx, Instance, "i", account_id, instance_id)
    if instance.state in ("shutting-down", "terminated"):
        raise errors.WrongState("instance-wrong-state", instance=instance_id, state=instance.state)
    attached = [row for row in instance.attachments if row.state in ("attaching", "attached")]
    data = {row.volume_id for row in attached if row.slot != 0}
    for row in lookup.many(tx, Volume, "vol", account_id, without):
        if row.id not in data:
            raise errors.Invalid("volume-not-data", volume=row.id, instance=instance_id)
    wanted = [row.volume_id for row in attached if row.volume_id not in without and not (without_root and row.slot == 0)]
    if not wanted:
        raise errors.Invalid("instance-without-volumes", instance=instance_id)
    rows = lookup.many(tx, Volume, "vol", account_id, wanted)
    for volume in rows:
        if volume.state != "in-use":
            raise errors.WrongState("volume-wrong-state", volume=volume.id, state=volume.state)
        _check_pending(tx, volume)
    made = [cut(tx, volume, description) for volume in rows]
    bind(made)
    return made


def _check_pending(tx: Transaction, volume: Volume) -> None:
    waiting = select(func.count()).where(Snapshot.origin == volume.id, Snapshot.state == "pending")
    if (tx.db.scalar(waiting) or 0) >= MOST_PENDING_OF.get(volume.type, MOST_PENDING):
        raise errors.LimitExceeded("snapshots-in-progress")


def cut(tx: Transaction, volume: Volume, description: str, at_rest_of: str | None = None) -> Snapshot:
    """Write down a snapshot to be taken of a volume; `at_rest_of` names the instance that must be off at that moment."""
    return _add(tx, volume.account_id, volume.id, volume.id, volume, description, at_rest_of)


def bind(made: Sequence[Snapshot]) -> None:
    """Have snapshots that are yet to be cut taken at one instant."""
    if len(made) > 1:
        for snapshot in made:
            snapshot.set_id = made[0].id


def uncut(set_id: str) -> Select[Snapshot]:
    """What of a set is yet to be cut, in order."""
    waiting = select(Snapshot).where(Snapshot.set_id == set_id, Snapshot.state == "pending", Snapshot.cut.is_(False))
    return waiting.order_by(Snapshot.number)


def copy(tx: Transaction, account_id: str, source: Snapshot, description: str) -> Snapshot:
    """Write down a copy of a snapshot. Its volume id is the dummy that EC2 shows."""
    copying = select(func.count()).where(
        Snapshot.account_id == account_id, Snapshot.origin.startswith("snap-"), Snapshot.state == "pending"
    )
    if (tx.db.scalar(copying) or 0) >= MOST_COPIES:
        raise errors.LimitExceeded("snapshot-copies", limit=MOST_COPIES)
    return _add(tx, account_id, "vol-ffffffff", source.id, source, description)


def begin_fill(tx: Transaction, account_id: str, size: int, zone: str, description: str, task_id: str | None = None) -> Snapshot:
    """Write down a snapshot of `size` GiB that somebody else fills, an upload or the import `task_id`; nothing is cut for it."""
    return _add(tx, account_id, "vol-ffffffff", task_id, Volume(zone=zone, size=size, encrypted=False), description)


def _add(
    tx: Transaction,
    account_id: str,
    volume_id: str,
    origin: str | None,
    like: Volume | Snapshot,
    description: str,
    at_rest_of: str | None = None,
) -> Snapshot:
    limits.check_snapshot(tx, account_id)
    # A volume that is being made larger is as large as it will be: nobody can say which comes first.
    change = tx.db.scalars(select(VolumeModification).where(VolumeModification.id == origin)).one_or_none()
    growing = change is not None and change.state == "modifying"
    snapshot = Snapshot(
        id=ids.new("snap"),
        account_id=account_id,
        created_at=tx.now,
        volume_id=volume_id,
        origin=origin,
        zone=like.zone,
        size=change.after["size"] if change and growing else like.size,
        description=description,
        encrypted=like.encrypted,
        state="pending",
        cut=False,
        at_rest_of=at_rest_of,
    )
    tx.db.add(snapshot)
    tx.touch(snapshot.id)
    return snapshot


def usable(tx: Transaction, account_id: str, snapshot_id: str) -> Snapshot:
    """The snapshot, the account's own or shared with it, completed, or the refusal that says why not."""
    snapshot = _there(lookup.shared(tx, Snapshot, "snap", account_id, snapshot_id))
    if snapshot.state != "completed":
        raise errors.WrongState("snapshot-not-completed", state=snapshot.state)
    return snapshot


def find(tx: Transaction, account_id: str, snapshot_id: str) -> Snapshot:
    """The account's own snapshot, unless it is being deleted. Raises NotPermitted for one that is only shared with it."""
    return _there(lookup.own(tx, Snapshot, "snap", account_id, snapshot_id))


def _there(snapshot: Snapshot) -> Snapshot:
    if snapshot.state == "deleting":
        raise errors.NotFound("not-found", kind="snapshot", ids=[snapshot.id])
    return snapshot


def ancestry(tx: Transaction, snapshot: Snapshot) -> set[str]:
    """The ids of a snapshot and of what it descends from: volumes, snapshots copied or written over, as far as records go."""
    found: set[str] = set()
    ahead: list[str | None] = [snapshot.id]
    while ahead:
        id = ahead.pop()
        if id is None or id in found:
            continue
        found.add(id)
        if ids.kind(id) == "volume":
            ahead.append(tx.db.scalar(select(Volume.snapshot_id).where(Volume.id == id)))
        else:
            ahead.append(tx.db.scalar(select(Snapshot.origin).where(Snapshot.id == id)))
            ahead.append(tx.db.scalar(select(Upload.parent_id).where(Upload.snapshot_id == id)))
    return found


def share(tx: Transaction, account_id: str, snapshot_id: str, grant: Sequence[str], revoke: Sequence[str]) -> Snapshot:
    """Say who else may make volumes of a snapshot: account ids, and `all` (API_ModifySnapshotAttribute)."""
    snapshot = find(tx, account_id, snapshot_id)
    if permissions.ALL in grant:
        access = settings.get(tx, account_id, settings.SNAPSHOT_ACCESS, settings.UNBLOCKED)
        if access != settings.UNBLOCKED:
            raise errors.NotPermitted("public-access-blocked", what="snapshot", id=snapshot_id)
    permissions.grant(tx, snapshot_id, grant)
    permissions.revoke(tx, snapshot_id, revoke)
    return snapshot


def delete(tx: Transaction, account_id: str, snapshot_id: str) -> Snapshot:
    """Wish a snapshot gone (API_DeleteSnapshot): not one that is locked, or that an image of the account is made of."""
    snapshot = find(tx, account_id, snapshot_id)
    if snapshot.lock and lock_state(snapshot, tx.now) != "expired":
        raise errors.NotPermitted("snapshot-locked", snapshot=snapshot_id, until=snapshot.lock["until"])
    # Somebody else's image of it does not count: with whom a snapshot is shared cannot keep it from its owner.
    mine = Image.id == ImageSnapshot.image_id, Image.account_id == account_id
    user = tx.db.scalar(select(Image.id).where(*mine, ImageSnapshot.snapshot_id == snapshot_id))
    if user is not None:
        raise errors.InUse("snapshot-in-use", snapshot=snapshot_id, image=user)
    state = lifecycle.after(lifecycle.SNAPSHOT, snapshot.state, "delete")
    assert state is not None
    snapshot.state = state
    permissions.revoke(tx, snapshot_id)
    tx.touch(snapshot_id)
    _ring(tx, snapshot)
    return snapshot


def lock(
    tx: Transaction,
    account_id: str,
    snapshot_id: str,
    *,
    mode: str,
    hours: int | None = None,
    days: int | None = None,
    until: datetime | None = None,
) -> Snapshot:
    """Keep a snapshot from being deleted for so many days, or until then (API_LockSnapshot).

    In the mode `compliance` a lock can only be made longer once the `hours` of its cooling-off period are over.
    """
    snapshot = find(tx, account_id, snapshot_id)
    if snapshot.state == "error":
        raise errors.WrongState("snapshot-not-completed", state=snapshot.state)
    if mode not in ("governance", "compliance"):
        raise errors.Invalid("bad-value", value=mode[:64], parameter="lockMode")
    if days is not None and until is not None:
        raise errors.Conflict("parameter-conflict", parameter="lockDuration", other="expirationDate")
    for name, value, (least, most) in (("lockDuration", days, LOCK_DAYS), ("coolOffPeriod", hours, COOL_HOURS)):
        if value is not None and not least <= value <= most:
            raise errors.Invalid("invalid-value", value=value, parameter=name, why=f"It must be {least} to {most}.")
    if hours is not None and mode == "governance":
        raise errors.Conflict("parameter-conflict", parameter="coolOffPeriod", other="lockMode")
    if days is not None:
        until = tx.now + timedelta(days=days)
    if until is None:
        raise errors.Missing("missing-parameter", parameter="lockDuration")
    if not tx.now < until <= tx.now + timedelta(days=LOCK_DAYS[1]):
        raise errors.Invalid(
            "invalid-value", value=until.isoformat(), parameter="expirationDate", why="It must be in the future."
        )
    began, old = tx.now, snapshot.lock
    if old and lock_state(snapshot, tx.now) == "compliance":
        if mode != "compliance" or hours is not None or until < datetime.fromisoformat(old["until"]):
            raise errors.NotPermitted("snapshot-lock-fixed", snapshot=snapshot_id)
        began = datetime.fromisoformat(old["began"])
    snapshot.lock = {
        "mode": mode,
        "days": -((tx.now - until) // timedelta(days=1)),
        "hours": hours,
        "began": began.isoformat(),
        "since": tx.now.isoformat(),
        "cool_until": (began + timedelta(hours=hours)).isoformat() if hours else None,
        "until": until.isoformat(),
    }
    return snapshot


def unlock(tx: Transaction, account_id: str, snapshot_id: str) -> Snapshot:
    """Let a snapshot be deleted again (API_UnlockSnapshot): not one whose lock is for compliance."""
    snapshot = find(tx, account_id, snapshot_id)
    state = lock_state(snapshot, tx.now)
    if state is None:
        raise errors.WrongState("snapshot-not-locked", snapshot=snapshot_id)
    if state == "compliance":
        raise errors.NotPermitted("snapshot-lock-fixed", snapshot=snapshot_id)
    snapshot.lock = None
    return snapshot


def lock_state(snapshot: Snapshot, now: datetime) -> str | None:
    """How a snapshot is locked now, in EC2's words; None where it is not."""
    lock = snapshot.lock
    if not lock:
        return None
    if datetime.fromisoformat(lock["until"]) <= now:
        return "expired"
    cooling = lock["cool_until"] is not None and datetime.fromisoformat(lock["cool_until"]) > now
    return "compliance-cooloff" if cooling else str(lock["mode"])


def restore_fast(tx: Transaction, account_id: str, snapshot: Snapshot, zone: str) -> FastRestore:
    """Write down that volumes from a snapshot are to be whole at once in a zone (API_EnableFastSnapshotRestores)."""
    row = tx.db.get(FastRestore, (snapshot.id, zone, account_id))
    if row is None:
        row = FastRestore(snapshot_id=snapshot.id, zone=zone, account_id=account_id, enabled_at=tx.now)
        tx.db.add(row)
    return row


def restore_fast_no_more(tx: Transaction, account_id: str, snapshot_id: str, zone: str) -> FastRestore | None:
    """Forget what `restore_fast` wrote down; None where there was nothing."""
    row = tx.db.get(FastRestore, (snapshot_id, zone, account_id))
    if row is not None:
        tx.db.delete(row)
    return row


# -- facts ----------------------------------------------------------------------------------------------------------------------


def was_cut(tx: Transaction, snapshot_id: str) -> None:
    """The point in time is taken: the volume may be written, and its instance may start again."""
    snapshot = _row(tx, snapshot_id)
    if snapshot:
        snapshot.cut = True
        _ring(tx, snapshot)


def set_was_cut(tx: Transaction, snapshot_ids: Sequence[str]) -> None:
    """These have been cut at one instant."""
    for snapshot_id in snapshot_ids:
        was_cut(tx, snapshot_id)
        tx.touch(snapshot_id)


def unfilled(tx: Transaction, snapshot_id: str) -> None:
    """What was to fill the snapshot does not come: it goes, unless it is whole and somebody needs it."""
    snapshot = _row(tx, snapshot_id)
    if snapshot is None or snapshot.state == "deleting":
        return
    if snapshot.state != "completed":
        snapshot.lock = None  # on nothing
    with contextlib.suppress(errors.NotPermitted, errors.InUse):
        delete(tx, snapshot.account_id, snapshot_id)


def completed(tx: Transaction, snapshot_id: str) -> None:
    """The snapshot can be used."""
    _tell(tx, snapshot_id, "completed")


def failed(tx: Transaction, snapshot_id: str, reason: str) -> None:
    """The snapshot cannot be made."""
    snapshot = _tell(tx, snapshot_id, "failed")
    if snapshot:
        snapshot.reason = reason
        snapshot.lock = None  # on nothing
        _ring(tx, snapshot)


def removed(tx: Transaction, snapshot_id: str) -> None:
    """The store has the snapshot no more: neither has the record."""
    snapshot = _row(tx, snapshot_id)
    if snapshot and lifecycle.after(lifecycle.SNAPSHOT, snapshot.state, "removed"):
        tx.db.delete(snapshot)
        kept: list[FastRestore | Upload] = [*tx.db.scalars(select(FastRestore).where(FastRestore.snapshot_id == snapshot_id))]
        kept += tx.db.scalars(select(Upload).where(Upload.snapshot_id == snapshot_id))
        for row in kept:
            tx.db.delete(row)
        records.forget_tags(tx.db, snapshot_id)


def _row(tx: Transaction, snapshot_id: str) -> Snapshot | None:
    return tx.db.scalars(select(Snapshot).where(Snapshot.id == snapshot_id)).one_or_none()


def _tell(tx: Transaction, snapshot_id: str, event: str) -> Snapshot | None:
    snapshot = _row(tx, snapshot_id)
    state = lifecycle.after(lifecycle.SNAPSHOT, snapshot.state, event) if snapshot else None
    if snapshot is None or state is None:
        return None
    snapshot.state = state
    if state == "completed":
        snapshot.completed_at = tx.now
    users = (
        select(Image.id).join(ImageSnapshot, ImageSnapshot.image_id == Image.id).where(ImageSnapshot.snapshot_id == snapshot_id)
    )
    tx.touch(*tx.db.scalars(users))
    return snapshot


def _ring(tx: Transaction, snapshot: Snapshot) -> None:
    """Nothing waits for the cut now: an instance's start, a change or removal of the origin, the set may have waited."""
    tx.touch(*(id for id in (snapshot.at_rest_of, snapshot.origin) if id))
    if snapshot.set_id:
        tx.touch(*tx.db.scalars(select(Snapshot.id).where(Snapshot.set_id == snapshot.set_id, Snapshot.id != snapshot.id)))
