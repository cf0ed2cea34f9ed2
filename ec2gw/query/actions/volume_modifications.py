"""Changes of volumes, and what is said of their health: each action of a volume that is not its making, use and end."""

from __future__ import annotations

from ec2gw.cloud import volumes
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records

_PROGRESS = {"modifying": 0, "optimizing": 50, "completed": 100, "failed": 0}


def view(call: Call, modification: records.VolumeModification, tags: list[dict[str, str]]) -> Response:
    """A modification as EC2 shows it."""
    shown = {
        "VolumeId": modification.id,
        "ModificationState": modification.state,
        "StatusMessage": modification.reason,
        "Progress": _PROGRESS[modification.state],
        "StartTime": modification.created_at,
        "EndTime": modification.ended_at,
    }
    for side, shape in (("Original", modification.before), ("Target", modification.after)):
        shown |= {
            f"{side}Size": shape["size"],
            f"{side}Iops": shape["iops"],
            f"{side}VolumeType": shape["type"],
            f"{side}Throughput": shape["throughput"],
            f"{side}MultiAttachEnabled": False,
        }
    return shown


MODIFICATIONS = describe.Listing(
    kind="volume",
    record=records.VolumeModification,
    result="VolumesModifications",
    ids="VolumeIds",
    view=view,
    filters={
        "modification-state": "ModificationState",
        "original-iops": "OriginalIops",
        "original-size": "OriginalSize",
        "original-volume-type": "OriginalVolumeType",
        "originalMultiAttachEnabled": "OriginalMultiAttachEnabled",
        "start-time": "StartTime",
        "target-iops": "TargetIops",
        "target-size": "TargetSize",
        "target-volume-type": "TargetVolumeType",
        "targetMultiAttachEnabled": "TargetMultiAttachEnabled",
        "volume-id": "VolumeId",
    },
    tagged=False,
)


@action
def modify_volume(call: Call, req: Request) -> Response:
    modification = volumes.modify(
        call.tx,
        call.account_id,
        req["VolumeId"],
        size=req.get("Size"),
        type=req.get("VolumeType"),
        iops=req.get("Iops"),
        throughput=req.get("Throughput"),
    )
    return {"VolumeModification": view(call, modification, [])}


@action
def describe_volumes_modifications(call: Call, req: Request) -> Response:
    volumes.check_modified(call.tx, call.account_id, req.get("VolumeIds", ()))
    return describe.answer(call, req, MODIFICATIONS)


# -- health ---------------------------------------------------------------------------------------------------------------------

_HEALTH = {"creating": "insufficient-data", "error": "impaired"}


def view_status(call: Call, volume: records.Volume, tags: list[dict[str, str]]) -> Response:
    """A volume as DescribeVolumeStatus shows it."""
    status = _HEALTH.get(volume.state, "ok")
    enabled = {"ok": "passed", "impaired": "failed"}.get(status, status)
    details = [{"Name": "io-enabled", "Status": enabled}, {"Name": "io-performance", "Status": "not-applicable"}]
    return {
        "Actions": [],
        "AvailabilityZone": volume.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, volume.zone),
        "Events": [],
        "VolumeId": volume.id,
        "VolumeStatus": {"Details": details, "Status": status},
        "AttachmentStatuses": [],
    }


STATUSES = describe.Listing(
    kind="volume",
    record=records.Volume,
    result="VolumeStatuses",
    ids="VolumeIds",
    view=view_status,
    filters={
        "action.code": "Actions[].Code",
        "action.description": "Actions[].Description",
        "action.event-id": "Actions[].EventId",
        "attachment-status.instance-id": "AttachmentStatuses[].InstanceId",
        "attachment-status.io-performance": "AttachmentStatuses[].IoPerformance",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "event.description": "Events[].Description",
        "event.event-id": "Events[].EventId",
        "event.event-type": "Events[].EventType",
        "event.not-after": "Events[].NotAfter",
        "event.not-before": "Events[].NotBefore",
        "volume-status.details-name": "VolumeStatus.Details[].Name",
        "volume-status.details-status": "VolumeStatus.Details[].Status",
        "volume-status.status": "VolumeStatus.Status",
    },
    columns={"availability-zone": records.Volume.zone},
    tagged=False,
)


@action
def describe_volume_status(call: Call, req: Request) -> Response:
    return describe.answer(call, req, STATUSES)


@action
def describe_volume_attribute(call: Call, req: Request) -> Response:
    volume = volumes.find(call.tx, call.account_id, req["VolumeId"])
    if req["Attribute"] == "autoEnableIO":
        return {"VolumeId": volume.id, "AutoEnableIO": {"Value": volume.auto_enable_io}}
    if req["Attribute"] == "productCodes":
        return {"VolumeId": volume.id, "ProductCodes": []}
    raise errors.Invalid("invalid-value", value=req["Attribute"][:64], parameter="attribute", why="Unknown attribute.")


@action
def modify_volume_attribute(call: Call, req: Request) -> Response:
    enabled = req.get("AutoEnableIO", {}).get("Value")
    if enabled is None:
        raise errors.Conflict("attribute-missing")
    volumes.enable_io_by_itself(call.tx, call.account_id, req["VolumeId"], enabled)
    return {}


@action
def enable_volume_io(call: Call, req: Request) -> Response:
    volumes.find(call.tx, call.account_id, req["VolumeId"])  # I/O is never switched off here
    return {}
