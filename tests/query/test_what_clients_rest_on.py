"""What Terraform, Packer and others rest on beyond AWS's reference: their very words, and what they look for in an answer.

The clients themselves are asked in `conformance/`, as far as they can be had; here is what their sources look at.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, refusal, run, show


@pytest.fixture
def image(face: Face) -> str:
    return make_image(face)


@pytest.fixture
def running(face: Face, ec2: Any, image: str) -> str:
    id: str = run(ec2, image, Placement={"AvailabilityZone": ZONES[0]})["InstanceId"]
    bring(face, id, "running")
    return id


def free_volume(face: Face, ec2: Any, **more: Any) -> str:
    id: str = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1, **more)["VolumeId"]
    with face.database.write() as tx:
        tx.db.query(records.Volume).filter_by(id=id).one().state = "available"
    return id


# -- Terraform ----------------------------------------------------------------------------------------------------------------


def test_an_attachment_is_looked_for_by_volume_and_filters(face: Face, ec2: Any, running: str) -> None:
    volume = free_volume(face, ec2)

    def found() -> list[str]:
        named = {"attachment.device": "/dev/sdh", "attachment.instance-id": running}
        filters = [{"Name": name, "Values": [value]} for name, value in named.items()]
        return [row["State"] for row in ec2.describe_volumes(VolumeIds=[volume], Filters=filters)["Volumes"]]

    assert found() == [], "which is no error"
    ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdh")
    assert found() == ["in-use"]
    assert show(ec2, running)["BlockDeviceMappings"][-1]["DeviceName"] == "/dev/sdh"


def test_what_is_detached_already_says_so(face: Face, ec2: Any, running: str) -> None:
    volume = free_volume(face, ec2)
    code, message = refusal(lambda: ec2.detach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdh", Force=False))
    assert (code, "available" in message) == ("IncorrectState", True)


def test_an_image_is_registered_with_empty_words(face: Face, ec2: Any) -> None:
    """What has no value is sent as the empty text."""
    snapshot = ec2.describe_images(ImageIds=[make_image(face)])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    words = {
        "Architecture": "x86_64",
        "Name": "ours",
        "RootDeviceName": "/dev/sda1",
        "SriovNetSupport": "simple",
        "EnaSupport": "true",
    }
    empty = dict.fromkeys(("Description", "ImageLocation", "KernelId", "RamdiskId", "BootMode", "ImdsSupport", "TpmSupport"), "")
    mapping = {
        "BlockDeviceMapping.1.DeviceName": "/dev/sda1",
        "BlockDeviceMapping.1.Ebs.SnapshotId": snapshot,
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
        "BlockDeviceMapping.1.Ebs.VolumeType": "standard",
    }
    reply = face.send({"Action": "RegisterImage", "Version": "2016-11-15"} | words | empty | mapping)
    assert reply.status == 200, reply.text
    (shown,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["ours"]}])["Images"]
    assert {"PlatformDetails", "UsageOperation", "RootDeviceName", "CreationDate"} <= shown.keys()
    assert shown["VirtualizationType"] == "paravirtual" and "BootMode" not in shown
    ebs = shown["BlockDeviceMappings"][0]["Ebs"]
    assert ebs.keys() >= {"SnapshotId", "VolumeSize", "VolumeType", "DeleteOnTermination", "Encrypted"}
    # The newest is found by this text.
    datetime.datetime.strptime(shown["CreationDate"], "%Y-%m-%dT%H:%M:%S.%fZ")


def test_metadata_options_are_pending_and_then_applied(ec2: Any, running: str) -> None:
    said = ec2.modify_instance_metadata_options(InstanceId=running, HttpTokens="required")
    assert said["InstanceMetadataOptions"]["State"] == "pending"
    assert show(ec2, running)["MetadataOptions"] == show(ec2, running)["MetadataOptions"] | {
        "HttpTokens": "required",
        "State": "applied",
    }


def test_a_launch_that_failed_tells_why(face: Face, ec2: Any, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "terminated")
    assert show(ec2, id)["StateReason"] == {
        "Code": "Client.UserInitiatedShutdown",
        "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
    }


def test_a_template_is_found_again_by_its_tags(ec2: Any, image: str) -> None:
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"})
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    id = run(ec2, image, LaunchTemplate={"LaunchTemplateId": template})["InstanceId"]
    keys = ["aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version"]
    asked = [{"Name": "resource-id", "Values": [id]}, {"Name": "key", "Values": keys}]
    assert {row["Key"]: row["Value"] for row in ec2.describe_tags(Filters=asked)["Tags"]} == dict(
        zip(keys, [template, "1"], strict=True)
    )


def test_what_is_gone_is_not_found(face: Face, ec2: Any) -> None:
    """The code that ends the wait for a deletion."""
    volume = free_volume(face, ec2)
    ec2.delete_volume(VolumeId=volume)
    with face.database.write() as tx:
        tx.db.query(records.Volume).filter_by(id=volume).delete()
    assert refusal(lambda: ec2.describe_volumes(VolumeIds=[volume]))[0] == "InvalidVolume.NotFound"
    assert refusal(lambda: ec2.delete_volume(VolumeId=volume))[0] == "InvalidVolume.NotFound"
    image = make_image(face)
    ec2.deregister_image(ImageId=image)
    assert refusal(lambda: ec2.describe_images(ImageIds=[image]))[0].startswith("InvalidAMIID")


# -- Packer -------------------------------------------------------------------------------------------------------------------


def test_a_builder_s_launch(face: Face, ec2: Any, image: str) -> None:
    """Empty texts for what is not wished, and a list of disks not to be had of which the image has none."""
    said = {
        "Action": "RunInstances",
        "Version": "2016-11-15",
        "ImageId": image,
        "MinCount": "1",
        "MaxCount": "1",
        "InstanceType": "t2.micro",
        "BlockDeviceMapping.1.DeviceName": "/dev/sda1",
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "false",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "9",
        "BlockDeviceMapping.1.Ebs.VolumeType": "gp2",
    }
    empty = dict.fromkeys(("Placement.AvailabilityZone", "SubnetId", "IamInstanceProfile.Name", "UserData"), "")
    gone = {
        f"BlockDeviceMapping.{number}.{member}": value
        for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz", 2)
        for member, value in (("DeviceName", f"xvdc{letter}"), ("NoDevice", ""))
    }
    reply = face.send(said | empty | gone)
    assert reply.status == 200, reply.text
    id = reply.xml.find(".//{*}instanceId").text
    bring(face, id, "running")
    shown = show(ec2, id)
    assert {"PublicDnsName", "PrivateDnsName", "PrivateIpAddress"} <= shown.keys()
    (row,) = shown["BlockDeviceMappings"]
    assert (row["DeviceName"], row["Ebs"]["DeleteOnTermination"]) == ("/dev/sda1", False)


def test_an_image_too_early_is_tried_again_for_this_text(face: Face, ec2: Any, image: str) -> None:
    pending = run(ec2, image)["InstanceId"]
    code, message = refusal(lambda: ec2.create_image(InstanceId=pending, Name="early"))
    assert (code, message.startswith("Instance is not in state")) == ("InvalidParameterValue", True)


def test_a_name_that_is_free_is_none(ec2: Any) -> None:
    assert ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["packer-1"]}])["Images"] == []


# -- Kubernetes, Ansible ------------------------------------------------------------------------------------------------------


def test_disks_of_a_cluster(face: Face, ec2: Any, running: str) -> None:
    """Names of two letters; the same wish twice; a second change at once."""
    said = {"AvailabilityZone": ZONES[0], "Size": 1, "ClientToken": "claim"}
    volume = free_volume(face, ec2, ClientToken="claim")
    assert ec2.create_volume(**said)["VolumeId"] == volume
    assert refusal(lambda: ec2.create_volume(**said | {"Size": 2}))[0] == "IdempotentParameterMismatch"
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/xvdba")
    assert (attached["Device"], attached["State"]) == ("/dev/xvdba", "attaching")
    other = run(ec2, make_image(face), Placement={"AvailabilityZone": ZONES[0]})["InstanceId"]
    bring(face, other, "running")
    assert refusal(lambda: ec2.attach_volume(VolumeId=volume, InstanceId=other, Device="/dev/xvdbb"))[0] == "VolumeInUse"
    spare = free_volume(face, ec2)
    ec2.modify_volume(VolumeId=spare, Size=2)
    assert refusal(lambda: ec2.modify_volume(VolumeId=spare, Size=3))[0] == "IncorrectModificationState"


def test_another_s_image_tells_no_attributes(face: Face, ec2: Any, image: str) -> None:
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    other = face.client(face.second)
    assert refusal(lambda: other.describe_image_attribute(ImageId=image, Attribute="launchPermission"))[0] == "AuthFailure"
