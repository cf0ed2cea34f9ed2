"""A face under test: on loopback over records of its own, with keys of two accounts."""

from __future__ import annotations

import asyncio
import http.client
import threading
from dataclasses import dataclass
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

from ec2gw.cloud import accounts, networks
from ec2gw.door import reception
from ec2gw.state import records, session, vault

REGION = "us-east-1"


@dataclass
class Key:
    """Who signs."""

    account_id: str
    id: str
    secret: str


class Served:
    """`first` and `second` are keys of two accounts. What is built on it names its `service` and calls `serve`."""

    service: str

    def __init__(self, folder: Path, zones: tuple[str, ...]) -> None:
        self._zones = zones
        self._ahead = timedelta()
        self.database = session.Database(f"sqlite:///{folder}/records.db", lambda: datetime.now(UTC) + self._ahead)
        records.Record.metadata.create_all(self.database.engine)
        self.vault = vault.Vault(folder / "key")
        self.registry = CollectorRegistry()
        self.first, self.second = self.key("first"), self.key("second")

    def serve(self, answer: reception.Answer) -> None:
        """From now on, on `port`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(answer), self._loop).result()

    async def _listen(self, answer: reception.Answer) -> int:
        self._runner = await reception.runner(answer, 60)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.database.close()

    def later(self, **time: float) -> None:
        """Move the clock."""
        self._ahead += timedelta(**time)

    def key(self, name: str) -> Key:
        """A key of a new account."""
        with self.database.write() as tx:
            account = accounts.create(tx, name)
            networks.create_default_vpc(tx, account.id, REGION, self._zones)
            key, secret = accounts.issue_key(tx, self.vault, account.id)
            return Key(account.id, key.id, secret)

    def client(self, key: Key | None = None, service: str = "", path: str = "") -> Any:
        """A boto3 client that asks once, and asks whatever it is told to."""
        key = key or self.first
        make: Any = boto3.client  # which of four hundred services it is, nobody can say before the run
        return make(
            service or self.service,
            endpoint_url=f"http://127.0.0.1:{self.port}{path}",
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], key: Key | None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """A request as bytes on the wire, signed by `key` as botocore signs: status, headers and body."""
        said = {"Host": f"127.0.0.1:{self.port}", **headers}
        if key is not None:
            request = botocore.awsrequest.AWSRequest(method, f"http://127.0.0.1:{self.port}{path}", said, body)
            credentials = botocore.credentials.Credentials(key.id, key.secret)
            botocore.auth.SigV4Auth(credentials, self.service, REGION).add_auth(request)
            said = dict(request.headers.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, said)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()
