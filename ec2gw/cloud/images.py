"""The verbs of images: wishes of the faces, then facts of the engine. Only this module changes their records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from ec2gw.cloud import lookup, permissions, settings, snapshots, volumes
from ec2gw.model import bdm, errors, ids, lifecycle
from ec2gw.state import records
from ec2gw.state.records import Image, ImageSnapshot, Instance, Snapshot, Volume
from ec2gw.state.session import Transaction

# API_RegisterImage, parameter Name.
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
# What an instance has from its image, may change, and gives to an image made of it.
INHERITED = ("BootMode", "EnaSupport", "SriovNetSupport", "KernelId", "RamdiskId")
_ALIVE = ("pending", "available", "disabled")
LAUNCHES = timedelta(minutes=1)  # how far apart those are that the record tells apart
COOLDOWN = timedelta(hours=24)  # API_EnableImageDeregistrationProtection
# API_EnableImageDeprecation: the latest day.
LATEST_DEPRECATION, LATEST_PUBLIC_DEPRECATION = timedelta(days=3_653), timedelta(days=731)


@dataclass(frozen=True)
class Registration:
    """What RegisterImage says of an image beside its mapping."""

    name: str
    root_device_name: str
    description: str = ""
    architecture: str = "i386"
    virtualization_type: str = "paravirtual"
    options: Mapping[str, Any] = field(default_factory=dict)


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def register(tx: Transaction, account_id: str, registration: Registration, lines: Sequence[bdm.Line]) -> Image:
    """Write down an image made of snapshots, and of volumes by id where the caller says so (API_RegisterImage)."""
    check_name(tx, account_id, registration.name)
    settled = bdm.register(
        lines, registration.root_device_name, sources(tx, account_id, bdm.sources(lines)), registration.virtualization_type
    )
    image = _add(tx, account_id, registration, settled)
    image.state = "available"
    return image


def create(
    tx: Transaction,
    account_id: str,
    instance_id: str,
    name: str,
    *,
    description: str = "",
    asked: Sequence[bdm.Line] = (),
    no_reboot: bool = False,
    boot_mode: str | None = None,
) -> tuple[Image, list[Snapshot]]:
    """Wish for an image of an instance: a snapshot of every volume attached now (API_CreateImage).

    Unless `no_reboot`, the guest of a running instance is shut down for the cut and started again; the instance stays `running`.
    """
    instance = lookup.one(tx, Instance, "i", account_id, instance_id)
    if instance.state not in ("running", "stopping", "stopped"):
        raise errors.Invalid("instance-not-imageable")
    attached = {row.volume_id: row for row in instance.attachments if row.state in ("attaching", "attached")}
    if not any(row.slot == 0 for row in attached.values()):
        raise errors.Invalid("instance-root-missing", instance=instance_id, device=instance.root_device_name)
    check_name(tx, account_id, name)
    disks = {row.id: row for row in tx.db.scalars(select(Volume).where(Volume.id.in_(attached)))}
    source = tx.db.scalars(select(Image).where(Image.id == instance.image_id)).one_or_none()
    current = [_line(disks[row.volume_id], row.device, row.delete_on_termination) for row in attached.values()]
    mapped = map(bdm.from_json, source.mapping) if source else ()
    current += [
        line for line in mapped if line.virtual and not any(bdm.same(line.device, row.device) for row in attached.values())
    ]
    mine, added = bdm.for_new_image(current, asked, instance.root_device_name, instance.virtualization_type)
    options = {name: value for name, value in (source.options if source else {}).items() if name not in INHERITED}
    options |= {name: instance.options[name] for name in INHERITED if instance.options.get(name) is not None}
    if boot_mode is not None:
        options["BootMode"] = boot_mode
    registration = Registration(
        name, instance.root_device_name, description, instance.architecture, instance.virtualization_type, options
    )
    image = _add(tx, account_id, registration, ())
    image.source_instance_id, image.source_image_id = instance.id, instance.image_id
    if instance.state == "running" and not no_reboot:
        instance.boots += 1
        instance.wished_at = tx.now
    at_rest_of = instance.id if instance.state == "stopping" or instance.state == "running" and not no_reboot else None
    made: list[Snapshot] = []
    lines: list[bdm.Line] = []
    for line in mine:
        if line.volume_id:
            note = f"Created by CreateImage({instance.id}) for {image.id}"
            made.append(snapshots.cut(tx, disks[line.volume_id], note, at_rest_of))
            # A volume that is being made larger has a larger snapshot.
            line = replace(line, volume_id=None, snapshot_id=made[-1].id, size=made[-1].size)
        lines.append(line)
    if at_rest_of is None:
        snapshots.bind(made)
    lines += bdm.settle(added, sources(tx, account_id, bdm.sources(added)))
    _write_mapping(tx, image, lines)
    tx.touch(image.id, instance.id)
    return image, made


def copy(tx: Transaction, account_id: str, source_id: str, name: str, description: str = "") -> tuple[Image, list[Snapshot]]:
    """Wish for a copy of an image, with copies of its snapshots (API_CopyImage). Whom the source is shared with is not copied."""
    source = usable(tx, account_id, source_id)
    check_name(tx, account_id, name)
    assert source.root_device_name is not None
    registration = Registration(
        name, source.root_device_name, description, source.architecture, source.virtualization_type, source.options
    )
    image = _add(tx, account_id, registration, ())
    image.source_image_id = source.id
    copies: dict[str, Snapshot] = {}
    lines = [bdm.from_json(line) for line in source.mapping]
    for origin in dict.fromkeys(line.snapshot_id for line in lines if line.snapshot_id):
        try:
            snapshot = snapshots.usable(tx, account_id, origin)
        except errors.NotFound:
            raise errors.NotPermitted("image-storage-unshared") from None
        note = (
            f"Copied for DestinationAmi {image.id} from SourceAmi {source.id} for SourceSnapshot {origin}."
            f" Task created on {int(tx.now.timestamp() * 1000):,}."
        )
        copies[origin] = snapshots.copy(tx, account_id, snapshot, note)
    _write_mapping(
        tx, image, [replace(line, snapshot_id=copies[line.snapshot_id].id) if line.snapshot_id else line for line in lines]
    )
    tx.touch(image.id)
    return image, list(copies.values())


def check_name(tx: Transaction, account_id: str, name: str) -> None:
    """Raise where the name cannot be an image's (API_RegisterImage), or the account has an image of this name."""
    if not _NAME.fullmatch(name):
        raise errors.Malformed("image-name-malformed")
    taken = tx.db.scalar(select(Image.id).where(Image.account_id == account_id, Image.name == name, Image.state.in_(_ALIVE)))
    if taken is not None:
        raise errors.Duplicate("image-name-taken", name=name, image=taken)


def find(tx: Transaction, account_id: str, image_id: str) -> Image:
    """The account's own image. Raises NotPermitted for one only shared with it; a deregistered one is `image-unavailable`."""
    image = lookup.own(tx, Image, "ami", account_id, image_id)
    if image.state == "deregistered":
        raise errors.NotFound("image-unavailable", image=image_id)
    return image


def is_own(tx: Transaction, account_id: str, image_id: str) -> bool:
    """Whether the image is the account's own."""
    return tx.db.scalar(select(Image.id).where(Image.id == image_id, Image.account_id == account_id)) is not None


def usable(tx: Transaction, account_id: str, image_id: str) -> Image:
    """The image, the account's own or shared with it, if an instance can be launched from it now."""
    image = lookup.shared(tx, Image, "ami", account_id, image_id)
    if image.state != "available":
        raise errors.NotFound("image-unavailable", image=image_id)
    return image


def deregister(tx: Transaction, account_id: str, image_id: str) -> Image:
    """Take an image back; its snapshots and instances stay (API_DeregisterImage)."""
    image = find(tx, account_id, image_id)
    if is_protected(image, tx.now):
        raise errors.NotPermitted("image-protected", image=image_id)
    _wish(image, "deregister")
    permissions.revoke(tx, image_id)
    records.forget_tags(tx.db, image_id)
    for row in tx.db.scalars(select(ImageSnapshot).where(ImageSnapshot.image_id == image_id)):
        tx.db.delete(row)
    return image


def share(tx: Transaction, account_id: str, image_id: str, grant: Sequence[str], revoke: Sequence[str]) -> Image:
    """Say who else may launch an image: account ids, and `all` (API_ModifyImageAttribute, LaunchPermission)."""
    image = find(tx, account_id, image_id)
    if grant and image.state == "disabled":
        raise errors.WrongState("image-wrong-state", image=image_id, state=image.state)
    if permissions.ALL in grant:
        access = settings.get(tx, account_id, settings.IMAGE_ACCESS, settings.UNBLOCKED)
        if access != settings.UNBLOCKED:
            raise errors.NotPermitted("public-access-blocked", what="image", id=image_id)
        if image.deprecated_at and image.deprecated_at > image.created_at + LATEST_PUBLIC_DEPRECATION:
            raise errors.Invalid("deprecation-too-late", years=2)
    permissions.grant(tx, image_id, grant)
    permissions.revoke(tx, image_id, revoke)
    return image


def change(tx: Transaction, account_id: str, image_id: str, **values: str) -> Image:
    """Change an image's description, or one of its options."""
    image = find(tx, account_id, image_id)
    for name, value in values.items():
        if name == "description":
            image.description = value
        else:
            image.options = image.options | {name: value}
    return image


def disable(tx: Transaction, account_id: str, image_id: str) -> Image:
    """Let nobody launch an image, and share it with nobody (API_DisableImage)."""
    image = find(tx, account_id, image_id)
    _wish(image, "disable")
    permissions.revoke(tx, image_id)
    return image


def enable(tx: Transaction, account_id: str, image_id: str) -> Image:
    """Let a disabled image be launched again (API_EnableImage)."""
    image = find(tx, account_id, image_id)
    _wish(image, "enable")
    return image


def deprecate(tx: Transaction, account_id: str, image_id: str, when: datetime | None) -> Image:
    """Say when an image is out of date, to the minute; None takes that back (API_EnableImageDeprecation)."""
    image = find(tx, account_id, image_id)
    if when is not None:
        if when > tx.now + LATEST_DEPRECATION:
            raise errors.Invalid("deprecation-too-late", years=10)
        when = (when + timedelta(seconds=30)).replace(second=0, microsecond=0)
        if when <= tx.now:
            raise errors.Invalid("deprecation-past")
        if permissions.ALL in permissions.of(tx, image_id) and when > image.created_at + LATEST_PUBLIC_DEPRECATION:
            raise errors.Invalid("deprecation-too-late", years=2)
    image.deprecated_at = when
    return image


def protect(tx: Transaction, account_id: str, image_id: str, *, cooldown: bool) -> Image:
    """Let an image not be deregistered (API_EnableImageDeregistrationProtection)."""
    image = find(tx, account_id, image_id)
    image.protection = "enabled-with-cooldown" if cooldown else "enabled-without-cooldown"
    image.protected_until = None
    return image


def unprotect(tx: Transaction, account_id: str, image_id: str) -> Image:
    """Let an image be deregistered again: after a day, if it was protected with a cooldown."""
    image = find(tx, account_id, image_id)
    if image.protection == "enabled-with-cooldown":
        image.protected_until = tx.now + COOLDOWN
    image.protection = "disabled"
    return image


def is_protected(image: Image, now: datetime) -> bool:
    """Whether it may not be deregistered."""
    return image.protection != "disabled" or image.protected_until is not None and image.protected_until > now


def launched(tx: Transaction, image: Image) -> None:
    """An instance is launched from it. Many launches need not write that down each: EC2 itself tells of it a day later."""
    if image.launched_at is None or tx.now - image.launched_at > LAUNCHES:
        image.launched_at = tx.now


def sources(tx: Transaction, account_id: str, wanted: Sequence[str], image: Image | None = None) -> dict[str, bdm.Source]:
    """What the snapshots and volumes of a mapping are. Raises where one cannot be used by the account.

    Who may launch `image` may do so with its snapshots: its owner's, and those that its owner may still use.
    """
    snapshot_ids = [id for id in wanted if ids.well_formed("snap", id)]
    volume_ids = [id for id in wanted if ids.well_formed("vol", id)]
    named = {line.get("snapshot_id") for line in image.mapping} & set(snapshot_ids) if image else set()
    found: dict[str, bdm.Source] = {}
    if image and named:
        owned = Snapshot.id.in_(named), Snapshot.account_id == image.account_id
        parts = tx.db.execute(select(Snapshot.id, Snapshot.size, Snapshot.encrypted).where(*owned))
        found = {row.id: bdm.Source(row.size, row.encrypted) for row in parts}
    for id in snapshot_ids:
        if id not in found:
            row = snapshots.usable(tx, image.account_id if image and id in named else account_id, id)
            found[id] = bdm.Source(row.size, row.encrypted)
    rows = [volumes.find(tx, account_id, id) for id in volume_ids]
    return found | {row.id: bdm.Source(row.size, row.encrypted) for row in rows}


# -- facts ----------------------------------------------------------------------------------------------------------------------


def settle(tx: Transaction, image_id: str) -> None:
    """An image is available when all its snapshots are completed, and failed when one of them cannot be."""
    image = tx.db.scalars(select(Image).where(Image.id == image_id)).one_or_none()
    if image is None or image.state != "pending":
        return
    wanted = select(ImageSnapshot.snapshot_id).where(ImageSnapshot.image_id == image_id)
    states = [row.state for row in tx.db.scalars(select(Snapshot).where(Snapshot.id.in_(wanted)))]
    if "error" in states:
        event = "failed"
        image.reason = "A snapshot of the image could not be made"
    elif set(states) <= {"completed"}:
        event = "completed"
    else:
        return
    image.state = lifecycle.IMAGE[image.state][event]


def _add(tx: Transaction, account_id: str, registration: Registration, lines: Sequence[bdm.Line]) -> Image:
    image = Image(
        id=ids.new("ami"),
        account_id=account_id,
        created_at=tx.now,
        name=registration.name,
        description=registration.description,
        architecture=registration.architecture,
        virtualization_type=registration.virtualization_type,
        root_device_name=registration.root_device_name,
        location=f"{account_id}/{registration.name}",
        mapping=[],
        state="pending",
        options=dict(registration.options),
    )
    tx.db.add(image)
    _write_mapping(tx, image, lines)
    return image


def _wish(image: Image, event: str) -> None:
    state = lifecycle.after(lifecycle.IMAGE, image.state, event)
    if state is None:
        raise errors.WrongState("image-wrong-state", image=image.id, state=image.state)
    image.state = state


def _write_mapping(tx: Transaction, image: Image, lines: Sequence[bdm.Line]) -> None:
    image.mapping = [line.to_json() for line in lines]
    for snapshot_id in {line.snapshot_id for line in lines if line.snapshot_id}:
        tx.db.add(ImageSnapshot(image_id=image.id, snapshot_id=snapshot_id))


def _line(volume: Volume, device: str, delete_on_termination: bool) -> bdm.Line:
    return bdm.Line(
        device,
        volume_id=volume.id,
        size=volume.size,
        type=volume.type,
        iops=volume.iops if volume.type in ("io1", "io2", "gp3") else None,
        throughput=volume.throughput,
        delete_on_termination=delete_on_termination,
        encrypted=volume.encrypted,
    )
