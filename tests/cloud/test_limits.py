"""The operator's limits: refused as EC2 refuses, counted account by account, and never in the way of what is within them."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import instances, snapshots, volumes
from ec2gw.model import bdm
from ec2gw.model.limits import Limits
from ec2gw.state.records import Instance, Snapshot, Volume
from tests.cloud.world import ME, OTHER, PATIENCE, ZONE, World
from tests.refusals import refused


def limit(world: World, **limits: int) -> None:
    world.database.limits = Limits(**limits)


def too_many(room: int, least: int) -> Any:
    text = f"Your quota allows for {room} more running instance(s). You requested at least {least}"
    return refused("InstanceLimitExceeded", text)


def too_much(gib: int) -> Any:
    return refused("VolumeLimitExceeded", f"You have exceeded your maximum storage limit of {gib} GiB in this region.")


def test_instances_that_run_count(world: World) -> None:
    first, image = world.instance(), world.image()
    limit(world, instances=2)
    with too_many(room=1, least=2):
        world.launch(image=image, count=2)
    assert len(world.rows(Instance)) == 1
    (second,) = world.launch(image=image, count=5, least=1)  # as many of those wanted as there is room for
    with too_many(room=0, least=1):
        world.launch(image=image)
    world.launch(count=2, account=OTHER)
    world.wish(instances.stop, [first], PATIENCE)
    world.tell(instances.stopped, first)
    world.launch(image=image)
    with too_many(room=0, least=1):
        world.wish(instances.start, [first], PATIENCE)
    world.wish(instances.start, [second], PATIENCE)  # it is on already: nothing more runs


def test_a_volume_is_no_larger_than_the_limit(world: World) -> None:
    old = world.volume(size=20)
    limit(world, volume_size=10)
    world.wish(volumes.create, zone=ZONE, size=10)
    for verb, words, size in ((volumes.create, {"zone": ZONE}, 11), (volumes.modify, {"volume_id": old}, 21)):
        with refused("InvalidParameterValue", f"Volume of {size}GiB is too large; maximum is 10GiB."):
            world.wish(verb, **words, size=size)
    world.wish(volumes.modify, old, type="gp3")  # it may stay as large as it is


def test_storage_is_the_sum_of_all_volumes(world: World) -> None:
    limit(world, storage=10)
    going, grown = world.volume(size=4), world.volume(size=4)
    with too_much(10):
        world.wish(volumes.create, zone=ZONE, size=3)
    world.wish(volumes.create, zone=ZONE, size=10, account=OTHER)
    world.wish(volumes.modify, grown, size=5)
    with too_much(10):
        world.wish(volumes.create, zone=ZONE, size=2)  # what grows counts as it will be
    world.tell(volumes.grown, grown)
    world.wish(volumes.create, zone=ZONE, size=1)
    with too_much(10):
        world.wish(volumes.create, zone=ZONE, size=1)
    world.wish(volumes.delete, going)
    world.wish(volumes.create, zone=ZONE, size=4)


def test_a_launch_past_the_storage_leaves_nothing(world: World) -> None:
    image = world.image()
    limit(world, storage=10)
    more = bdm.Line("/dev/sdf", size=2)
    with too_much(10):
        world.launch(more, image=image, count=2)  # the first would fit
    assert world.rows(Instance) == world.rows(Volume) == []
    world.launch(more, image=image)


def test_provisioned_iops(world: World) -> None:
    limit(world, iops=500)
    io = world.wish(volumes.create, zone=ZONE, size=10, type="io1", iops=300)
    world.tell(volumes.created, io)
    gp = world.volume(size=10)
    text = "You have exceeded your maximum provisioned IOPS limit of 500 in this region."
    with refused("MaxIOPSLimitExceeded", text):
        world.wish(volumes.create, zone=ZONE, size=10, type="io2", iops=201)
    with refused("MaxIOPSLimitExceeded", text):
        world.wish(volumes.modify, gp, type="io2", iops=201)
    world.wish(volumes.modify, io, iops=500)
    with refused("MaxIOPSLimitExceeded", text):
        world.wish(volumes.create, zone=ZONE, size=10, type="io2", iops=100)


@pytest.mark.parametrize("made", [0, 1])
def test_snapshots(world: World, made: int) -> None:
    volume = world.volume()
    world.snapshot(account=OTHER)
    for _ in range(made):
        world.snapshot()
    limit(world, snapshots=made)
    with refused("SnapshotLimitExceeded", "You have reached the maximum number of snapshots."):
        world.wish(snapshots.create, volume)
    assert len(world.rows(Snapshot, account_id=ME)) == made
