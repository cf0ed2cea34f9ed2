"""The EC2 Query face under test: served on loopback over records of its own, with accounts, keys and an engine of straw."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from ec2gw.query import api, server
from ec2gw.state import journal, records
from tests.served import REGION, Key, Served

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


class Face(Served):
    """The EC2 Query face alone."""

    service = "ec2"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ZONES)
        self.bell = Bell()
        region = api.Region(REGION, ZONES, "127.0.0.1:8773")
        self.server = server.Server(self.database, self.vault, region, self.bell, self.registry)
        self.serve(self.server.answer)

    def close(self) -> None:
        super().close()
        self.server.close()

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
        body = params if isinstance(params, bytes) else urllib.parse.urlencode(params).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        signer = (key or self.first) if sign else None
        status, answered, text = self.exchange(method, path, body, headers, signer)
        return Reply(status, answered, text.decode())

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, but for the journal of the writes themselves."""
        with self.database.read() as tx:
            return {
                table.name: sorted((tuple(row) for row in tx.db.execute(table.select())), key=repr)
                for table in records.Record.metadata.sorted_tables
                if table.name != journal.Change.__tablename__
            }
