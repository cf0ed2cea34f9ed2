"""That what is wrong with a metadata listing is seen, and that nothing is said of one that is right."""

from __future__ import annotations

import pytest

from conformance import metadata
from conformance.story import Differs, Unsupported

RIGHT = "ami=sda1 root=/dev/sda1 ebs1=sdf ebs2=sdg ephemeral0=sdb"
DISKS = {"/dev/sdf": "ebs", "/dev/sdg": "ebs", "/dev/sdb": "ephemeral0"}


def found(listing: str) -> list[str]:
    console = f"boot\r\nEC2GW-GUEST metadata ami=vda\r\nEC2GW-GUEST metadata {listing}\r\nEC2GW-GUEST ready\r\n"
    return list(metadata.complaints(metadata.heard(console), "/dev/sda1", DISKS))


@pytest.mark.parametrize(
    "right",
    [
        RIGHT,
        "ephemeral0=/dev/sdb ebs2=sdf ebs1=/dev/sdg root=/dev/sda1 ami=/dev/sda1",  # in any order, with /dev/ or without
        f"{RIGHT} emi=sda1",
    ],
)
def test_right(right: str) -> None:
    assert found(right) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("root=/dev/sda1 ebs1=sdf ebs2=sdg ephemeral0=sdb", ["ami is not listed"]),
        (f"{RIGHT} ami=sda1", ["ami is listed 2 times"]),
        (RIGHT.replace("root=/dev/sda1", "root=/dev/sda"), ["root is /dev/sda, not /dev/sda1"]),
        (RIGHT.replace(" ebs2=sdg", ""), ["/dev/sdg is listed as nothing, not once as ebsN"]),
        (f"{RIGHT} ebs3=sdg", ["/dev/sdg is listed as ['ebs2', 'ebs3'], not once as ebsN"]),
        (f"{RIGHT} ebs3=sdh", ["ebs3=sdh is listed, and not mapped"]),
        (f"{RIGHT} ebs3=sda1", ["ebs3=sda1 is listed, and not mapped"]),
        (f"{RIGHT} swap=sdc", ["swap=sdc is listed, and not mapped"]),
        (RIGHT.replace("ephemeral0", "ephemeral1"), ["/dev/sdb is listed as ['ephemeral1'], not once as ephemeral0"]),
        (RIGHT.replace("ebs2=sdg", "ephemeral1=sdg"), ["/dev/sdg is listed as ['ephemeral1'], not once as ebsN"]),
        (RIGHT.replace("ebs1", "ebs0").replace("ebs2", "ebs1"), ["the volumes are numbered [0, 1], not from 1 on"]),
        (
            RIGHT.replace("ebs2=sdg", "ebs2=xvdg"),
            ["/dev/sdg is listed as nothing, not once as ebsN", "ebs2=xvdg is listed, and not mapped"],
        ),
        ("", ["ami is not listed", "root is not listed", *(
            f"{device} is listed as nothing, not once as {'ebsN' if kind == 'ebs' else kind}" for device, kind in DISKS.items()
        )]),
    ],
)  # fmt: skip
def test_wrong(wrong: str, said: list[str]) -> None:
    assert found(wrong) == said


def test_nobody_to_ask() -> None:
    with pytest.raises(Unsupported, match="no metadata service: no network card"):
        found("unreachable: no network card")
    with pytest.raises(Differs, match="404"):
        found("refused: wget: server returned error: HTTP/1.1 404 Not Found")
    with pytest.raises(Differs, match="says nothing"):
        metadata.heard("EC2GW-GUEST ready\n")
