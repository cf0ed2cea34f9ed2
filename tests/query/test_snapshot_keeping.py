"""Locks, the recycle bin, fast restores, encryption by default, through boto3."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ec2gw.cloud import snapshots, uploads
from tests.query.face import ZONES, Face
from tests.query.test_images import new_image, new_snapshot, refusal
from tests.query.test_volumes import told


@pytest.fixture
def snapshot(face: Face) -> str:
    return new_snapshot(face)


def locks(ec2: Any) -> list[tuple[str, str]]:
    return [(row["SnapshotId"], row["LockState"]) for row in ec2.describe_locked_snapshots()["Snapshots"]]


def test_a_locked_snapshot_stays(ec2: Any, snapshot: str) -> None:
    lock = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)
    assert (lock["SnapshotId"], lock["LockState"], lock["LockDuration"]) == (snapshot, "governance", 2)
    assert lock["LockExpiresOn"] - lock["LockCreatedOn"] == datetime.timedelta(days=2)
    assert locks(ec2) == [(snapshot, "governance")]
    with refusal("OperationNotPermitted"):
        ec2.delete_snapshot(SnapshotId=snapshot)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, hours=1)
    assert ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", ExpirationDate=until)["LockDuration"] == 2
    assert ec2.unlock_snapshot(SnapshotId=snapshot)["SnapshotId"] == snapshot
    assert locks(ec2) == []
    with refusal("IncorrectState"):
        ec2.unlock_snapshot(SnapshotId=snapshot)
    ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_lock_for_compliance_only_becomes_longer(ec2: Any, snapshot: str) -> None:
    cooling = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=2, CoolOffPeriod=1)
    assert (cooling["LockState"], cooling["CoolOffPeriod"]) == ("compliance-cooloff", 1)
    ec2.unlock_snapshot(SnapshotId=snapshot)
    assert ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=2)["LockState"] == "compliance"
    for change in (ec2.unlock_snapshot, ec2.delete_snapshot):
        with refusal("OperationNotPermitted"):
            change(SnapshotId=snapshot)
    for weaker in (
        {"LockMode": "compliance", "LockDuration": 1},
        {"LockMode": "compliance", "LockDuration": 3, "CoolOffPeriod": 1},
        {"LockMode": "governance", "LockDuration": 3},
    ):
        with refusal("OperationNotPermitted"):
            ec2.lock_snapshot(SnapshotId=snapshot, **weaker)
    assert ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=3)["LockDuration"] == 3


def test_a_lock_expires(face: Face, ec2: Any, snapshot: str) -> None:
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=1)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, minutes=1)
    face.database.clock = lambda: later
    with face.database.write() as tx:
        row = snapshots.find(tx, face.first.account_id, snapshot)
        assert snapshots.lock_state(row, tx.now) == "expired"
        snapshots.delete(tx, face.first.account_id, snapshot)


def test_a_lock_keeps_no_snapshot_that_cannot_be_made(face: Face, ec2: Any) -> None:
    with face.database.write() as tx:
        upload = uploads.start(tx, face.first.account_id, 1, ZONES[0]).id
    ec2.lock_snapshot(SnapshotId=upload, LockMode="compliance", LockDuration=1)
    told(face, snapshots.failed, upload, uploads.WRONG_COUNT)
    assert locks(ec2) == []
    ec2.delete_snapshot(SnapshotId=upload)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"LockMode": "strict", "LockDuration": 1}, "InvalidParameterValue"),
        ({"LockDuration": 0}, "InvalidParameterValue"),
        ({"LockDuration": 36_501}, "InvalidParameterValue"),
        ({"LockDuration": 1, "CoolOffPeriod": 1}, "InvalidParameterCombination"),
        ({"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 73}, "InvalidParameterValue"),
        ({"LockDuration": 1, "ExpirationDate": datetime.datetime(2090, 1, 1)}, "InvalidParameterCombination"),
        ({"ExpirationDate": datetime.datetime(2020, 1, 1)}, "InvalidParameterValue"),
        ({"SnapshotId": "snap-0123456789abcdef0", "LockDuration": 1}, "InvalidSnapshot.NotFound"),
    ],
)
def test_locks_that_are_refused(ec2: Any, snapshot: str, asked: dict[str, Any], code: str) -> None:
    with refusal(code):
        ec2.lock_snapshot(**{"SnapshotId": snapshot, "LockMode": "governance", **asked})
    assert locks(ec2) == []


def test_an_image_goes_and_its_locked_snapshot_stays(face: Face, ec2: Any) -> None:
    image = new_image(face)
    snapshot = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    gone = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert gone["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "missing-permissions"}]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]


def test_the_recycle_bin_is_empty(ec2: Any, snapshot: str) -> None:
    assert ec2.list_snapshots_in_recycle_bin()["Snapshots"] == []
    assert ec2.list_images_in_recycle_bin()["Images"] == []
    assert ec2.list_volumes_in_recycle_bin()["Volumes"] == []
    with refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
        ec2.restore_snapshot_from_recycle_bin(SnapshotId=snapshot)
    with refusal("InvalidAMIID.NotFound"):
        ec2.restore_image_from_recycle_bin(ImageId="ami-0123456789abcdef0")
    with refusal("InvalidAMIID.Malformed"):
        ec2.list_images_in_recycle_bin(ImageIds=["x"])
    with refusal("InvalidVolume.NotFound"):
        ec2.restore_volume_from_recycle_bin(VolumeId="vol-0123456789abcdef0")


def test_fast_restores(face: Face, ec2: Any, snapshot: str) -> None:
    absent = "snap-0123456789abcdef0"
    asked = {"SourceSnapshotIds": [snapshot, absent], "AvailabilityZones": list(ZONES[:2])}
    answer = ec2.enable_fast_snapshot_restores(**asked)
    assert [(row["SnapshotId"], row["AvailabilityZone"], row["State"]) for row in answer["Successful"]] == [
        (snapshot, zone, "enabled") for zone in ZONES[:2]
    ]
    (refused,) = answer["Unsuccessful"]
    assert refused["SnapshotId"] == absent
    assert {row["Error"]["Code"] for row in refused["FastSnapshotRestoreStateErrors"]} == {"InvalidSnapshot.NotFound"}
    assert ec2.enable_fast_snapshot_restores(**asked)["Successful"] == answer["Successful"], "once is enough"

    def zones(**asked: Any) -> list[str]:
        return [row["AvailabilityZone"] for row in ec2.describe_fast_snapshot_restores(**asked)["FastSnapshotRestores"]]

    assert zones() == list(ZONES[:2])
    assert zones(Filters=[{"Name": "availability-zone", "Values": [ZONES[1]]}]) == [ZONES[1]]
    assert zones(Filters=[{"Name": "state", "Values": ["disabled"]}]) == []
    first = ec2.describe_fast_snapshot_restores(MaxResults=1)
    assert [row["AvailabilityZone"] for row in first["FastSnapshotRestores"]] == [ZONES[0]]
    assert zones(MaxResults=1, NextToken=first["NextToken"]) == [ZONES[1]]
    assert zones(MaxResults=0) == list(ZONES[:2])
    assert face.client(face.second).describe_fast_snapshot_restores()["FastSnapshotRestores"] == []
    gone = ec2.disable_fast_snapshot_restores(SourceSnapshotIds=[snapshot], AvailabilityZones=[ZONES[0], ZONES[2]])
    assert [(row["AvailabilityZone"], row["State"]) for row in gone["Successful"]] == [(ZONES[0], "disabled")]
    assert [row["AvailabilityZone"] for row in gone["Unsuccessful"][0]["FastSnapshotRestoreStateErrors"]] == [ZONES[2]]
    assert zones() == [ZONES[1]]
    with refusal("InvalidParameterValue"):
        ec2.enable_fast_snapshot_restores(SourceSnapshotIds=[snapshot], AvailabilityZones=["mars-1a"])
    ec2.delete_snapshot(SnapshotId=snapshot)
    told(face, snapshots.removed, snapshot)
    assert zones() == []


def test_nothing_is_encrypted_by_default(ec2: Any) -> None:
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    with refusal("UnsupportedOperation"):
        ec2.enable_ebs_encryption_by_default()
    assert ec2.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False


def test_every_snapshot_is_in_the_standard_tier(face: Face, ec2: Any, snapshot: str) -> None:
    other = new_snapshot(face)
    new_snapshot(face, face.second)
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "Name", "Value": "first"}])
    rows = ec2.describe_snapshot_tier_status()["SnapshotTierStatuses"]
    assert [(row["SnapshotId"], row["StorageTier"], row["Status"]) for row in rows] == [
        (snapshot, "standard", "completed"),
        (other, "standard", "completed"),
    ]
    assert rows[0]["Tags"] == [{"Key": "Name", "Value": "first"}] and rows[0]["OwnerId"] == face.first.account_id
    for name, value, found in (
        ("snapshot-id", other, [other]),
        ("volume-id", "vol-ffffffff", [snapshot, other]),
        ("last-tiering-operation", "*", []),
        ("tag:Name", "first", [snapshot]),
    ):
        asked = ec2.describe_snapshot_tier_status(Filters=[{"Name": name, "Values": [value]}])
        assert [row["SnapshotId"] for row in asked["SnapshotTierStatuses"]] == found, name
