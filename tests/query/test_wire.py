"""The wire against its judges: botocore writes what we read and reads what we write, boto 2 reads what old clients are given."""

from __future__ import annotations

import base64
import datetime
import functools
import math
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

import boto.ec2.connection
import boto.handler
import boto.resultset
import botocore.model
import botocore.parsers
import botocore.serialize
import hypothesis
import pytest
from boto.ec2.instance import Reservation
from boto.ec2.securitygroup import SecurityGroup
from hypothesis import strategies

from conformance import traffic
from ec2gw.query import api, errors, wire

SAMPLES = 10
REQUEST_ID = "59dbff89-35bd-4eac-99ed-be587EXAMPLE"
TEXTS = ("a", "Zürich 東京 🚀", " two  words ", "a=b&c;d", "<tag>\"'", "line\r\nbreak\t", "100%", "+", "0", "true", "None", "]]>")


# -- Random requests and answers of any shape of the model ---------------------------------------------------------------------


class Maker:
    """Makes values of a version's shapes. A request's values are never empty, for an empty value says nothing there."""

    def __init__(self, date: str, seed: object, *, request: bool) -> None:
        self.shapes = api.model(date).shapes
        self.newest = api.model(api.NEWEST).shapes
        self.random = random.Random(f"{date} {seed}")
        self.request = request

    def value(self, name: str, depth: int = 0) -> Any:
        shape = self.shapes[name]
        return getattr(self, shape["type"])(name, shape, depth)

    def structure(self, name: str, shape: api.Shape, depth: int) -> dict[str, Any]:
        required = {*shape.get("required", ()), *self.newest.get(name, {}).get("required", ())}
        chance = (0.8, 0.7, 0.6, 0.5, 0.4, 0.3)[depth] if depth < 6 else 0.0
        names = [key for key in shape["members"] if key in required or self.random.random() < chance]
        if self.request and not names and shape["members"] and depth:
            names = [min(shape["members"], key=lambda key: self.depth(shape["members"][key]["shape"]))]
        return {key: self.value(shape["members"][key]["shape"], depth + 1) for key in names}

    def depth(self, name: str) -> int:
        return {"structure": 2, "list": 1}.get(self.shapes[name]["type"], 0)

    def list(self, name: str, shape: api.Shape, depth: int) -> list[Any]:
        count = self.random.randint(int(self.request), 3 if depth < 3 else 1)
        return [self.value(shape["member"]["shape"], depth + 1) for _ in range(count)]

    def string(self, name: str, shape: api.Shape, depth: int) -> str:
        return self.random.choice(TEXTS if self.request else (*TEXTS, ""))

    def boolean(self, name: str, shape: api.Shape, depth: int) -> bool:
        return self.random.random() < 0.5

    def integer(self, name: str, shape: api.Shape, depth: int) -> int:
        return self.random.choice((0, 1, -1, 2**31 - 1, -(2**31)))

    def long(self, name: str, shape: api.Shape, depth: int) -> int:
        return self.random.choice((0, 1, -1, 2**63 - 1, -(2**63)))

    def double(self, name: str, shape: api.Shape, depth: int) -> float:
        return self.random.choice((0.0, 0.25, -1.5, 1e-7, 123456.75))

    float = double

    def timestamp(self, name: str, shape: api.Shape, depth: int) -> datetime.datetime:
        moment = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.random.randrange(10**9))
        return moment.replace(microsecond=self.random.choice((0, 250_000)))

    def blob(self, name: str, shape: api.Shape, depth: int) -> bytes:
        return self.random.randbytes(self.random.randint(int(self.request), 40))


@functools.cache
def service(date: str) -> botocore.model.ServiceModel:
    """botocore's own reading of the model, with the members that we add."""
    data = dict(api._LOADER.load_service_model("ec2", "service-2", date))
    return botocore.model.ServiceModel({**data, "shapes": dict(api.model(date).shapes)}, "ec2")


def sent(action: str, date: str, request: Mapping[str, Any]) -> wire.Parameters:
    serialized = botocore.serialize.EC2Serializer().serialize_to_request(request, service(date).operation_model(action))
    return [(name, str(value)) for name, value in serialized["body"].items()]


def parse(xml: bytes, status: int, shape: Any) -> dict[str, Any]:
    answer: dict[str, Any] = botocore.parsers.EC2QueryParser().parse({"body": xml, "headers": {}, "status_code": status}, shape)
    return answer


def received(action: str, date: str, xml: bytes) -> dict[str, Any]:
    shape = service(date).operation_model(action).output_shape
    answer = parse(xml, 200, shape)
    assert answer.pop("ResponseMetadata")["RequestId"] == REQUEST_ID
    return answer


def today(action: str, date: str, request: dict[str, Any]) -> dict[str, Any]:
    """The two members that were renamed since a bundled version, under today's names."""
    if date != api.NEWEST and action == "CreateCustomerGateway" and "PublicIp" in request:
        request = {"IpAddress": request["PublicIp"], **{key: value for key, value in request.items() if key != "PublicIp"}}
    if action == "ImportInstance" and isinstance(request.get("LaunchSpecification", {}).get("UserData"), str):
        launch = request["LaunchSpecification"]
        request = {**request, "LaunchSpecification": {**launch, "UserData": {"Data": launch["UserData"]}}}
    return request


@pytest.mark.parametrize("date", api.BUNDLED)
def test_every_request_is_read_as_botocore_writes_it(date: str) -> None:
    for action, operation in api.model(date).operations.items():
        for seed in range(SAMPLES):
            request = Maker(date, (action, seed), request=True).value(operation.input)
            assert wire.read(action, date, sent(action, date, request)) == today(action, date, request), action


@pytest.mark.parametrize("date", api.BUNDLED)
def test_every_answer_is_read_by_botocore_as_we_wrote_it(date: str) -> None:
    for action, operation in api.model(date).operations.items():
        for seed in range(SAMPLES if operation.output else 1):
            answer = Maker(date, (action, seed), request=False).value(operation.output) if operation.output else {}
            xml = wire.write(action, date, answer, REQUEST_ID)
            assert received(action, date, xml) == answer, action
            if operation.output is None:
                assert ElementTree.fromstring(xml)[1].text == "true", action


@pytest.mark.parametrize("date", api.BUNDLED[:-1])
def test_todays_answers_are_cut_to_the_version(date: str) -> None:
    """Of today's fullest answers, an old client is given what its model has, and not one element more."""
    for action, operation in api.model(date).operations.items():
        whole = api.model(api.NEWEST).operations[action].output
        if whole is None or operation.output is None:
            continue
        answer = Maker(api.NEWEST, 0, request=False).value(whole)
        xml = wire.write(action, date, answer, REQUEST_ID)
        shapes = api.model(date).shapes
        assert received(action, date, xml) == cut(answer, shapes, operation.output), action
        root = ElementTree.fromstring(xml)
        root.remove(root[0])
        assert list(strangers(root, shapes, operation.output)) == [], action


def cut(value: Any, shapes: Mapping[str, api.Shape], name: str) -> Any:
    shape = shapes[name]
    if shape["type"] == "structure":
        return {key: cut(item, shapes, shape["members"][key]["shape"]) for key, item in value.items() if key in shape["members"]}
    if shape["type"] == "list":
        return [cut(item, shapes, shape["member"]["shape"]) for item in value]
    return value


def strangers(element: ElementTree.Element, shapes: Mapping[str, api.Shape], name: str) -> Iterator[str]:
    shape = shapes[name]
    if shape["type"] == "structure":
        known = {member.get("locationName", key): member["shape"] for key, member in shape["members"].items()}
        for child in element:
            tag = child.tag.partition("}")[2]
            if tag in known:
                yield from strangers(child, shapes, known[tag])
            else:
                yield f"{name}.{tag}"
    elif shape["type"] == "list":
        for child in element:
            yield from strangers(child, shapes, shape["member"]["shape"])


# -- Reading what botocore would not write -------------------------------------------------------------------------------------


def fault(run: Callable[..., object], *args: Any) -> tuple[str, str]:
    with pytest.raises(errors.Fault) as caught:
        run(*args)
    return caught.value.code, caught.value.message


ID = "i-0123456789abcdef0"

TOLERATED = [
    ("TerminateInstances", [("InstanceId.0", "i-1"), ("InstanceId.1", "i-2")], {"InstanceIds": ["i-1", "i-2"]}),
    ("TerminateInstances", [("InstanceId.7", "i-2"), ("InstanceId.3", "i-1")], {"InstanceIds": ["i-1", "i-2"]}),
    ("TerminateInstances", [("InstanceId.10", "i-2"), ("InstanceId.9", "i-1")], {"InstanceIds": ["i-1", "i-2"]}),
    ("TerminateInstances", [("InstanceId", "i-1")], {"InstanceIds": ["i-1"]}),
    ("TerminateInstances", [("InstanceId", "i-1"), ("InstanceId", "i-2")], {"InstanceIds": ["i-1", "i-2"]}),
    ("TerminateInstances", [("InstanceId.1", ""), ("InstanceId.2", "i-2")], {"InstanceIds": ["", "i-2"]}),
    ("DescribeInstances", [("InstanceId", "")], {}),
    ("MonitorInstances", [("InstanceId", "i-1")], {"InstanceIds": ["i-1"]}),
    ("DescribeSnapshots", [("Owner", "self"), ("RestorableBy", "all")], {"OwnerIds": ["self"], "RestorableByUserIds": ["all"]}),
    ("DescribeInstances", [("Filter.Name", "a"), ("Filter.Value", "b")], {"Filters": [{"Name": "a", "Values": ["b"]}]}),
    ("DescribeInstances", [("Filter.1.Name", "a"), ("Filter.1.Value.1", "")], {"Filters": [{"Name": "a", "Values": [""]}]}),
    ("DescribeInstances", [("DryRun", "True"), ("MaxResults", "5")], {"DryRun": True, "MaxResults": 5}),
    ("DescribeInstances", [("DryRun", "1")], {"DryRun": True}),
    ("DescribeInstances", [("DryRun", "False")], {"DryRun": False}),
    ("DescribeInstances", [("DryRun", "0"), ("NextToken", "")], {"DryRun": False}),
    ("GetConsoleOutput", [("InstanceId.1", ID)], {"InstanceId": ID}),
    ("GetConsoleOutput", [("InstanceId", ID), ("Latest", "True")], {"InstanceId": ID, "Latest": True}),
    (
        "CreateTags",
        [("ResourceId", "x"), ("Tag.1.Key", "k"), ("Tag.1.Value", "")],
        {"Resources": ["x"], "Tags": [{"Key": "k", "Value": ""}]},
    ),
    ("DeleteTags", [("ResourceId.1", "x"), ("Tag.1.Key", "k")], {"Resources": ["x"], "Tags": [{"Key": "k"}]}),
    ("DeleteTags", [("ResourceId.1", "x"), ("Tag.1.Key", "")], {"Resources": ["x"], "Tags": [{"Key": ""}]}),
    (
        "ModifyImageAttribute",
        [("ImageId", "ami-1"), ("Description.Value", "")],
        {"ImageId": "ami-1", "Description": {"Value": ""}},
    ),
    (
        "ModifyInstanceAttribute",
        [("InstanceId", ID), ("Attribute", "disableApiTermination"), ("Value", "true")],
        {"InstanceId": ID, "Attribute": "disableApiTermination", "Value": "true"},
    ),
    (
        "ModifyInstanceAttribute",
        [("InstanceId", ID), ("DisableApiTermination.Value", "True")],
        {"InstanceId": ID, "DisableApiTermination": {"Value": True}},
    ),
    ("DetachVolume", [("VolumeId", "vol-1"), ("InstanceId", ""), ("Force", "false")], {"VolumeId": "vol-1", "Force": False}),
    ("DescribeInstanceTypes", [("Availability", "true")], {}),
    (
        "ImportKeyPair",
        [("KeyName", "k"), ("PublicKeyMaterial", "c3NoLXJz\r\nYSBB\n")],
        {"KeyName": "k", "PublicKeyMaterial": b"ssh-rsa A"},
    ),
]


@pytest.mark.parametrize(("action", "params", "request_"), TOLERATED)
def test_what_real_clients_send_is_read(action: str, params: wire.Parameters, request_: api.Request) -> None:
    assert wire.read(action, api.NEWEST, params) == request_


@pytest.mark.parametrize("client", traffic.clients())
def test_every_recorded_request_is_read(client: str) -> None:
    count = 0
    for recording in traffic.of(client):
        for exchange in recording.exchanges:
            count += 1
            try:
                wire.read(*wire.heading(exchange.params), exchange.params)
            except errors.Fault as refused:
                wanted, _, codes = recording.expected.partition(": ")
                assert wanted == "error" and re.search(codes, refused.code), (recording.path, refused)
    assert count > 100


RUN = [("ImageId", "ami-1"), ("MinCount", "1"), ("MaxCount", "1")]
LAUNCH = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}


@pytest.mark.parametrize(
    ("params", "more"),
    [
        ([("AddressingType", "private")], {}),
        ([("IamInstanceProfile.Name", ""), ("SubnetId", ""), ("Placement.AvailabilityZone", "")], {}),
        ([("IamInstanceProfile", "")], {}),
        ([("SecurityGroup.1", "default")], {"SecurityGroups": ["default"]}),
        (
            [("BlockDeviceMapping.1.DeviceName", "sdb"), ("BlockDeviceMapping.1.NoDevice", "")],
            {"DeviceName": "sdb", "NoDevice": ""},
        ),
        (
            [("BlockDeviceMapping.0.DeviceName", "sdb"), ("BlockDeviceMapping.0.NoDevice", "true")],
            {"DeviceName": "sdb", "NoDevice": "true"},
        ),
        (
            [
                ("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "false"),
                ("BlockDeviceMapping.2.DeviceName", "/dev/sdb"),
                ("BlockDeviceMapping.2.Ebs.NoDevice", "true"),
            ],
            {"DeviceName": "/dev/sdb", "NoDevice": ""},
        ),
        (
            [
                ("BlockDeviceMapping.2.Ebs.VolumeSize", "8"),
                ("BlockDeviceMapping.2.DeviceName", "/dev/sdb"),
                ("BlockDeviceMapping.2.Ebs.NoDevice", "false"),
            ],
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 8}},
        ),
        (
            [("BlockDeviceMapping.DeviceName", "vda"), ("BlockDeviceMapping.Ebs.VolumeId", "vol-1")],
            {"DeviceName": "vda", "Ebs": {"VolumeId": "vol-1"}},
        ),
        (
            [("BlockDeviceMapping.1.DeviceName", "sdb"), ("BlockDeviceMapping.1.Ebs.VolumeSize", "")],
            {"DeviceName": "sdb"},
        ),
    ],
)
@pytest.mark.parametrize("version", ["2009-11-30", "2012-02-10", "2016-11-15"])
def test_launches_of_old_and_new_clients_are_read(params: wire.Parameters, more: dict[str, Any], version: str) -> None:
    expected = LAUNCH | ({"BlockDeviceMappings": [more]} if "DeviceName" in more else more)
    assert wire.read("RunInstances", version, RUN + params) == expected


def test_what_signs_a_request_is_no_parameter_of_it() -> None:
    names: tuple[str, ...] = (
        "Action",
        "Version",
        "AWSAccessKeyId",
        "SignatureVersion",
        "SignatureMethod",
        "Timestamp",
        "Expires",
        "Signature",
    )
    names += ("SecurityToken", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders")
    names += ("X-Amz-Signature", "X-Amz-Security-Token")
    assert wire.read("DescribeRegions", api.NEWEST, [(name, "x") for name in names]) == {}


@pytest.mark.parametrize(
    ("text", "hour", "micro"),
    [
        ("2026-01-25T08:00:00Z", 8, 0),
        ("2026-01-25T08:00:00.250Z", 8, 250_000),
        ("2026-01-25T08:00:00.250000+00:00", 8, 250_000),
        ("2026-01-25T08:00:00", 8, 0),
        ("2026-01-25 08:00:00", 8, 0),
        ("2026-01-25T10:00:00+02:00", 8, 0),
        ("20260125T080000Z", 8, 0),
        ("2026-01-25T08:00Z", 8, 0),
        ("2026-01-25", 0, 0),
    ],
)
def test_times_are_read_in_all_forms(text: str, hour: int, micro: int) -> None:
    request = wire.read("EnableImageDeprecation", api.NEWEST, [("ImageId", "ami-1"), ("DeprecateAt", text)])
    assert request["DeprecateAt"] == datetime.datetime(2026, 1, 25, hour, 0, 0, micro, tzinfo=datetime.UTC)
    assert request["DeprecateAt"].tzinfo is datetime.UTC


def test_numbers_that_are_none() -> None:
    price = [("InstanceCount", "1"), ("ReservedInstancesOfferingId", "x"), ("LimitPrice.Amount", "Infinity")]
    assert math.isinf(wire.read("PurchaseReservedInstancesOffering", api.NEWEST, price)["LimitPrice"]["Amount"])


REFUSED = [
    ("DescribeRegions", [("Colour", "red")], "UnknownParameter", "The parameter Colour is not recognized"),
    ("DescribeRegions", [("Colour.1.Shade", "red")], "UnknownParameter", "The parameter Colour is not recognized"),
    ("DescribeRegions", [("Filter.1.Colour", "x")], "UnknownParameter", "The parameter Filter.1.Colour is not recognized"),
    ("DescribeRegions", [("Filter.member.1.Name", "x")], "UnknownParameter", "The parameter Filter.member is not recognized"),
    ("DescribeRegions", [("regionName.1", "x")], "UnknownParameter", "The parameter regionName is not recognized"),
    ("DescribeRegions", [("", "x")], "UnknownParameter", "The parameter  is not recognized"),
    ("DescribeRegions", [("Filter.1", "x")], "UnknownParameter", "The parameter Filter.1 is not recognized"),
    ("DeleteVolume", [("VolumeId.1", "vol-1")], "UnknownParameter", "The parameter VolumeId.1 is not recognized"),
    ("DeleteVolume", [], "MissingParameter", "The request must contain the parameter volumeId"),
    ("DeleteVolume", [("VolumeId", "")], "MissingParameter", "The request must contain the parameter volumeId"),
    (
        "AttachVolume",
        [("VolumeId", "v"), ("InstanceId", "i")],
        "MissingParameter",
        "The request must contain the parameter device",
    ),
    ("CreateTags", [("Tag.1.Key", "k")], "MissingParameter", "The request must contain the parameter resourceIdSet"),
    ("RegisterImage", [], "MissingParameter", "The request must contain the parameter name"),
    ("CreateSecurityGroup", [("GroupName", "g")], "MissingParameter", "The request must contain the parameter groupDescription"),
    (
        "DeleteVolume",
        [("VolumeId", "vol-1"), ("VolumeId", "vol-2")],
        "InvalidParameterValue",
        "Value (vol-2) for parameter volumeId is invalid. The parameter was given more than once.",
    ),
    (
        "TerminateInstances",
        [("InstanceId.1", "i-1"), ("InstanceId.01", "i-2")],
        "InvalidParameterValue",
        "Value (01) for parameter instanceId is invalid. The number of an item was given more than once.",
    ),
    (
        "RunInstances",
        [("ImageId", "ami-1"), ("MinCount", "one"), ("MaxCount", "1")],
        "InvalidParameterValue",
        "Value (one) for parameter minCount is invalid. Must be an integer.",
    ),
    (
        "DescribeRegions",
        [("DryRun", "yes")],
        "InvalidParameterValue",
        "Value (yes) for parameter dryRun is invalid. Must be true or false.",
    ),
]


@pytest.mark.parametrize(("action", "params", "code", "message"), REFUSED)
def test_what_cannot_be_read_is_refused(action: str, params: wire.Parameters, code: str, message: str) -> None:
    assert fault(wire.read, action, api.NEWEST, params) == (code, message)


@pytest.mark.parametrize("text", ["1.0", "1_000", "٣", "0x10", " 1", "2147483648", "-2147483649", "9" * 400, "1e3", "--1"])
def test_numbers_are_decimal_and_fit(text: str) -> None:
    assert fault(wire.read, "DescribeRegions", api.NEWEST, [("DryRun", text)])[0] == "InvalidParameterValue"
    assert fault(wire.read, "DescribeInstances", api.NEWEST, [("MaxResults", text)])[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    "text",
    ["now", "2026-13-01", "2026-02-30T00:00:00Z", "1769328000", "2026-W01-1", "0001-01-01T00:00:00+14:00", "2026-01-25T25:00Z"],
)
def test_times_that_are_none_are_refused(text: str) -> None:
    params = [("ImageId", "ami-1"), ("DeprecateAt", text)]
    assert fault(wire.read, "EnableImageDeprecation", api.NEWEST, params)[0] == "InvalidParameterValue"


@pytest.mark.parametrize("text", ["a", "====", "c3No!", "é"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    params = [("KeyName", "k"), ("PublicKeyMaterial", text)]
    assert fault(wire.read, "ImportKeyPair", api.NEWEST, params)[0] == "InvalidParameterValue"


def test_limits() -> None:
    many = [(f"InstanceId.{number}", "i-1") for number in range(wire.MOST_PARAMETERS)]
    assert len(wire.read("DescribeInstances", api.NEWEST, many)["InstanceIds"]) == wire.MOST_PARAMETERS
    assert fault(wire.read, "DescribeInstances", api.NEWEST, [*many, ("DryRun", "true")])[0] == "MalformedQueryString"
    assert fault(wire.read, "DescribeInstances", api.NEWEST, [("A" * 1_000_000, "")])[0] == "UnknownParameter"
    assert fault(wire.read, "DescribeInstances", api.NEWEST, [("A." * 100, "")])[0] == "UnknownParameter"
    for number in (wire.HIGHEST_INDEX + 1, "9" * 200):
        assert fault(wire.read, "DescribeInstances", api.NEWEST, [(f"InstanceId.{number}", "i")])[0] == "InvalidParameterValue"
    # Nothing of a caller's is echoed at length.
    assert len(fault(wire.read, "DescribeInstances", api.NEWEST, [("A" * 1_000_000, "")])[1]) < 400
    assert len(fault(wire.read, "DescribeInstances", api.NEWEST, [("DryRun", "A" * 1_000_000)])[1]) < 400


def test_the_longest_name_of_the_model_is_within_the_limits() -> None:
    def longest(name: str, seen: tuple[str, ...]) -> tuple[int, int]:
        shape = api.model(api.NEWEST).shapes[name]
        if shape["type"] == "list":
            length, steps = longest(shape["member"]["shape"], seen)
            return length + len(str(wire.HIGHEST_INDEX)) + 1, steps + 1
        if shape["type"] != "structure" or name in seen:
            return 0, 0
        members = [(len(key) + 1, longest(member["shape"], (*seen, name))) for key, member in shape["members"].items()]
        return max((own + below[0] for own, below in members), default=0), max((1 + below[1] for _, below in members), default=0)

    sizes = [longest(operation.input, ()) for operation in api.model(api.NEWEST).operations.values()]
    assert max(length for length, _ in sizes) <= wire.LONGEST_NAME
    assert max(steps for _, steps in sizes) <= wire.DEEPEST_NAME


def test_heading() -> None:
    assert wire.heading([("Version", "2016-11-15"), ("Action", "A")]) == ("A", "2016-11-15")
    assert fault(wire.heading, [("Version", "2016-11-15")])[0] == "MissingAction"
    assert fault(wire.heading, [("Version", "2016-11-15"), ("Action", "")])[0] == "MissingAction"
    assert fault(wire.heading, [("Action", "A")]) == ("MissingParameter", "The request must contain the parameter version")
    assert fault(wire.heading, [("Action", "A"), ("Action", "B"), ("Version", "2016-11-15")])[0] == "InvalidParameterValue"


WORDS = [
    "InstanceId",
    "Filter",
    "1",
    "0",
    "Name",
    "Value",
    "Tag",
    "Key",
    "BlockDeviceMapping",
    "Ebs",
    "NoDevice",
    "VolumeSize",
    "",
    "é",
]
NAMES = strategies.one_of(
    strategies.lists(strategies.sampled_from([*WORDS, "MinCount", "DryRun", "LaunchTime"]), max_size=6).map(".".join),
    strategies.text(max_size=30),
)
VALUES = strategies.one_of(strategies.sampled_from(["", "1", "true", "x", "2026-01-01"]), strategies.text(max_size=20))


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(
    strategies.sampled_from(
        ["RunInstances", "CreateTags", "DescribeInstances", "ImportKeyPair", "GetConsoleOutput", "RegisterImage"]
    ),
    strategies.lists(strategies.tuples(NAMES, VALUES), max_size=12),
)
def test_shapeless_parameters_are_read_or_refused(action: str, params: wire.Parameters) -> None:
    try:
        assert isinstance(wire.read(action, api.NEWEST, params), dict)
    except errors.Fault as refused:
        assert refused.status == 400
        received_error = ElementTree.fromstring(wire.write_error(refused.code, refused.message, REQUEST_ID))
        assert received_error.findtext("Errors/Error/Code") == refused.code


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(strategies.text(max_size=20), strategies.text(max_size=12))
def test_shapeless_actions_and_versions_are_refused(action: str, version: str) -> None:
    with pytest.raises(errors.Fault):
        wire.read(action, version, [])


# -- Writing -------------------------------------------------------------------------------------------------------------------


def test_the_envelope() -> None:
    xml = wire.write("DescribeRegions", "2013-02-01", {"Regions": []}, REQUEST_ID).decode()
    assert xml == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2013-02-01/">'
        f"<requestId>{REQUEST_ID}</requestId><regionInfo></regionInfo></DescribeRegionsResponse>"
    )


def test_an_error() -> None:
    xml = wire.write_error("InvalidVolume.NotFound", "The volume '<&>' does not exist.", REQUEST_ID)
    answer = parse(xml, 400, None)
    assert answer["Error"] == {"Code": "InvalidVolume.NotFound", "Message": "The volume '<&>' does not exist."}
    assert answer["ResponseMetadata"]["RequestId"] == REQUEST_ID
    assert b"<RequestID>" in xml and b"xmlns" not in xml


def test_times_and_emptiness() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=-7))
    volume = {
        "CreateTime": datetime.datetime(2013, 7, 18, 19, 42, 39, 999_999, tzinfo=zone),
        "SnapshotId": "",
        "KmsKeyId": None,
        "Attachments": [],
        "Encrypted": False,
        "Size": 0,
    }
    body = wire.write("DescribeVolumes", api.NEWEST, {"Volumes": [volume], "NextToken": None}, REQUEST_ID).decode()
    assert "<createTime>2013-07-19T02:42:39.999Z</createTime>" in body
    assert "<snapshotId></snapshotId>" in body and "<attachmentSet></attachmentSet>" in body
    assert "<encrypted>false</encrypted>" in body and "<size>0</size>" in body
    assert "kmsKeyId" not in body and "nextToken" not in body


def test_an_empty_structure_is_an_empty_element() -> None:
    body = wire.write("DescribeInstanceAttribute", "2010-08-31", {"InstanceId": ID, "KernelId": {}}, REQUEST_ID)
    assert b"<kernel></kernel>" in body


def test_a_version_that_had_nothing_to_say_says_true() -> None:
    answer = {"Return": True, "SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-1"}]}
    body = wire.write("AuthorizeSecurityGroupIngress", "2014-10-01", answer, REQUEST_ID)
    assert b"<return>true</return></Auth" in body and b"sgr-1" not in body
    assert b"<return>false</return>" in wire.write("DeregisterImage", "2014-10-01", {"Return": False}, REQUEST_ID)
    assert b"<return>true</return>" in wire.write("CreateTags", api.NEWEST, {}, REQUEST_ID)


def test_what_xml_cannot_say_is_left_out() -> None:
    text = "a\x00b\x1fc\ufffed\ud800e<&>\r\n\tf"
    body = wire.write("CreateKeyPair", api.NEWEST, {"KeyName": text}, REQUEST_ID)
    assert ElementTree.fromstring(body)[1].text == "abcde<&>\r\n\tf"


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(strategies.text(alphabet=strategies.characters(exclude_categories=()), max_size=50))
def test_any_text_is_well_formed_xml(text: str) -> None:
    ElementTree.fromstring(wire.write("CreateKeyPair", api.NEWEST, {"KeyName": text}, REQUEST_ID))
    ElementTree.fromstring(wire.write_error("InternalError", text, REQUEST_ID))


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("DescribeVolumes", {"Volumen": []}),
        ("DescribeVolumes", {"Volumes": [{"VolumeId": "vol-1", "Colour": "red"}]}),
        ("DescribeVolumes", {"Volumes": [{"VolumeId": 1}]}),
        ("DescribeVolumes", {"Volumes": [{"VolumeId": b"vol-1"}]}),
        ("DescribeVolumes", {"Volumes": [{"Size": "8"}]}),
        ("DescribeVolumes", {"Volumes": [{"Size": True}]}),
        ("DescribeVolumes", {"Volumes": [{"Encrypted": "false"}]}),
        ("DescribeVolumes", {"Volumes": [{"Encrypted": 0}]}),
        ("DescribeVolumes", {"Volumes": [{"CreateTime": "2013-07-19"}]}),
        ("DescribeVolumes", {"Volumes": [{"CreateTime": datetime.datetime(2013, 7, 19)}]}),
        ("DescribeVolumes", {"Volumes": "vol-1"}),
        ("DescribeVolumes", {"Volumes": {"VolumeId": "vol-1"}}),
        ("CreateTags", {"Colour": "red"}),
    ],
)
@pytest.mark.parametrize("version", ["2009-11-30", api.NEWEST])
def test_a_wrong_answer_is_a_bug(action: str, answer: api.Response, version: str) -> None:
    with pytest.raises(TypeError):
        wire.write(action, version, answer, REQUEST_ID)


# -- What old clients can bear -------------------------------------------------------------------------------------------------

OLD_ANSWERS = {
    "DescribeInstances": "Instance",
    "DescribeImages": "Image",
    "DescribeVolumes": "Volume",
    "DescribeSnapshots": "Snapshot",
    "DescribeSecurityGroups": "SecurityGroup",
    "DescribeAvailabilityZones": "AvailabilityZone",
    "DescribeAddresses": "Address",
    "DescribeKeyPairs": "KeyPairInfo",
    "DescribeRegions": "Region",
}
PERMISSION = {"groups", "ipRanges"}
# The lists that the parsers of boto 1.9b, 2.0b4, 2.5.2 and 2.34/2.49 know, below an object and in what it holds.
BEARABLE = {
    "2009-11-30": {
        "Instance": {"productCodes", "blockDeviceMapping"},
        "Image": {"productCodes", "blockDeviceMapping"},
        "Volume": {"attachmentSet"},
        "SecurityGroup": {"ipPermissions", *PERMISSION},
    },
    "2010-08-31": {
        "Instance": {"productCodes", "blockDeviceMapping", "tagSet"},
        "Image": {"productCodes", "blockDeviceMapping", "tagSet"},
        "Volume": {"attachmentSet", "tagSet"},
        "Snapshot": {"tagSet"},
        "SecurityGroup": {"ipPermissions", *PERMISSION},
    },
    "2011-01-01": {
        "Instance": {"productCodes", "blockDeviceMapping", "tagSet", "groupSet", "networkInterfaceSet", "eventsSet"},
        "Image": {"productCodes", "blockDeviceMapping", "tagSet"},
        "Volume": {"attachmentSet", "tagSet"},
        "Snapshot": {"tagSet"},
        "SecurityGroup": {"ipPermissions", "ipPermissionsEgress", "tagSet", *PERMISSION},
        "AvailabilityZone": {"messageSet"},
    },
}
BEARABLE["2014-05-01"] = BEARABLE["2014-10-01"] = BEARABLE["2011-01-01"] | {
    "Image": {"productCodes", "blockDeviceMapping", "tagSet", "billingProducts"}
}


def lists_below(element: ElementTree.Element) -> Iterator[str]:
    for child in element:
        tag = child.tag.partition("}")[2]
        if any(item.tag.endswith("}item") for item in child):
            yield tag
        if tag != "networkInterfaceSet":  # an object of its own, with lists of its own
            yield from lists_below(child)


@pytest.mark.parametrize("action", OLD_ANSWERS)
@pytest.mark.parametrize("version", BEARABLE)
def test_old_clients_get_no_list_they_do_not_know(version: str, action: str) -> None:
    shape = OLD_ANSWERS[action]
    top = api.model(api.NEWEST).operations[action].output
    assert top
    full = FullMaker(api.NEWEST, 0, request=False).value(top)
    objects = next(child for child in ElementTree.fromstring(wire.write(action, version, full, REQUEST_ID)) if len(child))
    seen = set()
    for item in objects:
        if action == "DescribeInstances":
            groups, instances = (next(child for child in item if child.tag.endswith(tag)) for tag in ("groupSet", "instancesSet"))
            assert len(groups) and len(instances)
            for instance in instances:
                seen |= set(lists_below(instance))
        else:
            seen |= set(lists_below(item))
    assert seen <= BEARABLE[version].get(shape, set())
    # What they know and 2014's model has is there.
    expected = BEARABLE[version].get(shape, set()) - {"eventsSet", "billingProducts"}
    assert seen == expected


class FullMaker(Maker):
    """Makes all there is, one item in each list."""

    def structure(self, name: str, shape: api.Shape, depth: int) -> dict[str, Any]:
        return {key: self.value(member["shape"], depth + 1) for key, member in shape["members"].items()}

    def list(self, name: str, shape: api.Shape, depth: int) -> list[Any]:
        return [self.value(shape["member"]["shape"], depth + 1)]


def boto_reads(xml: bytes, marker: str, kind: type) -> list[Any]:
    """As boto 2.49 parses an answer."""
    results = boto.resultset.ResultSet([(marker, kind)])
    boto.handler.xml.sax.parseString(xml, boto.handler.XmlHandler(results, boto.ec2.connection.EC2Connection))
    return list(results)


def test_boto_reads_a_full_instance_of_today() -> None:
    top = api.model(api.NEWEST).operations["DescribeInstances"].output
    assert top
    maker = FullMaker(api.NEWEST, 1, request=False)
    reservations = [maker.value("Reservation") for _ in range(3)]
    for number, reservation in enumerate(reservations):
        reservation["ReservationId"] = f"r-{number}"
        instances = reservation["Instances"] = [maker.value("Instance") for _ in range(2)]
        for place, instance in enumerate(instances):
            instance |= {
                "InstanceId": f"i-{number}{place}",
                "KeyName": "mine",
                "Tags": [{"Key": "Name", "Value": "a & b"}],
                "SecurityGroups": [{"GroupId": "sg-1", "GroupName": "default"}],
                "State": {"Code": 16, "Name": "running"},
            }
    answer = {"Reservations": reservations}
    read_by_boto = boto_reads(wire.write("DescribeInstances", "2014-10-01", answer, REQUEST_ID), "item", Reservation)
    assert [reservation.id for reservation in read_by_boto] == ["r-0", "r-1", "r-2"]
    instances = [instance for reservation in read_by_boto for instance in reservation.instances]
    assert [instance.id for instance in instances] == ["i-00", "i-01", "i-10", "i-11", "i-20", "i-21"]
    for instance in instances:
        assert (instance.key_name, instance.state, dict(instance.tags)) == ("mine", "running", {"Name": "a & b"})
        assert [group.id for group in instance.groups] == ["sg-1"]


def test_boto_reads_a_full_security_group_of_today() -> None:
    maker = FullMaker(api.NEWEST, 1, request=False)
    groups = [maker.value("SecurityGroup") | {"GroupId": f"sg-{number}", "GroupName": "g"} for number in range(3)]
    for group in groups:
        group["IpPermissions"][0] |= {"IpRanges": [{"CidrIp": "10.0.0.0/8"}], "FromPort": 22, "ToPort": 23, "IpProtocol": "tcp"}
    xml = wire.write("DescribeSecurityGroups", "2014-10-01", {"SecurityGroups": groups}, REQUEST_ID)
    read_by_boto = boto_reads(xml, "item", SecurityGroup)
    assert [group.id for group in read_by_boto] == ["sg-0", "sg-1", "sg-2"]
    for group in read_by_boto:
        assert [(rule.from_port, rule.to_port) for rule in group.rules] == [("22", "23")]
        assert len(group.rules_egress) == 1


def test_an_image_shows_the_volume_it_holds() -> None:
    image = {"ImageId": "ami-1", "BlockDeviceMappings": [{"DeviceName": "vda", "Ebs": {"VolumeId": "vol-1"}}]}
    for version in ("2009-11-30", "2014-10-01", api.NEWEST):
        assert b"<volumeId>vol-1</volumeId>" in wire.write("DescribeImages", version, {"Images": [image]}, REQUEST_ID)


def test_an_action_younger_than_the_version_is_answered_in_todays_shape() -> None:
    answer = {"InstanceTypes": [{"InstanceType": "m1.small"}]}
    body = wire.write("DescribeInstanceTypes", "2015-10-01", answer, REQUEST_ID)
    assert b"/2015-10-01/" in body and b"<instanceType>m1.small</instanceType>" in body


def test_console_output_is_base64_by_the_caller() -> None:
    output = base64.b64encode(b"booted\n").decode()
    body = wire.write("GetConsoleOutput", api.NEWEST, {"InstanceId": ID, "Output": output}, REQUEST_ID)
    assert received("GetConsoleOutput", api.NEWEST, body)["Output"] == output


def test_a_thousand_instances_are_written_in_well_under_a_second() -> None:
    instances = FullMaker(api.NEWEST, 0, request=False).value("Instance")
    answer = {"Reservations": [{"ReservationId": "r-1", "Instances": [instances]} for _ in range(1000)]}
    wire.write("DescribeInstances", api.NEWEST, {}, REQUEST_ID)
    start = time.process_time()
    wire.write("DescribeInstances", api.NEWEST, answer, REQUEST_ID)
    assert time.process_time() - start < 1
