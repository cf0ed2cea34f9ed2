"""What EC2 refuses, and in which words: each row of data/refusals.json is a step. boto3 sends what it is told, unchecked."""

from __future__ import annotations

import base64
import functools
import json
import re
from typing import Any

import botocore

from conformance import checks, clients, scenes
from conformance.story import Story, story

TABLES: dict[str, list[list[Any]]] = json.loads((checks.DATA / "refusals.json").read_text("utf-8"))


def _tell(told: Story, table: str) -> None:
    ec2 = clients.of(told, checked=False)
    rows = TABLES[table]
    _set_up(told, ec2, set(re.findall(r'"\$(\w+)"', json.dumps(rows))) | ({"image"} if table != "volumes" else set()))
    for what, action, params, code, message in rows:
        with told.step(f"{action}: {what}"):
            asked = _put(told, params)
            if action == "RunInstances":
                asked = {"MinCount": 1, "MaxCount": 1, "InstanceType": told.target.instance_type} | asked
                asked.setdefault("ImageId", told.it.image)
            if action == "RegisterImage":
                asked = {"Name": scenes.name("refused"), "RootDeviceName": scenes.ROOT, "Architecture": "x86_64"} | asked
            asked = {name: value for name, value in asked.items() if value is not None}
            told.refused(code, getattr(ec2, botocore.xform_name(action)), message, **asked)


def _put(told: Story, thing: Any) -> Any:
    """The parameters with what was made in place of the $names."""
    if isinstance(thing, dict):
        return {name: _put(told, value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_put(told, value) for value in thing]
    if isinstance(thing, str) and thing.startswith("$"):
        return getattr(told.it, thing[1:])
    return thing


def _set_up(told: Story, ec2: Any, names: set[str]) -> None:
    """Make what the rows name."""
    it = told.it
    it.zone = told.target.zones[0]
    it.fresh, it.name, it.token = scenes.name("fresh"), scenes.name("taken"), scenes.name("token")
    it.much = base64.b64encode(b"x" * 16385).decode()
    with told.step("volumes and snapshots"):
        it.volume = scenes.new_volume(told, ec2, ClientToken=it.token)
        it.snapshot = scenes.new_snapshot(told, ec2, it.volume)
        if names & {"snapshot2", "image2", "two"}:
            it.two = scenes.new_volume(told, ec2, Size=2)
            it.snapshot2 = scenes.new_snapshot(told, ec2, it.two)
        if "elsewhere" in names and len(told.target.zones) > 1:
            it.elsewhere = scenes.new_volume(told, ec2, AvailabilityZone=told.target.zones[1])
    with told.step("images"):
        root = [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)]
        it.image = scenes.new_image(told, ec2, root, Name=it.name)
        if "image2" in names:
            it.image2 = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot2)])
        if "ephemeral" in names:
            it.ephemeral = scenes.new_image(told, ec2, [*root, {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}])
    if names & {"stopped", "attached"}:
        with told.step("an instance that is stopped, with a volume"):
            it.stopped = scenes.launch(told, ec2, it.image)
            ec2.stop_instances(InstanceIds=[it.stopped])
            scenes.reach(told, ec2, it.stopped, "stopped")
            it.attached = scenes.new_volume(told, ec2)
            ec2.attach_volume(VolumeId=it.attached, InstanceId=it.stopped, Device="/dev/sdf")
    if names & {"root", "held"}:
        with told.step("an instance that runs and may not be stopped"):
            it.held = scenes.launch(told, ec2, it.image, DisableApiStop=True)
            it.root = scenes.disks(ec2, it.held)[scenes.ROOT]["VolumeId"]
    if "protected" in names:
        with told.step("an instance that may not be terminated"):
            it.protected = scenes.launch(told, ec2, it.image, DisableApiTermination=True)
    if "terminated" in names:
        with told.step("an instance that is terminated"):
            ended = scenes.launch(told, ec2, it.image)
            ec2.terminate_instances(InstanceIds=[ended])
            scenes.reach(told, ec2, ended, "terminated")
            it.terminated = ended


for _table in ("ids", "volumes", "mappings", "instances"):
    story(f"boto3 refusals {_table}")(functools.partial(_tell, table=_table))
