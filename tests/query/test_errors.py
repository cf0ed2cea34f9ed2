"""What EC2 says of a refusal: the exact texts that clients match on, and that no refusal in the house is without one."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import ec2gw
from ec2gw.ebs import errors as blocks_errors
from ec2gw.model import errors as model_errors
from ec2gw.model import ids
from ec2gw.query import errors

NOT_FOUND = [
    ("instance", ["i-0a"], "InvalidInstanceID.NotFound", "The instance ID 'i-0a' does not exist"),
    ("instance", ["i-0a", "i-0b"], "InvalidInstanceID.NotFound", "The instance IDs 'i-0a, i-0b' do not exist"),
    ("image", ["ami-0a"], "InvalidAMIID.NotFound", "The image id '[ami-0a]' does not exist"),
    ("image", ["ami-0a", "ami-0b"], "InvalidAMIID.NotFound", "The image ids '[ami-0a, ami-0b]' do not exist"),
    ("volume", ["vol-0a"], "InvalidVolume.NotFound", "The volume 'vol-0a' does not exist."),
    ("volume", ["vol-0a", "vol-0b"], "InvalidVolume.NotFound", "The volume 'vol-0a' does not exist."),
    ("volume", "vol-0a", "InvalidVolume.NotFound", "The volume 'vol-0a' does not exist."),
    ("snapshot", ["snap-0a"], "InvalidSnapshot.NotFound", "The snapshot 'snap-0a' does not exist."),
    ("key-pair", ["mine"], "InvalidKeyPair.NotFound", "The key pair 'mine' does not exist"),
    ("security-group", ["sg-0a"], "InvalidGroup.NotFound", "The security group 'sg-0a' does not exist"),
    ("subnet", ["subnet-0a"], "InvalidSubnetID.NotFound", "The subnet ID 'subnet-0a' does not exist"),
    ("elastic-ip", ["eipalloc-0a"], "InvalidAllocationID.NotFound", "The allocation ID 'eipalloc-0a' does not exist"),
    (
        "launch-template",
        ["lt-0a"],
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID lt-0a, does not exist.",
    ),
]

MALFORMED = [
    ("instance", "InvalidInstanceID.Malformed", 'Invalid id: "x" (expecting "i-...")'),
    ("image", "InvalidAMIID.Malformed", 'Invalid id: "x" (expecting "ami-...")'),
    ("security-group", "InvalidGroupId.Malformed", 'Invalid id: "x" (expecting "sg-...")'),
    ("volume", "InvalidParameterValue", "Value (x) for parameter volumeId is invalid. Expected: 'vol-...'."),
    ("snapshot", "InvalidParameterValue", "Value (x) for parameter snapshotId is invalid. Expected: 'snap-...'."),
]

# As recorded from AWS.
OBSERVED = [
    ("volume-size-missing", {}, "MissingParameter", "The request must contain the parameter size/snapshot"),
    ("volume-in-use", {"volume": "vol-1", "instance": "i-1"}, "VolumeInUse", "Volume vol-1 is currently attached to i-1"),
    ("volume-attached", {"volume": "vol-1"}, "VolumeInUse", "vol-1 is already attached to an instance"),
    (
        "device-in-use",
        {"device": "/dev/sdf"},
        "InvalidParameterValue",
        "Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use",
    ),
    (
        "mapping-size-below-snapshot",
        {"size": 20, "snapshot": "snap-1", "minimum": 30},
        "InvalidBlockDeviceMapping",
        "Volume of size 20GB is smaller than snapshot 'snap-1', expect size >= 30GB",
    ),
    (
        "volume-other-zone",
        {"volume": "vol-1", "instance": "i-1"},
        "InvalidVolume.ZoneMismatch",
        "The volume 'vol-1' is not in the same availability zone as instance 'i-1'",
    ),
    (
        "termination-protected",
        {"instance": "i-1", "attribute": "disableApiTermination"},
        "OperationNotPermitted",
        "The instance 'i-1' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
    ),
    (
        "instance-not-startable",
        {"instance": "i-1"},
        "IncorrectInstanceState",
        "The instance 'i-1' is not in a state from which it can be started.",
    ),
    (
        "snapshot-in-use",
        {"snapshot": "snap-1", "image": "ami-1"},
        "InvalidSnapshot.InUse",
        "The snapshot snap-1 is currently in use by ami-1",
    ),
    (
        "throughput-ratio",
        {"ratio": 0.4, "maximum": 0.25},
        "InvalidParameterCombination",
        "Throughput (MiBps) to iops ratio of 0.400000 is too high; maximum is 0.250000 MiBps per iops.",
    ),
    (
        "permission-taken",
        {"rule": "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW"},
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
    ),
]


@pytest.mark.parametrize(("kind", "names", "code", "message"), NOT_FOUND)
def test_not_found(kind: str, names: object, code: str, message: str) -> None:
    fault = errors.from_refusal(model_errors.NotFound("not-found", kind=kind, ids=names))
    assert (fault.code, fault.message, fault.status) == (code, message, 400)


@pytest.mark.parametrize(("kind", "code", "message"), MALFORMED)
def test_malformed(kind: str, code: str, message: str) -> None:
    fault = errors.from_refusal(model_errors.Malformed("malformed-id", kind=kind, id="x", parameter=f"{kind}Id"))
    assert (fault.code, fault.message, fault.status) == (code, message, 400)


@pytest.mark.parametrize(("reason", "facts", "code", "message"), OBSERVED)
def test_observed_texts(reason: str, facts: dict[str, object], code: str, message: str) -> None:
    fault = errors.from_refusal(model_errors.Refusal(reason, **facts))
    assert (fault.code, fault.message) == (code, message)


@pytest.mark.parametrize("prefix", sorted(ids.KINDS))
def test_every_kind_of_id_can_be_missed(prefix: str) -> None:
    name = ids.new(prefix)
    absent = errors.from_refusal(model_errors.NotFound("not-found", kind=ids.KINDS[prefix], ids=[name]))
    assert name in absent.message
    malformed = errors.from_refusal(model_errors.Malformed("malformed-id", kind=ids.KINDS[prefix], id="x", parameter="p"))
    assert f"{prefix}-..." in malformed.message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AuthFailure", 401),
        ("UnauthorizedOperation", 403),
        ("MissingAuthenticationToken", 403),
        ("DryRunOperation", 412),
        ("InternalError", 500),
        ("RequestLimitExceeded", 503),
        ("InvalidVolume.NotFound", 400),
        ("RequestExpired", 400),
    ],
)
def test_status(code: str, status: int) -> None:
    assert errors.Fault(code, "").status == status


def test_a_status_may_be_said() -> None:
    assert errors.Fault("AuthFailure", "Not authorized for image:ami-1", 403).status == 403


def test_facts_are_not_templates() -> None:
    fault = errors.from_refusal(model_errors.Invalid("invalid-filter", name="{0.__class__}"))
    assert fault.message == "The filter '{0.__class__}' is invalid"


def test_an_unknown_refusal_is_a_bug() -> None:
    with pytest.raises(KeyError):
        errors.from_refusal(model_errors.Refusal("no-such-reason"))


# Accounts and keys are made on the command line, which says its refusals in its own words.
ELSEWHERE = {"accounts.py"}


def refusals() -> Iterator[tuple[str, str, frozenset[str]]]:
    """(where, reason, names of its facts) of every refusal that is written out in the house."""
    names = {name for name, value in vars(model_errors).items() if isinstance(value, type)}
    for path in sorted(path for path in Path(ec2gw.__file__).parent.rglob("*.py") if path.name not in ELSEWHERE):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in names
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                facts = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
                yield f"{path.name}:{node.lineno}", str(node.args[0].value), facts


def test_every_refusal_in_the_house_has_a_text() -> None:
    found = list(refusals())
    assert found
    mute = []
    for where, reason, facts in found:
        if reason in blocks_errors.ROWS and reason not in errors.ROWS:  # said by the other face only
            continue
        if reason == "not-found":
            needed: set[str] = {"kind", "ids"}
        elif reason == "malformed-id":
            needed = {"kind", "id"}
        elif reason in errors.ROWS:
            needed = {name for _, name, _, _ in string.Formatter().parse(errors.ROWS[reason][1]) if name}
        else:
            mute.append(f"{where}: {reason} has no row")
            continue
        if not needed <= facts:
            mute.append(f"{where}: {reason} lacks {sorted(needed - facts)}")
    assert mute == []


def test_every_text_is_for_a_refusal_that_there_is() -> None:
    said: set[object] = set()
    for path in Path(ec2gw.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        table = path == Path(errors.__file__)
        keys = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys} if table else set()
        said |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in keys}
    assert errors.ROWS.keys() - said == set()
