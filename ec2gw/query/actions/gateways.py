"""Internet gateways."""

from __future__ import annotations

from ec2gw.cloud import routes
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Gateway


def view(call: Call, gateway: Gateway, tags: describe.Tags) -> Response:
    """A gateway as DescribeInternetGateways shows it."""
    return {
        "Attachments": [{"State": "available", "VpcId": gateway.vpc_id}] if gateway.vpc_id else [],
        "InternetGatewayId": gateway.id,
        "OwnerId": gateway.account_id,
        "Tags": tags,
    }


GATEWAYS = describe.Listing(
    kind="internet-gateway",
    record=Gateway,
    result="InternetGateways",
    ids="InternetGatewayIds",
    view=view,
    filters={
        "attachment.state": "Attachments[].State",
        "attachment.vpc-id": "Attachments[].VpcId",
        "internet-gateway-id": "InternetGatewayId",
        "owner-id": "OwnerId",
    },
    columns={"attachment.vpc-id": Gateway.vpc_id},
    pages=(5, 1000),
)


@action
def describe_internet_gateways(call: Call, req: Request) -> Response:
    return describe.answer(call, req, GATEWAYS)


@action
def create_internet_gateway(call: Call, req: Request) -> Response:
    gateway = routes.create_gateway(call.tx, call.account_id)
    return {"InternetGateway": view(call, gateway, describe.tag(call, req, gateway.id))}


@action
def delete_internet_gateway(call: Call, req: Request) -> Response:
    routes.delete_gateway(call.tx, call.account_id, req["InternetGatewayId"])
    return {}


@action
def attach_internet_gateway(call: Call, req: Request) -> Response:
    routes.attach_gateway(call.tx, call.account_id, req["InternetGatewayId"], req["VpcId"])
    return {}


@action
def detach_internet_gateway(call: Call, req: Request) -> Response:
    routes.detach_gateway(call.tx, call.account_id, req["InternetGatewayId"], req["VpcId"])
    return {}
