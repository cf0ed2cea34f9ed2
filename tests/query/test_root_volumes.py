"""Replacements of root volumes through boto3; the engine's part is told by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import images, instances, root_volumes, snapshots, volumes
from ec2gw.model import bdm
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_images import new_image, new_snapshot, refusal
from tests.query.test_instances import run, show
from tests.query.test_volumes import new_volume, told


@pytest.fixture
def instance(face: Face, ec2: Any) -> str:
    """A running one whose root is gp3, of 8 GiB, and stays on termination."""
    root = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "Iops": 4000, "DeleteOnTermination": False}}
    id: str = run(ec2, new_image(face), BlockDeviceMappings=[root])["InstanceId"]
    told(face, instances.started, id, [root_of(ec2, id)])
    told(face, volumes.created, root_of(ec2, id))
    return id


def root_of(ec2: Any, instance: str) -> str:
    (found,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    return str(found["VolumeId"])


def volume(ec2: Any, id: str) -> dict[str, Any]:
    return dict(ec2.describe_volumes(VolumeIds=[id])["Volumes"][0])


def volume_ids(ec2: Any) -> set[str]:
    return {row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]}


def task(ec2: Any, made: dict[str, Any]) -> dict[str, Any]:
    (found,) = ec2.describe_replace_root_volume_tasks(ReplaceRootVolumeTaskIds=[made["ReplaceRootVolumeTaskId"]])[
        "ReplaceRootVolumeTasks"
    ]
    return dict(found)


def replace(ec2: Any, instance: str, **more: Any) -> dict[str, Any]:
    return dict(ec2.create_replace_root_volume_task(InstanceId=instance, **more)["ReplaceRootVolumeTask"])


def bring_through(face: Face, ec2: Any, made: dict[str, Any], new: str) -> None:
    """All that the engine tells of a replacement that succeeds."""
    id = made["ReplaceRootVolumeTaskId"]
    if volume(ec2, new)["State"] == "creating":
        told(face, volumes.created, new)
    for fact in (root_volumes.ready, root_volumes.swap, root_volumes.replaced):
        told(face, fact, id)
    told(face, volumes.plugged, new)


def test_back_to_the_launch(face: Face, ec2: Any, instance: str) -> None:
    old, before = root_of(ec2, instance), show(ec2, instance)
    tags = [{"ResourceType": "replace-root-volume-task", "Tags": [{"Key": "why", "Value": "a rootkit"}]}]
    made = replace(ec2, instance, TagSpecifications=tags, VolumeInitializationRate=300, ClientToken="once")
    (new,) = volume_ids(ec2) - {old}
    assert made["ReplaceRootVolumeTaskId"].startswith("replacevol-")
    assert (made["InstanceId"], made["TaskState"], made["DeleteReplacedRootVolume"]) == (instance, "pending", False)
    assert made["SnapshotId"] == volume(ec2, old)["SnapshotId"]
    assert made["Tags"] == [{"Key": "why", "Value": "a rootkit"}]
    assert "CompleteTime" not in made
    again = replace(ec2, instance, TagSpecifications=tags, VolumeInitializationRate=300, ClientToken="once")
    assert again == made == task(ec2, made)
    assert (volume(ec2, new)["VolumeInitializationRate"], "VolumeInitializationRate" in volume(ec2, old)) == (300, False)
    shape = ("Size", "VolumeType", "Iops", "Throughput", "SnapshotId", "AvailabilityZone")
    assert [volume(ec2, new)[name] for name in shape] == [volume(ec2, old)[name] for name in shape]

    told(face, volumes.created, new)
    told(face, root_volumes.ready, made["ReplaceRootVolumeTaskId"])
    assert task(ec2, made)["TaskState"] == "in-progress"
    assert (volume(ec2, new)["State"], volume(ec2, old)["State"]) == ("in-use", "in-use")
    for take in (
        lambda: ec2.delete_volume(VolumeId=new),
        lambda: ec2.attach_volume(VolumeId=new, InstanceId=instance, Device="/dev/sdf"),
        lambda: replace(ec2, instance),
        lambda: replace(ec2, instance, VolumeId=new),
    ):
        with refusal("IncorrectState"):
            take()
    for _ in range(2):  # each of these may be told again
        told(face, root_volumes.swap, made["ReplaceRootVolumeTaskId"])
        assert root_of(ec2, instance) == new
        assert volume(ec2, old)["State"] == "in-use", "it may have to come back"
    for _ in range(2):
        told(face, root_volumes.replaced, made["ReplaceRootVolumeTaskId"])
        assert volume(ec2, old)["State"] == "available"
        done = task(ec2, made)
        assert (done["TaskState"], len(done["CompleteTime"])) == ("succeeded", len("2026-03-04T00:21:54Z"))
    (attachment,) = volume(ec2, new)["Attachments"]
    assert (attachment["Device"], attachment["DeleteOnTermination"]) == ("/dev/sda1", False)
    after = show(ec2, instance)
    assert {name for name in before if before[name] != after.get(name)} == {"BlockDeviceMappings"}
    assert (before["State"]["Name"], before["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]) == ("running", old)


def test_from_a_snapshot_of_a_root_that_it_has_or_had(face: Face, ec2: Any, instance: str) -> None:
    first = root_of(ec2, instance)
    launched_from = volume(ec2, first)["SnapshotId"]
    kept = ec2.create_snapshot(VolumeId=first)["SnapshotId"]
    with refusal("IncorrectState"):
        replace(ec2, instance, SnapshotId=kept)
    told(face, snapshots.was_cut, kept)
    told(face, snapshots.completed, kept)
    roots = [first]
    for asked in ({"SnapshotId": kept}, {}, {"SnapshotId": kept, "DeleteReplacedRootVolume": True}):
        made = replace(ec2, instance, **asked)
        assert made["SnapshotId"] == asked.get("SnapshotId", launched_from), "the launch stays what it was"
        (new,) = volume_ids(ec2) - set(roots)
        bring_through(face, ec2, made, new)
        roots.append(new)
    assert [volume(ec2, root)["State"] for root in roots] == ["available", "available", "deleting", "in-use"]
    listed = ec2.describe_replace_root_volume_tasks(Filters=[{"Name": "instance-id", "Values": [instance]}], MaxResults=2)
    rest = ec2.describe_replace_root_volume_tasks(
        Filters=[{"Name": "instance-id", "Values": [instance]}], MaxResults=2, NextToken=listed["NextToken"]
    )
    tasks = listed["ReplaceRootVolumeTasks"] + rest["ReplaceRootVolumeTasks"]
    assert [row["DeleteReplacedRootVolume"] for row in tasks] == [False, False, True]
    other = [{"Name": "instance-id", "Values": ["i-1"]}]
    assert ec2.describe_replace_root_volume_tasks(Filters=other)["ReplaceRootVolumeTasks"] == []
    assert face.client(face.second).describe_replace_root_volume_tasks()["ReplaceRootVolumeTasks"] == []


def test_from_an_image(face: Face, ec2: Any, instance: str) -> None:
    old, line = root_of(ec2, instance), bdm.Line("/dev/xvda", snapshot_id=new_snapshot(face), size=9)
    with face.database.write() as tx:
        like = images.Registration("other", "/dev/xvda", "", "x86_64", "hvm")
        image = images.register(tx, face.first.account_id, like, [line]).id
    made = replace(ec2, instance, ImageId=image)
    (new,) = volume_ids(ec2) - {old}
    assert (made["ImageId"], made["SnapshotId"], volume(ec2, new)["Size"]) == (image, line.snapshot_id, 9)
    assert (volume(ec2, new)["VolumeType"], volume(ec2, new)["Iops"]) == ("gp3", 4000)
    bring_through(face, ec2, made, new)
    shown = show(ec2, instance)
    assert (shown["ImageId"], shown["RootDeviceName"]) == (image, "/dev/sda1")
    assert replace(ec2, instance)["SnapshotId"] == line.snapshot_id, "from now on this is what it was launched from"


def test_a_volume_that_is_there_already(face: Face, ec2: Any, instance: str) -> None:
    old, new = root_of(ec2, instance), new_volume(face, ec2, Size=1)
    made = replace(ec2, instance, VolumeId=new, DeleteReplacedRootVolume=True)
    assert "SnapshotId" not in made
    id = made["ReplaceRootVolumeTaskId"]
    told(face, root_volumes.ready, id)
    told(face, root_volumes.swap, id)
    assert volume(ec2, old)["State"] == "in-use", "nobody takes what is to be deleted"
    told(face, root_volumes.replaced, id)
    assert volume(ec2, old)["State"] == "deleting"
    assert root_of(ec2, instance) == new


def test_what_cannot_be_made_leaves_all_as_it_was(face: Face, ec2: Any, instance: str) -> None:
    old = root_of(ec2, instance)
    made = replace(ec2, instance)
    (new,) = volume_ids(ec2) - {old}
    told(face, volumes.failed, new)
    told(face, root_volumes.failed, made["ReplaceRootVolumeTaskId"])
    assert task(ec2, made)["TaskState"] == "failed"
    assert (volume(ec2, new)["State"], root_of(ec2, instance)) == ("deleting", old)
    assert replace(ec2, instance)["TaskState"] == "pending", "and it may be tried again"


@pytest.mark.parametrize("given", [False, True])
def test_a_root_that_no_machine_starts_from(face: Face, ec2: Any, instance: str, given: bool) -> None:
    """The old root comes back, and what was made for this goes."""
    before = show(ec2, instance)
    old, free = root_of(ec2, instance), new_volume(face, ec2)
    line = bdm.Line("/dev/xvda", snapshot_id=new_snapshot(face), size=8)
    with face.database.write() as tx:
        like = images.Registration("other", "/dev/xvda", "", "x86_64", "hvm")
        image = images.register(tx, face.first.account_id, like, [line]).id
    source = {"VolumeId": free} if given else {"ImageId": image}
    made = replace(ec2, instance, DeleteReplacedRootVolume=True, **source)
    (new,) = {free} if given else volume_ids(ec2) - {old, free}
    if not given:
        told(face, volumes.created, new)
    told(face, root_volumes.unbootable, instance)
    assert task(ec2, made)["TaskState"] == "pending", "nothing was started from it yet"
    told(face, root_volumes.ready, made["ReplaceRootVolumeTaskId"])
    told(face, root_volumes.swap, made["ReplaceRootVolumeTaskId"])
    assert (root_of(ec2, instance), show(ec2, instance)["ImageId"]) == (new, before["ImageId"])
    for _ in range(2):
        told(face, root_volumes.unbootable, instance)
        assert task(ec2, made)["TaskState"] == "failed"
        assert (root_of(ec2, instance), volume(ec2, old)["State"]) == (old, "in-use")
        assert volume(ec2, new)["State"] == ("available" if given else "deleting")
    told(face, volumes.plugged, old)
    after = show(ec2, instance)
    assert {name for name in before if before[name] != after.get(name)} == {"BlockDeviceMappings"}  # it was attached again
    assert replace(ec2, instance)["TaskState"] == "pending"


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_an_instance_that_ends_meanwhile(face: Face, ec2: Any, instance: str, swapped: bool, given: bool) -> None:
    """What it runs on then stays as its own flag says; the other is free, or goes if it was made for this."""
    old, free = root_of(ec2, instance), new_volume(face, ec2)
    made = replace(ec2, instance, DeleteReplacedRootVolume=True, **({"VolumeId": free} if given else {}))
    (new,) = {free} if given else volume_ids(ec2) - {old, free}
    id = made["ReplaceRootVolumeTaskId"]
    if not given:
        told(face, volumes.created, new)
    for fact in (root_volumes.ready, root_volumes.swap)[: 1 + swapped]:
        told(face, fact, id)
    ec2.terminate_instances(InstanceIds=[instance])
    told(face, instances.ended, instance)
    assert task(ec2, made)["TaskState"] == "failed"
    assert volume(ec2, old)["State"] == "available"
    assert volume(ec2, new)["State"] == ("available" if given or swapped else "deleting")
    told(face, instances.forget, instance)
    assert ec2.describe_replace_root_volume_tasks()["ReplaceRootVolumeTasks"] == []


def test_the_root_stays_while_it_is_being_replaced(face: Face, ec2: Any, instance: str) -> None:
    old = root_of(ec2, instance)
    replace(ec2, instance)
    ec2.stop_instances(InstanceIds=[instance])
    told(face, instances.stopped, instance)
    with refusal("IncorrectState", f"Unable to detach root volume '{old}' from instance '{instance}'"):
        ec2.detach_volume(VolumeId=old)


def test_what_is_refused(face: Face, ec2: Any, instance: str) -> None:
    foreign, unlike = new_snapshot(face), new_image(face, "unlike")
    ours, elsewhere = new_volume(face, ec2), ec2.create_volume(AvailabilityZone=ZONES[1], Size=1)["VolumeId"]
    with face.database.write() as tx:
        tx.db.query(records.Image).filter_by(id=unlike).one().architecture = "i386"
    theirs = face.client(face.second).create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({"SnapshotId": foreign, "ImageId": unlike}, "InvalidParameterCombination", None),
        ({"ImageId": unlike, "VolumeId": ours}, "InvalidParameterCombination", None),
        ({"ImageId": unlike}, "InvalidParameterCombination", None),
        ({"ImageId": new_image(face, "small")}, "InvalidParameterValue", None),
        ({"SnapshotId": foreign}, "InvalidParameterValue", None),
        ({"SnapshotId": "snap-1"}, "InvalidSnapshot.NotFound", None),
        ({"ImageId": "ami-1"}, "InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist"),
        ({"VolumeId": elsewhere}, "InvalidVolume.ZoneMismatch", None),
        ({"VolumeId": root_of(ec2, instance)}, "VolumeInUse", None),
        ({"VolumeId": theirs}, "InvalidVolume.NotFound", None),
        ({"VolumeInitializationRate": 99}, "InvalidParameterValue", None),
        ({"VolumeInitializationRate": 100, "VolumeId": ours}, "InvalidParameterDependency", None),
        ({"InstanceId": "i-1"}, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist"),
        ({"InstanceId": "x"}, "InvalidInstanceID.Malformed", 'Invalid id: "x" (expecting "i-...")'),
        ({"TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a"}]}]}, "InvalidParameterValue", None),
    ]
    before = face.everything()
    for asked, code, message in cases:
        with refusal(code, message):
            ec2.create_replace_root_volume_task(**{"InstanceId": instance, **asked})
    with refusal("DryRunOperation"):
        replace(ec2, instance, DryRun=True)
    assert face.everything() == before
    for asked, code, message in (
        ({"ReplaceRootVolumeTaskIds": ["replacevol-1"]}, "InvalidReplaceRootVolumeTaskId.NotFound", None),
        ({"ReplaceRootVolumeTaskIds": ["vol-1"]}, "InvalidParameterValue", None),
        ({"MaxResults": 51}, "InvalidParameterValue", None),
        ({"Filters": [{"Name": "task-state", "Values": ["pending"]}]}, "InvalidParameterValue", None),
    ):
        with refusal(code, message):
            ec2.describe_replace_root_volume_tasks(**asked)
    ec2.stop_instances(InstanceIds=[instance])
    with refusal("IncorrectInstanceState"):
        replace(ec2, instance)


def test_what_the_launch_was_made_from_must_be_there(face: Face, ec2: Any, instance: str) -> None:
    snapshot = volume(ec2, root_of(ec2, instance))["SnapshotId"]
    ec2.deregister_image(ImageId=show(ec2, instance)["ImageId"])
    ec2.delete_snapshot(SnapshotId=snapshot)
    with refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
        replace(ec2, instance)
    new = new_volume(face, ec2)
    bring_through(face, ec2, replace(ec2, instance, VolumeId=new), new)
    with face.database.write() as tx:
        tx.db.query(records.RootReplacement).one().pristine_id = None
    with refusal("InvalidParameterCombination"):
        replace(ec2, instance)
