"""Images: registered from snapshots, made from instances, imported; and what depends on them."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import images, instances, root_volumes, snapshots, tags, volumes
from ec2gw.model import bdm
from ec2gw.model.bdm import Line
from ec2gw.state.records import Image, ImageSnapshot, Instance, Snapshot, Tag
from tests.cloud.world import ME, OTHER, PATIENCE, World
from tests.refusals import refused

MAPPING, VALUE = "InvalidBlockDeviceMapping", "InvalidParameterValue"
MALFORMED = (
    "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'"
)


def registration(name: str = "golden", root: str = "/dev/sda1") -> images.Registration:
    return images.Registration(name, root, "the golden one", "x86_64", "hvm", {"EnaSupport": True})


def mapping(world: World, image: str) -> list[dict[str, Any]]:
    """As DescribeImages shows it."""
    row = world.row(Image, id=image)
    assert row
    return [bdm.to_ec2(bdm.from_json(line)) for line in row["mapping"]]


def gp2(snapshot: str | None, size: int, *, delete: bool = True) -> dict[str, Any]:
    source = {"SnapshotId": snapshot} if snapshot else {}
    return {"DeleteOnTermination": delete, **source, "VolumeSize": size, "VolumeType": "gp2", "Encrypted": False}


def complete(world: World, *made: str) -> None:
    for snapshot in made:
        world.tell(snapshots.was_cut, snapshot)
        world.tell(snapshots.completed, snapshot)


# -- RegisterImage


def test_register(world: World) -> None:
    root, data = world.snapshot(), world.snapshot(size=2)
    lines = (Line("/dev/sda1", snapshot_id=root), Line("/dev/sdf", snapshot_id=data, size=4), Line("/dev/sdg", size=1))
    image = world.wish(images.register, registration(), lines)
    row = world.row(Image, id=image)
    assert row
    assert (row["state"], row["name"], row["location"], row["account_id"]) == ("available", "golden", f"{ME}/golden", ME)
    assert (row["description"], row["architecture"], row["virtualization_type"]) == ("the golden one", "x86_64", "hvm")
    assert (row["root_device_name"], row["options"], row["created_at"]) == ("/dev/sda1", {"EnaSupport": True}, world.now)
    assert mapping(world, image) == [
        {"DeviceName": "/dev/sda1", "Ebs": gp2(root, 8)},
        {"DeviceName": "/dev/sdf", "Ebs": gp2(data, 4)},
        {"DeviceName": "/dev/sdg", "Ebs": gp2(None, 1)},
    ]
    assert {row["snapshot_id"] for row in world.rows(ImageSnapshot, image_id=image)} == {root, data}


def test_the_same_snapshot_twice_in_one_image(world: World) -> None:
    snapshot = world.snapshot()
    lines = (Line("/dev/sda1", snapshot_id=snapshot), Line("/dev/sdf", snapshot_id=snapshot))
    image = world.wish(images.register, registration(), lines)
    assert len(world.rows(ImageSnapshot, image_id=image)) == 1


def test_an_image_of_an_existing_volume_names_the_volume(world: World) -> None:
    volume = world.volume(size=5)
    image = world.wish(images.register, registration(), (Line("/dev/sda1", volume_id=volume),))
    assert mapping(world, image) == [
        {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False, "VolumeId": volume, "VolumeSize": 5}}
    ]


@pytest.mark.parametrize("name", ["abc", "a" * 128, "it's (a) [b] c/d.e-f@g_h", "ABC"])
def test_names(world: World, name: str) -> None:
    assert world.state(world.image(name=name)) == "available"


@pytest.mark.parametrize("name", ["", "ab", "a" * 129, "abc\n", "a:bc", "ÄÖÜ"])
def test_malformed_names_are_refused(world: World, name: str) -> None:
    with refused("InvalidAMIName.Malformed", MALFORMED):
        world.image(name=name)


def test_a_name_is_the_account_s_only_once(world: World) -> None:
    image = world.image(name="golden")
    with refused("InvalidAMIName.Duplicate", f"AMI name golden is already in use by AMI {image}"):
        world.image(name="golden")
    assert world.image(name="Golden") != image
    assert world.image(name="golden", account=OTHER) != image
    world.wish(images.deregister, image)
    assert world.state(world.image(name="golden")) == "available"


def test_register_of_unfit_sources_is_refused(world: World) -> None:
    half, broken, foreign, volume = (
        world.snapshot("pending"),
        world.snapshot("error"),
        world.snapshot(account=OTHER),
        world.volume("deleting"),
    )
    for line, code, message in (
        (Line("/dev/sda1", snapshot_id=half), "IncorrectState", "Snapshot is in invalid state - pending"),
        (Line("/dev/sda1", snapshot_id=broken), "IncorrectState", "Snapshot is in invalid state - error"),
        (Line("/dev/sda1", snapshot_id=foreign), "InvalidSnapshot.NotFound", f"The snapshot '{foreign}' does not exist."),
        (Line("/dev/sda1", volume_id=volume), "InvalidVolume.NotFound", f"The volume '{volume}' does not exist."),
        (Line("/dev/sda1", size=8), MAPPING, "The root device /dev/sda1 does not have a snapshot"),
    ):
        before = world.everything()
        with refused(code, message):
            world.wish(images.register, registration(), (line,))
        assert world.everything() == before


def test_an_image_of_a_shared_snapshot_lasts_as_long_as_the_sharing(world: World) -> None:
    snapshot = world.snapshot(account=OTHER)
    world.wish(snapshots.share, snapshot, [ME], [], account=OTHER)
    image = world.wish(images.register, registration(), (Line("/dev/sda1", snapshot_id=snapshot),))
    instance = world.instance(image=image)
    world.wish(snapshots.share, snapshot, [], [ME], account=OTHER)
    for use in (
        lambda: world.launch(image=image),
        lambda: world.wish(root_volumes.replace, instance, image_id=image),
    ):
        with refused("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
            use()
    world.wish(snapshots.delete, snapshot, account=OTHER)
    assert world.state(snapshot) == "deleting", "nobody else keeps it"


# -- DeregisterImage


@pytest.mark.parametrize("state", ["available", "pending", "failed"])
def test_deregister(world: World, state: str) -> None:
    instance = world.instance("stopped")
    image, (snapshot,) = world.wish(images.create, instance, "golden")
    if state == "available":
        complete(world, snapshot)
    if state == "failed":
        world.tell(snapshots.failed, snapshot, "no space")
    if state != "pending":
        world.tell(images.settle, image)
    assert world.state(image) == state
    world.wish(tags.put, [image, snapshot], {"k": "v"})
    world.wish(images.deregister, image)
    assert world.state(image) == "deregistered"
    assert world.state(snapshot) is not None
    assert world.rows(ImageSnapshot, image_id=image) == []
    assert [row["resource_id"] for row in world.rows(Tag)] == [snapshot], "its tags go with it"
    with refused("InvalidAMIID.Unavailable", f"The image id '[{image}]' is no longer available"):
        world.wish(images.deregister, image)


def test_what_is_somebody_else_s_is_not_found(world: World) -> None:
    image, instance = world.image(), world.instance()
    before = world.everything()
    with refused("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist"):
        world.wish(images.deregister, image, account=OTHER)
    with refused("InvalidAMIID.Malformed", 'Invalid id: "x" (expecting "ami-...")'):
        world.wish(images.deregister, "x")
    with refused("InvalidInstanceID.NotFound", f"The instance ID '{instance}' does not exist"):
        world.wish(images.create, instance, "golden", account=OTHER)
    assert world.everything() == before


# -- CreateImage


def test_create_of_a_stopped_instance(world: World) -> None:
    """Every volume attached now, launched with or attached later, at its size of now; the instance stays stopped."""
    instance = world.instance("stopped", Line("/dev/sdf", size=2, delete_on_termination=False))
    later = world.volume(size=3)
    world.wish(volumes.attach, later, instance, "/dev/sdh")
    root, data, _ = world.volumes_of(instance)
    image, made = world.wish(images.create, instance, "golden", description="as it is")
    assert world.touched == {image, instance, *made}
    rows = [world.row(Snapshot, id=snapshot) for snapshot in made]
    assert [row and (row["volume_id"], row["size"], row["state"], row["at_rest_of"]) for row in rows] == [
        (root, 8, "pending", None), (data, 2, "pending", None), (later, 3, "pending", None),
    ]  # fmt: skip
    assert {row and row["description"] for row in rows} == {f"Created by CreateImage({instance}) for {image}"}
    assert mapping(world, image) == [
        {"DeviceName": "/dev/sda1", "Ebs": gp2(made[0], 8)},
        {"DeviceName": "/dev/sdf", "Ebs": gp2(made[1], 2, delete=False)},
        {"DeviceName": "/dev/sdh", "Ebs": gp2(made[2], 3, delete=False)},
    ]
    row, source = world.row(Image, id=image), world.row(Instance, id=instance)
    assert row and source
    assert (row["state"], row["name"], row["description"]) == ("pending", "golden", "as it is")
    assert (row["source_instance_id"], row["source_image_id"]) == (instance, source["image_id"])
    assert (row["architecture"], row["virtualization_type"], row["root_device_name"]) == ("x86_64", "hvm", "/dev/sda1")
    assert (source["state"], source["boots"]) == ("stopped", 1)


@pytest.mark.parametrize(
    ("state", "no_reboot", "at_rest", "boots"),
    [
        ("running", False, True, 2),
        ("running", True, False, 1),
        ("stopping", False, True, 1),
        ("stopping", True, True, 1),
        ("stopped", False, False, 1),
        ("stopped", True, False, 1),
    ],
)
def test_create_shuts_down_a_running_guest_unless_told_not_to(
    world: World, state: str, no_reboot: bool, at_rest: bool, boots: int
) -> None:
    instance = world.instance(state)
    world.later(60)
    _, (snapshot,) = world.wish(images.create, instance, "golden", no_reboot=no_reboot)
    row, cut = world.row(Instance, id=instance), world.row(Snapshot, id=snapshot)
    assert row and cut
    assert (row["state"], row["boots"]) == (state, boots)
    assert (row["wished_at"] == world.now) is (boots == 2)  # the guest's time to obey begins now
    assert (cut["at_rest_of"] == instance) is at_rest


@pytest.mark.parametrize("state", ["pending", "shutting-down", "terminated"])
def test_create_of_an_instance_in_another_state_is_refused(world: World, state: str) -> None:
    instance = world.instance(state)
    before = world.everything()
    with refused(VALUE, "Instance is not in state 'running' or 'stopping' or 'stopped'"):
        world.wish(images.create, instance, "golden")
    assert world.everything() == before


def test_create_without_a_root_is_refused(world: World) -> None:
    instance = world.instance("stopped")
    (root,) = world.volumes_of(instance)
    world.wish(volumes.detach, root)
    message = (
        f"Value ({instance}) for parameter InstanceId is invalid. Instance does not have a volume attached at root (/dev/sda1)."
    )
    with refused(VALUE, message):
        world.wish(images.create, instance, "golden")


def test_create_under_a_taken_or_malformed_name_is_refused(world: World) -> None:
    instance, image = world.instance(), world.image(name="golden")
    before = world.everything()
    with refused("InvalidAMIName.Duplicate", f"AMI name golden is already in use by AMI {image}"):
        world.wish(images.create, instance, "golden")
    with refused("InvalidAMIName.Malformed", MALFORMED):
        world.wish(images.create, instance, "x")
    assert world.everything() == before


def test_create_with_a_mapping(world: World) -> None:
    """Further devices are added, some left out, flags changed, the image's instance store carried over."""
    image = world.image(Line("/dev/sdb", virtual="ephemeral0"), Line("/dev/sdc", virtual="ephemeral1"))
    instance = world.instance("stopped", Line("/dev/sdf", size=2), Line("/dev/sdg", size=2), image=image)
    data = world.snapshot(size=4)
    asked = bdm.from_ec2(
        [
            {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}},
            {"DeviceName": "/dev/sdf", "NoDevice": ""},
            {"DeviceName": "/dev/sdc", "NoDevice": ""},
            {"DeviceName": "/dev/sdh", "Ebs": {"SnapshotId": data}},
            {"DeviceName": "/dev/sdi", "Ebs": {"VolumeSize": 1}},
            {"DeviceName": "/dev/sde", "VirtualName": "ephemeral2"},
        ]
    )
    made_image, made = world.wish(images.create, instance, "golden", asked=asked)
    assert mapping(world, made_image) == [
        {"DeviceName": "/dev/sda1", "Ebs": gp2(made[0], 8, delete=False)},
        {"DeviceName": "/dev/sdg", "Ebs": gp2(made[1], 2)},
        {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        {"DeviceName": "/dev/sdh", "Ebs": gp2(data, 4)},
        {"DeviceName": "/dev/sdi", "Ebs": gp2(None, 1)},
        {"DeviceName": "/dev/sde", "VirtualName": "ephemeral2"},
    ]
    assert {row["snapshot_id"] for row in world.rows(ImageSnapshot, image_id=made_image)} == {*made, data}


def test_a_volume_in_an_ephemeral_disk_s_place_is_not_lost(world: World) -> None:
    image = world.image(Line("/dev/sdb", virtual="ephemeral0"))
    instance = world.instance("stopped", Line("/dev/sdb", size=2), image=image)
    made_image, made = world.wish(images.create, instance, "golden")
    assert mapping(world, made_image) == [
        {"DeviceName": "/dev/sda1", "Ebs": gp2(made[0], 8)},
        {"DeviceName": "/dev/sdb", "Ebs": gp2(made[1], 2)},
    ]


def test_no_live_volume_gets_into_a_new_image(world: World) -> None:
    volume = world.volume(size=5)
    instance = world.instance("stopped", Line("/dev/sdf", volume_id=volume))
    image, made = world.wish(images.create, instance, "golden")
    assert mapping(world, image)[1] == {"DeviceName": "/dev/sdf", "Ebs": gp2(made[1], 5, delete=False)}
    with refused(MAPPING, "Only DeleteOnTermination can be changed for /dev/sdf"):
        world.wish(images.create, instance, "silver", asked=(Line("/dev/sdf", size=9),))


def test_a_volume_on_its_way_out_is_not_in_the_image(world: World) -> None:
    instance = world.instance("running", Line("/dev/sdf", size=2))
    _, data = world.volumes_of(instance)
    world.wish(volumes.detach, data)
    _, made = world.wish(images.create, instance, "golden")
    assert len(made) == 1


# -- its end


def test_an_image_is_available_with_its_last_snapshot(world: World) -> None:
    instance = world.instance("stopped", Line("/dev/sdf", size=2))
    image, (one, other) = world.wish(images.create, instance, "golden")
    complete(world, one)
    assert image in world.touched
    world.tell(images.settle, image)
    assert world.state(image) == "pending"
    with refused("InvalidAMIID.Unavailable", f"The image id '[{image}]' is no longer available"):
        world.launch(image=image)
    complete(world, other)
    world.tell(images.settle, image)
    assert world.state(image) == "available"


def test_an_image_fails_with_a_snapshot(world: World) -> None:
    instance = world.instance("stopped", Line("/dev/sdf", size=2))
    image, (one, other) = world.wish(images.create, instance, "golden")
    world.tell(snapshots.failed, one, "no space")
    assert {image, instance} & world.touched == {image}
    complete(world, other)
    world.tell(images.settle, image)
    row = world.row(Image, id=image)
    assert row and (row["state"], row["reason"]) == ("failed", "A snapshot of the image could not be made")
    assert world.state(world.image(name="golden")) == "available"  # the name is free again


def test_settling_twice_or_late_changes_nothing(world: World) -> None:
    image, gone = world.image(), world.image()
    world.wish(images.deregister, gone)
    before = world.everything()
    for id in (image, gone, "ami-0123456789abcdef0"):
        world.tell(images.settle, id)
    assert world.everything() == before


def test_a_stopped_instance_s_image_is_that_of_its_new_root(world: World) -> None:
    instance = world.instance("stopped")
    (root,) = world.volumes_of(instance)
    world.wish(volumes.detach, root)
    world.tell(volumes.unplugged, root)
    volume = world.volume(size=9)
    world.wish(volumes.attach, volume, instance, "/dev/sda1")
    image, made = world.wish(images.create, instance, "golden")
    complete(world, *made)
    world.tell(images.settle, image)
    assert mapping(world, image) == [{"DeviceName": "/dev/sda1", "Ebs": gp2(made[0], 9, delete=False)}]
    world.wish(instances.start, [instance], PATIENCE)
    assert world.volumes_of(instance) == [volume]
