"""Volumes that change while a guest runs on them, and snapshots of all its volumes at one instant."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway import Gateway, until
from tests.stories.test_boot_from_volume import describe, end, launch, mapping, serial

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(400)]


def modified(ec2: Any, volume: str) -> None:
    """Wait until the newest modification is completed."""

    def done() -> bool:
        (row,) = ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
        assert row["ModificationState"] in ("modifying", "optimizing", "completed"), row
        return bool(row["ModificationState"] == "completed")

    until(done, 60, "the modification to be completed")


def size(ec2: Any, volume: str) -> int:
    return int(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"])


def test_volumes_grow_under_a_running_guest(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"], BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    root, data = (mapping(ec2, instance)[device]["VolumeId"] for device in ("/dev/sda1", "/dev/sdf"))
    for volume, new in ((data, 2), (root, size(ec2, root) + 1), (data, 3)):
        made = ec2.modify_volume(VolumeId=volume, Size=new, VolumeType="gp3")["VolumeModification"]
        assert (made["ModificationState"], made["TargetSize"]) == ("modifying", new)
        modified(ec2, volume)
        assert size(ec2, volume) == new
        if target.real:
            target.hears(instance, rf"hotplug action=change .*serial={serial(volume)}.* bytes={new << 30}\b|"
                                   rf"hotplug action=change .*bytes={new << 30}\b.*serial={serial(volume)}")  # fmt: skip
    # A snapshot of the grown disk is as large, and so is what a later boot finds.
    snapshot = ec2.create_snapshot(VolumeId=data)
    assert snapshot["VolumeSize"] == 3
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot["SnapshotId"]], WaiterConfig={"Delay": 1})
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    ec2.modify_volume(VolumeId=data, Size=4)
    modified(ec2, data)
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    if target.real:
        target.hears(instance, rf"disk dev=vd[bc] serial={serial(data)} bytes={4 << 30}\b")
    end(ec2, instance)
    copy = ec2.create_volume(
        AvailabilityZone=ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"], SnapshotId=snapshot["SnapshotId"]
    )
    ec2.get_waiter("volume_available").wait(VolumeIds=[copy["VolumeId"]], WaiterConfig={"Delay": 1})
    assert size(ec2, copy["VolumeId"]) == 3


def test_snapshots_of_all_volumes_while_the_guest_runs(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"], BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    for _ in range(2):
        made = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
        assert [row["VolumeId"] for row in made] == [row["VolumeId"] for row in mapping(ec2, instance).values()]
        ids = [row["SnapshotId"] for row in made]
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=ids, WaiterConfig={"Delay": 1})
    assert describe(ec2, instance)["State"]["Name"] == "running"
    image = ec2.register_image(
        Name="of-all", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": ids[0]}}, {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": ids[1]}},
        ],
    )["ImageId"]  # fmt: skip
    ec2.reboot_instances(InstanceIds=[instance])
    if target.real:
        target.hears(instance, r"boot count=2\b")  # the guest ran on, and on the right disks
    end(ec2, instance)
    copy = ec2.copy_image(Name="copy", SourceImageId=image, SourceRegion=target.client().meta.region_name)["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[copy], WaiterConfig={"Delay": 1})
    ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    again = launch(ec2, copy)
    assert set(mapping(ec2, again)) == {"/dev/sda1", "/dev/sdf"}
    if target.real:
        target.hears(again, r"boot count=2\b")  # the snapshot held one boot
