"""What an account may have: the checklist's limits of a volume's size and of all storage, and that of instances. Each limit is
found out from the endpoint; what would exceed it must be refused and leave nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from conformance import clients, scenes
from conformance.story import NotTried, Story, code_of, message_of, story

_TOO_LARGE = r"Volume of \d+GiB is too large.*; maximum is (\d+)GiB\."


def _nothing_came(told: Story, ec2: Any, image: str) -> None:
    """No instance of the image, and no volume beside those that the story made by itself."""
    asked = [{"Name": "image-id", "Values": [image]}]
    told.same("instances", ec2.describe_instances(Filters=asked)["Reservations"], [])
    tagged = [{"Name": "tag:conformance", "Values": [image]}]
    told.same("volumes", ec2.describe_volumes(Filters=tagged)["Volumes"], [])


def _launch(told: Story, ec2: Any, image: str, sizes: list[int], **more: Any) -> Callable[[], Any]:
    """A launch with blank volumes of these sizes, all tagged."""
    letters = "fghijklmnopqrstuvwxyz"
    asked = {
        "ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": told.target.instance_type,
        "Placement": {"AvailabilityZone": told.target.zones[0]},
        "BlockDeviceMappings": [scenes.ebs(f"/dev/sd{letters[n]}", VolumeSize=size) for n, size in enumerate(sizes)],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "conformance", "Value": image}]}],
        **more,
    }  # fmt: skip
    return lambda: ec2.run_instances(**asked)


def _refusal(call: Callable[[], Any]) -> tuple[str | None, str]:
    """Code and message of what is only asked for by a dry run."""
    try:
        call()
    except Exception as error:
        if code_of(error) is None:
            raise
        return code_of(error), message_of(error)
    return None, ""


def _image(told: Story, ec2: Any) -> None:
    with told.step("an image, and how large a volume may be"):
        told.it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
        zone = told.target.zones[0]
        code, text = _refusal(lambda: ec2.create_volume(AvailabilityZone=zone, Size=2_000_000_000))
        told.same("the code", code, "InvalidParameterValue")
        found = re.search(_TOO_LARGE, text)
        told.like("the message", text, _TOO_LARGE)
        if found:
            told.it.most = int(found[1])


@story("boto3 checklist 10 a volume larger than may be")
def size(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    _image(told, ec2)
    with told.step("a launch with one that is larger is refused"):
        told.refused("InvalidParameterValue", _launch(told, ec2, it.image, [1, it.most + 1]), _TOO_LARGE)
    with told.step("so is a root that is larger"):
        told.refused(
            "InvalidParameterValue",
            ec2.run_instances,
            _TOO_LARGE,
            ImageId=it.image,
            MinCount=1,
            MaxCount=1,
            InstanceType=told.target.instance_type,
            BlockDeviceMappings=[scenes.ebs(scenes.ROOT, VolumeSize=it.most + 1)],
        )
    with told.step("nothing is left behind"):
        _nothing_came(told, ec2, it.image)


@story("boto3 checklist 11 more storage than may be")
def storage(told: Story) -> None:
    """A dry run finds out whether there is such a limit: nobody's storage is filled to learn it."""
    ec2, it = clients.of(told), told.it
    _image(told, ec2)
    with told.step("a launch with far more storage is refused"):
        sizes = [it.most] * 20
        code, _ = _refusal(_launch(told, ec2, it.image, sizes, DryRun=True))
        if code == "DryRunOperation":
            raise NotTried(f"a dry run of {it.most * 20} GiB meets no limit on storage")
        told.same("the code of the dry run", code, "VolumeLimitExceeded")
        told.refused("VolumeLimitExceeded", _launch(told, ec2, it.image, sizes), r".*maximum .*limit.*")
    with told.step("nothing is left behind"):
        _nothing_came(told, ec2, it.image)
    with told.step("a small launch still comes"):
        made = _launch(told, ec2, it.image, [1])()["Instances"][0]["InstanceId"]
        scenes.reach(told, ec2, made, "running")


@story("boto3 limit of instances")
def instances(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    _image(told, ec2)
    with told.step("the account's attribute says how many"):
        (row,) = ec2.describe_account_attributes(AttributeNames=["max-instances"])["AccountAttributes"]
        it.most = int(row["AttributeValues"][0]["AttributeValue"])
    with told.step("a launch of more is refused"):
        asked = min(it.most + 1, 100_000)  # without a limit of the account there is still one of a call
        launch = _launch(told, ec2, it.image, [], MinCount=asked, MaxCount=asked)
        told.refused("InstanceLimitExceeded|VcpuLimitExceeded", launch, r".*instance.*")
    with told.step("nothing is left behind"):
        _nothing_came(told, ec2, it.image)
