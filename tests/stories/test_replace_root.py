"""A running instance gets the root of its launch again, and boots from it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.gateway import Gateway, until
from tests.stories.test_boot_from_volume import describe, end, launch, mapping, serial, volumes_left

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(400)]


def test_the_guest_boots_as_if_for_the_first_time(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    instance = launch(ec2, guest["ImageId"])
    old = mapping(ec2, instance)["/dev/sda1"]["VolumeId"]
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    task = ec2.create_replace_root_volume_task(InstanceId=instance)["ReplaceRootVolumeTask"]

    def state() -> str:
        assert describe(ec2, instance)["State"]["Name"] == "running", "all along"
        (row,) = ec2.describe_replace_root_volume_tasks(ReplaceRootVolumeTaskIds=[task["ReplaceRootVolumeTaskId"]])[
            "ReplaceRootVolumeTasks"
        ]
        return str(row["TaskState"])

    until(lambda: state() == "succeeded", 60, "the root to be replaced", state)
    new = mapping(ec2, instance)["/dev/sda1"]["VolumeId"]
    assert new != old
    if target.real:
        target.hears(instance, rf"disk dev=vda serial={serial(new)} ")

        def counts() -> list[str]:
            return re.findall(r"boot count=(\d+)", target.console(instance))

        until(lambda: counts() == ["1", "1"], 60, "the new root to count its first boot", counts)
    assert ec2.describe_volumes(VolumeIds=[old])["Volumes"][0]["State"] == "available"
    end(ec2, instance)
    assert volumes_left(ec2) == {old}
