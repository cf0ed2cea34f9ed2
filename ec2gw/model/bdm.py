"""The block device mapping: from what an image and a request say to the disks an instance gets. Every rule of it is here.

A face reads its own words into `Line`s (`from_ec2`); `register` settles the lines of an image, `resolve` those of a launch.
Sources of the rules: EC2 User Guide, "Block device mappings" and "Device names"; API_BlockDeviceMapping; API_EbsBlockDevice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ec2gw.model import errors, ids, volume_types

# /dev/sda1 and /dev/sda2 are the only names with a digit on HVM; `xvd` names may have two letters from b and c on.
_HVM = re.compile(r"(?:/dev/)?(?:sd[a-z]|sda[12]|xvd[a-z]|xvd[b-d][a-z])")
_PV = re.compile(r"(?:/dev/)?(?:[sh]d[a-z](?:[1-9]|1[0-5])?|xvd[a-z](?:[1-9]|1[0-5])?)")
# What OpenStack and Eucalyptus scripts write; the gateway's guests really have virtio disks.
_VIRTIO = re.compile(r"(?:/dev/)?vd[a-z]")
# An image's root may be called otherwise (`/dev/nvme0n1`), as long as that is a device's name at all.
_ROOT = re.compile(r"(?:/dev/)?[a-z][a-z0-9]{0,31}")
_EPHEMERAL = re.compile(r"ephemeral([0-9]|1[0-9]|2[0-3])")
SWAP = "swap"
SWAP_GIB = 1
MOST_LINES = 64


@dataclass(frozen=True)
class Line:
    """One entry of a mapping. It means one thing: an EBS volume, an instance-store disk (`virtual`), or nothing (`no_device`).

    `size` is GiB. Of an EBS line that was not asked for in full, None means "not said".
    """

    device: str
    snapshot_id: str | None = None
    volume_id: str | None = None
    size: int | None = None
    type: str | None = None
    iops: int | None = None
    throughput: int | None = None
    delete_on_termination: bool | None = None
    encrypted: bool | None = None
    rate: int | None = None
    virtual: str | None = None
    no_device: bool = False

    @property
    def ebs(self) -> bool:
        return self.virtual is None and not self.no_device

    def to_json(self) -> dict[str, Any]:
        """As stored with an image."""
        return {
            name: value for name, value in asdict(self).items() if value not in (None, False) or name == "delete_on_termination"
        }


def from_json(stored: Mapping[str, Any]) -> Line:
    """The line that `Line.to_json` wrote."""
    return Line(**stored)


@dataclass(frozen=True)
class Source:
    """What a snapshot or an existing volume that a line names really is: GiB and whether it is encrypted."""

    size: int
    encrypted: bool = False


@dataclass(frozen=True)
class Volume:
    """A disk of a launch that is an EBS volume: a new one (`shape` says which), or the existing `volume_id`."""

    device: str
    slot: int
    delete_on_termination: bool
    snapshot_id: str | None = None
    volume_id: str | None = None
    shape: volume_types.Shape | None = None
    encrypted: bool = False
    rate: int | None = None


@dataclass(frozen=True)
class Scratch:
    """A disk of a launch that is instance store: GiB; it lives from start to stop."""

    device: str
    slot: int
    virtual: str
    size: int


# -- device names -------------------------------------------------------------------------------------------------------------


def short(device: str) -> str:
    """The name without `/dev/`: `/dev/sdh` and `sdh` are one slot."""
    return device.removeprefix("/dev/")


def same(one: str, other: str) -> bool:
    """Whether two names mean one device: with or without `/dev/`."""
    return short(one) == short(other)


def is_root(device: str, root_device_name: str) -> bool:
    """Whether a line is the root's: images exist whose root is `/dev/sda1` and whose mapping says `/dev/sda`, or the reverse."""
    mapped, root = short(device), short(root_device_name)
    return mapped in (root, f"{root}1") or mapped == re.sub(r"\d+$", "", root)


def root_of(lines: Iterable[Line], root_device_name: str) -> Line | None:
    """The root's line; the one that bears the very name comes before one that only names its disk."""
    named = [line for line in lines if is_root(line.device, root_device_name)]
    return min(named, key=lambda line: not same(line.device, root_device_name), default=None)


def valid_device(device: str, virtualization: str = "hvm") -> bool:
    """Whether EC2 takes the name at all."""
    forms = (_HVM, _VIRTIO) if virtualization == "hvm" else (_HVM, _PV, _VIRTIO)
    return any(form.fullmatch(device) for form in forms)


# -- reading --------------------------------------------------------------------------------------------------------------------


def from_ec2(mappings: Iterable[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Read EC2's BlockDeviceMappings. The same name twice: the later one counts. Another spelling of it is refused."""
    lines: dict[str, Line] = {}
    for mapping in mappings:
        line = _line(mapping)
        for other in lines:
            if other != line.device and same(other, line.device):
                raise errors.Conflict("mapping-device-duplicate", device=line.device)
        lines[line.device] = line
    if len(lines) > MOST_LINES:
        raise errors.LimitExceeded("mapping-invalid", message=f"More than {MOST_LINES} devices are mapped")
    return tuple(lines.values())


def _line(mapping: Mapping[str, Any]) -> Line:
    device = mapping.get("DeviceName")
    if not device:
        raise errors.Missing("mapping-device-missing")
    ebs = mapping.get("Ebs", {})
    # Any value means "no device", even an empty one; boto 2.0 puts it under Ebs.
    if "NoDevice" in mapping or ebs.get("NoDevice"):
        return Line(device, no_device=True)
    virtual = mapping.get("VirtualName")
    if virtual:
        if any(name != "DeleteOnTermination" for name in ebs):
            raise errors.Conflict("mapping-invalid", message=f"Both a virtual name and EBS parameters are given for {device}")
        if virtual != SWAP and not _EPHEMERAL.fullmatch(virtual):
            raise errors.Invalid("mapping-invalid", message=f"Invalid virtual name {virtual}")
        return Line(device, virtual=virtual)
    if not ebs:
        raise errors.Missing("missing-parameter", parameter="ebs")
    snapshot_id, volume_id = ebs.get("SnapshotId"), ebs.get("VolumeId")
    if snapshot_id and ids.well_formed("vol", snapshot_id):  # as old OpenStack scripts name an existing volume
        snapshot_id, volume_id = None, snapshot_id
    for prefix, text in (("snap", snapshot_id), ("vol", volume_id)):
        if text and not ids.well_formed(prefix, text):
            raise errors.Malformed("malformed-id", kind=ids.KINDS[prefix], id=text, parameter=f"{ids.KINDS[prefix]}Id")
    if snapshot_id and volume_id:
        raise errors.Conflict("mapping-invalid", message=f"Both a snapshot and a volume are given for {device}")
    if ebs.get("KmsKeyId") and not ebs.get("Encrypted"):
        raise errors.Conflict("parameter-dependency", parameter="KmsKeyId", other="Encrypted")
    return Line(
        device,
        snapshot_id=snapshot_id or None,
        volume_id=volume_id or None,
        size=ebs.get("VolumeSize"),
        type=ebs.get("VolumeType"),
        iops=ebs.get("Iops"),
        throughput=ebs.get("Throughput"),
        delete_on_termination=ebs.get("DeleteOnTermination"),
        encrypted=ebs.get("Encrypted"),
        rate=ebs.get("VolumeInitializationRate"),
    )


def to_ec2(line: Line) -> dict[str, Any]:
    """A line of an image as EC2 shows it: instance-store lines have no Ebs (DescribeImages)."""
    if line.no_device:
        return {"DeviceName": line.device, "NoDevice": ""}
    if line.virtual:
        return {"DeviceName": line.device, "VirtualName": line.virtual}
    ebs = {
        "DeleteOnTermination": line.delete_on_termination,
        "Iops": line.iops,
        "SnapshotId": line.snapshot_id,
        "VolumeId": line.volume_id,
        "VolumeSize": line.size,
        "VolumeType": line.type,
        "Throughput": line.throughput,
        "Encrypted": None if line.volume_id else bool(line.encrypted),
    }
    return {"DeviceName": line.device, "Ebs": {name: value for name, value in ebs.items() if value is not None}}


# -- settling -------------------------------------------------------------------------------------------------------------------


def sources(lines: Iterable[Line]) -> tuple[str, ...]:
    """The snapshots and volumes that the lines name; the caller looks them up for `register` and `resolve`."""
    return tuple(dict.fromkeys(name for line in lines if line.ebs for name in (line.snapshot_id, line.volume_id) if name))


def register(
    lines: Sequence[Line], root_device_name: str, found: Mapping[str, Source], virtualization: str = "hvm"
) -> tuple[Line, ...]:
    """The lines of an image to be stored: sizes and types filled in, `no_device` lines dropped. Raises as RegisterImage does."""
    if not _ROOT.fullmatch(root_device_name):
        raise errors.Malformed("mapping-device-invalid", device=root_device_name[:64])
    kept = [line for line in lines if not line.no_device]
    _check_devices(kept, root_device_name, virtualization)
    root = root_of(kept, root_device_name)
    if root is None or not root.ebs:
        raise errors.Invalid("image-root-unmapped", device=root_device_name)
    if not (root.snapshot_id or root.volume_id):
        raise errors.Invalid("mapping-invalid", message=f"The root device {root_device_name} does not have a snapshot")
    settled = settle(kept, found)
    if root.type:
        _check_bootable(root.type)
    return settled


def settle(lines: Sequence[Line], found: Mapping[str, Source]) -> tuple[Line, ...]:
    """An image's lines with everything filled in that DescribeImages shows: size, type, delete flag, encryption."""
    bare = [line.device for line in lines if line.ebs and not (line.size or line.snapshot_id or line.volume_id)]
    if bare:
        raise errors.Missing("mapping-no-size", devices=", ".join(bare))
    return tuple(_settle(line, found) if line.ebs else line for line in lines)


def _settle(line: Line, found: Mapping[str, Source]) -> Line:
    if line.encrypted is not None and line.snapshot_id:
        raise errors.Invalid("mapping-encrypted-snapshot")
    line = replace(line, delete_on_termination=_delete_by_default(line))
    if line.volume_id:
        _check_as_it_is(line, found)
        return replace(line, size=found[line.volume_id].size)
    shape = _shape(line, found)
    return replace(
        line,
        size=shape.size,
        type=shape.type,
        iops=shape.iops if shape.type != "gp2" else None,  # gp2's follow from its size and cannot be named
        throughput=shape.throughput,
        encrypted=found[line.snapshot_id].encrypted if line.snapshot_id else bool(line.encrypted),
    )


def merge(image: Sequence[Line], asked: Sequence[Line], root_device_name: str) -> tuple[Line, ...]:
    """An image's lines with a request's applied by device name (User Guide: "you can override the mapping at launch").

    Raises where the root's source is touched, or a snapshot is put over an instance-store device.
    """
    # How large a volume was when it came into the image is not how large it is.
    merged: dict[str, Line] = {short(line.device): replace(line, size=None) if line.volume_id else line for line in image}
    root_line = root_of(image, root_device_name)
    root_key = short(root_line.device) if root_line else None
    for line in asked:
        key = short(line.device)
        if key not in merged and root_key and is_root(line.device, root_device_name):
            key = root_key
        known, root = merged.get(key), key == root_key
        if known is None:
            merged[key] = line
        elif line.no_device:
            if root:
                raise errors.Invalid("mapping-root-removed", device=line.device)
            merged[key] = line
        elif line.virtual:
            if root:
                raise errors.Invalid("mapping-invalid", message=f"The root device {line.device} must be an EBS volume")
            merged[key] = line
        elif known.virtual or known.no_device:
            if line.snapshot_id or line.volume_id:
                raise errors.Invalid("mapping-ephemeral-snapshot")
            merged[key] = line
        else:
            merged[key] = _override(known, line, root)
    return tuple(line for line in merged.values() if not line.no_device)


def _override(known: Line, line: Line, root: bool) -> Line:
    if line.volume_id and line.volume_id != known.volume_id:
        return replace(line, device=known.device if root else line.device)  # our extension: boot from a volume that is there
    if line.snapshot_id and line.snapshot_id != known.snapshot_id:
        if root:
            raise errors.Invalid("mapping-root-snapshot")
        return line
    said = {
        field.name: value for field in fields(Line) if (value := getattr(line, field.name)) is not None and field.name != "device"
    }
    if line.type and line.type != known.type:  # another type has other IOPS; the image's do not carry over
        said = {"iops": None, "throughput": None} | said
    # The root's name stays the image's: clients find the root volume by it.
    return replace(known, device=known.device if root else line.device, **said)


def resolve(
    image: Sequence[Line],
    asked: Sequence[Line],
    root_device_name: str,
    look_up: Callable[[Sequence[str]], Mapping[str, Source]],
    *,
    virtualization: str = "hvm",
    storage: Sequence[int] = (),
    most_volumes: int = 28,
) -> tuple[tuple[Volume, ...], tuple[Scratch, ...]]:
    """The disks of a launch: EBS volumes, the root first with slot 0, and instance-store disks.

    `storage` are the GiB of the instance type's own disks: `ephemeralN` beyond them is dropped without a word, as on EC2.
    `look_up` gives what the named snapshots and volumes are, or raises NotFound.
    """
    _check_devices(asked, root_device_name, virtualization)
    lines = merge(image, asked, root_device_name)
    found = look_up(sources(lines))
    root = root_of(lines, root_device_name)
    lines = tuple(sorted(lines, key=lambda line: line is not root))
    volumes: list[Volume] = []
    scratch: list[Scratch] = []
    for line in lines:
        slot = len(volumes) + len(scratch)
        if line.virtual:
            size = _scratch_size(line.virtual, storage)
            if size:
                scratch.append(Scratch(line.device, slot, line.virtual, size))
        elif line.volume_id:
            _check_as_it_is(line, found)
            volumes.append(Volume(line.device, slot, _delete_by_default(line), volume_id=line.volume_id))
        else:
            shape = _shape(line, found)
            if slot == 0:
                _check_bootable(shape.type)
            source = found.get(line.snapshot_id or "")
            volumes.append(
                Volume(
                    line.device,
                    slot,
                    _delete_by_default(line),
                    snapshot_id=line.snapshot_id,
                    shape=shape,
                    encrypted=bool(line.encrypted or (source and source.encrypted)),
                    rate=line.rate,
                )
            )
    if len(volumes) > most_volumes:
        raise errors.LimitExceeded("mapping-too-many-volumes", maximum=most_volumes)
    return tuple(volumes), tuple(scratch)


def for_new_image(
    current: Sequence[Line], asked: Sequence[Line], root_device_name: str, virtualization: str = "hvm"
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """CreateImage: (the instance's own devices to be snapshotted, further lines of the request).

    `current` are the instance's EBS volumes (with `volume_id`, current size and type) and its image's ephemeral lines. Of an
    existing volume a request may change the delete flag or leave it out with NoDevice; all else stays.
    """
    _check_devices(asked, root_device_name, virtualization)
    kept: dict[str, Line] = {short(line.device): line for line in current}
    added: list[Line] = []
    for line in asked:
        known = kept.get(short(line.device))
        if known is None:
            if not line.no_device:
                added.append(line)
        elif line.no_device:
            if is_root(line.device, root_device_name):
                raise errors.Invalid("mapping-root-removed", device=line.device)
            del kept[short(line.device)]
        elif known.virtual:
            del kept[short(line.device)]
            added.append(line)
        elif line.virtual or line.snapshot_id or line.volume_id or line.encrypted is not None or _reshapes(line, known):
            raise errors.Invalid("mapping-invalid", message=f"Only DeleteOnTermination can be changed for {line.device}")
        elif line.delete_on_termination is not None:
            kept[short(line.device)] = replace(known, delete_on_termination=line.delete_on_termination)
    return tuple(kept.values()), tuple(added)


def _reshapes(line: Line, known: Line) -> bool:
    shape = ("size", "type", "iops", "throughput")
    return any(getattr(line, name) not in (None, getattr(known, name)) for name in shape)


def _delete_by_default(line: Line) -> bool:
    # A volume made by the launch goes with the instance; a volume the caller already had is the caller's.
    return line.delete_on_termination if line.delete_on_termination is not None else line.volume_id is None


def _check_devices(lines: Iterable[Line], root_device_name: str, virtualization: str) -> None:
    for line in lines:
        if not valid_device(line.device, virtualization) and not same(line.device, root_device_name):
            raise errors.Malformed("mapping-device-invalid", device=line.device)


def _check_as_it_is(line: Line, found: Mapping[str, Source]) -> None:
    same_size = line.size in (None, found[line.volume_id or ""].size)
    numbers = line.iops, line.throughput, line.rate
    if not same_size or line.type or line.encrypted or any(number is not None for number in numbers):
        raise errors.Conflict("mapping-invalid", message=f"Only DeleteOnTermination can be changed for {line.device}")


def _check_bootable(type_name: str) -> None:
    if not volume_types.TYPES[type_name].bootable:
        raise errors.Invalid("mapping-invalid", message=f"A volume of type {type_name} cannot be a root device")


def _shape(line: Line, found: Mapping[str, Source]) -> volume_types.Shape:
    source = found[line.snapshot_id] if line.snapshot_id else None
    size = line.size if line.size is not None else source.size if source else None
    if size is None:
        raise errors.Missing("mapping-size-missing", devices=line.device)
    if source and size < source.size:
        raise errors.Invalid("mapping-size-below-snapshot", size=size, snapshot=line.snapshot_id, minimum=source.size)
    return volume_types.shape(line.type, size, line.iops, line.throughput)


def _scratch_size(virtual: str, storage: Sequence[int]) -> int | None:
    if virtual == SWAP:
        return SWAP_GIB if storage else None
    index = int(virtual.removeprefix("ephemeral"))
    return storage[index] if index < len(storage) else None
