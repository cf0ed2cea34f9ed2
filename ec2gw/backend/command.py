"""Runs one command of the host and hears what it says; it must not know what any command is for."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from ec2gw.backend import ports

log = structlog.get_logger(__name__)

# Where a distribution keeps its storage tools; an ordinary user's PATH may lack the sbin folders.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_LONGEST_MESSAGE = 2000
_NO_SPACE = os.strerror(errno.ENOSPC)


class CommandFailed(ports.HostError):
    """The command ended with another status than 0, or not in time. `stderr` is what it said, cut to 2000 characters.

    `status` is None for one that did not end in time. It is final when the command ran out of space.
    """

    def __init__(self, program: str, outcome: str, stderr: str, status: int | None = None) -> None:
        super().__init__(f"{program} {outcome}" + (f": {stderr}" if stderr else ""), final=_NO_SPACE in stderr)
        self.stderr = stderr
        self.status = status


def run(
    argv: Sequence[str],
    *,
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    hear: Callable[[bytes], None] | None = None,
    with_parent: bool = False,
    limits: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> str:
    """Run `argv` (no shell, no standard input, C locale) and return its standard output.

    `timeout` is in seconds; then the command is killed. `environment` is added to the gateway's own. `hear` gets the output
    piece by piece as it comes. `with_parent`: the kernel kills the command when the gateway dies; right for a long copy, wrong
    for a command that must not stop half-way. `limits` are prlimit(1)'s: `as` in bytes, `cpu` in seconds. `folder` is
    where it runs. Raises `CommandFailed`, or `HostError` when the program is not installed.
    """
    program = argv[0]
    settings = {**os.environ, **(environment or {}), "LC_ALL": "C"}
    settings["PATH"] = f"{settings.get('PATH', os.defpath)}:{_SBIN}"
    if shutil.which(program, path=settings["PATH"]) is None:
        raise ports.HostError(f"{program} is not installed")
    if limits:
        argv = ["prlimit", "--core=0", *(f"--{name}={value}" for name, value in limits.items()), *argv]
    if with_parent:
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    started = time.monotonic()
    pieces: list[bytes] = []
    late = threading.Event()
    with tempfile.TemporaryFile() as errors:  # a file, not a pipe: a talkative command can never block on it
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=settings,
            cwd=folder,
            start_new_session=True,
        )

        def end() -> None:
            late.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        with process:
            assert process.stdout is not None
            deadline = threading.Timer(timeout, end)
            deadline.start()
            try:
                while piece := os.read(process.stdout.fileno(), 65536):
                    pieces.append(piece)
                    if hear is not None:
                        hear(piece)
                process.wait()
            except BaseException:
                process.kill()
                raise
            finally:
                deadline.cancel()
        errors.seek(0)
        stderr = errors.read(_LONGEST_MESSAGE * 4).decode(errors="replace").strip()[:_LONGEST_MESSAGE]
    log.debug("command", argv=list(argv), status=process.returncode, seconds=round(time.monotonic() - started, 3))
    if late.is_set():
        raise CommandFailed(program, f"did not end within {timeout:g} s", stderr)
    if process.returncode != 0:
        raise CommandFailed(program, f"failed with status {process.returncode}", stderr, process.returncode)
    return b"".join(pieces).decode(errors="replace")
