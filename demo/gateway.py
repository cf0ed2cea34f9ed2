"""A gateway of the demo's own: `ec2gw serve` on real machines, with a state folder that is gone afterwards."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

REGION = "us-east-1"
PATIENCE = 120  # seconds until the gateway answers, on the slowest of hosts


class Gateway:
    """A serving gateway. `said` is what it printed at its start."""

    def __init__(self, folder: Path, said: str) -> None:
        self.folder = folder
        self.said = said
        (self.url,) = re.findall(r"AWS_ENDPOINT_URL_EC2=(\S+)", said)

    def client(self) -> Any:
        """A boto3 client with the key that the gateway made."""
        written = configparser.ConfigParser()
        written.read(self.folder / "credentials")
        key = written["default"]
        return boto3.client(
            "ec2",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key["aws_access_key_id"],
            aws_secret_access_key=key["aws_secret_access_key"],
        )

    def import_image(self, file: Path, name: str) -> str:
        """`ec2gw image import`; the image's id."""
        command = [sys.executable, "-m", "ec2gw", "image", "import", str(file), "--name", name, "--state", str(self.folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.split()[0]


@contextmanager
def served(hypervisor: str) -> Iterator[Gateway]:
    """A gateway that serves until the block ends. On an error its log is printed."""
    folder = Path(tempfile.mkdtemp(prefix="ec2gw-demo-"))
    log = folder / "log"
    command = [sys.executable, "-m", "ec2gw", "serve", "--state", str(folder / "state"), "--hypervisor", hypervisor]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", "--metrics", "none", "--region", REGION], stdout=out, stderr=out
        )
    try:
        yield Gateway(folder / "state", _greeting(process, log))
    except BaseException:
        print(log.read_text(errors="replace")[-8000:], file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder)


def _greeting(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while "AWS_ENDPOINT_URL_STS" not in (said := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the gateway did not start")
        time.sleep(0.05)
    return said


def machines_left(instances: set[str]) -> set[str]:
    """Those of the instances that a process of this host still runs."""
    left = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it ended meanwhile
                continue
            left |= {name for name in instances if "qemu" in words and name in words}
    return left
