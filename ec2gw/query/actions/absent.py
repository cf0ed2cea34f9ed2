"""What clients look for and nobody can have here, as its Create is refused: it is looked for in vain, which is no error."""

from __future__ import annotations

from botocore import xform_name

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids
from ec2gw.query import describe
from ec2gw.query.api import NEWEST, Call, Request, Response, action, model

# Action -> the prefix of the ids that may be named, and its filters beside those on tags.
ABSENT = {
    "DescribeCustomerGateways": ("cgw", "bgp-asn customer-gateway-id ip-address state type"),
    "DescribeEgressOnlyInternetGateways": ("eigw", ""),
    "DescribeFlowLogs": (
        "fl",
        "deliver-log-status flow-log-id log-destination-type log-group-name resource-id traffic-type",
    ),
    "DescribeIamInstanceProfileAssociations": ("iip-assoc", "instance-id state"),
    "DescribeManagedPrefixLists": ("pl", "owner-id prefix-list-id prefix-list-name"),
    "DescribeNatGateways": ("nat", "nat-gateway-id state subnet-id vpc-id"),
    "DescribePrefixLists": ("pl", "prefix-list-id prefix-list-name"),
    "DescribeSecurityGroupVpcAssociations": (None, "group-id group-owner-id state vpc-id vpc-owner-id"),
    "DescribeSpotPriceHistory": (
        None,
        "availability-zone availability-zone-id instance-type product-description spot-price timestamp",
    ),
    "DescribeTransitGateways": (
        "tgw",
        "options.amazon-side-asn options.association-default-route-table-id options.auto-accept-shared-attachments"
        " options.default-route-table-association options.default-route-table-propagation options.dns-support"
        " options.propagation-default-route-table-id options.vpn-ecmp-support owner-id state transit-gateway-id",
    ),
    "DescribeVpcEndpoints": (
        "vpce",
        "ip-address-type service-name service-region vpc-endpoint-id vpc-endpoint-state vpc-endpoint-type vpc-id",
    ),
    "DescribeVpcPeeringConnections": (
        "pcx",
        "accepter-vpc-info.cidr-block accepter-vpc-info.owner-id accepter-vpc-info.vpc-id expiration-time"
        " requester-vpc-info.cidr-block requester-vpc-info.owner-id requester-vpc-info.vpc-id status-code status-message"
        " vpc-peering-connection-id",
    ),
    "DescribeVpnConnections": (
        "vpn",
        "bgp-asn customer-gateway-configuration customer-gateway-id option.static-routes-only route.destination-cidr-block"
        " state transit-gateway-id type vpn-connection-id vpn-gateway-id",
    ),
    "DescribeVpnGateways": (
        "vgw",
        "amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id",
    ),
}


def _enter(name: str, prefix: str | None, filters: str) -> None:
    """Enter the Describe into the register; where its ids, its result and its pages are is the model's to say."""
    shapes, operation = model(NEWEST).shapes, model(NEWEST).operations[name]
    assert operation.output is not None
    asked = shapes[operation.input]["members"]
    result = next(member for member in shapes[operation.output]["members"] if member != "NextToken")
    named = next((member for member in asked if prefix and member.endswith("Ids")), "")
    size = shapes[asked["MaxResults"]["shape"]] if "MaxResults" in asked else {}
    pages = (size["min"], size["max"]) if "min" in size else None
    catalogue = describe.Catalogue(result, "", dict.fromkeys(filters.split(), "@"), pages, tagged=True)

    def run(call: Call, req: Request) -> Response:
        if prefix and (wanted := req.get(named)):
            lookup.check_ids(prefix, wanted, named)
            raise errors.NotFound("not-found", kind=ids.KINDS[prefix], ids=wanted)
        return describe.choose(req | {"Filters": req.get("Filters", req.get("Filter", ()))}, catalogue, ())

    run.__name__ = xform_name(name)
    action(run)


for _name, (_prefix, _filters) in ABSENT.items():
    _enter(_name, _prefix, _filters)
