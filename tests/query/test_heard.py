"""Nothing that EC2's model lets one ask for is passed over: every action is asked with every member, and looks at it.

What is asked is handed to the action itself in dicts that note which of their members are looked at; what it did is taken back.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ec2gw.cloud import snapshots
from ec2gw.model import errors as refusals
from ec2gw.query import api, errors, unserved
from ec2gw.query.actions import launch_templates
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_every_action import kind_of, known, named, request
from tests.query.test_filters import MODEL, fill

Path = tuple[str, ...]  # names of members, through lists

# Members that make no difference here, of any action or of one, and why. docs/divergences.md names them.
NO_EFFECT = {
    "IpPermissions.UserIdGroupPairs.PeeringStatus": "it is shown, and can only be given back",
    "IpPermissions.UserIdGroupPairs.VpcId": "a group's id says which VPC is its own",
    "IncludeManagedResources": "no other service manages anything here",
    "CopySnapshot PresignedUrl": "there is no other region, whose answer it would ask for",
    "CreateLaunchTemplateVersion ResolveAlias": "there is no parameter store, so no alias of an image",
    "DescribeLaunchTemplateVersions ResolveAlias": "there is no parameter store, so no alias of an image",
    "DescribeAvailabilityZones AllAvailabilityZones": "all zones are shown",
    "DescribeIdentityIdFormat PrincipalArn": "all ids are long, whoever asks",
    "ModifyIdentityIdFormat PrincipalArn": "all ids are long, whoever asks",
    "DescribeInstanceTypes IncludeUnsupportedInRegion": "all types are offered",
    "DescribeRegions AllRegions": "all regions are shown",
    "DescribeSpotPriceHistory AvailabilityZone": "there is no price",
    "DescribeSpotPriceHistory AvailabilityZoneId": "there is no price",
    "DescribeSpotPriceHistory EndTime": "there is no price",
    "DescribeSpotPriceHistory InstanceTypes": "there is no price",
    "DescribeSpotPriceHistory ProductDescriptions": "there is no price",
    "DescribeSpotPriceHistory StartTime": "there is no price",
    "DetachNetworkInterface Force": "an interface is detached at once",
    "GetConsoleOutput Latest": "the newest is shown in any case",
    "ImportImage ClientData": "heard, no more",
    "ImportImage RoleName": "there is no S3 to get at by it",
    "ImportSnapshot ClientData": "heard, no more",
    "ImportSnapshot RoleName": "there is no S3 to get at by it",
    "ReportInstanceStatus Description": "heard, no more",
    "ReportInstanceStatus EndTime": "heard, no more",
    "ReportInstanceStatus StartTime": "heard, no more",
}
# What the server itself looks at, before the action.
OF_THE_SERVER = {"DryRun", "NextToken"}
# Parts that are refused as a whole, by codes of their own.
WHOLE = {"UserBucket": "InvalidParameter:", "PrefixListIds": "InvalidPrefixListID.NotFound:"}


class Heard(dict[str, Any]):
    """A part of a request that notes which of its members are looked at. What is copied whole is not looked at."""

    def __init__(self, said: dict[str, Any], notes: set[Path], at: Path = ()) -> None:
        super().__init__({name: noting(value, notes, (*at, name)) for name, value in said.items()})
        self.notes, self.at = notes, at

    def __getitem__(self, name: str) -> Any:
        self.notes.add((*self.at, name))
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.notes.add((*self.at, str(name)))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.notes.add((*self.at, name))
        return super().get(name, default)

    def items(self) -> Any:
        self.notes.update((*self.at, name) for name in self)
        return super().items()

    def __or__(self, other: Any) -> Any:
        found = Heard({}, self.notes, self.at)
        found.update(super().__or__(other))
        return found


def noting(value: Any, notes: set[Path], at: Path) -> Any:
    if isinstance(value, dict):
        return Heard(value, notes, at)
    return [noting(item, notes, at) for item in value] if isinstance(value, list) else value


# -- what is said ---------------------------------------------------------------------------------------------------------------

MAPPING = {"BlockDeviceMappings": [{"DeviceName": "/dev/sdf"}]}
RULE = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": "own security-group"}]}
PERMISSION = {"GroupId": "own security-group", "IpPermissions": [RULE]}
TEMPLATE = {"LaunchTemplateId": "own launch-template"}
DISK = {"Url": "http://images.example/disk"}
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAe78WQEGS6uYF08OPKCMkQMozYPgFeiWchb+L+/nZi8"
# What must be said so that an action comes to look at a member: at any of its own, or at one and those below. None: unsaid.
BASE: dict[str, dict[str, Any]] = {
    "AssociateRouteTable": {"SubnetId": "own subnet"},
    "AttachNetworkInterface": {"NetworkInterfaceId": "own free-card"},
    "AttachVolume": {"VolumeId": "own free-volume"},
    "AuthorizeSecurityGroupEgress TagSpecifications": PERMISSION,
    "AuthorizeSecurityGroupIngress": {"GroupId": "own security-group"},
    "AuthorizeSecurityGroupIngress TagSpecifications": PERMISSION,
    "CancelImportTask": {"ImportTaskId": "own import-image-task"},
    "CopyImage": {"SourceRegion": "us-east-1"},
    "CopySnapshot": {"SourceSnapshotId": "own whole-snapshot"},
    "CreateDefaultSubnet": {"AvailabilityZone": "us-east-1a"},
    "CreateDefaultSubnet AvailabilityZoneId": {"AvailabilityZone": None},
    "CreateImage BlockDeviceMappings": MAPPING,
    "CreateLaunchTemplateVersion": TEMPLATE,
    "CreateNetworkAclEntry IcmpTypeCode": {"Protocol": "1"},
    "CreateNetworkAclEntry PortRange": {"Protocol": "6"},
    "CreatePlacementGroup": {"GroupName": "fresh", "Strategy": "partition"},
    "CreateSubnet": {"CidrBlock": "10.0.77.0/24"},
    "CreateVolume": {"Size": 8},
    "CreateVpc": {"CidrBlock": "10.78.0.0/16"},
    "DeleteLaunchTemplateVersions": TEMPLATE,
    "DescribeLaunchTemplateVersions": TEMPLATE,
    "IpPermissions": PERMISSION,
    "IpPermissions.UserIdGroupPairs.GroupName": {"IpPermissions": [{"UserIdGroupPairs": [{"GroupId": None}]}]},
    "ImportImage": {"DiskContainers": [DISK]},
    "ImportImage DiskContainers.UserBucket": {"DiskContainers": [{"Url": None}]},
    "ImportKeyPair": {"PublicKeyMaterial": KEY},
    "ImportSnapshot": {"DiskContainer": DISK},
    "ImportSnapshot DiskContainer.UserBucket": {"DiskContainer": {"Url": None}},
    "ModifyImageAttribute": {"Description": None},
    "ModifyImageAttribute ImageId": {"Description": {"Value": "x"}},
    "ModifyImageAttribute Value": {"Attribute": "description"},
    "ModifyInstanceAttribute": {"DisableApiStop": None},
    "ModifyInstanceAttribute InstanceId": {"DisableApiStop": {"Value": True}},
    "ModifyInstanceAttribute Value": {"Attribute": "disableApiStop"},
    "ModifyInstanceCpuOptions": {"InstanceId": "own stopped"},
    "ModifyInstanceCreditSpecification": {"InstanceCreditSpecifications": [{"CpuCredits": "standard"}]},
    "ModifyLaunchTemplate": TEMPLATE,
    "ModifyNetworkInterfaceAttribute": {"Description": None},
    "ModifyNetworkInterfaceAttribute Attachment.DeleteOnTermination": {
        "Attachment": {"AttachmentId": "own network-interface-attachment"}
    },
    "ModifyNetworkInterfaceAttribute NetworkInterfaceId": {"Description": {"Value": "x"}},
    "RegisterImage": {
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "own whole-snapshot"}}],
    },
    "ReplaceNetworkAclEntry IcmpTypeCode": {"RuleNumber": 7, "Egress": True, "Protocol": "1"},
    "ReplaceNetworkAclEntry PortRange": {"RuleNumber": 7, "Egress": True, "Protocol": "6"},
    "RevokeSecurityGroupIngress": {"GroupId": "own security-group"},
    "RunInstances BlockDeviceMappings": MAPPING,
    "RunInstances LaunchTemplate": {"LaunchTemplate": TEMPLATE},
    "RunInstances NetworkInterfaces": {"NetworkInterfaces": [{"DeviceIndex": 0}]},
    "TagSpecifications.Tags.Value": {"TagSpecifications": [{"Tags": [{"Key": "k"}]}]},
}


def asked(action: str, shape: str, path: Path, own: dict[str, str], first: dict[str, Any]) -> dict[str, Any]:
    """A request, or a part of one in `shape`, that says this member, and beside it what `first` and `BASE` say."""
    said = merged(value(action, shape, (), own), first)
    for length in range(len(path) + 1):
        part = ".".join(path[:length])
        for row in (f"{action} {part}".strip(), part):
            said = merged(said, named(BASE.get(row, {}), own))
    if path[:1] == ("TagSpecifications",):
        said = merged(said, {"TagSpecifications": [{"ResourceType": type_made(action)}]})
    whole = merged(said, {path[0]: value(action, shape, path, own)[path[0]]})
    return {name: part for name, part in whole.items() if part is not None}


TYPES = {
    "AllocateAddress": "elastic-ip", "AuthorizeSecurityGroupEgress": "security-group-rule", "RunInstances": "instance",
    "AuthorizeSecurityGroupIngress": "security-group-rule", "CreateSnapshots": "snapshot", "ImportImage": "import-image-task",
    "ImportSnapshot": "import-snapshot-task",
}  # fmt: skip


def type_made(action: str) -> str:
    """The type of resource that an action makes, as its tags name it."""
    return TYPES.get(action) or "-".join(re.findall("[A-Z][a-z]+", action)[1:]).lower()


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        both = one | {name: merged(one.get(name), part) for name, part in other.items()}
        return {name: part for name, part in both.items() if part is not None}
    if isinstance(one, list) and isinstance(other, list) and isinstance(one[0], dict):
        return [merged(one[0], other[0])]
    return other


# Words that ask for nothing, of one member or another.
HARMLESS = {word for rows in unserved.UNSERVED.values() for harmless, _ in rows.values() for word in harmless}


def value(action: str, shape: str, path: Path, own: dict[str, str]) -> Any:
    """A value of this shape that says the member at the path below it, or what it cannot do without."""
    row = MODEL.shapes[shape]
    match row["type"]:
        case "list":
            return [value(action, row["member"]["shape"], path, own)]
        case "structure":
            said = {}
            for name in dict.fromkeys((*path[:1], *row.get("required", ()))):
                rest = path[1:] if name in path[:1] else ()
                kind = None if rest else kind_of(action, name)
                below = row["members"][name]["shape"]
                many = MODEL.shapes[below]["type"] == "list"
                said[name] = ([own[kind]] if many else own[kind]) if kind else value(action, below, rest, own)
            return said
        case "string":
            words = row.get("enum", ["word"])
            return next((word for word in words if word not in HARMLESS), words[0])
        case "timestamp":
            return datetime.datetime(2031, 1, 1, tzinfo=datetime.UTC)
        case kind:
            return {"boolean": True, "integer": 1, "long": 1, "double": 1.0, "float": 1.0, "blob": b"x"}[kind]


def paths(shape: str, at: Path = (), through: Path = ()) -> Iterator[Path]:
    """Every member of a shape, and of those below, that holds no other: what holds nothing is not said at all."""
    row = MODEL.shapes[shape]
    if row["type"] == "list":
        yield from paths(row["member"]["shape"], at, through)
    elif row["type"] != "structure":
        yield at
    elif shape not in through:
        for name, member in row["members"].items():
            yield from paths(member["shape"], (*at, name), (*through, shape))


# -- what is heard --------------------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A face on which there is something of everything; `own` are ids of it."""

    face: Face
    own: dict[str, str]

    def run(self, action: str, req: dict[str, Any]) -> str:
        """What comes of a request. It is taken back."""
        settings = api.Region("us-east-1", ZONES, "127.0.0.1:8773")
        try:
            with self.face.database.write() as tx:
                call = api.Call(self.face.first.account_id, "key", settings.name, api.NEWEST, tx, settings)
                api.REGISTER[action].run(call, req)
                if refreshes := api.REGISTER[action].refreshes:
                    refreshes(self.face.bell, req)
                raise Done
        except Done:
            return "done"
        except refusals.Refusal as refusal:
            fault = errors.from_refusal(refusal)
        except errors.Fault as raised:
            fault = raised
        return f"{fault.code}: {fault.message}"


class Done(Exception):
    pass


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    face = Face(tmp_path_factory.mktemp("heard"))
    ec2 = face.client()
    fill(face, ec2)
    own = known(face)
    zone = ec2.describe_instances(InstanceIds=[own["instance"]])["Reservations"][0]["Instances"][0]["Placement"]
    with face.database.write() as tx:
        own["whole-snapshot"] = snapshots.begin_fill(tx, face.first.account_id, 3, ZONES[0], "whole").id
        tx.db.flush()
        snapshots.completed(tx, own["whole-snapshot"])
    volume = own["free-volume"] = ec2.create_volume(AvailabilityZone=zone["AvailabilityZone"], Size=1)["VolumeId"]
    with face.database.write() as tx:
        tx.db.query(records.Volume).filter_by(id=volume).one().state = "available"
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Vpcs"]
    own["vpc"] = vpc["VpcId"]
    free = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["a free card"]}])["NetworkInterfaces"]
    own["free-card"] = free[0]["NetworkInterfaceId"]
    yield Scene(face, own)
    face.close()


def is_heard(action: str, path: Path, notes: set[Path], outcome: str) -> bool:
    """Whether a member was looked at, or a part was refused in which it stands."""
    if path in notes:
        return True
    parts = [path[:length] for length in range(1, len(path)) if path[:length] in notes]
    return any(
        (outcome != "done" and ".".join(part) in unserved.UNSERVED.get(action, {}))
        or outcome.startswith(WHOLE.get(part[-1], "never"))
        for part in parts
    )  # fmt: skip


def has_no_effect(action: str, path: Path) -> bool:
    parts = [".".join(path[:length]) for length in range(1, len(path) + 1)]
    return any(part in NO_EFFECT or f"{action} {part}" in NO_EFFECT for part in parts)


@pytest.mark.parametrize("action", sorted(api.REGISTER))
def test_every_member_of_a_request_is_looked_at(scene: Scene, action: str) -> None:
    unheard = {}
    shape = MODEL.operations[action].input
    for path in paths(shape):
        if path[0] in OF_THE_SERVER or path == (api.REGISTER[action].again,):
            continue
        notes: set[Path] = set()
        said = asked(action, shape, path, scene.own, request(action, scene.own))
        outcome = scene.run(action, Heard(said, notes))
        if is_heard(action, path, notes, outcome) == has_no_effect(action, path):
            unheard[".".join(path)] = outcome
    assert not unheard, unheard


@pytest.mark.parametrize("member", MODEL.shapes["RequestLaunchTemplateData"]["members"])
def test_every_member_of_a_template_is_looked_at_when_instances_are_launched(
    scene: Scene, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: set[Path] = set()
    fill = launch_templates.fill

    def noted(call: api.Call, req: api.Request) -> tuple[api.Request, dict[str, str]]:
        filled, origin = fill(call, req)
        return Heard(filled, notes), origin

    monkeypatch.setattr(launch_templates, "fill", noted)
    ec2 = scene.face.client()
    unheard = {}
    for path in paths("RequestLaunchTemplateData"):
        if path[0] != member:
            continue
        notes.clear()
        first = {} if member == "ImageId" else {"ImageId": scene.own["image"]}
        data = asked("RunInstances", "RequestLaunchTemplateData", path, scene.own, first)
        template = {"LaunchTemplateName": "heard"}
        ec2.create_launch_template(**template, LaunchTemplateData=data)
        outcome = scene.run("RunInstances", {"MinCount": 1, "MaxCount": 1, "LaunchTemplate": template})
        ec2.delete_launch_template(**template)
        seen = (launch_templates.OTHER_NAMES.get(member, member), *path[1:])
        if not is_heard("RunInstances", seen, notes, outcome):
            unheard[".".join(path)] = outcome
    assert not unheard, unheard


UNSERVED = [(action, row) for action, rows in unserved.UNSERVED.items() for row in rows if row != "InstanceRequirements"]


@pytest.mark.parametrize(("action", "row"), UNSERVED)
def test_what_nobody_can_have_is_refused(scene: Scene, action: str, row: str) -> None:
    shape = MODEL.operations[action].input
    path = next(path for path in paths(shape) if ".".join(path[: row.count(".") + 1]) == row)
    outcome = scene.run(action, asked(action, shape, path, scene.own, request(action, scene.own)))
    code, _, message = outcome.partition(": ")
    assert (code in ("UnsupportedOperation", "Unsupported") and message) or code == OTHERWISE.get(row), outcome


OTHERWISE = {
    "CapacityReservationSpecification.CapacityReservationPreference": "ReservationCapacityExceeded",
    "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId": "InvalidCapacityReservationId.NotFound",
    "HibernationOptions.Configured": "UnsupportedHibernationConfiguration",
    "IamInstanceProfile.Arn": "InvalidParameterValue",
    "IamInstanceProfile.Name": "InvalidParameterValue",
}


def test_a_member_that_is_passed_over_is_found() -> None:
    notes: set[Path] = set()
    said = Heard({"Placement": {"Tenancy": "x"}, "Ids": ["a"], "Rows": [{"Key": "k"}]}, notes)
    copied = dict(said) | {**said}
    assert notes == set() and copied == said
    assert said.get("Placement") == {"Tenancy": "x"}
    assert not is_heard("RunInstances", ("Placement", "Tenancy"), notes, "refused for something else")
    assert (said | {"Other": 1})["Rows"][0]["Key"] == "k"
    assert is_heard("RunInstances", ("Rows", "Key"), notes, "done")
    assert not is_heard("RunInstances", ("Ids",), notes, "done")


def test_the_tables_name_what_is() -> None:
    for action, rows in unserved.UNSERVED.items():
        leaves = [f"{'.'.join(path)}." for path in paths(MODEL.operations[action].input)]
        stale = {row for row in rows if not any(path.startswith(f"{row}.") for path in leaves)}
        assert stale <= {"InstanceRequirements"}, action
    members = {action: {".".join(path) for path in paths(MODEL.operations[action].input)} for action in api.REGISTER}
    for row in NO_EFFECT:
        action, _, member = row.rpartition(" ")
        known = members[action] if action else set.union(*members.values())
        assert any(path == member or path.startswith(f"{member}.") for path in known), row
