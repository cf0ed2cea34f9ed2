"""EBS snapshots."""

from __future__ import annotations

from ec2gw.cloud import permissions, snapshots, tags
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records

COPY_MINUTES = range(15, 2_881, 15)  # API_CopySnapshot, CompletionDurationMinutes


def view(call: Call, snapshot: records.Snapshot, own: list[dict[str, str]]) -> Response:
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
        "Tags": own,
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
    quiet=True,
)


@action
def describe_snapshots(call: Call, req: Request) -> Response:
    describe.check_owners(req.get("OwnerIds", ()), "amazon")
    describe.check_owners(req.get("RestorableByUserIds", ()), permissions.ALL)
    return describe.answer(call, req, SNAPSHOTS, owners=req.get("OwnerIds"), users=req.get("RestorableByUserIds"))


_TIER = ("SnapshotId", "VolumeId", "OwnerId", "Tags", "StorageTier")
TIERS = describe.Listing(
    kind="snapshot",
    record=records.Snapshot,
    result="SnapshotTierStatuses",
    view=lambda call, snapshot, own: {name: view(call, snapshot, own)[name] for name in _TIER} | {"Status": snapshot.state},
    filters={"last-tiering-operation": "LastTieringOperationStatus", "snapshot-id": "SnapshotId", "volume-id": "VolumeId"},
    columns={"snapshot-id": records.Snapshot.id, "volume-id": records.Snapshot.volume_id},
    hidden=("deleting",),
)


@action
def describe_snapshot_tier_status(call: Call, req: Request) -> Response:
    """The account's own snapshots, all of them in the standard tier: there is no archive."""
    return describe.answer(call, req, TIERS)


@action(settles=lambda response: [response["SnapshotId"]])
def create_snapshot(call: Call, req: Request) -> Response:
    snapshot = snapshots.create(call.tx, call.account_id, req["VolumeId"], req.get("Description", ""))
    shown = view(call, snapshot, describe.tag(call, req, snapshot.id))
    # What AWS answers here: the progress not yet known, nothing of tiers.
    return {name: value for name, value in shown.items() if name not in ("StorageTier", "CompletionTime")} | {"Progress": ""}


@action(settles=lambda response: [row["SnapshotId"] for row in response["Snapshots"]])
def create_snapshots(call: Call, req: Request) -> Response:
    copied = req.get("CopyTagsFromSource")
    if copied not in (None, "volume"):
        raise errors.Invalid("bad-value", value=copied[:64], parameter="copyTagsFromSource")
    wanted = req["InstanceSpecification"]
    made = snapshots.create_set(
        call.tx,
        call.account_id,
        wanted["InstanceId"],
        without_root=wanted.get("ExcludeBootVolume", False),
        without=wanted.get("ExcludeDataVolumeIds", ()),
        description=req.get("Description", ""),
    )
    call.tx.db.flush()
    if copied:
        for id, given in tags.of(call.tx, [snapshot.volume_id for snapshot in made]).items():
            mine = {key: value for key, value in given.items() if not key.startswith(tags.RESERVED)}
            tags.put(call.tx, call.account_id, [snapshot.id for snapshot in made if snapshot.volume_id == id], mine)
    describe.tag(call, req, *(snapshot.id for snapshot in made))
    rows = describe.render(call, SNAPSHOTS, made)
    return {"Snapshots": [{name: row[name] for name in _INFO} | {"Progress": ""} for row in rows]}


_INFO = ("Description", "Encrypted", "OwnerId", "SnapshotId", "StartTime", "State", "Tags", "VolumeId", "VolumeSize")


@action
def copy_snapshot(call: Call, req: Request) -> Response:
    check_source_region(call, req)
    if req.get("DestinationRegion", call.region) != call.region:
        raise errors.Invalid("region-invalid", region=req["DestinationRegion"][:64])
    check_unencrypted(req)
    check_duration(req, "CompletionDurationMinutes")
    source = snapshots.usable(call.tx, call.account_id, req["SourceSnapshotId"])
    # "[Copied snap-… from …]" is what AWS's console writes into the request; what names no description gets none.
    copy = snapshots.copy(call.tx, call.account_id, source, req.get("Description", ""))
    return {"SnapshotId": copy.id, "Tags": describe.tag(call, req, copy.id)}


def check_source_region(call: Call, req: Request) -> None:
    """Raise for a region other than this one: there is no other to copy from."""
    if req["SourceRegion"] != call.region:
        raise errors.Invalid("region-invalid", region=req["SourceRegion"][:64])


def check_duration(req: Request, member: str) -> None:
    """Raise for a duration of a copy that EC2 does not take. A copy here is there sooner than any that it does."""
    minutes = req.get(member)
    if minutes is not None and minutes not in COPY_MINUTES:
        why = "It must be 15 to 2880 minutes, in steps of 15."
        raise errors.Invalid("invalid-value", value=minutes, parameter=member[0].lower() + member[1:], why=why)


def check_unencrypted(req: Request) -> None:
    """Raise where a copy is to be encrypted, which it would not be."""
    if "KmsKeyId" in req and not req.get("Encrypted"):
        raise errors.Conflict("parameter-dependency", parameter="KmsKeyId", other="Encrypted")
    if req.get("Encrypted"):
        raise errors.Unsupported("unsupported", message="Encrypted snapshots are not supported by this endpoint.")


@action
def delete_snapshot(call: Call, req: Request) -> Response:
    snapshots.delete(call.tx, call.account_id, req["SnapshotId"])
    return {}
