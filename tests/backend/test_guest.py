"""The guest image: built without privileges, always the same, whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ec2gw.backend.libvirt.accelerator import Accelerator
from tests.backend.conftest import PROJECT, make_disk, until

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


# A metadata service for one connection on its standard input and output, as QEMU's guestfwd starts it. It gives a token by PUT,
# and then answers only who shows it.
SERVICE = """
import sys
method, path, _ = sys.stdin.readline().split()
headers = {}
while line := sys.stdin.readline().strip():
    name, _, value = line.partition(":")
    headers[name.lower()] = value.strip()
listing = {"ami": "sda1", "root": "/dev/sda1", "ebs1": "sdf", "ephemeral0": "sdb"}
pages = {"/latest/meta-data/block-device-mapping/" + name: value for name, value in listing.items()}
pages["/latest/meta-data/block-device-mapping/"] = "\\n".join(listing)
if method == "PUT" and path == "/latest/api/token" and headers["x-aws-ec2-metadata-token-ttl-seconds"]:
    status, body = "200 OK", "a-token=="
elif headers.get("x-aws-ec2-metadata-token") != "a-token==":
    status, body = "401 Unauthorized", ""
elif path in pages:
    status, body = "200 OK", pages[path]
else:
    status, body = "404 Not Found", ""
sys.stdout.write(f"HTTP/1.0 {status}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}")
"""


def boot(image: Path, accelerated: Accelerator, tmp_path: Path, *network: str) -> str:
    """What a machine told by the time it was ready."""
    disk = make_disk(tmp_path / "disk.qcow2", "64M", backing=image, backing_format="raw")
    console = tmp_path / "console"
    machine = ("-accel", accelerated, "-m", "256", "-display", "none", "-nodefaults", "-serial", f"file:{console}")
    drive = f"file={disk.path},format=qcow2,if=virtio"
    with subprocess.Popen(["qemu-system-x86_64", *machine, "-drive", drive, *network]) as process:
        try:
            until(lambda: console.exists() and "EC2GW-GUEST ready" in console.read_text(errors="replace"))
            return console.read_text(errors="replace").replace("\r\n", "\n")
        finally:
            process.kill()


def test_the_guest_tells_what_the_metadata_service_says(guest_image: Path, accelerated: Accelerator, tmp_path: Path) -> None:
    service = tmp_path / "service.py"
    service.write_text(SERVICE)
    forward = f"guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} -u {service}"
    network = ("-netdev", f"user,id=net,restrict=on,net=169.254.0.0/16,{forward}", "-device", "virtio-net-pci,netdev=net")
    told = boot(guest_image, accelerated, tmp_path, *network)
    assert "\nEC2GW-GUEST metadata ami=sda1 root=/dev/sda1 ebs1=sdf ephemeral0=sdb\n" in told
