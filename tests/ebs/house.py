"""The EBS direct APIs under test: served on loopback beside the EC2 API, over records, a store and an engine."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ec2gw.backend import simulated
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import qcow2, raw
from ec2gw.ebs import server
from ec2gw.engine.blocks import Blocks
from ec2gw.engine.loop import Engine
from ec2gw.query import api
from ec2gw.query.server import Server
from tests.served import REGION, Key, Served

ZONE = "us-east-1a"
BLOCK = 524_288
STORES: dict[str, Callable[[Path], VolumeStore]] = {"raw": raw.RawStore, "qcow2": qcow2.Qcow2Store}


def block(letter: str) -> bytes:
    """A block all of one letter."""
    return letter.encode() * BLOCK


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def linear(*data: bytes) -> str:
    """The checksum of the blocks' checksums, as AWS documents it."""
    return checksum(b"".join(hashlib.sha256(each).digest() for each in data))


class House(Served):
    """Both faces, over a store and an engine with simulated machines."""

    service = "ebs"

    def __init__(self, folder: Path, store: str = "raw") -> None:
        super().__init__(folder, (ZONE,))
        self.store = STORES[store](folder / "volumes")
        self.staging = Staging(folder / "uploads")
        zones: dict[str, VolumeStore] = {ZONE: self.store}
        downloads = Downloads(folder / "imports", largest=1 << 30)
        self.engine = Engine(self.database, zones, simulated.Hypervisor(folder / "machines"), self.staging, downloads)
        self.blocks = Blocks(zones, self.staging)
        region = api.Region(REGION, (ZONE,), "127.0.0.1:8773")
        self.query = Server(self.database, self.vault, region, self.engine, self.registry)
        self.server = server.Server(self.database, self.vault, ZONE, self.blocks, self.registry)
        self.serve(self.server.beside(self.query.answer))
        self.engine.start()

    def close(self) -> None:
        self.engine.stop()
        super().close()
        self.server.close()
        self.query.close()

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, sign: bool = True
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """A request as bytes on the wire: status, headers and what the JSON says."""
        signer = self.first if sign else None
        status, answered, text = self.exchange(method, path, body, headers or {}, signer)
        return status, answered, json.loads(text)

    # -- what nearly every test does ------------------------------------------------------------------------------------------

    def put(self, snapshot: str, number: int, data: bytes, **more: Any) -> Any:
        wish = {"DataLength": len(data), "Checksum": checksum(data), "ChecksumAlgorithm": "SHA256", **more}
        return self.client().put_snapshot_block(SnapshotId=snapshot, BlockIndex=number, BlockData=data, **wish)

    def upload(self, blocks: dict[int, bytes], **more: Any) -> str:
        """A completed snapshot of these blocks."""
        snapshot: str = self.client().start_snapshot(**{"VolumeSize": 1, **more})["SnapshotId"]
        for number, data in blocks.items():
            self.put(snapshot, number, data)
        self.client().complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
        assert self.settled(snapshot)["State"] == "completed"
        return snapshot

    def shown(self, snapshot: str) -> dict[str, Any]:
        """As DescribeSnapshots shows it."""
        (found,) = self.client(service="ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        return dict(found)

    def settled(self, snapshot: str) -> dict[str, Any]:
        """As DescribeSnapshots shows it when it is pending no more."""
        deadline = time.monotonic() + 20
        while (found := self.shown(snapshot))["State"] == "pending":
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def wake(self, snapshot: str) -> None:
        """Have the engine look at a snapshot now, as it does by itself now and then."""
        self.engine.wake([snapshot])
        assert self.engine.wait([snapshot], 10)

    def read(self, snapshot: str, key: Key | None = None) -> dict[int, bytes]:
        """All blocks of a snapshot."""
        ebs = self.client(key)
        listed = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
        found = {}
        for row in listed:
            answer = ebs.get_snapshot_block(SnapshotId=snapshot, **row)
            found[row["BlockIndex"]] = answer["BlockData"].read()
            assert answer["DataLength"] == BLOCK
            assert (answer["Checksum"], answer["ChecksumAlgorithm"]) == (checksum(found[row["BlockIndex"]]), "SHA256")
        return found
