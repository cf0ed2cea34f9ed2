"""Images between two accounts, and what is said of them after they are made, through boto3 and the raw wire."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.cloud import images, snapshots
from ec2gw.model import bdm
from ec2gw.query import api, wire
from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, run
from tests.served import Key


@contextmanager
def refusal(code: str, message: str | None = None) -> Iterator[None]:
    """The block must be refused with this code, and this message where one is named."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert (error["Code"], message or error["Message"]) == (code, error["Message"])


def new_snapshot(face: Face, key: Key | None = None) -> str:
    """A completed snapshot of 1 GiB."""
    with face.database.write() as tx:
        made = snapshots.begin_fill(tx, (key or face.first).account_id, 1, ZONES[0], "imported")
        tx.db.flush()
        snapshots.completed(tx, made.id)
        return made.id


def new_image(face: Face, name: str = "golden", key: Key | None = None) -> str:
    account = (key or face.first).account_id
    snapshot = new_snapshot(face, key)
    like = images.Registration(name, "/dev/sda1", "the golden one", "x86_64", "hvm", {"ImdsSupport": "v2.0"})
    with face.database.write() as tx:
        return images.register(tx, account, like, [bdm.Line("/dev/sda1", snapshot_id=snapshot)]).id


@pytest.fixture
def image(face: Face) -> str:
    return new_image(face)


@pytest.fixture
def other(face: Face) -> Any:
    """The second account's client."""
    return face.client(face.second)


def listed(client: Any, **asked: Any) -> list[str]:
    return [row["ImageId"] for row in client.describe_images(**asked)["Images"]]


def permissions(ec2: Any, image: str) -> list[dict[str, str]]:
    found = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    assert found["ImageId"] == image
    rows: list[dict[str, str]] = found["LaunchPermissions"]
    return rows


# -- sharing --------------------------------------------------------------------------------------------------------------------


def test_a_shared_image_is_seen_and_launched_and_nothing_else(face: Face, ec2: Any, other: Any, image: str) -> None:
    ec2.create_tags(Resources=[image], Tags=[{"Key": "secret", "Value": "s"}])
    with refusal("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist"):
        other.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    assert listed(other) == []
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": face.second.account_id}]})
    assert permissions(ec2, image) == [{"UserId": face.second.account_id}]
    (seen,) = other.describe_images(ImageIds=[image])["Images"]
    assert (seen["OwnerId"], seen["Public"], seen.get("Tags", [])) == (face.first.account_id, False, [])
    assert listed(other, Filters=[{"Name": "tag:secret", "Values": ["s"]}]) == []
    (instance,) = other.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    assert instance["ImageId"] == image
    snapshot = seen["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist."):
        other.create_volume(AvailabilityZone=ZONES[0], SnapshotId=snapshot)
    with refusal("AuthFailure", f"Not authorized for image:{image}"):
        other.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    for change in (other.deregister_image, other.disable_image, other.enable_image_deregistration_protection):
        with refusal("AuthFailure", f"Not authorized for image:{image}"):
            change(ImageId=image)
    with refusal("InvalidRequest", "You do not have permission to access the storage of this ami"):
        other.copy_image(Name="mine", SourceImageId=image, SourceRegion="us-east-1")
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": face.second.account_id}]})
    assert listed(other) == []
    assert permissions(ec2, image) == []


def test_whose_images_are_listed(face: Face, ec2: Any, other: Any, image: str) -> None:
    public, theirs = new_image(face, "public"), new_image(face, "theirs", face.second)
    me, they = face.first.account_id, face.second.account_id
    ec2.modify_image_attribute(ImageId=public, LaunchPermission={"Add": [{"Group": "all"}]})
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": they}]})
    assert listed(other) == [image, public, theirs]
    assert listed(other, Owners=["self"]) == listed(other, Owners=[they]) == [theirs]
    assert listed(other, Owners=[me]) == [image, public]
    assert listed(other, Owners=["amazon"]) == []
    assert listed(other, Owners=[me, "self"]) == [image, public, theirs]
    assert listed(other, ExecutableUsers=["self"]) == listed(other, ExecutableUsers=[they]) == [image]
    assert listed(other, ExecutableUsers=["all"]) == [public]
    assert listed(ec2, ExecutableUsers=[they]) == [image], "an owner may ask whom he shares with"
    third = face.client(face.key("third"))
    assert listed(third, ExecutableUsers=[they]) == [], "and nobody else may"
    assert listed(third) == [public]
    assert listed(ec2, ExecutableUsers=["self"]) == []
    assert listed(third, Filters=[{"Name": "is-public", "Values": ["true"]}]) == [public]
    with refusal("InvalidUserID.Malformed", 'Invalid user id: "bob"'):
        ec2.describe_images(ExecutableUsers=["bob"])


def test_the_forms_of_a_launch_permission(face: Face, ec2: Any, image: str) -> None:
    they = face.second.account_id
    assert (
        face.ask("ModifyImageAttribute", ImageId=image, Attribute="launchPermission", OperationType="add", UserId__1=they).code
        is None
    )
    assert face.ask("ModifyImageAttribute", ImageId=image, OperationType="add", UserGroup__1="all", UserId__1=they).code is None
    assert permissions(ec2, image) == [{"UserId": they}, {"Group": "all"}]
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["Public"] is True
    face.ask(
        "ModifyImageAttribute", ImageId=image, LaunchPermission__Remove__1__Group="all", LaunchPermission__Add__1__UserId="1" * 12
    )
    assert permissions(ec2, image) == [{"UserId": row} for row in sorted(("1" * 12, they))]
    face.ask("ModifyImageAttribute", ImageId=image, Attribute="launchPermission", OperationType="remove", UserId__1=they)
    assert permissions(ec2, image) == [{"UserId": "1" * 12}]
    face.ask("ResetImageAttribute", ImageId=image, Attribute="launchPermission")
    assert permissions(ec2, image) == []


ITEM = "InvalidAMIAttributeItemValue"
REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("nothing", {}, "InvalidParameterCombination"),
    ("unsupported", {"Attribute": "kernel", "Value": "aki-1"}, "InvalidParameterCombination"),
    ("unknown", {"Attribute": "colour", "Value": "red"}, "InvalidParameterCombination"),
    ("mapping", {"Attribute": "blockDeviceMapping"}, "InvalidParameter"),
    ("description without value", {"Attribute": "description"}, "MissingParameter"),
    ("nobody", {"Attribute": "launchPermission"}, "InvalidParameterCombination"),
    ("no users", {"Attribute": "launchPermission", "OperationType": "add"}, "InvalidParameterCombination"),
    ("no operation", {"Attribute": "launchPermission", "UserId.1": "1" * 12}, "InvalidParameterCombination"),
    ("operation", {"OperationType": "grow", "UserId.1": "1" * 12}, "InvalidParameterValue"),
    ("user", {"OperationType": "add", "UserId.1": "bob"}, ITEM),
    ("user among others", {"LaunchPermission.Add.1.UserId": "1" * 12, "LaunchPermission.Add.2.UserId": "12-34"}, ITEM),
    ("group", {"LaunchPermission.Add.1.Group": "none"}, ITEM),
    ("organization", {"LaunchPermission.Add.1.OrganizationArn": "arn:aws:o"}, "UnsupportedOperation"),
    ("organization, old form", {"OperationType": "add", "OrganizationArn.1": "arn:aws:o"}, "UnsupportedOperation"),
    ("two attributes", {"Description.Value": "d", "LaunchPermission.Add.1.Group": "all"}, "InvalidParameterCombination"),
    ("imds", {"ImdsSupport.Value": "v1.0"}, "InvalidParameterValue"),
    ("long", {"Description.Value": "d" * 256}, "InvalidParameterValue"),
]


@pytest.mark.parametrize(("params", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_modify_refuses(face: Face, image: str, params: dict[str, str], code: str) -> None:
    before = face.everything()
    assert face.send({"Action": "ModifyImageAttribute", "Version": "2016-11-15", "ImageId": image, **params}).code == code
    assert face.everything() == before, "nothing is applied"


def test_item_value_names_what_is_wrong(ec2: Any, image: str) -> None:
    with refusal(ITEM, 'Invalid attribute item value "bob" for userId item type.'):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "bob"}]})


# -- attributes -----------------------------------------------------------------------------------------------------------------


def test_attributes(face: Face, ec2: Any, image: str) -> None:
    def read(attribute: str) -> Any:
        answer = ec2.describe_image_attribute(ImageId=image, Attribute=attribute)
        return {name: value for name, value in answer.items() if name not in ("ResponseMetadata", "ImageId")}

    assert read("description") == {"Description": {"Value": "the golden one"}}
    assert read("imdsSupport") == {"ImdsSupport": {"Value": "v2.0"}}
    assert read("kernel") == {"KernelId": {}}
    assert read("productCodes") == {"ProductCodes": []}
    assert read("deregistrationProtection") == {"DeregistrationProtection": {"Value": "disabled"}}
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "another"})
    assert read("description") == {"Description": {"Value": "another"}}
    face.ask("ModifyImageAttribute", ImageId=image, Attribute="description", Value="a third")
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["Description"] == "a third"
    assert read("lastLaunchedTime") == {"LastLaunchedTime": {}}
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    assert read("lastLaunchedTime")["LastLaunchedTime"]["Value"].endswith("Z")
    with refusal("AuthFailure", "Unauthorized attempt to access restricted resource"):
        read("blockDeviceMapping")
    with refusal("InvalidRequest", "The request received was invalid"):
        read("colour")
    with refusal("InvalidRequest", "The request received was invalid"):
        ec2.reset_image_attribute(ImageId=image, Attribute="description")


def test_uefi_data_is_kept_and_not_listed(face: Face, ec2: Any) -> None:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": new_snapshot(face)}}
    image = ec2.register_image(Name="uefi", RootDeviceName="/dev/sda1", UefiData="QUJD", BlockDeviceMappings=[disk])["ImageId"]
    assert ec2.describe_image_attribute(ImageId=image, Attribute="uefiData")["UefiData"] == {"Value": "QUJD"}
    assert listed(ec2, ImageIds=[image]) == [image]


# -- use and removal ------------------------------------------------------------------------------------------------------------


def test_a_disabled_image_is_nobodys_to_launch(face: Face, ec2: Any, other: Any, image: str) -> None:
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": face.second.account_id}]})
    assert ec2.disable_image(ImageId=image)["Return"] is True
    assert listed(ec2) == listed(ec2, ImageIds=[image]) == listed(other) == []
    (seen,) = ec2.describe_images(ImageIds=[image], IncludeDisabled=True)["Images"]
    assert seen["State"] == "disabled"
    assert permissions(ec2, image) == []
    with refusal("InvalidAMIID.Unavailable", f"The image id '[{image}]' is no longer available"):
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    with refusal("IncorrectState", f"The image '{image}' is in the 'disabled' state."):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    with refusal("InvalidAMIName.Duplicate", f"AMI name golden is already in use by AMI {image}"):
        ec2.copy_image(Name="golden", SourceImageId=new_image(face, "another"), SourceRegion="us-east-1")
    assert ec2.disable_image(ImageId=image)["Return"] is True
    assert ec2.enable_image(ImageId=image)["Return"] is True
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available"
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)


def test_a_deprecated_image_is_hidden_from_others_only(face: Face, ec2: Any, other: Any, image: str) -> None:
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    now = datetime.datetime.now(datetime.UTC)
    soon = now + datetime.timedelta(days=1)
    assert ec2.enable_image_deprecation(ImageId=image, DeprecateAt=soon)["Return"] is True
    (seen,) = other.describe_images(ImageIds=[image])["Images"]
    rounded = (soon + datetime.timedelta(seconds=30)).replace(second=0, microsecond=0)
    assert seen["DeprecationTime"] == f"{rounded:%Y-%m-%dT%H:%M:%S}.000Z"
    assert listed(other) == [image]
    face.database.clock = lambda: datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    assert ask(face, "DescribeImages", face.second) == []
    assert ask(face, "DescribeImages", face.second, IncludeDeprecated="true") == [image]
    assert ask(face, "DescribeImages", face.second, **{"ImageId.1": image}) == [image]
    assert ask(face, "DescribeImages", face.first) == [image]
    face.database.clock = lambda: datetime.datetime.now(datetime.UTC)
    assert ec2.disable_image_deprecation(ImageId=image)["Return"] is True
    assert "DeprecationTime" not in ec2.describe_images(ImageIds=[image])["Images"][0]
    with refusal("InvalidParameterValue", "The deprecation time must be in the future."):
        ec2.enable_image_deprecation(ImageId=image, DeprecateAt=now - datetime.timedelta(minutes=2))
    with refusal("InvalidParameterValue", "The deprecation time must be within 2 years."):
        ec2.enable_image_deprecation(ImageId=image, DeprecateAt=now + datetime.timedelta(days=800))
    ec2.reset_image_attribute(ImageId=image, Attribute="launchPermission")
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt=now + datetime.timedelta(days=800))
    with refusal("InvalidParameterValue", "The deprecation time must be within 2 years."):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    with refusal("InvalidParameterValue", "The deprecation time must be within 10 years."):
        ec2.enable_image_deprecation(ImageId=image, DeprecateAt=now + datetime.timedelta(days=4_000))
    with refusal("InvalidParameterValue", "The deprecation time must be within 10 years."):
        ec2.enable_image_deprecation(ImageId=image, DeprecateAt="9999-12-31T23:59:59Z")


def ask(face: Face, action: str, key: Key, **params: str) -> list[str]:
    """Answered at the clock's time: a signature of now would be too old by then."""
    region = api.Region("us-east-1", ZONES, "127.0.0.1:8773")
    with face.database.read() as tx:
        call = api.Call(key.account_id, key.id, "us-east-1", "2016-11-15", tx, region)
        request = wire.read(action, "2016-11-15", list(params.items()))
        return [row["ImageId"] for row in api.REGISTER[action].run(call, request)["Images"]]


def test_a_protected_image_cannot_be_deregistered(face: Face, ec2: Any, image: str) -> None:
    def shown() -> str:
        return str(ec2.describe_images(ImageIds=[image])["Images"][0]["DeregistrationProtection"])

    assert ec2.enable_image_deregistration_protection(ImageId=image)["Return"] == "true"
    assert shown() == "enabled-without-cooldown"
    with refusal("OperationNotPermitted", f"The image '{image}' is protected against deregistration."):
        ec2.deregister_image(ImageId=image)
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=True)
    assert shown() == "enabled-with-cooldown"
    assert ec2.disable_image_deregistration_protection(ImageId=image)["Return"] == "true"
    with refusal("OperationNotPermitted", f"The image '{image}' is protected against deregistration."):
        ec2.deregister_image(ImageId=image)
    assert shown().startswith("disabled-after-cooldown")
    ec2.enable_image_deregistration_protection(ImageId=image)
    ec2.disable_image_deregistration_protection(ImageId=image)
    assert shown() == "disabled"
    assert ec2.deregister_image(ImageId=image)["Return"] is True
    with refusal("InvalidAMIID.Unavailable", f"The image id '[{image}]' is no longer available"):
        ec2.deregister_image(ImageId=image)


def test_block_public_access(ec2: Any, image: str) -> None:
    assert ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "unblocked"
    answer = ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    assert answer["ImageBlockPublicAccessState"] == "block-new-sharing"
    assert ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "block-new-sharing"
    with refusal("OperationNotPermitted"):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "1" * 12}]})
    assert ec2.disable_image_block_public_access()["ImageBlockPublicAccessState"] == "unblocked"
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    with refusal("InvalidParameterValue"):
        ec2.enable_image_block_public_access(ImageBlockPublicAccessState="open")


# -- copies ---------------------------------------------------------------------------------------------------------------------


def test_a_copy_has_snapshots_of_its_own(face: Face, ec2: Any, image: str) -> None:
    ec2.create_tags(Resources=[image], Tags=[{"Key": "kept", "Value": "k"}])
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    (source,) = ec2.describe_images(ImageIds=[image])["Images"]
    asked = {"Name": "copy", "SourceImageId": image, "SourceRegion": "us-east-1", "CopyImageTags": True, "ClientToken": "once"}
    copy = ec2.copy_image(**asked)["ImageId"]
    assert ec2.copy_image(**asked)["ImageId"] == copy
    (shown,) = ec2.describe_images(ImageIds=[copy])["Images"]
    assert (shown["State"], shown["SourceImageId"], shown["SourceImageRegion"]) == ("pending", image, "us-east-1")
    assert (shown["Public"], shown["Description"], shown["ImdsSupport"]) == (False, "", "v2.0")
    assert shown["Tags"] == [{"Key": "kept", "Value": "k"}]
    before, after = (row["BlockDeviceMappings"][0]["Ebs"] for row in (source, shown))
    assert after | {"SnapshotId": None} == before | {"SnapshotId": None}
    (snapshot,) = ec2.describe_snapshots(SnapshotIds=[after["SnapshotId"]])["Snapshots"]
    assert snapshot["VolumeId"] == "vol-ffffffff"
    assert snapshot["Description"].startswith(
        f"Copied for DestinationAmi {copy} from SourceAmi {image} for SourceSnapshot {before['SnapshotId']}. Task created on "
    )
    with face.database.write() as tx:
        snapshots.was_cut(tx, snapshot["SnapshotId"])
        snapshots.completed(tx, snapshot["SnapshotId"])
        tx.db.flush()
        images.settle(tx, copy)
    assert ec2.describe_images(ImageIds=[copy])["Images"][0]["State"] == "available"


def test_copies_that_are_refused(face: Face, ec2: Any, image: str) -> None:
    asked = {"Name": "copy", "SourceImageId": image, "SourceRegion": "us-east-1"}
    for change, code in (
        ({"SourceRegion": "eu-west-1"}, "InvalidParameterValue"),
        ({"Name": "golden"}, "InvalidAMIName.Duplicate"),
        ({"Name": "x"}, "InvalidAMIName.Malformed"),
        ({"SourceImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"Encrypted": True}, "UnsupportedOperation"),
        ({"KmsKeyId": "k"}, "InvalidParameterDependency"),
        ({"DestinationAvailabilityZone": "us-east-1a"}, "UnsupportedOperation"),
    ):
        with refusal(code):
            ec2.copy_image(**asked | change)


def test_another_account_copies_what_is_shared_with_its_storage(face: Face, ec2: Any, other: Any, image: str) -> None:
    (source,) = ec2.describe_images(ImageIds=[image])["Images"]
    they = [{"UserId": face.second.account_id}]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "secret", "Value": "k"}])
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": they})
    snapshot = source["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission={"Add": they})
    copy = other.copy_image(Name="copy", SourceImageId=image, SourceRegion="us-east-1", CopyImageTags=True)["ImageId"]
    (shown,) = other.describe_images(Owners=["self"])["Images"]
    assert (shown["ImageId"], shown["OwnerId"], shown.get("Tags", [])) == (copy, face.second.account_id, [])
    assert listed(ec2, Owners=[face.second.account_id]) == []


def test_an_image_has_what_was_changed_of_its_instance(face: Face, ec2: Any) -> None:
    source = make_image(face, EnaSupport=False, KernelId="aki-1", ImdsSupport="v2.0")
    instance = run(ec2, source)["InstanceId"]
    bring(face, instance, "stopped")
    ec2.modify_instance_attribute(InstanceId=instance, EnaSupport={"Value": True})
    ec2.modify_instance_attribute(InstanceId=instance, SriovNetSupport={"Value": "simple"})
    ec2.reset_instance_attribute(InstanceId=instance, Attribute="kernel")
    made = ec2.create_image(InstanceId=instance, Name="made", BootModeOverride="legacy-bios")["ImageId"]
    (shown,) = ec2.describe_images(ImageIds=[made])["Images"]
    assert (shown["EnaSupport"], shown["SriovNetSupport"], shown["BootMode"]) == (True, "simple", "legacy-bios")
    assert shown["ImdsSupport"] == "v2.0" and "KernelId" not in shown
