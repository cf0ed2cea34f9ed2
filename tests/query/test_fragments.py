"""Answers joined from what was written before must be, byte for byte, the answers written anew."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ec2gw.backend import simulated
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import raw
from ec2gw.cloud import accounts, images, networks, snapshots
from ec2gw.engine import loop
from ec2gw.model import bdm, errors
from ec2gw.query import actions, api, fragments, wire
from ec2gw.query.errors import Fault
from ec2gw.state import records, session

ZONE = "us-east-1a"
REGION = api.Region("us-east-1", (ZONE, "us-east-1b"), "127.0.0.1:8773", 0)
VERSIONS = (api.NEWEST, "2012-12-01", "2010-08-31")
DESCRIBES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("DescribeInstances", {}),
    ("DescribeInstances", {"MaxResults": 5}),
    ("DescribeInstances", {"Filters": [{"Name": "tag:Name", "Values": ["a", "b"]}]}),
    ("DescribeInstances", {"Filters": [{"Name": "instance-state-name", "Values": ["running", "stopped"]}]}),
    ("DescribeVolumes", {}),
    ("DescribeVolumes", {"Filters": [{"Name": "tag-key", "Values": ["Name"]}, {"Name": "status", "Values": ["in-use"]}]}),
)


class House:
    """Records and an engine with simulated machines; actions are called as the server calls them, without the wire."""

    def __init__(self, folder: Path) -> None:
        actions.load()
        self.database = session.Database(f"sqlite:///{folder}/records.db")
        records.Record.metadata.create_all(self.database.engine)
        store = raw.RawStore(folder / "volumes")
        self.engine = loop.Engine(
            self.database,
            dict.fromkeys(REGION.zones, store),
            simulated.Hypervisor(folder / "machines"),
            Staging(folder / "uploads"),
            Downloads(folder / "imports", largest=1 << 30),
        )
        with self.database.write() as tx:
            self.account = accounts.create(tx, "mine").id
            networks.create_default_vpc(tx, self.account, REGION.name, REGION.zones)
            snapshot = snapshots.begin_fill(tx, self.account, 1, ZONE, "root").id
        store.create(snapshot, 1 << 30)
        with self.database.write() as tx:
            snapshots.completed(tx, snapshot)
            registration = images.Registration("image", "/dev/sda1", architecture="x86_64", virtualization_type="hvm")
            lines = (bdm.Line("/dev/sda1", snapshot_id=snapshot),)
            self.image = images.register(tx, self.account, registration, lines).id

    def call(self, tx: session.Transaction, version: str, kept: fragments.Shelf | None = None) -> api.Call:
        return api.Call(self.account, "AKIA", REGION.name, version, tx, REGION, kept)

    def do(self, name: str, **request: Any) -> dict[str, Any]:
        """Run an action that writes. A refusal changes nothing and answers nothing."""
        action = api.REGISTER[name]
        try:
            with self.database.write() as tx:
                return action.run(self.call(tx, api.NEWEST), request)
        except (errors.Refusal, Fault):
            return {}

    def answers(self, kept: fragments.Fragments, name: str, request: dict[str, Any], version: str) -> tuple[bytes, bytes]:
        """A Describe's answer with what is kept, and without, of one and the same moment."""
        run = api.REGISTER[name].run
        with self.database.read() as tx:
            shelf = kept.shelf(tx, self.account, name, version)
            joined = wire.write(name, version, run(self.call(tx, version, shelf), dict(request)), "id")
            shelf.close()
            anew = wire.write(name, version, run(self.call(tx, version), dict(request)), "id")
        return joined, anew

    def ids(self, kind: type[records.Listed]) -> list[str]:
        with self.database.read() as tx:
            return list(tx.db.scalars(select(kind.id)))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.engine.start()
    yield made
    made.engine.stop()
    made.database.close()


def mischief(house: House, chance: random.Random, found: dict[str, list[str]]) -> None:
    """One random write, as a client would make it; many are refused."""

    def some(kind: str) -> str:
        return chance.choice(found[kind]) if found[kind] else f"{kind}-0123456789abcdef0"

    instance, volume, interface = some("i"), some("vol"), some("eni")
    resource = chance.choice((instance, volume))
    deeds: dict[str, dict[str, Any]] = {
        "RunInstances": {"ImageId": house.image, "MinCount": 1, "MaxCount": chance.choice((1, 2)), "InstanceType": "m1.small"},
        "StopInstances": {"InstanceIds": [instance], "Force": True},
        "StartInstances": {"InstanceIds": [instance]},
        "RebootInstances": {"InstanceIds": [instance]},
        "TerminateInstances": {"InstanceIds": [instance], "Force": True},
        "CreateVolume": {"AvailabilityZone": ZONE, "Size": 1, "VolumeType": "gp2"},
        "DeleteVolume": {"VolumeId": volume},
        "AttachVolume": {"VolumeId": volume, "InstanceId": instance, "Device": chance.choice(("/dev/sdf", "/dev/sdg"))},
        "DetachVolume": {"VolumeId": volume},
        "CreateTags": {"Resources": [resource], "Tags": [{"Key": "Name", "Value": chance.choice("abc")}]},
        "DeleteTags": {"Resources": [resource], "Tags": [{"Key": "Name"}]},
        "ModifyInstanceAttribute": {
            "InstanceId": instance,
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": chance.random() < 0.5}}],
        },
        "CreateNetworkInterface": {"SubnetId": some("subnet")},
        "AttachNetworkInterface": {"NetworkInterfaceId": interface, "InstanceId": instance, "DeviceIndex": 1},
        "AssignPrivateIpAddresses": {"NetworkInterfaceId": interface, "SecondaryPrivateIpAddressCount": 1},
        "ModifyNetworkInterfaceAttribute": {"NetworkInterfaceId": interface, "Description": {"Value": chance.choice("xyz")}},
        "AllocateAddress": {"Domain": "vpc"},
        "AssociateAddress": {"AllocationId": some("eipalloc"), "InstanceId": instance, "AllowReassociation": True},
        "ReleaseAddress": {"AllocationId": some("eipalloc")},
        "ModifyVpcAttribute": {"VpcId": some("vpc"), "EnableDnsHostnames": {"Value": chance.random() < 0.5}},
        "CreateSecurityGroup": {"GroupName": chance.choice("pqr"), "Description": "d", "VpcId": some("vpc")},
    }
    name = chance.choice(list(deeds))
    house.do(name, **deeds[name])


def look_around(house: House) -> dict[str, list[str]]:
    from ec2gw.state import networks as tables

    kinds: dict[str, type[records.Listed]] = {
        "i": records.Instance, "vol": records.Volume, "eni": tables.Interface, "subnet": tables.Subnet,
        "vpc": tables.Vpc, "eipalloc": tables.Address,
    }  # fmt: skip
    return {prefix: house.ids(kind) for prefix, kind in kinds.items()}


@pytest.mark.parametrize("seed", range(3))
def test_answers_joined_are_those_written_anew(house: House, seed: int) -> None:
    chance, kept = random.Random(seed), fragments.Fragments()
    house.do("RunInstances", ImageId=house.image, MinCount=6, MaxCount=6, InstanceType="m1.small")
    for _ in range(120):
        mischief(house, chance, look_around(house))
        name, request = chance.choice(DESCRIBES)
        version = chance.choice(VERSIONS)
        joined, anew = house.answers(kept, name, request, version)
        assert joined == anew, (name, request, version)
    for name, request in DESCRIBES:
        for version in VERSIONS:
            joined, anew = house.answers(kept, name, request, version)
            assert joined == anew, (name, request, version)


def test_readers_beside_writers_see_no_mixture(house: House) -> None:
    kept, over, wrong = fragments.Fragments(), threading.Event(), []
    house.do("RunInstances", ImageId=house.image, MinCount=6, MaxCount=6, InstanceType="m1.small")

    def read() -> None:
        while not over.is_set():
            for name, request in DESCRIBES:
                joined, anew = house.answers(kept, name, request, api.NEWEST)
                if joined != anew:
                    wrong.append((joined, anew))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    chance = random.Random(7)
    for _ in range(60):
        mischief(house, chance, look_around(house))
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong


def settled(house: House) -> list[str]:
    """Four instances, running and let alone."""
    made = house.do("RunInstances", ImageId=house.image, MinCount=4, MaxCount=4, InstanceType="m1.small")
    found = [row["InstanceId"] for row in made["Instances"]]
    with house.database.read() as tx:
        volumes = list(tx.db.scalars(select(records.Volume.id)))
    assert house.engine.wait([*found, *volumes], 30)
    assert house.engine.wait([*found, *volumes], 30)
    return found


def test_a_write_takes_away_what_it_concerns_and_nothing_else(house: House) -> None:
    kept, found = fragments.Fragments(), settled(house)

    def there() -> set[str]:
        with house.database.read() as tx:
            return set(kept.shelf(tx, house.account, "DescribeInstances", api.NEWEST).find(found))

    assert there() == set()
    house.answers(kept, "DescribeInstances", {}, api.NEWEST)
    assert there() == set(found)
    house.do("CreateTags", Resources=[found[0]], Tags=[{"Key": "Name", "Value": "x"}])
    assert there() == set(found[1:])
    house.do("RunInstances", ImageId=house.image, MinCount=1, MaxCount=1, InstanceType="m1.small")
    assert there() == set(found[1:])
    house.do("CreateVolume", AvailabilityZone=ZONE, Size=1)
    assert there() == set(found[1:])
    house.do("StopInstances", InstanceIds=[found[1]], Force=True)
    assert there() == set(found[2:])


def test_another_account_s_text_is_not_shown(house: House) -> None:
    kept, found = fragments.Fragments(), settled(house)
    house.answers(kept, "DescribeInstances", {}, api.NEWEST)
    with house.database.read() as tx:
        assert kept.shelf(tx, "999999999999", "DescribeInstances", api.NEWEST).find(found) == {}
        assert kept.shelf(tx, house.account, "DescribeInstances", VERSIONS[1]).find(found) == {}


def test_memory_is_bounded(house: House) -> None:
    found = settled(house)
    with house.database.read() as tx:
        size = len(house.answers(fragments.Fragments(), "DescribeInstances", {}, api.NEWEST)[0])
        kept = fragments.Fragments(most=size // 2)
        joined, anew = house.answers(kept, "DescribeInstances", {}, api.NEWEST)
        assert joined == anew
        assert 0 < len(kept.shelf(tx, house.account, "DescribeInstances", api.NEWEST).find(found)) < len(found)
