"""Doing a step: the host first, then the record. Both may be done again, so a process killed between them does no harm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ec2gw.backend.images import whole_gib
from ec2gw.backend.ports import Disk, HostError, Hypervisor, Machine, SourceError, VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.cloud import images, imports, instances, root_volumes, snapshots, uploads, volumes
from ec2gw.engine import steps
from ec2gw.engine.importer import Importer
from ec2gw.engine.steps import Step
from ec2gw.model.volume_types import GIB
from ec2gw.state import records
from ec2gw.state.session import Database

Done = Callable[[Step], None]


class Performer:
    """The engine's hands: the database, the stores by zone, the hypervisor, what was received of uploads, and the importer's.

    `halfway(step)` is called when the host's part of a step is done and the record does not say so yet.
    """

    def __init__(
        self,
        database: Database,
        stores: Mapping[str, VolumeStore],
        hypervisor: Hypervisor,
        staging: Staging,
        importer: Importer,
        halfway: Done,
    ) -> None:
        self._database = database
        self._stores = stores
        self._hypervisor = hypervisor
        self._staging = staging
        self._importer = importer
        self._halfway = halfway
        # Where a volume's bytes are may change with a snapshot of it: nobody may start or plug with what was true before.
        self._sources = threading.Lock()

    def do(self, step: Step) -> None:
        """Do one step. Raises ports.HostError where the host cannot now."""
        match step:
            case steps.CreateVolume(volume, zone, size, origin):
                self._stores[zone].create(volume, size, origin)
                self._note(step, volumes.created, volume)
            case steps.GrowVolume(volume, zone, size):
                self._grow(volume, zone, size)
                self._note(step, volumes.grown, volume)
            case steps.NoteOptimized(volume):
                self._note(step, volumes.optimized, volume)
            case steps.RemoveVolume(volume, zone):
                self._stores[zone].remove(volume)
                self._note(step, volumes.removed, volume)
            case steps.CutSnapshot(snapshot, volume, zone):
                self._cut(snapshot, volume, zone)
                self._note(step, snapshots.was_cut, snapshot)
            case steps.CutSet():
                self._cut_set(step)
            case steps.CopySnapshot(snapshot, origin, zone):
                self._stores[zone].copy(origin, snapshot)
                self._note(step, snapshots.was_cut, snapshot)
            case steps.AssembleSnapshot():
                self._assemble(step)
            case steps.TimeOutUpload(snapshot):
                self._note(step, uploads.timed_out, snapshot)
            case steps.ClearUpload(snapshot):
                self._staging.remove(snapshot)
                self._note(step, uploads.cleared, snapshot)
            case steps.CompleteSnapshot(snapshot, zone):
                self._stores[zone].settle(snapshot)
                self._note(step, snapshots.completed, snapshot)
            case steps.RemoveSnapshot(snapshot, zone, half_cut):
                with self._sources:
                    if half_cut:
                        self._follow(half_cut, zone)
                    self._stores[zone].remove(snapshot)
                self._note(step, snapshots.removed, snapshot)
            case steps.SettleImage(image):
                self._note(step, images.settle, image)
            case steps.FetchImage(task, part):
                info, size = self._importer.fetch(step)
                self._note(step, imports.fetched, task, part, info.format, size, whole_gib(info.virtual_size) // GIB)
            case steps.FillSnapshot(task, part):
                self._importer.fill(step)
                self._note(step, imports.filled, task, part)
            case steps.FinishImport(task):
                self._importer.tidy(task)
                self._note(step, imports.finish, task)
            case steps.NoteImportFailed(task, reason):
                self._note(step, imports.failed, task, reason)
            case steps.EndImport(task):
                self._importer.tidy(task)
                self._note(step, imports.removed, task)
            case steps.ForgetImport(task):
                self._note(step, imports.forget, task)
            case steps.Start():
                self._start(step)
            case steps.NoteStarted(instance, disks):
                self._note(step, instances.started, instance, disks)
            case steps.NoteFailed(instance):
                self._note(step, instances.failed, instance, instances.BAD_VOLUME)
            case steps.NoteReachable(instance):
                self._note(step, instances.reachable, instance)
            case steps.NoteHalted(instance, by_guest):
                self._note(step, instances.halted, instance, by_guest=by_guest)
            case steps.PressButton(instance):
                self._hypervisor.press_power_button(instance)
            case steps.PowerOff(instance):
                self._hypervisor.power_off(instance)
            case steps.Resume(instance):
                with self._sources:  # a machine that is paused for a cut runs on when that is done
                    self._hypervisor.resume(instance)
            case steps.Plug(instance, place):
                with self._sources:
                    self._hypervisor.plug(instance, self._disk(place))
                self._note(step, volumes.plugged, place.disk)
            case steps.NotePlugged(volume):
                self._note(step, volumes.plugged, volume)
            case steps.Unplug(instance, leaving, forced):
                for volume in leaving:
                    self._hypervisor.unplug(instance, volume, force=volume in forced)
            case steps.NoteWithheld(volume):
                self._note(step, volumes.withheld, volume)
            case steps.NoteUnplugged(volume):
                self._note(step, volumes.unplugged, volume)
            case steps.NoteRootReady(task):
                self._note(step, root_volumes.ready, task)
            case steps.NoteRootFailed(task):
                self._note(step, root_volumes.failed, task)
            case steps.SwapRoot(task):
                self._note(step, root_volumes.swap, task)
            case steps.NoteRootReplaced(task):
                self._note(step, root_volumes.replaced, task)
            case steps.NoteStopped(instance, scratch):
                self._remove_scratch(scratch)
                self._note(step, instances.stopped, instance)
            case steps.RemoveMachine(instance):
                self.listen(instance)
                self._hypervisor.remove(instance)
            case steps.NoteEnded(instance, scratch):
                self._remove_scratch(scratch)
                self._note(step, instances.ended, instance)
            case steps.Forget(instance):
                self._note(step, instances.forget, instance)
            case _:
                raise AssertionError(f"no hand for {step}")

    def give_up(self, id: str, state: str, step: Step | None, trouble: HostError) -> None:
        """The host will not do it: say so in the record, where the record can say so. What is to go is tried on and on, and so is
        what has run.
        """
        with self._database.write() as tx:
            match id.split("-")[0], state:
                case "vol", "creating":
                    volumes.failed(tx, id)
                case "vol", "available" | "in-use":
                    volumes.not_grown(tx, id, str(trouble))
                case "snap", "pending":
                    snapshots.failed(tx, id, str(trouble))
                case "i", "pending":
                    instances.failed(tx, id, instances.BY_HOST)
                case "i", "running" if isinstance(step, steps.Start):
                    instances.unreachable(tx, id)
                    root_volumes.unbootable(tx, id)
                case "import", "active":
                    imports.failed(tx, id, str(trouble), theirs=isinstance(trouble, SourceError))

    def listen(self, instance: str) -> None:
        """Write down the newest console text of an instance. A machine that has gone has none, and what is known of it stays."""
        text = self._hypervisor.console(instance)
        if text:
            with self._database.write() as tx:
                instances.heard(tx, instance, text)

    def watch(self, instance: str, *, wake: bool) -> None:
        """Write down what an instance's screen shows. Raises ports.HostError, and then no picture is left."""
        try:
            picture = self._hypervisor.screenshot(instance, wake=wake)
        except HostError:
            with self._database.write() as tx:
                instances.sees_nothing(tx, instance)
            raise
        with self._database.write() as tx:
            instances.saw(tx, instance, picture)

    def sweep(self) -> None:
        """Forget blocks that came for a snapshot after its own had been cleared away."""
        there = self._staging.snapshots()
        if there:
            with self._database.read() as tx:
                strays = there - uploads.staged(tx)
            for snapshot in strays:
                self._staging.remove(snapshot)

    def _note(self, step: Step, fact: Callable[..., object], *words: object, **more: object) -> None:
        self._halfway(step)
        with self._database.write() as tx:
            fact(tx, *words, **more)

    def _cut(self, snapshot: str, volume: str, zone: str) -> None:
        with self._sources:
            self._stores[zone].snapshot(volume, snapshot)
            self._follow(volume, zone)

    def _follow(self, volume: str, zone: str) -> None:
        """Have the volume's machine write where the store has the volume: a cut may have been left half done."""
        for instance, slot in self._machine_of(volume):
            self._hypervisor.switch(instance, [self._disk(steps.Place(volume, zone, slot))])

    def _cut_set(self, step: steps.CutSet) -> None:
        """Several volumes at one instant: their machine stands still meanwhile, so that no write falls between two cuts.

        A snapshot that a killed process left is of another instant, and is taken anew. Nobody else may cut or note a part of the
        set, so the record is written under the lock as well.
        """
        with self._sources:
            with self._database.read() as tx:
                parts = [(row.id, str(row.origin), row.zone) for row in tx.db.scalars(snapshots.uncut(step.set_id))]
            for snapshot, _, zone in parts:
                self._stores[zone].remove(snapshot)
            machines: dict[str, list[steps.Place]] = {}
            for _, volume, zone in parts:
                for instance, slot in self._machine_of(volume):
                    machines.setdefault(instance, []).append(steps.Place(volume, zone, slot))
            try:
                for instance in machines:
                    self._hypervisor.pause(instance)
                for snapshot, volume, zone in parts:
                    self._stores[zone].snapshot(volume, snapshot)
                for instance, places in machines.items():
                    self._hypervisor.switch(instance, [self._disk(place) for place in places])
            finally:
                for instance in machines:
                    self._hypervisor.resume(instance)
            self._note(step, snapshots.set_was_cut, [snapshot for snapshot, _, _ in parts])

    def _assemble(self, step: steps.AssembleSnapshot) -> None:
        with self._database.read() as tx:
            wrong = uploads.mismatch(tx, step.snapshot)
        if wrong is not None:
            self._note(step, snapshots.failed, step.snapshot, wrong)
            return
        self._stores[step.zone].assemble(step.snapshot, step.size, step.parent, self._received(step.snapshot))
        self._note(step, snapshots.was_cut, step.snapshot)

    def _received(self, snapshot: str) -> Iterator[tuple[int, Path]]:
        """The blocks of an upload, and where in the snapshot each goes."""
        after = -1
        while True:
            with self._database.read() as tx:
                some = uploads.blocks(tx, snapshot, after)
            if not some:
                return
            for block in some:
                yield block.number * uploads.BLOCK, self._staging.path(snapshot, block.number, block.checksum)
            after = some[-1].number

    def _grow(self, volume: str, zone: str, size: int) -> None:
        with self._sources:
            self._follow(volume, zone)
            self._stores[zone].grow(volume, size)
            for instance, _ in self._machine_of(volume):
                self._hypervisor.resize(instance, volume, size)
            # What was left to a machine that has gone off meanwhile is done now; otherwise there is nothing to do.
            self._stores[zone].grow(volume, size)

    def _machine_of(self, volume: str) -> Iterator[tuple[str, int]]:
        """The machine that has the volume plugged now, and its place there; nothing where none has."""
        with self._database.read() as tx:
            row = tx.db.get(records.Attachment, volume)
            where = (row.instance_id, row.slot) if row else None
        if where is not None:
            domain = self._hypervisor.observe(where[0])
            if domain is not None and domain.state != "off" and volume in domain.disks:
                yield where

    def _start(self, step: steps.Start) -> None:
        for scratch in step.scratch:
            self._stores[scratch.place.zone].create(scratch.place.disk, scratch.size)
        with self._sources:
            disks = tuple(self._disk(place) for place in (*step.volumes, *(scratch.place for scratch in step.scratch)))
            self._hypervisor.start(Machine(step.instance, step.generation, step.vcpus, step.memory_mib, disks))

    def _disk(self, place: steps.Place) -> Disk:
        return Disk(place.disk, self._stores[place.zone].source(place.disk), place.slot)

    def _remove_scratch(self, scratch: Iterable[steps.Scratch]) -> None:
        for disk in scratch:
            self._stores[disk.place.zone].remove(disk.place.disk)
