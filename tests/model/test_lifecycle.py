"""The lifecycle tables: whole, free of contradictions, every state reachable, every wish able to come true."""

from __future__ import annotations

import pytest

from ec2gw.model import lifecycle

TABLES = {
    "instance": (lifecycle.INSTANCE, "pending"),
    "volume": (lifecycle.VOLUME, "creating"),
    "attachment": (lifecycle.ATTACHMENT, "attaching"),
    "snapshot": (lifecycle.SNAPSHOT, "pending"),
    "image": (lifecycle.IMAGE, "pending"),
    "modification": (lifecycle.MODIFICATION, "modifying"),
    "replacement": (lifecycle.REPLACEMENT, "pending"),
    "import": (lifecycle.IMPORT, "active"),
}
BY_NAME = pytest.mark.parametrize(("table", "first"), TABLES.values(), ids=TABLES)


def reachable(table: lifecycle.Table, start: str, events: frozenset[str]) -> set[str]:
    found, ahead = {start}, [start]
    while ahead:
        for event, state in table.get(ahead.pop(), {}).items():
            if event in events and state not in found:
                found.add(state)
                ahead.append(state)
    return found


def test_wishes_and_facts_never_meet_and_name_every_event() -> None:
    assert not lifecycle.WISHES & lifecycle.FACTS
    events = {event for table, _ in TABLES.values() for row in table.values() for event in row}
    assert events == lifecycle.WISHES | lifecycle.FACTS


@BY_NAME
def test_every_state_is_reachable_and_has_a_row(table: lifecycle.Table, first: str) -> None:
    found = reachable(table, first, lifecycle.WISHES | lifecycle.FACTS)
    assert found - {lifecycle.GONE} == set(table)


def test_words_are_those_of_ec2() -> None:
    assert set(lifecycle.INSTANCE) == set(lifecycle.INSTANCE_CODE) == set(lifecycle.INSTANCE_GOAL)
    assert lifecycle.INSTANCE_CODE == {
        "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80,
    }  # fmt: skip
    assert set(lifecycle.VOLUME) == {"creating", "available", "in-use", "deleting", "error"}
    assert set(lifecycle.ATTACHMENT) == {"attaching", "attached", "detaching", "busy"}
    assert set(lifecycle.SNAPSHOT) == {"pending", "completed", "error", "deleting"}
    assert set(lifecycle.IMAGE) == {"pending", "available", "disabled", "failed", "deregistered"}
    assert set(lifecycle.MODIFICATION) == {"modifying", "optimizing", "completed", "failed"}
    assert set(lifecycle.IMPORT) == {"active", "completed", "deleting", "deleted"}
    assert set(lifecycle.REPLACEMENT) == {"pending", "in-progress", "succeeded", "failed"}


def test_goals() -> None:
    assert lifecycle.INSTANCE_GOAL == {
        "pending": "on", "running": "on", "stopping": "off", "stopped": "off", "shutting-down": "gone", "terminated": "gone",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "end"),
    [("pending", "running"), ("stopping", "stopped"), ("shutting-down", "terminated")],
)
def test_facts_bring_a_state_on_its_way_to_its_end(state: str, end: str) -> None:
    ends = set(lifecycle.INSTANCE[state].values())
    assert end in ends
    assert lifecycle.INSTANCE_GOAL[end] == lifecycle.INSTANCE_GOAL[state]


def test_facts_alone_never_bring_an_instance_back() -> None:
    """What is wished off or gone comes on only by a wish; what is wished gone never comes back at all."""
    for state in ("stopping", "stopped"):
        assert not reachable(lifecycle.INSTANCE, state, lifecycle.FACTS) & {"pending", "running"}
    for state in ("shutting-down", "terminated"):
        assert reachable(lifecycle.INSTANCE, state, lifecycle.WISHES | lifecycle.FACTS) <= {"shutting-down", "terminated"}


@BY_NAME
def test_an_event_that_a_state_does_not_know_leads_nowhere(table: lifecycle.Table, first: str) -> None:
    assert lifecycle.after(table, first, "nonsense") is None
    assert lifecycle.after(table, "nonsense", next(iter(table[first]))) is None
