"""The verbs of imports: wishes of the faces, then facts of the engine. Only this module changes their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from ec2gw.cloud import images, limits, lookup, snapshots
from ec2gw.model import bdm, errors, lifecycle
from ec2gw.state import records
from ec2gw.state.records import Image, ImportTask
from ec2gw.state.session import Transaction

SNAPSHOT, IMAGE = "import-snap", "import-ami"  # the kinds of imports, by the prefix of their ids
MOST_ACTIVE = 20  # of an account at a time (VM Import/Export User Guide, "Limitations": concurrent import tasks)
KEPT = timedelta(days=7)  # API_DescribeImportImageTasks: tasks are shown while they are active, and for 7 days
_OPTIONS = ("BootMode", "Platform", "PlatformDetails", "UsageOperation")


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def begin(
    tx: Transaction,
    account_id: str,
    task_id: str,
    zone: str,
    parts: Sequence[Mapping[str, Any]],
    description: str = "",
    options: Mapping[str, Any] | None = None,
) -> ImportTask:
    """Wish for snapshots of disk images, and for an image of those where `task_id` is an `import-ami-…`, a fresh one.

    `parts` are as `ImportTask` has them, the root first. Raises as RegisterImage does where no image could be made of them.
    """
    going = select(func.count()).where(ImportTask.account_id == account_id, ImportTask.state.in_(("active", "deleting")))
    if (tx.db.scalar(going) or 0) >= MOST_ACTIVE:
        raise errors.LimitExceeded("import-limit", limit=MOST_ACTIVE)
    limits.check_snapshot(tx, account_id)
    if task_id.startswith(IMAGE):
        lines = [bdm.Line(part["device"], snapshot_id=part.get("snapshot_id") or f"part {n}") for n, part in enumerate(parts)]
        for n, line in enumerate(lines):
            if not bdm.valid_device(line.device, "hvm"):
                raise errors.Malformed("mapping-device-invalid", device=line.device)
            if any(bdm.same(line.device, other.device) for other in lines[:n]):
                raise errors.Conflict("mapping-device-duplicate", device=line.device)
        found = {str(line.snapshot_id): bdm.Source(1) for line in lines}
        bdm.register(lines, lines[0].device, found)
    for part in parts:
        if part.get("snapshot_id"):
            snapshots.usable(tx, account_id, part["snapshot_id"])
    task = ImportTask(
        id=task_id,
        account_id=account_id,
        created_at=tx.now,
        zone=zone,
        description=description,
        parts=[dict(part) for part in parts],
        options=dict(options or {}),
        state="active",
        phase="pending",
        progress=0,
        theirs=False,
    )
    tx.db.add(task)
    tx.touch(task_id)
    return task


def cancel(tx: Transaction, account_id: str, task_id: str, reason: str = "") -> tuple[ImportTask, str]:
    """Wish an import undone (API_CancelImportTask). Returns it with the state it was in."""
    prefix = SNAPSHOT if task_id.startswith(SNAPSHOT) else IMAGE
    task = lookup.one(tx, ImportTask, prefix, account_id, task_id, "importTaskId")
    before, state = task.state, lifecycle.after(lifecycle.IMPORT, task.state, "cancel")
    if state is None:
        raise errors.WrongState("import-ended", task=task_id, state=before)
    if before == "active":
        task.reason = reason or "The import was cancelled."
    task.state = state
    tx.touch(task_id)
    return task, before


# -- facts ----------------------------------------------------------------------------------------------------------------------


def progressed(tx: Transaction, task_id: str, phase: str, percent: int) -> None:
    """How far the work on it is."""
    task = _active(tx, task_id)
    if task:
        task.phase, task.progress = phase, percent


def fetched(tx: Transaction, task_id: str, number: int, image_format: str, size: int, gib: int) -> None:
    """The disk image of a part is here: `size` bytes of that format, for a snapshot of `gib` GiB."""
    task = _active(tx, task_id)
    if task is None or task.parts[number].get("snapshot_id"):
        return
    note = f"Created by AWS-VMImport service for {task_id}"
    try:
        snapshot = snapshots.begin_fill(tx, task.account_id, gib, task.zone, note, task_id)
    except errors.Refusal as refusal:  # the account has come to its limit meanwhile
        failed(tx, task_id, f"The snapshot cannot be made [{refusal.reason}]", theirs=True)
        return
    part = task.parts[number] | {"format": image_format, "size": size, "snapshot_id": snapshot.id, "made": True}
    task.parts = [*task.parts[:number], part, *task.parts[number + 1 :]]


def filled(tx: Transaction, task_id: str, number: int) -> None:
    """The store has the bytes of a part."""
    task = _active(tx, task_id)
    if task:
        snapshots.completed(tx, task.parts[number]["snapshot_id"])


def finish(tx: Transaction, task_id: str) -> Image | None:
    """Every part is a snapshot now. Returns the image that is made of them; None where none is to be, or can be any more."""
    task = _active(tx, task_id)
    if task is None:
        return None
    image = None
    if task_id.startswith(IMAGE):
        lines = [bdm.Line(part["device"], snapshot_id=part["snapshot_id"]) for part in task.parts]
        registration = images.Registration(
            task.options.get("Name", task_id),
            lines[0].device,
            task.description,
            task.options["Architecture"],
            "hvm",
            {name: task.options[name] for name in _OPTIONS if name in task.options},
        )
        tx.db.flush()
        try:
            image = images.register(tx, task.account_id, registration, lines)
        except errors.Refusal as refusal:  # a snapshot or the name has been taken meanwhile
            failed(tx, task_id, f"The image cannot be registered [{refusal.reason}]", theirs=True)
            return None
        task.image_id = image.id
    task.state = lifecycle.IMPORT[task.state]["completed"]
    task.phase, task.progress, task.ended_at = "completed", 100, tx.now
    return image


def failed(tx: Transaction, task_id: str, reason: str, *, theirs: bool = False) -> None:
    """It cannot be done; `theirs`: because of what was to be brought."""
    task = _active(tx, task_id)
    if task:
        task.state = lifecycle.IMPORT[task.state]["failed"]
        task.reason, task.theirs = reason, theirs
        tx.touch(task_id)


def removed(tx: Transaction, task_id: str) -> None:
    """Nothing on the host works on it any more: what it has made goes."""
    task = _row(tx, task_id)
    state = lifecycle.after(lifecycle.IMPORT, task.state, "removed") if task else None
    if task is None or state is None:
        return
    task.state, task.ended_at = state, tx.now
    tx.db.flush()
    for part in task.parts:
        if part.get("made"):
            snapshots.unfilled(tx, part["snapshot_id"])
            tx.touch(part["snapshot_id"])


def forget(tx: Transaction, task_id: str) -> None:
    """It has been shown long enough."""
    task = _row(tx, task_id)
    if task and task.ended_at and task.ended_at <= tx.now - KEPT:
        tx.db.delete(task)
        records.forget_tags(tx.db, task_id)


def is_active(tx: Transaction, task_id: str) -> bool:
    """Whether the import is still wanted."""
    return _active(tx, task_id) is not None


def _row(tx: Transaction, task_id: str) -> ImportTask | None:
    return tx.db.scalars(select(ImportTask).where(ImportTask.id == task_id)).one_or_none()


def _active(tx: Transaction, task_id: str) -> ImportTask | None:
    task = _row(tx, task_id)
    return task if task and task.state == "active" else None
