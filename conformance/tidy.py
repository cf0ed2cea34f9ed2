"""Takes away what a story made, even when it failed half way, and says what would not go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions

from conformance import clients
from conformance.story import Key, Made, Target, code_of

_GONE = ("NotFound", "Unavailable", "InvalidAction", "UnsupportedOperation", "Malformed")


def tidy(target: Target, made: Made, key: Key | None) -> list[str]:
    """What is left of the things made with a key, with the reason, after patience ended."""
    if not any(made.things.values()):
        return []
    ec2 = clients.ec2(target, key=key)
    left = list(_end(ec2, target, made))
    for image in made.of("imageId"):
        if image in made.with_snapshots:
            _note_backing(ec2, image, made)
        left += _away(target, image, ec2.deregister_image, ImageId=image)
    for volume in made.of("volumeId"):
        left += _away(target, volume, _drop, ec2=ec2, volume=volume)
    for snapshot in made.of("snapshotId"):
        left += _away(target, snapshot, ec2.delete_snapshot, SnapshotId=snapshot)
    for name in made.of("keyName"):
        left += _away(target, name, ec2.delete_key_pair, KeyName=name)
    for group in made.of("groupId"):
        left += _away(target, group, ec2.delete_security_group, GroupId=group)
    for address in made.of("publicIp"):
        left += _away(target, address, _release, ec2=ec2, address=address)
    return left


def _end(ec2: Any, target: Target, made: Made) -> Iterator[str]:
    """Terminate the instances, and note the volumes that they leave."""
    for instance in made.of("instanceId"):
        clients.note_volumes(ec2, [instance], made)
        _note_snapshots(ec2, instance, made)
        for protection in ("DisableApiTermination", "DisableApiStop"):
            _try(ec2.modify_instance_attribute, InstanceId=instance, **{protection: {"Value": False}})
        yield from _away(target, instance, ec2.terminate_instances, InstanceIds=[instance])
    for instance in made.of("instanceId"):
        deadline = time.monotonic() + target.patience
        while (state := _state(ec2, instance)) not in ("terminated", None):
            if time.monotonic() > deadline:
                yield f"{instance} is still {state}"
                break
            time.sleep(0.2)


def _state(ec2: Any, instance: str) -> str | None:
    try:
        answer = ec2.describe_instances(InstanceIds=[instance])
    except clients.UNREADABLE:
        return None
    return next((row["State"]["Name"] for part in answer["Reservations"] for row in part["Instances"]), None)


def _note_snapshots(ec2: Any, instance: str, made: Made) -> None:
    """A snapshot that CreateImage took of an instance says so; its image may be gone already."""
    asked = [{"Name": "description", "Values": [f"Created by CreateImage({instance})*"]}]
    found = _try(ec2.describe_snapshots, OwnerIds=["self"], Filters=asked)
    for row in found["Snapshots"] if isinstance(found, dict) else []:
        made.add("snapshotId", row["SnapshotId"])


def _note_backing(ec2: Any, image: str, made: Made) -> None:
    """A snapshot behind an image that CreateImage or CopyImage made is the story's, though no answer named it."""
    found = _try(ec2.describe_images, ImageIds=[image])
    for row in found["Images"] if isinstance(found, dict) else []:
        for mapping in row.get("BlockDeviceMappings", ()):
            snapshot = mapping.get("Ebs", {}).get("SnapshotId")
            if snapshot:
                made.add("snapshotId", snapshot)


def _drop(ec2: Any, volume: str) -> None:
    try:
        ec2.delete_volume(VolumeId=volume)
    except botocore.exceptions.ClientError as error:
        if code_of(error) == "VolumeInUse":
            _try(ec2.detach_volume, VolumeId=volume, Force=True)
        raise


def _release(ec2: Any, address: str) -> None:
    (row,) = ec2.describe_addresses(PublicIps=[address])["Addresses"]
    if "AssociationId" in row:
        ec2.disassociate_address(AssociationId=row["AssociationId"])
    ec2.release_address(AllocationId=row["AllocationId"])


def _try(call: Callable[..., object], **params: Any) -> object:
    """The call's answer, or none if it was refused: whether it mattered shows in what is left."""
    try:
        return call(**params)
    except clients.UNREADABLE:
        return None


def _away(target: Target, thing: str, call: Callable[..., object], **params: Any) -> Iterator[str]:
    """Ask until it is done or the thing is gone; when patience ends, answer what stood in the way."""
    deadline = time.monotonic() + target.patience
    while True:
        try:
            call(**params)
            return
        except botocore.exceptions.ClientError as error:
            if (code_of(error) or "").endswith(_GONE):
                return
            if time.monotonic() > deadline:
                yield f"{thing}: {error}"
                return
        except clients.UNREADABLE as error:
            yield f"{thing}: {error}"
            return
        time.sleep(0.3)
