"""Route tables and routes."""

from __future__ import annotations

from ec2gw.cloud import routes
from ec2gw.model import errors, networks
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Route, RouteTable

ASSOCIATED = {"State": "associated"}


def view(call: Call, table: RouteTable, tags: describe.Tags) -> Response:
    """A table as DescribeRouteTables shows it."""
    main = [(table.main_of.route_association_id, None)] if table.main_of else []
    return {
        "Associations": [
            {
                "Main": subnet_id is None,
                "RouteTableAssociationId": association_id,
                "RouteTableId": table.id,
                "SubnetId": subnet_id,
                "AssociationState": ASSOCIATED,
            }
            for association_id, subnet_id in [*main, *((subnet.route_association_id, subnet.id) for subnet in table.subnets)]
        ],
        "PropagatingVgws": [],
        "RouteTableId": table.id,
        "Routes": [view_route(route, table.account_id) for route in table.routes],
        "Tags": tags,
        "VpcId": table.vpc_id,
        "OwnerId": table.account_id,
    }


def view_route(route: Route, account_id: str) -> Response:
    """A route of an account's table."""
    kind = "DestinationIpv6CidrBlock" if ":" in route.destination else "DestinationCidrBlock"
    return {
        kind: route.destination,
        "GatewayId": "local" if route.local else route.gateway_id,
        "InstanceId": route.instance_id,
        "InstanceOwnerId": account_id if route.instance_id else None,
        "NetworkInterfaceId": route.interface_id,
        "Origin": "CreateRouteTable" if route.local else "CreateRoute",
        "State": route.state,
    }


TABLES = describe.Listing(
    kind="route-table",
    record=RouteTable,
    result="RouteTables",
    ids="RouteTableIds",
    view=view,
    filters={
        "association.gateway-id": "Associations[].GatewayId",
        "association.route-table-association-id": "Associations[].RouteTableAssociationId",
        "association.route-table-id": "Associations[].RouteTableId",
        "association.subnet-id": "Associations[].SubnetId",
        "association.main": "Associations[].Main",
        "owner-id": "OwnerId",
        "route-table-id": "RouteTableId",
        "route.destination-cidr-block": "Routes[].DestinationCidrBlock",
        "route.destination-ipv6-cidr-block": "Routes[].DestinationIpv6CidrBlock",
        "route.destination-prefix-list-id": "Routes[].DestinationPrefixListId",
        "route.egress-only-internet-gateway-id": "Routes[].EgressOnlyInternetGatewayId",
        "route.gateway-id": "Routes[].GatewayId",
        "route.instance-id": "Routes[].InstanceId",
        "route.nat-gateway-id": "Routes[].NatGatewayId",
        "route.transit-gateway-id": "Routes[].TransitGatewayId",
        "route.origin": "Routes[].Origin",
        "route.state": "Routes[].State",
        "route.vpc-peering-connection-id": "Routes[].VpcPeeringConnectionId",
        "vpc-id": "VpcId",
    },
    columns={"vpc-id": RouteTable.vpc_id},
    pages=(5, 100),
)


@action
def describe_route_tables(call: Call, req: Request) -> Response:
    return describe.answer(call, req, TABLES)


@action
def create_route_table(call: Call, req: Request) -> Response:
    table = routes.create(call.tx, call.account_id, req["VpcId"])
    return {"RouteTable": view(call, table, describe.tag(call, req, table.id)), "ClientToken": req.get("ClientToken")}


@action
def delete_route_table(call: Call, req: Request) -> Response:
    routes.delete(call.tx, call.account_id, req["RouteTableId"])
    return {}


@action
def associate_route_table(call: Call, req: Request) -> Response:
    if "SubnetId" not in req:
        raise errors.Missing("missing-parameter", parameter="subnetId")
    made = routes.associate(call.tx, call.account_id, req["RouteTableId"], req["SubnetId"])
    return {"AssociationId": made, "AssociationState": ASSOCIATED}


@action
def disassociate_route_table(call: Call, req: Request) -> Response:
    routes.disassociate(call.tx, call.account_id, req["AssociationId"])
    return {}


@action
def replace_route_table_association(call: Call, req: Request) -> Response:
    made = routes.replace_association(call.tx, call.account_id, req["AssociationId"], req["RouteTableId"])
    return {"NewAssociationId": made, "AssociationState": ASSOCIATED}


# -- routes -------------------------------------------------------------------------------------------------------------------

_TARGETS = {"GatewayId": "gateway_id", "NetworkInterfaceId": "interface_id", "InstanceId": "instance_id"}


def _target(req: Request) -> routes.Target:
    said = {ours: req[member] for member, ours in _TARGETS.items() if member in req}
    if not said:
        raise errors.Missing("route-target-missing")
    if len(said) > 1:
        raise errors.Conflict("route-targets-many")
    return routes.Target(**said)


def _destination(req: Request) -> str:
    if "DestinationPrefixListId" in req:
        raise errors.NotFound("not-found", kind="prefix-list", ids=[req["DestinationPrefixListId"]])
    if "DestinationCidrBlock" in req and "DestinationIpv6CidrBlock" in req:
        raise errors.Conflict("parameter-conflict", parameter="destinationCidrBlock", other="destinationIpv6CidrBlock")
    for member, read in (("DestinationCidrBlock", networks.block), ("DestinationIpv6CidrBlock", networks.block6)):
        if member in req:
            if (found := read(req[member])) is None:
                parameter, why = member[0].lower() + member[1:], "This is not a valid CIDR block."
                raise errors.Invalid("invalid-value", value=req[member][:64], parameter=parameter, why=why)
            return found
    raise errors.Missing("missing-parameter", parameter="destinationCidrBlock")


@action
def create_route(call: Call, req: Request) -> Response:
    routes.create_route(call.tx, call.account_id, req["RouteTableId"], _destination(req), _target(req))
    return {"Return": True}


@action
def replace_route(call: Call, req: Request) -> Response:
    routes.replace_route(call.tx, call.account_id, req["RouteTableId"], _destination(req), _target(req))
    return {}


@action
def delete_route(call: Call, req: Request) -> Response:
    routes.delete_route(call.tx, call.account_id, req["RouteTableId"], _destination(req))
    return {}
