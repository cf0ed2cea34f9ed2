"""Placement groups through boto3: made, found, filled to their limits, and left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, refusal, run, show


@pytest.fixture
def image(face: Face) -> str:
    return make_image(face)


def groups(ec2: Any, **words: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_placement_groups(**words)["PlacementGroups"])


def test_made_found_and_deleted(ec2: Any, face: Face) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    made = ec2.create_placement_group(
        GroupName="near", Strategy="cluster", TagSpecifications=[{"ResourceType": "placement-group", "Tags": tags}]
    )["PlacementGroup"]
    assert made == {
        "GroupName": "near",
        "State": "available",
        "Strategy": "cluster",
        "GroupId": made["GroupId"],
        "Tags": tags,
        "GroupArn": f"arn:aws:ec2:us-east-1:{face.first.account_id}:placement-group/near",
    }
    ec2.create_placement_group(GroupName="apart", Strategy="spread")
    ec2.create_placement_group(GroupName="parts", PartitionCount=3)
    assert {row["GroupName"]: (row.get("SpreadLevel"), row.get("PartitionCount")) for row in groups(ec2)} == {
        "near": (None, None),
        "apart": ("rack", None),
        "parts": (None, 3),
    }
    assert groups(ec2, GroupNames=["near"]) == groups(ec2, GroupIds=[made["GroupId"]]) == [made]
    assert [row["GroupName"] for row in groups(ec2, Filters=[{"Name": "strategy", "Values": ["s*"]}])] == ["apart"]
    assert groups(ec2, Filters=[{"Name": "tag:a", "Values": ["b"]}]) == [made]
    assert groups(face.client(face.second)) == []
    ec2.delete_placement_group(GroupName="near")
    unknown = ("InvalidPlacementGroup.Unknown", "The Placement Group 'near' is unknown.")
    assert refusal(lambda: groups(ec2, GroupNames=["near"])) == unknown
    assert refusal(lambda: ec2.delete_placement_group(GroupName="near")) == unknown
    assert ec2.describe_tags()["Tags"] == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"GroupName": "there", "Strategy": "cluster"}, "InvalidPlacementGroup.Duplicate"),
        ({"GroupName": "g"}, "MissingParameter"),
        ({"Strategy": "cluster"}, "MissingParameter"),
        ({"GroupName": "g", "Strategy": "heap"}, "InvalidParameterValue"),
        ({"GroupName": "ä", "Strategy": "cluster"}, "InvalidParameterValue"),
        ({"GroupName": "g", "Strategy": "cluster", "PartitionCount": 2}, "InvalidParameterCombination"),
        ({"GroupName": "g", "Strategy": "partition", "PartitionCount": 8}, "InvalidParameterValue"),
        ({"GroupName": "g", "Strategy": "spread", "SpreadLevel": "host"}, "Unsupported"),
        ({"GroupName": "g", "Strategy": "cluster", "SpreadLevel": "rack"}, "InvalidParameterDependency"),
        ({"GroupName": "g", "Strategy": "cluster", "LinkedGroupId": "pg-0a"}, "UnsupportedOperation"),
    ],
)
def test_a_group_that_cannot_be(ec2: Any, said: dict[str, Any], code: str) -> None:
    ec2.create_placement_group(GroupName="there", Strategy="cluster")
    assert refusal(lambda: ec2.create_placement_group(**said))[0] == code
    assert len(groups(ec2)) == 1


def test_an_instance_in_a_group(ec2: Any, face: Face, image: str) -> None:
    made = ec2.create_placement_group(GroupName="near", Strategy="cluster")["PlacementGroup"]
    id = run(ec2, image, Placement={"GroupName": "near"})["InstanceId"]
    other = run(ec2, image, Placement={"GroupId": made["GroupId"]})
    assert (other["Placement"]["GroupName"], other["Placement"]["GroupId"]) == ("near", made["GroupId"])
    found = ec2.describe_instances(Filters=[{"Name": "placement-group-name", "Values": ["near"]}])["Reservations"]
    assert {part["Instances"][0]["InstanceId"] for part in found} == {id, other["InstanceId"]}
    in_use = ("InvalidPlacementGroup.InUse", "The placement group 'near' is in use and may not be deleted.")
    bring(face, other["InstanceId"], "terminated")
    assert refusal(lambda: ec2.delete_placement_group(GroupName="near")) == in_use
    code, _ = refusal(lambda: ec2.modify_instance_placement(InstanceId=id, GroupName=""))
    assert code == "IncorrectInstanceState"
    bring(face, id, "stopped")
    ec2.modify_instance_placement(InstanceId=id, GroupName="")
    assert show(ec2, id)["Placement"]["GroupName"] == ""
    ec2.delete_placement_group(GroupName="near")
    assert show(ec2, other["InstanceId"])["State"]["Name"] == "terminated"


def test_a_spread_group_takes_seven_of_a_zone(ec2: Any, image: str) -> None:
    ec2.create_placement_group(GroupName="apart", Strategy="spread")
    words = {"ImageId": image, "InstanceType": "m5.large"}
    apart = {"GroupName": "apart", "AvailabilityZone": ZONES[0]}
    many = refusal(lambda: ec2.run_instances(**words, MinCount=8, MaxCount=9, Placement=apart))
    assert many[0] == "InsufficientInstanceCapacity"
    assert len(ec2.run_instances(**words, MinCount=1, MaxCount=9, Placement=apart)["Instances"]) == 7
    code, message = refusal(lambda: run(ec2, image, Placement=apart))
    assert (code, "'apart'" in message) == ("InsufficientInstanceCapacity", True)
    run(ec2, image, Placement=apart | {"AvailabilityZone": ZONES[1]})


def test_a_cluster_has_no_burstable_instances(ec2: Any, face: Face, image: str) -> None:
    ec2.create_placement_group(GroupName="near", Strategy="cluster")
    code, message = refusal(lambda: run(ec2, image, InstanceType="t3.micro", Placement={"GroupName": "near"}))
    assert (code, message) == (
        "InvalidParameterCombination",
        "Cluster placement groups are not supported by the 't3.micro' instance type. Specify a supported instance type or change"
        " the placement group strategy, and try again.",
    )
    for type, supported in (("t3.micro", ["partition", "spread"]), ("m5.large", ["cluster", "partition", "spread"])):
        (shown,) = ec2.describe_instance_types(InstanceTypes=[type])["InstanceTypes"]
        assert shown["PlacementGroupInfo"]["SupportedStrategies"] == supported
    id = run(ec2, image, InstanceType="t3.micro")["InstanceId"]
    bring(face, id, "stopped")
    assert refusal(lambda: ec2.modify_instance_placement(InstanceId=id, GroupName="near"))[0] == "InvalidParameterCombination"


def test_partitions_fill_evenly(ec2: Any, face: Face, image: str) -> None:
    ec2.create_placement_group(GroupName="parts", Strategy="partition", PartitionCount=3)
    run(ec2, image, Placement={"GroupName": "parts", "PartitionNumber": 2})
    words = {"ImageId": image, "InstanceType": "m5.large", "Placement": {"GroupName": "parts"}}
    rows = ec2.run_instances(**words, MinCount=3, MaxCount=3)["Instances"]
    assert [row["Placement"]["PartitionNumber"] for row in rows] == [1, 3, 1]
    found = ec2.describe_instances(Filters=[{"Name": "placement-partition-number", "Values": ["1"]}])["Reservations"]
    assert sum(len(part["Instances"]) for part in found) == 2
    for said in ({"GroupName": "parts", "PartitionNumber": 4}, {"GroupName": "parts", "PartitionNumber": 0}):
        assert refusal(lambda said=said: run(ec2, image, Placement=said))[0] == "InvalidParameterValue"  # type: ignore[misc]
    assert refusal(lambda: run(ec2, image, Placement={"PartitionNumber": 1}))[0] == "InvalidParameterCombination"
    id = rows[0]["InstanceId"]
    bring(face, id, "stopped")
    ec2.modify_instance_placement(InstanceId=id, GroupName="parts", PartitionNumber=3)
    assert show(ec2, id)["Placement"]["PartitionNumber"] == 3
    assert refusal(lambda: ec2.modify_instance_placement(InstanceId=id, Tenancy="host"))[0] == "Unsupported"
    ec2.modify_instance_placement(InstanceId=id, Tenancy="default")
    assert show(ec2, id)["Placement"]["PartitionNumber"] == 3
