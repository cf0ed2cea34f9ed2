"""Fast restores of snapshots: a volume from a snapshot is whole from its first moment here, so to enable one takes no time."""

from __future__ import annotations

from sqlalchemy import select

from ec2gw.cloud import snapshots
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.query.errors import Fault, from_refusal
from ec2gw.state import records

MOST_SNAPSHOTS = 10  # API_EnableFastSnapshotRestores


def view(call: Call, row: records.FastRestore) -> Response:
    """A fast restore as DescribeFastSnapshotRestores shows it."""
    return {
        "SnapshotId": row.snapshot_id,
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, row.zone),
        "State": "enabled",
        "StateTransitionReason": "Client.UserInitiated",
        "OwnerId": row.account_id,
        "EnablingTime": row.enabled_at,
        "OptimizingTime": row.enabled_at,
        "EnabledTime": row.enabled_at,
    }


RESTORES = describe.Catalogue(
    result="FastSnapshotRestores",
    key="_Order",
    filters={
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "owner-id": "OwnerId",
        "snapshot-id": "SnapshotId",
        "state": "State",
    },
    pages=(0, 200),
)


@action
def describe_fast_snapshot_restores(call: Call, req: Request) -> Response:
    rows = call.tx.db.scalars(select(records.FastRestore).where(records.FastRestore.account_id == call.account_id))
    answer = describe.choose(req, RESTORES, [view(call, row) | {"_Order": f"{row.snapshot_id} {row.zone}"} for row in rows])
    for row in answer[RESTORES.result]:
        del row["_Order"]
    return answer


@action
def enable_fast_snapshot_restores(call: Call, req: Request) -> Response:
    done, refused = [], []
    for id in _snapshots(req):
        try:
            found = snapshots.usable(call.tx, call.account_id, id)
        except errors.Refusal as refusal:
            refused.append(_refused(call, id, _zones(call, req), from_refusal(refusal)))
            continue
        done += [view(call, snapshots.restore_fast(call.tx, call.account_id, found, zone)) for zone in _zones(call, req)]
    return {"Successful": done, "Unsuccessful": refused}


@action
def disable_fast_snapshot_restores(call: Call, req: Request) -> Response:
    done, refused = [], []
    for id in _snapshots(req):
        for zone in _zones(call, req):
            row = snapshots.restore_fast_no_more(call.tx, call.account_id, id, zone)
            if row is None:
                fault = Fault("InvalidFastSnapshotRestore.NotFound", f"Fast snapshot restore is not enabled for {id} in {zone}.")
                refused.append(_refused(call, id, [zone], fault))
            else:
                done.append(view(call, row) | {"State": "disabled", "DisablingTime": call.now, "DisabledTime": call.now})
    return {"Successful": done, "Unsuccessful": refused}


def _snapshots(req: Request) -> list[str]:
    wanted = list(dict.fromkeys(req["SourceSnapshotIds"]))
    if len(wanted) > MOST_SNAPSHOTS:
        raise errors.LimitExceeded("too-many-resources", most=MOST_SNAPSHOTS)
    return wanted


def _zones(call: Call, req: Request) -> list[str]:
    by_id = {places.zone_id(call.settings, zone): zone for zone in call.settings.zones}
    wanted = [*req.get("AvailabilityZones", ()), *(by_id.get(id, id) for id in req.get("AvailabilityZoneIds", ()))]
    if not wanted:
        raise errors.Missing("missing-parameter", parameter="availabilityZone")
    for zone in wanted:
        if zone not in call.settings.zones:
            raise errors.Invalid("zone-invalid", zone=zone[:64])
    return list(dict.fromkeys(wanted))


def _refused(call: Call, id: str, zones: list[str], fault: Fault) -> Response:
    error = {"Code": fault.code, "Message": fault.message}
    rows = [
        {"AvailabilityZone": zone, "AvailabilityZoneId": places.zone_id(call.settings, zone), "Error": error} for zone in zones
    ]
    return {"SnapshotId": id, "FastSnapshotRestoreStateErrors": rows}
