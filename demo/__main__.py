"""`python -m demo --image FILE`: the whole story of boot from volume, on real machines, each step asserted and timed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from demo import gateway

GIB = 1 << 30
ROOT, DATA, EPHEMERAL, GUEST_ROOT = "/dev/sda1", "/dev/sdf", "/dev/sdb", "vda"


class Timeline:
    """What happened when, in seconds since the demo began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._console = Console(highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print what was done, when it is done, and how long it took."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._console.print(f"[bold]{now - self._began:6.1f} s[/]  {what} [dim]({now - began:.1f} s)[/]")

    def note(self, text: str) -> None:
        """Something seen on the way."""
        self._console.print(f"          [cyan]{text}[/]")


class Story:
    """The demo's client, and what it made."""

    def __init__(self, ec2: Any, timeline: Timeline) -> None:
        self.ec2 = ec2
        self.timeline = timeline
        self.instances: set[str] = set()

    def run(self, image: str, **more: Any) -> str:
        """RunInstances, and wait for `running`."""
        (made,) = self.ec2.run_instances(ImageId=image, InstanceType="t2.micro", MinCount=1, MaxCount=1, **more)["Instances"]
        id = str(made["InstanceId"])
        self.instances.add(id)
        self.becomes(id, "running")
        return id

    def describe(self, instance: str) -> dict[str, Any]:
        """The instance as DescribeInstances shows it."""
        (row,) = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        return dict(row)

    def disks(self, instance: str) -> dict[str, dict[str, Any]]:
        """The instance's volumes by device name."""
        return {row["DeviceName"]: row["Ebs"] for row in self.describe(instance)["BlockDeviceMappings"]}

    def becomes(self, instance: str, state: str) -> None:
        """Wait for a state of the instance."""
        until(lambda: self.describe(instance)["State"]["Name"] == state, f"{instance} to be {state}")

    def volumes(self) -> dict[str, dict[str, Any]]:
        """All volumes by id."""
        return {row["VolumeId"]: row for row in self.ec2.describe_volumes()["Volumes"]}

    def is_available(self, volume: str) -> bool:
        """Whether the volume is `available`."""
        return bool(self.volumes()[volume]["State"] == "available")

    def console(self, instance: str) -> str:
        """What the guest has printed, by GetConsoleOutput."""
        return str(self.ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", ""))

    def hear(self, instance: str, pattern: str) -> None:
        """Wait for a line on the guest's console."""
        seen: list[str] = []

        def heard() -> bool:
            seen.extend(re.findall(f".*EC2GW-GUEST ({pattern}.*)", self.console(instance)))
            return bool(seen)

        until(heard, f"{pattern!r} on the console of {instance}")
        self.timeline.note(f"guest says: {seen[-1].strip()}")


def until(true: Callable[[], bool], what: str, timeout: float = 240) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.2)


def serial(volume: str) -> str:
    """The serial that a guest sees of a volume."""
    return volume.replace("-", "")


def tell(story: Story, guest: str) -> None:
    """From a snapshot to an instance and back to nothing. `guest` is the imported image."""
    ec2, step = story.ec2, story.timeline.step
    (zone, *_) = (row["ZoneName"] for row in ec2.describe_availability_zones()["AvailabilityZones"])
    (imported,) = ec2.describe_images(ImageIds=[guest])["Images"]

    with step("CreateVolume from the imported image's snapshot, CreateSnapshot of it"):
        origin = imported["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        first = ec2.create_volume(AvailabilityZone=zone, SnapshotId=origin)["VolumeId"]
        ec2.get_waiter("volume_available").wait(VolumeIds=[first], WaiterConfig={"Delay": 1})
        snapshot = ec2.create_snapshot(VolumeId=first, Description="root")["SnapshotId"]
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})

    with step("RegisterImage: root from the snapshot, a blank data volume, an ephemeral disk"):
        image = ec2.register_image(
            Name="boots-from-volume",
            Architecture="x86_64",
            VirtualizationType="hvm",
            RootDeviceName=ROOT,
            BlockDeviceMappings=[
                {"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": True}},
                {"DeviceName": DATA, "Ebs": {"VolumeSize": 1}},
                {"DeviceName": EPHEMERAL, "VirtualName": "ephemeral0"},
            ],
        )["ImageId"]

    with step("RunInstances: the root grown to 2 GiB, and kept on termination"):
        override = {"DeviceName": ROOT, "Ebs": {"VolumeSize": 2, "DeleteOnTermination": False}}
        instance = story.run(image, BlockDeviceMappings=[override], Placement={"AvailabilityZone": zone})
        disks = story.disks(instance)
        root, data = disks[ROOT]["VolumeId"], disks[DATA]["VolumeId"]
        assert set(disks) == {ROOT, DATA}
        assert not disks[ROOT]["DeleteOnTermination"]
        assert disks[DATA]["DeleteOnTermination"]
        volumes = story.volumes()
        assert (volumes[root]["Size"], volumes[root]["SnapshotId"], volumes[data]["Size"]) == (2, snapshot, 1)

    with step("The guest booted from that volume"):
        story.hear(instance, "boot count=1 ")
        story.hear(instance, f"disk dev={GUEST_ROOT} serial={serial(root)} bytes={2 * GIB} ")
        story.hear(instance, f"disk dev=vd. serial={serial(data)} bytes={GIB} ")
        story.hear(instance, "ready ")

    with step("StopInstances: by the power button"):
        ec2.stop_instances(InstanceIds=[instance])
        story.becomes(instance, "stopped")
        assert set(story.disks(instance)) == {ROOT, DATA}

    with step("StartInstances: the same root, so the boot counter says 2"):
        ec2.start_instances(InstanceIds=[instance])
        story.becomes(instance, "running")
        story.hear(instance, "boot count=2 ")
        assert story.disks(instance)[ROOT]["VolumeId"] == root
        until(lambda: len(re.findall("EC2GW-GUEST ready", story.console(instance))) == 2, "the guest to be ready")

    with step("AttachVolume, seen by the running guest"):
        ec2.attach_volume(VolumeId=first, InstanceId=instance, Device="/dev/sdg")
        story.hear(instance, f"hotplug action=add .*serial={serial(first)}")
        until(lambda: story.disks(instance)["/dev/sdg"]["Status"] == "attached", f"{first} to be attached")

    with step("DetachVolume, seen by the running guest"):
        ec2.detach_volume(VolumeId=first)
        story.hear(instance, "hotplug action=remove ")
        until(lambda: story.is_available(first), f"{first} to be available")
        assert set(story.disks(instance)) == {ROOT, DATA}

    with step("CreateImage of the instance"):
        copied = ec2.create_image(InstanceId=instance, Name="copy")["ImageId"]
        until(lambda: ec2.describe_images(ImageIds=[copied])["Images"][0]["State"] == "available", f"{copied} to be available")
        story.becomes(instance, "running")

    with step("RunInstances of that image: its root goes on counting"):
        copy = story.run(copied)
        story.hear(copy, "boot count=3 ")
        copies = {disk["VolumeId"] for disk in story.disks(copy).values()}
        assert len(copies) == 2
        assert not copies & {root, data}

    with step("TerminateInstances: exactly the right volumes are gone"):
        attached = [*story.disks(instance).values(), *story.disks(copy).values()]
        kept = {first} | {disk["VolumeId"] for disk in attached if not disk["DeleteOnTermination"]}
        assert root in kept
        assert data not in kept
        ec2.terminate_instances(InstanceIds=[instance, copy])
        story.becomes(instance, "terminated")
        story.becomes(copy, "terminated")
        until(lambda: set(story.volumes()) == kept, f"{', '.join(sorted(kept))} to be all that is left")
        story.timeline.note(
            f"gone: {', '.join(sorted({disk['VolumeId'] for disk in attached} - kept))}; kept: {', '.join(sorted(kept))}"
        )


@click.command()
@click.option("--image", type=click.Path(exists=True, path_type=Path), required=True, help="The guest image.")
@click.option("--hypervisor", default="libvirt", show_default=True, help="As of `ec2gw serve`; it must run real machines.")
def main(image: Path, hypervisor: str) -> None:
    """Tell the story, and leave nothing running."""
    timeline = Timeline()
    with ExitStack() as ending:
        with timeline.step("ec2gw serve"):
            serving = ending.enter_context(gateway.served(hypervisor))
            timeline.note(serving.said.splitlines()[0])
        with timeline.step(f"ec2gw image import {image.name}"):
            guest = serving.import_image(image, "guest")
        story = Story(serving.client(), timeline)
        try:
            tell(story, guest)
        finally:
            if story.instances:
                story.ec2.terminate_instances(InstanceIds=sorted(story.instances))
                for id in story.instances:
                    story.becomes(id, "terminated")
    left = gateway.machines_left(story.instances)
    assert not left, f"still running: {left}"
    with timeline.step("Done: every step was asserted, and nothing is left running"):
        pass


if __name__ == "__main__":
    main()
