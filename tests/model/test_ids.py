"""Resource ids: their form, and which texts count as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2gw.model import ids


@given(st.sampled_from(sorted(ids.KINDS)))
def test_a_new_id_is_long_well_formed_and_names_its_kind(prefix: str) -> None:
    id = ids.new(prefix)
    assert len(id) == len(prefix) + 18
    assert id.startswith(f"{prefix}-0")
    assert ids.well_formed(prefix, id)
    assert ids.kind(id) == ids.KINDS[prefix]


def test_new_ids_differ() -> None:
    assert len({ids.new("vol") for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("prefix", "text", "good"),
    [
        ("vol", "vol-0123456789abcdef0", True),
        ("vol", "vol-1a2b3c4d", True),  # ids of old resources have 8 digits
        ("i", "i-0", True),  # well-formed and absent, as tempest expects
        ("vol", "vol-0123456789abcdef01", False),  # 18 digits
        ("vol", "vol-", False),
        ("vol", "vol", False),
        ("vol", "", False),
        ("vol", "in-use", False),
        ("vol", "vol-0123456789ABCDEF0", False),
        ("vol", "vol-xyz", False),
        ("vol", "snap-0123456789abcdef0", False),
        ("vol", " vol-1a2b3c4d", False),
        ("vol", "vol-1a2b3c4d\n", False),
        ("eni", "eni-attach-0a", False),
        ("eni-attach", "eni-attach-0a", True),
        ("ami", "not_an_ami_id", False),
    ],
)
def test_well_formed(prefix: str, text: str, good: bool) -> None:
    assert ids.well_formed(prefix, text) is good


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("i-0a", "instance"),
        ("eni-0a", "network-interface"),
        ("eni-attach-0a", "network-interface-attachment"),
        ("sg-0a", "security-group"),
        ("sgr-0a", "security-group-rule"),
        ("nothing-0a", None),
        ("i-", None),
        ("", None),
    ],
)
def test_kind(text: str, kind: str | None) -> None:
    assert ids.kind(text) == kind


def test_account_ids_have_twelve_digits() -> None:
    for _ in range(200):
        account = ids.new_account()
        assert len(account) == 12
        assert account.isdecimal()


def test_a_serial_fits_virtio() -> None:
    assert ids.serial("vol-0123456789abcdef0") == "vol0123456789abcdef0"
    assert len(ids.serial(ids.new("vol"))) == 20
    assert len(ids.serial("eph-0123456789abcdef0-ephemeral0")) == 20
