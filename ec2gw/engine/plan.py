"""The next step for a record, given what is seen of it and of its machine. Pure: no clock, no host, no record is touched here.

A plan never remembers: whatever was done before shows in the record or in the machine, so a process killed after any step
finds the same next step again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ec2gw.backend.ports import Domain
from ec2gw.engine import observe, steps
from ec2gw.engine.steps import Step
from ec2gw.model import lifecycle

ASK_AGAIN = 3.0  # a button press or an unplug may be lost while the guest boots
LOOK_FOR_IMPORTER = 2.0  # whether it still lives
LOOK_AGAIN = 0.5  # for a machine to be off


def volume(seen: observe.Volume) -> Step | None:
    """Make it, change it, or remove it. What is yet to be cut of it is cut first: a snapshot has the size that was told."""
    match seen.state:
        case "creating":
            return steps.CreateVolume(seen.id, seen.zone, seen.size, seen.origin)
        case "available" | "in-use" if seen.modification == "modifying" and not seen.wanted:
            assert seen.target is not None
            return steps.GrowVolume(seen.id, seen.zone, seen.target)
        case "available" | "in-use" if seen.modification == "optimizing":
            return steps.NoteOptimized(seen.id)
        case "deleting" if not seen.wanted:
            return steps.RemoveVolume(seen.id, seen.zone)
    return None


def snapshot(seen: observe.Snapshot, domain: Domain | None, now: datetime) -> Step | None:
    """Cut it (with its machine off where it must be at rest) or assemble it, settle it, or remove it."""
    if seen.upload and seen.state == "pending" and not seen.cut:
        return _receive(seen, seen.upload, now)
    if seen.upload and seen.upload.staged:
        return steps.ClearUpload(seen.id)
    match seen.state:
        case "pending" if seen.cut:
            return steps.CompleteSnapshot(seen.id, seen.zone)
        case "pending" if seen.origin and seen.origin.startswith("import-"):
            return None  # what fills it is a matter of the import
        case "pending" if seen.origin and seen.origin.startswith("snap-"):
            return steps.CopySnapshot(seen.id, seen.origin, seen.zone)
        case "pending" if seen.set_id:
            return steps.CutSet(seen.set_id) if seen.leads else None  # who leads wakes the others
        case "pending" if seen.origin:
            if seen.machine and domain is not None and domain.state != "off":
                return steps.Rest(wait=LOOK_AGAIN)
            return steps.CutSnapshot(seen.id, seen.origin, seen.zone)
        case "deleting" if not seen.wanted:
            return steps.RemoveSnapshot(seen.id, seen.zone, None if seen.cut else seen.origin)
    return None


def _receive(seen: observe.Snapshot, upload: observe.Upload, now: datetime) -> Step:
    """What clients write is made a snapshot once they say that it is whole; it is given up when nobody writes any more."""
    if upload.complete:
        return steps.AssembleSnapshot(seen.id, seen.zone, seen.size, upload.parent)
    left = (upload.expires - now).total_seconds()
    return steps.Rest(wait=left) if left > 0 else steps.TimeOutUpload(seen.id)


def image(seen: observe.Image) -> Step | None:
    """It settles with the last of its snapshots, which wakes us."""
    return steps.SettleImage(seen.id) if seen.state == "pending" and seen.ready else None


def task(seen: observe.Import, held: bool, now: datetime) -> Step | None:
    """Bring part for part into snapshots, then end it. `held`: another process works on it, which alone does what is to be done.

    What a process that was killed has begun is undone, for who called it knows that it did not end.
    """
    if seen.state in ("active", "deleting") and held:
        return steps.Rest(wait=LOOK_FOR_IMPORTER)
    if seen.state == "active":
        return steps.NoteImportFailed(seen.id, "its command was cut off") if seen.beside else _bring(seen)
    if seen.state == "deleting":
        return steps.EndImport(seen.id)
    assert seen.ended_at is not None
    left = (seen.ended_at + observe.KEEP_IMPORT - now).total_seconds()
    return None if left > 0 else steps.ForgetImport(seen.id)


def _bring(seen: observe.Import) -> Step:
    for number, part in enumerate(seen.parts):
        if part.snapshot is None:
            assert part.url is not None
            return steps.FetchImage(seen.id, number, part.url, part.format)
        if part.state == "pending" and part.url and part.format:
            return steps.FillSnapshot(seen.id, number, part.url, part.format, part.snapshot, seen.zone)
        if part.state != "completed":
            return steps.NoteImportFailed(seen.id, f"the snapshot {part.snapshot} is gone")
    return steps.FinishImport(seen.id)


def instance(seen: observe.Instance, domain: Domain | None, now: datetime, patience: float) -> Step | None:
    """Bring the machine to where the state wants it: on, off or gone."""
    on = domain if domain is not None and domain.state != "off" else None
    goal = lifecycle.INSTANCE_GOAL[seen.state]
    if seen.replacement and goal != "gone" and (step := _replace_root(seen, seen.replacement, on, goal)):
        return step
    match goal:
        case "on" if on and on.generation >= seen.boots:
            return _resume(seen) if on.state == "paused" else _tend(seen, on, now, patience)
        case "on" if on:
            return _bring_down(seen, on, now)  # a reboot: this machine is of an earlier boot
        case "on":
            return _bring_up(seen, domain)
        case "off" if on:
            return _bring_down(seen, on, now)
        case "off" if seen.state == "stopping":
            return steps.NoteStopped(seen.id, seen.scratch)
        case "off":
            return _let_go(seen)
        case "gone" if on:
            return _bring_down(seen, on, now)
        case "gone" if domain is not None:
            return steps.RemoveMachine(seen.id)
        case "gone" if seen.state == "shutting-down":
            return steps.NoteEnded(seen.id, seen.scratch)
    assert seen.ended_at is not None
    left = (seen.ended_at + observe.KEEP_TERMINATED - now).total_seconds()
    return steps.Rest(wait=left) if left > 0 else steps.Forget(seen.id)


def _replace_root(seen: observe.Instance, task: observe.Replacement, on: Domain | None, goal: lifecycle.Goal) -> Step | None:
    """The roots change places while no machine is on; a machine that is on after that runs on the new one."""
    match task.state, task.volume_state:
        case "pending", "in-use":
            return steps.NoteRootReady(task.id)
        case "pending", "error":
            return steps.NoteRootFailed(task.id)
        case "in-progress", _ if not task.swapped:
            return None if on or seen.uncut else steps.SwapRoot(task.id)
        case "in-progress", _ if on or goal == "off":
            return steps.NoteRootReplaced(task.id)
    return None


def _bring_up(seen: observe.Instance, domain: Domain | None) -> Step | None:
    if domain is not None and domain.generation >= seen.boots:  # it was on, and went off by itself
        if seen.state == "pending":
            return steps.NoteStarted(seen.id, frozenset(row.place.disk for row in seen.attached))
        return steps.NoteHalted(seen.id, by_guest=domain.shutdown == "guest")
    if any(row.volume_state == "error" for row in seen.attached):
        return steps.NoteFailed(seen.id)
    if seen.uncut or any(row.volume_state == "creating" for row in seen.attached):
        return None  # the snapshot or volume will wake us
    if step := _let_go(seen):
        return step
    volumes = tuple(row.place for row in seen.attached)
    return steps.Start(seen.id, seen.boots, seen.vcpus, seen.memory_mib, volumes, seen.scratch)


def _bring_down(seen: observe.Instance, domain: Domain, now: datetime) -> Step:
    left = (seen.wished_at + timedelta(seconds=seen.grace) - now).total_seconds()
    if left <= 0:
        return steps.PowerOff(seen.id)
    if domain.state == "paused":
        return _resume(seen)  # or it cannot hear the button
    return steps.PressButton(seen.id, wait=min(ASK_AGAIN, left))


def _resume(seen: observe.Instance) -> Step:
    return steps.Resume(seen.id, wait=LOOK_AGAIN)  # what made it pause may do so again at once


def _tend(seen: observe.Instance, domain: Domain, now: datetime, patience: float) -> Step | None:
    """A running machine: its disks follow the attachments."""
    if seen.state == "pending":
        return steps.NoteStarted(seen.id, domain.disks)
    if seen.impaired:
        return steps.NoteReachable(seen.id)
    leaving: list[str] = []
    forced: set[str] = set()
    for row in seen.attached:
        plugged = row.place.disk in domain.disks
        match row.state:
            case "attaching" | "attached" if not plugged:
                return steps.Plug(seen.id, row.place)
            case "attaching":
                return steps.NotePlugged(row.place.disk)
            case "detaching" | "busy" if not plugged:
                return steps.NoteUnplugged(row.place.disk)
            case "detaching" | "busy":
                waited = (now - row.wished_at).total_seconds() - patience
                if waited > 2 * ASK_AGAIN and row.state == "detaching":
                    return steps.NoteWithheld(row.place.disk)
                leaving.append(row.place.disk)
                if row.forced or waited >= 0:
                    forced.add(row.place.disk)
    return steps.Unplug(seen.id, tuple(leaving), frozenset(forced), wait=ASK_AGAIN) if leaving else None


def _let_go(seen: observe.Instance) -> Step | None:
    """With no machine on, a volume that is to leave has left."""
    leaving = (row.place.disk for row in seen.attached if row.state in ("detaching", "busy"))
    return next((steps.NoteUnplugged(disk) for disk in leaving), None)
