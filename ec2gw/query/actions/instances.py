"""Instances: launch, lifecycle, and how they are shown."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sqlalchemy import select

from ec2gw.cloud import instances
from ec2gw.model import bdm, errors, instance_types, lifecycle
from ec2gw.query import describe
from ec2gw.query.actions import interfaces, places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.query.errors import Fault
from ec2gw.state import records

MOST_USER_DATA = 16_384
MOST_AT_ONCE = 1_000


def state(name: str) -> Response:
    """An instance state as EC2 writes it."""
    return {"Code": lifecycle.INSTANCE_CODE[name], "Name": name}


def view(call: Call, instance: records.Instance, tags: list[dict[str, str]]) -> Response:
    """An instance as DescribeInstances shows it."""
    kind = instance_types.find(instance.type)
    shown: dict[str, Any] = {
        "Architecture": instance.architecture,
        "BlockDeviceMappings": [] if instance.state == "pending" and not instance.ran else [view_mapping(row) for row in instance.attachments],
        "ClientToken": instance.client_token,
        "EbsOptimized": instance.ebs_optimized,
        "EnaSupport": bool(instance.options.get("EnaSupport")),
        "Hypervisor": "xen",
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": "ebs",
        "StateReason": {"Code": instance.state_reason_code, "Message": instance.state_reason} if instance.state_reason_code else None,
        "Tags": tags,
        "VirtualizationType": instance.virtualization_type,
        "CpuOptions": {"CoreCount": kind.cores, "ThreadsPerCore": kind.threads},
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "HibernationOptions": {"Configured": False},
        "MetadataOptions": _METADATA | instance.options.get("MetadataOptions", {}) | {"State": "applied"},
        "EnclaveOptions": {"Enabled": False},
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": instance.created_at,
        "PrivateDnsNameOptions": {"HostnameType": "ip-name", "EnableResourceNameDnsARecord": False, "EnableResourceNameDnsAAAARecord": False},
        "MaintenanceOptions": {"AutoRecovery": "default"},
        "CurrentInstanceBootMode": "legacy-bios",
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "State": state(instance.state),
        "StateTransitionReason": instance.transition_reason,
        "KeyName": instance.key_name,
        "AmiLaunchIndex": instance.launch_index,
        "ProductCodes": [],
        "InstanceType": instance.type,
        "LaunchTime": instance.launched_at,
        "Placement": {
            "AvailabilityZone": instance.zone,
            "AvailabilityZoneId": places.zone_id(call.settings, instance.zone),
            "GroupName": "",
            "Tenancy": "default",
        },
        "KernelId": instance.options.get("KernelId"),
        "RamdiskId": instance.options.get("RamdiskId"),
        "Monitoring": {"State": "enabled" if instance.monitoring else "disabled"},
    }
    return shown | interfaces.of_instance(call, instance)


_METADATA = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}


def view_mapping(attachment: records.Attachment) -> Response:
    """An attachment as an instance's mapping shows it."""
    return {
        "DeviceName": attachment.device,
        "Ebs": {
            "AttachTime": attachment.attach_time,
            "DeleteOnTermination": attachment.delete_on_termination,
            "Status": attachment.state,
            "VolumeId": attachment.volume_id,
        },
    }


def reservation(call: Call, rows: list[Response], first: records.Instance) -> Response:
    """Instances of one RunInstances."""
    return {"Groups": [], "Instances": rows, "OwnerId": call.account_id, "ReservationId": first.reservation_id}


INSTANCES = describe.Listing(
    kind="instance",
    record=records.Instance,
    result="Reservations",
    ids="InstanceIds",
    view=view,
    group=reservation,
    filters={
        "affinity": "Placement.Affinity",
        "architecture": "Architecture",
        "availability-zone": "Placement.AvailabilityZone",
        "availability-zone-id": "Placement.AvailabilityZoneId",
        "block-device-mapping.attach-time": "BlockDeviceMappings[].Ebs.AttachTime",
        "block-device-mapping.delete-on-termination": "BlockDeviceMappings[].Ebs.DeleteOnTermination",
        "block-device-mapping.device-name": "BlockDeviceMappings[].DeviceName",
        "block-device-mapping.status": "BlockDeviceMappings[].Ebs.Status",
        "block-device-mapping.volume-id": "BlockDeviceMappings[].Ebs.VolumeId",
        "boot-mode": "BootMode",
        "client-token": "ClientToken",
        "current-instance-boot-mode": "CurrentInstanceBootMode",
        "dns-name": "PublicDnsName",
        "ebs-optimized": "EbsOptimized",
        "ena-support": "EnaSupport",
        "enclave-options.enabled": "EnclaveOptions.Enabled",
        "hibernation-options.configured": "HibernationOptions.Configured",
        "host-id": "Placement.HostId",
        "hypervisor": "Hypervisor",
        "iam-instance-profile.arn": "IamInstanceProfile.Arn",
        "iam-instance-profile.id": "IamInstanceProfile.Id",
        "image-id": "ImageId",
        "instance-id": "InstanceId",
        "instance-lifecycle": "InstanceLifecycle",
        "instance-state-code": "State.Code",
        "instance-state-name": "State.Name",
        "instance-type": "InstanceType",
        "instance.group-id": "SecurityGroups[].GroupId",
        "instance.group-name": "SecurityGroups[].GroupName",
        "ip-address": "PublicIpAddress",
        "ipv6-address": "Ipv6Address",
        "kernel-id": "KernelId",
        "key-name": "KeyName",
        "launch-index": "AmiLaunchIndex",
        "launch-time": "LaunchTime",
        "maintenance-options.auto-recovery": "MaintenanceOptions.AutoRecovery",
        "metadata-options.http-endpoint": "MetadataOptions.HttpEndpoint",
        "metadata-options.http-protocol-ipv4": "MetadataOptions.HttpEndpoint",
        "metadata-options.http-protocol-ipv6": "MetadataOptions.HttpProtocolIpv6",
        "metadata-options.http-put-response-hop-limit": "MetadataOptions.HttpPutResponseHopLimit",
        "metadata-options.http-tokens": "MetadataOptions.HttpTokens",
        "metadata-options.instance-metadata-tags": "MetadataOptions.InstanceMetadataTags",
        "metadata-options.state": "MetadataOptions.State",
        "monitoring-state": "Monitoring.State",
        "network-performance-options.bandwidth-weighting": "NetworkPerformanceOptions.BandwidthWeighting",
        "owner-id": "OwnerId",
        "placement-group-name": "Placement.GroupName",
        "placement-partition-number": "Placement.PartitionNumber",
        "platform": "Platform",
        "platform-details": "PlatformDetails",
        "private-dns-name": "PrivateDnsName",
        "private-dns-name-options.enable-resource-name-dns-a-record": "PrivateDnsNameOptions.EnableResourceNameDnsARecord",
        "private-dns-name-options.enable-resource-name-dns-aaaa-record": "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
        "private-dns-name-options.hostname-type": "PrivateDnsNameOptions.HostnameType",
        "private-ip-address": "PrivateIpAddress",
        "product-code": "ProductCodes[].ProductCodeId",
        "product-code.type": "ProductCodes[].ProductCodeType",
        "ramdisk-id": "RamdiskId",
        "reason": "StateTransitionReason",
        "requester-id": "RequesterId",
        "reservation-id": "ReservationId",
        "root-device-name": "RootDeviceName",
        "root-device-type": "RootDeviceType",
        "source-dest-check": "SourceDestCheck",
        "spot-instance-request-id": "SpotInstanceRequestId",
        "state-reason-code": "StateReason.Code",
        "state-reason-message": "StateReason.Message",
        "subnet-id": "SubnetId",
        "tenancy": "Placement.Tenancy",
        "tpm-support": "TpmSupport",
        "usage-operation": "UsageOperation",
        "usage-operation-update-time": "UsageOperationUpdateTime",
        "virtualization-type": "VirtualizationType",
        "vpc-id": "VpcId",
        **interfaces.INSTANCE_FILTERS,
    },
    columns={
        **interfaces.INSTANCE_COLUMNS,
        "block-device-mapping.volume-id": describe.Through(records.Attachment.instance_id, records.Attachment.volume_id),
        "image-id": records.Instance.image_id,
        "instance-state-name": records.Instance.state,
        "instance-type": records.Instance.type,
        "reservation-id": records.Instance.reservation_id,
    },
)


@action
def describe_instances(call: Call, req: Request) -> Response:
    return describe.answer(call, req, INSTANCES)


# -- launch -----------------------------------------------------------------------------------------------------------------------


def _again(call: Call, response: Response) -> Response:
    """A repeated RunInstances answers with the same reservation as it is now."""
    ids = [row["InstanceId"] for row in response["Instances"]]
    rows = list(call.tx.db.scalars(select(records.Instance).where(records.Instance.id.in_(ids)).order_by(records.Instance.number)))
    if not rows or any(row.state in ("shutting-down", "terminated") for row in rows):
        raise errors.WrongState("token-instance-terminated")
    return reservation(call, [describe.render(call, INSTANCES, row) for row in rows], rows[0])


_OPTIONS = ("MetadataOptions", "KernelId", "RamdiskId", "CpuOptions", "MaintenanceOptions")


@action(refresh=_again)
def run_instances(call: Call, req: Request) -> Response:
    least, most = req["MinCount"], req["MaxCount"]
    if least < 1:
        raise errors.Invalid("invalid-value", value=least, parameter="minCount", why="It must be at least 1.")
    if most < least:
        raise errors.Invalid("invalid-value", value=most, parameter="maxCount", why="It must be at least minCount.")
    if most > MOST_AT_ONCE:
        raise errors.LimitExceeded("instance-limit", requested=most, limit=MOST_AT_ONCE)
    if "ImageId" not in req:
        raise errors.Missing("missing-parameter", parameter="ImageId")
    placement = req.get("Placement", {})
    zone = placement.get("AvailabilityZone")
    if zone is not None and zone not in call.settings.zones:
        raise errors.Invalid("zone-invalid", zone=zone)
    wish = instances.Launch(
        image_id=req["ImageId"],
        type=req.get("InstanceType", "m1.small"),
        patience=call.settings.patience,
        lines=bdm.from_ec2(req.get("BlockDeviceMappings", ())),
        network=interfaces.wish(req),
        zone=zone,
        zones=call.settings.zones,
        key_name=req.get("KeyName"),
        user_data=_user_data(req.get("UserData")),
        client_token=req.get("ClientToken", ""),
        shutdown_behavior=_shutdown_behavior(req.get("InstanceInitiatedShutdownBehavior", "stop")),
        disable_api_termination=req.get("DisableApiTermination", False),
        disable_api_stop=req.get("DisableApiStop", False),
        monitoring=req.get("Monitoring", {}).get("Enabled", False),
        ebs_optimized=req.get("EbsOptimized", False),
        options={name: req[name] for name in _OPTIONS if name in req},
    )
    launched = instances.launch(call.tx, call.account_id, wish, most)
    made = [row.volume_id for instance in launched for row in instance.attachments]
    made += [interface.id for instance in launched for interface in instance.interfaces]
    describe.tag(call, req, *(instance.id for instance in launched), *made)
    rows = [describe.render(call, INSTANCES, instance) for instance in launched]
    return reservation(call, rows, launched[0])


def _user_data(text: str | None) -> str | None:
    """User data stays in base64, as every answer wants it; it is only checked."""
    if not text:
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.Malformed("user-data-malformed") from None
    if len(data) > MOST_USER_DATA:
        raise errors.LimitExceeded("user-data-too-large")
    return base64.b64encode(data).decode()


def _shutdown_behavior(word: str) -> str:
    if word not in ("stop", "terminate"):
        raise errors.Invalid("bad-value", value=word, parameter="instanceInitiatedShutdownBehavior")
    return word


# -- lifecycle ----------------------------------------------------------------------------------------------------------------------


def _changes(changes: list[instances.Change], result: str) -> Response:
    return {
        result: [
            {"InstanceId": change.instance.id, "CurrentState": state(change.instance.state), "PreviousState": state(change.before)}
            for change in changes
        ]
    }


def _patience(call: Call, req: Request) -> int:
    return 0 if req.get("Force") or req.get("SkipOsShutdown") else call.settings.patience


@action
def start_instances(call: Call, req: Request) -> Response:
    return _changes(instances.start(call.tx, call.account_id, req["InstanceIds"], call.settings.patience), "StartingInstances")


@action
def stop_instances(call: Call, req: Request) -> Response:
    if req.get("Hibernate"):
        raise Fault("UnsupportedHibernationConfiguration", "The instance is not configured for hibernation.")
    return _changes(instances.stop(call.tx, call.account_id, req["InstanceIds"], _patience(call, req)), "StoppingInstances")


@action
def reboot_instances(call: Call, req: Request) -> Response:
    instances.reboot(call.tx, call.account_id, req["InstanceIds"])
    return {}


@action
def terminate_instances(call: Call, req: Request) -> Response:
    return _changes(instances.terminate(call.tx, call.account_id, req["InstanceIds"], _patience(call, req)), "TerminatingInstances")


# -- status and console -----------------------------------------------------------------------------------------------------------


def view_status(call: Call, instance: records.Instance, tags: list[dict[str, str]]) -> Response:
    """An instance as DescribeInstanceStatus shows it."""
    on = instance.state == "running"
    summary = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]} if on else {"Status": "not-applicable", "Details": []}
    return {
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, instance.zone),
        "Events": [],
        "InstanceId": instance.id,
        "InstanceState": state(instance.state),
        "InstanceStatus": summary,
        "SystemStatus": summary,
        "AttachedEbsStatus": summary,
    }


STATUSES = describe.Listing(
    kind="instance",
    record=records.Instance,
    result="InstanceStatuses",
    ids="InstanceIds",
    view=view_status,
    filters={
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "event.code": "Events[].Code",
        "event.description": "Events[].Description",
        "event.instance-event-id": "Events[].InstanceEventId",
        "event.not-after": "Events[].NotAfter",
        "event.not-before": "Events[].NotBefore",
        "event.not-before-deadline": "Events[].NotBeforeDeadline",
        "instance-state-code": "InstanceState.Code",
        "instance-state-name": "InstanceState.Name",
        "instance-status.reachability": "InstanceStatus.Details[].Status",
        "instance-status.status": "InstanceStatus.Status",
        "system-status.reachability": "SystemStatus.Details[].Status",
        "system-status.status": "SystemStatus.Status",
        "attached-ebs-status.status": "AttachedEbsStatus.Status",
        "application-status.status": "ApplicationStatus.Status",
    },
)


@action
def describe_instance_status(call: Call, req: Request) -> Response:
    only = () if req.get("IncludeAllInstances") else (records.Instance.state == "running",)
    return describe.answer(call, req, STATUSES, where=only)


@action(refreshes=lambda req: req["InstanceId"])
def get_console_output(call: Call, req: Request) -> Response:
    instance = instances.find(call.tx, call.account_id, req["InstanceId"])
    console = call.tx.db.get(records.Console, instance.id)
    return {
        "InstanceId": instance.id,
        "Output": base64.b64encode(console.text).decode() if console else None,
        "Timestamp": console.seen_at if console else call.now,
    }
