"""What must hold after each launch: the block-device checklist of the earlier clones, as far as it shows from outside the guest.

Each row launches an image with overrides, and then every common check is made: C1 mapping and attachments agree, C2 content, C3
sizes, C5 stop keeps all, C6 start keeps all, C7 termination obeys each flag. C4, the metadata, only a guest can tell.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any

from conformance import clients, scenes
from conformance.stories import content
from conformance.story import Story, story

A, B = "$A", "$B"  # stand for the snapshot that boots, and one of 1 GiB of data


@dataclass(frozen=True)
class Disk:
    """What a device must be: size in GiB, deleted on termination or not, made from which snapshot."""

    size: int
    deleted: bool
    origin: str = ""


@dataclass(frozen=True)
class Row:
    """An image's mapping, a launch's overrides, and the disks that follow."""

    image: list[scenes.Mapping]
    asked: list[scenes.Mapping]
    disks: dict[str, Disk]
    attach: bool = False
    rest: int = 0  # seconds that it lies stopped
    terminate_stopped: bool = False


ebs = scenes.ebs
ROOT = scenes.ROOT
_IMAGE_1 = [ebs(ROOT, SnapshotId=A, DeleteOnTermination=True)]
_IMAGE_2 = [ebs(ROOT, SnapshotId=A, DeleteOnTermination=False)]


def _image_3(deleted: bool) -> list[scenes.Mapping]:
    return [
        ebs(ROOT, SnapshotId=A, DeleteOnTermination=deleted),
        {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        ebs("/dev/sdc", SnapshotId=B, DeleteOnTermination=deleted),
        ebs("/dev/sdd", VolumeSize=2, DeleteOnTermination=deleted),
    ]


_NOTHING = [{"DeviceName": f"/dev/sd{letter}", "NoDevice": ""} for letter in "bcd"]

ROWS = {
    "1 root deleted": Row(_IMAGE_1, [], {ROOT: Disk(1, True, A)}),
    "2 root kept": Row(_IMAGE_2, [], {ROOT: Disk(1, False, A)}),
    "3 root, data, blank, ephemeral": Row(
        _image_3(True), [], {ROOT: Disk(1, True, A), "/dev/sdc": Disk(1, True, B), "/dev/sdd": Disk(2, True)}
    ),
    "4 the same, all kept": Row(
        _image_3(False), [], {ROOT: Disk(1, False, A), "/dev/sdc": Disk(1, False, B), "/dev/sdd": Disk(2, False)}
    ),
    "5 root grown, flag turned": Row(_IMAGE_1, [ebs(ROOT, VolumeSize=2, DeleteOnTermination=False)], {ROOT: Disk(2, False, A)}),
    "6 devices added at launch": Row(
        _IMAGE_1,
        [
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            ebs("/dev/sdc", SnapshotId=B, VolumeSize=2),
            ebs("/dev/sdd", VolumeSize=1),
        ],
        {ROOT: Disk(1, True, A), "/dev/sdc": Disk(2, True, B), "/dev/sdd": Disk(1, True)},
    ),
    "7 devices taken away at launch": Row(_image_3(True), _NOTHING, {ROOT: Disk(1, True, A)}),
    "8 each override alone": Row(
        _image_3(False),
        [
            ebs(ROOT, VolumeSize=2, DeleteOnTermination=True),
            ebs("/dev/sdc", SnapshotId=B, VolumeSize=2, DeleteOnTermination=False),
            ebs("/dev/sdd", VolumeSize=3, DeleteOnTermination=True),
        ],
        {ROOT: Disk(2, True, A), "/dev/sdc": Disk(2, False, B), "/dev/sdd": Disk(3, True)},
    ),
    "9 a volume attached later": Row(
        _IMAGE_1, [ebs("/dev/sdc", SnapshotId=B)], {ROOT: Disk(1, True, A), "/dev/sdc": Disk(1, True, B)}, attach=True
    ),
    "12 stopped for a while": Row(
        _IMAGE_1,
        [ebs("/dev/sdc", SnapshotId=B, DeleteOnTermination=False)],
        {ROOT: Disk(1, True, A), "/dev/sdc": Disk(1, False, B)},
        attach=True,
        rest=60,
    ),
    "13 terminated while stopped": Row(
        _IMAGE_1,
        [ebs("/dev/sdc", SnapshotId=B, DeleteOnTermination=False)],
        {ROOT: Disk(1, True, A), "/dev/sdc": Disk(1, False, B)},
        terminate_stopped=True,
    ),
    "14 terminated while stopped, a volume attached later": Row(
        _IMAGE_1,
        [ebs("/dev/sdc", SnapshotId=B, DeleteOnTermination=True)],
        {ROOT: Disk(1, True, A), "/dev/sdc": Disk(1, True, B)},
        attach=True,
        terminate_stopped=True,
    ),
}


def _put(mappings: list[scenes.Mapping], a: str, b: str) -> list[scenes.Mapping]:
    """The mappings with the real snapshots in place of A and B."""
    real = {A: a, B: b}
    return [
        {**row, "Ebs": {name: real.get(value, value) for name, value in row["Ebs"].items()}} if "Ebs" in row else row
        for row in mappings
    ]


def _tell(told: Story, row: Row) -> None:
    ec2 = clients.of(told)
    it = told.it
    with told.step("snapshots to launch from"):
        it.a = scenes.root_snapshot(told, ec2)
        it.b = scenes.new_snapshot(told, ec2, scenes.new_volume(told, ec2))
        it.grown = ec2.describe_snapshots(SnapshotIds=[it.a])["Snapshots"][0]["VolumeSize"] - 1
    with told.step("what is in them is known"):
        data, boot = content.random(0, 1), content.random(0, 1)
        it.b = content.write(told, ec2, data)
        if told.target.snapshot is None:
            it.a = content.write(told, ec2, boot)
        else:
            boot = dict(content.blocks(told, it.a, content.MIB // content.BLOCK))
        it.begin = {"": content.beginning({}), A: content.beginning(boot), B: content.beginning(data)}
    with told.step("the image shows its mapping"):
        it.image = scenes.new_image(told, ec2, _put(row.image, it.a, it.b))
        shown = {m["DeviceName"]: m for m in ec2.describe_images(ImageIds=[it.image])["Images"][0]["BlockDeviceMappings"]}
        told.same("the devices", sorted(shown), sorted(m["DeviceName"] for m in row.image))
        for mapping in row.image:
            for name, value in _put([mapping], it.a, it.b)[0].get("Ebs", {}).items():
                told.same(f"{mapping['DeviceName']} {name}", shown[mapping["DeviceName"]]["Ebs"].get(name), value)
            told.same("VirtualName", shown[mapping["DeviceName"]].get("VirtualName"), mapping.get("VirtualName"))
    with told.step("launch"):
        asked = _put(row.asked, it.a, it.b)
        for mapping in asked:
            if mapping["DeviceName"] == ROOT:
                mapping["Ebs"]["VolumeSize"] += it.grown
        it.instance = scenes.launch(told, ec2, it.image, asked)
    with told.step("C1, C3: the disks are those that were asked for"):
        _check_disks(told, ec2, row)
    with told.step("C2: they hold what they were made of"):
        _check_content(told, ec2, row)
    if row.attach:
        with told.step("attach a volume, detach it, attach it again"):
            it.later = scenes.new_volume(told, ec2)
            for again in (False, True):
                ec2.attach_volume(VolumeId=it.later, InstanceId=it.instance, Device="/dev/sdf")
                told.until("attached", lambda: _status(ec2, it.later), lambda status: status == "attached")
                told.same("its flag", scenes.disks(ec2, it.instance)["/dev/sdf"]["DeleteOnTermination"], False)
                if not again:
                    ec2.detach_volume(VolumeId=it.later)
                    told.until("available", lambda: scenes.volume_state(ec2, it.later), lambda state: state == "available")
                    told.true("the mapping no longer shows it", "/dev/sdf" not in scenes.disks(ec2, it.instance))
    with told.step("C5: stop; everything stays attached"):
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        _check_disks(told, ec2, row)
    if row.rest:
        with told.step(f"for {row.rest} s it stays stopped, and everything attached"):
            for _ in range(row.rest):
                time.sleep(1)
                told.same("the state", scenes.state(ec2, it.instance), "stopped")
                _check_disks(told, ec2, row)
    if row.attach:
        with told.step("the volume attached later leaves and returns while stopped"):
            ec2.detach_volume(VolumeId=it.later)
            told.until("available", lambda: scenes.volume_state(ec2, it.later), lambda state: state == "available")
            ec2.attach_volume(VolumeId=it.later, InstanceId=it.instance, Device="/dev/sdf")
            told.until("attached", lambda: _status(ec2, it.later), lambda status: status in ("attached", "attaching"))
    if not row.terminate_stopped:
        with told.step("C6: start; everything is still attached"):
            ec2.start_instances(InstanceIds=[it.instance])
            scenes.reach(told, ec2, it.instance, "running")
            _check_disks(told, ec2, row)
        with told.step("C6: and holds the same"):
            _check_content(told, ec2, row)
    with told.step("C7: terminate; each volume is deleted or kept as its flag says"):
        ec2.terminate_instances(InstanceIds=[it.instance])
        last = scenes.reach(told, ec2, it.instance, "terminated")
        told.same("the mapping", last.get("BlockDeviceMappings"), [])
        for device, disk in row.disks.items():
            _check_end(told, ec2, device, it.volumes[device], "gone" if disk.deleted else "available")
        if row.attach:
            _check_end(told, ec2, "/dev/sdf", it.later, "available")
    with told.step("nothing is left"):
        for device, disk in row.disks.items():
            if not disk.deleted:
                ec2.delete_volume(VolumeId=it.volumes[device])


def _status(ec2: Any, volume: str) -> str:
    (row,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    return str(row["Attachments"][0]["State"]) if row["Attachments"] else "none"


def _check_content(told: Story, ec2: Any, row: Row) -> None:
    it = told.it
    wanted = {device: it.begin[disk.origin] for device, disk in row.disks.items()}
    if row.attach and "later" in vars(it):
        wanted["/dev/sdf"] = it.begin[""]
    told.same("what the disks begin with", content.beginnings(told, ec2, it.instance), wanted)


def _check_disks(told: Story, ec2: Any, row: Row) -> None:
    it = told.it
    devices = sorted([*row.disks, *(["/dev/sdf"] if row.attach and "later" in vars(it) else [])])
    mapping, held = scenes.disks(ec2, it.instance), scenes.volumes(ec2, it.instance)
    told.same("the devices of the mapping", sorted(mapping), devices)
    told.same("the devices of the volumes' attachments", sorted(held), devices)
    it.volumes = {device: volume["VolumeId"] for device, volume in held.items()}
    for volume in it.volumes.values():
        told.made.add("volumeId", volume)
    origins = {"": "", A: it.a, B: it.b}
    for device, disk in row.disks.items():
        shown, volume = mapping[device], held[device]
        (attachment,) = volume["Attachments"]
        told.same(f"{device} volume", shown["VolumeId"], volume["VolumeId"])
        told.same(f"{device} flag", shown["DeleteOnTermination"], disk.deleted)
        told.same(f"{device} flag of the attachment", attachment["DeleteOnTermination"], disk.deleted)
        told.same(f"{device} status", shown["Status"], "attached")
        told.same(f"{device} size", volume["Size"], disk.size + (it.grown if device == ROOT else 0))
        told.same(f"{device} origin", volume.get("SnapshotId"), origins[disk.origin])
        told.same(f"{device} state", volume["State"], "in-use")
        told.same(f"{device} zone", volume["AvailabilityZone"], told.target.zones[0])


def _check_end(told: Story, ec2: Any, device: str, volume: str, wanted: str) -> None:
    state = told.until(
        f"{device} {wanted}", lambda: scenes.volume_state(ec2, volume), lambda state: state in ("gone", "available"), 30
    )
    told.same(f"{device} after termination", state, wanted)


for _name, _row in ROWS.items():
    story(f"boto3 checklist {_name}")(functools.partial(_tell, row=_row))
