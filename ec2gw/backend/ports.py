"""The two joints to the host: `VolumeStore` and `Hypervisor`, and `Source`, the one joint between them.

Every verb is blocking, safe to repeat (done twice is done once) and names things by the record's own id. A verb that cannot be
done raises `HostError`; it never leaves a thing half made under its final name. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol


class HostError(Exception):
    """The host could not do it now. `final` says that trying again cannot help (no space, an unreadable disk)."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class SourceError(HostError):
    """The trouble is with what was brought, or where it was to come from, and not with this host."""


# -- Source: where a volume's bytes are, as a hypervisor opens them ------------------------------------------------------


@dataclass(frozen=True)
class BlockDevice:
    """A host block device holding raw bytes (an LVM logical volume)."""

    path: Path


@dataclass(frozen=True)
class DiskFile:
    """A file on the host. `format` is `raw` or `qcow2`."""

    path: Path
    format: Literal["raw", "qcow2"]


Source = BlockDevice | DiskFile


@dataclass(frozen=True)
class Extent:
    """A run of a disk's bytes that are written: `length` of them from `start`, at `offset` of the file or device `path`.

    `inode` is that of `path` when it was looked at: behind another one the bytes may lie elsewhere. `home` is the place where the
    bytes are kept in truth, and bytes of the same home are the same.
    """

    start: int
    length: int
    path: Path
    offset: int
    inode: int
    home: tuple[str, int]


# -- Volume store ----------------------------------------------------------------------------------------------------------


class VolumeStore(Protocol):
    """Disks by name: volumes (`vol-…`, writable), snapshots (`snap-…`, frozen) and scratch disks (`eph-…`)."""

    def observe(self) -> Mapping[str, int]:
        """Every disk of this store: name -> virtual size in bytes. A disk half made by a killed process is not shown."""

    def create(self, name: str, size: int, origin: str | None = None) -> None:
        """Make a writable disk of `size` bytes: from the snapshot `origin` in constant time, or reading as zeros.

        Space beyond the origin's end reads as zeros. Nothing is done when `name` exists. `size` below the origin's is refused.
        """

    def snapshot(self, volume: str, name: str) -> None:
        """Freeze what `volume` holds now as the snapshot `name`. Nothing is done when `name` exists.

        The volume's `source()` may be another afterwards; a machine that runs on it must then be told (`Hypervisor.switch`), and
        the point in time is the moment of that switch.
        """

    def copy(self, origin: str, name: str) -> None:
        """Make the snapshot `name` with the content of the snapshot `origin`. Nothing is done when `name` exists."""

    def settle(self, snapshot: str) -> None:
        """After the cut: whatever the store still owes a snapshot before it counts as completed (bounding a layer chain)."""

    def grow(self, name: str, size: int) -> None:
        """Make the volume at least `size` bytes; never shrink. On a volume in use the hypervisor is told by `resize`."""

    def remove(self, name: str) -> None:
        """Forget a disk and give its space back; disks made from it are not touched. Nothing is done when it is gone."""

    def source(self, name: str) -> Source:
        """Where the disk's bytes are now. Raises HostError when it is not there."""

    def fill(self, name: str, image: Path, image_format: str, progress: Callable[[float], None]) -> None:
        """Make the snapshot `name` with the content of the disk image file `image` (`qemu-img`'s format names).

        `progress` hears percents. The virtual size is rounded up to whole GiB. An interrupted fill leaves nothing named `name`.
        """

    def assemble(self, name: str, size: int, origin: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        """Make the snapshot `name` of `size` bytes: what the snapshot `origin` holds, or zeros, with blocks over it.

        A block is a file, all in one folder, with the place where its content goes. Nothing is done when `name` exists; an
        interrupted assembly leaves nothing named `name`. `size` below the origin's is refused.
        """

    def extents(self, snapshot: str) -> Sequence[Extent]:
        """Where the bytes of a snapshot are, in order; what is in none of them reads as zeros."""

    def capacity(self) -> tuple[int, int]:
        """(bytes in all, bytes free) of what backs the store."""


# -- Hypervisor --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Disk:
    """A disk of a machine. `slot` 0 is the boot disk and is `vda` on libvirt; `name` is the store's name of the disk."""

    name: str
    source: Source
    slot: int


@dataclass(frozen=True)
class Machine:
    """All that a hypervisor must know to run an instance. `generation` is the count of boots asked for so far."""

    name: str
    generation: int
    vcpus: int
    memory_mib: int
    disks: tuple[Disk, ...]


@dataclass(frozen=True)
class Domain:
    """What the hypervisor has of a machine. `disks` are the store's names of what is plugged now.

    `generation` is the one it was last started with. `shutdown` says why it is off: `guest` when it powered itself off (or obeyed
    the power button), `host` when it was powered off, `failed` when it died.
    """

    name: str
    generation: int
    state: Literal["running", "paused", "off"]
    disks: frozenset[str] = field(default_factory=frozenset)
    shutdown: Literal["guest", "host", "failed"] | None = None


class Hypervisor(Protocol):
    """Machines by name (the instance id)."""

    def observe(self, name: str) -> Domain | None:
        """One machine, or None when the hypervisor does not know it."""

    def domains(self) -> Mapping[str, Domain]:
        """Every machine of this gateway."""

    def start(self, machine: Machine) -> None:
        """Define the machine afresh and start it. Nothing is done when it already runs with this generation."""

    def press_power_button(self, name: str) -> None:
        """Ask the guest to shut down (ACPI). It may be lost; ask again until the machine is off."""

    def power_off(self, name: str) -> None:
        """End the machine now; it stays known, as off."""

    def pause(self, name: str) -> None:
        """Let a machine stand still, all that its guest has written with its disks. Nothing is done when it does not run."""

    def resume(self, name: str) -> None:
        """Let a paused machine run on. Nothing is done when it is not paused."""

    def remove(self, name: str) -> None:
        """Forget the machine, which must be off, and its console log."""

    def plug(self, name: str, disk: Disk) -> None:
        """Hot-plug a disk into a running machine. Nothing is done when it is plugged."""

    def unplug(self, name: str, disk: str, *, force: bool = False) -> None:
        """Ask the guest to give a disk back. It may be lost; ask again until `observe` no longer shows the disk.

        `force`: a guest in which no operating system listens is made to give it back all the same.
        """

    def switch(self, name: str, disks: Sequence[Disk]) -> None:
        """Let a running machine use the named disks' new sources, all at one instant. Nothing is done where it does already."""

    def resize(self, name: str, disk: str, size: int) -> None:
        """Tell a running machine that a disk is now `size` bytes."""

    def console(self, name: str) -> bytes:
        """The newest 64 KiB of the serial console since the machine was first started; empty when there is none."""

    def screenshot(self, name: str, *, wake: bool = False) -> bytes | None:
        """What the screen of a running machine shows, as a JPEG; None where it has no screen. `wake`: press a key before.

        Raises HostError when it does not run.
        """

    def hints(self, listener: Callable[[str], None]) -> None:
        """Call `listener(name)` from any thread when something happened to a machine. A hint may be lost or come twice."""

    def describe(self) -> str:
        """One line for people: what this is and what it runs machines with."""

    def close(self) -> None:
        """Let go of the hypervisor; machines run on."""
