"""Instances: launch, lifecycle, and how they are shown."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from ec2gw.cloud import images, instances, lookup, tags
from ec2gw.model import bdm, errors, ids, instance_types, lifecycle
from ec2gw.query import describe, unserved
from ec2gw.query.actions import instance_options, interfaces, launch_templates, placement_groups, places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records

MOST_USER_DATA = 16_384
MOST_TERMINATED = 1_000  # API_TerminateInstances: ids in a call
MOST_STATUSES = 100  # API_DescribeInstanceStatus: ids in a call
REASON_CODES = (  # API_ReportInstanceStatus
    "instance-stuck-in-state", "unresponsive", "not-accepting-credentials", "password-not-available", "performance-network",
    "performance-instance-store", "performance-ebs-volume", "performance-other", "other",
)  # fmt: skip


def state(name: str) -> Response:
    """An instance state as EC2 writes it."""
    return {"Code": lifecycle.INSTANCE_CODE[name], "Name": name}


def view(call: Call, instance: records.Instance, tags: list[dict[str, str]]) -> Response:
    """An instance as DescribeInstances shows it."""
    kind = instance_types.find(instance.type)
    reason = {"Code": instance.state_reason_code, "Message": instance.state_reason} if instance.state_reason_code else None
    shown: dict[str, Any] = {
        "Architecture": instance.architecture,
        "BlockDeviceMappings": view_mappings(instance),
        "ClientToken": instance.client_token,
        "Hypervisor": "xen",
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": "ebs",
        "StateReason": reason,
        "Tags": tags,
        "VirtualizationType": instance.virtualization_type,
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": instance.created_at,
        "CurrentInstanceBootMode": "legacy-bios",
        "Operator": {"Managed": False},
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "State": state(instance.state),
        "StateTransitionReason": instance.transition_reason,
        "KeyName": instance.key_name,
        "AmiLaunchIndex": instance.launch_index,
        "ProductCodes": [],
        "InstanceType": instance.type,
        "LaunchTime": instance.launched_at,
        "Placement": placement_groups.of_instance(call, instance),
    }
    return shown | interfaces.of_instance(call, instance) | instance_options.view(call, instance, kind)


def view_mappings(instance: records.Instance) -> list[Response]:
    """The volumes at an instance as it shows them: none before its first machine has them."""
    if instance.state == "pending" and not instance.ran:
        return []
    return [
        {
            "DeviceName": row.device,
            "Ebs": {
                "AttachTime": row.attach_time,
                "DeleteOnTermination": row.delete_on_termination,
                "Status": row.state,
                "VolumeId": row.volume_id,
            },
        }
        for row in instance.attachments
    ]


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
    quiet=True,
    kept=True,
    only_named=("image", "volume", "subnet", "reservation"),
    eager=(selectinload(records.Instance.interfaces),),
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
        "capacity-reservation-id": "CapacityReservationId",
        "capacity-reservation-specification.capacity-reservation-preference": (
            "CapacityReservationSpecification.CapacityReservationPreference"
        ),
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
        "operator.managed": "Operator.Managed",
        "operator.principal": "Operator.Principal",
        "outpost-arn": "OutpostArn",
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


# -- launch -------------------------------------------------------------------------------------------------------------------


def _again(call: Call, response: Response) -> Response:
    """A repeated RunInstances answers with the same reservation as it is now."""
    ids = [row["InstanceId"] for row in response["Instances"]]
    rows = list(
        call.tx.db.scalars(select(records.Instance).where(records.Instance.id.in_(ids)).order_by(records.Instance.number))
    )
    if not rows or any(row.state in ("shutting-down", "terminated") for row in rows):
        raise errors.WrongState("token-instance-terminated")
    return reservation(call, describe.render(call, INSTANCES, rows), rows[0])


@action(refresh=_again)
def run_instances(call: Call, req: Request) -> Response:
    token = req.get("ClientToken", "")
    req, origin = launch_templates.fill(call, req)
    if origin:  # what the request itself says has been looked at before
        unserved.refuse("RunInstances", req)
    least, most = req["MinCount"], req["MaxCount"]
    if least < 1:
        raise errors.Invalid("invalid-value", value=least, parameter="minCount", why="It must be at least 1.")
    if most < least:
        raise errors.Invalid("invalid-value", value=most, parameter="maxCount", why="It must be at least minCount.")
    if "ImageId" not in req:
        raise errors.Missing("missing-parameter", parameter="ImageId")
    where = req.get("Placement", {})
    zone = placement_groups.zone(call, where)
    group = placement_groups.wished(call, where)
    image = images.usable(call.tx, call.account_id, req["ImageId"])
    kind = instance_types.find(req.get("InstanceType", "m1.small"))
    cores, threads = instance_options.cpu(kind, req.get("CpuOptions", {}))
    wish = instances.Launch(
        image=image,
        type=kind.name,
        patience=call.settings.patience,
        lines=bdm.from_ec2(req.get("BlockDeviceMappings", ())),
        network=interfaces.wish(req),
        zone=zone,
        zones=call.settings.zones,
        key_name=req.get("KeyName"),
        user_data=user_data(req.get("UserData")),
        client_token=token,
        shutdown_behavior=_shutdown_behavior(req.get("InstanceInitiatedShutdownBehavior", "stop")),
        disable_api_termination=req.get("DisableApiTermination", False),
        disable_api_stop=req.get("DisableApiStop", False),
        monitoring=req.get("Monitoring", {}).get("Enabled", False),
        ebs_optimized=instance_options.check_ebs_optimized(kind, req.get("EbsOptimized", False)),
        cores=cores,
        threads=threads,
        group=group,
        partition=where.get("PartitionNumber"),
        options=instance_options.kept(call, req, kind, image) | ({"PlacementGroupId": group.id} if group else {}),
    )
    launched = instances.launch(call.tx, call.account_id, wish, most, least)
    new = [instance.id for instance in launched]
    found = [row.volume_id for instance in launched for row in instance.attachments]
    found += [interface.id for instance in launched for interface in instance.interfaces]
    # What was there before keeps its tags (API_RunInstances: those of "resources that are created during instance launch").
    given = {row.get("NetworkInterfaceId") for row in req.get("NetworkInterfaces", ())}
    given |= {line.volume_id for line in (*wish.lines, *map(bdm.from_json, image.mapping))}
    made = [id for id in found if id not in given]
    unmade = _TAGGABLE - {ids.kind(id) for id in made}
    specifications = [row for row in req.get("TagSpecifications", ()) if row.get("ResourceType") not in unmade]
    describe.tag(call, req | {"TagSpecifications": specifications}, *new, *made)
    tags.put(call.tx, call.account_id, new, origin)
    rows = describe.render(call, INSTANCES, launched)
    return reservation(call, rows, launched[0])


_TAGGABLE = {"volume", "network-interface", "spot-instances-request"}  # also where a launch makes none of them


def user_data(text: str | None) -> str | None:
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


# -- lifecycle ----------------------------------------------------------------------------------------------------------------


def _changes(changes: list[instances.Change], result: str) -> Response:
    return {
        result: [
            {
                "InstanceId": change.instance.id,
                "CurrentState": state(change.instance.state),
                "PreviousState": state(change.before),
            }
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
        lookup.many(call.tx, records.Instance, "i", call.account_id, req["InstanceIds"])
        raise errors.Unsupported("hibernation-not-configured")
    return _changes(instances.stop(call.tx, call.account_id, req["InstanceIds"], _patience(call, req)), "StoppingInstances")


@action
def reboot_instances(call: Call, req: Request) -> Response:
    instances.reboot(call.tx, call.account_id, req["InstanceIds"])
    return {}


@action
def terminate_instances(call: Call, req: Request) -> Response:
    if len(req["InstanceIds"]) > MOST_TERMINATED:
        raise errors.LimitExceeded("too-many-resources", most=MOST_TERMINATED)
    return _changes(
        instances.terminate(call.tx, call.account_id, req["InstanceIds"], _patience(call, req)), "TerminatingInstances"
    )


# -- status and console -------------------------------------------------------------------------------------------------------


def _summary(status: str, reachability: str, since: datetime | None = None) -> Response:
    return {"Status": status, "Details": [{"Name": "reachability", "Status": reachability, "ImpairedSince": since}]}


# There is nothing to wait for once the machine is on.
_FINE = _summary("ok", "passed")
# What a machine that is not on makes of its volumes nobody can know.
_UNKNOWN = _summary("insufficient-data", "insufficient-data")
_NONE: Response = {"Status": "not-applicable", "Details": []}


def _checks(instance: records.Instance) -> tuple[Response, Response]:
    """The status of an instance's machine, and of its volumes."""
    if instance.state != "running":
        return _NONE, _NONE
    if instance.impaired_since is None:
        return _FINE, _FINE
    return _summary("impaired", "failed", instance.impaired_since), _UNKNOWN


def view_status(call: Call, instance: records.Instance, tags: list[dict[str, str]]) -> Response:
    """An instance as DescribeInstanceStatus shows it."""
    machine, disks = _checks(instance)
    return {
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, instance.zone),
        "Events": [],
        "InstanceId": instance.id,
        "InstanceState": state(instance.state),
        "InstanceStatus": machine,
        "SystemStatus": machine,
        "AttachedEbsStatus": disks,
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
    if len(req.get("InstanceIds", ())) > MOST_STATUSES:
        why = f"At most {MOST_STATUSES} instances."
        raise errors.Invalid("invalid-value", value=len(req["InstanceIds"]), parameter="instanceIds", why=why)
    only = () if req.get("IncludeAllInstances") else (records.Instance.state == "running",)
    return describe.answer(call, req, STATUSES, where=only)


@action(writes=False)
def report_instance_status(call: Call, req: Request) -> Response:
    """A user's own view of his instances: it is heard, and changes no status (API_ReportInstanceStatus)."""
    if req["Status"] not in ("ok", "impaired"):
        raise errors.Invalid("bad-value", value=req["Status"][:64], parameter="status")
    for code in req["ReasonCodes"]:
        if code not in REASON_CODES:
            raise errors.Invalid("bad-value", value=code[:64], parameter="reasonCode")
    for row in lookup.many(call.tx, records.Instance, "i", call.account_id, req["Instances"]):
        if row.state != "running":
            raise errors.WrongState("instance-not-running", instance=row.id)
    return {}


@action(refreshes=lambda bell, req: bell.refresh_console(req["InstanceId"]))
def get_console_output(call: Call, req: Request) -> Response:
    instance = instances.find(call.tx, call.account_id, req["InstanceId"])
    console = call.tx.db.get(records.Console, instance.id)
    return {
        "InstanceId": instance.id,
        "Output": base64.b64encode(console.text if console else b"").decode(),
        "Timestamp": console.seen_at if console else call.now,
    }


@action(refreshes=lambda bell, req: bell.refresh_screen(req["InstanceId"], req.get("WakeUp", False)))
def get_console_screenshot(call: Call, req: Request) -> Response:
    instance = instances.find(call.tx, call.account_id, req["InstanceId"])
    if instance.state != "running":
        raise errors.WrongState("instance-wrong-state", instance=instance.id, state=instance.state)
    if not call.fresh:
        return {"InstanceId": instance.id}
    screen = call.tx.db.get(records.Screen, instance.id)
    if screen is None:
        raise errors.WrongState("screen-unseen", instance=instance.id)
    if screen.picture is None:
        raise errors.Unsupported("screen-absent", instance=instance.id)
    return {"InstanceId": instance.id, "ImageData": base64.b64encode(screen.picture).decode()}
