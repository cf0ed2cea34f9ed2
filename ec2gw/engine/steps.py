"""What the engine can do next, as plain data. `plan` chooses a step, `perform` does it.

`wait` is how long the engine then lets the record rest, in seconds: what was asked of a guest takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """The base of all steps; `name` is for logs and metrics."""

    wait: float = field(default=0.0, kw_only=True)

    @property
    def name(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class Place:
    """A disk's place in a machine: the store's name of it, the zone whose store has it, the slot."""

    disk: str
    zone: str
    slot: int


@dataclass(frozen=True)
class Scratch:
    """An instance-store disk: it is made when its machine starts. `size` is bytes."""

    place: Place
    size: int


# -- volumes and snapshots --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateVolume(Step):
    volume: str
    zone: str
    size: int
    origin: str | None


@dataclass(frozen=True)
class GrowVolume(Step):
    """Make a volume as large as its modification says, in its machine too; `size` is bytes, and may be what it is already."""

    volume: str
    zone: str
    size: int


@dataclass(frozen=True)
class NoteOptimized(Step):
    volume: str


@dataclass(frozen=True)
class RemoveVolume(Step):
    volume: str
    zone: str


@dataclass(frozen=True)
class CutSnapshot(Step):
    snapshot: str
    volume: str
    zone: str


@dataclass(frozen=True)
class CutSet(Step):
    """Cut all snapshots of a set that are not cut yet, at one instant."""

    set_id: str


@dataclass(frozen=True)
class CopySnapshot(Step):
    snapshot: str
    origin: str
    zone: str


@dataclass(frozen=True)
class AssembleSnapshot(Step):
    """Make a snapshot of the blocks that were received for it, over its parent; `size` is bytes."""

    snapshot: str
    zone: str
    size: int
    parent: str | None


@dataclass(frozen=True)
class TimeOutUpload(Step):
    snapshot: str


@dataclass(frozen=True)
class ClearUpload(Step):
    """Forget the blocks that were received: they are in the snapshot, or will never be."""

    snapshot: str


@dataclass(frozen=True)
class CompleteSnapshot(Step):
    snapshot: str
    zone: str


@dataclass(frozen=True)
class RemoveSnapshot(Step):
    """`half_cut`: the volume of a snapshot that nobody knows to have been cut, or to have been cut in part."""

    snapshot: str
    zone: str
    half_cut: str | None = None


@dataclass(frozen=True)
class SettleImage(Step):
    image: str


# -- imports ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FetchImage(Step):
    """Have the disk image of a part of an import here. `format` is qemu-img's; None where it is to be found out."""

    task: str
    part: int
    url: str
    format: str | None


@dataclass(frozen=True)
class FillSnapshot(Step):
    """Make the snapshot of a part whose disk image has been fetched."""

    task: str
    part: int
    url: str
    format: str
    snapshot: str
    zone: str


@dataclass(frozen=True)
class FinishImport(Step):
    task: str


@dataclass(frozen=True)
class NoteImportFailed(Step):
    task: str
    reason: str


@dataclass(frozen=True)
class EndImport(Step):
    task: str


@dataclass(frozen=True)
class ForgetImport(Step):
    task: str


# -- instances ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start(Step):
    instance: str
    generation: int
    vcpus: int
    memory_mib: int
    volumes: tuple[Place, ...]
    scratch: tuple[Scratch, ...]


@dataclass(frozen=True)
class NoteStarted(Step):
    instance: str
    disks: frozenset[str]


@dataclass(frozen=True)
class NoteFailed(Step):
    instance: str


@dataclass(frozen=True)
class NoteReachable(Step):
    instance: str


@dataclass(frozen=True)
class NoteHalted(Step):
    instance: str
    by_guest: bool


@dataclass(frozen=True)
class PressButton(Step):
    instance: str


@dataclass(frozen=True)
class PowerOff(Step):
    instance: str


@dataclass(frozen=True)
class Resume(Step):
    instance: str


@dataclass(frozen=True)
class Plug(Step):
    instance: str
    place: Place


@dataclass(frozen=True)
class NotePlugged(Step):
    volume: str


@dataclass(frozen=True)
class Unplug(Step):
    """Ask for all disks that are to leave, `forced` ones among them: a disk that is never given back must not hide another."""

    instance: str
    volumes: tuple[str, ...]
    forced: frozenset[str]


@dataclass(frozen=True)
class NoteWithheld(Step):
    volume: str


@dataclass(frozen=True)
class NoteUnplugged(Step):
    volume: str


@dataclass(frozen=True)
class NoteRootReady(Step):
    task: str


@dataclass(frozen=True)
class NoteRootFailed(Step):
    task: str


@dataclass(frozen=True)
class SwapRoot(Step):
    """Between two boots: the new root takes the old one's place."""

    task: str


@dataclass(frozen=True)
class NoteRootReplaced(Step):
    task: str


@dataclass(frozen=True)
class NoteStopped(Step):
    instance: str
    scratch: tuple[Scratch, ...]


@dataclass(frozen=True)
class RemoveMachine(Step):
    instance: str


@dataclass(frozen=True)
class NoteEnded(Step):
    instance: str
    scratch: tuple[Scratch, ...]


@dataclass(frozen=True)
class Forget(Step):
    instance: str


@dataclass(frozen=True)
class Rest(Step):
    """Nothing to do for a while."""
