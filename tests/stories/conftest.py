"""The targets of every story: simulated and libvirt on this host or, inside the LVM lane, libvirt on real LVM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.story import Heard, hear
from tests import gateway
from tests.conformance.alike import Pair

# What each story was answered on the target where it was told first.
TOLD: dict[str, list[Heard]] = {}
# Stories that go another way every time, and why.
BY_CHANCE = {
    "test_a_crowd_of_clients_leaves_the_records_true": "who of the crowd comes first",
    "test_a_crowd_around_volumes_snapshots_and_images_leaves_nothing_behind": "who of the crowd comes first",
    "test_every_paginator_finds_everything_once": "which of the disks come first",
    "test_the_guest_boots_as_if_for_the_first_time": "how often two things are asked in turn",
}
TARGETS = ("lvm",) if "EC2GW_LVM" in os.environ else ("simulated", "libvirt")


@pytest.fixture(scope="session", params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[gateway.Gateway]:
    """A gateway with the guest image imported as `guest`."""
    with gateway.serving(request.param) as served:
        yield served
        assert served.stop() == 0


@pytest.fixture
def ec2(target: gateway.Gateway, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client. What it was answered is, when the story ends, compared with what it was on the target before."""
    client = target.client()
    heard: list[Heard] = []

    def note(operation_model: Any, response_dict: dict[str, Any], **_: object) -> None:
        if operation_model.name != "GetConsoleScreenshot":  # a simulated machine has no screen
            hear(heard, "", operation_model.name, response_dict["body"])

    client.meta.events.register("before-parse.ec2", note)
    yield client
    story = str(request.node.name.partition("[")[0])
    before = TOLD.setdefault(story, heard)
    if story not in BY_CHANCE:
        assert list(Pair().differences(before, heard)) == []


@pytest.fixture
def guest(ec2: Any) -> dict[str, Any]:
    """The imported image."""
    (image,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["guest"]}])["Images"]
    return dict(image)


@pytest.fixture
def tidy(target: gateway.Gateway) -> Iterator[None]:
    """Whatever a story leaves, even when it fails, is gone before the next."""
    yield
    ec2 = target.client()
    instances = [row for part in ec2.describe_instances()["Reservations"] for row in part["Instances"]]
    alive = [row["InstanceId"] for row in instances if row["State"]["Name"] != "terminated"]
    if alive:
        ec2.terminate_instances(InstanceIds=alive, Force=True)
        gateway.until(lambda: states(ec2, alive) == {"terminated"}, 60, "instances to end")
    gateway.until(
        lambda: all(v["State"] in ("available", "error") for v in ec2.describe_volumes()["Volumes"]), 60, "volumes free"
    )
    for volume in ec2.describe_volumes()["Volumes"]:
        ec2.delete_volume(VolumeId=volume["VolumeId"])
    for image in ec2.describe_images(Owners=["self"])["Images"]:
        if image["Name"] != "guest":
            ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
    kept = [row for image in ec2.describe_images(Owners=["self"])["Images"] for row in image["BlockDeviceMappings"]]
    used = {row["Ebs"]["SnapshotId"] for row in kept if "Ebs" in row}
    for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        if snapshot["SnapshotId"] not in used:
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    gateway.until(lambda: not ec2.describe_volumes()["Volumes"], 60, "volumes gone")


def states(ec2: Any, ids: list[str]) -> set[str]:
    """The states that instances are in now."""
    answer = ec2.describe_instances(InstanceIds=ids)
    return {row["State"]["Name"] for part in answer["Reservations"] for row in part["Instances"]}
