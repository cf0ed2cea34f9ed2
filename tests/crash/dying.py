"""`ec2gw` that kills itself at one moment of its engine: EC2GW_DIE_AT names a step and a moment, e.g. `Start after`."""

from __future__ import annotations

import functools
import os
import signal

from ec2gw import cli
from ec2gw.engine import loop
from ec2gw.engine.steps import Step


def die(step: Step, moment: str) -> None:
    if f"{step.name} {moment}" == os.environ.get("EC2GW_DIE_AT"):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    loop.Engine = functools.partial(loop.Engine, on_step=die)  # type: ignore[misc,assignment]
    cli.main()
