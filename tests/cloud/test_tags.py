"""What tags can be given to; the rest is judged through the query face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.cloud import tags
from ec2gw.state.records import Image, Instance, Record, Tag
from ec2gw.state.session import Database, Transaction
from tests.refusals import refused

ACCOUNT = "111111111111"


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    database = Database(f"sqlite:///{tmp_path}/records.db")
    Record.metadata.create_all(database.engine)
    with database.write() as opened:
        yield opened
    database.close()


def image(tx: Transaction, id: str, state: str) -> str:
    tx.db.add(
        Image(
            id=id, account_id=ACCOUNT, created_at=tx.now, name=id, architecture="x86_64", virtualization_type="hvm",
            root_device_name="/dev/sda1", location="", mapping=[], state=state, options={},
        )
    )  # fmt: skip
    tx.db.flush()
    return id


def instance(tx: Transaction, id: str, state: str) -> str:
    tx.db.add(
        Instance(
            id=id, account_id=ACCOUNT, created_at=tx.now, reservation_id="r-1", launch_index=0, image_id="ami-1", type="t3.micro",
            zone="a", root_device_name="/dev/sda1", state=state, launched_at=tx.now, wished_at=tx.now, grace=20,
            architecture="x86_64", virtualization_type="hvm", scratch=[], options={},
        )
    )  # fmt: skip
    tx.db.flush()
    return id


def test_a_terminated_instance_can_be_tagged_a_deregistered_image_cannot(tx: Transaction) -> None:
    ids = [instance(tx, "i-1", "terminated"), image(tx, "ami-1", "available")]
    tags.create(tx, ACCOUNT, ids, [("a", "1")])
    assert tags.of(tx, ids) == {"i-1": {"a": "1"}, "ami-1": {"a": "1"}}
    gone = image(tx, "ami-2", "deregistered")
    with refused("InvalidAMIID.NotFound", "The image id '[ami-2]' does not exist"):
        tags.create(tx, ACCOUNT, [*ids, gone], [("b", "1")])
    assert tags.of(tx, [*ids, gone]) == {"i-1": {"a": "1"}, "ami-1": {"a": "1"}, "ami-2": {}}


def test_all_missing_ids_of_a_kind_are_named(tx: Transaction) -> None:
    with refused("InvalidInstanceID.NotFound", "The instance IDs 'i-1, i-2' do not exist"):
        tags.create(tx, ACCOUNT, ["i-1", "i-2"], [("a", "1")])
    with refused("InvalidID", "The ID 'r-1' is not valid"):
        tags.create(tx, ACCOUNT, ["r-1"], [("a", "1")])


def test_a_call_names_a_thousand_resources(tx: Transaction) -> None:
    ids = [instance(tx, f"i-{n:x}", "running") for n in range(1000)]
    tags.create(tx, ACCOUNT, ids + ids[:5], [("a", "1")])
    assert tx.db.query(Tag).count() == 1000
    with refused("ResourceCountExceeded", "At most 1000 resources can be named in a request."):
        tags.create(tx, ACCOUNT, [*ids, "i-ffff"], [("b", "1")])


def test_tags_of_aws_are_out_of_reach_and_do_not_count(tx: Transaction) -> None:
    id = instance(tx, "i-1", "running")
    for key in ("aws:one", "aws:two"):
        tx.db.add(Tag(resource_id=id, key=key, value="x", account_id=ACCOUNT, resource_type="instance"))
    tags.create(tx, ACCOUNT, [id], [(f"k{n}", "") for n in range(50)])
    with refused("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"):
        tags.delete(tx, ACCOUNT, [id], [("aws:one", None)])
    tags.delete(tx, ACCOUNT, [id])
    assert tags.of(tx, [id]) == {"i-1": {"aws:one": "x", "aws:two": "x"}}
