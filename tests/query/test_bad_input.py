"""Requests of the model's own shape with anything in them: no bug answers, and a refusal changes no record."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from ec2gw.model import ids
from ec2gw.query import actions, api
from ec2gw.state import records
from tests.query.face import Face
from tests.query.test_wire import Maker, sent

actions.load()
ROUNDS = 12
_WORDS = (
    "", "us-east-1a", "/dev/sda1", "/dev/sdf", "sdz9", "gp2", "io1", "x86_64", "hvm", "t3.micro", "default", "tcp", "-1",
    "10.0.0.0/16", "172.31.0.0/20", "0.0.0.0/0", "name", "volume", "instance", "true", "../../etc",
    "'; drop table volume; --", "\u0000", "ephemeral0",
)  # fmt: skip


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One account with one of everything that is easily had."""
    served = Face(tmp_path_factory.mktemp("bad-input"))
    ec2 = served.client()
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    ec2.create_key_pair(KeyName="name", KeyType="ed25519")
    ec2.create_security_group(GroupName="name", Description="one")
    with served.database.write() as tx:
        for row in tx.db.query(records.Volume):
            row.state = "available"
    ec2.create_snapshot(VolumeId=ec2.describe_volumes()["Volumes"][0]["VolumeId"])
    yield served
    served.close()


class Mischief(Maker):
    """Makes requests whose texts are now and then ids that exist, ids that do not, and words that mean something elsewhere."""

    def __init__(self, seed: object, known: list[str]) -> None:
        super().__init__(api.NEWEST, seed, request=True)
        self._known = known

    def string(self, name: str, shape: api.Shape, depth: int) -> str:
        made = (self.random.choice(self._known), self.random.choice(_WORDS), ids.new(self.random.choice(list(ids.KINDS))))
        allowed = shape.get("enum")
        return str(self.random.choice((*made, *allowed, *allowed) if allowed else made))

    def integer(self, name: str, shape: api.Shape, depth: int) -> int:
        return self.random.choice((0, 1, 5, 8, 100, -1, 2**31 - 1))


@pytest.mark.parametrize("action", sorted(api.REGISTER))
def test_a_refusal_is_ec2s_and_changes_nothing(face: Face, action: str) -> None:
    refused = 0
    for number in range(ROUNDS):
        before = face.everything()
        known = sorted(set(re.findall(r"\b[a-z]+-0[0-9a-f]{16}\b", repr(before))))
        params = dict(
            sent(action, api.NEWEST, Mischief(f"{action} {number}", known).value(api.model(api.NEWEST).operations[action].input))
        )
        if number % 3 == 0:  # a parameter that has nothing to do here
            params[random.Random(number).choice(("Volume.1.Id", "Bogus", "Filter.x", "NextToken"))] = "x"
        reply = face.send({**params, "Action": action, "Version": "2016-11-15"})
        assert reply.status < 500, (params, reply.text)
        if reply.status >= 400:
            refused += 1
            assert reply.code and re.fullmatch(r"[A-Za-z.]+", reply.code)
            assert face.everything() == before, (params, reply.text)
    assert refused, "none of the rounds was refused: the mischief is too tame"
