"""The guest image: built without privileges, always the same, whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.backend.conftest import PROJECT

MIB = 1 << 20


def test_the_same_inputs_give_the_same_bytes(guest_image: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.img"
    argv = [sys.executable, str(PROJECT / "guest" / "build.py"), str(again), "--work", str(tmp_path / "work")]
    subprocess.run(argv, check=True)
    assert again.read_bytes() == guest_image.read_bytes()
    assert again.stat().st_size == 64 * MIB
    assert again.stat().st_blocks * 512 < 32 * MIB


def test_the_root_file_system_is_whole(guest_image: Path, tmp_path: Path) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(guest_image.read_bytes()[25 * MIB :])
    environment = {**os.environ, "PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]}
    subprocess.run(["e2fsck", "-fn", str(root)], check=True, capture_output=True, env=environment)
    argv = ["debugfs", "-R", "stat /etc/init.d/rcS", str(root)]
    listing = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout
    assert "Mode:  0755" in listing and "User:     0" in listing


def test_a_kernel_that_is_not_there_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "cache" / "linux-image-none").mkdir(parents=True)
    argv = [sys.executable, str(PROJECT / "guest" / "build.py"), str(tmp_path / "out.img"), "--cache", str(tmp_path / "cache")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "holds no kernel" in done.stderr
    assert not (tmp_path / "out.img").exists()
