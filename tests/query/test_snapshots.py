"""Snapshots between two accounts, of several volumes, and copies, through boto3; the engine's part is told by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import instances, snapshots, volumes
from tests.query.face import ZONES, Face
from tests.query.test_images import new_image, new_snapshot, refusal
from tests.query.test_volumes import told


@pytest.fixture
def snapshot(face: Face) -> str:
    return new_snapshot(face)


@pytest.fixture
def other(face: Face) -> Any:
    """The second account's client."""
    return face.client(face.second)


def listed(client: Any, **asked: Any) -> list[str]:
    return [row["SnapshotId"] for row in client.describe_snapshots(**asked)["Snapshots"]]


def permissions(ec2: Any, snapshot: str) -> Any:
    found = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    assert found["SnapshotId"] == snapshot
    return found["CreateVolumePermissions"]


# -- sharing --------------------------------------------------------------------------------------------------------------------


def test_a_shared_snapshot_is_seen_and_used_and_nothing_else(face: Face, ec2: Any, other: Any, snapshot: str) -> None:
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "secret", "Value": "s"}])
    with refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
        other.create_volume(AvailabilityZone=ZONES[0], SnapshotId=snapshot)
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": face.second.account_id}]})
    assert permissions(ec2, snapshot) == [{"UserId": face.second.account_id}]
    (seen,) = other.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert (seen["OwnerId"], seen.get("Tags", [])) == (face.first.account_id, [])
    assert other.create_volume(AvailabilityZone=ZONES[0], SnapshotId=snapshot)["SnapshotId"] == snapshot
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    other.register_image(Name="mine", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk])
    copy = other.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="us-east-1")["SnapshotId"]
    assert listed(other, OwnerIds=["self"]) == [copy]
    for change in (other.delete_snapshot, lambda **of: other.describe_snapshot_attribute(Attribute="productCodes", **of)):
        with refusal("AuthFailure", f"Not authorized for snapshot:{snapshot}"):
            change(SnapshotId=snapshot)
    ec2.reset_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    assert permissions(ec2, snapshot) == []
    assert listed(other) == [copy]
    ec2.delete_snapshot(SnapshotId=snapshot)  # the other account's image does not keep it


def test_whose_snapshots_are_listed(face: Face, ec2: Any, other: Any, snapshot: str) -> None:
    public, theirs = new_snapshot(face), new_snapshot(face, face.second)
    me, they = face.first.account_id, face.second.account_id
    ec2.modify_snapshot_attribute(SnapshotId=public, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"])
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, OperationType="add", UserIds=[they])
    assert listed(other) == [snapshot, public, theirs]
    assert listed(other, OwnerIds=["self"]) == [theirs]
    assert listed(other, OwnerIds=[me]) == [snapshot, public]
    assert listed(other, RestorableByUserIds=["self"]) == [snapshot, theirs], "the owner's leave goes without saying"
    assert listed(other, RestorableByUserIds=["all"]) == [public]
    assert listed(ec2, RestorableByUserIds=[they]) == [snapshot]
    assert listed(face.client(face.key("third")), RestorableByUserIds=[they]) == []
    with refusal("InvalidUserID.Malformed"):
        ec2.describe_snapshots(RestorableByUserIds=["bob"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "productCodes", "OperationType": "add", "UserIds": ["1" * 12]}, "InvalidParameterValue"),
        ({"OperationType": "add", "UserIds": ["bob"]}, "InvalidAMIAttributeItemValue"),
        ({"OperationType": "add", "GroupNames": ["some"]}, "InvalidAMIAttributeItemValue"),
        (
            {"CreateVolumePermission": {"Add": [{"Group": "all"}], "Remove": [{"UserId": "1" * 12}]}},
            "InvalidParameterCombination",
        ),
    ],
)
def test_modify_refuses(face: Face, ec2: Any, snapshot: str, asked: dict[str, Any], code: str) -> None:
    before = face.everything()
    with refusal(code):
        ec2.modify_snapshot_attribute(SnapshotId=snapshot, **asked)
    assert face.everything() == before


def test_block_public_access(face: Face, ec2: Any, other: Any, snapshot: str) -> None:
    public = {"SnapshotId": snapshot, "CreateVolumePermission": {"Add": [{"Group": "all"}]}}
    assert ec2.get_snapshot_block_public_access_state()["State"] == "unblocked"
    ec2.modify_snapshot_attribute(**public)
    assert ec2.enable_snapshot_block_public_access(State="block-new-sharing")["State"] == "block-new-sharing"
    assert listed(other) == [snapshot], "what is public stays so"
    with refusal("OperationNotPermitted"):
        ec2.modify_snapshot_attribute(**public)
    assert ec2.enable_snapshot_block_public_access(State="block-all-sharing")["State"] == "block-all-sharing"
    assert listed(other) == [], "now it counts as private"
    assert listed(ec2) == [snapshot]
    ec2.disable_snapshot_block_public_access()
    assert listed(other) == [snapshot]
    with refusal("InvalidParameterValue"):
        ec2.enable_snapshot_block_public_access(State="open")


# -- copies ---------------------------------------------------------------------------------------------------------------------


def test_copy(face: Face, ec2: Any, snapshot: str) -> None:
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="us-east-1", TagSpecifications=tags)
    assert made["Tags"] == tags[0]["Tags"]
    (row,) = ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"]
    assert (row["State"], row["VolumeId"], row["VolumeSize"]) == ("pending", "vol-ffffffff", 1)
    assert row["Description"] == ""
    with refusal("IncorrectState", "Snapshot is in invalid state - pending"):
        ec2.copy_snapshot(SourceSnapshotId=made["SnapshotId"], SourceRegion="us-east-1")
    told(face, snapshots.was_cut, made["SnapshotId"])
    told(face, snapshots.completed, made["SnapshotId"])
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert listed(ec2) == [made["SnapshotId"]]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SourceRegion": "eu-west-1"}, "InvalidParameterValue"),
        ({"SourceSnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({"Encrypted": True}, "UnsupportedOperation"),
        ({"KmsKeyId": "k"}, "InvalidParameterDependency"),
        ({"DestinationAvailabilityZone": ZONES[0]}, "UnsupportedOperation"),
    ],
)
def test_copies_that_are_refused(ec2: Any, snapshot: str, asked: dict[str, Any], code: str) -> None:
    with refusal(code):
        ec2.copy_snapshot(**{"SourceSnapshotId": snapshot, "SourceRegion": "us-east-1", **asked})


def test_no_more_copies_at_a_time_than_aws_makes(ec2: Any, snapshot: str) -> None:
    for _ in range(snapshots.MOST_COPIES):
        ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="us-east-1")
    with refusal("ResourceLimitExceeded"):
        ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="us-east-1")


# -- of an instance's volumes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def instance(face: Face, ec2: Any) -> str:
    """A running instance with a root and two volumes of 2 and 3 GiB."""
    disks = [{"DeviceName": f"/dev/sd{letter}", "Ebs": {"VolumeSize": size}} for letter, size in (("f", 2), ("g", 3))]
    (made,) = ec2.run_instances(ImageId=new_image(face), MinCount=1, MaxCount=1, BlockDeviceMappings=disks)["Instances"]
    ids = [row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]]
    for id in ids:
        told(face, volumes.created, id)
    told(face, instances.started, made["InstanceId"], ids)
    return str(made["InstanceId"])


def volumes_of(ec2: Any, instance: str) -> dict[str, str]:
    (row,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return {disk["DeviceName"]: disk["Ebs"]["VolumeId"] for disk in row["BlockDeviceMappings"]}


def test_create_snapshots(face: Face, ec2: Any, instance: str) -> None:
    ids = volumes_of(ec2, instance)
    ec2.create_tags(Resources=[ids["/dev/sdf"]], Tags=[{"Key": "is", "Value": "f"}])
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance}, Description="all", TagSpecifications=tags, CopyTagsFromSource="volume"
    )["Snapshots"]
    assert [row["VolumeId"] for row in made] == list(ids.values())
    assert [row["VolumeSize"] for row in made] == [1, 2, 3]
    assert {(row["State"], row["Progress"], row["Description"], row["OwnerId"]) for row in made} == {
        ("pending", "", "all", face.first.account_id)
    }
    assert len({row["StartTime"] for row in made}) == 1
    assert made[1]["Tags"] == [{"Key": "a", "Value": "b"}, {"Key": "is", "Value": "f"}]
    assert made[0]["Tags"] == tags[0]["Tags"]
    assert face.bell.waited == [[row["SnapshotId"] for row in made]], "the answer waits for the instant"
    assert "<state>pending</state>" in face.ask("CreateSnapshots", InstanceSpecification__InstanceId=instance).text


def test_create_snapshots_of_some(ec2: Any, instance: str) -> None:
    ids = volumes_of(ec2, instance)

    def made(**more: Any) -> list[str]:
        rows = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance, **more})["Snapshots"]
        return [row["VolumeId"] for row in rows]

    assert made(ExcludeBootVolume=True) == [ids["/dev/sdf"], ids["/dev/sdg"]]
    assert made(ExcludeDataVolumeIds=[ids["/dev/sdf"]]) == [ids["/dev/sda1"], ids["/dev/sdg"]]
    assert made(ExcludeBootVolume=True, ExcludeDataVolumeIds=[ids["/dev/sdf"]]) == [ids["/dev/sdg"]]
    with refusal("InvalidParameterValue"):
        made(ExcludeDataVolumeIds=[ids["/dev/sda1"]])
    with refusal("InvalidParameterValue"):
        made(ExcludeBootVolume=True, ExcludeDataVolumeIds=[ids["/dev/sdf"], ids["/dev/sdg"]])
    with refusal("InvalidVolume.NotFound"):
        made(ExcludeDataVolumeIds=["vol-0123456789abcdef0"])
    with refusal("InvalidInstanceID.NotFound"):
        made(InstanceId="i-0123456789abcdef0")


def test_pending_snapshots_of_a_volume_are_limited(face: Face, ec2: Any, instance: str) -> None:
    root = volumes_of(ec2, instance)["/dev/sda1"]
    for _ in range(5):
        ec2.create_snapshot(VolumeId=root)
    too_many = "Maximum allowed in-progress snapshots for a single volume exceeded."
    with refusal("ConcurrentSnapshotLimitExceeded", too_many):
        ec2.create_snapshot(VolumeId=root)
    with refusal("ConcurrentSnapshotLimitExceeded", too_many):
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    cold = ec2.create_volume(AvailabilityZone=ZONES[0], Size=125, VolumeType="st1")["VolumeId"]
    told(face, volumes.created, cold)
    ec2.create_snapshot(VolumeId=cold)
    with refusal("ConcurrentSnapshotLimitExceeded"):
        ec2.create_snapshot(VolumeId=cold)


def test_a_snapshot_of_a_volume_that_grows_is_as_large_as_it_may_be(face: Face, ec2: Any) -> None:
    volume = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    told(face, volumes.created, volume)
    ec2.modify_volume(VolumeId=volume, Size=4)
    assert ec2.create_snapshot(VolumeId=volume)["VolumeSize"] == 4
