"""What EC2's actions can be asked for and nobody can have here: refused in one place, before an action runs. Knows no record.

A test asks every action with every member of the model: each is looked at, or stands here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ec2gw.model import errors

_Refuse = Callable[[str, object], errors.Refusal]
# The values that ask for nothing beyond what there is, and the refusal of any other.
_Row = tuple[tuple[object, ...], _Refuse]


def refuse(action: str, req: Mapping[str, Any]) -> None:
    """Raise for what is asked of an action and cannot be had here (`UNSERVED`)."""
    for path, (harmless, refusal) in UNSERVED.get(action, {}).items():
        for value in _at(req, path.split(".")):
            if value not in harmless:
                raise refusal(".".join(step[0].lower() + step[1:] for step in path.split(".")), value)


def guarded(action: str, run: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    """The function of an action, which runs once nothing unserved is asked of it."""
    if action not in UNSERVED:
        return run

    @functools.wraps(run)
    def guard(call: Any, req: dict[str, Any]) -> dict[str, Any]:
        refuse(action, req)
        return run(call, req)

    return guard


def _at(said: Any, steps: list[str]) -> Iterable[object]:
    """Every value at a path, through lists."""
    if isinstance(said, list):
        for item in said:
            yield from _at(item, steps)
    elif not steps:
        yield said
    elif steps[0] in said:
        yield from _at(said[steps[0]], steps[1:])


# -- refusals -----------------------------------------------------------------------------------------------------------------


def _unsupported(parameter: str, value: object) -> errors.Refusal:
    return errors.Unsupported("unsupported", message=f"The parameter {parameter} is not supported by this endpoint.")


def _no_configuration(parameter: str, value: object) -> errors.Refusal:
    return errors.Unsupported("configuration-unsupported")


def _no_hibernation(parameter: str, value: object) -> errors.Refusal:
    return errors.Unsupported("hibernation-unsupported")


def _no_profile(parameter: str, value: object) -> errors.Refusal:
    word = "ARN" if parameter.endswith("arn") else "name"
    return errors.Invalid("invalid-value", value=value, parameter=parameter, why=f"Invalid IAM Instance Profile {word}")


def _no_reservation(parameter: str, value: object) -> errors.Refusal:
    return errors.NotFound("capacity-reservation-absent", id=str(value)[:64])


def _no_reserved_capacity(parameter: str, value: object) -> errors.Refusal:
    return errors.LimitExceeded("capacity-reservation-full")


def _says(message: str) -> _Refuse:
    return lambda parameter, value: errors.Unsupported("unsupported", message=f"{message} by this endpoint.")


_NO_POOLS = _says("IPv6 and address pools are not supported")
_NO_OUTPOSTS = _says("Volumes on Outposts are not supported")
_NO_MULTI_ATTACH = _says("Multi-Attach is not supported")
_NO_LOCAL_SNAPSHOTS = _says("Local snapshots are not supported")

# -- members that several actions have ----------------------------------------------------------------------------------------


def _none(*members: str, refusal: _Refuse = _unsupported) -> dict[str, _Row]:
    """Members of which no value is served but those that mean: no."""
    return dict.fromkeys(members, ((False, 0), refusal))


def _under(path: str, rows: Mapping[str, _Row]) -> dict[str, _Row]:
    return {f"{path}.{member}": row for member, row in rows.items()}


_OPERATOR = _none("Operator")
_EBS = _none("AvailabilityZone", "AvailabilityZoneId", "EbsCardIndex", "OutpostArn")
_MAPPINGS = _under("BlockDeviceMappings.Ebs", _EBS)
_IMAGE_MAPPINGS = _under("BlockDeviceMappings.Ebs", {**_EBS, **_none("VolumeInitializationRate")})
_ENA_SRD = _none(
    "EnaSrdSpecification.EnaSrdEnabled",
    "EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled",
    refusal=_no_configuration,
)
_NETWORK_CARD: dict[str, _Row] = {
    "NetworkCardIndex": ((0,), _says("The only network card supported has the index 0,")),
}
_IPV6 = _none("Ipv6AddressCount", "Ipv6Addresses")
_PREFIXES = _none("Ipv4PrefixCount", "Ipv4Prefixes")
_INTERFACE: dict[str, _Row] = {
    **_IPV6,
    **_PREFIXES,
    **_none("ConnectionTrackingSpecification", "Ipv6PrefixCount", "Ipv6Prefixes"),
    "InterfaceType": (("interface",), _says("The only interface type supported is 'interface',")),
}
_CIDR_BLOCKS = _none(
    "Ipv4IpamPoolId", "Ipv4NetmaskLength", "Ipv6CidrBlock", "Ipv6IpamPoolId", "Ipv6NetmaskLength", refusal=_NO_POOLS
)
_VPC_BLOCKS = _CIDR_BLOCKS | _none(
    "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlockNetworkBorderGroup", "Ipv6Pool", refusal=_NO_POOLS
)
_NO_NESTING: dict[str, _Row] = {"NestedVirtualization": (("disabled",), _no_configuration)}
_CPU: dict[str, _Row] = {**_NO_NESTING, "AmdSevSnp": (("disabled",), _no_configuration)}
_PLACEMENT: dict[str, _Row] = {
    "Affinity": (("default",), _no_configuration),
    "HostId": ((), _no_configuration),
    "HostResourceGroupArn": ((), _no_configuration),
    "Tenancy": (("default",), _no_configuration),
}
_ROUTE_TARGETS = _none(
    "VpcEndpointId", "TransitGatewayId", "LocalGatewayId", "CarrierGatewayId", "CoreNetworkArn", "OdbNetworkArn",
    "EgressOnlyInternetGatewayId", "VpcPeeringConnectionId", "NatGatewayId",
)  # fmt: skip
_SNAPSHOT_PLACE: dict[str, _Row] = {
    "OutpostArn": ((), _NO_LOCAL_SNAPSHOTS),
    "Location": (("regional",), _NO_LOCAL_SNAPSHOTS),
}
_RULES = [
    f"{verb}{direction}"
    for verb in ("AuthorizeSecurityGroup", "RevokeSecurityGroup", "UpdateSecurityGroupRuleDescriptions")
    for direction in ("Ingress", "Egress")
]

# -- the table ----------------------------------------------------------------------------------------------------------------

# Action -> a path of members -> its row. Of RunInstances it holds for what a launch template says, too.
UNSERVED: Mapping[str, Mapping[str, _Row]] = {
    "AssignPrivateIpAddresses": _PREFIXES,
    "AssociateRouteTable": _none("GatewayId", "PublicIpv4Pool"),
    **dict.fromkeys(_RULES, _none("IpPermissions.UserIdGroupPairs.VpcPeeringConnectionId")),
    "AssociateVpcCidrBlock": _VPC_BLOCKS,
    "AttachNetworkInterface": {**_NETWORK_CARD, **_ENA_SRD, **_none("EnaQueueCount")},
    "AttachVolume": _none("EbsCardIndex"),
    "CopyImage": _none("DestinationAvailabilityZone", "DestinationAvailabilityZoneId", "DestinationOutpostArn"),
    "CopySnapshot": _none("DestinationAvailabilityZone", "DestinationOutpostArn"),
    "CreateDefaultSubnet": _none("Ipv6Native", refusal=_NO_POOLS),
    "CreateImage": {**_IMAGE_MAPPINGS, "SnapshotLocation": (("regional",), _NO_LOCAL_SNAPSHOTS)},
    "CreateLaunchTemplate": _OPERATOR,
    "CreateNetworkInterface": {**_INTERFACE, **_none("EnablePrimaryIpv6"), **_OPERATOR},
    "CreatePlacementGroup": {
        **_none("LinkedGroupId", "ParentGroupId"),
        **_OPERATOR,
        "SpreadLevel": (("rack",), _no_configuration),
    },
    "CreateRoute": _ROUTE_TARGETS,
    "CreateSnapshot": _SNAPSHOT_PLACE,
    "CreateSnapshots": _SNAPSHOT_PLACE,
    "CreateSubnet": {**_CIDR_BLOCKS, **_none("Ipv6Native", refusal=_NO_POOLS), **_none("OutpostArn")},
    "CreateVolume": {
        **_OPERATOR,
        **_none("MultiAttachEnabled", refusal=_NO_MULTI_ATTACH),
        **_none("OutpostArn", refusal=_NO_OUTPOSTS),
    },
    "CreateVpc": {**_VPC_BLOCKS, **_none("VpcEncryptionControl")},
    "ImportImage": _none("LicenseSpecifications"),
    "ModifyInstanceAttribute": {
        **_none("BlockDeviceMappings.NoDevice", "BlockDeviceMappings.VirtualName"),
        "EnclaveOptions": ((), _no_configuration),
    },
    "ModifyInstanceCpuOptions": _NO_NESTING,
    "ModifyInstancePlacement": _PLACEMENT,
    "ModifyNetworkInterfaceAttribute": {
        "AssociatePublicIpAddress": ((), _unsupported),
        "AssociatedSubnetIds": ((), _unsupported),
        "Attachment.DefaultEnaQueueCount": ((False,), _unsupported),
        "Attachment.EnaQueueCount": ((), _unsupported),
        "ConnectionTrackingSpecification": ((), _unsupported),
        "EnablePrimaryIpv6": ((), _unsupported),
        "EnaSrdSpecification": ((), _no_configuration),
    },
    "ModifySubnetAttribute": _none(
        "AssignIpv6AddressOnCreation.Value",
        "CustomerOwnedIpv4Pool",
        "DisableLniAtDeviceIndex.Value",
        "EnableDns64.Value",
        "EnableLniAtDeviceIndex",
        "MapCustomerOwnedIpOnLaunch.Value",
    ),
    "ModifyVolume": _none("MultiAttachEnabled", refusal=_NO_MULTI_ATTACH),
    "MonitorInstances": _none("MetricCategoryIds"),
    "RegisterImage": {
        **_IMAGE_MAPPINGS,
        **_none("BillingProducts"),
        **_none("ImageLocation", refusal=_says("Instance-store images are not supported")),
    },
    "ReplaceRoute": {**_ROUTE_TARGETS, **_none("LocalTarget")},
    "RunInstances": {
        **_none("AdditionalInfo"),
        **_MAPPINGS,
        "CapacityReservationSpecification.CapacityReservationPreference": (("open", "none"), _no_reserved_capacity),
        "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId": ((), _no_reservation),
        "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationResourceGroupArn": ((), _unsupported),
        **_under("CpuOptions", _CPU),
        **_none("ElasticGpuSpecification.Type", "ElasticInferenceAccelerators.Count", "ElasticInferenceAccelerators.Type"),
        **_none("EnclaveOptions.Enabled", refusal=_no_configuration),
        **_none("HibernationOptions.Configured", refusal=_no_hibernation),
        "IamInstanceProfile.Arn": ((), _no_profile),
        "IamInstanceProfile.Name": ((), _no_profile),
        "InstanceMarketOptions.MarketType": (("on-demand",), _no_configuration),
        "InstanceMarketOptions.SpotOptions.BlockDurationMinutes": ((), _no_configuration),
        "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior": ((), _no_configuration),
        "InstanceMarketOptions.SpotOptions.MaxPrice": ((), _no_configuration),
        "InstanceMarketOptions.SpotOptions.SpotInstanceType": ((), _no_configuration),
        "InstanceMarketOptions.SpotOptions.ValidUntil": ((), _no_configuration),
        **_none("InstanceRequirements"),  # of a launch template; RunInstances itself has no such member
        **_IPV6,
        **_none("EnablePrimaryIpv6", "LicenseSpecifications.LicenseConfigurationArn", "Monitoring.MetricCategoryIds"),
        **_under("NetworkInterfaces", {**_INTERFACE, **_NETWORK_CARD, **_ENA_SRD}),
        **_none(
            "NetworkInterfaces.AssociateCarrierIpAddress", "NetworkInterfaces.EnaQueueCount", "NetworkInterfaces.PrimaryIpv6"
        ),
        "NetworkPerformanceOptions.BandwidthWeighting": (("default",), _no_configuration),
        **_none("Operator.Principal"),
        **_under("Placement", {**_PLACEMENT, **_none("SpreadDomain")}),
        **_none("SecondaryInterfaces"),
    },
    "StartInstances": _none("AdditionalInfo"),
    "UnassignPrivateIpAddresses": _none("Ipv4Prefixes"),
    "UnmonitorInstances": _none("MetricCategoryIds"),
}
