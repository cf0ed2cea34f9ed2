"""kill -9 at chosen steps with real guests and volumes: the guest lives on, the story goes on, nothing is lost or left over."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import pytest

from tests.gateway import Gateway, serving, until

pytestmark = pytest.mark.timeout(500)
TARGET = "lvm" if "EC2GW_LVM" in os.environ else "libvirt"
GONE = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)


@pytest.fixture
def served() -> Iterator[Gateway]:
    with serving(TARGET, program=("-m", "tests.crash.dying")) as made:
        yield made


def dies_at(served: Gateway, points: list[str], wish: Callable[[Any], Any]) -> Any:
    """Send a wish to a gateway that dies at the first point, then let it die at each of the others; then it lives."""
    served.stop()
    served.start(EC2GW_DIE_AT=points[0])
    answer = None
    with contextlib.suppress(*GONE):  # it may die before it can answer; the wish was written down before that
        answer = wish(served.client())
    for point in points[1:]:  # it may die there before it answers anybody
        _dies(served)
        served.spawn(EC2GW_DIE_AT=point)
    _dies(served)
    served.start()
    return answer


def _dies(served: Gateway) -> None:
    assert served.process is not None
    assert served.process.wait(60) == -signal.SIGKILL, served.log()[-2000:]


def test_a_story_with_a_kill_at_every_turn(served: Gateway) -> None:
    ec2 = served.client()
    (image,) = ec2.describe_images(Owners=["self"])["Images"]
    instance = dies_at(
        served,
        ["CreateVolume halfway", "Start after", "NoteStarted halfway"],
        lambda ec2: ec2.run_instances(ImageId=image["ImageId"], InstanceType="t3.nano", MinCount=1, MaxCount=1),
    )["Instances"][0]

    def mine() -> dict[str, Any]:
        return dict(ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0])

    def state(wanted: str) -> None:
        until(lambda: mine()["State"]["Name"] == wanted, 60, f"the instance to be {wanted}", mine)

    state("running")
    served.hears(instance["InstanceId"], r"EC2GW-GUEST ready")
    root = mine()["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

    volume = ec2.create_volume(AvailabilityZone=instance["Placement"]["AvailabilityZone"], Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    where = {"VolumeId": volume, "InstanceId": instance["InstanceId"], "Device": "/dev/sdf"}
    dies_at(served, ["Plug before", "Plug halfway"], lambda ec2: ec2.attach_volume(**where))
    until(
        lambda: [row["Ebs"]["Status"] for row in mine()["BlockDeviceMappings"]] == ["attached"] * 2,
        30,
        "the volume to be attached",
    )
    served.hears(instance["InstanceId"], rf"action=add .*serial={volume.replace('-', '')}")

    dies_at(served, ["CutSnapshot halfway", "CompleteSnapshot halfway"], lambda ec2: ec2.create_snapshot(VolumeId=root))
    snapshots = [s for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if s["VolumeId"] == root]
    assert len(snapshots) == 1
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshots[0]["SnapshotId"]], WaiterConfig={"Delay": 1})

    dies_at(served, ["Unplug after"], lambda ec2: ec2.detach_volume(VolumeId=volume))
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    served.hears(instance["InstanceId"], r"action=remove")
    assert len(re.findall(r"boot count=", served.console(instance["InstanceId"]))) == 1, "the guest has lived through all of it"

    dies_at(
        served, ["PressButton after", "NoteStopped halfway"], lambda ec2: ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    )
    state("stopped")
    dies_at(served, ["Start before"], lambda ec2: ec2.start_instances(InstanceIds=[instance["InstanceId"]]))
    state("running")
    served.hears(instance["InstanceId"], r"boot count=2\b")
    served.hears(instance["InstanceId"], r"EC2GW-GUEST ready(?s:.*)EC2GW-GUEST ready")

    dies_at(
        served,
        ["PressButton after", "RemoveMachine after", "NoteEnded halfway", "RemoveVolume halfway"],
        lambda ec2: ec2.terminate_instances(InstanceIds=[instance["InstanceId"]]),
    )
    state("terminated")
    until(lambda: [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]] == [volume], 30, "exactly the root to go")
    assert served.stop() == 0
    found = served.run("doctor")
    assert re.search(r"stray disks +none", found), found
    assert re.search(r"missing disks +none", found), found
    assert re.search(r"stray machines +none", found), found
