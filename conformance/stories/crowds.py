"""The checklist's scenarios of many: instances that come and go again and again, and every zone in turn."""

from __future__ import annotations

from typing import Any

import botocore.exceptions

from conformance import clients, scenes
from conformance.stories import content
from conformance.story import Story, code_of, story

MOST = 5  # instances at once, where half of what the account may have is more
ROUNDS = 3


@story("boto3 churn")
def churn(told: Story) -> None:
    """Half of what the account may run is started and ended, several times; each time stopped as early as it lets itself be."""
    ec2, it = clients.of(told), told.it
    with told.step("an image, and how many instances the account may have"):
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
        (row,) = ec2.describe_account_attributes(AttributeNames=["max-instances"])["AccountAttributes"]
        it.count = max(1, min(MOST, int(row["AttributeValues"][0]["AttributeValue"]) // 2))
    for number in range(1, ROUNDS + 1):
        with told.step(f"round {number}: launch"):
            it.ids = _launch(told, ec2, it.image, it.count)
        with told.step(f"round {number}: stop before they run, or as soon as they do"):
            told.until("stopping", lambda: _stop(told, ec2, it.ids), lambda code: code is None)
            for id in it.ids:
                scenes.reach(told, ec2, id, "stopped")
            told.same("volumes in use", _volumes(ec2, it.image), ["in-use"] * it.count)
        with told.step(f"round {number}: start, and terminate before they run"):
            ec2.start_instances(InstanceIds=it.ids)
            ec2.terminate_instances(InstanceIds=it.ids)
            for id in it.ids:
                scenes.reach(told, ec2, id, "terminated")
            told.until("no volume is left", lambda: _volumes(ec2, it.image), lambda states: states == [])


def _launch(told: Story, ec2: Any, image: str, count: int) -> list[str]:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "conformance", "Value": image}]}]
    wanted = {"InstanceType": told.target.instance_type, "Placement": {"AvailabilityZone": told.target.zones[0]}}
    rows = ec2.run_instances(ImageId=image, MinCount=count, MaxCount=count, TagSpecifications=tags, **wanted)["Instances"]
    return [row["InstanceId"] for row in rows]


def _stop(told: Story, ec2: Any, ids: list[str]) -> str | None:
    """Stop instances, all or none: none when it was accepted, else the code. EC2 may refuse to stop what is still pending."""
    try:
        rows = ec2.stop_instances(InstanceIds=ids)["StoppingInstances"]
    except botocore.exceptions.ClientError as error:
        told.same("the code of a refusal", code_of(error), "IncorrectInstanceState")
        return code_of(error)
    told.same("the instances", sorted(row["InstanceId"] for row in rows), sorted(ids))
    for row in rows:
        told.among("the current state", row["CurrentState"]["Name"], ("stopping", "stopped"))
    return None


def _volumes(ec2: Any, image: str) -> list[str]:
    """The states of the volumes that were launched of an image."""
    rows = ec2.describe_volumes(Filters=[{"Name": "tag:conformance", "Values": [image]}])["Volumes"]
    return [row["State"] for row in rows]


@story("boto3 every zone")
def zones(told: Story) -> None:
    """In each: attach, what is refused of an attached volume, reboot, and the way of its content to this zone and the next."""
    ec2, it = clients.of(told), told.it
    with told.step("an image"):
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
    with told.step("a snapshot of which is known what is in it"):
        it.data = content.random(0, 1)
        it.snapshot = content.write(told, ec2, it.data)
    for here, other in zip(told.target.zones, (*told.target.zones[1:], told.target.zones[0]), strict=True):
        place = {"AvailabilityZone": here}
        with told.step(f"{here}: two instances, and a volume attached to the one"):
            it.one, it.two = (scenes.launch(told, ec2, it.image, Placement=place) for _ in range(2))
            it.volume = scenes.new_volume(told, ec2, AvailabilityZone=here, SnapshotId=it.snapshot)
            ec2.attach_volume(VolumeId=it.volume, InstanceId=it.one, Device="/dev/sdf")
            told.until("attached", lambda: scenes.disks(ec2, it.one)["/dev/sdf"]["Status"], lambda status: status == "attached")
        with told.step(f"{here}: it can neither be attached to the other, nor deleted"):
            told.refused("VolumeInUse", ec2.attach_volume, VolumeId=it.volume, InstanceId=it.two, Device="/dev/sdf")
            told.refused("VolumeInUse", ec2.delete_volume, VolumeId=it.volume)
            told.same("its instances", [row["InstanceId"] for row in _attachments(ec2, it.volume)], [it.one])
        with told.step(f"{here}: a reboot keeps it"):
            before = _attachments(ec2, it.volume)
            ec2.reboot_instances(InstanceIds=[it.one])
            scenes.reach(told, ec2, it.one, "running")
            told.same("the attachment", _attachments(ec2, it.volume), before)
            told.same("the devices", sorted(scenes.disks(ec2, it.one)), [scenes.ROOT, "/dev/sdf"])
        with told.step(f"{here}: a snapshot of it while attached, and volumes of that in {here} and in {other}, hold the same"):
            cut = scenes.new_snapshot(told, ec2, it.volume)
            told.same("the snapshot", content.read(told, cut), content.sums(it.data.items()))
            for zone in dict.fromkeys((here, other)):
                again = scenes.new_snapshot(told, ec2, scenes.new_volume(told, ec2, SnapshotId=cut, AvailabilityZone=zone))
                told.same(f"the volume in {zone}", content.read(told, again), content.sums(it.data.items()))
        with told.step(f"{here}: termination lets it go"):
            ec2.terminate_instances(InstanceIds=[it.one, it.two])
            scenes.reach(told, ec2, it.one, "terminated")
            told.until("available", lambda: scenes.volume_state(ec2, it.volume), lambda state: state == "available")


def _attachments(ec2: Any, volume: str) -> list[dict[str, Any]]:
    return list(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"])
