"""Launches with a volume that is there already, its id in place of a snapshot's: what scripts for the earlier clones send. EC2
has no such thing and refuses the id, as do others; where it is taken, the rules that keep the user's data must hold.
"""

from __future__ import annotations

import functools
from typing import Any

from conformance import clients, scenes
from conformance.story import Story, Unsupported, code_of, story

_NO_SNAPSHOT = ("InvalidSnapshotID.Malformed", "InvalidSnapshot.NotFound", "InvalidParameterValue", "InvalidBlockDeviceMapping")


@story("boto3 launch with existing volumes")
def existing(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("an image, and volumes in two zones"):
        it.snapshot = scenes.root_snapshot(told, ec2)
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
        root, data = scenes.new_volume(told, ec2, SnapshotId=it.snapshot), scenes.new_volume(told, ec2)
        it.volumes = root, data, scenes.new_volume(told, ec2, AvailabilityZone=told.target.zones[-1])
    with told.step("a launch with one as data"):
        root, data, elsewhere = it.volumes
        try:
            it.instance = scenes.launch(told, ec2, it.image, [scenes.ebs("/dev/sdf", SnapshotId=data)])
        except ec2.exceptions.ClientError as error:
            if code_of(error) in _NO_SNAPSHOT:
                raise Unsupported(f"an id of a volume is taken for a snapshot's: {error}") from error
            raise
        it.root, it.data, it.elsewhere = root, data, elsewhere  # all that follows rests on this launch
        told.same("the volume", scenes.disks(ec2, it.instance)["/dev/sdf"]["VolumeId"], it.data)
        told.same("devices", sorted(scenes.disks(ec2, it.instance)), [scenes.ROOT, "/dev/sdf"])
    with told.step("unless it is asked for, termination does not delete it"):
        told.same("the flag", scenes.disks(ec2, it.instance)["/dev/sdf"]["DeleteOnTermination"], False)
    launch = functools.partial(_refused, told, ec2)
    with told.step("refused: what is attached already"):
        launch("VolumeInUse", [scenes.ebs("/dev/sdf", SnapshotId=it.data)])
    with told.step("stopped and started, it is still there; terminated, it is available"):
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        ec2.start_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "running")
        told.same("the volume", scenes.disks(ec2, it.instance)["/dev/sdf"]["VolumeId"], it.data)
        _end(told, ec2, it.instance, it.data, "available")
    with told.step("boot from one: it is the root, and stays"):
        instance = scenes.launch(told, ec2, it.image, [scenes.ebs(scenes.ROOT, SnapshotId=it.root)])
        shown = scenes.disks(ec2, instance)[scenes.ROOT]
        told.same("root and flag", (shown["VolumeId"], shown["DeleteOnTermination"]), (it.root, False))
        told.same("devices", sorted(scenes.disks(ec2, instance)), [scenes.ROOT])
        _end(told, ec2, instance, it.root, "available")
    with told.step("refused: the same one twice"):
        twice = [scenes.ebs(device, SnapshotId=it.data) for device in ("/dev/sdf", "/dev/sdg")]
        launch("VolumeInUse|IncorrectState|InvalidBlockDeviceMapping|InvalidParameter(Value|Combination)", twice)
    if len(told.target.zones) > 1:
        with told.step("refused: one in another zone"):
            launch(r"InvalidVolume\.ZoneMismatch|InvalidParameterValue", [scenes.ebs("/dev/sdf", SnapshotId=it.elsewhere)])
    with told.step("refused: one for two instances"):
        both = [scenes.ebs("/dev/sdf", SnapshotId=it.data)]
        launch("InvalidParameterCombination", both, MinCount=2, MaxCount=2)
    with told.step("refused: one that there is not, beside one that there is"):
        wrong = [scenes.ebs("/dev/sdf", SnapshotId=it.data), scenes.ebs("/dev/sdg", SnapshotId="vol-0bad0bad0bad0bad0")]
        launch(r"InvalidVolume\.NotFound", wrong)
    with told.step("what was refused took nothing"):
        states = [scenes.volume_state(ec2, volume) for volume in (it.data, it.root, it.elsewhere)]
        told.same("the volumes", states, ["available"] * 3)
        live = ["pending", "running", "stopping", "stopped"]
        asked = [{"Name": "image-id", "Values": [it.image]}, {"Name": "instance-state-name", "Values": live}]
        told.same("instances", ec2.describe_instances(Filters=asked)["Reservations"], [])
    with told.step("asked for, termination deletes it"):
        asked_for = [scenes.ebs("/dev/sdf", SnapshotId=it.data, DeleteOnTermination=True)]
        _end(told, ec2, scenes.launch(told, ec2, it.image, asked_for), it.data, "gone")


def _refused(told: Story, ec2: Any, code: str, mappings: list[scenes.Mapping], **more: Any) -> None:
    asked = {"MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": told.target.zones[0]}, **more}
    kind, image = told.target.instance_type, told.it.image
    told.refused(code, ec2.run_instances, ImageId=image, InstanceType=kind, BlockDeviceMappings=mappings, **asked)


def _end(told: Story, ec2: Any, instance: str, volume: str, wanted: str) -> None:
    """Terminate, and see what becomes of a volume."""
    ec2.terminate_instances(InstanceIds=[instance])
    scenes.reach(told, ec2, instance, "terminated")
    told.until(f"{volume} {wanted}", lambda: scenes.volume_state(ec2, volume), lambda state: state == wanted)
