"""Boot from volume, whole: the story that this project exists for, on every target."""

from __future__ import annotations

import base64
import io
from typing import Any

import botocore.exceptions
import pytest
from PIL import Image

from tests.gateway import Gateway, until
from tests.stories.conftest import states

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(400)]


def serial(volume_id: str) -> str:
    return volume_id.replace("-", "")


def launch(ec2: Any, image: str, **more: Any) -> str:
    (instance,) = ec2.run_instances(ImageId=image, InstanceType="m1.small", MinCount=1, MaxCount=1, **more)["Instances"]
    assert instance["State"]["Name"] == "pending"
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return str(instance["InstanceId"])


def describe(ec2: Any, instance: str) -> dict[str, Any]:
    return dict(ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0])


def mapping(ec2: Any, instance: str) -> dict[str, Any]:
    return {row["DeviceName"]: row["Ebs"] for row in describe(ec2, instance)["BlockDeviceMappings"]}


def end(ec2: Any, instance: str, **how: Any) -> None:
    ec2.terminate_instances(InstanceIds=[instance], **how)
    until(lambda: states(ec2, [instance]) == {"terminated"}, 60, "the instance to end")


def volumes_left(ec2: Any) -> set[str]:
    until(lambda: not [v for v in ec2.describe_volumes()["Volumes"] if v["State"] == "deleting"], 60, "volumes to go")
    return {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]}


def test_root_from_a_snapshot_with_every_kind_of_disk(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    snapshot = guest["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    image = ec2.register_image(
        Name="every-kind",
        Architecture="x86_64",
        VirtualizationType="hvm",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": True}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2}},
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        ],
    )["ImageId"]
    instance = launch(
        ec2, image, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 3, "DeleteOnTermination": False}}]
    )
    disks = mapping(ec2, instance)
    assert set(disks) == {"/dev/sda1", "/dev/sdf"}, "instance store is never listed"
    assert {name: disk["DeleteOnTermination"] for name, disk in disks.items()} == {"/dev/sda1": False, "/dev/sdf": True}
    sizes = {v["VolumeId"]: v["Size"] for v in ec2.describe_volumes()["Volumes"]}
    assert {name: sizes[disk["VolumeId"]] for name, disk in disks.items()} == {"/dev/sda1": 3, "/dev/sdf": 2}
    root, data = disks["/dev/sda1"]["VolumeId"], disks["/dev/sdf"]["VolumeId"]
    if target.real:
        target.hears(instance, rf"disk dev=vda serial={serial(root)} bytes={3 << 30}\b")
        target.hears(instance, rf"disk dev=vd[bc] serial={serial(data)} bytes={2 << 30}\b")
        target.hears(instance, r"boot count=1\b")

    ec2.stop_instances(InstanceIds=[instance])
    until(lambda: states(ec2, [instance]) == {"stopped"}, 60, "the instance to stop")
    assert {v["State"] for v in ec2.describe_volumes()["Volumes"]} == {"in-use"}, "a stopped instance keeps its volumes"
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    if target.real:
        target.hears(instance, r"boot count=2\b")
    assert mapping(ec2, instance) == disks

    end(ec2, instance)
    assert volumes_left(ec2) == {root}, "exactly the volumes marked to be deleted are gone"


def test_attach_and_detach_seen_by_the_guest(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    zone = describe(ec2, instance)["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    answer = ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    assert answer["State"] == "attaching"
    until(lambda: mapping(ec2, instance)["/dev/sdg"]["Status"] == "attached", 30, "the volume to be attached")
    assert mapping(ec2, instance)["/dev/sdg"]["DeleteOnTermination"] is False
    if target.real:
        picture = base64.b64decode(ec2.get_console_screenshot(InstanceId=instance, WakeUp=True)["ImageData"])
        with Image.open(io.BytesIO(picture)) as screen:
            assert screen.format == "JPEG"
            assert max(screen.convert("L").tobytes()) > 128, "something is to be read on it"
    else:
        with pytest.raises(botocore.exceptions.ClientError, match=r"UnsupportedOperation.* has no screen\."):
            ec2.get_console_screenshot(InstanceId=instance)
    if target.real:
        target.hears(instance, rf"hotplug action=add .*serial={serial(volume)}")
    assert ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    if target.real:
        target.hears(instance, r"hotplug action=remove")
    assert set(mapping(ec2, instance)) == {"/dev/sda1"}


def test_create_image_with_and_without_reboot(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    for name, no_reboot, boots in (("live", True, 1), ("rested", False, 2)):
        image = ec2.create_image(InstanceId=instance, Name=name, NoReboot=no_reboot)["ImageId"]
        ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1, "MaxAttempts": 90})
        assert states(ec2, [instance]) == {"running"}
        if target.real:
            target.hears(instance, rf"boot count={boots}\b")
        copy = launch(ec2, image)
        if target.real:
            target.hears(copy, r"boot count=2\b")  # one boot was counted before the image was made
            target.hears(copy, r"EC2GW-GUEST ready")
        end(ec2, copy)


def test_an_existing_volume_is_never_taken_along_unasked(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    zone = ec2.describe_availability_zones()["AvailabilityZones"][1]["ZoneName"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": volume}}]  # as scripts for OpenStack name a volume
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidParameterCombination"):
        ec2.run_instances(ImageId=guest["ImageId"], InstanceType="m1.small", MinCount=1, MaxCount=2, BlockDeviceMappings=disks)
    instance = launch(ec2, guest["ImageId"], BlockDeviceMappings=disks)
    assert describe(ec2, instance)["Placement"]["AvailabilityZone"] == zone
    assert mapping(ec2, instance)["/dev/sdf"] | {"AttachTime": None} == {
        "VolumeId": volume, "DeleteOnTermination": False, "Status": "attached", "AttachTime": None,
    }  # fmt: skip
    end(ec2, instance, Force=True)
    assert volumes_left(ec2) == {volume}


def test_boot_from_an_existing_volume_named_at_launch(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    zone = ec2.describe_availability_zones()["AvailabilityZones"][2]["ZoneName"]
    snapshot = guest["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    volume = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    for boots in (1, 2):  # the volume outlives its first instance and remembers
        instance = launch(ec2, guest["ImageId"], BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": volume}}])
        assert {name: disk["VolumeId"] for name, disk in mapping(ec2, instance).items()} == {"/dev/sda1": volume}
        if target.real:
            target.hears(instance, rf"boot count={boots}\b")
            target.hears(instance, r"EC2GW-GUEST ready")
        end(ec2, instance)
        assert volumes_left(ec2) == {volume}


def test_a_blank_root_is_powered_off_and_lets_its_disks_go(target: Gateway, ec2: Any) -> None:
    """A guest without an operating system hears no button and no unplug request."""
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    blank = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[blank], WaiterConfig={"Delay": 1})
    snapshot = ec2.create_snapshot(VolumeId=blank)["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    image = ec2.register_image(
        Name="blank", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]  # fmt: skip
    instance = launch(ec2, image, Placement={"AvailabilityZone": zone})
    ec2.attach_volume(VolumeId=blank, InstanceId=instance, Device="xvdh")
    until(lambda: mapping(ec2, instance).get("xvdh", {}).get("Status") == "attached", 30, "the volume to be attached")
    ec2.detach_volume(VolumeId=blank)
    until(lambda: "xvdh" not in mapping(ec2, instance), 40, "the disk to be let go", lambda: mapping(ec2, instance))
    ec2.stop_instances(InstanceIds=[instance])
    until(lambda: states(ec2, [instance]) == {"stopped"}, 40, "the instance to be powered off")


def test_snapshot_of_a_running_volume_is_of_the_moment_of_the_call(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    root = mapping(ec2, instance)["/dev/sda1"]["VolumeId"]
    snapshots = [ec2.create_snapshot(VolumeId=root, Description=f"number {n}") for n in range(3)]
    for snapshot in snapshots:
        assert (snapshot["State"], snapshot["Progress"]) == ("pending", "")
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot["SnapshotId"]], WaiterConfig={"Delay": 1})
    ec2.reboot_instances(InstanceIds=[instance])
    if target.real:
        target.hears(instance, r"boot count=2\b")  # the root, three layers deeper, still boots and keeps what is written
        target.hears(instance, r"EC2GW-GUEST ready(?s:.*)EC2GW-GUEST ready")
    image = ec2.register_image(
        Name="from-live", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshots[0]["SnapshotId"]}}],
    )["ImageId"]  # fmt: skip
    end(ec2, instance)
    copy = launch(ec2, image)
    if target.real:
        target.hears(copy, r"boot count=2\b")  # the snapshot held one boot
    with pytest.raises(botocore.exceptions.ClientError, match=r"InvalidSnapshot\.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshots[0]["SnapshotId"])
    ec2.delete_snapshot(SnapshotId=snapshots[1]["SnapshotId"])
