"""Snapshots: what may be wished when, what a fact brings, and who waits for whom."""

from __future__ import annotations

import pytest

from ec2gw.cloud import images, snapshots, volumes
from ec2gw.state.records import Snapshot, Tag
from tests.cloud.world import ME, OTHER, PATIENCE, ZONE, World
from tests.refusals import refused

STATE = "IncorrectState"
ABSENT = "snap-0123456789abcdef0"


def cut(world: World) -> tuple[str, str]:
    """A volume and a pending snapshot of it."""
    volume = world.volume(size=3)
    return volume, world.wish(snapshots.create, volume, "mine")


def test_create_is_written_down_and_rings_for_the_engine(world: World) -> None:
    volume, snapshot = cut(world)
    assert world.touched == {snapshot}
    row = world.row(Snapshot, id=snapshot)
    assert row
    assert (row["state"], row["volume_id"], row["origin"], row["size"], row["zone"]) == ("pending", volume, volume, 3, ZONE)
    assert (row["description"], row["cut"], row["at_rest_of"], row["completed_at"]) == ("mine", False, None, None)
    assert (row["created_at"], row["account_id"]) == (world.now, ME)


def test_an_attached_volume_may_be_snapshotted_root_included(world: World) -> None:
    (root,) = world.volumes_of(world.instance())
    assert world.state(world.wish(snapshots.create, root)) == "pending"


@pytest.mark.parametrize("state", ["creating", "error"])
def test_create_of_a_volume_that_holds_nothing_is_refused(world: World, state: str) -> None:
    volume = world.volume(state)
    with refused(STATE, f"Volume '{volume}' is in the '{state}' state."):
        world.wish(snapshots.create, volume)


def test_create_of_an_unknown_volume_is_refused(world: World) -> None:
    for volume in (world.volume("deleting"), world.volume(account=OTHER), "vol-0a"):
        with refused("InvalidVolume.NotFound", f"The volume '{volume}' does not exist."):
            world.wish(snapshots.create, volume)


def test_five_of_one_volume_may_be_pending(world: World) -> None:
    volume, first = cut(world)
    for _ in range(4):
        world.wish(snapshots.create, volume)
    before = world.everything()
    message = "Maximum allowed in-progress snapshots for a single volume exceeded."
    with refused("ConcurrentSnapshotLimitExceeded", message):
        world.wish(snapshots.create, volume)
    assert world.everything() == before
    world.wish(snapshots.create, world.volume())
    world.tell(snapshots.was_cut, first)
    world.tell(snapshots.completed, first)
    assert world.state(world.wish(snapshots.create, volume)) == "pending"


def test_a_snapshot_comes_to_its_end(world: World) -> None:
    volume, snapshot = cut(world)
    world.tell(snapshots.was_cut, snapshot)
    assert volume in world.touched  # its removal may wait for the cut
    assert world.state(snapshot) == "pending"
    world.later(9)
    world.tell(snapshots.completed, snapshot)
    row = world.row(Snapshot, id=snapshot)
    assert row and (row["state"], row["completed_at"], row["cut"]) == ("completed", world.now, True)


def test_a_snapshot_that_cannot_be_made_says_why(world: World) -> None:
    volume, snapshot = cut(world)
    world.tell(snapshots.failed, snapshot, "no space")
    assert volume in world.touched
    row = world.row(Snapshot, id=snapshot)
    assert row and (row["state"], row["reason"], row["completed_at"]) == ("error", "no space", None)


def test_a_snapshot_outlives_its_volume_and_keeps_its_name(world: World) -> None:
    volume, snapshot = cut(world)
    world.tell(snapshots.was_cut, snapshot)
    world.tell(snapshots.completed, snapshot)
    world.wish(volumes.delete, volume)
    world.tell(volumes.removed, volume)
    row = world.row(Snapshot, id=snapshot)
    assert row and (row["state"], row["volume_id"]) == ("completed", volume)


@pytest.mark.parametrize("state", ["pending", "completed", "error"])
def test_delete(world: World, state: str) -> None:
    snapshot = world.snapshot(state)
    with world.database.write() as tx:
        tx.db.add(Tag(resource_id=snapshot, key="a", value="b", account_id=ME, resource_type="snapshot"))
    world.wish(snapshots.delete, snapshot)
    assert world.state(snapshot) == "deleting"
    assert world.touched == {snapshot}
    with refused("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
        world.wish(snapshots.delete, snapshot)
    world.tell(snapshots.removed, snapshot)
    assert (world.state(snapshot), world.rows(Tag)) == (None, [])


def test_delete_before_the_cut_lets_go_who_waits_for_it(world: World) -> None:
    instance = world.instance()
    (root,) = world.volumes_of(instance)
    image, (snapshot,) = world.wish(images.create, instance, "golden")
    world.wish(images.deregister, image)
    world.wish(snapshots.delete, snapshot)
    assert world.touched == {snapshot, instance, root}


def test_delete_of_an_image_s_snapshot_is_refused(world: World) -> None:
    instance = world.instance("stopped")
    image, (snapshot,) = world.wish(images.create, instance, "golden")
    with refused("InvalidSnapshot.InUse", f"The snapshot {snapshot} is currently in use by {image}"):
        world.wish(snapshots.delete, snapshot)
    world.wish(images.deregister, image)
    world.wish(snapshots.delete, snapshot)
    assert world.state(snapshot) == "deleting"


def test_a_copy_has_no_volume_and_waits_for_its_source(world: World) -> None:
    source = world.snapshot()
    with world.database.write() as tx:
        made = snapshots.copy(tx, ME, snapshots.usable(tx, ME, source), "copied").id
    row = world.row(Snapshot, id=made)
    assert row and (row["state"], row["volume_id"], row["origin"], row["size"]) == ("pending", "vol-ffffffff", source, 8)
    world.tell(snapshots.was_cut, made)
    assert source in world.touched


def test_what_is_somebody_else_s_is_not_found(world: World) -> None:
    snapshot = world.snapshot()
    before = world.everything()
    for id in (snapshot, ABSENT):
        with refused("InvalidSnapshot.NotFound", f"The snapshot '{id}' does not exist."):
            world.wish(snapshots.delete, id, account=OTHER)
    with refused("InvalidParameterValue", "Value (x) for parameter snapshotId is invalid. Expected: 'snap-...'."):
        world.wish(snapshots.delete, "x")
    assert world.everything() == before


def test_facts_told_twice_or_late_change_nothing(world: World) -> None:
    done, broken, doomed = world.snapshot(), world.snapshot("error"), world.snapshot("deleting")
    world.later(PATIENCE)
    before = world.everything()
    for snapshot in (done, broken, doomed, ABSENT):
        world.tell(snapshots.completed, snapshot)
        world.tell(snapshots.failed, snapshot, "late")
    for snapshot in (done, broken, ABSENT):
        world.tell(snapshots.removed, snapshot)
    world.tell(snapshots.was_cut, ABSENT)
    assert world.everything() == before
