"""What nobody can have here is looked for in vain, and asked for as properly as all else."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name

from ec2gw.query.actions.absent import ABSENT
from tests.query.face import Face
from tests.query.test_images import refusal

BY_ACTION = pytest.mark.parametrize("name", ABSENT)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Any:
    served = Face(tmp_path_factory.mktemp("face"))
    yield served
    served.close()


def member(ec2: Any, name: str, *wanted: str) -> str:
    """The request's member that ends so, as botocore has it; empty where there is none."""
    members = ec2.meta.service_model.operation_model(name).input_shape.members
    return next((found for found in members if found.endswith(wanted)), "")


@BY_ACTION
def test_nothing_is_there(ec2: Any, name: str) -> None:
    ask = getattr(ec2, xform_name(name))
    filters = member(ec2, name, "Filters", "Filter")
    (empty,) = [value for value in ask().values() if isinstance(value, list)]
    assert empty == []
    for known in (*ABSENT[name][1].split(), "tag:Name", "tag-key"):
        assert [] in ask(**{filters: [{"Name": known, "Values": ["*"]}]}).values()
    with refusal("InvalidParameterValue", "The filter 'colour' is invalid"):
        ask(**{filters: [{"Name": "colour", "Values": ["red"]}]})
    if member(ec2, name, "MaxResults"):
        assert [] in ask(MaxResults=50).values()
        with refusal("InvalidParameterValue"):
            ask(MaxResults=0)
        with refusal("InvalidNextToken"):
            ask(NextToken="x")
    if member(ec2, name, "DryRun"):
        with refusal("DryRunOperation"):
            ask(DryRun=True)


MISSED = {
    "DescribeCustomerGateways": "InvalidCustomerGatewayID.NotFound",
    "DescribeEgressOnlyInternetGateways": "InvalidGatewayID.NotFound",
    "DescribeFlowLogs": "InvalidFlowLogId.NotFound",
    "DescribeIamInstanceProfileAssociations": "InvalidAssociationID.NotFound",
    "DescribeManagedPrefixLists": "InvalidPrefixListID.NotFound",
    "DescribeNatGateways": "NatGatewayNotFound",
    "DescribePrefixLists": "InvalidPrefixListID.NotFound",
    "DescribeTransitGateways": "InvalidTransitGatewayID.NotFound",
    "DescribeVpcEndpoints": "InvalidVpcEndpointId.NotFound",
    "DescribeVpcPeeringConnections": "InvalidVpcPeeringConnectionID.NotFound",
    "DescribeVpnConnections": "InvalidVpnConnectionID.NotFound",
    "DescribeVpnGateways": "InvalidVpnGatewayID.NotFound",
}


@BY_ACTION
def test_an_id_is_missed(ec2: Any, name: str) -> None:
    prefix, _ = ABSENT[name]
    if prefix is None:
        assert name not in MISSED
        return
    ids = member(ec2, name, "Ids")
    ask = getattr(ec2, xform_name(name))
    with refusal(MISSED[name]):
        ask(**{ids: [f"{prefix}-0123456789abcdef0"]})
    with pytest.raises(ec2.exceptions.ClientError, match=rf"(Malformed|InvalidParameterValue).*'?{prefix}-\.\.\.'?"):
        ask(**{ids: ["i-0123456789abcdef0"]})
    with refusal(MISSED[name]):
        ec2.create_tags(Resources=[f"{prefix}-0123456789abcdef0"], Tags=[{"Key": "Name", "Value": "x"}])
