"""EBS volume types: limits, defaults, and what EC2 says beyond them."""

from __future__ import annotations

import pytest

from ec2gw.model import volume_types
from ec2gw.model.volume_types import Shape
from tests.refusals import refused

VALUE, COMBINATION = "InvalidParameterValue", "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("asked", "settled"),
    [
        # defaults
        ((None, 8, None, None), Shape("gp2", 8, 100, None)),
        (("gp3", 8, None, None), Shape("gp3", 8, 3_000, 125)),
        (("standard", 8, None, None), Shape("standard", 8, None, None)),
        (("st1", 125, None, None), Shape("st1", 125, None, None)),
        (("sc1", 125, None, None), Shape("sc1", 125, None, None)),
        (("io1", 4, 100, None), Shape("io1", 4, 100, None)),
        (("io2", 4, 100, None), Shape("io2", 4, 100, None)),
        # gp2: 3 a GiB, at least 100, at most 16,000
        (("gp2", 1, None, None), Shape("gp2", 1, 100, None)),
        (("gp2", 33, None, None), Shape("gp2", 33, 100, None)),
        (("gp2", 34, None, None), Shape("gp2", 34, 102, None)),
        (("gp2", 42, None, None), Shape("gp2", 42, 126, None)),
        (("gp2", 100, None, None), Shape("gp2", 100, 300, None)),
        (("gp2", 5_334, None, None), Shape("gp2", 5_334, 16_000, None)),
        # the largest of each
        (("gp2", 16_384, None, None), Shape("gp2", 16_384, 16_000, None)),
        (("gp3", 65_536, 80_000, 2_000), Shape("gp3", 65_536, 80_000, 2_000)),
        (("io1", 16_384, 64_000, None), Shape("io1", 16_384, 64_000, None)),
        (("io2", 65_536, 256_000, None), Shape("io2", 65_536, 256_000, None)),
        (("st1", 16_384, None, None), Shape("st1", 16_384, None, None)),
        (("sc1", 16_384, None, None), Shape("sc1", 16_384, None, None)),
        (("standard", 1_024, None, None), Shape("standard", 1_024, None, None)),
        # ratios, met just so
        (("gp3", 1, 3_000, None), Shape("gp3", 1, 3_000, 125)),  # 3,000 are every gp3 volume's
        (("gp3", 8, 4_000, None), Shape("gp3", 8, 4_000, 125)),
        (("gp3", 8, None, 750), Shape("gp3", 8, 3_000, 750)),
        (("io1", 4, 200, None), Shape("io1", 4, 200, None)),
        (("io2", 4, 4_000, None), Shape("io2", 4, 4_000, None)),
    ],
)
def test_settled(asked: tuple[str | None, int, int | None, int | None], settled: Shape) -> None:
    assert volume_types.shape(*asked) == settled


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (("gp9", 8, None, None), "UnknownVolumeType", "The volume type 'gp9' is unknown."),
        (("gp2", 0, None, None), VALUE, "Volume of 0GiB is too small; minimum is 1GiB."),
        (("gp2", -1, None, None), VALUE, "Volume of -1GiB is too small; minimum is 1GiB."),
        (("gp2", 16_385, None, None), VALUE, "Volume of 16385GiB is too large; maximum is 16384GiB."),
        (("gp3", 65_537, None, None), VALUE, "Volume of 65537GiB is too large; maximum is 65536GiB."),
        (("io1", 3, 100, None), VALUE, "Volume of 3GiB is too small; minimum is 4GiB."),
        (("io1", 16_385, 100, None), VALUE, "Volume of 16385GiB is too large; maximum is 16384GiB."),
        (("io2", 3, 100, None), VALUE, "Volume of 3GiB is too small; minimum is 4GiB."),
        (("io2", 65_537, 100, None), VALUE, "Volume of 65537GiB is too large; maximum is 65536GiB."),
        (("st1", 124, None, None), VALUE, "Volume of 124GiB is too small; minimum is 125GiB."),
        (("sc1", 16_385, None, None), VALUE, "Volume of 16385GiB is too large; maximum is 16384GiB."),
        (("standard", 1_025, None, None), VALUE, "Volume of 1025GiB is too large; maximum is 1024GiB."),
        (("io1", 8, None, None), COMBINATION, "The parameter iops must be specified for io1 volumes."),
        (("io2", 8, None, None), COMBINATION, "The parameter iops must be specified for io2 volumes."),
        (("gp2", 8, 100, None), COMBINATION, "The parameter iops is not supported for gp2 volumes."),
        ((None, 8, 100, None), COMBINATION, "The parameter iops is not supported for gp2 volumes."),
        (("st1", 125, 100, None), COMBINATION, "The parameter iops is not supported for st1 volumes."),
        (("sc1", 125, 100, None), COMBINATION, "The parameter iops is not supported for sc1 volumes."),
        (("standard", 8, 100, None), COMBINATION, "The parameter iops is not supported for standard volumes."),
        (("gp2", 8, None, 125), COMBINATION, "throughput can only be specified for volumeType gp3."),
        (("io2", 8, 100, 125), COMBINATION, "throughput can only be specified for volumeType gp3."),
        (("gp3", 8, 2_999, None), VALUE, "Volume iops of 2999 is too low; minimum is 3000."),
        (("gp3", 1_000, 200_000, None), VALUE, "Volume iops of 200000 is too high; maximum is 80000"),
        (("io1", 8, 99, None), VALUE, "Volume iops of 99 is too low; minimum is 100."),
        (("io1", 16_384, 64_001, None), VALUE, "Volume iops of 64001 is too high; maximum is 64000"),
        (("io2", 8, 256_001, None), VALUE, "Volume iops of 256001 is too high; maximum is 256000"),
        (
            ("gp3", 8, 4_001, None),
            COMBINATION,
            "Iops to volume size ratio of 500.125000 is too high; maximum is 500.000000 iops per GiB.",
        ),
        (
            ("io1", 4, 201, None),
            COMBINATION,
            "Iops to volume size ratio of 50.250000 is too high; maximum is 50.000000 iops per GiB.",
        ),
        (
            ("io2", 4, 4_001, None),
            COMBINATION,
            "Iops to volume size ratio of 1000.250000 is too high; maximum is 1000.000000 iops per GiB.",
        ),
        (
            ("gp3", 8, 3_000, 1_200),
            COMBINATION,
            "Throughput (MiBps) to iops ratio of 0.400000 is too high; maximum is 0.250000 MiBps per iops.",
        ),
        (("gp3", 8, None, 124), VALUE, "Volume throughput of 124 is out of range; it must be 125 to 2000."),
        (("gp3", 100, 16_000, 2_001), VALUE, "Volume throughput of 2001 is out of range; it must be 125 to 2000."),
    ],
)
def test_refused(asked: tuple[str | None, int, int | None, int | None], code: str, message: str) -> None:
    with refused(code, message):
        volume_types.shape(*asked)


def test_only_the_types_of_the_reference_exist_and_two_cannot_boot() -> None:
    assert {name: kind.bootable for name, kind in volume_types.TYPES.items()} == {
        "gp3": True, "gp2": True, "io1": True, "io2": True, "standard": True, "st1": False, "sc1": False,
    }  # fmt: skip
