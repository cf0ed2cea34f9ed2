"""The EC2 Query face under test: served on loopback over records of its own, with accounts, keys and an engine of straw."""

from __future__ import annotations

import asyncio
import http.client
import threading
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from aiohttp import web
from lxml import etree
from prometheus_client import CollectorRegistry

from ec2gw.cloud import accounts, networks
from ec2gw.query import api, server
from ec2gw.state import journal, records, session, vault

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


class Bell:
    """An engine that only notes what it is asked; `work` is what it does when asked."""

    def __init__(self) -> None:
        self.waited: list[list[str]] = []
        self.refreshed: list[str] = []
        self.work: Any = lambda: True

    def wait(self, ids: Collection[str], timeout: float) -> bool:
        self.waited.append(list(ids))
        return bool(self.work())

    def refresh_console(self, instance_id: str) -> None:
        self.refreshed.append(instance_id)
        self.work()

    def refresh_screen(self, instance_id: str, wake: bool) -> None:
        self.refreshed.append(f"{instance_id} {wake}")
        self.work()


@dataclass
class Key:
    """Who signs."""

    account_id: str
    id: str
    secret: str


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def xml(self) -> Any:
        return etree.fromstring(self.text.encode())

    @property
    def code(self) -> str | None:
        """The error's code, None for a success."""
        found: str | None = self.xml.findtext("Errors/Error/Code")
        return found


class Face:
    """`first` and `second` are keys of two accounts."""

    def __init__(self, folder: Path) -> None:
        self.database = session.Database(f"sqlite:///{folder}/records.db")
        records.Record.metadata.create_all(self.database.engine)
        self.vault = vault.Vault(folder / "key")
        self.registry = CollectorRegistry()
        self.bell = Bell()
        self.first, self.second = self.key("first"), self.key("second")
        region = api.Region("us-east-1", ZONES, "127.0.0.1:8773")
        self.server = server.Server(self.database, self.vault, region, self.bell, self.registry)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = web.AppRunner(self.server.application(), access_log=None)
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> int:
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

    def key(self, name: str) -> Key:
        """A key of a new account."""
        with self.database.write() as tx:
            account = accounts.create(tx, name)
            networks.ensure_default(tx, account.id, "us-east-1", ZONES)
            key, secret = accounts.issue_key(tx, self.vault, account.id)
            return Key(account.id, key.id, secret)

    def client(self, key: Key | None = None, service: str = "ec2", path: str = "") -> Any:
        """A boto3 client that asks once."""
        key = key or self.first
        make: Any = boto3.client  # which of four hundred services it is, nobody can say before the run
        return make(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}{path}",
            region_name="us-east-1",
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    def ask(self, action: str, *, key: Key | None = None, version: str = "2016-11-15", **params: str) -> Reply:
        """A request of any parameters, signed; `__` in a name stands for a dot."""
        said = {name.replace("__", "."): value for name, value in params.items()}
        return self.send({"Action": action, "Version": version, **said}, key=key)

    def send(
        self,
        params: Mapping[str, str] | bytes,
        *,
        key: Key | None = None,
        method: str = "POST",
        path: str = "/",
        sign: bool = True,
    ) -> Reply:
        """A request as bytes on the wire, signed as botocore signs."""
        key = key or self.first
        body = params if isinstance(params, bytes) else urllib.parse.urlencode(params).encode()
        headers = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        if sign:
            request = botocore.awsrequest.AWSRequest(method, f"http://127.0.0.1:{self.port}{path}", headers, body)
            credentials = botocore.credentials.Credentials(key.id, key.secret)
            botocore.auth.SigV4Auth(credentials, "ec2", "us-east-1").add_auth(request)
            headers = dict(request.headers.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, but for the journal of the writes themselves."""
        with self.database.read() as tx:
            return {
                table.name: sorted((tuple(row) for row in tx.db.execute(table.select())), key=repr)
                for table in records.Record.metadata.sorted_tables
                if table.name != journal.Change.__tablename__
            }
