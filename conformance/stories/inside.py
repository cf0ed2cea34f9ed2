"""Disks as a guest of the image of guest/ tells them on its console: which, how large, and what they begin with."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from conformance import clients, scenes
from conformance.stories import content
from conformance.story import NotTried, Story, story

GIB, MIB = 1 << 30, 1 << 20
ZEROS = hashlib.sha256(bytes(MIB)).hexdigest()
_DISK = re.compile(r"disk dev=\w+ serial=vol(?P<volume>[0-9a-f]+) bytes=(?P<size>\d+) ro=0 first=(?P<first>[0-9a-f]{64})\b")


@dataclass(frozen=True)
class Disk:
    """What a guest says of a disk: bytes, and the SHA-256 of its first MiB."""

    size: int
    first: str


def boots(told: Story, ec2: Any, instance: str, count: int) -> dict[str, Disk]:
    """Wait until a guest's root has been booted from `count` times; volume -> what the guest found then."""
    begun, ready = f"boot count={count} ", "EC2GW-GUEST ready"

    def newest() -> str:
        text = str(ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", ""))
        return text.rpartition(begun)[2] if begun in text else ""

    text = told.until(f"boot {count} on the console of {instance}", newest, lambda text: ready in text)
    disks = {f"vol-{found['volume']}": Disk(int(found["size"]), found["first"]) for found in _DISK.finditer(text)}
    if not disks:
        told.complain(f"a guest that tells of no disk, not even of its root: {text[-2000:]!r}")
    return disks


def _first(some: dict[int, bytes]) -> str:
    """The SHA-256 of the first MiB of a disk with these blocks."""
    return hashlib.sha256(b"".join(some.get(number, bytes(content.BLOCK)) for number in range(MIB // content.BLOCK))).hexdigest()


def _stored(told: Story, ec2: Any, instance: str) -> dict[str, str]:
    """Volume of an instance -> SHA-256 of its first MiB, as snapshots taken now have it."""
    rows = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    for row in rows:
        scenes.completed(told, ec2, row["SnapshotId"])
    return {row["VolumeId"]: _first(dict(content.blocks(told, row["SnapshotId"], MIB // content.BLOCK))) for row in rows}


def _hears(told: Story, ec2: Any, instance: str, pattern: str, count: int) -> None:
    """Wait until a guest has said something so many times."""

    def said() -> int:
        return len(re.findall(pattern, str(ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", ""))))

    told.until(f"{count} × {pattern} on the console of {instance}", said, lambda times: times >= count)


@story("boto3 guest checks")
def guest(told: Story) -> None:
    """C2, C3 and C6 of the checklist from inside, over a stop and a start; and the same of an image made of the machine."""
    if told.target.guest is None:
        raise NotTried("no snapshot of the guest image was given")
    ec2, it = clients.of(told), told.it
    with told.step("launch: the image's root, the same as a larger disk of data, and a blank one"):
        it.a = told.target.guest
        it.size = ec2.describe_snapshots(SnapshotIds=[it.a])["Snapshots"][0]["VolumeSize"]
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.a)])
        more = [scenes.ebs("/dev/sdf", SnapshotId=it.a, VolumeSize=it.size + 1), scenes.ebs("/dev/sdg", VolumeSize=2)]
        it.instance = scenes.launch(told, ec2, it.image, more)
        it.held = {device: row["VolumeId"] for device, row in scenes.disks(ec2, it.instance).items()}
    with told.step("C3: the guest finds these disks and no others, as large as they were wished"):
        it.seen = boots(told, ec2, it.instance, 1)
        sizes = {scenes.ROOT: it.size, "/dev/sdf": it.size + 1, "/dev/sdg": 2}
        wanted = {volume: sizes[device] * GIB for device, volume in it.held.items()}
        told.same("the sizes", {volume: disk.size for volume, disk in it.seen.items()}, wanted)
    with told.step("C2: they begin with what they were made of"):
        root, data, blank = (it.seen[it.held[device]].first for device in (scenes.ROOT, "/dev/sdf", "/dev/sdg"))
        told.same("the disk of data", data, root)
        told.true("the root is not blank", root != ZEROS)
        told.same("the blank disk", blank, ZEROS)
    with told.step("from the store's side they begin with the very same"):
        told.same("the disks", _stored(told, ec2, it.instance), {volume: disk.first for volume, disk in it.seen.items()})
    with told.step("an image made of it while it runs"):
        it.made = ec2.create_image(InstanceId=it.instance, Name=scenes.name("made"), NoReboot=True)["ImageId"]
        scenes.available(told, ec2, it.made)
    with told.step("a disk written block by block, attached, detached and attached as it runs: the guest sees it come and go"):
        it.own = content.random(0, 1, 2047)
        it.late = scenes.new_volume(told, ec2, SnapshotId=content.write(told, ec2, it.own))
        for end in (False, True):
            ec2.attach_volume(VolumeId=it.late, InstanceId=it.instance, Device="/dev/sdh")
            _hears(told, ec2, it.instance, rf"hotplug action=add dev=\w+ bytes={GIB} serial={it.late.replace('-', '')}", 1 + end)
            told.until(
                "attached", lambda: scenes.disks(ec2, it.instance)["/dev/sdh"]["Status"], lambda state: state == "attached"
            )
            if not end:
                ec2.detach_volume(VolumeId=it.late)
                told.until("available", lambda: scenes.volume_state(ec2, it.late), lambda state: state == "available")
                _hears(told, ec2, it.instance, "hotplug action=remove", 1)
    with told.step("C6: stopped and started, it finds the same, and what came later"):
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        ec2.start_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "running")
        late = {it.late: Disk(GIB, _first(it.own))} if "late" in vars(it) else {}
        told.same("the disks", boots(told, ec2, it.instance, 2), it.seen | late)
        ec2.terminate_instances(InstanceIds=[it.instance])
    with told.step("the image boots, with what was written before it was made"):
        again = scenes.launch(told, ec2, it.made)
        held = {device: row["VolumeId"] for device, row in scenes.disks(ec2, again).items()}
        seen = boots(told, ec2, again, 2)
        told.same("the devices", sorted(held), sorted(it.held))
        told.same(
            "the disks", {device: seen.get(id) for device, id in held.items()}, {d: it.seen[id] for d, id in it.held.items()}
        )
        ec2.terminate_instances(InstanceIds=[again])
