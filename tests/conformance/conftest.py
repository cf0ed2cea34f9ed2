"""The endpoints that the tests aim at: gateways on simulated machines and on libvirt with files; in the LVM lane, on LVM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conformance import run
from conformance.story import Key, Target
from tests import gateway

TARGETS = ("lvm",) if "EC2GW_LVM" in os.environ else ("simulated", "libvirt")
JOBS = {
    "simulated": 4,
    "libvirt": 6,
    "lvm": 3,
    "moto": 5,
}  # stories at a time; the machine of the LVM lane has 3 GiB for all guests
# On LVM, where a boot takes long, the stories of booting; the longest first.
BOOTING = ("boto3 guest checks", "boto3 checklist [389] *", "boto 2.49 boot*", "replay boto3*ebs-boot")
# What the stories of limits run into; no other story comes near them.
LIMITS = {"EC2GW_MAX_INSTANCES": "300", "EC2GW_MAX_STORAGE": "100000"}


def names(target: str) -> list[str]:
    """The stories that are told to a target."""
    return [name for pattern in BOOTING for name in run.chosen([pattern])] if target == "lvm" else run.chosen(())


@contextmanager
def serving(target: str) -> Iterator[tuple[gateway.Gateway, Target]]:
    """A gateway and the way to it, with its first key and one of a second account. Real ones have the guest image."""
    # The guests of most stories have no system to obey.
    with gateway.housed(target, patience=1) as served:
        served.start(**LIMITS)
        profile = served.credentials()
        key = Key(profile["aws_access_key_id"], profile["aws_secret_access_key"])
        second = Key(*served.run("account", "create", "second").splitlines()[-1].split("\t"))
        guest = None
        if served.real:
            served.run("image", "import", str(gateway.guest_image()), "--name", "guest")
            (image,) = served.client().describe_images(Filters=[{"Name": "name", "Values": ["guest"]}])["Images"]
            guest = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        yield served, run.found_out(Target(served.url, key, second=second, guest=guest, patience=60 if served.real else 20))
        if served.process and served.process.poll() is None:
            served.stop()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Target]:
    """A simulated gateway, for the tests of the suite itself."""
    with serving("simulated") as (_, target):
        yield target
