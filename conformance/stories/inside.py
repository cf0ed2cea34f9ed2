"""Disks as a guest of the image of guest/ tells them on its console: which, how large, what they begin with, and what the
metadata service says of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from conformance import clients, metadata, scenes
from conformance.stories import content
from conformance.story import NotTried, Story, story

GIB = 1 << 30
ZEROS = content.beginning({})
ROUNDS = 3  # times that a machine is booted from the same disks
_DISK = re.compile(r"disk dev=\w+ serial=(?P<serial>\S*) bytes=(?P<size>\d+) ro=0 first=(?P<first>[0-9a-f]{64})\b")


@dataclass(frozen=True)
class Disk:
    """What a guest says of a disk: bytes, and the SHA-256 of its first MiB."""

    size: int
    first: str


@dataclass(frozen=True)
class Boot:
    """What a guest found when it booted: its volumes by id, the sizes of its other disks, and all that it said."""

    disks: dict[str, Disk]
    others: list[int]
    said: str


def boots(told: Story, ec2: Any, instance: str, count: int) -> Boot:
    """Wait until a guest's root has been booted from `count` times; what the guest found then."""
    begun, ready = f"boot count={count} ", "EC2GW-GUEST ready"

    def newest() -> str:
        text = _console(ec2, instance)
        return text.rpartition(begun)[2] if begun in text else ""

    text = told.until(f"boot {count} on the console of {instance}", newest, lambda text: ready in text)
    found = {row["serial"]: Disk(int(row["size"]), row["first"]) for row in _DISK.finditer(text)}
    disks = {f"vol-{serial.removeprefix('vol')}": disk for serial, disk in found.items() if serial.startswith("vol")}
    if not disks:
        told.complain(f"a guest that tells of no disk, not even of its root: {text[-2000:]!r}")
    return Boot(disks, [disk.size for serial, disk in found.items() if not serial.startswith("vol")], text)


def _console(ec2: Any, instance: str) -> str:
    return str(ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", ""))


def _hears(told: Story, ec2: Any, instance: str, pattern: str, count: int) -> None:
    """Wait until a guest has said something so many times."""
    told.until(
        f"{count} × {pattern} on the console of {instance}",
        lambda: len(re.findall(pattern, _console(ec2, instance))),
        lambda times: times >= count,
    )


def _listed(told: Story, said: str, disks: dict[str, str]) -> None:
    """C4: the metadata service lists the root and these disks, device -> kind, and nothing else."""
    for text in metadata.complaints(metadata.heard(said), scenes.ROOT, disks):
        told.complain(text)


def _held(ec2: Any, instance: str) -> dict[str, str]:
    """Device of an instance -> volume."""
    return {device: row["VolumeId"] for device, row in scenes.disks(ec2, instance).items()}


def _restart(told: Story, ec2: Any, instance: str) -> None:
    ec2.stop_instances(InstanceIds=[instance])
    scenes.reach(told, ec2, instance, "stopped")
    ec2.start_instances(InstanceIds=[instance])
    scenes.reach(told, ec2, instance, "running")


def _guest(told: Story) -> str:
    if told.target.guest is None:
        raise NotTried("no snapshot of the guest image was given")
    return told.target.guest


@story("boto3 guest checks")
def guest(told: Story) -> None:
    """C2, C3, C4 and C6 of the checklist from inside, over a stop and a start; and the same of an image made of the machine."""
    a = _guest(told)
    ec2, it = clients.of(told), told.it
    with told.step("launch: the image's root, the same as a larger disk of data, and a blank one"):
        it.size = ec2.describe_snapshots(SnapshotIds=[a])["Snapshots"][0]["VolumeSize"]
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=a)])
        more = [scenes.ebs("/dev/sdf", SnapshotId=a, VolumeSize=it.size + 1), scenes.ebs("/dev/sdg", VolumeSize=2)]
        it.instance = scenes.launch(told, ec2, it.image, more)
        it.held = _held(ec2, it.instance)
    with told.step("C3: the guest finds these disks and no others, as large as they were wished"):
        it.seen = boots(told, ec2, it.instance, 1)
        sizes = {scenes.ROOT: it.size, "/dev/sdf": it.size + 1, "/dev/sdg": 2}
        wanted = {volume: sizes[device] * GIB for device, volume in it.held.items()}
        told.same("the sizes", {volume: disk.size for volume, disk in it.seen.disks.items()}, wanted)
        told.same("the sizes of disks that are no volumes", it.seen.others, [])
    with told.step("C2: they begin with what they were made of"):
        root, data, blank = (it.seen.disks[it.held[device]].first for device in (scenes.ROOT, "/dev/sdf", "/dev/sdg"))
        told.same("the disk of data", data, root)
        told.true("the root is not blank", root != ZEROS)
        told.same("the blank disk", blank, ZEROS)
    with told.step("from the store's side they begin with the very same"):
        inside = {device: it.seen.disks[volume].first for device, volume in it.held.items()}
        told.same("the disks", content.beginnings(told, ec2, it.instance), inside)
    with told.step("C4: the metadata service lists them, each once, and nothing else"):
        _listed(told, it.seen.said, {"/dev/sdf": "ebs", "/dev/sdg": "ebs"})
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
    with told.step("C4: the metadata service does not list what was attached later"):
        _hears(told, ec2, it.instance, r"hotplug action=add(?s:.*)EC2GW-GUEST metadata", 1)
        _listed(told, _console(ec2, it.instance), {"/dev/sdf": "ebs", "/dev/sdg": "ebs"})
    with told.step("C6: stopped and started, it finds the same, and what came later"):
        _restart(told, ec2, it.instance)
        late = {it.late: Disk(GIB, content.beginning(it.own))} if "late" in vars(it) else {}
        told.same("the disks", boots(told, ec2, it.instance, 2).disks, it.seen.disks | late)
        ec2.terminate_instances(InstanceIds=[it.instance])
    with told.step("the image boots, with what was written before it was made"):
        again = scenes.launch(told, ec2, it.made)
        held = _held(ec2, again)
        seen = boots(told, ec2, again, 2).disks
        told.same("the devices", sorted(held), sorted(it.held))
        wanted = {device: it.seen.disks[volume] for device, volume in it.held.items()}
        told.same("the disks", {device: seen.get(volume) for device, volume in held.items()}, wanted)
        ec2.terminate_instances(InstanceIds=[again])


@story("boto3 guest again and again")
def rounds(told: Story) -> None:
    """Rows 3, 5 and 7 of the checklist from inside: a grown root, a disk of the instance's own, what is taken away at launch; and
    the same disks at every one of several boots.
    """
    a = _guest(told)
    ec2, it = clients.of(told), told.it
    with told.step("launch: a larger root, a disk of the instance's own, a volume attached later"):
        it.size = ec2.describe_snapshots(SnapshotIds=[a])["Snapshots"][0]["VolumeSize"]
        mappings = [scenes.ebs(scenes.ROOT, SnapshotId=a), {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}]
        (kind,) = ec2.describe_instance_types(InstanceTypes=[told.target.instance_type])["InstanceTypes"]
        it.own = [disk["SizeInGB"] * GIB for disk in kind.get("InstanceStorageInfo", {}).get("Disks", [])][:1]
        image = scenes.new_image(told, ec2, [*mappings, scenes.ebs("/dev/sdc", VolumeSize=1)])
        it.instance = scenes.launch(told, ec2, image, [scenes.ebs(scenes.ROOT, VolumeSize=it.size + 1)])
        it.later = scenes.new_volume(told, ec2, SnapshotId=a)
        it.seen = boots(told, ec2, it.instance, 1)
        ec2.attach_volume(VolumeId=it.later, InstanceId=it.instance, Device="/dev/sdf")
        _hears(told, ec2, it.instance, f"hotplug action=add .*{it.later.replace('-', '')}", 1)
        it.held = _held(ec2, it.instance)
    with told.step("C3: the root is larger, and the instance's own disk is there beside the volumes"):
        sizes = {volume: disk.size for volume, disk in it.seen.disks.items()}
        told.same("the volumes", sizes, {it.held[scenes.ROOT]: (it.size + 1) * GIB, it.held["/dev/sdc"]: GIB})
        told.same("the other disks", it.seen.others, it.own)
    with told.step("C4: the metadata service lists each as what it is"):
        _listed(told, it.seen.said, {"/dev/sdc": "ebs", **({"/dev/sdb": "ephemeral0"} if it.own else {})})
    with told.step(f"C6: booted {ROUNDS} times, it finds the same disks every time, and the boots counted on its root"):
        late = {it.later: Disk(it.size * GIB, it.seen.disks[it.held[scenes.ROOT]].first)}
        for count in range(2, ROUNDS + 1):
            _restart(told, ec2, it.instance)
            boot = boots(told, ec2, it.instance, count)
            told.same(f"the volumes at boot {count}", boot.disks, it.seen.disks | late)
            told.same(f"the other disks at boot {count}", boot.others, it.own)
            told.same(f"the mapping at boot {count}", _held(ec2, it.instance), it.held)
    with told.step("an image made with a reboot: the machine boots once more"):
        it.made = ec2.create_image(InstanceId=it.instance, Name=scenes.name("made"))["ImageId"]
        scenes.available(told, ec2, it.made)
        boots(told, ec2, it.instance, ROUNDS + 1)
        ec2.terminate_instances(InstanceIds=[it.instance])
    with told.step("launched with all but the root taken away, the image boots with nothing else"):
        nothing = [{"DeviceName": device, "NoDevice": ""} for device in ("/dev/sdb", "/dev/sdc", "/dev/sdf")]
        again = scenes.launch(told, ec2, it.made, nothing)
        it.bare = boots(told, ec2, again, ROUNDS + 1)
        told.same("the volumes", list(it.bare.disks), list(_held(ec2, again).values()))
        told.same("the devices", list(_held(ec2, again)), [scenes.ROOT])
        told.same("the other disks", it.bare.others, [])
        ec2.terminate_instances(InstanceIds=[again])
    with told.step("C4: the metadata service lists no more than the root"):
        _listed(told, it.bare.said, {})
