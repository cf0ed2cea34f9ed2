"""Which event leads where, and which goal each state means. Nothing else in the house knows a transition.

The state is the wish: `pending` means "want on". A face sends wishes, the engine sends facts; the two sets never meet. A wish
that a state does not know is refused; a fact that a state does not know came too late and is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Table = Mapping[str, Mapping[str, str]]  # state -> event -> state
Goal = Literal["on", "off", "gone"]

GONE = "gone"  # no record is kept any more

# EC2 User Guide, "Instance lifecycle". `start`, `stop` and `terminate` of an instance already on its way there change nothing.
INSTANCE: Table = {
    "pending": {
        "started": "running",
        "failed": "shutting-down",
        "failed-again": "stopping",
        "terminate": "shutting-down",
        "start": "pending",
        "reboot": "pending",
    },
    "running": {
        "start": "running",
        "stop": "stopping",
        "reboot": "running",
        "terminate": "shutting-down",
        "halted": "stopping",
        "halted-for-good": "shutting-down",
    },
    "stopping": {"stop": "stopping", "terminate": "shutting-down", "stopped": "stopped"},
    "stopped": {"start": "pending", "stop": "stopped", "terminate": "shutting-down"},
    "shutting-down": {"terminate": "shutting-down", "ended": "terminated", "reboot": "shutting-down"},
    "terminated": {"terminate": "terminated", "reboot": "terminated"},
}
INSTANCE_GOAL: Mapping[str, Goal] = {
    "pending": "on",
    "running": "on",
    "stopping": "off",
    "stopped": "off",
    "shutting-down": "gone",
    "terminated": "gone",
}
# API_InstanceState: the code beside each name.
INSTANCE_CODE = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

# EBS User Guide, "Volume state". A volume is in-use from the wish to attach it until the attachment has gone.
VOLUME: Table = {
    "creating": {
        "created": "available",
        "created-attached": "in-use",
        "failed": "error",
        "reclaim": "deleting",
        "detached": "creating",
    },
    "available": {"attach": "in-use", "delete": "deleting"},
    "in-use": {"detached": "available", "reclaim": "deleting"},
    "deleting": {"removed": GONE},
    "error": {"delete": "deleting", "detached": "error", "reclaim": "deleting"},
}

# `busy`: the guest did not give the disk back in time; it is asked on and on (EBS User Guide, "Detach a volume").
ATTACHMENT: Table = {
    "attaching": {"plugged": "attached", "detach": "detaching", "unplugged": GONE},
    "attached": {"detach": "detaching", "unplugged": GONE},
    "detaching": {"detach": "detaching", "unplugged": GONE, "withheld": "busy"},
    "busy": {"detach": "detaching", "unplugged": GONE},
}

SNAPSHOT: Table = {
    "pending": {"completed": "completed", "failed": "error", "delete": "deleting"},
    "completed": {"delete": "deleting"},
    "error": {"delete": "deleting"},
    "deleting": {"removed": GONE},
}

IMAGE: Table = {
    "pending": {"completed": "available", "failed": "failed", "deregister": "deregistered"},
    "available": {"deregister": "deregistered", "disable": "disabled", "enable": "available"},
    "disabled": {"deregister": "deregistered", "disable": "disabled", "enable": "available"},
    "failed": {"deregister": "deregistered"},
    "deregistered": {},
}

# EBS User Guide, "Monitor the progress of volume modifications".
MODIFICATION: Table = {
    "modifying": {"grown": "optimizing", "failed": "failed"},
    "optimizing": {"optimized": "completed"},
    "completed": {},
    "failed": {},
}

# EC2 User Guide, "Replace the root volume for an Amazon EC2 instance".
REPLACEMENT: Table = {
    "pending": {"created": "in-progress", "failed": "failed"},
    "in-progress": {"replaced": "succeeded", "failed": "failed"},
    "succeeded": {},
    "failed": {},
}

# VM Import/Export User Guide, "Check the status of the import task". `deleting` ends what was begun, cancelled or failed.
IMPORT: Table = {
    "active": {"completed": "completed", "failed": "deleting", "cancel": "deleting"},
    "completed": {},
    "deleting": {"removed": "deleted", "cancel": "deleting"},
    "deleted": {},
}

WISHES = frozenset(
    {"start", "stop", "reboot", "terminate", "attach", "detach", "delete", "deregister", "disable", "enable", "cancel"}
)
FACTS = frozenset(
    {
        "started", "failed", "failed-again", "halted", "halted-for-good", "stopped", "ended",
        "created", "created-attached", "detached", "reclaim", "removed",
        "plugged", "unplugged", "withheld", "completed", "grown", "optimized", "replaced",
    }
)  # fmt: skip


def after(table: Table, state: str, event: str) -> str | None:
    """The state that `event` leads to, or None where the table does not know the event in this state."""
    return table.get(state, {}).get(event)
