"""Volumes and attachments: what may be wished when, what a fact brings, and what never changes."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import instances, snapshots, volumes
from ec2gw.model import bdm
from ec2gw.state.records import Tag, Volume
from tests.cloud.world import ME, OTHER, PATIENCE, ZONE, World
from tests.refusals import refused

STATE, VALUE = "IncorrectState", "InvalidParameterValue"


def attached(world: World, state: str = "attached") -> tuple[str, str]:
    """A volume of its own at a running instance, its attachment in this state."""
    instance, volume = world.instance(), world.volume()
    world.wish(volumes.attach, volume, instance, "/dev/sdf")
    if state != "attaching":
        world.tell(volumes.plugged, volume)
    if state in ("detaching", "busy"):
        world.wish(volumes.detach, volume)
    if state == "busy":
        world.tell(volumes.withheld, volume)
    assert (row := world.attachment(volume)) and row["state"] == state
    return instance, volume


# -- create


def test_create_is_written_down_as_it_will_be_and_rings_for_the_engine(world: World) -> None:
    volume = world.wish(volumes.create, zone=ZONE, size=42)
    assert world.touched == {volume}
    row = world.row(Volume, id=volume)
    assert row
    assert (row["state"], row["size"], row["type"], row["iops"], row["throughput"]) == ("creating", 42, "gp2", 126, None)
    assert (row["zone"], row["snapshot_id"], row["account_id"], row["created_at"]) == (ZONE, None, ME, world.now)


@pytest.mark.parametrize(("size", "real"), [(None, 8), (8, 8), (9, 9)])
def test_create_from_a_snapshot(world: World, size: int | None, real: int) -> None:
    snapshot = world.snapshot(size=8)
    row = world.row(Volume, id=world.wish(volumes.create, zone=ZONE, snapshot_id=snapshot, size=size))
    assert row and (row["size"], row["snapshot_id"]) == (real, snapshot)


@pytest.mark.parametrize(
    ("wish", "code", "message"),
    [
        ({}, "MissingParameter", "The request must contain the parameter size/snapshot"),
        ({"snapshot_id": "snap-0a"}, "InvalidSnapshot.NotFound", "The snapshot 'snap-0a' does not exist."),
        ({"snapshot_id": "vol-0a"}, VALUE, "Value (vol-0a) for parameter snapshotId is invalid. Expected: 'snap-...'."),
        ({"size": 0}, VALUE, "Volume of 0GiB is too small; minimum is 1GiB."),
        ({"size": 8, "type": "io2"}, "InvalidParameterCombination", "The parameter iops must be specified for io2 volumes."),
        ({"size": 8, "encrypted": True}, "UnsupportedOperation", "Encrypted volumes are not supported by this endpoint."),
    ],
)
def test_create_refused(world: World, wish: dict[str, Any], code: str, message: str) -> None:
    before = world.everything()
    with refused(code, message):
        world.wish(volumes.create, zone=ZONE, **wish)
    assert world.everything() == before


def test_create_from_an_unfit_snapshot_is_refused(world: World) -> None:
    whole, half, broken, gone = (world.snapshot(state) for state in ("completed", "pending", "error", "deleting"))
    foreign = world.snapshot(account=OTHER)
    with refused(VALUE, f"The requested size is smaller than the snapshot {whole}, expect size >= 8GB"):
        world.wish(volumes.create, zone=ZONE, snapshot_id=whole, size=7)
    with refused(STATE, "Snapshot is in invalid state - pending"):
        world.wish(volumes.create, zone=ZONE, snapshot_id=half)
    with refused(STATE, "Snapshot is in invalid state - error"):
        world.wish(volumes.create, zone=ZONE, snapshot_id=broken)
    for absent in (gone, foreign):
        with refused("InvalidSnapshot.NotFound", f"The snapshot '{absent}' does not exist."):
            world.wish(volumes.create, zone=ZONE, snapshot_id=absent)


# -- delete


@pytest.mark.parametrize("state", ["available", "error"])
def test_delete(world: World, state: str) -> None:
    volume = world.volume(state)
    world.wish(volumes.delete, volume)
    assert world.state(volume) == "deleting"
    assert world.touched == {volume}
    with refused("InvalidVolume.NotFound", f"The volume '{volume}' does not exist."):
        world.wish(volumes.delete, volume)
    world.tell(volumes.removed, volume)
    assert world.state(volume) is None


def test_delete_while_creating_is_refused(world: World) -> None:
    volume = world.volume("creating")
    with refused(STATE, f"Volume '{volume}' is in the 'creating' state."):
        world.wish(volumes.delete, volume)


@pytest.mark.parametrize("state", ["attaching", "attached", "detaching", "busy"])
def test_delete_of_an_attached_volume_is_refused(world: World, state: str) -> None:
    instance, volume = attached(world, state)
    with refused("VolumeInUse", f"Volume {volume} is currently attached to {instance}"):
        world.wish(volumes.delete, volume)


def test_a_volume_takes_its_tags_with_it(world: World) -> None:
    volume = world.volume()
    with world.database.write() as tx:
        tx.db.add(Tag(resource_id=volume, key="a", value="b", account_id=ME, resource_type="volume"))
    world.wish(volumes.delete, volume)
    world.tell(volumes.removed, volume)
    assert world.rows(Tag) == []


# -- attach


@pytest.mark.parametrize(("instance_state", "shown"), [("running", "attaching"), ("stopped", "attached")])
def test_attach(world: World, instance_state: str, shown: str) -> None:
    instance, volume = world.instance(instance_state), world.volume()
    world.later(5)
    world.wish(volumes.attach, volume, instance, "xvdh")
    assert world.touched == {instance}
    assert world.state(volume) == "in-use"
    row = world.attachment(volume)
    assert row
    assert (row["state"], row["device"], row["slot"], row["instance_id"]) == (shown, "xvdh", 1, instance)
    assert (row["delete_on_termination"], row["attach_time"]) == (False, world.now)
    world.tell(volumes.plugged, volume)
    assert (row := world.attachment(volume)) and row["state"] == "attached"


@pytest.mark.parametrize("state", ["pending", "stopping", "shutting-down", "terminated"])
def test_attach_to_an_instance_in_another_state_is_refused(world: World, state: str) -> None:
    instance, volume = world.instance(state), world.volume()
    before = world.everything()
    with refused(STATE, f"Instance '{instance}' is not 'running'."):
        world.wish(volumes.attach, volume, instance, "/dev/sdf")
    assert world.everything() == before


@pytest.mark.parametrize("state", ["creating", "error"])
def test_attach_of_a_volume_that_is_not_available_is_refused(world: World, state: str) -> None:
    instance, volume = world.instance(), world.volume(state)
    with refused(STATE, f"{volume} is not 'available'."):
        world.wish(volumes.attach, volume, instance, "/dev/sdf")


def test_a_second_attach_is_refused_even_at_the_same_place(world: World) -> None:
    instance, volume = attached(world)
    for where, device in ((instance, "/dev/sdf"), (instance, "/dev/sdg"), (world.instance(), "/dev/sdf")):
        with refused("VolumeInUse", f"{volume} is already attached to an instance"):
            world.wish(volumes.attach, volume, where, device)


@pytest.mark.parametrize("device", ["/dev/sdf", "sdf", "/dev/sda1", "sda1", "/dev/sdb", "/dev/sda"])
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_attach_at_a_taken_device_is_refused(world: World, state: str, device: str) -> None:
    """Taken by a volume, by the root under any of its names, or by an instance-store disk."""
    instance = world.instance(state, bdm.Line("/dev/sdf", size=1), bdm.Line("/dev/sdb", virtual="ephemeral0"))
    volume = world.volume()
    before = world.everything()
    with refused(VALUE, f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"):
        world.wish(volumes.attach, volume, instance, device)
    assert world.everything() == before


@pytest.mark.parametrize("device", ["/dev/sdi1", "/dev/xvdeo", "", "X", "/dev/sdf\n"])
def test_attach_at_no_device_is_refused(world: World, device: str) -> None:
    instance, volume = world.instance(), world.volume()
    with refused(VALUE, f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name."):
        world.wish(volumes.attach, volume, instance, device)


def test_attach_across_zones_is_refused(world: World) -> None:
    instance, volume = world.instance(), world.volume(zone="us-east-1b")
    message = f"The volume '{volume}' is not in the same availability zone as instance '{instance}'"
    with refused("InvalidVolume.ZoneMismatch", message):
        world.wish(volumes.attach, volume, instance, "/dev/sdf")


def test_the_29th_volume_is_refused(world: World) -> None:
    instance = world.instance("running", *(bdm.Line(f"/dev/xvdb{letter}", size=1) for letter in "abcdefghijklmnopqrstuvwxyz"))
    world.wish(volumes.attach, world.volume(), instance, "/dev/sdf")
    with refused("AttachmentLimitExceeded", f"The instance '{instance}' has as many volumes attached as it can have."):
        world.wish(volumes.attach, world.volume(), instance, "/dev/sdg")


def test_a_freed_slot_is_used_again(world: World) -> None:
    instance = world.instance()
    first, second, third = world.volume(), world.volume(), world.volume()
    for volume, device in ((first, "/dev/sdf"), (second, "/dev/sdg")):
        world.wish(volumes.attach, volume, instance, device)
    world.wish(volumes.detach, first)
    world.tell(volumes.unplugged, first)
    world.wish(volumes.attach, third, instance, "/dev/sdh")
    assert [world.attachment(volume)["slot"] for volume in (second, third)] == [2, 1]  # type: ignore[index]


@pytest.mark.parametrize("device", ["/dev/sda1", "/dev/sda", "sda1"])
def test_a_root_may_be_replaced_while_stopped(world: World, device: str) -> None:
    instance = world.instance("stopped")
    (root,) = world.volumes_of(instance)
    world.wish(volumes.detach, root)
    world.tell(volumes.unplugged, root)
    volume = world.volume()
    world.wish(volumes.attach, volume, instance, device)
    row = world.attachment(volume)
    assert row and (row["slot"], row["delete_on_termination"]) == (0, False)


# -- detach


@pytest.mark.parametrize("state", ["attaching", "attached", "detaching", "busy"])
def test_detach(world: World, state: str) -> None:
    instance, volume = attached(world, state)
    world.later(5)
    world.wish(volumes.detach, volume, instance, "sdf")
    assert world.touched == {instance}
    row = world.attachment(volume)
    assert row and row["state"] == "detaching"
    # A wish of its own begins to wait anew; one repeated does not.
    assert (row["wished_at"] == world.now) is (state != "detaching")
    world.tell(volumes.unplugged, volume)
    assert world.touched == {volume}
    assert (world.attachment(volume), world.state(volume)) == (None, "available")


def test_force_counts_once_said(world: World) -> None:
    _, volume = attached(world, "detaching")
    world.wish(volumes.detach, volume, force=True)
    world.wish(volumes.detach, volume)
    assert (row := world.attachment(volume)) and row["forced"]


@pytest.mark.parametrize("state", ["available", "creating", "error"])
def test_detach_of_what_is_not_attached_is_refused(world: World, state: str) -> None:
    volume = world.volume(state)
    with refused(STATE, f"Volume '{volume}' is in the '{state}' state."):
        world.wish(volumes.detach, volume)


def test_detach_elsewhere_is_refused(world: World) -> None:
    instance, volume = attached(world)
    other = world.instance()
    code = "InvalidAttachment.NotFound"
    with refused(code, f"The volume {volume} is not attached to instance {other} as device /dev/sdf"):
        world.wish(volumes.detach, volume, other)
    with refused(code, f"The volume {volume} is not attached to instance {instance} as device /dev/sdg"):
        world.wish(volumes.detach, volume, instance, "/dev/sdg")
    with refused("InvalidInstanceID.NotFound", "The instance ID 'i-0a' does not exist"):
        world.wish(volumes.detach, volume, "i-0a")
    assert (row := world.attachment(volume)) and row["state"] == "attached"


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "shutting-down"])
@pytest.mark.parametrize("force", [False, True])
def test_detach_of_the_root_of_an_instance_that_is_not_stopped_is_refused(world: World, state: str, force: bool) -> None:
    instance = world.instance(state)
    (root,) = world.volumes_of(instance)
    with refused(STATE, f"Unable to detach root volume '{root}' from instance '{instance}'"):
        world.wish(volumes.detach, root, force=force)


def test_attached_again_a_volume_is_kept(world: World) -> None:
    instance = world.instance("running", bdm.Line("/dev/sdf", size=1))
    _, data = world.volumes_of(instance)
    assert world.attachment(data)["delete_on_termination"]  # type: ignore[index]
    world.wish(volumes.detach, data)
    world.tell(volumes.unplugged, data)
    world.wish(volumes.attach, data, instance, "/dev/sdf")
    assert not world.attachment(data)["delete_on_termination"]  # type: ignore[index]


# -- other accounts, unknown and malformed ids


def test_what_is_somebody_else_s_is_not_found(world: World) -> None:
    instance, volume = attached(world)
    mine = world.volume()
    before = world.everything()
    absent = ("InvalidVolume.NotFound", f"The volume '{volume}' does not exist.")
    for verb, words in (
        (volumes.delete, ()),
        (volumes.detach, ()),
        (volumes.attach, (instance, "/dev/sdg")),
        (snapshots.create, ()),
    ):
        with refused(*absent):
            world.wish(verb, volume, *words, account=OTHER)
    theirs = world.volume(account=OTHER)
    with refused("InvalidInstanceID.NotFound", f"The instance ID '{instance}' does not exist"):
        world.wish(volumes.attach, theirs, instance, "/dev/sdg", account=OTHER)
    with refused("InvalidVolume.NotFound", f"The volume '{theirs}' does not exist."):
        world.wish(volumes.attach, theirs, instance, "/dev/sdg")
    with refused(VALUE, "Value (in-use) for parameter volumeId is invalid. Expected: 'vol-...'."):
        world.wish(volumes.delete, "in-use")
    with refused("InvalidInstanceID.Malformed", 'Invalid id: "x" (expecting "i-...")'):
        world.wish(volumes.attach, mine, "x", "/dev/sdg")
    world.wish(volumes.delete, theirs, account=OTHER)
    world.tell(volumes.removed, theirs)
    assert world.everything() == before


# -- facts


def test_facts_told_twice_or_late_change_nothing(world: World) -> None:
    _, volume = attached(world)
    free, doomed, broken = world.volume(), world.volume("deleting"), world.volume("error")
    before = world.everything()
    for id in (free, doomed, broken, volume):
        world.tell(volumes.created, id)
        world.tell(volumes.failed, id)
    for id in (free, broken, volume):
        world.tell(volumes.removed, id)
    for id in (free, doomed, broken, volume):
        world.tell(volumes.plugged, id)
        world.tell(volumes.withheld, id)
    for id in (free, doomed, broken):
        world.tell(volumes.unplugged, id)
    for fact in (volumes.created, volumes.failed, volumes.removed, volumes.plugged, volumes.withheld, volumes.unplugged):
        world.tell(fact, "vol-0123456789abcdef0")
    assert world.everything() == before


def test_a_plug_noted_after_the_wish_to_detach_does_not_undo_it(world: World) -> None:
    _, volume = attached(world, "attaching")
    world.wish(volumes.detach, volume)
    world.tell(volumes.plugged, volume)
    assert (row := world.attachment(volume)) and row["state"] == "detaching"


def test_a_launch_s_volumes_ring_for_its_instance(world: World) -> None:
    instance = world.instance("pending")
    (root,) = world.volumes_of(instance)
    world.tell(volumes.created, root)
    assert instance in world.touched
    assert world.state(root) == "in-use"
    other = world.instance("pending")
    (root,) = world.volumes_of(other)
    world.tell(volumes.failed, root)
    assert other in world.touched
    assert world.state(root) == "error"


def test_a_snapshot_that_waits_to_be_removed_hears_of_the_volume_made_from_it(world: World) -> None:
    snapshot = world.snapshot()
    for fact in (volumes.created, volumes.failed):
        volume = world.wish(volumes.create, zone=ZONE, snapshot_id=snapshot)
        world.tell(fact, volume)
        assert snapshot in world.touched


def test_a_volume_created_after_its_instance_has_ended(world: World) -> None:
    (instance,) = world.launch(bdm.Line("/dev/sdf", size=1, delete_on_termination=False))
    root, data = world.volumes_of(instance)
    world.wish(instances.terminate, [instance], PATIENCE)
    world.tell(instances.ended, instance)
    assert (world.state(root), world.state(data)) == ("deleting", "creating")
    for volume in (root, data):
        world.tell(volumes.created, volume)
    assert (world.state(root), world.state(data)) == ("deleting", "available")
