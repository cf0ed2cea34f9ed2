"""Locks that keep snapshots from being deleted."""

from __future__ import annotations

import datetime

from ec2gw.cloud import snapshots
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records


def view(call: Call, snapshot: records.Snapshot, tags: list[dict[str, str]]) -> Response:
    """A lock as DescribeLockedSnapshots shows it."""
    lock = snapshot.lock or {}
    return {
        "OwnerId": snapshot.account_id,
        "SnapshotId": snapshot.id,
        "LockState": snapshots.lock_state(snapshot, call.now),
        "LockDuration": lock["days"],
        "CoolOffPeriod": lock["hours"],
        "CoolOffPeriodExpiresOn": _time(lock["cool_until"]),
        "LockCreatedOn": _time(lock["began"]),
        "LockDurationStartTime": _time(lock["since"]),
        "LockExpiresOn": _time(lock["until"]),
    }


def _time(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None


LOCKS = describe.Listing(
    kind="snapshot",
    record=records.Snapshot,
    result="Snapshots",
    ids="SnapshotIds",
    view=view,
    filters={"lock-state": "LockState"},
    hidden=("deleting",),
    tagged=False,
    pages=(5, 1_000),
)


@action
def lock_snapshot(call: Call, req: Request) -> Response:
    snapshot = snapshots.lock(
        call.tx,
        call.account_id,
        req["SnapshotId"],
        mode=req["LockMode"],
        hours=req.get("CoolOffPeriod"),
        days=req.get("LockDuration"),
        until=req.get("ExpirationDate"),
    )
    return {name: value for name, value in view(call, snapshot, []).items() if name != "OwnerId"}


@action
def unlock_snapshot(call: Call, req: Request) -> Response:
    return {"SnapshotId": snapshots.unlock(call.tx, call.account_id, req["SnapshotId"]).id}


@action
def describe_locked_snapshots(call: Call, req: Request) -> Response:
    return describe.answer(call, req, LOCKS, where=[records.Snapshot.lock.is_not(None)])
