"""That answers which differ are told apart, and that those which do not are not."""

from __future__ import annotations

import pytest

from conformance.story import Heard
from tests.conformance.alike import Pair

RUN = (
    "<RunInstancesResponse><instancesSet><item><instanceId>i-{i}</instanceId><instanceState><name>{state}</name></instanceState>"
    "<imageId>ami-0123456789abcdef0</imageId><launchTime>{time}</launchTime></item></instancesSet></RunInstancesResponse>"
)
SHOWN = (
    "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-{i}</instanceId>"
    "<instanceState><name>{state}</name></instanceState><privateIpAddress>{ip}</privateIpAddress>{more}"
    "</item></instancesSet></item>{other}</reservationSet></DescribeInstancesResponse>"
)
FIRST = {"i": "0a" * 8 + "0", "state": "running", "time": "2026-01-01T00:00:00.000Z", "ip": "10.0.0.1", "more": "", "other": ""}
SECOND = FIRST | {"i": "0b" * 8 + "0", "time": "2027-02-03T04:05:06.000Z", "ip": "10.9.9.9"}
STRANGER = "<item><instanceId>i-0000000000000000f</instanceId><instanceState><name>stopped</name></instanceState></item>"


def told(**said: str) -> list[Heard]:
    launched = RUN.format(**said | {"state": "pending"})
    return [Heard("a", "RunInstances", launched.encode()), Heard("b", "DescribeInstances", SHOWN.format(**said).encode())]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, ""),
        ({"other": STRANGER}, ""),
        ({"state": "pending"}, ""),
        ({"state": "stopped"}, "'running' and 'stopped'"),
        ({"more": "<keyName>k</keyName>"}, "has ['instanceId', 'instanceState', 'privateIpAddress'] and"),
        ({"ip": ""}, "'an address' and ''"),
    ],
)
def test_shapes_and_states(change: dict[str, str], differs: str) -> None:
    found = list(Pair().differences(told(**FIRST), told(**SECOND | change)))
    assert [differs in line for line in found] == ([True] if differs else [])


def test_a_thing_stays_itself() -> None:
    one = [*told(**FIRST), *told(**FIRST | {"i": "0c" * 8 + "0"})]
    same = [*told(**SECOND), *told(**SECOND | {"i": "0d" * 8 + "0"})]
    assert list(Pair().differences(one, same)) == []
    mixed = [*told(**SECOND), *told(**SECOND)]
    assert [line.rpartition(": ")[2] for line in Pair().differences(mixed, one)] == ["another i"] * 2


def test_what_was_asked() -> None:
    assert len(list(Pair().differences(told(**FIRST), told(**SECOND)[:1]))) == 1
