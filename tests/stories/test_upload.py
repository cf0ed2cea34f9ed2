"""A machine from a disk that came block by block: the EBS direct APIs beside the EC2 API, with a kill -9 in the middle."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests import gateway
from tests.gateway import Gateway
from tests.stories.test_boot_from_volume import end, launch

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(400)]
BLOCK = 524_288


def test_a_disk_written_block_by_block_boots(target: Gateway, ec2: Any) -> None:
    disk = gateway.guest_image().read_bytes()
    blocks = {at // BLOCK: disk[at : at + BLOCK].ljust(BLOCK, b"\0") for at in range(0, len(disk), BLOCK)}
    blocks = {number: data for number, data in blocks.items() if data.strip(b"\0")}
    digests = {number: hashlib.sha256(data).digest() for number, data in blocks.items()}
    ebs = target.client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1, Description="by blocks")["SnapshotId"]
    for turn, (number, data) in enumerate(blocks.items()):
        if turn == len(blocks) // 2:
            target.kill()
            target.start()
        ebs.put_snapshot_block(
            SnapshotId=snapshot,
            BlockIndex=number,
            BlockData=data,
            DataLength=BLOCK,
            Checksum=base64.b64encode(digests[number]).decode(),
            ChecksumAlgorithm="SHA256",
        )
    ebs.complete_snapshot(
        SnapshotId=snapshot,
        ChangedBlocksCount=len(blocks),
        Checksum=base64.b64encode(hashlib.sha256(b"".join(digests.values())).digest()).decode(),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    assert [row["BlockIndex"] for row in listed] == list(blocks)
    for row in listed:
        read = ebs.get_snapshot_block(SnapshotId=snapshot, **row)["BlockData"].read()
        assert hashlib.sha256(read).digest() == digests[row["BlockIndex"]]

    image = ec2.register_image(
        Name="by-blocks",
        Architecture="x86_64",
        VirtualizationType="hvm",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]
    instance = launch(ec2, image)
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    cut = ec2.create_snapshot(
        VolumeId=ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"][0][
            "VolumeId"
        ]
    )["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[cut], WaiterConfig={"Delay": 1})
    changed = ebs.list_changed_blocks(FirstSnapshotId=snapshot, SecondSnapshotId=cut)["ChangedBlocks"]
    # What a guest writes as it boots is found, and it is not all that there is.
    assert (0 < len(changed) < len(blocks)) if target.real else not changed
    end(ec2, instance)
