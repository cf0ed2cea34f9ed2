"""EBS snapshots."""

from __future__ import annotations

from ec2gw.cloud import permissions, snapshots
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records


def view(call: Call, snapshot: records.Snapshot, tags: list[dict[str, str]]) -> Response:
    """A snapshot as DescribeSnapshots shows it."""
    done = snapshot.state == "completed"
    return {
        "Description": snapshot.description,
        "Encrypted": snapshot.encrypted,
        "OwnerId": snapshot.account_id,
        "Progress": "100%" if done else "50%" if snapshot.cut else "0%",
        "SnapshotId": snapshot.id,
        "StartTime": snapshot.created_at,
        "State": snapshot.state,
        "StateMessage": snapshot.reason,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.size,
        "CompletionTime": snapshot.completed_at,
        "StorageTier": "standard",
        "Tags": tags,
    }


SNAPSHOTS = describe.Listing(
    kind="snapshot",
    record=records.Snapshot,
    result="Snapshots",
    ids="SnapshotIds",
    view=view,
    filters={
        "description": "Description",
        "encrypted": "Encrypted",
        "owner-alias": "OwnerAlias",
        "owner-id": "OwnerId",
        "progress": "Progress",
        "snapshot-id": "SnapshotId",
        "start-time": "StartTime",
        "status": "State",
        "storage-tier": "StorageTier",
        "transfer-type": "TransferType",
        "volume-id": "VolumeId",
        "volume-size": "VolumeSize",
    },
    hidden=("deleting",),
    shared=True,
)


@action
def describe_snapshots(call: Call, req: Request) -> Response:
    describe.check_owners(req.get("OwnerIds", ()), "amazon")
    describe.check_owners(req.get("RestorableByUserIds", ()), permissions.ALL)
    return describe.answer(call, req, SNAPSHOTS, owners=req.get("OwnerIds"), users=req.get("RestorableByUserIds"))


@action(settles=lambda response: [response["SnapshotId"]])
def create_snapshot(call: Call, req: Request) -> Response:
    if "Location" in req and req["Location"] != "regional":
        raise errors.Unsupported("unsupported", message="Local snapshots are not supported by this endpoint.")
    snapshot = snapshots.create(call.tx, call.account_id, req["VolumeId"], req.get("Description", ""))
    shown = view(call, snapshot, describe.tag(call, req, snapshot.id))
    # What AWS answers here: the progress not yet known, nothing of tiers.
    return {name: value for name, value in shown.items() if name not in ("StorageTier", "CompletionTime")} | {"Progress": ""}


@action
def delete_snapshot(call: Call, req: Request) -> Response:
    snapshots.delete(call.tx, call.account_id, req["SnapshotId"])
    return {}
