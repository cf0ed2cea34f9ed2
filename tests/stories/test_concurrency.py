"""Many clients at once: whatever they do to each other, none hears an error that EC2 has not, and the records stay true."""

from __future__ import annotations

import collections
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import pytest

from tests.gateway import Gateway, until

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(600)]

CLIENTS = 16
ZONE = "us-east-1a"
# What EC2 itself says to a client that came too late, or at a bad moment.
FAIR = {
    "run": set(),
    "attach": {"IncorrectState", "IncorrectInstanceState", "VolumeInUse", "InvalidParameterValue"},
    "detach": {"IncorrectState", "InvalidAttachment.NotFound"},
    "terminate": set(),
}

# And of a volume, a snapshot or an image that another has taken or deleted, or that is not whole yet.
LATE = {
    "ConcurrentSnapshotLimitExceeded", "IncorrectModificationState", "IncorrectState", "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable", "InvalidSnapshot.InUse", "InvalidSnapshot.NotFound", "InvalidVolume.NotFound",
    "ResourceLimitExceeded", "VolumeInUse",
}  # fmt: skip
PREFIX = {"volume": "vol", "snapshot": "snap", "image": "ami"}


class Crowd:
    """Clients with connections of their own, one a thread. `said` are the errors they heard, `did` what went well."""

    def __init__(self, target: Gateway) -> None:
        self._target = target
        self._own = threading.local()
        self._noting = threading.Lock()
        self.said: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.did: dict[str, list[Any]] = collections.defaultdict(list)

    def together(self, deeds: list[tuple[str, Callable[[Any], Any]]]) -> None:
        """Do all of it, CLIENTS at a time."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            for future in [pool.submit(self._do, name, deed) for name, deed in deeds]:
                future.result()

    def _do(self, name: str, deed: Callable[[Any], Any]) -> None:
        if not hasattr(self._own, "client"):
            self._own.client = self._target.client()
        try:
            done = deed(self._own.client)
        except botocore.exceptions.ClientError as error:
            with self._noting:
                self.said[name][error.response["Error"]["Code"]] += 1
        else:
            with self._noting:
                self.did[name].append(done)


def run(image: str, token: str) -> Callable[[Any], list[str]]:
    def deed(ec2: Any) -> list[str]:
        answer = ec2.run_instances(
            ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, ClientToken=token,
            Placement={"AvailabilityZone": ZONE},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "of", "Value": token}]}],
        )  # fmt: skip
        return [row["InstanceId"] for row in answer["Instances"]]

    return deed


def attach(volume: str, instance: str, device: str) -> Callable[[Any], Any]:
    return lambda ec2: ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)["State"]


def detach(volume: str) -> Callable[[Any], Any]:
    return lambda ec2: ec2.detach_volume(VolumeId=volume)["State"]


def terminate(instance: str) -> Callable[[Any], Any]:
    return lambda ec2: ec2.terminate_instances(InstanceIds=[instance], Force=True)["TerminatingInstances"][0]["InstanceId"]


def every(ec2: Any, operation: str, result: str) -> list[dict[str, Any]]:
    return [row for page in ec2.get_paginator(operation).paginate() for row in page[result]]


def instances(ec2: Any) -> list[dict[str, Any]]:
    return [row for part in every(ec2, "describe_instances", "Reservations") for row in part["Instances"]]


def settled(ec2: Any, ours: set[str]) -> bool:
    own = [row for row in instances(ec2) if row["InstanceId"] in ours]
    volumes = every(ec2, "describe_volumes", "Volumes")
    return (
        all(row["State"]["Name"] in ("running", "terminated") for row in own)
        and all(volume["State"] in ("available", "in-use") for volume in volumes)
        and all(row["State"] == "attached" for volume in volumes for row in volume["Attachments"])
    )


@pytest.fixture
def many(target: Gateway) -> int:
    """How much of each a crowd does: real machines take their time."""
    return 3 if target.real else 100


def test_a_crowd_of_clients_leaves_the_records_true(target: Gateway, ec2: Any, guest: dict[str, Any], many: int) -> None:
    crowd, chance = Crowd(target), random.Random(20)
    free = [ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"] for _ in range(max(many // 4, 2))]

    # Every third client comes twice, as one whose first answer was lost.
    tokens = [f"crowd-{number}" for number in range(many)]
    twice = [token for number, token in enumerate(tokens) if number % 3 == 0]
    crowd.together(
        [("run", run(guest["ImageId"], token)) for pair in itertools.zip_longest(tokens, twice) for token in pair if token]
    )
    assert not crowd.said, crowd.said
    launched = {id for ids in crowd.did["run"] for id in ids}
    assert len(crowd.did["run"]) == len(tokens) + len(twice)
    assert len(launched) == len(tokens)
    until(lambda: settled(ec2, launched), 240, "instances to run")

    # All at once: few volumes, fewer device names, and instances that go while disks come.
    leaving = chance.sample(sorted(launched), many // 2)
    deeds: list[tuple[str, Callable[[Any], Any]]] = [("terminate", terminate(id)) for id in leaving]
    deeds += [("run", run(guest["ImageId"], f"late-{number}")) for number in range(many // 4)]
    for _ in range(many):
        deeds.append(
            ("attach", attach(chance.choice(free), chance.choice(sorted(launched)), chance.choice(("/dev/sdf", "xvdg"))))
        )
        deeds.append(("detach", detach(chance.choice(free))))
    chance.shuffle(deeds)
    crowd.together(deeds)
    for name, codes in crowd.said.items():
        assert codes.keys() <= FAIR[name], (name, codes)
    assert crowd.did["attach"]
    assert sorted(crowd.did["terminate"]) == sorted(leaving)
    launched = {id for ids in crowd.did["run"] for id in ids}
    assert len(launched) == len(tokens) + many // 4
    until(lambda: settled(ec2, launched), 240, "all to settle")

    own = [row for row in instances(ec2) if row["InstanceId"] in launched]
    assert {row["InstanceId"] for row in own} == launched
    assert {row["InstanceId"] for row in own if row["State"]["Name"] == "terminated"} == set(leaving)
    alive = [row for row in own if row["State"]["Name"] == "running"]
    told = {row["Tags"][0]["Value"] for row in own}
    assert len(told) == len(launched)

    # Attachments are the same from both sides, no volume is at two instances, no device name stands for two volumes.
    volumes = {row["VolumeId"]: row for row in every(ec2, "describe_volumes", "Volumes")}
    from_instances = sorted(attachments_of(alive))
    from_volumes = sorted(
        (at["InstanceId"], at["Device"], volume["VolumeId"]) for volume in volumes.values() for at in volume["Attachments"]
    )
    assert from_instances == from_volumes
    assert len({volume for _, _, volume in from_instances}) == len(from_instances)
    assert len({(instance, device) for instance, device, _ in from_instances}) == len(from_instances)
    assert all((volume["State"] == "in-use") == bool(volume["Attachments"]) for volume in volumes.values())
    assert all(len(volume["Attachments"]) <= 1 for volume in volumes.values())

    # Of those that went nothing is left, and nothing else is gone: a root each, and the volumes there were.
    roots = {row["BlockDeviceMappings"][0]["Ebs"]["VolumeId"] for row in alive}
    assert volumes.keys() == roots | set(free)

    addresses = [row["PrivateIpAddress"] for row in alive]
    assert len(set(addresses)) == len(addresses) == len(launched) - len(leaving)

    # Host and records agree: `doctor` sees all machines only while nobody serves.
    assert target.stop() == 0
    target.run("doctor")
    target.start()
    assert sorted(attachments_of(row for row in instances(ec2) if row["State"]["Name"] == "running")) == from_instances


def test_a_crowd_around_volumes_snapshots_and_images_leaves_nothing_behind(
    target: Gateway, ec2: Any, guest: dict[str, Any], many: int
) -> None:
    """What is made is deleted beside, while something else is still being made of it."""
    crowd, chance, names = Crowd(target), random.Random(21), itertools.count()
    crowd.together([("run", run(guest["ImageId"], f"beside-{number}")) for number in range(max(many // 25, 1))])
    homes = [id for ids in crowd.did["run"] for id in ids]
    until(lambda: settled(ec2, set(homes)), 240, "instances to run")
    disk = guest["BlockDeviceMappings"][0]
    made = {"volume": [new_volume(ec2)], "snapshot": [disk["Ebs"]["SnapshotId"]], "image": [guest["ImageId"]]}
    kept = [made["snapshot"][0], made["image"][0]]

    def some(kind: str) -> str:
        return str(chance.choice(made[kind][-24:]))

    def mine(kind: str) -> str:
        """One that may go."""
        free = [str(id) for id in made[kind][-24:] if id not in kept]
        return chance.choice(free or [f"{PREFIX[kind]}-0123456789abcdef0"])

    def make(kind: str, deed: Callable[[Any], Any]) -> Callable[[Any], None]:
        return lambda ec2: made[kind].append(deed(ec2))

    def named(deed: str, **words: Any) -> Callable[[Any], str]:
        return lambda ec2: str(getattr(ec2, deed)(Name=f"beside-{next(names)}", **{k: v() for k, v in words.items()})["ImageId"])

    def root() -> list[dict[str, Any]]:
        return [{"DeviceName": disk["DeviceName"], "Ebs": {"SnapshotId": some("snapshot")}}]

    region = str(ec2.meta.region_name)
    acts: dict[str, Callable[[Any], Any]] = {
        "blank": make("volume", new_volume),
        "filled": make("volume", lambda ec2: new_volume(ec2, SnapshotId=some("snapshot"))),
        "snapshot": make("snapshot", lambda ec2: ec2.create_snapshot(VolumeId=some("volume"))["SnapshotId"]),
        "copy": make(
            "snapshot", lambda ec2: ec2.copy_snapshot(SourceSnapshotId=some("snapshot"), SourceRegion=region)["SnapshotId"]
        ),
        "image": make("image", named("create_image", InstanceId=lambda: chance.choice(homes), NoReboot=lambda: True)),
        "copied": make("image", named("copy_image", SourceImageId=lambda: some("image"), SourceRegion=lambda: region)),
        "registered": make("image", named("register_image", RootDeviceName=lambda: disk["DeviceName"], BlockDeviceMappings=root)),
        "grow": lambda ec2: ec2.modify_volume(VolumeId=some("volume"), Size=2),
        "attach": lambda ec2: attach(some("volume"), chance.choice(homes), "/dev/sdf")(ec2),
        "detach": lambda ec2: detach(some("volume"))(ec2),
        "delete": lambda ec2: ec2.delete_volume(VolumeId=mine("volume")),
        "forget": lambda ec2: ec2.delete_snapshot(SnapshotId=mine("snapshot")),
        "deregister": lambda ec2: ec2.deregister_image(ImageId=mine("image"), DeleteAssociatedSnapshots=True),
    }
    crowd.together([(act, acts[act]) for act in chance.choices(sorted(acts), k=many * 6)])
    for act, codes in crowd.said.items():
        assert codes.keys() <= LATE | FAIR.get(act, set()), (act, codes)
    assert target.real or sum(bool(crowd.did[act]) for act in acts) > 9, crowd.said

    # All comes to an end, and an image that is there has all of its snapshots.
    until(lambda: settled(ec2, set(homes)), 240, "volumes to settle")
    until(lambda: "pending" not in {row["State"] for row in own_images(ec2) + own_snapshots(ec2)}, 240, "snapshots to settle")
    whole = {row["SnapshotId"] for row in own_snapshots(ec2) if row["State"] == "completed"}
    for image in own_images(ec2):
        assert image["State"] == "available"
        assert {row["Ebs"]["SnapshotId"] for row in image["BlockDeviceMappings"] if "Ebs" in row} <= whole

    # Nobody holds what nobody knows: all of it can be deleted, and then the store has the guest's snapshot alone.
    ec2.terminate_instances(InstanceIds=homes, Force=True)
    until(lambda: all(row["State"] == "available" for row in every(ec2, "describe_volumes", "Volumes")), 60, "volumes free")
    for volume in every(ec2, "describe_volumes", "Volumes"):
        ec2.delete_volume(VolumeId=volume["VolumeId"])
    for image in own_images(ec2):
        if image["ImageId"] not in kept:
            ec2.deregister_image(ImageId=image["ImageId"])
    for snapshot in own_snapshots(ec2):
        if snapshot["SnapshotId"] not in kept:
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    until(lambda: not every(ec2, "describe_volumes", "Volumes"), 60, "volumes gone")
    if target.target == "simulated":
        disks = target.folder / "volumes" / "disks"
        until(lambda: [path.stem for path in disks.iterdir()] == kept[:1], 60, "the store to be empty")


def new_volume(ec2: Any, **words: Any) -> str:
    return str(ec2.create_volume(AvailabilityZone=ZONE, **(words or {"Size": 1}))["VolumeId"])


def own_images(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_images(Owners=["self"])["Images"])


def own_snapshots(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])


def attachments_of(rows: Any) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        for mapping in row["BlockDeviceMappings"]:
            yield row["InstanceId"], mapping["DeviceName"], mapping["Ebs"]["VolumeId"]
