"""Imports as boto3 asks for and sees them, at each stage that the engine tells of; and what is refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine

from ec2gw.cloud import imports, snapshots
from tests.query.face import Face
from tests.query.test_images import new_snapshot, refusal

URL = "https://images.example/disk.qcow2?signature=abc"


def snapshot_task(ec2: Any, id: str) -> Any:
    (row,) = ec2.describe_import_snapshot_tasks(ImportTaskIds=[id])["ImportSnapshotTasks"]
    return row


def image_task(ec2: Any, id: str) -> Any:
    (row,) = ec2.describe_import_image_tasks(ImportTaskIds=[id])["ImportImageTasks"]
    return row


def tell(face: Face, fact: Any, *words: Any, **more: Any) -> None:
    with face.database.write() as tx:
        fact(tx, *words, **more)


def test_a_snapshot_from_a_url(face: Face, ec2: Any) -> None:
    tags = [{"ResourceType": "import-snapshot-task", "Tags": [{"Key": "a", "Value": "b"}]}]
    container = {"Url": URL, "Format": "qcow2", "Description": "the disk"}
    task = ec2.import_snapshot(DiskContainer=container, Description="mine", ClientToken="once", TagSpecifications=tags)
    id = task["ImportTaskId"]
    assert (len(id), id[:13]) == (29, "import-snap-0")
    assert task["Tags"] == tags[0]["Tags"]
    assert task["SnapshotTaskDetail"] == {
        "Description": "mine", "DiskImageSize": 0.0, "Encrypted": False, "Format": "QCOW2", "Progress": "0", "Status": "active",
        "StatusMessage": "pending", "Url": URL,
    }  # fmt: skip
    again = ec2.import_snapshot(DiskContainer=container, Description="mine", ClientToken="once", TagSpecifications=tags)
    assert again["ImportTaskId"] == id
    tell(face, imports.progressed, id, "validating", 20)
    assert snapshot_task(ec2, id)["SnapshotTaskDetail"]["StatusMessage"] == "validating"
    tell(face, imports.fetched, id, 0, "qcow2", 12345, 3)
    tell(face, imports.fetched, id, 0, "qcow2", 12345, 3)  # a step done twice
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert (snapshot["State"], snapshot["VolumeSize"], snapshot["VolumeId"]) == ("pending", 3, "vol-ffffffff")
    assert snapshot["Description"] == f"Created by AWS-VMImport service for {id}"
    tell(face, imports.filled, id, 0)
    tell(face, imports.finish, id)
    done = snapshot_task(ec2, id)
    assert done["SnapshotTaskDetail"] == {
        "Description": "mine", "DiskImageSize": 12345.0, "Encrypted": False, "Format": "QCOW2", "Status": "completed",
        "SnapshotId": snapshot["SnapshotId"], "Url": URL,
    }  # fmt: skip
    assert done["Tags"] == tags[0]["Tags"]
    with refusal("IncorrectState"):
        ec2.cancel_import_task(ImportTaskId=id)
    ec2.get_waiter("snapshot_imported").wait(ImportTaskIds=[id])


def test_an_image_of_two_disks(face: Face, ec2: Any) -> None:
    given = new_snapshot(face)
    task = ec2.import_image(
        DiskContainers=[{"Url": URL, "Format": "VHD"}, {"SnapshotId": given, "DeviceName": "/dev/sdf", "Description": "data"}],
        Platform="Windows", LicenseType="BYOL", BootMode="uefi", Architecture="x86_64", Description="two",
    )  # fmt: skip
    id = task["ImportTaskId"]
    assert (id[:12], len(id), task["Status"], task["StatusMessage"], task["Progress"]) == (
        "import-ami-0", 28, "active", "pending", "0",
    )  # fmt: skip
    tell(face, imports.fetched, id, 0, "vpc", 99, 2)
    tell(face, imports.filled, id, 0)
    tell(face, imports.finish, id)
    row = image_task(ec2, id)
    assert (row["Status"], row["Platform"], row["LicenseType"], row["BootMode"]) == ("completed", "Windows", "BYOL", "uefi")
    assert "Progress" not in row
    root, data = row["SnapshotDetails"]
    assert (root["DeviceName"], root["Format"], root["DiskImageSize"], root["Status"]) == ("/dev/sda1", "VHD", 99.0, "completed")
    assert (data["DeviceName"], data["SnapshotId"], data["Description"]) == ("/dev/sdf", given, "data")
    (image,) = ec2.describe_images(ImageIds=[row["ImageId"]])["Images"]
    assert (image["Name"], image["Description"], image["State"], image["OwnerId"]) == (
        id, "two", "available", face.first.account_id,
    )  # fmt: skip
    assert (image["Platform"], image["PlatformDetails"], image["UsageOperation"], image["BootMode"], image["RootDeviceName"]) == (
        "windows", "Windows BYOL", "RunInstances:0800", "uefi", "/dev/sda1",
    )  # fmt: skip
    mapping = {line["DeviceName"]: line["Ebs"]["SnapshotId"] for line in image["BlockDeviceMappings"]}
    assert mapping == {"/dev/sda1": root["SnapshotId"], "/dev/sdf": given}


def test_a_cancelled_import_is_undone(face: Face, ec2: Any) -> None:
    id = ec2.import_image(DiskContainers=[{"Url": URL}])["ImportTaskId"]
    tell(face, imports.fetched, id, 0, "raw", 1, 1)
    answer = ec2.cancel_import_task(ImportTaskId=id, CancelReason="changed my mind")
    assert (answer["ImportTaskId"], answer["PreviousState"], answer["State"]) == (id, "active", "deleting")
    assert ec2.cancel_import_task(ImportTaskId=id)["PreviousState"] == "deleting"
    tell(face, imports.filled, id, 0)  # came too late
    tell(face, imports.finish, id)
    assert image_task(ec2, id)["Status"] == "deleting"
    tell(face, imports.removed, id)
    row = image_task(ec2, id)
    assert (row["Status"], row["StatusMessage"]) == ("deleted", "changed my mind")
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    with refusal("IncorrectState"):
        ec2.cancel_import_task(ImportTaskId=id)


def test_a_failure_says_whose_it_is(face: Face, ec2: Any) -> None:
    theirs, ours = (ec2.import_snapshot(DiskContainer={"Url": URL})["ImportTaskId"] for _ in range(2))
    tell(face, imports.failed, theirs, "the server answered with status 404", theirs=True)
    tell(face, imports.failed, ours, "there is no space")
    for id, said in ((theirs, "ClientError: the server answered with status 404"), (ours, "there is no space")):
        tell(face, imports.removed, id)
        assert snapshot_task(ec2, id)["SnapshotTaskDetail"]["StatusMessage"] == said


def test_a_snapshot_that_goes_while_it_is_filled(face: Face, ec2: Any) -> None:
    """The import fails, and what it was to become is gone for good."""
    id = ec2.import_image(DiskContainers=[{"Url": URL}])["ImportTaskId"]
    tell(face, imports.fetched, id, 0, "raw", 1, 1)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    tell(face, imports.filled, id, 0)
    tell(face, imports.finish, id)
    assert image_task(ec2, id)["Status"] == "deleting"
    assert ec2.describe_images(Owners=["self"])["Images"] == []


def test_a_locked_snapshot_that_was_never_filled_goes_all_the_same(face: Face, ec2: Any) -> None:
    id = ec2.import_snapshot(DiskContainer={"Url": URL})["ImportTaskId"]
    tell(face, imports.fetched, id, 0, "raw", 1, 1)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ec2.lock_snapshot(SnapshotId=snapshot["SnapshotId"], LockMode="governance", LockDuration=2)
    ec2.cancel_import_task(ImportTaskId=id)
    tell(face, imports.removed, id)
    tell(face, snapshots.removed, snapshot["SnapshotId"])
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_lists_filters_pages_tags_and_whose(face: Face, ec2: Any) -> None:
    made = [ec2.import_snapshot(DiskContainer={"Url": URL})["ImportTaskId"] for _ in range(7)]
    image = ec2.import_image(DiskContainers=[{"Url": URL}])["ImportTaskId"]
    ec2.cancel_import_task(ImportTaskId=made[0])
    ec2.create_tags(Resources=[made[1], image], Tags=[{"Key": "who", "Value": "me"}])

    def listed(**words: Any) -> list[str]:
        return [row["ImportTaskId"] for row in ec2.describe_import_snapshot_tasks(**words)["ImportSnapshotTasks"]]

    assert listed() == made
    assert listed(Filters=[{"Name": "task-state", "Values": ["deleting"]}]) == [made[0]]
    assert listed(Filters=[{"Name": "tag:who", "Values": ["me"]}]) == [made[1]]
    pages = ec2.get_paginator("describe_import_snapshot_tasks").paginate(PaginationConfig={"PageSize": 5})
    assert [len(page["ImportSnapshotTasks"]) for page in pages] == [5, 2]
    assert [row["ImportTaskId"] for row in ec2.describe_import_image_tasks()["ImportImageTasks"]] == [image]
    other = face.client(face.second)
    assert other.describe_import_snapshot_tasks()["ImportSnapshotTasks"] == []
    with refusal("InvalidConversionTaskId"):
        other.describe_import_image_tasks(ImportTaskIds=[image])
    with refusal("InvalidConversionTaskId"):
        other.cancel_import_task(ImportTaskId=image)
    with refusal("InvalidConversionTaskId.Malformed"):
        ec2.describe_import_snapshot_tasks(ImportTaskIds=[image])


def test_it_is_shown_for_a_week(face: Face, ec2: Any) -> None:
    id = ec2.import_snapshot(DiskContainer={"Url": URL})["ImportTaskId"]
    tell(face, imports.failed, id, "no")
    tell(face, imports.removed, id)
    with time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7, minutes=1)):
        assert ec2.describe_import_snapshot_tasks()["ImportSnapshotTasks"] == []
        tell(face, imports.forget, id)
    assert ec2.describe_import_snapshot_tasks()["ImportSnapshotTasks"] == []


BUCKET = {"S3Bucket": "mine", "S3Key": "disk"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({}, "MissingParameter"),
        ({"DiskContainer": {"Format": "RAW"}}, "MissingParameter"),
        ({"DiskContainer": {"UserBucket": BUCKET}}, "InvalidParameter"),
        ({"DiskContainer": {"Url": "s3://mine/disk"}}, "InvalidParameter"),
        ({"DiskContainer": {"Url": URL, "UserBucket": BUCKET}}, "InvalidParameterCombination"),
        ({"DiskContainer": {"Url": URL, "Format": "OVA"}}, "InvalidFormat"),
        ({"DiskContainer": {"Url": URL}, "Encrypted": True}, "UnsupportedOperation"),
        ({"DiskContainer": {"Url": URL}, "KmsKeyId": "alias/mine"}, "InvalidParameterDependency"),
        ({"DiskContainer": {"Url": URL}, "Description": "x" * 256}, "InvalidParameterValue"),
        *(
            ({"DiskContainer": {"Url": url}}, "InvalidParameterValue")
            for url in (
                "file:///etc/passwd", "ftp://h/x", "disk.raw", "http://", "http://me:secret@h/x", "http://h/a b", "http://h:99999/",
                "http://[::1/", "http://h/" + "x" * 5000,
            )
        ),
    ],
)  # fmt: skip
def test_a_snapshot_that_cannot_be_asked_for(face: Face, ec2: Any, words: dict[str, Any], code: str) -> None:
    before = face.everything()
    with refusal(code):
        ec2.import_snapshot(**words)
    assert face.everything() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"DiskContainers": []}, "MissingParameter"),
        ({"DiskContainers": [{"Url": URL}] * 22}, "InvalidParameterValue"),
        ({"Architecture": "mips"}, "InvalidParameterValue"),
        ({"Platform": "BeOS"}, "InvalidParameterValue"),
        ({"LicenseType": "mine"}, "InvalidParameterValue"),
        ({"BootMode": "tape"}, "InvalidParameterValue"),
        ({"Hypervisor": "kvm"}, "InvalidParameterValue"),
        ({"UsageOperation": "Walk"}, "InvalidParameterValue"),
        ({"LicenseSpecifications": [{"LicenseConfigurationArn": "arn:x"}]}, "UnsupportedOperation"),
        ({"DiskContainers": [{"Url": URL, "DeviceName": "tape"}]}, "InvalidBlockDeviceMapping"),
        ({"DiskContainers": [{"Url": URL}, {"Url": URL, "DeviceName": "/dev/sda1"}]}, "InvalidBlockDeviceMapping"),
        ({"DiskContainers": [{"SnapshotId": "snap-00000000000000bad"}]}, "InvalidSnapshot.NotFound"),
    ],
)
def test_an_image_that_cannot_be_asked_for(face: Face, ec2: Any, words: dict[str, Any], code: str) -> None:
    before = face.everything()
    with refusal(code):
        ec2.import_image(**{"DiskContainers": [{"Url": URL}], **words})
    assert face.everything() == before


def test_only_so_many_at_a_time(ec2: Any, face: Face) -> None:
    for _ in range(imports.MOST_ACTIVE):
        ec2.import_snapshot(DiskContainer={"Url": URL})
    with refusal("ResourceCountLimitExceeded"):
        ec2.import_snapshot(DiskContainer={"Url": URL})
    face.client(face.second).import_snapshot(DiskContainer={"Url": URL})
