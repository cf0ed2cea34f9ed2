"""Draws docs/lifecycle.md from the tables of `ec2gw.model.lifecycle`."""

from __future__ import annotations

from pathlib import Path

from ec2gw.model import lifecycle

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lifecycle.md"

_HEAD = """\
# Lifecycle

Drawn from the tables in `ec2gw/model/lifecycle.py` by `make lifecycle`; a test fails when this page is stale.

The state is the wish: `pending` means that the instance is wanted on, and the engine works until the host agrees. Events in
*(brackets)* are facts that the engine reports; the others are wishes that clients send. A wish that a state does not know is
refused; a fact that a state does not know came too late and is dropped. Events that lead back to the same state are not drawn.
"""

_PARTS = (
    ("Instance", lifecycle.INSTANCE, "pending"),
    ("Volume", lifecycle.VOLUME, "creating"),
    ("Attachment", lifecycle.ATTACHMENT, "attaching"),
    ("Snapshot", lifecycle.SNAPSHOT, "pending"),
    ("Image", lifecycle.IMAGE, "pending"),
    ("Modification of a volume", lifecycle.MODIFICATION, "modifying"),
    ("Replacement of a root volume", lifecycle.REPLACEMENT, "pending"),
    ("Import of a disk image", lifecycle.IMPORT, "active"),
)


def name(state: str) -> str:
    """A state as mermaid can name it."""
    return "[*]" if state == lifecycle.GONE else state.replace("-", "_")


def draw(table: lifecycle.Table, first: str) -> str:
    """A table as a mermaid state diagram that begins in `first`."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {name(first)}"]
    lines += [f"    {name(state)}: {state}" for state in table if "-" in state]
    for state, events in table.items():
        ways: dict[str, list[str]] = {}
        for event, after in events.items():
            if after != state:
                ways.setdefault(after, []).append(event if event in lifecycle.WISHES else f"({event})")
        lines += [f"    {name(state)} --> {name(after)}: {', '.join(said)}" for after, said in ways.items()]
    return "\n".join([*lines, "```"])


def page() -> str:
    """The whole page."""
    parts = [f"## {title}\n\n{draw(table, first)}\n" for title, table, first in _PARTS]
    goals = "\n".join(f"| `{state}` | {goal} |" for state, goal in lifecycle.INSTANCE_GOAL.items())
    parts.insert(1, f"What the engine wants of the machine in each state:\n\n| state | goal |\n| --- | --- |\n{goals}\n")
    return "\n".join([_HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(page())
