"""Reads disk images that people bring: what they are, and their bytes into a store; it must not know where stores keep disks.

An image is hostile until shown otherwise: a qcow2 may name any file of the host as its backing or data file, a vmdk as its
extents.
"""

from __future__ import annotations

import json
import re
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2gw.backend import command, ports
from ec2gw.model import errors

# The formats that EC2's VM Import knows, by qemu-img's names, and qcow2.
FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")
LARGEST = 64 << 40  # bytes; the largest volume EC2 has
GIB = 1 << 30

_MEMORY = 4 * GIB
_PROGRESS = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")
# What qemu takes for a vmdk descriptor, a text that names extents: comments and empty lines, then the version.
_VMDK_DESCRIPTOR = re.compile(rb"(?:[^\S\n]*(?:#[^\n]*)?\n)*version=")
_QCOW2_DATA_FILE_BIT = 1 << 2
# What `qemu-img check` can look through, and its status for space that is taken but not used, which does no harm.
_CHECKED = ("qcow2", "vmdk", "vhdx", "vdi")
_LEAKS = 3


@dataclass(frozen=True)
class ImageInfo:
    """`format` is one of FORMATS; `virtual_size` is in bytes, as the image says it."""

    format: str
    virtual_size: int


def whole_gib(size: int) -> int:
    """The size in bytes of a volume that holds `size` bytes: whole GiB, at least one."""
    return max(1, -(-size // GIB)) * GIB


def inspect(path: Path, image_format: str | None = None) -> ImageInfo:
    """What the image file `path` is; `image_format` (one of FORMATS) is believed when given, else found out.

    Raises `errors.Invalid("image-unreadable", path=…, detail=…)` for what is no plain self-contained disk image, and HostError
    when qemu-img itself is missing.
    """
    path = path.absolute()
    if image_format is not None and image_format not in FORMATS:
        raise _unreadable(path, f"format {image_format} is not one of {', '.join(FORMATS)}")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "it is not a regular file")
        with path.open("rb") as file:
            _refuse_outside_files(path, image_format, file.read(2048))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    asked = ["-f", image_format] if image_format else []
    try:
        report = command.run(
            ["qemu-img", "info", "--output=json", *asked, str(path)],
            timeout=60,
            with_parent=True,
            limits={"as": _MEMORY, "cpu": 30},
        )
    except command.CommandFailed as error:
        raise _unreadable(path, error.stderr or str(error)) from error
    facts: dict[str, Any] = json.loads(report)
    found, size = str(facts["format"]), int(facts["virtual-size"])
    if found not in FORMATS:
        raise _unreadable(path, f"format {found} is not one of {', '.join(FORMATS)}")
    if facts.get("backing-filename") or facts.get("full-backing-filename"):
        raise _unreadable(path, "it needs a backing file; make it self-contained with `qemu-img convert`")
    if facts.get("encrypted"):
        raise _unreadable(path, "it is encrypted")
    special = facts.get("format-specific", {}).get("data", {})
    if special.get("data-file") or any(extent["filename"] != str(path) for extent in special.get("extents", [])):
        raise _unreadable(path, "its data is in other files; make it self-contained with `qemu-img convert`")
    if not 0 < size <= LARGEST:
        raise _unreadable(path, f"its size of {size} bytes is not between 1 byte and 64 TiB")
    if found in _CHECKED:
        _refuse_damaged(path, found)
    return ImageInfo(found, size)


def accepted(path: Path, image_format: str | None) -> ImageInfo:
    """`inspect` for a store: what is refused there is a final SourceError here, which does not tell where the file is."""
    try:
        return inspect(path, image_format)
    except errors.Refusal as refusal:
        detail = str(refusal.facts["detail"]).replace(str(path.absolute()), "the image")
        raise ports.SourceError(f"the image cannot be read: {detail}", final=True) from refusal


def convert(
    image: Path, info: ImageInfo, target: Path, target_format: str, progress: Callable[[float], None], *, existing: bool = False
) -> None:
    """Write the content of `image`, which was `accepted` as `info`, to `target` and flush it there.

    `progress` hears percents from 0 to 100. `existing`: the target is there, big enough and reads as zeros (a block device).
    """

    def hear(piece: bytes) -> None:
        percents = _PROGRESS.findall(piece)
        if percents:
            progress(float(percents[-1]))

    onto = ["-n", "--target-is-zero"] if existing else []
    options = ["-p", "-t", "writeback", *onto, "-f", info.format, "-O", target_format]
    command.run(
        ["qemu-img", "convert", *options, str(image.absolute()), str(target)],
        timeout=24 * 3600,
        hear=hear,
        with_parent=True,
        limits={"as": _MEMORY},
    )


def _refuse_damaged(path: Path, image_format: str) -> None:
    """Refuse what has lost a part: qemu-img reads blocks beyond the end of the file as zeros, and says nothing."""
    try:
        command.run(
            ["qemu-img", "check", "-q", "-f", image_format, str(path)],
            timeout=600,
            with_parent=True,
            limits={"as": _MEMORY, "cpu": 300},
        )
    except command.CommandFailed as error:
        if error.status != _LEAKS:
            first = error.stderr.splitlines()[0] if error.stderr else str(error)
            raise _unreadable(path, f"it is damaged or cut off: {first}") from error


def _refuse_outside_files(path: Path, image_format: str | None, head: bytes) -> None:
    """Refuse by the header alone what would make qemu-img open other files merely to tell what the image is."""
    if head.startswith(b"QFI\xfb") and len(head) >= 104:
        version, backing_offset = struct.unpack_from(">IQ", head, 4)
        features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
        if backing_offset:
            raise _unreadable(path, "it needs a backing file; make it self-contained with `qemu-img convert`")
        if features & _QCOW2_DATA_FILE_BIT:
            raise _unreadable(path, "its data is in another file; make it self-contained with `qemu-img convert`")
    sparse_vmdk = head.startswith((b"KDMV", b"COWD"))
    # A sparse vmdk of capacity 0 is a mere carrier of a descriptor.
    carrier = head.startswith(b"KDMV") and len(head) >= 20 and struct.unpack_from("<Q", head, 12)[0] == 0
    if carrier or _VMDK_DESCRIPTOR.match(head) or (image_format == "vmdk" and not sparse_vmdk):
        raise _unreadable(path, "its data is in other files; make it self-contained with `qemu-img convert`")


def _unreadable(path: Path, detail: str) -> errors.Invalid:
    return errors.Invalid("image-unreadable", path=str(path), detail=detail)
