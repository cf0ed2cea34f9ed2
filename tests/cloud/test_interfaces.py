"""Interfaces through the life of their instances."""

from __future__ import annotations

import pytest

from ec2gw.cloud import addresses, instances, interfaces
from ec2gw.state.networks import Address, Interface, InterfaceAddress, InterfaceGroup, Subnet
from ec2gw.state.session import Transaction
from tests.cloud.world import ME, PATIENCE, ZONES, World


def subnet(world: World, zone: str = ZONES[0]) -> str:
    (row,) = world.rows(Subnet, account_id=ME, zone=zone)
    id: str = row["id"]
    return id


def of(world: World, instance_id: str) -> list[str]:
    return [row["attachment_state"] for row in world.rows(Interface, instance_id=instance_id)]


def test_an_interface_is_there_when_the_machine_is(world: World) -> None:
    (id,) = world.launch()
    assert of(world, id) == ["attaching"]
    world.bring_up(id)
    assert of(world, id) == ["attached"]
    world.wish(instances.stop, [id], PATIENCE)
    world.tell(instances.stopped, id)
    assert of(world, id) == ["attached"], "a stopped instance keeps its interface and address"
    before = world.rows(InterfaceAddress)
    world.wish(instances.start, [id], PATIENCE)
    world.bring_up(id)
    assert world.rows(InterfaceAddress) == before


def test_nothing_is_left_of_the_interface_of_an_ended_instance(world: World) -> None:
    before = {record: world.rows(record) for record in (Interface, InterfaceAddress, InterfaceGroup)}
    id = world.instance("terminated", again=True)
    assert {record: world.rows(record) for record in (Interface, InterfaceAddress, InterfaceGroup)} == before
    assert of(world, id) == []


def test_an_interface_that_is_to_stay_stays_with_its_public_address(world: World) -> None:
    network = interfaces.Wish(cards=(interfaces.Card(0, subnet_id=subnet(world), delete_on_termination=False),))
    id = world.instance("running", network=network)
    address = world.wish(addresses.allocate, None)

    def lead(tx: Transaction, account_id: str) -> None:
        addresses.associate(tx, account_id, addresses.find(tx, account_id, address, None), instance_id=id)

    world.wish(lead)
    assert world.touched == {id}, "the instance shows another address now"
    world.wish(instances.terminate, [id], PATIENCE)
    world.tell(instances.ended, id)
    (card,) = world.rows(Interface)
    assert (card["instance_id"], card["attachment_id"], card["attachment_state"]) == (None, None, None)
    assert world.row(Address, id=address)["interface_id"] == card["id"]  # type: ignore[index]


def test_an_existing_interface_stays(world: World) -> None:
    existing = [world.wish(interfaces.create, interfaces.Wanted(subnet(world))) for _ in range(2)]
    cards = (interfaces.Card(0, existing[0]), interfaces.Card(1, existing[1], delete_on_termination=False))
    world.instance("terminated", network=interfaces.Wish(cards=cards))
    assert [row["id"] for row in world.rows(Interface)] == existing


def test_without_a_zone_the_first_with_a_default_subnet_is_it(world: World) -> None:
    (id,) = world.launch()
    assert world.rows(Interface, instance_id=id)[0]["zone"] == ZONES[0]
    (id,) = world.launch(network=interfaces.Wish(subnet_id=subnet(world, ZONES[1])))
    assert world.rows(Interface, instance_id=id)[0]["zone"] == ZONES[1]


def test_a_launch_of_many_gives_each_its_own(world: World) -> None:
    launched = world.launch(count=30)
    rows = world.rows(InterfaceAddress)
    assert len({row["address"] for row in rows}) == len({row["interface_id"] for row in rows}) == len(launched) == 30
    assert len({row["mac"] for row in world.rows(Interface)}) == 30


@pytest.mark.parametrize("again", [False, True])
def test_a_fact_told_twice_is_told_once(world: World, again: bool) -> None:
    id = world.instance("terminated")
    before = world.everything()
    if again:
        world.tell(interfaces.release, id)
        world.tell(interfaces.started, id)
    assert world.everything() == before
