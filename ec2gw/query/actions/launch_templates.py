"""Launch templates, their versions, and what RunInstances takes from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from ec2gw.cloud import instances, launch_templates, tags
from ec2gw.door import repeats
from ec2gw.model import bdm, errors, instance_types, volume_types
from ec2gw.query import describe
from ec2gw.query.actions import instance_options
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.query.errors import from_refusal
from ec2gw.state import records
from ec2gw.state.records import LaunchTemplate, LaunchTemplateVersion

MOST_VERSIONS_AT_ONCE = 200  # API_DeleteLaunchTemplateVersions, API_DescribeLaunchTemplateVersions
TAG_ID, TAG_VERSION = "aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version"


# -- views --------------------------------------------------------------------------------------------------------------------


def _owner(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:root"


def view(call: Call, template: LaunchTemplate, tags: describe.Tags) -> Response:
    """A template as DescribeLaunchTemplates shows it."""
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_at,
        "CreatedBy": _owner(template.account_id),
        "DefaultVersionNumber": template.default,
        "LatestVersionNumber": template.latest,
        "Tags": tags,
        "Operator": {"Managed": False},
    }


def view_version(call: Call, version: LaunchTemplateVersion, tags: describe.Tags) -> Response:
    """A version as DescribeLaunchTemplateVersions shows it."""
    return {
        "LaunchTemplateId": version.template_id,
        "LaunchTemplateName": version.template.name,
        "VersionNumber": version.version,
        "VersionDescription": version.description,
        "CreateTime": version.created_at,
        "CreatedBy": _owner(version.account_id),
        "DefaultVersion": version.version == version.template.default,
        "LaunchTemplateData": repeats.thaw(version.data),
        "Operator": {"Managed": False},
    }


TEMPLATES = describe.Listing(
    kind="launch-template",
    record=LaunchTemplate,
    result="LaunchTemplates",
    ids="LaunchTemplateIds",
    view=view,
    filters={"create-time": "CreateTime", "launch-template-name": "LaunchTemplateName"},
    columns={"launch-template-name": LaunchTemplate.name},
    pages=(1, 200),
)
_DATA = "LaunchTemplateData"
VERSIONS = describe.Listing(
    kind="launch-template-version",
    record=LaunchTemplateVersion,
    result="LaunchTemplateVersions",
    view=view_version,
    filters={
        "create-time": "CreateTime",
        "ebs-optimized": f"{_DATA}.EbsOptimized",
        "http-endpoint": f"{_DATA}.MetadataOptions.HttpEndpoint",
        "http-protocol-ipv4": f"{_DATA}.MetadataOptions.HttpEndpoint",
        "host-resource-group-arn": f"{_DATA}.Placement.HostResourceGroupArn",
        "http-tokens": f"{_DATA}.MetadataOptions.HttpTokens",
        "iam-instance-profile": f"{_DATA}.IamInstanceProfile.[Arn, Name]",
        "image-id": f"{_DATA}.ImageId",
        "instance-type": f"{_DATA}.InstanceType",
        "is-default-version": "DefaultVersion",
        "kernel-id": f"{_DATA}.KernelId",
        "license-configuration-arn": f"{_DATA}.LicenseSpecifications[].LicenseConfigurationArn",
        "network-card-index": f"{_DATA}.NetworkInterfaces[].NetworkCardIndex",
        "ram-disk-id": f"{_DATA}.RamDiskId",
    },
    tagged=False,
    pages=(1, MOST_VERSIONS_AT_ONCE),
)


# -- making and unmaking ------------------------------------------------------------------------------------------------------


def _named(call: Call, said: Mapping[str, Any], verb: str) -> LaunchTemplate:
    """The template that a request names by its id or by its name."""
    id, name = said.get("LaunchTemplateId"), said.get("LaunchTemplateName")
    if id is not None and name is not None:
        raise errors.Conflict("template-both", verb=verb)
    if id is None and name is None:
        raise errors.Missing("template-neither")
    return launch_templates.find(call.tx, call.account_id, id, name)


def _data(req: Request) -> Response:
    """The data of a new version as they are kept. Most of it is looked at when instances are launched, as EC2 does."""
    data: Response = req["LaunchTemplateData"]
    for specification in data.get("TagSpecifications", ()):
        tags.checked((pair.get("Key", ""), pair.get("Value", "")) for pair in specification.get("Tags", ()))
    kept: Response = repeats.freeze(data)
    return kept


@action
def create_launch_template(call: Call, req: Request) -> Response:
    name, description = req["LaunchTemplateName"], req.get("VersionDescription")
    template = launch_templates.create(call.tx, call.account_id, name, _data(req), description)
    return {"LaunchTemplate": view(call, template, describe.tag(call, req, template.id))}


@action
def create_launch_template_version(call: Call, req: Request) -> Response:
    template = _named(call, req, "create a version of")
    data = _data(req)
    if "SourceVersion" in req:
        data = _inherited(launch_templates.version(call.tx, template, req["SourceVersion"]).data) | data
    version = launch_templates.add_version(call.tx, template, data, req.get("VersionDescription"))
    return {"LaunchTemplateVersion": view_version(call, version, [])}


def _inherited(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a new version has from its source: all but the snapshots of its mapping (API_CreateLaunchTemplateVersion)."""
    kept = dict(data)
    if "BlockDeviceMappings" in data:
        kept["BlockDeviceMappings"] = [
            row | ({"Ebs": {name: value for name, value in row["Ebs"].items() if name != "SnapshotId"}} if "Ebs" in row else {})
            for row in data["BlockDeviceMappings"]
        ]
    return kept


@action
def describe_launch_templates(call: Call, req: Request) -> Response:
    names = list(dict.fromkeys(req.get("LaunchTemplateNames", ())))
    if not names:
        return describe.answer(call, req, TEMPLATES)
    try:
        found = [launch_templates.find(call.tx, call.account_id, None, name).id for name in names]
    except errors.NotFound:
        raise errors.NotFound("templates-unknown") from None
    return describe.answer(call, req, TEMPLATES, where=(LaunchTemplate.id.in_(found),))


@action
def describe_launch_template_versions(call: Call, req: Request) -> Response:
    """Of one template; or, with `$Latest` and `$Default` only, of all."""
    asked = req.get("Versions", ())
    if len(asked) > MOST_VERSIONS_AT_ONCE:
        raise _too_many()
    if "LaunchTemplateId" not in req and "LaunchTemplateName" not in req:
        if not asked or not {launch_templates.LATEST, launch_templates.DEFAULT}.issuperset(asked):
            raise errors.Missing("template-neither")
        columns = {launch_templates.LATEST: LaunchTemplate.latest, launch_templates.DEFAULT: LaunchTemplate.default}
        chosen = [LaunchTemplateVersion.id.in_(_ids_of(columns[selector])) for selector in asked]
        return describe.answer(call, req, VERSIONS, where=(or_(*chosen),))
    template = _named(call, req, "describe the versions of")
    where = [LaunchTemplateVersion.template_id == template.id]
    if asked:
        if "MinVersion" in req or "MaxVersion" in req:
            raise errors.Conflict("parameter-conflict", parameter="versions", other="minVersion")
        wanted = [launch_templates.version(call.tx, template, selector).version for selector in asked]
        where.append(LaunchTemplateVersion.version.in_(wanted))
    if "MinVersion" in req:
        where.append(LaunchTemplateVersion.version >= _bound(template, req["MinVersion"], "minVersion"))
    if "MaxVersion" in req:
        where.append(LaunchTemplateVersion.version <= _bound(template, req["MaxVersion"], "maxVersion"))
    return describe.answer(call, req, VERSIONS, where=where)


def _ids_of(column: InstrumentedAttribute[int]) -> Select[str]:
    return (
        select(LaunchTemplateVersion.id)
        .join(LaunchTemplate, LaunchTemplate.id == LaunchTemplateVersion.template_id)
        .where(LaunchTemplateVersion.version == column)
    )


def _bound(template: LaunchTemplate, selector: str, parameter: str) -> int:
    number = launch_templates.number(template, selector)
    if number is None:
        raise errors.Invalid("bad-value", value=selector[:64], parameter=parameter)
    return number


def _too_many() -> errors.Refusal:
    return errors.LimitExceeded("too-many-resources", most=MOST_VERSIONS_AT_ONCE)


@action
def modify_launch_template(call: Call, req: Request) -> Response:
    template = _named(call, req, "modify")
    if "DefaultVersion" not in req:
        raise errors.Missing("missing-parameter", parameter="SetDefaultVersion")
    launch_templates.choose(call.tx, template, req["DefaultVersion"])
    return {"LaunchTemplate": describe.render(call, TEMPLATES, [template])[0]}


@action
def delete_launch_template(call: Call, req: Request) -> Response:
    template = _named(call, req, "delete")
    shown = describe.render(call, TEMPLATES, [template])[0]
    launch_templates.delete(call.tx, template)
    return {"LaunchTemplate": shown}


# The words of ResponseError; any other code is an `unexpectedError`.
_RESPONSE_CODES = {"InvalidLaunchTemplateId.VersionNotFound": "launchTemplateVersionDoesNotExist"}


@action
def delete_launch_template_versions(call: Call, req: Request) -> Response:
    template = _named(call, req, "delete versions of")
    if len(req["Versions"]) > MOST_VERSIONS_AT_ONCE:
        raise _too_many()
    done, failed = [], []
    for selector in dict.fromkeys(req["Versions"]):
        row = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": launch_templates.number(template, selector),
        }
        try:
            launch_templates.delete_version(call.tx, template, selector)
        except errors.Refusal as refusal:
            fault = from_refusal(refusal)
            code = _RESPONSE_CODES.get(fault.code, "unexpectedError")
            failed.append(row | {"ResponseError": {"Code": code, "Message": fault.message}})
        else:
            done.append(row)
    return {"SuccessfullyDeletedLaunchTemplateVersions": done, "UnsuccessfullyDeletedLaunchTemplateVersions": failed}


# -- from an instance, and to one ---------------------------------------------------------------------------------------------


@action
def get_launch_template_data(call: Call, req: Request) -> Response:
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    shown = instance_options.view(call, row, instance_types.find(row.type))
    data: dict[str, Any] = {
        "BlockDeviceMappings": [_mapping(attachment, volume) for attachment, volume in instances.disks(call.tx, row)],
        "CapacityReservationSpecification": shown["CapacityReservationSpecification"],
        "CpuOptions": shown["CpuOptions"],
        "DisableApiStop": row.disable_api_stop,
        "DisableApiTermination": row.disable_api_termination,
        "EbsOptimized": row.ebs_optimized,
        "EnclaveOptions": shown["EnclaveOptions"],
        "HibernationOptions": shown["HibernationOptions"],
        "ImageId": row.image_id,
        "InstanceInitiatedShutdownBehavior": row.shutdown_behavior,
        "InstanceType": row.type,
        "KernelId": shown["KernelId"],
        "KeyName": row.key_name,
        "MaintenanceOptions": {"AutoRecovery": shown["MaintenanceOptions"]["AutoRecovery"]},
        "MetadataOptions": {name: value for name, value in shown["MetadataOptions"].items() if name != "State"},
        "Monitoring": {"Enabled": row.monitoring},
        "NetworkInterfaces": [
            {
                "DeleteOnTermination": interface.delete_on_termination,
                "Description": interface.description,
                "DeviceIndex": interface.device_index,
                "Groups": [group.group_id for group in interface.groups],
                "InterfaceType": "interface",
                "Ipv6Addresses": [],
                "NetworkCardIndex": 0,
                "PrivateIpAddresses": [
                    {"Primary": address.primary, "PrivateIpAddress": address.address} for address in interface.addresses
                ],
                "SubnetId": interface.subnet_id,
            }
            for interface in row.interfaces
        ],
        "Placement": {
            "AvailabilityZone": row.zone,
            "GroupName": row.placement_group or "",
            "PartitionNumber": row.partition,
            "Tenancy": "default",
        },
        "PrivateDnsNameOptions": shown["PrivateDnsNameOptions"],
        "RamDiskId": shown["RamdiskId"],
        "TagSpecifications": _tag_specifications(call, row),
        "UserData": row.user_data,
    }
    if "CpuCredits" in row.options:
        data["CreditSpecification"] = {"CpuCredits": row.options["CpuCredits"]}
    return {"LaunchTemplateData": data}


def _mapping(attachment: records.Attachment, volume: records.Volume) -> Response:
    ebs = {
        "DeleteOnTermination": attachment.delete_on_termination,
        "Encrypted": volume.encrypted,
        "Iops": volume.iops if volume_types.TYPES[volume.type].iops else None,
        "SnapshotId": volume.snapshot_id or "",
        "Throughput": volume.throughput,
        "VolumeInitializationRate": volume.initialization_rate,
        "VolumeSize": volume.size,
        "VolumeType": volume.type,
    }
    return {"DeviceName": attachment.device, "Ebs": ebs}


def _tag_specifications(call: Call, row: records.Instance) -> list[Response]:
    own = {key: value for key, value in tags.of(call.tx, [row.id])[row.id].items() if not key.startswith(tags.RESERVED)}
    return [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": own[key]} for key in own]}] if own else []


# Members that a template's data have by another name than RunInstances.
OTHER_NAMES = {"RamDiskId": "RamdiskId", "ElasticGpuSpecifications": "ElasticGpuSpecification"}


def fill(call: Call, req: Request) -> tuple[Request, dict[str, str]]:
    """The request with what its template says beside it, and the tags that show where an instance comes from.

    A member of the request takes the place of the template's. Mappings are merged by device, tags by resource type and key, the
    members of options one by one; security groups by id and by name count as one member (API_RunInstances, LaunchTemplate).
    """
    said = req.get("LaunchTemplate")
    if said is None:
        return req, {}
    template = _named(call, said, "launch instances from")
    version = launch_templates.version(call.tx, template, said.get("Version", launch_templates.DEFAULT))
    data = {OTHER_NAMES.get(name, name): value for name, value in repeats.thaw(version.data).items()}
    if "SecurityGroups" in req or "SecurityGroupIds" in req:
        data.pop("SecurityGroups", None)
        data.pop("SecurityGroupIds", None)
    merged = dict(req)
    for name, value in data.items():
        if name not in req:
            merged[name] = value
        elif name == "BlockDeviceMappings":
            merged[name] = _merged_mappings(value, req[name])
        elif name == "TagSpecifications":
            merged[name] = _merged_tags(value, req[name])
        elif isinstance(value, dict):
            merged[name] = value | req[name]
    return merged, {TAG_ID: template.id, TAG_VERSION: str(version.version)}


def _merged_mappings(ours: list[Response], theirs: list[Response]) -> list[Response]:
    """The request's mapping over the template's: of the same device, what is said of its volume is merged."""
    merged = []
    left = list(ours)
    for row in theirs:
        other = next((each for each in left if bdm.same(each.get("DeviceName", ""), row.get("DeviceName", ""))), None)
        if other is not None:
            left.remove(other)
            if "Ebs" in row and "Ebs" in other:
                row = row | {"Ebs": other["Ebs"] | row["Ebs"]}
        merged.append(row)
    return left + merged


def _merged_tags(ours: list[Response], theirs: list[Response]) -> list[Response]:
    found: dict[str, dict[str, str]] = {}
    for specification in theirs:
        found.setdefault(specification.get("ResourceType", ""), {}).update(_pairs(specification))
    rest = []
    for specification in ours:
        kind = specification.get("ResourceType", "")
        left = {key: value for key, value in _pairs(specification).items() if key not in found.get(kind, {})}
        if left:
            rest.append({"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in left.items()]})
    return theirs + rest


def _pairs(specification: Mapping[str, Any]) -> dict[str, str]:
    return {pair.get("Key", ""): pair.get("Value", "") for pair in specification.get("Tags", ())}
