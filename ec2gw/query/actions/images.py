"""Machine images."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import selectinload

from ec2gw.cloud import images, permissions, snapshots, tags
from ec2gw.model import bdm, errors
from ec2gw.query import describe
from ec2gw.query.actions.snapshots import check_duration, check_source_region, check_unencrypted
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records

_SAID = ("EnaSupport", "SriovNetSupport", "BootMode", "TpmSupport", "ImdsSupport", "KernelId", "RamdiskId")
_SHOWN = (*_SAID, "Platform", "PlatformDetails", "UsageOperation")  # an import says more
# What RegisterImage takes for them (API_RegisterImage).
_VALUES = {
    "Architecture": ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"),
    "VirtualizationType": ("hvm", "paravirtual"),
    "SriovNetSupport": ("simple",),
    "BootMode": ("legacy-bios", "uefi", "uefi-preferred"),
    "TpmSupport": ("v2.0",),
    "ImdsSupport": ("v2.0",),
}
MOST_UEFI_DATA = 64_000
MOST_DESCRIPTION = 255


def view(call: Call, image: records.Image, own: list[dict[str, str]]) -> Response:
    """An image as DescribeImages shows it."""
    shown: dict[str, Any] = {
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "BlockDeviceMappings": [bdm.to_ec2(bdm.from_json(line)) for line in image.mapping],
        "Description": image.description,
        "EnaSupport": False,
        "Hypervisor": "xen",
        "Name": image.name,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "StateReason": {"Code": "Server.InternalError", "Message": image.reason} if image.reason else None,
        "Tags": own,
        "DeprecationTime": timestamp(image.deprecated_at),
        "DeregistrationProtection": protection(call, image),
        "LastLaunchedTime": timestamp(image.launched_at) if image.account_id == call.account_id else None,
        "VirtualizationType": image.virtualization_type,
        "ImageId": image.id,
        "ImageLocation": image.location,
        "State": image.state,
        "OwnerId": image.account_id,
        "CreationDate": timestamp(image.created_at),
        "Public": any(row.grantee == permissions.ALL for row in image.permissions),
        "ProductCodes": [],
        "Architecture": image.architecture,
        "ImageType": "machine",
        "SourceInstanceId": image.source_instance_id,
        "SourceImageId": image.source_image_id,
        "SourceImageRegion": call.region if image.source_image_id else None,
    }
    return shown | {name: image.options[name] for name in _SHOWN if name in image.options}


def timestamp(when: datetime.datetime | None) -> str | None:
    """A time as images have it: a text."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z" if when else None


def protection(call: Call, image: records.Image) -> str:
    """An image's deregistration protection in EC2's words, the rest of a cooldown included."""
    lasting = image.protection == "disabled" and images.is_protected(image, call.now)
    return f"disabled-after-cooldown {timestamp(image.protected_until)}" if lasting else image.protection


IMAGES = describe.Listing(
    kind="image",
    record=records.Image,
    result="Images",
    ids="ImageIds",
    view=view,
    eager=(selectinload(records.Image.permissions),),
    filters={
        "architecture": "Architecture",
        "block-device-mapping.delete-on-termination": "BlockDeviceMappings[].Ebs.DeleteOnTermination",
        "block-device-mapping.device-name": "BlockDeviceMappings[].DeviceName",
        "block-device-mapping.snapshot-id": "BlockDeviceMappings[].Ebs.SnapshotId",
        "block-device-mapping.volume-size": "BlockDeviceMappings[].Ebs.VolumeSize",
        "block-device-mapping.volume-type": "BlockDeviceMappings[].Ebs.VolumeType",
        "block-device-mapping.encrypted": "BlockDeviceMappings[].Ebs.Encrypted",
        "boot-mode": "BootMode",
        "creation-date": "CreationDate",
        "description": "Description",
        "ena-support": "EnaSupport",
        "free-tier-eligible": "FreeTierEligible",
        "hypervisor": "Hypervisor",
        "image-allowed": "ImageAllowed",
        "image-id": "ImageId",
        "image-type": "ImageType",
        "instance-type-specification.supported-instance-type": "InstanceTypeSpecification.SupportedInstanceTypes[]",
        "instance-type-specification.unsupported-instance-type": "InstanceTypeSpecification.UnsupportedInstanceTypes[]",
        "is-public": "Public",
        "kernel-id": "KernelId",
        "manifest-location": "ImageLocation",
        "name": "Name",
        "owner-alias": "ImageOwnerAlias",
        "owner-id": "OwnerId",
        "platform": "Platform",
        "product-code": "ProductCodes[].ProductCodeId",
        "product-code.type": "ProductCodes[].ProductCodeType",
        "public-ssm-parameter-name": "PublicSsmParameterName",
        "ramdisk-id": "RamdiskId",
        "root-device-name": "RootDeviceName",
        "root-device-type": "RootDeviceType",
        "source-image-id": "SourceImageId",
        "source-image-region": "SourceImageRegion",
        "source-instance-id": "SourceInstanceId",
        "state": "State",
        "state-reason-code": "StateReason.Code",
        "state-reason-message": "StateReason.Message",
        "sriov-net-support": "SriovNetSupport",
        "virtualization-type": "VirtualizationType",
    },
    hidden=("deregistered",),
    shared=True,
)


@action
def describe_images(call: Call, req: Request) -> Response:
    describe.check_owners(req.get("Owners", ()), "amazon", "aws-marketplace")
    describe.check_owners(req.get("ExecutableUsers", ()), permissions.ALL)
    where: list[ColumnElement[bool]] = []
    if not req.get("IncludeDisabled"):
        where.append(records.Image.state != "disabled")
    if not req.get("IncludeDeprecated") and not req.get("ImageIds"):
        # To its owner an image is shown all the same, and to whoever knows its id (EC2 User Guide, "Deprecate an AMI").
        current = or_(records.Image.deprecated_at.is_(None), records.Image.deprecated_at > call.now)
        where.append(or_(records.Image.account_id == call.account_id, current))
    return describe.answer(call, req, IMAGES, owners=req.get("Owners"), users=req.get("ExecutableUsers"), where=where)


@action
def register_image(call: Call, req: Request) -> Response:
    if not req.get("Name"):
        raise errors.Missing("missing-parameter", parameter="name")
    check_description(req.get("Description", ""))
    if "RootDeviceName" not in req:
        raise errors.Conflict("image-without-root")
    if len(req.get("UefiData", "")) > MOST_UEFI_DATA:
        raise errors.Invalid("invalid-value", value="…", parameter="uefiData", why=f"At most {MOST_UEFI_DATA} characters.")
    for name in _VALUES:
        _check_value(name, req.get(name))
    registration = images.Registration(
        name=req["Name"],
        root_device_name=req["RootDeviceName"],
        description=req.get("Description", ""),
        architecture=req.get("Architecture", "i386"),
        virtualization_type=req.get("VirtualizationType", "paravirtual"),
        options={name: req[name] for name in (*_SAID, "UefiData") if req.get(name) not in (None, "")},
    )
    image = images.register(call.tx, call.account_id, registration, bdm.from_ec2(req.get("BlockDeviceMappings", ())))
    describe.tag(call, req, image.id)
    return {"ImageId": image.id}


def _check_value(name: str, value: str | None) -> None:
    if value is not None and value not in _VALUES[name]:
        raise errors.Invalid("bad-value", value=value[:64], parameter=name[0].lower() + name[1:])


@action
def create_image(call: Call, req: Request) -> Response:
    check_description(req.get("Description", ""))
    _check_value("BootMode", req.get("BootModeOverride"))
    image, made = images.create(
        call.tx,
        call.account_id,
        req["InstanceId"],
        req["Name"],
        description=req.get("Description", ""),
        asked=bdm.from_ec2(req.get("BlockDeviceMappings", ())),
        no_reboot=req.get("NoReboot", False),
        boot_mode=req.get("BootModeOverride"),
    )
    describe.tag(call, req, image.id, *(snapshot.id for snapshot in made))
    return {"ImageId": image.id}


@action
def copy_image(call: Call, req: Request) -> Response:
    check_description(req.get("Description", ""))
    check_source_region(call, req)
    check_unencrypted(req)
    check_duration(req, "SnapshotCopyCompletionDurationMinutes")
    image, made = images.copy(call.tx, call.account_id, req["SourceImageId"], req["Name"], req.get("Description", ""))
    if req.get("CopyImageTags") and images.is_own(call.tx, call.account_id, req["SourceImageId"]):
        own = tags.of(call.tx, [req["SourceImageId"]])[req["SourceImageId"]]
        tags.put(call.tx, call.account_id, [image.id], own)
    describe.tag(call, req, image.id, *(snapshot.id for snapshot in made))
    return {"ImageId": image.id}


@action
def deregister_image(call: Call, req: Request) -> Response:
    image = images.find(call.tx, call.account_id, req["ImageId"])
    backing = sorted({line["snapshot_id"] for line in image.mapping if line.get("snapshot_id")})
    images.deregister(call.tx, call.account_id, req["ImageId"])
    if not req.get("DeleteAssociatedSnapshots"):
        return {"Return": True}
    call.tx.db.flush()
    results = []
    for snapshot_id in backing:
        try:
            snapshots.delete(call.tx, call.account_id, snapshot_id)
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "success"})
        except errors.InUse:
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped"})
        except (errors.NotPermitted, errors.NotFound):  # locked, or somebody else's
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "missing-permissions"})
    return {"Return": True, "DeleteSnapshotResults": results}


def check_description(text: str) -> None:
    """Raise for a description that is too long."""
    if len(text) > MOST_DESCRIPTION:
        raise errors.Invalid("invalid-value", value=text[:32] + "…", parameter="description", why="At most 255 characters.")
