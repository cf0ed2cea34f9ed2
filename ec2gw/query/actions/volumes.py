"""EBS volumes and their attachments."""

from __future__ import annotations

from sqlalchemy.orm import selectinload

from ec2gw.cloud import volumes
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records


def view(call: Call, volume: records.Volume, tags: list[dict[str, str]]) -> Response:
    """A volume as DescribeVolumes shows it."""
    attachment = volume.attachment
    return creation(call, volume, tags) | {
        "Attachments": [view_attachment(attachment) | {"DeleteOnTermination": attachment.delete_on_termination}]
        if attachment
        else [],
        "FastRestored": False,
    }


def creation(call: Call, volume: records.Volume, tags: list[dict[str, str]]) -> Response:
    """A volume as CreateVolume answers it: nothing of attachments yet."""
    return {
        "AvailabilityZone": volume.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, volume.zone),
        "CreateTime": volume.created_at,
        "Encrypted": volume.encrypted,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id or "",
        "State": volume.state,
        "VolumeId": volume.id,
        "Iops": volume.iops,
        "Tags": tags,
        "VolumeType": volume.type,
        "MultiAttachEnabled": False,
        "Throughput": volume.throughput,
        "VolumeInitializationRate": volume.initialization_rate,
    }


def view_attachment(attachment: records.Attachment) -> Response:
    """An attachment as AttachVolume and DetachVolume answer it."""
    return {
        "AttachTime": attachment.attach_time,
        "Device": attachment.device,
        "InstanceId": attachment.instance_id,
        "State": attachment.state,
        "VolumeId": attachment.volume_id,
    }


VOLUMES = describe.Listing(
    kind="volume",
    record=records.Volume,
    result="Volumes",
    ids="VolumeIds",
    view=view,
    kept=True,
    only_named=("instance",),
    eager=(selectinload(records.Volume.attachment),),
    filters={
        "attachment.attach-time": "Attachments[].AttachTime",
        "attachment.delete-on-termination": "Attachments[].DeleteOnTermination",
        "attachment.device": "Attachments[].Device",
        "attachment.instance-id": "Attachments[].InstanceId",
        "attachment.status": "Attachments[].State",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "create-time": "CreateTime",
        "encrypted": "Encrypted",
        "fast-restored": "FastRestored",
        "multi-attach-enabled": "MultiAttachEnabled",
        "size": "Size",
        "snapshot-id": "SnapshotId",
        "status": "State",
        "volume-id": "VolumeId",
        "volume-type": "VolumeType",
    },
    columns={
        "attachment.instance-id": describe.Through(records.Attachment.volume_id, records.Attachment.instance_id),
        "availability-zone": records.Volume.zone,
        "snapshot-id": records.Volume.snapshot_id,
        "status": records.Volume.state,
    },
)


@action
def describe_volumes(call: Call, req: Request) -> Response:
    return describe.answer(call, req, VOLUMES)


def _again(call: Call, response: Response) -> Response:
    found = describe.one(call, VOLUMES, response["VolumeId"])
    return {name: value for name, value in found.items() if name not in ("Attachments", "FastRestored")}


@action(refresh=_again)
def create_volume(call: Call, req: Request) -> Response:
    if req.get("KmsKeyId") and not req.get("Encrypted"):
        raise errors.Conflict("parameter-dependency", parameter="KmsKeyId", other="Encrypted")
    volume = volumes.create(
        call.tx,
        call.account_id,
        zone=_zone(call, req),
        size=req.get("Size"),
        snapshot_id=req.get("SnapshotId"),
        type=req.get("VolumeType"),
        iops=req.get("Iops"),
        throughput=req.get("Throughput"),
        encrypted=req.get("Encrypted", False),
        rate=req.get("VolumeInitializationRate"),
    )
    return creation(call, volume, describe.tag(call, req, volume.id))


def _zone(call: Call, req: Request) -> str:
    if "AvailabilityZoneId" in req:
        if "AvailabilityZone" in req:
            raise errors.Conflict("parameter-conflict", parameter="availabilityZone", other="availabilityZoneId")
        wanted = req["AvailabilityZoneId"]
        zone = next((zone for zone in call.settings.zones if places.zone_id(call.settings, zone) == wanted), None)
    else:
        if "AvailabilityZone" not in req:
            raise errors.Missing("missing-parameter", parameter="availabilityZone")
        wanted = req["AvailabilityZone"]
        zone = wanted if wanted in call.settings.zones else None
    if zone is None:
        raise errors.NotFound("not-found", kind="zone", ids=[wanted])
    return zone


@action
def delete_volume(call: Call, req: Request) -> Response:
    volumes.delete(call.tx, call.account_id, req["VolumeId"])
    return {}


@action
def attach_volume(call: Call, req: Request) -> Response:
    attachment = volumes.attach(call.tx, call.account_id, req["VolumeId"], req["InstanceId"], req["Device"])
    return view_attachment(attachment)


@action
def detach_volume(call: Call, req: Request) -> Response:
    attachment = volumes.detach(
        call.tx, call.account_id, req["VolumeId"], req.get("InstanceId"), req.get("Device"), force=req.get("Force", False)
    )
    return view_attachment(attachment)
