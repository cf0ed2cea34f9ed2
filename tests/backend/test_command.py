"""Commands: what they say is heard, what they may not do is stopped, and how they end is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ec2gw.backend import command, ports


def test_arguments_reach_the_command_as_they_are() -> None:
    assert command.run(["printf", "%s|", "a b", "$(id)", "*", ""]) == "a b|$(id)|*||"


def test_the_locale_is_plain_and_settings_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert command.run(["sh", "-c", "echo $LC_ALL $EXTRA"], environment={"EXTRA": "1"}) == "C 1\n"


def test_a_failure_tells_the_status_and_what_was_said() -> None:
    with pytest.raises(command.CommandFailed, match="sh failed with status 3: sorry") as error:
        command.run(["sh", "-c", "echo sorry >&2; exit 3"])
    assert not error.value.final
    with pytest.raises(command.CommandFailed) as error:
        command.run(["dd", "if=/dev/zero", "of=/dev/full", "count=1"])
    assert error.value.final, "no space: trying again cannot help"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ports.HostError, match="no-such-program is not installed"):
        command.run(["no-such-program"], limits={"cpu": 1}, with_parent=True)


def test_a_talkative_command_neither_blocks_nor_fills_the_message() -> None:
    with pytest.raises(command.CommandFailed) as error:
        command.run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1"], timeout=20)
    assert len(error.value.stderr) == 2000


def test_a_late_command_is_killed_with_its_children() -> None:
    started = time.monotonic()
    with pytest.raises(command.CommandFailed, match=r"did not end within 0\.3 s"):
        command.run(["sh", "-c", "sleep 30 & sleep 30"], timeout=0.3)
    assert time.monotonic() - started < 5


def test_limits_hold() -> None:
    with pytest.raises(command.CommandFailed):
        command.run(["sh", "-c", "while :; do :; done"], limits={"cpu": 1}, timeout=30)
    with pytest.raises(command.CommandFailed):
        command.run(["python3", "-c", "bytes(1 << 30)"], limits={"as": 1 << 29})


def test_output_is_heard_while_the_command_runs() -> None:
    heard: list[tuple[float, bytes]] = []
    command.run(["sh", "-c", "echo one; sleep 0.5; echo two"], hear=lambda piece: heard.append((time.monotonic(), piece)))
    assert [piece for _, piece in heard] == [b"one\n", b"two\n"]
    assert heard[1][0] - heard[0][0] > 0.3


def test_a_listener_that_fails_ends_the_command() -> None:
    def hear(_: bytes) -> None:
        raise ValueError

    started = time.monotonic()
    with pytest.raises(ValueError):
        command.run(["sh", "-c", "echo one; exec sleep 30"], hear=hear)
    assert time.monotonic() - started < 5


def test_a_copy_dies_with_the_gateway(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = os.fork()
    if child == 0:
        command.run(["sh", "-c", f"echo $$ > {mark}; exec sleep 30"], with_parent=True)
        os._exit(0)
    while not mark.exists() or not mark.read_text().strip():
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    stat = Path("/proc", mark.read_text().strip(), "stat")
    for _ in range(100):
        if not stat.exists() or ") Z " in stat.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the command lives on")
