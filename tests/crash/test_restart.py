"""The service ends and comes back, by SIGTERM and by SIGKILL, while machines run from volumes: nothing of theirs is touched, and
what was taken before it can be used after it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway import Gateway, serving, until

pytestmark = pytest.mark.timeout(300)
ZONE = "us-east-1a"
BLOCK = 524_288


@pytest.fixture
def served() -> Iterator[Gateway]:
    with serving("libvirt") as made:
        yield made


def volume(ec2: Any, snapshot: str) -> str:
    made = str(ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot)["VolumeId"])
    ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig={"Delay": 1})
    return made


def snapshot(ec2: Any, volume: str) -> str:
    made = str(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[made], WaiterConfig={"Delay": 1})
    return made


def content(served: Gateway, snapshot: str) -> str:
    """The SHA-256 of the first dozen blocks that a snapshot has, but for those of zeros, with their numbers."""
    ebs = served.client("ebs")
    whole = hashlib.sha256()
    for row in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][:12]:
        data = ebs.get_snapshot_block(SnapshotId=snapshot, **row)["BlockData"].read()
        if data.count(0) != BLOCK:
            whole.update(b"%d" % row["BlockIndex"] + data)
    return whole.hexdigest()


def disks(served: Gateway, instance: str, boot: int) -> set[tuple[str, str]]:
    """Serial and checksum of every disk that the guest found when it booted for the `boot`-th time."""
    served.hears(instance, rf"boot count={boot} (?s:.*)EC2GW-GUEST ready")
    said = served.console(instance).rpartition(f"boot count={boot} ")[2]
    return set(re.findall(r"disk dev=\w+ serial=(\S+) .*first=(\w+)", said))


def attachments(ec2: Any) -> dict[str, Any]:
    """Everything that is said of the attachments, from either side."""
    reservations = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    rows = [row for part in reservations for row in part["Instances"]]
    return {row["InstanceId"]: row["BlockDeviceMappings"] for row in rows} | {
        row["VolumeId"]: (row["State"], row["Attachments"]) for row in ec2.describe_volumes()["Volumes"]
    }


def test_the_service_comes_back_to_what_it_left(served: Gateway) -> None:
    ec2 = served.client()
    (image,) = ec2.describe_images(Owners=["self"])["Images"]
    root_snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    launched = ec2.run_instances(
        ImageId=image["ImageId"], InstanceType="t3.nano", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": ZONE},
        BlockDeviceMappings=[{"DeviceName": "/dev/sdc", "Ebs": {"SnapshotId": root_snapshot, "DeleteOnTermination": False}}],
    )  # fmt: skip
    instance = launched["Instances"][0]["InstanceId"]
    seen = disks(served, instance, 1)
    later = volume(ec2, root_snapshot)
    ec2.attach_volume(VolumeId=later, InstanceId=instance, Device="/dev/sdf")
    until(lambda: {row["Ebs"]["Status"] for row in attachments(ec2)[instance]} == {"attached"}, 30, "all to be attached")
    served.hears(instance, rf"hotplug action=add .*serial={later.replace('-', '')}")
    # The data disk is not written to; what is in it is known by the time the service ends.
    data = next(row["Ebs"]["VolumeId"] for row in attachments(ec2)[instance] if row["DeviceName"] == "/dev/sdc")
    old = snapshot(ec2, data)
    before, whole = attachments(ec2), content(served, old)

    for end in (served.stop, served.kill):
        end()
        served.start()
        ec2 = served.client()
        assert attachments(ec2) == before
        assert served.console(instance).count("boot count=") == 1, "the guest has lived through it"
        assert content(served, old) == whole
        fresh = volume(ec2, old)
        for source in (data, fresh):
            assert content(served, snapshot(ec2, source)) == whole
        ec2.attach_volume(VolumeId=fresh, InstanceId=instance, Device="/dev/sdg")
        served.hears(instance, rf"hotplug action=add .*serial={fresh.replace('-', '')}")
        ec2.detach_volume(VolumeId=fresh)
        ec2.get_waiter("volume_available").wait(VolumeIds=[fresh], WaiterConfig={"Delay": 1})
        ec2.delete_volume(VolumeId=fresh)
        until(functools.partial(_gone, ec2, fresh), 30, "the new volume to go")

    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    ec2.start_instances(InstanceIds=[instance])
    first = next(sum for serial, sum in seen if serial == data.replace("-", ""))
    assert disks(served, instance, 2) == seen | {(later.replace("-", ""), first)}
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    until(lambda: {row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]} == {data, later}, 30, "the root to go")


def test_a_machine_that_does_not_come_back_with_its_host_is_seen_in_the_status() -> None:
    with serving("simulated") as served:
        ec2 = served.client()
        (image,) = ec2.describe_images(Owners=["self"])["Images"]
        launched = ec2.run_instances(ImageId=image["ImageId"], MinCount=1, MaxCount=1)
        id = launched["Instances"][0]["InstanceId"]
        ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig={"Delay": 1})
        (root,) = ec2.describe_volumes()["Volumes"]
        (disk,) = served.folder.rglob(f"*{root['VolumeId']}*")
        (machine,) = served.folder.rglob(f"{id}.json")

        def status() -> set[str]:
            (row,) = ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"]
            return {row["InstanceStatus"]["Status"], row["SystemStatus"]["Status"]}

        assert status() == {"ok"}
        served.kill()
        machine.unlink()
        away = disk.rename(served.folder / "away")
        served.start()
        ec2 = served.client()
        until(lambda: status() == {"impaired"}, 30, "the loss to be seen")
        away.rename(disk)
        until(lambda: status() == {"ok"}, 30, "the machine to be back")
        assert served.stop() == 0


def _gone(ec2: Any, volume: str) -> bool:
    return volume not in {row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]}
