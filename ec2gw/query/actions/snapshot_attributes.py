"""What can be said of a snapshot after it is made: whom it is shared with, and whether it may be public at all."""

from __future__ import annotations

from ec2gw.cloud import permissions, settings, snapshots
from ec2gw.model import errors
from ec2gw.query.actions import sharing
from ec2gw.query.api import Call, Request, Response, action


@action
def describe_snapshot_attribute(call: Call, req: Request) -> Response:
    snapshot = snapshots.find(call.tx, call.account_id, req["SnapshotId"])
    if req["Attribute"] == "createVolumePermission":
        return {"SnapshotId": snapshot.id, "CreateVolumePermissions": sharing.view(permissions.of(call.tx, snapshot.id))}
    if req["Attribute"] == "productCodes":
        return {"SnapshotId": snapshot.id, "ProductCodes": []}
    raise _unknown(req["Attribute"])


@action
def modify_snapshot_attribute(call: Call, req: Request) -> Response:
    if req.get("Attribute", "createVolumePermission") != "createVolumePermission":
        raise _unknown(req["Attribute"])
    wish = sharing.wish(req, "CreateVolumePermission", "GroupNames")
    if wish.add and wish.remove:  # API_ModifySnapshotAttribute: in a single call one or the other
        raise errors.Conflict("parameter-conflict", parameter="Add", other="Remove")
    snapshots.share(call.tx, call.account_id, req["SnapshotId"], wish.add, wish.remove)
    return {}


@action
def reset_snapshot_attribute(call: Call, req: Request) -> Response:
    if req["Attribute"] != "createVolumePermission":
        raise _unknown(req["Attribute"])
    snapshot = snapshots.find(call.tx, call.account_id, req["SnapshotId"])
    snapshots.share(call.tx, call.account_id, snapshot.id, (), permissions.of(call.tx, snapshot.id))
    return {}


def _unknown(attribute: str) -> errors.Refusal:
    return errors.Invalid("invalid-value", value=attribute[:64], parameter="attribute", why="Unknown attribute.")


# -- public sharing -------------------------------------------------------------------------------------------------------------

_BLOCKING = (settings.BLOCK_ALL_SHARING, settings.BLOCK_NEW_SHARING)


@action
def enable_snapshot_block_public_access(call: Call, req: Request) -> Response:
    if req["State"] not in _BLOCKING:
        raise errors.Invalid("bad-value", value=req["State"][:64], parameter="state")
    settings.put(call.tx, call.account_id, settings.SNAPSHOT_ACCESS, req["State"])
    return {"State": req["State"]}


@action
def disable_snapshot_block_public_access(call: Call, req: Request) -> Response:
    settings.put(call.tx, call.account_id, settings.SNAPSHOT_ACCESS, settings.UNBLOCKED)
    return {"State": settings.UNBLOCKED}


@action
def get_snapshot_block_public_access_state(call: Call, req: Request) -> Response:
    state = settings.get(call.tx, call.account_id, settings.SNAPSHOT_ACCESS, settings.UNBLOCKED)
    return {"State": state, "ManagedBy": "account"}
