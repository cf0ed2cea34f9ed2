"""The six operations: what is asked, checked against the records, and its bytes handed to or from the host. Knows no HTTP.

A block's bytes are on the host before its record says so, and a record is asked before bytes are read: between the two no
transaction is open, for the host may take its time.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import hmac
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ec2gw.cloud import snapshots, tags, uploads
from ec2gw.cloud.uploads import BLOCK
from ec2gw.door import repeats
from ec2gw.ebs import tokens
from ec2gw.ebs.wire import Request, Response
from ec2gw.model import errors
from ec2gw.state.session import Database, Transaction

MOST_BLOCKS = 10_000  # in one answer (API_ListSnapshotBlocks)


class Blocks(Protocol):
    """What this face knows of the host. Every verb blocks, and raises Unavailable where the host cannot."""

    def written(self, snapshot: str, zone: str) -> Sequence[int]:
        """The numbers of the blocks that a snapshot has, in order."""

    def changed(self, first: tuple[str, str], second: tuple[str, str]) -> Sequence[int]:
        """The numbers of the blocks that differ between two snapshots, each named with its zone, in order."""

    def read(self, snapshot: str, zone: str, number: int) -> bytes:
        """The bytes of a block."""

    def receive(self, snapshot: str, number: int, checksum: bytes, data: bytes) -> None:
        """Keep a block's bytes until its snapshot is made; they last through a power cut."""

    def drop(self, snapshot: str, number: int, checksum: bytes) -> None:
        """Forget a block that was received."""


@dataclass(frozen=True)
class Call:
    """Who asks, and what he is answered from. `alone` is held while one block of one snapshot is written."""

    account_id: str
    now: datetime
    zone: str
    key: bytes
    database: Database
    blocks: Blocks
    alone: Callable[[str, int], AbstractContextManager[object]]


# -- writing ---------------------------------------------------------------------------------------------------------------------


def start_snapshot(call: Call, req: Request) -> Response:
    if req.get("Encrypted") and "ParentSnapshotId" in req:
        raise errors.Conflict("encrypted-with-parent")
    if req.get("Encrypted") or "KmsKeyArn" in req:
        raise errors.Unsupported("encrypted")
    given = tags.checked((tag.get("Key", ""), tag.get("Value", "")) for tag in req.get("Tags", ()))
    with call.database.write() as tx:

        def start() -> Response:
            return _start(tx, call, req, given)

        if "ClientToken" not in req:
            return start()
        digest = repeats.fingerprint(req, ("ClientToken",))
        return repeats.once(tx, call.account_id, "StartSnapshot", req["ClientToken"], digest, start)[0]


def _start(tx: Transaction, call: Call, req: Request, given: Mapping[str, str]) -> Response:
    snapshot = uploads.start(
        tx,
        call.account_id,
        req["VolumeSize"],
        call.zone,
        parent_id=req.get("ParentSnapshotId"),
        description=req.get("Description", ""),
        minutes=req.get("Timeout", uploads.MINUTES),
    )
    tx.db.flush()
    tags.put(tx, call.account_id, [snapshot.id], given)
    return {
        "Description": req.get("Description"),
        "SnapshotId": snapshot.id,
        "OwnerId": snapshot.account_id,
        "Status": snapshot.state,
        "StartTime": snapshot.created_at,
        "VolumeSize": snapshot.size,
        "BlockSize": BLOCK,
        "Tags": [{"Key": key, "Value": value} for key, value in given.items()] or None,
        "ParentSnapshotId": req.get("ParentSnapshotId"),
    }


def put_snapshot_block(call: Call, req: Request) -> Response:
    data, snapshot_id, number = req["BlockData"], req["SnapshotId"], req["BlockIndex"]
    if len(data) != BLOCK:
        raise errors.Invalid("block-short")
    if req["DataLength"] != BLOCK:
        raise errors.Invalid("block-length", length=req["DataLength"])
    if req["ChecksumAlgorithm"] != "SHA256":
        raise errors.Invalid("checksum-algorithm", algorithm=req["ChecksumAlgorithm"])
    block = uploads.Block(number, hashlib.sha256(data).digest())
    computed = base64.b64encode(block.checksum).decode()
    if not hmac.compare_digest(computed, req["Checksum"]):
        raise errors.Unsigned("checksum-wrong", computed=computed, expected=req["Checksum"])
    with call.alone(snapshot_id, number):
        with call.database.read() as tx:
            uploads.check(tx, call.account_id, snapshot_id, number)
        call.blocks.receive(snapshot_id, number, block.checksum, data)
        with call.database.write() as tx:
            old = uploads.receive(tx, call.account_id, snapshot_id, block)
        if old is not None:
            call.blocks.drop(snapshot_id, number, old.checksum)
    return {"Checksum": computed, "ChecksumAlgorithm": "SHA256"}


def complete_snapshot(call: Call, req: Request) -> Response:
    given = {name for name in ("Checksum", "ChecksumAlgorithm", "ChecksumAggregationMethod") if name in req}
    if given and "Checksum" not in given:
        raise errors.Conflict("checksum-combination", what="Snapshot checksum")
    if given and "ChecksumAlgorithm" not in given:
        raise errors.Conflict("checksum-combination", what="Checksum algorithm")
    if given and "ChecksumAggregationMethod" not in given:
        raise errors.Conflict("checksum-combination", what="Checksum aggregation method")
    # What is no SHA-256 at all can only be wrong, which shows in the snapshot's end as any other wrong one does.
    checksum = req["Checksum"].encode() if given else None
    with call.database.write() as tx:
        snapshot = uploads.complete(tx, call.account_id, req["SnapshotId"], req["ChangedBlocksCount"], _digest(checksum))
        return {"Status": snapshot.state}


def _digest(checksum: bytes | None) -> bytes | None:
    if checksum is None:
        return None
    try:
        return base64.b64decode(checksum, validate=True)
    except ValueError:
        return checksum


# -- reading ---------------------------------------------------------------------------------------------------------------------


def list_snapshot_blocks(call: Call, req: Request) -> Response:
    with call.database.read() as tx:
        snapshot = uploads.readable(tx, call.account_id, req["SnapshotId"])
        id, zone, size = snapshot.id, snapshot.zone, snapshot.size
    begin = _begin(call, req, [id])
    some, more = _page(call.blocks.written(id, zone), begin, req)
    ends = _ends(call, some)
    return {
        "Blocks": [{"BlockIndex": number, "BlockToken": _token(call, id, number, ends)} for number in some],
        "ExpiryTime": ends,
        "VolumeSize": size,
        "BlockSize": BLOCK,
        "NextToken": _next(call, [id], more),
    }


def list_changed_blocks(call: Call, req: Request) -> Response:
    if "FirstSnapshotId" not in req:
        raise errors.Missing("first-missing")
    with call.database.read() as tx:
        first, second = (uploads.readable(tx, call.account_id, req[f"{which}SnapshotId"]) for which in ("First", "Second"))
        if snapshots.ancestry(tx, first).isdisjoint(snapshots.ancestry(tx, second)):
            raise errors.Invalid("unrelated", first=first.id, second=second.id)
        pair = (first.id, first.zone), (second.id, second.zone)
        size = second.size
    listed = [id for id, _ in pair]
    begin = _begin(call, req, listed)
    some, more = _page(call.blocks.changed(*pair), begin, req)
    there = [call.blocks.written(*each) for each in pair]
    ends = _ends(call, some)
    return {
        "ChangedBlocks": [
            {
                "BlockIndex": number,
                "FirstBlockToken": _token(call, listed[0], number, ends) if _has(there[0], number) else None,
                "SecondBlockToken": _token(call, listed[1], number, ends) if _has(there[1], number) else None,
            }
            for number in some
        ],
        "ExpiryTime": ends,
        "VolumeSize": size,
        "BlockSize": BLOCK,
        "NextToken": _next(call, listed, more),
    }


def get_snapshot_block(call: Call, req: Request) -> Response:
    id, number = req["SnapshotId"], req["BlockIndex"]
    with call.database.read() as tx:
        zone = uploads.readable(tx, call.account_id, id).zone
    if not tokens.opens(call.key, req["BlockToken"], call.account_id, id, number, call.now):
        raise errors.Invalid("block-token", token=req["BlockToken"])
    data = call.blocks.read(id, zone, number)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"DataLength": len(data), "BlockData": data, "Checksum": checksum, "ChecksumAlgorithm": "SHA256"}


def _begin(call: Call, req: Request, listed: list[str]) -> int:
    """The block that an answer begins with, or the next one that is there."""
    if "NextToken" not in req:
        begin: int = req.get("StartingBlockIndex", 0)
        return begin
    turned = tokens.turned(call.key, req["NextToken"], call.account_id, listed)
    if turned is None:
        raise errors.Malformed("page-token", token=req["NextToken"])
    return turned


def _page(numbers: Sequence[int], begin: int, req: Request) -> tuple[list[int], int | None]:
    """The blocks of an answer, and the one that the next answer begins with."""
    at = bisect.bisect_left(numbers, begin)
    end = at + req.get("MaxResults", MOST_BLOCKS)
    return list(itertools.islice(numbers, at, end)), numbers[end] if end < len(numbers) else None


def _has(numbers: Sequence[int], number: int) -> bool:
    at = bisect.bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _ends(call: Call, some: Sequence[int]) -> datetime:
    """When the tokens of an answer end; with none in it, now (as recorded from AWS)."""
    return call.now + tokens.LIFETIME if some else call.now


def _token(call: Call, id: str, number: int, ends: datetime) -> str:
    return tokens.block(call.key, call.account_id, id, number, ends)


def _next(call: Call, listed: list[str], more: int | None) -> str | None:
    return None if more is None else tokens.page(call.key, call.account_id, listed, more)


ACTIONS: Mapping[str, Callable[[Call, Request], Response]] = {
    "CompleteSnapshot": complete_snapshot,
    "GetSnapshotBlock": get_snapshot_block,
    "ListChangedBlocks": list_changed_blocks,
    "ListSnapshotBlocks": list_snapshot_blocks,
    "PutSnapshotBlock": put_snapshot_block,
    "StartSnapshot": start_snapshot,
}
