"""Launch templates through boto3: their versions, and what instances take from them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.query.face import Face
from tests.query.test_instances import bring, make_image, refusal, run, show

Data = dict[str, Any]


@pytest.fixture
def image(face: Face) -> str:
    return make_image(face)


def make(ec2: Any, name: str = "web", **data: Any) -> str:
    """The id of a new template."""
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data or {"InstanceType": "t3.micro"})
    id: str = made["LaunchTemplate"]["LaunchTemplateId"]
    return id


def versions(ec2: Any, **words: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_launch_template_versions(**words)["LaunchTemplateVersions"])


def launch(ec2: Any, template: dict[str, str], **more: Any) -> dict[str, Any]:
    (made,) = ec2.run_instances(**{"LaunchTemplate": template, "MinCount": 1, "MaxCount": 1, **more})["Instances"]
    return show(ec2, made["InstanceId"])


# -- templates and versions ---------------------------------------------------------------------------------------------------


def test_made_found_and_deleted(ec2: Any, face: Face) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    made = ec2.create_launch_template(
        LaunchTemplateName="web",
        VersionDescription="the first",
        LaunchTemplateData={"InstanceType": "t3.micro"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )["LaunchTemplate"]
    id = made["LaunchTemplateId"]
    assert (made["LaunchTemplateName"], made["DefaultVersionNumber"], made["LatestVersionNumber"]) == ("web", 1, 1)
    assert made["CreatedBy"] == f"arn:aws:iam::{face.first.account_id}:root"
    assert made["Tags"] == tags
    other = make(ec2, "other")
    shown = ec2.describe_launch_templates()["LaunchTemplates"]
    assert [row["LaunchTemplateId"] for row in shown] == [id, other]
    for words in (
        {"LaunchTemplateIds": [id]},
        {"LaunchTemplateNames": ["web"]},
        {"Filters": [{"Name": "launch-template-name", "Values": ["w*"]}]},
        {"Filters": [{"Name": "tag:a", "Values": ["b"]}]},
    ):
        assert ec2.describe_launch_templates(**words)["LaunchTemplates"] == [made]
    pages = ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 1})
    assert [row["LaunchTemplateName"] for page in pages for row in page["LaunchTemplates"]] == ["web", "other"]
    assert face.client(face.second).describe_launch_templates()["LaunchTemplates"] == []
    (version,) = versions(ec2, LaunchTemplateId=id)
    assert (version["VersionNumber"], version["DefaultVersion"], version["VersionDescription"]) == (1, True, "the first")
    assert version["LaunchTemplateData"] == {"InstanceType": "t3.micro"}
    ec2.delete_launch_template(LaunchTemplateName="web")
    assert refusal(lambda: ec2.describe_launch_templates(LaunchTemplateIds=[id])) == (
        "InvalidLaunchTemplateId.NotFound",
        f"The specified launch template, with template ID {id}, does not exist.",
    )
    assert ec2.describe_tags()["Tags"] == []
    make(ec2, "web")


Ask = Callable[[Any, str], Any]
REFUSALS: list[tuple[Ask, str, str]] = [
    (
        lambda ec2, id: make(ec2, "web"),
        "InvalidLaunchTemplateName.AlreadyExistsException",
        "Launch template name already in use.",
    ),
    (
        lambda ec2, id: make(ec2, "no blanks"),
        "InvalidLaunchTemplateName.MalformedException",
        "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following"
        " characters: - ( ) . / _.",
    ),
    (
        lambda ec2, id: ec2.create_launch_template(LaunchTemplateName="new", LaunchTemplateData={}),
        "MissingParameter",
        "The request must contain the parameter launchTemplateData",
    ),
    (
        lambda ec2, id: versions(ec2, LaunchTemplateName="none"),
        "InvalidLaunchTemplateName.NotFoundException",
        "The specified launch template, with template name none, does not exist.",
    ),
    (
        lambda ec2, id: ec2.describe_launch_templates(LaunchTemplateNames=["none"]),
        "InvalidLaunchTemplateName.NotFoundException",
        "At least one of the launch templates specified in the request does not exist.",
    ),
    (
        lambda ec2, id: versions(ec2, LaunchTemplateId="lt-0a"),
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID lt-0a, does not exist.",
    ),
    (
        lambda ec2, id: versions(ec2, LaunchTemplateId="web"),
        "InvalidLaunchTemplateId.Malformed",
        'Invalid id: "web" (expecting "lt-...")',
    ),
    (
        lambda ec2, id: versions(ec2, LaunchTemplateId=id, Versions=["3"]),
        "InvalidLaunchTemplateId.VersionNotFound",
        "Could not find the specified version 3 for the launch template with ID {id}.",
    ),
    (
        lambda ec2, id: versions(ec2),
        "MissingParameter",
        "The request must contain the parameter launch template ID or launch template name",
    ),
    (
        lambda ec2, id: ec2.modify_launch_template(LaunchTemplateId=id, DefaultVersion="2"),
        "InvalidLaunchTemplateId.VersionNotFound",
        "The launch template version 2 is not found for the specified launch template.",
    ),
    (
        lambda ec2, id: ec2.modify_launch_template(LaunchTemplateId=id, LaunchTemplateName="web", DefaultVersion="1"),
        "InvalidParameterCombination",
        "Either provide launch template ID or launch template name to modify the template.",
    ),
    (
        lambda ec2, id: ec2.modify_launch_template(LaunchTemplateId=id),
        "MissingParameter",
        "The request must contain the parameter SetDefaultVersion",
    ),
    (
        lambda ec2, id: make(ec2, "new", TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "aws:x"}]}]),
        "InvalidParameterValue",
        "Tag keys starting with 'aws:' are reserved for internal use",
    ),
    (
        lambda ec2, id: launch(ec2, {"LaunchTemplateId": id, "Version": "9"}),
        "InvalidLaunchTemplateId.VersionNotFound",
        "Could not find the specified version 9 for the launch template with ID {id}.",
    ),
    (
        lambda ec2, id: launch(ec2, {"LaunchTemplateId": id}),
        "MissingParameter",
        "The request must contain the parameter ImageId",
    ),
    (
        lambda ec2, id: launch(ec2, {"LaunchTemplateName": "none"}),
        "InvalidLaunchTemplateName.NotFoundException",
        "The specified launch template, with template name none, does not exist.",
    ),
]


def test_what_is_refused(ec2: Any, face: Face) -> None:
    id = make(ec2)
    before = face.everything()
    for ask, code, message in REFUSALS:
        assert refusal(lambda ask=ask: ask(ec2, id)) == (code, message.format(id=id))  # type: ignore[misc]
    assert face.everything() == before


def test_versions_come_and_go(ec2: Any, face: Face) -> None:
    id = make(
        ec2,
        InstanceType="t3.micro",
        KeyName="k",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-0a", "VolumeSize": 9}}],
    )
    make(ec2, "other")
    second = ec2.create_launch_template_version(
        LaunchTemplateId=id, SourceVersion="1", LaunchTemplateData={"InstanceType": "m5.large"}, VersionDescription="b"
    )["LaunchTemplateVersion"]
    assert (second["VersionNumber"], second["DefaultVersion"], second["VersionDescription"]) == (2, False, "b")
    assert second["LaunchTemplateData"] == {
        "InstanceType": "m5.large",
        "KeyName": "k",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9}}],
    }
    third = ec2.create_launch_template_version(LaunchTemplateName="web", LaunchTemplateData={"ImageId": "ami-0a"})
    assert third["LaunchTemplateVersion"]["LaunchTemplateData"] == {"ImageId": "ami-0a"}

    def numbers(**words: Any) -> list[int]:
        return [row["VersionNumber"] for row in versions(ec2, **{"LaunchTemplateId": id, **words})]

    assert numbers() == [1, 2, 3]
    assert numbers(Versions=["$Latest", "$Default"]) == [1, 3]
    assert numbers(MinVersion="2") == [2, 3]
    assert numbers(MaxVersion="2") == [1, 2]
    assert numbers(Filters=[{"Name": "instance-type", "Values": ["m5.*"]}]) == [2]
    assert numbers(Filters=[{"Name": "is-default-version", "Values": ["true"]}]) == [1]
    assert numbers(MaxResults=2) == [1, 2]
    latest = ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
    assert {row["LaunchTemplateName"]: row["VersionNumber"] for row in latest} == {"web": 3, "other": 1}
    assert face.client(face.second).describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"] == []
    assert ec2.modify_launch_template(LaunchTemplateId=id, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"] == 2
    answer = ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["2", "3", "7"])
    assert answer["SuccessfullyDeletedLaunchTemplateVersions"] == [
        {"LaunchTemplateId": id, "LaunchTemplateName": "web", "VersionNumber": 3}
    ]
    failed = {row["VersionNumber"]: row["ResponseError"]["Code"] for row in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]}
    assert failed == {2: "unexpectedError", 7: "launchTemplateVersionDoesNotExist"}
    assert numbers(Versions=["$Latest"]) == [2]
    ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData={"ImageId": "ami-0a"})
    assert numbers() == [1, 2, 4]  # a number is not used again


# -- instances from templates -------------------------------------------------------------------------------------------------


def test_an_instance_is_what_its_template_says(ec2: Any, image: str) -> None:
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    ec2.create_key_pair(KeyName="mine")
    data = base64.b64encode(b"hello").decode()
    id = make(
        ec2,
        ImageId=image,
        InstanceType="t3.micro",
        KeyName="mine",
        SecurityGroupIds=[group],
        UserData=data,
        MetadataOptions={"HttpTokens": "required"},
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2, "DeleteOnTermination": False}},
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "template"}, {"Key": "b", "Value": "template"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "v", "Value": "template"}]},
        ],
    )
    made = launch(ec2, {"LaunchTemplateId": id})
    assert (made["ImageId"], made["InstanceType"], made["KeyName"]) == (image, "t3.micro", "mine")
    assert made["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {
        "a": "template",
        "b": "template",
        "aws:ec2launchtemplate:id": id,
        "aws:ec2launchtemplate:version": "1",
    }
    attribute = ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")
    assert attribute["UserData"] == {"Value": data}
    shown = ec2.describe_volumes(Filters=[{"Name": "tag:v", "Values": ["template"]}])["Volumes"]
    assert sorted(volume["Size"] for volume in shown) == [2, 9]

    other = launch(
        ec2,
        {"LaunchTemplateName": "web", "Version": "$Default"},
        InstanceType="m5.large",
        SecurityGroups=["default"],
        MetadataOptions={"HttpPutResponseHopLimit": 5},
        BlockDeviceMappings=[
            {"DeviceName": "sdf", "Ebs": {"VolumeSize": 3}},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4}},
        ],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "request"}]}],
    )
    assert other["InstanceType"] == "m5.large"
    assert [row["GroupName"] for row in other["SecurityGroups"]] == ["default"]
    assert (other["MetadataOptions"]["HttpTokens"], other["MetadataOptions"]["HttpPutResponseHopLimit"]) == ("required", 5)
    tags = {tag["Key"]: tag["Value"] for tag in other["Tags"]}
    assert (tags["a"], tags["b"]) == ("request", "template")
    mine = {"Name": "attachment.instance-id", "Values": [other["InstanceId"]]}
    rows = [volume["Attachments"][0] | {"Size": volume["Size"]} for volume in ec2.describe_volumes(Filters=[mine])["Volumes"]]
    assert {row["Device"]: (row["Size"], row["DeleteOnTermination"]) for row in rows} == {
        "/dev/sda1": (9, True),
        "sdf": (3, False),
        "/dev/sdg": (4, True),
    }


@pytest.mark.parametrize(
    ("selector", "type", "number"), [(None, "t3.small", "2"), ("$Latest", "t3.large", "3"), ("1", "t3.micro", "1")]
)
def test_a_version_is_chosen(ec2: Any, image: str, selector: str | None, type: str, number: str) -> None:
    id = make(ec2, ImageId=image, InstanceType="t3.micro")
    for other in ("t3.small", "t3.large"):
        ec2.create_launch_template_version(
            LaunchTemplateId=id, SourceVersion="$Latest", LaunchTemplateData={"InstanceType": other}
        )
    ec2.modify_launch_template(LaunchTemplateId=id, DefaultVersion="2")
    made = launch(ec2, {"LaunchTemplateId": id} | ({"Version": selector} if selector else {}))
    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"]}
    assert (made["InstanceType"], tags["aws:ec2launchtemplate:version"]) == (type, number)


def test_what_a_template_says_is_refused_as_if_the_request_had_said_it(ec2: Any, image: str) -> None:
    profile = make(ec2, "profile", ImageId=image, IamInstanceProfile={"Name": "admin"})
    needs = {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}}
    requirements = make(ec2, "requirements", ImageId=image, InstanceRequirements=needs)
    spot = make(ec2, "spot", ImageId=image, InstanceMarketOptions={"MarketType": "spot"})
    assert refusal(lambda: launch(ec2, {"LaunchTemplateId": profile}))[0] == "InvalidParameterValue"
    assert refusal(lambda: launch(ec2, {"LaunchTemplateId": requirements}))[0] == "UnsupportedOperation"
    assert refusal(lambda: launch(ec2, {"LaunchTemplateId": spot}))[0] == "Unsupported"
    card = make(ec2, "card", ImageId=image, NetworkInterfaces=[{"DeviceIndex": 0, "Description": "first"}])
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    assert refusal(lambda: launch(ec2, {"LaunchTemplateId": card}, InstanceType="t3.micro", SubnetId=subnet)) == (
        "InvalidParameterCombination",
        "Network interfaces and an instance-level subnet ID may not be specified on the same request",
    )
    (interface,) = launch(ec2, {"LaunchTemplateId": card}, InstanceType="t3.micro")["NetworkInterfaces"]
    assert interface["Description"] == "first"


def test_a_template_from_an_instance_makes_another_like_it(ec2: Any, face: Face, image: str) -> None:
    first = run(
        ec2,
        image,
        InstanceType="t3.micro",
        CreditSpecification={"CpuCredits": "standard"},
        CpuOptions={"CoreCount": 1, "ThreadsPerCore": 1},
        DisableApiStop=True,
        Monitoring={"Enabled": True},
        UserData=base64.b64encode(b"hello").decode(),
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2, "VolumeType": "gp3"}}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    bring(face, first["InstanceId"], "running")
    data = ec2.get_launch_template_data(InstanceId=first["InstanceId"])["LaunchTemplateData"]
    assert data["NetworkInterfaces"][0]["PrivateIpAddresses"][0]["PrivateIpAddress"] == first["PrivateIpAddress"]
    for card in data["NetworkInterfaces"]:  # the addresses are taken
        del card["PrivateIpAddresses"], card["Ipv6Addresses"]
    del data["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]  # that of the image, which a launch may not name anew
    data["BlockDeviceMappings"][0]["Ebs"].pop("Encrypted")
    data["CapacityReservationSpecification"] = {"CapacityReservationPreference": "open"}
    del data["Placement"]["GroupName"]
    template = make(ec2, "again", **data)
    again = launch(ec2, {"LaunchTemplateId": template})
    bring(face, again["InstanceId"], "running")
    twin = ec2.get_launch_template_data(InstanceId=again["InstanceId"])["LaunchTemplateData"]
    assert {tag["Key"] for tag in twin["TagSpecifications"][0]["Tags"]} == {"a"}
    whole = ec2.get_launch_template_data(InstanceId=first["InstanceId"])["LaunchTemplateData"]
    for one in (whole, twin):
        del one["NetworkInterfaces"][0]["PrivateIpAddresses"]
    assert twin == whole
