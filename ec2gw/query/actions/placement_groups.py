"""Placement groups, and where instances are placed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ec2gw.cloud import instances, placement
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.records import Instance, PlacementGroup


def view(call: Call, group: PlacementGroup, tags: describe.Tags) -> Response:
    """A group as DescribePlacementGroups shows it."""
    return {
        "GroupName": group.name,
        "State": "available",
        "Strategy": group.strategy,
        "PartitionCount": group.partitions,
        "GroupId": group.id,
        "Tags": tags,
        "GroupArn": f"arn:aws:ec2:{call.region}:{group.account_id}:placement-group/{group.name}",
        "SpreadLevel": group.spread_level,
    }


GROUPS = describe.Listing(
    kind="placement-group",
    record=PlacementGroup,
    result="PlacementGroups",
    ids="GroupIds",
    view=view,
    filters={
        "group-name": "GroupName",
        "group-arn": "GroupArn",
        "spread-level": "SpreadLevel",
        "state": "State",
        "strategy": "Strategy",
    },
    columns={"group-name": PlacementGroup.name},
)


@action
def create_placement_group(call: Call, req: Request) -> Response:
    if "GroupName" not in req:
        raise errors.Missing("missing-parameter", parameter="groupName")
    if "Strategy" not in req and "PartitionCount" not in req:
        raise errors.Missing("missing-parameter", parameter="strategy")
    strategy = req.get("Strategy", "partition")
    if "SpreadLevel" in req and strategy != "spread":
        raise errors.Conflict("parameter-dependency", parameter="spreadLevel", other="strategy")
    group = placement.create(call.tx, call.account_id, req["GroupName"], strategy, req.get("PartitionCount"))
    return {"PlacementGroup": view(call, group, describe.tag(call, req, group.id))}


@action
def delete_placement_group(call: Call, req: Request) -> Response:
    placement.delete(call.tx, call.account_id, req["GroupName"])
    return {}


@action
def describe_placement_groups(call: Call, req: Request) -> Response:
    names = list(dict.fromkeys(req.get("GroupNames", ())))
    found = [placement.find(call.tx, call.account_id, name).id for name in names]
    return describe.answer(call, req, GROUPS, where=(PlacementGroup.id.in_(found),) if names else ())


# -- of an instance -----------------------------------------------------------------------------------------------------------


def wished(call: Call, said: Mapping[str, Any]) -> PlacementGroup | None:
    """The group that a Placement names."""
    if "GroupName" in said and "GroupId" in said:
        raise errors.Conflict("parameter-conflict", parameter="groupName", other="groupId")
    if "GroupName" not in said and "GroupId" not in said:
        return None
    return placement.find(call.tx, call.account_id, said.get("GroupName"), said.get("GroupId"))


def zone(call: Call, said: Mapping[str, Any]) -> str | None:
    """The zone that a Placement names, or its id."""
    region = call.settings
    by_id = {places.zone_id(region, name): name for name in region.zones}
    name, id = said.get("AvailabilityZone"), said.get("AvailabilityZoneId")
    if name is not None and id is not None:
        raise errors.Conflict("parameter-conflict", parameter="availabilityZone", other="availabilityZoneId")
    if name is not None and name not in region.zones or id is not None and id not in by_id:
        raise errors.Invalid("zone-invalid", zone=str(name or id)[:64])
    return name if id is None else by_id[id]


def of_instance(call: Call, row: Instance) -> Response:
    """An instance's Placement."""
    return {
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, row.zone),
        "GroupName": row.placement_group or "",
        "GroupId": row.options.get("PlacementGroupId") if row.placement_group else None,
        "PartitionNumber": row.partition,
        "Tenancy": "default",
    }


@action
def modify_instance_placement(call: Call, req: Request) -> Response:
    """Move a stopped instance into a group. An empty name (which is none at all on the wire) takes it out of its group."""
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    instances.must_be_stopped(row)
    if any(name in req for name in ("Tenancy", "Affinity")) and not any(name in req for name in ("GroupName", "GroupId")):
        return {"Return": True}
    group = wished(call, req)
    placement.join(call.tx, group, row, req.get("PartitionNumber"))
    instances.change(row, PlacementGroupId=group.id if group else None)
    return {"Return": True}
