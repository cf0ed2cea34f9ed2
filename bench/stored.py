"""Many stored instances, written as records at once: copies of one that the gateway made itself, while no gateway runs.

It knows no column but ids and what must be unique, so it needs no change when a record gains one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, insert, select

from ec2gw.model import ids
from ec2gw.state import networks, records
from ec2gw.state.session import Database, Transaction

_BATCH = 1_000
_FIRST_ADDRESS = int(ipaddress.ip_address("10.0.0.0"))
TAG = "batch"  # of every copy; every hundred have a value of their own


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
                copy["value"] = str(number // 100)
            copies.append(copy)
        yield record, copies


_OWN = frozenset(("instance", "reservation", "volume", "network-interface"))
