"""What most live stories begin with: a volume, a snapshot, an image, an instance that runs. Each waits until it is there."""

from __future__ import annotations

import secrets
from typing import Any

from conformance.story import Story

Mapping = dict[str, Any]
ROOT = "/dev/sda1"


def name(word: str) -> str:
    """A name that no other run uses."""
    return f"conformance-{word}-{secrets.token_hex(4)}"


def volume_state(ec2: Any, volume: str) -> str:
    """The state of a volume, `gone` when it is not found."""
    try:
        return str(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"])
    except ec2.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "InvalidVolume.NotFound":
            return "gone"
        raise


def instance(ec2: Any, id: str) -> dict[str, Any]:
    """An instance as described."""
    return dict(ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0])


def state(ec2: Any, id: str) -> str:
    """The state of an instance."""
    return str(instance(ec2, id)["State"]["Name"])


def reach(told: Story, ec2: Any, id: str, wanted: str) -> dict[str, Any]:
    """Wait until an instance is in a state, and answer with its description; no state that leads elsewhere may show."""
    astray = {"running": ("terminated", "stopping"), "stopped": ("terminated", "pending"), "terminated": ("pending", "stopping")}
    wrong = astray.get(wanted, ())
    row = told.until(
        f"{id} {wanted}", lambda: instance(ec2, id), lambda row: row["State"]["Name"] in (wanted, *wrong), told.target.patience
    )
    told.same(f"the state of {id}", row["State"]["Name"], wanted)
    return row


def new_volume(told: Story, ec2: Any, **params: Any) -> str:
    """A new volume that is available, 1 GiB unless told otherwise, in the first zone."""
    params.setdefault("AvailabilityZone", told.target.zones[0])
    if "SnapshotId" not in params:
        params.setdefault("Size", 1)
    volume = str(ec2.create_volume(**params)["VolumeId"])
    told.until(f"{volume} available", lambda: volume_state(ec2, volume), lambda state: state == "available")
    return volume


def new_snapshot(told: Story, ec2: Any, volume: str, **params: Any) -> str:
    """A new snapshot of a volume, completed."""
    snapshot = str(ec2.create_snapshot(VolumeId=volume, **params)["SnapshotId"])
    completed(told, ec2, snapshot)
    return snapshot


def completed(told: Story, ec2: Any, snapshot: str) -> None:
    """Wait until a snapshot is whole."""
    told.until(
        f"{snapshot} completed",
        lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"],
        lambda state: state == "completed",
    )


def root_snapshot(told: Story, ec2: Any) -> str:
    """A snapshot to boot from: the one that the user named, else one of an empty volume."""
    return told.target.snapshot or new_snapshot(told, ec2, new_volume(told, ec2))


def new_image(told: Story, ec2: Any, mappings: list[Mapping], **params: Any) -> str:
    """A new image with these mappings, available."""
    wanted = {"Name": name("image"), "Architecture": "x86_64", "VirtualizationType": "hvm", "RootDeviceName": ROOT, **params}
    image = str(ec2.register_image(BlockDeviceMappings=mappings, **wanted)["ImageId"])
    available(told, ec2, image)
    return image


def available(told: Story, ec2: Any, image: str) -> None:
    """Wait until an image can be launched."""
    told.until(
        f"{image} available",
        lambda: ec2.describe_images(ImageIds=[image])["Images"][0]["State"],
        lambda state: state == "available",
    )


def ebs(device: str, **fields: Any) -> Mapping:
    """A mapping of a volume."""
    return {"DeviceName": device, "Ebs": fields}


def launch(told: Story, ec2: Any, image: str, mappings: list[Mapping] | None = None, **params: Any) -> str:
    """A new instance that runs, in the first zone."""
    params.setdefault("InstanceType", told.target.instance_type)
    params.setdefault("Placement", {"AvailabilityZone": told.target.zones[0]})
    if mappings is not None:
        params["BlockDeviceMappings"] = mappings
    made = str(ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, **params)["Instances"][0]["InstanceId"])
    reach(told, ec2, made, "running")
    return made


def disks(ec2: Any, id: str) -> dict[str, dict[str, Any]]:
    """Device name to what the instance's mapping says of the volume there."""
    return {row["DeviceName"]: row["Ebs"] for row in instance(ec2, id)["BlockDeviceMappings"]}


def volumes(ec2: Any, id: str) -> dict[str, dict[str, Any]]:
    """Device name to volume, of the volumes whose attachment names the instance."""
    answer = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [id]}])
    return {row["Attachments"][0]["Device"]: row for row in answer["Volumes"]}
