"""Changes of volumes and what is said of them, through boto3; the engine's part is told by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ec2gw.cloud import volumes
from tests.query.face import ZONES, Face
from tests.query.test_images import refusal


def new_volume(face: Face, ec2: Any, **more: Any) -> str:
    """An available volume."""
    id: str = ec2.create_volume(AvailabilityZone=ZONES[0], **{"Size": 10, **more})["VolumeId"]
    told(face, volumes.created, id)
    return id


def told(face: Face, *facts: Any) -> None:
    fact, *words = facts
    with face.database.write() as tx:
        fact(tx, *words)


@pytest.fixture
def volume(face: Face, ec2: Any) -> str:
    return new_volume(face, ec2)


def shown(ec2: Any, volume: str) -> tuple[Any, ...]:
    (row,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    return row["VolumeType"], row["Size"], row.get("Iops"), row.get("Throughput")


def modification(ec2: Any, volume: str) -> dict[str, Any]:
    (row,) = ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
    return dict(row)


def test_a_modification_from_wish_to_completion(face: Face, ec2: Any, volume: str) -> None:
    made = ec2.modify_volume(VolumeId=volume, Size=20, VolumeType="gp3", Iops=4000, Throughput=250)["VolumeModification"]
    assert made["ModificationState"] == "modifying"
    assert made["Progress"] == 0
    assert {name: value for name, value in made.items() if name.startswith(("Original", "Target"))} == {
        "OriginalSize": 10, "OriginalIops": 100, "OriginalVolumeType": "gp2", "OriginalMultiAttachEnabled": False,
        "TargetSize": 20, "TargetIops": 4000, "TargetVolumeType": "gp3", "TargetThroughput": 250,
        "TargetMultiAttachEnabled": False,
    }  # fmt: skip
    assert modification(ec2, volume) == made
    assert shown(ec2, volume) == ("gp2", 10, 100, None), "until it is done, the volume is as it was"
    with refusal("IncorrectModificationState", f"Volume {volume} cannot be modified in modification state MODIFYING"):
        ec2.modify_volume(VolumeId=volume, Size=30)
    told(face, volumes.grown, volume)
    assert shown(ec2, volume) == ("gp3", 20, 4000, 250)
    assert modification(ec2, volume)["ModificationState"] == "optimizing"
    with refusal("IncorrectModificationState", f"Volume {volume} cannot be modified in modification state OPTIMIZING"):
        ec2.modify_volume(VolumeId=volume, Size=30)
    told(face, volumes.optimized, volume)
    done = modification(ec2, volume)
    assert (done["ModificationState"], done["Progress"]) == ("completed", 100)
    assert done["EndTime"] >= done["StartTime"]
    again = ec2.modify_volume(VolumeId=volume, Size=30)["VolumeModification"]
    assert (again["OriginalSize"], again["TargetSize"], again["TargetIops"], again["TargetThroughput"]) == (20, 30, 4000, 250)
    told(face, volumes.not_grown, volume, "no space")
    failed = modification(ec2, volume)
    assert (failed["ModificationState"], failed["StatusMessage"]) == ("failed", "no space")
    assert shown(ec2, volume) == ("gp3", 20, 4000, 250)


# old -> asked -> type, size, iops, throughput
DEFAULTS = [
    ({}, {"Size": 11}, ("gp2", 11, 100, None)),
    ({"Size": 100}, {"Size": 200}, ("gp2", 200, 600, None)),
    ({}, {"VolumeType": "gp3"}, ("gp3", 10, 3000, 125)),
    ({"VolumeType": "gp3", "Iops": 4000, "Throughput": 300}, {"Size": 20}, ("gp3", 20, 4000, 300)),
    ({"VolumeType": "gp3", "Iops": 4000, "Throughput": 300}, {"Throughput": 400}, ("gp3", 10, 4000, 400)),
    ({"VolumeType": "gp3"}, {"VolumeType": "gp2"}, ("gp2", 10, 100, None)),
    ({"VolumeType": "io1", "Iops": 200}, {"Size": 40}, ("io1", 40, 200, None)),
    ({"VolumeType": "io1", "Iops": 200}, {"VolumeType": "io2"}, ("io2", 10, 3000, None)),
    ({"Size": 125}, {"VolumeType": "st1"}, ("st1", 125, None, None)),
    ({}, {"Size": 10}, ("gp2", 10, 100, None)),
]


@pytest.mark.parametrize(("old", "asked", "new"), DEFAULTS)
def test_what_is_not_said(face: Face, ec2: Any, old: dict[str, Any], asked: dict[str, Any], new: tuple[Any, ...]) -> None:
    volume = new_volume(face, ec2, **old)
    ec2.modify_volume(VolumeId=volume, **asked)
    told(face, volumes.grown, volume)
    assert shown(ec2, volume) == new


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "InvalidParameterCombination", None),
    ({"Size": 9}, "InvalidParameterValue", "New size cannot be smaller than existing size"),
    ({"Size": 20_000}, "InvalidParameterValue", "Volume of 20000GiB is too large; maximum is 16384GiB."),
    ({"VolumeType": "tape"}, "UnknownVolumeType", "The volume type 'tape' is unknown."),
    ({"VolumeType": "st1"}, "InvalidParameterValue", "Volume of 10GiB is too small; minimum is 125GiB."),
    ({"Iops": 4000}, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."),
    ({"VolumeType": "io1"}, "InvalidParameterCombination", None),
    ({"Throughput": 200}, "InvalidParameterCombination", "throughput can only be specified for volumeType gp3."),
    ({"MultiAttachEnabled": True}, "UnsupportedOperation", None),
    ({"VolumeId": "vol-0123456789abcdef0"}, "InvalidVolume.NotFound", "The volume 'vol-0123456789abcdef0' does not exist."),
    ({"VolumeId": "vol-x"}, "InvalidParameterValue", None),
]


@pytest.mark.parametrize(("asked", "code", "message"), REFUSED)
def test_what_is_refused(face: Face, ec2: Any, volume: str, asked: dict[str, Any], code: str, message: str | None) -> None:
    before = face.everything()
    with refusal(code, message):
        ec2.modify_volume(**{"VolumeId": volume, **asked})
    assert face.everything() == before


def test_a_volume_in_another_state_is_not_modified(face: Face, ec2: Any) -> None:
    volume = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    with refusal("IncorrectState", f"Volume '{volume}' is in the 'creating' state."):
        ec2.modify_volume(VolumeId=volume, Size=2)
    told(face, volumes.failed, volume)
    with refusal("IncorrectState", f"Volume '{volume}' is in the 'error' state."):
        ec2.modify_volume(VolumeId=volume, Size=2)
    ec2.delete_volume(VolumeId=volume)
    with refusal("InvalidVolume.NotFound"):
        ec2.modify_volume(VolumeId=volume, Size=2)


def test_which_modifications_are_listed(face: Face, ec2: Any, volume: str) -> None:
    other = new_volume(face, ec2)
    with refusal("InvalidVolumeModification.NotFound", f"Modification for volume '{volume}' does not exist."):
        ec2.describe_volumes_modifications(VolumeIds=[volume])
    with refusal("InvalidVolume.NotFound"):
        ec2.describe_volumes_modifications(VolumeIds=["vol-0123456789abcdef0"])
    for id, size in ((volume, 11), (other, 12)):
        ec2.modify_volume(VolumeId=id, Size=size)
    told(face, volumes.grown, other)

    def found(name: str, *values: str) -> list[str]:
        rows = ec2.describe_volumes_modifications(Filters=[{"Name": name, "Values": list(values)}])["VolumesModifications"]
        return [row["VolumeId"] for row in rows]

    assert found("modification-state", "modifying") == [volume]
    assert found("target-size", "12") == [other]
    assert found("original-size", "10") == [volume, other]
    assert found("volume-id", other) == [other]
    assert face.client(face.second).describe_volumes_modifications()["VolumesModifications"] == []
    told(face, volumes.optimized, other)
    ec2.delete_volume(VolumeId=other)
    told(face, volumes.removed, other)
    assert [row["VolumeId"] for row in ec2.describe_volumes_modifications()["VolumesModifications"]] == [volume]


@pytest.mark.parametrize(
    ("facts", "status", "enabled"),
    [
        ((), "insufficient-data", "insufficient-data"),
        ((volumes.created,), "ok", "passed"),
        ((volumes.failed,), "impaired", "failed"),
    ],
)
def test_status(face: Face, ec2: Any, facts: tuple[Callable[..., None], ...], status: str, enabled: str) -> None:
    volume = ec2.create_volume(AvailabilityZone=ZONES[1], Size=1)["VolumeId"]
    for fact in facts:
        told(face, fact, volume)
    (row,) = ec2.describe_volume_status(VolumeIds=[volume])["VolumeStatuses"]
    assert row["AvailabilityZone"] == ZONES[1]
    assert row["VolumeStatus"] == {
        "Status": status,
        "Details": [{"Name": "io-enabled", "Status": enabled}, {"Name": "io-performance", "Status": "not-applicable"}],
    }
    for name, value in (
        ("volume-status.status", status),
        ("volume-status.details-status", enabled),
        ("availability-zone", ZONES[1]),
    ):
        rows = ec2.describe_volume_status(Filters=[{"Name": name, "Values": [value]}])["VolumeStatuses"]
        assert [found["VolumeId"] for found in rows] == [volume]
    assert ec2.describe_volume_status(Filters=[{"Name": "volume-status.status", "Values": ["warning"]}])["VolumeStatuses"] == []


def test_attributes(face: Face, ec2: Any, volume: str) -> None:
    def automatic() -> bool:
        return bool(ec2.describe_volume_attribute(VolumeId=volume, Attribute="autoEnableIO")["AutoEnableIO"]["Value"])

    assert automatic() is False
    ec2.modify_volume_attribute(VolumeId=volume, AutoEnableIO={"Value": True})
    assert automatic() is True
    assert ec2.describe_volume_attribute(VolumeId=volume, Attribute="productCodes")["ProductCodes"] == []
    with refusal("InvalidParameterValue"):
        ec2.describe_volume_attribute(VolumeId=volume, Attribute="colour")
    with refusal("InvalidParameterCombination", "No attributes specified."):
        ec2.modify_volume_attribute(VolumeId=volume)
    assert "<return>true</return>" in face.ask("EnableVolumeIO", VolumeId=volume).text
    with refusal("InvalidVolume.NotFound"):
        face.client(face.second).enable_volume_io(VolumeId=volume)
