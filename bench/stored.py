"""A gateway with many stored instances, written as records at once: copies of one that it made itself, while it does not run.

Copying knows no column but ids and what must be unique, so it needs no change when a record gains one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from bench import servers
from ec2gw.model import ids
from ec2gw.state import networks, records
from ec2gw.state.session import Database, Transaction
from tests.gateway import Gateway

TAG = "batch"  # of every copy; every ten have a value of their own
PAGES = 20  # of 1,000 instances, how many are fetched before memory is looked at
REQUESTS = ("one by id", "a tag filter that ten pass", "a page of 10", "a page of 100")
_BATCH = 1_000
_FIRST_ADDRESS = int(ipaddress.ip_address("10.0.0.0"))


class House:
    """A state folder and the gateway that serves it, with simulated machines."""

    def __init__(self, folder: Path) -> None:
        self._gateway = Gateway(folder / "state", "simulated")
        self._gateway.folder.mkdir()
        self._gateway.start()
        server = servers.of_gateway(self._gateway)
        server.prepare()
        self._snapshot = server.snapshot
        self._template = server.stopped_instance({TAG: "0", "Name": "one of many"})
        self._gateway.stop()

    @contextmanager
    def serving(self, count: int) -> Iterator[Target]:
        """The gateway with at least `count` instances stored."""
        multiply(f"sqlite:///{self._gateway.folder / 'records.db'}", self._template, count)
        self._gateway.start()
        try:
            server = servers.of_gateway(self._gateway)
            server.snapshot = self._snapshot
            yield Target(server, self._template)
        finally:
            self._gateway.stop()

    def peak_memory(self) -> float:
        """The most memory, in MiB, that the serving process has had."""
        assert self._gateway.process is not None
        status = Path(f"/proc/{self._gateway.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


class Target:
    """The gateway under requests whose answers are of one size, however much is stored."""

    def __init__(self, server: servers.Server, instance_id: str) -> None:
        self.port = server.port
        self.changes = server.changes()
        self._server = server
        self._words = {
            REQUESTS[0]: {"InstanceId.1": instance_id},
            REQUESTS[1]: {"Filter.1.Name": f"tag:{TAG}", "Filter.1.Value.1": "0"},
        }

    def request(self, name: str) -> bytes:
        """The signed bytes of one of REQUESTS, or of a page of any size."""
        words = self._words.get(name) or {"MaxResults": name.removeprefix("a page of ")}
        return self._server.signed({"Action": "DescribeInstances", **words})

    def walk(self, pages: int) -> int:
        """Fetch page after page of 1,000. Gives how many instances they held."""
        found, token = 0, ""
        for _ in range(pages):
            words = {"Action": "DescribeInstances", "MaxResults": "1000"} | ({"NextToken": token} if token else {})
            body = self._server.ask(words)
            found += body.count(b"<instanceId>i-")
            tokens = re.findall(rb"<nextToken>([^<]+)</nextToken>", body)
            if not tokens:
                break
            token = tokens[0].decode()
        return found


def multiply(url: str, instance_id: str, count: int) -> None:
    """Have `count` instances stored, all like this one: with volumes, attachments, an interface, an address and tags.

    The one copied should be stopped: the engine would bring up machines for what runs.
    """
    database = Database(url)
    with database.write() as tx:
        have = tx.db.scalar(select(func.count()).select_from(records.Instance)) or 0
        template = dict(_rows(tx, instance_id))
        for start in range(have, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            made = [dict(_copy(template, number)) for number in numbers]
            for record in template:
                rows = [row for copy in made for row in copy[record]]
                if rows:
                    tx.db.execute(insert(record), rows)
    database.close()


def _rows(tx: Transaction, instance_id: str) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """The rows that make up an instance, by record."""
    attachments = _read(tx, records.Attachment, records.Attachment.instance_id, [instance_id])
    interfaces = _read(tx, networks.Interface, networks.Interface.instance_id, [instance_id])
    interface_ids = [row["id"] for row in interfaces]
    yield records.Instance, _read(tx, records.Instance, records.Instance.id, [instance_id])
    yield records.Volume, _read(tx, records.Volume, records.Volume.id, [row["volume_id"] for row in attachments])
    yield records.Attachment, attachments
    yield networks.Interface, interfaces
    yield networks.InterfaceAddress, _read(tx, networks.InterfaceAddress, networks.InterfaceAddress.interface_id, interface_ids)
    yield networks.InterfaceGroup, _read(tx, networks.InterfaceGroup, networks.InterfaceGroup.interface_id, interface_ids)
    yield records.Tag, _read(tx, records.Tag, records.Tag.resource_id, [instance_id])


def _read(tx: Transaction, record: Any, column: Any, wanted: list[str]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in tx.db.execute(select(*record.__table__.columns).where(column.in_(wanted)))]


def _copy(template: dict[Any, list[dict[str, Any]]], number: int) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """The rows with ids of their own; whatever else must be unique is made from the number."""
    renamed: dict[str, str] = {}

    def rename(value: Any) -> Any:
        if isinstance(value, str) and ids.kind(value) in _OWN:
            return renamed.setdefault(value, ids.new(value.partition("-")[0]))
        return value

    for record, rows in template.items():
        copies = []
        for row in rows:
            copy = {name: rename(value) for name, value in row.items() if name != "number"}
            if record is networks.Interface:
                copy["mac"] = "0e:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(5, "big"))
                copy["attachment_id"] = ids.new("eni-attach")
            if record is networks.InterfaceAddress:
                copy["address"] = str(ipaddress.ip_address(_FIRST_ADDRESS + number))
            if record is records.Tag and copy["key"] == TAG:
                copy["value"] = str(number // 10)
            copies.append(copy)
        yield record, copies


_OWN = frozenset(("instance", "reservation", "volume", "network-interface"))
