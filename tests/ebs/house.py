"""The EBS direct APIs under test: served on loopback beside the EC2 API, over records, a store and an engine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from aiohttp import web
from prometheus_client import CollectorRegistry

from ec2gw.backend import simulated
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import qcow2, raw
from ec2gw.cloud import accounts, networks
from ec2gw.ebs import server
from ec2gw.engine.blocks import Blocks
from ec2gw.engine.loop import Engine
from ec2gw.query import api
from ec2gw.query.server import Server
from ec2gw.state import records, session, vault
from tests.query.face import Key

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


class House:
    """`later` moves the clock. `first` and `second` are keys of two accounts."""

    def __init__(self, folder: Path, store: str = "raw") -> None:
        self._ahead = timedelta()
        self.database = session.Database(f"sqlite:///{folder}/records.db", lambda: datetime.now(UTC) + self._ahead)
        records.Record.metadata.create_all(self.database.engine)
        self.vault = vault.Vault(folder / "key")
        self.registry = CollectorRegistry()
        self.store = STORES[store](folder / "volumes")
        self.staging = Staging(folder / "uploads")
        zones: dict[str, VolumeStore] = {ZONE: self.store}
        downloads = Downloads(folder / "imports", largest=1 << 30)
        self.engine = Engine(self.database, zones, simulated.Hypervisor(folder / "machines"), self.staging, downloads)
        self.blocks = Blocks(zones, self.staging)
        self.first, self.second = self.key("first"), self.key("second")
        region = api.Region("us-east-1", (ZONE,), "127.0.0.1:8773")
        application = Server(self.database, self.vault, region, self.engine, self.registry).application()
        self.server = server.Server(self.database, self.vault, ZONE, self.blocks, self.registry)
        self.server.join(application)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = web.AppRunner(application, access_log=None)
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.engine.start()

    async def _listen(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self.engine.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.database.close()

    def later(self, **time: float) -> None:
        self._ahead += timedelta(**time)

    def key(self, name: str) -> Key:
        """A key of a new account."""
        with self.database.write() as tx:
            account = accounts.create(tx, name)
            networks.ensure_default(tx, account.id, "us-east-1", (ZONE,))
            key, secret = accounts.issue_key(tx, self.vault, account.id)
            return Key(account.id, key.id, secret)

    def client(self, service: str = "ebs", key: Key | None = None) -> Any:
        """A boto3 client that asks once, and asks whatever it is told to."""
        key = key or self.first
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, sign: bool = True
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """A request as bytes on the wire: status, headers and what the JSON says."""
        said = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if sign:
            request = botocore.awsrequest.AWSRequest(method, f"http://127.0.0.1:{self.port}{path}", said, body)
            credentials = botocore.credentials.Credentials(self.first.id, self.first.secret)
            botocore.auth.SigV4Auth(credentials, "ebs", "us-east-1").add_auth(request)
            said = dict(request.headers.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, said)
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()

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
        (found,) = self.client("ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
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
        ebs = self.client(key=key)
        listed = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
        found = {}
        for row in listed:
            answer = ebs.get_snapshot_block(SnapshotId=snapshot, **row)
            found[row["BlockIndex"]] = answer["BlockData"].read()
            assert answer["DataLength"] == BLOCK
            assert (answer["Checksum"], answer["ChecksumAlgorithm"]) == (checksum(found[row["BlockIndex"]]), "SHA256")
        return found
