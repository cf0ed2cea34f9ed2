"""DHCP options."""

from __future__ import annotations

from ec2gw.cloud import networks
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import DhcpOptions


def view(call: Call, options: DhcpOptions, tags: describe.Tags) -> Response:
    """A set of options as DescribeDhcpOptions shows it."""
    return {
        "OwnerId": options.account_id,
        "Tags": tags,
        "DhcpOptionsId": options.id,
        "DhcpConfigurations": [
            {"Key": name, "Values": [{"Value": value} for value in given]} for name, given in options.values.items()
        ],
    }


OPTIONS = describe.Listing(
    kind="dhcp-options",
    record=DhcpOptions,
    result="DhcpOptions",
    ids="DhcpOptionsIds",
    view=view,
    filters={
        "dhcp-options-id": "DhcpOptionsId",
        "key": "DhcpConfigurations[].Key",
        "value": "DhcpConfigurations[].Values[].Value",
        "owner-id": "OwnerId",
    },
    pages=(5, 1000),
)


@action
def describe_dhcp_options(call: Call, req: Request) -> Response:
    return describe.answer(call, req, OPTIONS)


@action
def create_dhcp_options(call: Call, req: Request) -> Response:
    values: dict[str, list[str]] = {}
    for row in req["DhcpConfigurations"]:
        name = row.get("Key", "")
        if name in values:
            why = "The option was given more than once."
            raise errors.Invalid("invalid-value", value=name[:64], parameter="dhcpConfiguration.Key", why=why)
        values[name] = row.get("Values", [])
    options = networks.create_options(call.tx, call.account_id, values)
    return {"DhcpOptions": view(call, options, describe.tag(call, req, options.id))}


@action
def delete_dhcp_options(call: Call, req: Request) -> Response:
    networks.delete_options(call.tx, call.account_id, req["DhcpOptionsId"])
    return {}


@action
def associate_dhcp_options(call: Call, req: Request) -> Response:
    networks.associate_options(call.tx, call.account_id, req["DhcpOptionsId"], req["VpcId"])
    return {}
