"""Regions, zones, and what an account may have."""

from __future__ import annotations

from typing import NoReturn

from ec2gw.cloud import addresses, groups, interfaces
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Region, Request, Response, action

_DIRECTIONS = {
    "east": "e", "west": "w", "north": "n", "south": "s", "central": "c",
    "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw", "gov": "g",
}  # fmt: skip

REGIONS = describe.Catalogue(
    result="Regions",
    key="RegionName",
    filters={"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName"},
)
ZONES = describe.Catalogue(
    result="AvailabilityZones",
    key="ZoneName",
    filters={
        "group-long-name": "GroupLongName",
        "group-name": "GroupName",
        "message": "Messages[].Message",
        "opt-in-status": "OptInStatus",
        "parent-zone-id": "ParentZoneId",
        "parent-zone-name": "ParentZoneName",
        "region-name": "RegionName",
        "state": "State",
        "zone-id": "ZoneId",
        "zone-name": "ZoneName",
        "zone-type": "ZoneType",
    },
)

DEFAULT_VPC, MAX_INSTANCES = "default-vpc", "max-instances"
ATTRIBUTES = {
    "supported-platforms": "VPC",
    DEFAULT_VPC: "none",
    MAX_INSTANCES: "2147483647",  # where the operator has set no limit
    "max-elastic-ips": str(addresses.MOST_ADDRESSES),
    "vpc-max-elastic-ips": str(addresses.MOST_ADDRESSES),
    "vpc-max-security-groups-per-interface": str(interfaces.MOST_GROUPS),
}


def zone_id(region: Region, zone: str) -> str:
    """A zone's id in AWS's form: `use1-az1` for the first zone of us-east-1."""
    words = region.name.split("-")
    short = "".join(word if index == 0 else _DIRECTIONS.get(word, word) for index, word in enumerate(words))
    return f"{short}-az{region.zones.index(zone) + 1}"


@action
def describe_regions(call: Call, req: Request) -> Response:
    for name in req.get("RegionNames", ()):
        if name != call.settings.name:
            raise errors.Invalid("region-invalid", region=name[:64])
    region = {"Endpoint": call.settings.endpoint, "RegionName": call.settings.name, "OptInStatus": "opt-in-not-required"}
    return describe.choose(req, REGIONS, [region])


@action
def describe_availability_zones(call: Call, req: Request) -> Response:
    region = call.settings
    views = {
        zone: {
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
            "RegionName": region.name,
            "ZoneName": zone,
            "ZoneId": zone_id(region, zone),
            "GroupName": f"{region.name}-zg-1",
            "GroupLongName": f"{region.name} 1",
            "NetworkBorderGroup": region.name,
            "ZoneType": "availability-zone",
            "State": "available",
        }
        for zone in region.zones
    }
    by_id = {zone_id(region, zone): zone for zone in region.zones}
    wanted = set()
    for name in req.get("ZoneNames", ()):
        wanted.add(name if name in views else _no_zone(name))
    for name in req.get("ZoneIds", ()):
        wanted.add(by_id[name] if name in by_id else _no_zone(name))
    return describe.choose(req, ZONES, [view for zone, view in views.items() if not wanted or zone in wanted])


def _no_zone(name: str) -> NoReturn:
    raise errors.Invalid("zone-invalid", zone=name[:64])


@action
def describe_account_attributes(call: Call, req: Request) -> Response:
    wanted = req.get("AttributeNames") or list(ATTRIBUTES)
    for name in wanted:
        if name not in ATTRIBUTES:
            raise errors.Invalid("invalid-value", value=name[:64], parameter="attributeName", why="")
    vpc = groups.default_vpc(call.tx, call.account_id)
    most = call.tx.limits.instances
    values = ATTRIBUTES | ({DEFAULT_VPC: vpc.id} if vpc else {}) | ({} if most is None else {MAX_INSTANCES: str(most)})
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]} for name in dict.fromkeys(wanted)
        ]
    }
