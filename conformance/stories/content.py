"""What is in disks, from the store's side: bytes that a story wrote, followed from snapshot to volume to machine and back.

All by the EBS direct APIs.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from conformance import clients, scenes
from conformance.story import Story, story

BLOCK, MIB = 524_288, 1 << 20
_ZEROS = hashlib.sha256(bytes(BLOCK)).hexdigest()
Sums = dict[int, str]  # number of a block -> SHA-256 of it; blocks of zeros are left out


def blocks(told: Story, snapshot: str, most: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The blocks that a snapshot has, of its first `most`: number and bytes, each tried by the checksum that came with it."""
    ebs = clients.blocks(told)
    page: dict[str, Any] = {}
    while not page or page.get("NextToken"):
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot, **({"NextToken": page["NextToken"]} if page else {}))
        told.same("BlockSize", page["BlockSize"], BLOCK)
        for row in page["Blocks"]:
            if most is None or row["BlockIndex"] < most:
                answer = ebs.get_snapshot_block(SnapshotId=snapshot, **row)
                data = answer["BlockData"].read()
                told.same("Checksum", answer["Checksum"], _checksum(data))
                yield row["BlockIndex"], data


def sums(some: Iterable[tuple[int, bytes]]) -> Sums:
    """The sums of blocks."""
    known = ((number, hashlib.sha256(data).hexdigest()) for number, data in some)
    return {number: sum for number, sum in known if sum != _ZEROS}


def read(told: Story, snapshot: str) -> Sums:
    """What is in a snapshot."""
    return sums(blocks(told, snapshot))


def beginning(some: dict[int, bytes]) -> str:
    """The SHA-256 of the first MiB of a disk with these blocks."""
    return hashlib.sha256(b"".join(some.get(number, bytes(BLOCK)) for number in range(MIB // BLOCK))).hexdigest()


def beginnings(told: Story, ec2: Any, instance: str) -> dict[str, str]:
    """Device of an instance -> SHA-256 of the first MiB there, as snapshots taken now have it."""
    return {
        device: beginning(dict(blocks(told, snapshot, MIB // BLOCK))) for device, snapshot in _cut(told, ec2, instance).items()
    }


def write(told: Story, ec2: Any, some: dict[int, bytes], parent: str | None = None) -> str:
    """A new snapshot of 1 GiB with these blocks, over those of its parent, completed."""
    ebs = clients.blocks(told)
    snapshot = str(ebs.start_snapshot(VolumeSize=1, **({"ParentSnapshotId": parent} if parent else {}))["SnapshotId"])
    for number, data in some.items():
        said = {"DataLength": len(data), "Checksum": _checksum(data), "ChecksumAlgorithm": "SHA256"}
        ebs.put_snapshot_block(SnapshotId=snapshot, BlockIndex=number, BlockData=data, **said)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(some))
    scenes.completed(told, ec2, snapshot)
    return snapshot


def random(*numbers: int) -> dict[int, bytes]:
    """Blocks that nobody has seen before."""
    return {number: secrets.token_bytes(BLOCK) for number in numbers}


def _checksum(data: bytes) -> str:
    """As these APIs write it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@story("boto3 content")
def content(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("a snapshot written block by block reads as it was written"):
        it.first = random(0, 1, 2047)
        it.snapshot = write(told, ec2, it.first)
        told.same("the blocks", read(told, it.snapshot), sums(it.first.items()))
    with told.step("one upon it: what is new, what is kept, what differs"):
        it.second = it.first | random(1, 1000)
        child = write(told, ec2, {number: it.second[number] for number in (1, 1000)}, it.snapshot)
        told.same("the blocks", read(told, child), sums(it.second.items()))
        rows = clients.blocks(told).list_changed_blocks(FirstSnapshotId=it.snapshot, SecondSnapshotId=child)["ChangedBlocks"]
        told.same("what differs", [row["BlockIndex"] for row in rows], [1, 1000])
    with told.step("a volume of it in every zone, and a larger one, hold the same"):
        for zone, size in [*((zone, 1) for zone in told.target.zones), (told.target.zones[0], 2)]:
            volume = scenes.new_volume(told, ec2, SnapshotId=it.snapshot, AvailabilityZone=zone, Size=size)
            told.same(f"{size} GiB in {zone}", read(told, scenes.new_snapshot(told, ec2, volume)), sums(it.first.items()))
    with told.step("so does a volume of a snapshot of a volume, five deep, and a copy"):
        deep = it.snapshot
        for _ in range(5):
            deep = scenes.new_snapshot(told, ec2, scenes.new_volume(told, ec2, SnapshotId=deep))
        told.same("five deep", read(told, deep), sums(it.first.items()))
        copy = ec2.copy_snapshot(SourceSnapshotId=deep, SourceRegion=told.target.region)["SnapshotId"]
        scenes.completed(told, ec2, copy)
        told.same("the copy", read(told, copy), sums(it.first.items()))
    with told.step("so do five snapshots of one volume, taken at once, and a volume of each"):
        volume = scenes.new_volume(told, ec2, SnapshotId=it.snapshot)
        many = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(5)]
        for snapshot in many:
            scenes.completed(told, ec2, snapshot)
            again = scenes.new_snapshot(told, ec2, scenes.new_volume(told, ec2, SnapshotId=snapshot))
            told.same(f"{snapshot} and its volume", [read(told, snapshot), read(told, again)], [sums(it.first.items())] * 2)
    with told.step("C2: the disks of a machine, while it runs, hold what they were made of"):
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
        disks = [scenes.ebs("/dev/sdc", SnapshotId=child, VolumeSize=2), scenes.ebs("/dev/sdd", VolumeSize=1)]
        it.instance = scenes.launch(told, ec2, it.image, disks)
        it.wanted = {scenes.ROOT: sums(it.first.items()), "/dev/sdc": sums(it.second.items()), "/dev/sdd": {}}
        told.same("the disks", _disks(told, ec2), it.wanted)
    with told.step("C6: stopped and started, they hold the same"):
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        told.same("stopped", _disks(told, ec2), it.wanted)
        ec2.start_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "running")
        told.same("running", _disks(told, ec2), it.wanted)
    with told.step("an image made of it holds them all"):
        made = ec2.create_image(InstanceId=it.instance, Name=scenes.name("made"), NoReboot=True)["ImageId"]
        scenes.available(told, ec2, made)
        (row,) = ec2.describe_images(ImageIds=[made])["Images"]
        held = {mapping["DeviceName"]: read(told, mapping["Ebs"]["SnapshotId"]) for mapping in row["BlockDeviceMappings"]}
        told.same("its snapshots", held, it.wanted)


def _disks(told: Story, ec2: Any) -> dict[str, Sums]:
    """Device -> what is in the volume there now."""
    return {device: read(told, snapshot) for device, snapshot in _cut(told, ec2, told.it.instance).items()}


def _cut(told: Story, ec2: Any, instance: str) -> dict[str, str]:
    """Device of an instance -> a snapshot of the volume there, all of one moment, completed."""
    rows = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    devices = {row["VolumeId"]: device for device, row in scenes.disks(ec2, instance).items()}
    for row in rows:
        scenes.completed(told, ec2, row["SnapshotId"])
    return {devices[row["VolumeId"]]: row["SnapshotId"] for row in rows}
