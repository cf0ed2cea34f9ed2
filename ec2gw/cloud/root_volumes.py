"""The verbs of root volume replacements: wishes of the faces, then facts of the engine. Only this module changes their records.

The new root is claimed for its instance from the wish on, and the old one stays attached until no machine runs on it: then they
change places in one transaction, so that the instance is never without a root, and no volume is nobody's.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from ec2gw.cloud import images, lookup, snapshots, volumes
from ec2gw.model import bdm, errors, ids, lifecycle, volume_types
from ec2gw.state import journal, records
from ec2gw.state.records import Attachment, Instance, RootReplacement, Snapshot, Volume
from ec2gw.state.session import Transaction

# -- wishes ---------------------------------------------------------------------------------------------------------------------


def replace(
    tx: Transaction,
    account_id: str,
    instance_id: str,
    *,
    snapshot_id: str | None = None,
    image_id: str | None = None,
    volume_id: str | None = None,
    rate: int | None = None,
    delete_old: bool = False,
) -> RootReplacement:
    """Wish a running instance onto another root (API_CreateReplaceRootVolumeTask): from a snapshot of a root it has or had, from
    an image, or an existing volume; where none is named, from what it was launched from. The caller names one at most. `rate` is
    `volumes.add`'s.
    """
    instance = lookup.one(tx, Instance, "i", account_id, instance_id)
    if instance.state != "running":
        raise errors.WrongState("instance-wrong-state", instance=instance_id, state=instance.state)
    if volumes.replacement(tx, instance_id=instance_id):
        raise errors.WrongState("root-being-replaced", instance=instance_id)
    root = next(row for row in instance.attachments if row.slot == 0)
    old = tx.db.scalars(select(Volume).where(Volume.id == root.volume_id)).one()
    before = tx.db.scalars(
        select(RootReplacement).where(RootReplacement.instance_id == instance_id).order_by(RootReplacement.number)
    ).all()
    done = next((row for row in reversed(before) if row.state == "succeeded"), None)
    pristine = done.pristine_id if done else old.snapshot_id
    if volume_id is not None:
        volume_types.check_rate(rate, None)
        new = volumes.take(tx, account_id, volume_id, instance)
    else:
        size = old.size
        if image_id is not None:
            source, size = _of_image(tx, account_id, instance, image_id, old)
            pristine = source.id
        elif snapshot_id is not None:
            roots = {old.id, *(row.old_volume_id for row in before)}
            source = _of_snapshot(tx, account_id, snapshot_id, roots, instance_id)
        else:
            source = _of_launch(tx, pristine, instance_id)
        now = volume_types.Shape(old.type, old.size, old.iops, old.throughput)
        shape = volume_types.reshape(now, size=max(size, source.size))
        new = volumes.add(tx, account_id, old.zone, shape, source.id, source.encrypted, rate)
    task = RootReplacement(
        id=ids.new("replacevol"),
        account_id=account_id,
        created_at=tx.now,
        instance_id=instance_id,
        old_volume_id=old.id,
        new_volume_id=new.id,
        made=volume_id is None,
        image_id=image_id,
        snapshot_id=new.snapshot_id,
        pristine_id=pristine,
        delete_old=delete_old,
        state="pending",
    )
    tx.db.add(task)
    tx.touch(instance_id)
    return task


def _of_launch(tx: Transaction, snapshot_id: str | None, instance_id: str) -> Snapshot:
    """Whose it is does not matter: the account has had its bytes at the launch."""
    if snapshot_id is None:
        raise errors.Invalid("root-without-snapshot", instance=instance_id)
    found = tx.db.scalars(select(Snapshot).where(Snapshot.id == snapshot_id, Snapshot.state == "completed")).one_or_none()
    if found is None:
        raise errors.NotFound("not-found", kind="snapshot", ids=[snapshot_id])
    return found


def _of_snapshot(tx: Transaction, account_id: str, snapshot_id: str, roots: set[str], instance_id: str) -> Snapshot:
    found = snapshots.usable(tx, account_id, snapshot_id)
    if found.volume_id not in roots:
        raise errors.Invalid("snapshot-not-of-root", snapshot=snapshot_id, instance=instance_id)
    return found


def _of_image(tx: Transaction, account_id: str, instance: Instance, image_id: str, old: Volume) -> tuple[Snapshot, int]:
    """The snapshot of the image's root, and GiB."""
    image = images.usable(tx, account_id, image_id)
    for name in ("architecture", "virtualization_type"):
        if getattr(image, name) != getattr(instance, name):
            raise errors.Conflict("image-unlike-instance", image=image_id, instance=instance.id, what=name.replace("_", " "))
    lines = [bdm.from_json(line) for line in image.mapping]
    root = bdm.root_of(lines, image.root_device_name) if image.root_device_name else None
    if root is None or root.snapshot_id is None:
        raise errors.Conflict("invalid-combination", message=f"The image '{image_id}' has no snapshot of a root volume.")
    source = snapshots.usable(tx, image.account_id, root.snapshot_id)
    size = root.size or source.size
    if size < old.size:
        raise errors.Invalid("image-root-too-small", image=image_id, size=size, minimum=old.size)
    return source, size


# -- facts ----------------------------------------------------------------------------------------------------------------------


def ready(tx: Transaction, task_id: str) -> None:
    """The new root is made: the instance is to boot again, and meanwhile the roots change places."""
    task = _tell(tx, task_id, "created")
    if task:
        instance = _instance(tx, task)
        instance.boots += 1
        instance.wished_at = tx.now


def swap(tx: Transaction, task_id: str) -> None:
    """No machine is on: the new root takes the old one's place. The old one is nobody else's until the machine runs."""
    task = _row(tx, task_id)
    if task is None or task.state != "in-progress" or _swapped(tx, task):
        return
    _exchange(tx, task, task.old_volume_id, task.new_volume_id)


def replaced(tx: Transaction, task_id: str) -> None:
    """The machine runs on the new root, or will when it is started."""
    task = _tell(tx, task_id, "replaced")
    if task:
        task.ended_at = tx.now
        volumes.let_go(tx, task.old_volume_id, reclaim=task.delete_old)
        if task.image_id:
            _instance(tx, task).image_id = task.image_id


def failed(tx: Transaction, task_id: str) -> None:
    """The new root cannot be made, or the instance has ended: what the task holds is given back, and what it has made goes."""
    task = _tell(tx, task_id, "failed")
    if task:
        task.ended_at = tx.now
        if _swapped(tx, task):
            volumes.let_go(tx, task.old_volume_id, reclaim=False)
        else:
            volumes.let_go(tx, task.new_volume_id, reclaim=task.made)


def unbootable(tx: Transaction, instance_id: str) -> None:
    """The machine cannot be started. Where it was to run on a new root, the old one takes that one's place again."""
    task = volumes.replacement(tx, instance_id=instance_id)
    if task and _swapped(tx, task):
        _exchange(tx, task, task.new_volume_id, task.old_volume_id)
        failed(tx, task.id)


def abandon(tx: Transaction, instance_id: str) -> None:
    """The instance has ended."""
    task = volumes.replacement(tx, instance_id=instance_id)
    if task:
        failed(tx, task.id)


def forget(tx: Transaction, instance_id: str) -> None:
    """The instance's last trace goes, and with it those of its replacements."""
    for id in tx.db.scalars(select(RootReplacement.id).where(RootReplacement.instance_id == instance_id)):
        records.forget_tags(tx.db, id)
    gone = delete(RootReplacement).where(RootReplacement.instance_id == instance_id)
    tx.db.execute(gone, execution_options=journal.concerning(instance_id))


def _exchange(tx: Transaction, task: RootReplacement, leaving: str, coming: str) -> None:
    """One root takes another's place. The one that leaves is held until somebody lets it go."""
    root = tx.db.get_one(Attachment, leaving)
    volume = tx.db.scalars(select(Volume).where(Volume.id == coming)).one()
    volumes.unplugged(tx, leaving, held=True)
    tx.db.flush()
    volumes.place(tx, volume, _instance(tx, task), root.device, delete_on_termination=root.delete_on_termination, slot=0)


def _instance(tx: Transaction, task: RootReplacement) -> Instance:
    return tx.db.scalars(select(Instance).where(Instance.id == task.instance_id)).one()


def _row(tx: Transaction, task_id: str) -> RootReplacement | None:
    return tx.db.scalars(select(RootReplacement).where(RootReplacement.id == task_id)).one_or_none()


def _swapped(tx: Transaction, task: RootReplacement) -> bool:
    return tx.db.get(Attachment, task.new_volume_id) is not None


def _tell(tx: Transaction, task_id: str, event: str) -> RootReplacement | None:
    task = _row(tx, task_id)
    state = lifecycle.after(lifecycle.REPLACEMENT, task.state, event) if task else None
    if task is None or state is None:
        return None
    task.state = state
    tx.touch(task.instance_id)
    return task
