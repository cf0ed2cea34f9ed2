"""The verbs of volumes and attachments: wishes of the faces, facts of the engine. Only this module changes their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, func, select

from ec2gw.cloud import limits, lookup, snapshots
from ec2gw.model import bdm, errors, ids, lifecycle, volume_types
from ec2gw.state import records
from ec2gw.state.records import Attachment, Instance, RootReplacement, Volume, VolumeModification
from ec2gw.state.session import Transaction

MOST_ATTACHMENTS = 28
_BY_ID = select(Volume).where(Volume.id == bindparam("id"))  # built once, for every fact of the engine


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def create(
    tx: Transaction,
    account_id: str,
    *,
    zone: str,
    size: int | None = None,
    snapshot_id: str | None = None,
    type: str | None = None,
    iops: int | None = None,
    throughput: int | None = None,
    encrypted: bool = False,
    rate: int | None = None,
) -> Volume:
    """Wish for a volume, blank or from a snapshot (API_CreateVolume). The caller has checked the zone."""
    if size is None and snapshot_id is None:
        raise errors.Missing("volume-size-missing")
    if snapshot_id is not None:
        snapshot = snapshots.usable(tx, account_id, snapshot_id)
        size = snapshot.size if size is None else size
        if size < snapshot.size:
            raise errors.Invalid("volume-size-below-snapshot", snapshot=snapshot_id, minimum=snapshot.size)
        encrypted = encrypted or snapshot.encrypted
    assert size is not None
    shape = volume_types.shape(type, size, iops, throughput)
    return add(tx, account_id, zone, shape, snapshot_id, encrypted, rate)


def add(
    tx: Transaction,
    account_id: str,
    zone: str,
    shape: volume_types.Shape,
    snapshot_id: str | None,
    encrypted: bool = False,
    rate: int | None = None,
) -> Volume:
    """Write down a volume to be made. Encryption at rest is refused rather than promised. It has all its bytes from the start, so
    any `rate` (MiB/s) that EC2 takes is kept.
    """
    volume_types.check_rate(rate, snapshot_id)
    if encrypted:
        raise errors.Unsupported("unsupported", message="Encrypted volumes are not supported by this endpoint.")
    limits.check_volume(tx, account_id, shape)
    volume = Volume(
        id=ids.new("vol"),
        account_id=account_id,
        created_at=tx.now,
        zone=zone,
        size=shape.size,
        snapshot_id=snapshot_id,
        type=shape.type,
        iops=shape.iops,
        throughput=shape.throughput,
        initialization_rate=rate,
        encrypted=encrypted,
        state="creating",
    )
    tx.db.add(volume)
    tx.touch(volume.id)
    return volume


def find(tx: Transaction, account_id: str, volume_id: str) -> Volume:
    """The account's volume; one that is being deleted is no longer found."""
    volume = lookup.one(tx, Volume, "vol", account_id, volume_id)
    if volume.state == "deleting":
        raise errors.NotFound("not-found", kind="volume", ids=[volume_id])
    return volume


def delete(tx: Transaction, account_id: str, volume_id: str) -> Volume:
    """Wish a volume gone (API_DeleteVolume): only one that is attached to nothing."""
    volume = find(tx, account_id, volume_id)
    if volume.attachment is not None:
        raise errors.InUse("volume-in-use", volume=volume_id, instance=volume.attachment.instance_id)
    _wish(volume, "delete", "volume-wrong-state")
    tx.touch(volume_id)
    return volume


def attach(tx: Transaction, account_id: str, volume_id: str, instance_id: str, device: str) -> Attachment:
    """Wish a volume at an instance (API_AttachVolume). It does not go with the instance when that is terminated."""
    volume = find(tx, account_id, volume_id)
    instance = lookup.one(tx, Instance, "i", account_id, instance_id)
    if not bdm.valid_device(device, instance.virtualization_type) and not bdm.same(device, instance.root_device_name):
        raise errors.Invalid("device-invalid", device=device)
    if volume.attachment is not None:
        raise errors.InUse("volume-attached", volume=volume_id)
    if instance.state not in ("running", "stopped"):
        raise errors.WrongState("instance-not-running", instance=instance_id)
    if volume.zone != instance.zone:
        raise errors.Conflict("volume-other-zone", volume=volume_id, instance=instance_id)
    _wish(volume, "attach", "volume-not-available")
    return place(tx, volume, instance, device, delete_on_termination=False)


def take(tx: Transaction, account_id: str, volume_id: str, instance: Instance) -> Volume:
    """Claim an existing volume for an instance that is being launched."""
    volume = find(tx, account_id, volume_id)
    if volume.attachment is not None:
        raise errors.InUse("volume-attached", volume=volume_id)
    if volume.zone != instance.zone:
        raise errors.Conflict("volume-other-zone", volume=volume_id, instance=instance.id)
    _wish(volume, "attach", "volume-not-available")
    return volume


def place(
    tx: Transaction, volume: Volume, instance: Instance, device: str, *, delete_on_termination: bool, slot: int | None = None
) -> Attachment:
    """Write down that a volume belongs at an instance. Raises where the device name or the last slot is taken."""
    taken = list(tx.db.scalars(select(Attachment).where(Attachment.instance_id == instance.id)))
    scratch = [(disk["device"], disk["slot"]) for disk in instance.scratch]
    if any(bdm.same(device, name) for name in [*(row.device for row in taken), *(name for name, _ in scratch)]):
        raise errors.InUse("device-in-use", device=device)
    if len(taken) >= MOST_ATTACHMENTS:
        raise errors.LimitExceeded("attachment-limit", instance=instance.id)
    if slot is None:
        used = {row.slot for row in taken} | {number for _, number in scratch}
        root = bdm.is_root(device, instance.root_device_name)
        if root and 0 in used:
            raise errors.InUse("device-in-use", device=device)
        slot = 0 if root else next(number for number in range(1, len(used) + 2) if number not in used)
    attachment = _add_attachment(tx, volume, instance, device, slot, delete_on_termination)
    tx.db.flush()
    return attachment


def launch(tx: Transaction, instance: Instance, disk: bdm.Volume) -> Attachment:
    """Give an instance that is being launched one of its volumes. Device and slot are settled (`bdm.resolve`)."""
    if disk.volume_id:
        volume = take(tx, instance.account_id, disk.volume_id, instance)
    else:
        assert disk.shape is not None
        volume = add(tx, instance.account_id, instance.zone, disk.shape, disk.snapshot_id, disk.encrypted, disk.rate)
    return _add_attachment(tx, volume, instance, disk.device, disk.slot, disk.delete_on_termination)


def _add_attachment(
    tx: Transaction, volume: Volume, instance: Instance, device: str, slot: int, delete_on_termination: bool
) -> Attachment:
    attachment = Attachment(
        volume_id=volume.id,
        instance_id=instance.id,
        device=device,
        slot=slot,
        delete_on_termination=delete_on_termination,
        # EC2 shows a volume at a stopped instance as attached at once: there is no machine to plug it into.
        state="attached" if instance.state == "stopped" else "attaching",
        attach_time=tx.now,
        wished_at=tx.now,
        forced=False,
    )
    tx.db.add(attachment)
    tx.touch(instance.id)
    return attachment


def detach(
    tx: Transaction,
    account_id: str,
    volume_id: str,
    instance_id: str | None = None,
    device: str | None = None,
    *,
    force: bool = False,
) -> Attachment:
    """Wish a volume away from its instance (API_DetachVolume). The root of an instance that is not stopped is refused."""
    volume = find(tx, account_id, volume_id)
    if instance_id is not None:
        lookup.one(tx, Instance, "i", account_id, instance_id)
    attachment = tx.db.get(Attachment, volume_id)
    if attachment is None:
        raise errors.WrongState("volume-wrong-state", volume=volume_id, state=volume.state)
    if instance_id not in (None, attachment.instance_id) or device is not None and not bdm.same(device, attachment.device):
        raise errors.NotFound(
            "attachment-not-found",
            volume=volume_id,
            instance=instance_id or attachment.instance_id,
            device=device or attachment.device,
        )
    instance = tx.db.scalars(select(Instance).where(Instance.id == attachment.instance_id)).one()
    if attachment.slot == 0 and (instance.state != "stopped" or replacement(tx, instance_id=instance.id)):
        raise errors.WrongState("attachment-root", volume=volume_id, instance=instance.id)
    state = lifecycle.after(lifecycle.ATTACHMENT, attachment.state, "detach")
    assert state is not None
    if attachment.state != state:
        attachment.wished_at = tx.now
    attachment.state = state
    attachment.forced = attachment.forced or force
    tx.touch(instance.id)
    return attachment


def modify(
    tx: Transaction,
    account_id: str,
    volume_id: str,
    *,
    size: int | None = None,
    type: str | None = None,
    iops: int | None = None,
    throughput: int | None = None,
) -> VolumeModification:
    """Wish a volume larger, or of another type, IOPS or throughput, in use or not (API_ModifyVolume)."""
    volume = find(tx, account_id, volume_id)
    if volume.state not in ("available", "in-use"):
        raise errors.WrongState("volume-wrong-state", volume=volume_id, state=volume.state)
    if all(value is None for value in (size, type, iops, throughput)):
        raise errors.Conflict("volume-modification-empty")
    last = _modification(tx, volume_id)
    if last is not None and last.state in ("modifying", "optimizing"):
        raise errors.WrongState("volume-being-modified", volume=volume_id, state=last.state.upper())
    if size is not None and size < volume.size:
        raise errors.Invalid("volume-not-shrinkable")
    before = volume_types.Shape(volume.type, volume.size, volume.iops, volume.throughput)
    after = volume_types.reshape(before, size=size, type_name=type, iops=iops, throughput=throughput)
    root = volume.attachment if volume.attachment and volume.attachment.slot == 0 else None
    if root and not volume_types.TYPES[after.type].bootable:
        raise errors.Conflict("volume-not-bootable", volume=volume_id, instance=root.instance_id, type=after.type)
    limits.check_volume(tx, account_id, after, before)
    if last is not None:
        tx.db.delete(last)
        tx.db.flush()
    modification = VolumeModification(
        id=volume_id,
        account_id=account_id,
        created_at=tx.now,
        before=asdict(before),
        after=asdict(after),
        state="modifying",
    )
    tx.db.add(modification)
    tx.touch(volume_id)
    return modification


def check_modified(tx: Transaction, account_id: str, wanted: Sequence[str]) -> None:
    """Raise unless each of these is a volume of the account that has been modified."""
    known = {row.id for row in lookup.many(tx, Volume, "vol", account_id, wanted)}
    modified = set(tx.db.scalars(select(VolumeModification.id).where(VolumeModification.id.in_(known))))
    for volume_id in wanted:
        if volume_id not in modified:
            raise errors.NotFound("volume-never-modified", volume=volume_id)


def enable_io_by_itself(tx: Transaction, account_id: str, volume_id: str, enabled: bool) -> None:
    """Say whether I/O goes on by itself after trouble with the data (API_ModifyVolumeAttribute, AutoEnableIO)."""
    find(tx, account_id, volume_id).auto_enable_io = enabled


# -- facts ----------------------------------------------------------------------------------------------------------------------


def created(tx: Transaction, volume_id: str) -> None:
    """The store has the volume now."""
    volume = _row(tx, volume_id)
    user = _user(tx, volume_id)
    if volume and _tell(volume, "created-attached" if user else "created"):
        _ring(tx, volume, user)


def failed(tx: Transaction, volume_id: str) -> None:
    """The store cannot make the volume."""
    volume = _row(tx, volume_id)
    if volume and _tell(volume, "failed"):
        _ring(tx, volume, _user(tx, volume_id))


def removed(tx: Transaction, volume_id: str) -> None:
    """The store has the volume no more: neither has the record."""
    volume = _row(tx, volume_id)
    if volume and lifecycle.after(lifecycle.VOLUME, volume.state, "removed"):
        tx.db.delete(volume)
        records.forget_tags(tx.db, volume_id)
        if modification := _modification(tx, volume_id):
            tx.db.delete(modification)


def grown(tx: Transaction, volume_id: str) -> None:
    """The volume is as its modification says, in its machine too."""
    volume = _row(tx, volume_id)
    modification = _change(tx, volume_id, "grown")
    if volume and modification:
        shape = volume_types.Shape(**modification.after)
        volume.type, volume.size, volume.iops, volume.throughput = shape.type, shape.size, shape.iops, shape.throughput
        tx.touch(volume_id)


def optimized(tx: Transaction, volume_id: str) -> None:
    """Nothing is left to do for the modification."""
    modification = _change(tx, volume_id, "optimized")
    if modification:
        modification.ended_at = tx.now


def not_grown(tx: Transaction, volume_id: str, reason: str) -> None:
    """The host cannot make the volume as its modification says: it stays as it was."""
    modification = _change(tx, volume_id, "failed")
    if modification:
        modification.reason, modification.ended_at = reason, tx.now


def plugged(tx: Transaction, volume_id: str) -> None:
    """The machine has the disk."""
    attachment = tx.db.get(Attachment, volume_id)
    if attachment and (state := lifecycle.after(lifecycle.ATTACHMENT, attachment.state, "plugged")):
        attachment.state = state


def withheld(tx: Transaction, volume_id: str) -> None:
    """The guest has not given the disk back in time."""
    attachment = tx.db.get(Attachment, volume_id)
    if attachment and (state := lifecycle.after(lifecycle.ATTACHMENT, attachment.state, "withheld")):
        attachment.state = state


def unplugged(tx: Transaction, volume_id: str, *, reclaim: bool = False, held: bool = False) -> None:
    """The disk has left its machine. `reclaim`: it goes with the instance, so it is to be deleted. `held`: it stays in use until
    somebody lets it go.
    """
    attachment = tx.db.get(Attachment, volume_id)
    if attachment is not None:
        tx.db.delete(attachment)
        if not held:
            let_go(tx, volume_id, reclaim=reclaim)


def let_go(tx: Transaction, volume_id: str, *, reclaim: bool) -> None:
    """Nobody uses the volume any more: it is to be deleted, or free."""
    volume = _row(tx, volume_id)
    if volume is not None:
        _tell(volume, "reclaim" if reclaim else "detached")
        tx.touch(volume_id)


def replacement(tx: Transaction, **where: str) -> RootReplacement | None:
    """The replacement of a root that is under way, of an instance (`instance_id`) or by a volume (`new_volume_id`)."""
    going = RootReplacement.state.in_(("pending", "in-progress"))
    return tx.db.scalars(select(RootReplacement).filter_by(**where).where(going)).one_or_none()


def count(tx: Transaction, account_id: str) -> int:
    """How many volumes the account has."""
    return tx.db.scalar(select(func.count()).select_from(Volume).where(Volume.account_id == account_id)) or 0


def _row(tx: Transaction, volume_id: str) -> Volume | None:
    return tx.db.scalars(_BY_ID, {"id": volume_id}).one_or_none()


def _modification(tx: Transaction, volume_id: str) -> VolumeModification | None:
    return tx.db.scalars(select(VolumeModification).where(VolumeModification.id == volume_id)).one_or_none()


def _change(tx: Transaction, volume_id: str, event: str) -> VolumeModification | None:
    modification = _modification(tx, volume_id)
    state = lifecycle.after(lifecycle.MODIFICATION, modification.state, event) if modification else None
    if modification is None or state is None:
        return None
    modification.state = state
    return modification


def _user(tx: Transaction, volume_id: str) -> str | None:
    """The instance that a volume is at, or will be the root of."""
    user = tx.db.get(Attachment, volume_id) or replacement(tx, new_volume_id=volume_id)
    return user.instance_id if user else None


def _ring(tx: Transaction, volume: Volume, user: str | None) -> None:
    """The volume's making is over: its instance, and the removal of what it was made from, may have waited for that."""
    if user:
        tx.touch(user)
    if volume.snapshot_id:
        tx.touch(volume.snapshot_id)


def _wish(volume: Volume, event: str, refusal: str) -> None:
    state = lifecycle.after(lifecycle.VOLUME, volume.state, event)
    if state is None:
        raise errors.WrongState(refusal, volume=volume.id, state=volume.state)
    volume.state = state


def _tell(volume: Volume, event: str) -> bool:
    state = lifecycle.after(lifecycle.VOLUME, volume.state, event)
    if state is not None:
        volume.state = state
    return state is not None
