"""The plan: what is seen leads to which step; and from wherever wishes and mishaps lead, the steps end at the goal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import Domain
from ec2gw.backend.staging import Staging
from ec2gw.cloud import images, instances, root_volumes, snapshots, volumes
from ec2gw.engine import observe, plan, steps
from ec2gw.engine.importer import Importer
from ec2gw.engine.perform import Performer
from ec2gw.engine.steps import Place
from ec2gw.model.bdm import Line
from ec2gw.model.errors import Refusal
from ec2gw.state.records import Attachment, Image, Instance, RootReplacement, Snapshot, Volume, VolumeModification
from tests.cloud.world import ME, PATIENCE, ZONE, ZONES, World
from tests.engine.host import Host

NOW = datetime(2026, 3, 4, tzinfo=UTC)
VM, VOL, DATA, SNAP = "i-0a", "vol-0a", "vol-0b", "snap-0a"
ROOT = observe.Attached(Place(VOL, ZONE, 0), "attached", "in-use", NOW, False)
SECOND = observe.Attached(Place(DATA, ZONE, 1), "attached", "in-use", NOW, False)
THIRD = observe.Attached(Place("vol-0c", ZONE, 2), "attached", "in-use", NOW, False)
SCRATCH = steps.Scratch(Place("eph-0a-ephemeral0", ZONE, 3), 75)
SEEN = observe.Instance(VM, "running", 2, True, NOW, 20, None, 2, 8192, (ROOT,), (SCRATCH,), False)
Step = steps.Step | None


def machine(state: Literal["running", "paused", "off"] = "running", *disks: str, boot: int = 2, why: Any = None) -> Domain:
    return Domain(VM, boot, state, frozenset(disks or (VOL,)), why)


def seen(state: str, *attached: observe.Attached, **more: Any) -> observe.Instance:
    return replace(SEEN, state=state, attached=attached or (ROOT,), **more)


def at(attached: observe.Attached, state: str, **more: Any) -> observe.Attached:
    return replace(attached, state=state, **more)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


TASK = "replacevol-0a"


def task(progress: str, volume: str = "in-use", *, swapped: bool = False, state: str = "running", **more: Any) -> Any:
    return seen(state, replacement=observe.Replacement(TASK, progress, volume, swapped), **more)


START = steps.Start(VM, 2, 2, 8192, (ROOT.place,), (SCRATCH,))


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (observe.Volume(VOL, "creating", ZONE, 5, SNAP, False), steps.CreateVolume(VOL, ZONE, 5, SNAP)),
        (observe.Volume(VOL, "creating", ZONE, 5, None, True), steps.CreateVolume(VOL, ZONE, 5, None)),
        (observe.Volume(VOL, "available", ZONE, 5, None, False), None),
        (observe.Volume(VOL, "in-use", ZONE, 5, None, False), None),
        (observe.Volume(VOL, "error", ZONE, 5, None, False), None),
        (observe.Volume(VOL, "deleting", ZONE, 5, None, False), steps.RemoveVolume(VOL, ZONE)),
        (observe.Volume(VOL, "deleting", ZONE, 5, None, True), None),  # a snapshot of it is yet to be cut
        (observe.Volume(VOL, "available", ZONE, 5, None, False, "modifying", 9), steps.GrowVolume(VOL, ZONE, 9)),
        (observe.Volume(VOL, "in-use", ZONE, 5, None, False, "modifying", 9), steps.GrowVolume(VOL, ZONE, 9)),
        (observe.Volume(VOL, "in-use", ZONE, 5, None, True, "modifying", 9), None),
        (observe.Volume(VOL, "in-use", ZONE, 9, None, True, "optimizing", 9), steps.NoteOptimized(VOL)),
        (observe.Volume(VOL, "in-use", ZONE, 9, None, False, "completed", 9), None),
        (observe.Volume(VOL, "in-use", ZONE, 5, None, False, "failed", 9), None),
        (observe.Volume(VOL, "deleting", ZONE, 5, None, False, "modifying", 9), steps.RemoveVolume(VOL, ZONE)),
    ],
)
def test_volume(seen: observe.Volume, step: Step) -> None:
    assert plan.volume(seen) == step


def snap(state: str, origin: str | None = VOL, *, cut: bool = False, machine: str | None = None, wanted: bool = False) -> Any:
    return observe.Snapshot(SNAP, state, ZONE, origin, cut, machine, wanted)


@pytest.mark.parametrize(
    ("seen", "domain", "step"),
    [
        (snap("pending"), None, steps.CutSnapshot(SNAP, VOL, ZONE)),
        (snap("pending", cut=True), None, steps.CompleteSnapshot(SNAP, ZONE)),
        (snap("pending", "snap-0b"), None, steps.CopySnapshot(SNAP, "snap-0b", ZONE)),
        (snap("pending", "snap-0b", cut=True), None, steps.CompleteSnapshot(SNAP, ZONE)),
        (snap("pending", None), None, None),  # somebody else fills it
        (snap("pending", machine=VM), machine(), steps.Rest(wait=plan.LOOK_AGAIN)),  # at rest it must be
        (snap("pending", machine=VM), machine("paused"), steps.Rest(wait=plan.LOOK_AGAIN)),
        (snap("pending", machine=VM), machine("off"), steps.CutSnapshot(SNAP, VOL, ZONE)),
        (snap("pending", machine=VM), None, steps.CutSnapshot(SNAP, VOL, ZONE)),
        (snap("pending", machine=VM, cut=True), machine(), steps.CompleteSnapshot(SNAP, ZONE)),
        (snap("completed"), None, None),
        (snap("error"), None, None),
        (snap("deleting"), None, steps.RemoveSnapshot(SNAP, ZONE, VOL)),
        (snap("deleting", cut=True), None, steps.RemoveSnapshot(SNAP, ZONE)),
        (snap("deleting", wanted=True), None, None),  # a volume is being made from it
        (replace(snap("pending"), set_id=SNAP, leads=True), machine(), steps.CutSet(SNAP)),
        (replace(snap("pending"), set_id="snap-0b"), machine(), None),  # another has it cut
        (replace(snap("pending", cut=True), set_id=SNAP), machine(), steps.CompleteSnapshot(SNAP, ZONE)),
    ],
)
def test_snapshot(seen: observe.Snapshot, domain: Domain | None, step: Step) -> None:
    assert plan.snapshot(seen, domain, NOW) == step


@pytest.mark.parametrize("state", ["pending", "available", "failed", "deregistered"])
@pytest.mark.parametrize("ready", [False, True])
def test_image(state: str, ready: bool) -> None:
    step = steps.SettleImage("ami-0a") if state == "pending" and ready else None
    assert plan.image(observe.Image("ami-0a", state, ready)) == step


PRESS, OFF = steps.PressButton(VM, wait=plan.ASK_AGAIN), steps.PowerOff(VM)
RESUME = steps.Resume(VM, wait=plan.LOOK_AGAIN)


@pytest.mark.parametrize(
    ("seen", "domain", "now", "step"),
    [
        # -- coming on
        pytest.param(seen("pending"), None, NOW, START, id="a first start"),
        pytest.param(seen("pending"), machine("off", boot=1, why="guest"), NOW, START, id="a later start"),
        pytest.param(
            seen("pending", at(ROOT, "attaching", volume_state="creating")), None, NOW, None, id="its volume is not made"
        ),
        pytest.param(
            seen("pending", at(ROOT, "attaching", volume_state="error")),
            None,
            NOW,
            steps.NoteFailed(VM),
            id="its volume cannot be made",
        ),
        pytest.param(
            seen("pending", at(ROOT, "attaching", volume_state="error"), at(SECOND, "attaching", volume_state="creating")),
            None,
            NOW,
            steps.NoteFailed(VM),
            id="one cannot be made, another is not yet",
        ),
        pytest.param(seen("pending", uncut=True), machine("off", boot=1), NOW, None, id="a snapshot is cut first"),
        pytest.param(
            seen("pending", ROOT, at(SECOND, "detaching")), None, NOW, steps.NoteUnplugged(DATA), id="who leaves, leaves before"
        ),
        pytest.param(seen("pending"), machine(), NOW, steps.NoteStarted(VM, frozenset({VOL})), id="it is on"),
        pytest.param(
            seen("pending"),
            machine("off", why="guest"),
            NOW,
            steps.NoteStarted(VM, frozenset({VOL})),
            id="it was on, and is off again",
        ),
        pytest.param(seen("pending"), machine("paused"), NOW, RESUME, id="on, but paused"),
        # -- on
        pytest.param(seen("running"), machine(), NOW, None, id="all is well"),
        pytest.param(seen("running"), machine("paused"), NOW, RESUME, id="a paused machine runs on"),
        pytest.param(seen("running"), machine("off", why="guest"), NOW, steps.NoteHalted(VM, True), id="the guest powered off"),
        pytest.param(seen("running"), machine("off", why="host"), NOW, steps.NoteHalted(VM, False), id="powered off by the host"),
        pytest.param(seen("running"), machine("off", why="failed"), NOW, steps.NoteHalted(VM, False), id="qemu crashed"),
        pytest.param(seen("running"), None, NOW, START, id="the host has lost it"),
        pytest.param(seen("running", impaired=True), None, NOW, START, id="the host has lost it, and it is tried again"),
        pytest.param(seen("running", impaired=True), machine(), NOW, steps.NoteReachable(VM), id="the host has it again"),
        pytest.param(seen("running", impaired=True), machine("paused"), NOW, RESUME, id="the host has it again, but paused"),
        # -- another boot
        pytest.param(seen("running", boots=3), machine(), NOW, PRESS, id="reboot: an earlier boot goes down"),
        pytest.param(
            seen("running", boots=3), machine(), after(19), steps.PressButton(VM, wait=1.0), id="the last press before time is up"
        ),
        pytest.param(seen("running", boots=3), machine(), after(20), OFF, id="reboot of a guest that does not obey"),
        pytest.param(
            seen("running", boots=3), machine("off", why="guest"), NOW, replace(START, generation=3), id="reboot: the next boot"
        ),
        pytest.param(
            seen("running", boots=3, uncut=True), machine("off"), NOW, None, id="reboot for an image: the cut comes first"
        ),
        pytest.param(seen("running", boots=3, uncut=True), machine(), NOW, PRESS, id="reboot for an image: going down"),
        pytest.param(seen("running", boots=1), machine(boot=2), NOW, None, id="a later boot than was asked for is good too"),
        # -- another root
        pytest.param(task("pending", "creating"), machine(), NOW, None, id="the new root is not made"),
        pytest.param(task("pending", "in-use"), machine(), NOW, steps.NoteRootReady(TASK), id="the new root is made"),
        pytest.param(task("pending", "error"), machine(), NOW, steps.NoteRootFailed(TASK), id="the new root cannot be made"),
        pytest.param(task("in-progress", boots=3), machine(), NOW, PRESS, id="down with the boot of the old root"),
        pytest.param(task("in-progress", boots=3), machine("off"), NOW, steps.SwapRoot(TASK), id="the roots change places"),
        pytest.param(task("in-progress", boots=3, uncut=True), machine("off"), NOW, None, id="the old root is cut first"),
        pytest.param(
            task("in-progress", swapped=True, boots=3), machine("off"), NOW, replace(START, generation=3), id="up on the new root"
        ),
        pytest.param(
            task("in-progress", swapped=True), machine(), NOW, steps.NoteRootReplaced(TASK), id="it runs on the new root"
        ),
        pytest.param(
            task("in-progress", state="stopping"), machine("off"), NOW, steps.SwapRoot(TASK), id="a stop is as good as a reboot"
        ),
        pytest.param(
            task("in-progress", swapped=True, state="stopped"), None, NOW, steps.NoteRootReplaced(TASK), id="it will start on it"
        ),
        pytest.param(
            task("in-progress", state="shutting-down"), None, NOW, steps.NoteEnded(VM, (SCRATCH,)), id="who ends needs no root"
        ),
        # -- going off
        pytest.param(seen("stopping"), machine(), NOW, PRESS, id="stop: the button"),
        pytest.param(seen("stopping"), machine(), after(3), PRESS, id="stop: a lost press is repeated"),
        pytest.param(seen("stopping"), machine(), after(20), OFF, id="stop: time is up"),
        pytest.param(seen("stopping", grace=0), machine(), NOW, OFF, id="stop by force"),
        pytest.param(seen("stopping"), machine("paused"), NOW, RESUME, id="stop: a paused machine hears no button"),
        pytest.param(seen("stopping"), machine("paused"), after(20), OFF, id="stop: a paused machine's time is up too"),
        pytest.param(seen("stopping"), machine("off", why="guest"), NOW, steps.NoteStopped(VM, (SCRATCH,)), id="stopped"),
        pytest.param(seen("stopping"), None, NOW, steps.NoteStopped(VM, (SCRATCH,)), id="stopped, nothing left"),
        pytest.param(seen("stopped"), machine("off"), NOW, None, id="off it is"),
        pytest.param(seen("stopped"), None, NOW, None, id="off it is, and unknown"),
        pytest.param(seen("stopped"), machine(), after(20), OFF, id="on without a wish"),
        pytest.param(
            seen("stopped", at(ROOT, "detaching")), machine("off"), NOW, steps.NoteUnplugged(VOL), id="detach while stopped"
        ),
        pytest.param(seen("stopped", ROOT, at(SECOND, "busy")), None, NOW, steps.NoteUnplugged(DATA), id="busy no more"),
        # -- going for good
        pytest.param(seen("shutting-down"), machine(), NOW, PRESS, id="terminate: the button"),
        pytest.param(seen("shutting-down"), machine(), after(21), OFF, id="terminate: time is up"),
        pytest.param(
            seen("shutting-down"), machine("off", why="host"), NOW, steps.RemoveMachine(VM), id="terminate: forget the machine"
        ),
        pytest.param(seen("shutting-down"), None, NOW, steps.NoteEnded(VM, (SCRATCH,)), id="terminate: nothing left"),
        pytest.param(seen("terminated", ended_at=NOW), None, after(60), steps.Rest(wait=3540.0), id="shown for an hour"),
        pytest.param(seen("terminated", ended_at=NOW), None, after(3600), steps.Forget(VM), id="an hour is over"),
        pytest.param(seen("terminated", ended_at=NOW), machine("off"), NOW, steps.RemoveMachine(VM), id="a machine come back"),
        # -- disks come and go
        pytest.param(seen("running", ROOT, at(SECOND, "attaching")), machine(), NOW, steps.Plug(VM, SECOND.place), id="plug"),
        pytest.param(
            seen("running", ROOT, at(SECOND, "attaching")),
            machine("running", VOL, DATA),
            NOW,
            steps.NotePlugged(DATA),
            id="plugged",
        ),
        pytest.param(seen("running", ROOT, SECOND), machine(), NOW, steps.Plug(VM, SECOND.place), id="a disk that fell out"),
        pytest.param(seen("running", ROOT, at(SECOND, "detaching")), machine(), NOW, steps.NoteUnplugged(DATA), id="unplugged"),
        pytest.param(seen("running", ROOT, at(SECOND, "busy")), machine(), NOW, steps.NoteUnplugged(DATA), id="given back late"),
        pytest.param(
            seen("pending", ROOT, at(SECOND, "attaching")),
            machine("running", VOL),
            NOW,
            steps.NoteStarted(VM, frozenset({VOL})),
            id="started comes before plugging",
        ),
    ],
)
def test_instance(seen: observe.Instance, domain: Domain | None, now: datetime, step: Step) -> None:
    assert plan.instance(seen, domain, now, PATIENCE) == step


@pytest.mark.parametrize(
    ("seconds", "state", "forced", "step"),
    [
        (0, "detaching", False, steps.Unplug(VM, (DATA,), frozenset(), wait=plan.ASK_AGAIN)),
        (19, "detaching", False, steps.Unplug(VM, (DATA,), frozenset(), wait=plan.ASK_AGAIN)),
        (0, "detaching", True, steps.Unplug(VM, (DATA,), frozenset({DATA}), wait=plan.ASK_AGAIN)),
        (20, "detaching", False, steps.Unplug(VM, (DATA,), frozenset({DATA}), wait=plan.ASK_AGAIN)),
        (26, "detaching", False, steps.Unplug(VM, (DATA,), frozenset({DATA}), wait=plan.ASK_AGAIN)),
        (27, "detaching", False, steps.NoteWithheld(DATA)),
        (27, "busy", False, steps.Unplug(VM, (DATA,), frozenset({DATA}), wait=plan.ASK_AGAIN)),
        (9_999, "busy", False, steps.Unplug(VM, (DATA,), frozenset({DATA}), wait=plan.ASK_AGAIN)),
    ],
)
def test_a_guest_has_time_to_give_a_disk_back(seconds: float, state: str, forced: bool, step: Step) -> None:
    row = at(SECOND, state, forced=forced)
    assert plan.instance(seen("running", ROOT, row), machine("running", VOL, DATA), after(seconds), PATIENCE) == step


def test_a_disk_that_is_never_given_back_holds_up_no_other() -> None:
    row = seen("running", ROOT, at(SECOND, "detaching", wished_at=after(100)), at(THIRD, "busy"))
    domain = machine("running", VOL, DATA, "vol-0c")
    step = plan.instance(row, domain, after(100), PATIENCE)
    assert step == steps.Unplug(VM, (DATA, "vol-0c"), frozenset({"vol-0c"}), wait=plan.ASK_AGAIN)
    coming = replace(row, attached=(*row.attached[:2], at(THIRD, "attaching")))
    assert plan.instance(coming, machine("running", VOL, DATA), after(100), PATIENCE) == steps.Plug(VM, THIRD.place)


# -- the goal is reached from everywhere


class Killed(Exception):
    """The process died here."""


class Story:
    """A world and a perfect host. `go` takes one step for one record, as a fresh process would: all is read anew."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.host = Host()
        self.staging = Staging(folder / "uploads")
        self.dying = False
        self.stores = dict.fromkeys(ZONES, self.host)
        self.importer = Importer(self.world.database, self.stores, Downloads(folder / "imports", largest=1 << 30), lambda: False)
        self.performer = Performer(self.world.database, self.stores, self.host, self.staging, self.importer, self._halfway)
        self.image = self.world.image(
            Line("/dev/sdb", virtual="ephemeral0"), Line("/dev/sdf", size=1, delete_on_termination=False)
        )
        for row in self.world.rows(Snapshot):
            self.host.disks[row["id"]] = row["size"]

    def _halfway(self, step: steps.Step) -> None:
        if self.dying:
            self.dying = False
            raise Killed

    def ids(self) -> list[str]:
        return [row["id"] for record in (Instance, Volume, Snapshot, Image) for row in self.world.rows(record)]

    def next(self, id: str) -> Step:
        with self.world.database.read() as tx:
            what = observe.look(tx, id)
        match what:
            case observe.Volume():
                return plan.volume(what)
            case observe.Snapshot():
                return plan.snapshot(what, self.host.machines.get(what.machine or ""), self.world.now)
            case observe.Image():
                return plan.image(what)
            case observe.Instance():
                return plan.instance(what, self.host.machines.get(id), self.world.now, PATIENCE)
        return None

    def go(self, id: str) -> float | None:
        """One step. Returns how long the record then rests, or None where there was nothing to do."""
        step = self.next(id)
        if step is None:
            return None
        if not isinstance(step, steps.Rest):
            try:
                self.performer.do(step)
            except Killed:
                return 0.0
            self.host.whole()
        return step.wait

    def settle(self) -> int:
        """Steps until there is none to take within a minute of rest. Returns how many there were."""
        taken = 0
        while taken < 500:
            waits = [wait for id in self.ids() if (wait := self.go(id)) is not None]
            taken += len(waits)
            if all(wait > 600 for wait in waits):
                return taken
            if all(waits):
                self.world.later(min(waits))
        raise AssertionError(f"no end after {taken} steps: {[(id, self.next(id)) for id in self.ids()]}")

    def check(self) -> None:
        """Everything is as wished, and nothing is on the host that no record accounts for."""
        world, host = self.world, self.host
        instances_, disks = world.rows(Instance), {row["id"] for row in world.rows(Volume) if row["state"] != "error"}
        for row in instances_:
            machine = host.machines.get(row["id"])
            attached = {each["volume_id"]: each["state"] for each in world.rows(Attachment, instance_id=row["id"])}
            scratch = {disk["name"] for disk in row["scratch"]}
            assert row["state"] in ("running", "stopped", "terminated")
            if row["state"] == "running":
                assert machine and machine.state == "running" and machine.generation == row["boots"]
                assert machine.disks == attached.keys() | scratch
                disks |= scratch
            else:
                assert machine is None or (machine.state == "off" and row["state"] == "stopped")
            assert set(attached.values()) <= {"attached"}
            assert not attached or row["state"] != "terminated"
        assert set(host.machines) <= {row["id"] for row in instances_}
        held = {row["volume_id"] for row in world.rows(Attachment)}
        for row in world.rows(Volume):
            assert row["state"] == ("in-use" if row["id"] in held else "available")
        assert {row["state"] for row in world.rows(RootReplacement)} <= {"succeeded", "failed"}
        for row in world.rows(RootReplacement, state="succeeded", delete_old=True):
            assert world.state(row["old_volume_id"]) is None
        for row in world.rows(VolumeModification):
            assert row["state"] == "completed"
            (volume,) = world.rows(Volume, id=row["id"])
            assert volume["size"] == row["after"]["size"]
            assert host.disks[row["id"]] == volume["size"] << 30
        for row in world.rows(Snapshot):
            assert row["state"] == "completed"
            disks.add(row["id"])
        assert {row["state"] for row in world.rows(Image)} <= {"available", "deregistered"}
        assert set(host.disks) == disks


def _nth(found: list[str], n: int) -> str:
    return found[n % len(found)] if found else "none"


def do(story: Story, what: str, n: int) -> None:
    """One wish or mishap; what may not be wished now is refused, which is well."""
    world, host = story.world, story.host
    instance = _nth([row["id"] for row in world.rows(Instance)], n)
    volume = _nth([row["id"] for row in world.rows(Volume)], n)
    snapshot = _nth([row["id"] for row in world.rows(Snapshot)], n)
    wishes: dict[str, Callable[[], Any]] = {
        "launch": lambda: world.launch(image=story.image, shutdown_behavior=("stop", "terminate")[n % 2]),
        "start": lambda: world.wish(instances.start, [instance], PATIENCE),
        "stop": lambda: world.wish(instances.stop, [instance], PATIENCE * (n % 2)),
        "reboot": lambda: world.wish(instances.reboot, [instance]),
        "root": lambda: world.wish(
            root_volumes.replace, instance, volume_id=volume if n % 3 == 0 else None, delete_old=n % 2 == 0
        ),
        "terminate": lambda: world.wish(instances.terminate, [instance], PATIENCE * (n % 2)),
        "volume": lambda: world.wish(volumes.create, zone=ZONE, size=1),
        "restore": lambda: world.wish(volumes.create, zone=ZONE, snapshot_id=snapshot),
        "attach": lambda: world.wish(volumes.attach, volume, instance, f"/dev/sd{'fgh'[n % 3]}"),
        "detach": lambda: world.wish(volumes.detach, volume, force=n % 2 == 0),
        "delete": lambda: world.wish(volumes.delete, volume),
        "snapshot": lambda: world.wish(snapshots.create, volume),
        "set": lambda: world.wish(snapshots.create_set, instance, without_root=n % 3 == 0),
        "copy": lambda: world.wish(images.copy, story.image, f"copy {len(world.rows(Image))}"),
        "modify": lambda: world.wish(volumes.modify, volume, size=9 + n),
        "image": lambda: world.wish(images.create, instance, f"image {len(world.rows(Image))}", no_reboot=n % 2 == 0),
        "unsnapshot": lambda: world.wish(snapshots.delete, snapshot),
        "deregister": lambda: world.wish(images.deregister, _nth([row["id"] for row in world.rows(Image)][1:], n)),
    }
    if what in wishes:
        try:
            wishes[what]()
        except Refusal:
            return
    on = [name for name, machine in host.machines.items() if machine.state != "off"]
    match what:
        case "step":
            story.go(_nth(story.ids(), n))
        case "steps":
            for id in story.ids()[: n + 1]:
                story.go(id)
        case "settle":
            story.settle()
        case "die":
            story.dying = True
        case "later":
            world.later(n * 5)
        case "deaf":
            host.deaf = not host.deaf
        case "crash" if on:
            host.went_off(_nth(on, n), ("guest", "host", "failed")[n % 3])
        case "pause" if on:
            name = _nth(on, n)
            host.machines[name] = replace(host.machines[name], state="paused")


EVENTS = [
    "launch", "start", "stop", "reboot", "terminate", "volume", "restore", "attach", "detach", "delete", "snapshot", "image",
    "set", "copy", "modify", "unsnapshot", "deregister", "root", "step", "steps", "settle", "die", "later", "deaf", "crash",
    "pause",
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 11)), max_size=25))
@example([("launch", 0), ("settle", 0), ("image", 1), ("die", 0), ("steps", 9), ("terminate", 1), ("deaf", 0)])
@example([("launch", 1), ("settle", 0), ("deaf", 0), ("detach", 1), ("step", 0), ("stop", 1), ("crash", 0), ("start", 0)])
@example(
    [
        ("launch", 0),
        ("settle", 0),
        ("snapshot", 0),
        ("terminate", 0),
        ("steps", 0),
        ("settle", 0),
        ("restore", 1),
        ("unsnapshot", 1),
    ]
)
@example(
    [("launch", 0), ("settle", 0), ("set", 1), ("unsnapshot", 1), ("die", 0), ("steps", 9), ("unsnapshot", 2), ("modify", 0)]
)
@example([("launch", 0), ("settle", 0), ("modify", 0), ("snapshot", 0), ("die", 0), ("stop", 0), ("steps", 9), ("image", 0)])
@example([("launch", 0), ("settle", 0), ("pause", 0), ("reboot", 0), ("die", 0), ("settle", 0), ("crash", 2), ("image", 0)])
@example([("root", 1), ("steps", 9), ("stop", 0), ("die", 0), ("steps", 9), ("detach", 0), ("start", 0), ("root", 2)])
@example([("root", 2), ("steps", 3), ("image", 1), ("steps", 9), ("terminate", 1)])
@example([("volume", 0), ("settle", 0), ("root", 6), ("settle", 0), ("root", 4), ("step", 5), ("terminate", 0)])
def test_from_wherever_the_goal_is_reached(events: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        for what, n in [("launch", 0), ("settle", 0), *events]:
            do(story, what, n)
        story.dying = False
        story.settle()
        story.check()
        assert story.settle() <= len(
            story.world.rows(Instance, state="terminated")
        )  # a fixed point: they only wait to be forgotten


STORIES = {
    "launch": [("launch", 0)],
    "stop": [("launch", 0), ("settle", 0), ("stop", 1)],
    "start": [("launch", 0), ("settle", 0), ("stop", 1), ("settle", 0), ("start", 0)],
    "attach": [("launch", 0), ("volume", 0), ("settle", 0), ("attach", 2)],
    "detach": [("launch", 0), ("settle", 0), ("detach", 1)],
    "snapshot": [("launch", 0), ("settle", 0), ("snapshot", 0)],
    "set": [("launch", 0), ("settle", 0), ("set", 1)],
    "copy": [("copy", 0)],
    "modify": [("launch", 0), ("settle", 0), ("modify", 0)],
    "create-image": [("launch", 0), ("settle", 0), ("image", 1)],
    "root": [("launch", 0), ("settle", 0), ("root", 1)],
    "root-deleted": [("launch", 0), ("settle", 0), ("root", 2)],
    "delete": [("volume", 0), ("settle", 0), ("delete", 0)],
    "restore": [("restore", 0), ("unsnapshot", 0)],
    "terminate": [("launch", 0), ("settle", 0), ("terminate", 1)],
}


def _shape(story: Story) -> Any:
    """The end without its ids and times."""
    world = story.world
    states = [sorted(row["state"] for row in world.rows(record)) for record in (Instance, Volume, Snapshot, Image, Attachment)]
    return states, [row["boots"] for row in world.rows(Instance)], len(story.host.disks), len(story.host.machines)


@pytest.mark.parametrize("name", STORIES)
def test_death_after_the_host_s_part_of_any_step_changes_nothing(tmp_path: Path, name: str) -> None:
    def play(folder: Path, fatal: int | None) -> tuple[Any, int]:
        folder.mkdir()
        story = Story(folder)
        for what, n in STORIES[name]:
            do(story, what, n)
        noted = 0

        def halfway(step: steps.Step) -> None:
            nonlocal noted
            noted += 1
            if noted - 1 == fatal:
                raise Killed

        story.performer = Performer(story.world.database, story.stores, story.host, story.staging, story.importer, halfway)
        story.settle()
        story.check()
        return _shape(story), noted

    undisturbed, count = play(tmp_path / "undisturbed", None)
    assert count > 0
    for fatal in range(count):
        assert play(tmp_path / str(fatal), fatal)[0] == undisturbed


# -- what is seen


def test_a_terminated_instance_is_forgotten_an_hour_later_even_by_a_new_process(world: World) -> None:
    id = world.instance("terminated")
    world.later(3599)
    with world.database.read() as tx:
        assert observe.unsettled(tx) == [row["id"] for row in world.rows(Volume)]  # its root is still to be removed
    world.later(1)
    with world.database.read() as tx:
        assert id in observe.unsettled(tx)


def test_a_copy_that_failed_holds_its_source_no_longer(world: World) -> None:
    source = world.snapshot()
    with world.database.write() as tx:
        made = snapshots.copy(tx, ME, snapshots.usable(tx, ME, source), "copied").id
    world.wish(snapshots.delete, source)
    for fails in (False, True):
        if fails:
            world.tell(snapshots.failed, made, "no space")
        with world.database.read() as tx:
            what = observe.look(tx, source)
        assert isinstance(what, observe.Snapshot)
        assert what.wanted is not fails


def test_what_the_engine_does_not_mind_is_not_seen(world: World) -> None:
    with world.database.read() as tx:
        for id in ("i-0a", "vol-0a", "snap-0a", "ami-0a", "key-0a", "eni-0a", "nonsense"):
            assert observe.look(tx, id) is None
