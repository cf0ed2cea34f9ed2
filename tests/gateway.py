"""A gateway under test: `ec2gw serve` as a process of its own, on loopback, with a state folder of its own."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import botocore.config

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PATIENCE = 8  # seconds a guest of the tests has to obey; an emulated one needs about three


def guest_image() -> Path:
    """The guest disk image, built once a checkout."""
    image = BUILD / "guest" / "guest.img"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / "guest" / "build.py", image, "--cache", BUILD / "guest"], check=True)
    return image


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Gateway:
    """`target` is `simulated`, `libvirt` (files) or `lvm` (libvirt on the thin pool named by EC2GW_LVM)."""

    def __init__(
        self, folder: Path, target: str, *, patience: int = PATIENCE, program: tuple[str, ...] = ("-m", "ec2gw")
    ) -> None:
        self.folder = folder
        self.target = target
        self.real = target != "simulated"
        self.port = free_port()
        self.operations_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        hypervisor = "libvirt" if self.real else "simulated"
        volumes = f"lvm={os.environ['EC2GW_LVM']}" if target == "lvm" else "file"
        self._program = program
        self._options = [
            "--listen", f"127.0.0.1:{self.port}", "--metrics", f"127.0.0.1:{self.operations_port}", "--state", str(folder),
            "--hypervisor", hypervisor, "--volumes", volumes, "--patience", str(patience),
        ]  # fmt: skip

    def start(self, **environment: str) -> None:
        """Serve, and return when requests are answered."""
        self.spawn(**environment)
        until(lambda: self._answers(), 60, "the gateway to answer")

    def spawn(self, stderr: BinaryIO | None = None, /, **environment: str) -> None:
        """Serve, and return at once. The log goes to `log`, or to `stderr`."""
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        command = [sys.executable, *self._program, "serve", *self._options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=stderr or log, env=os.environ | environment)
        log.close()

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        return listens(self.port)

    def log(self) -> str:
        """What the gateway has printed so far."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def run(self, *words: str) -> str:
        """Run another command of the program on this gateway's state."""
        volumes = self._options[self._options.index("--volumes") + 1]
        hypervisor = self._options[self._options.index("--hypervisor") + 1]
        environment = os.environ | {"EC2GW_STATE": str(self.folder), "EC2GW_VOLUMES": volumes, "EC2GW_HYPERVISOR": hypervisor}
        done = subprocess.run([sys.executable, "-m", "ec2gw", *words], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def credentials(self) -> dict[str, str]:
        """The first key, as the gateway wrote it down."""
        written = configparser.ConfigParser()
        written.read(self.folder / "credentials")
        return dict(written["default"])

    def client(self, service: str = "ec2", **config: Any) -> Any:
        """A boto3 client with the first key."""
        profile = self.credentials()
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=profile["aws_access_key_id"],
            aws_secret_access_key=profile["aws_secret_access_key"],
            config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=60, **config),
        )

    def console(self, instance: str) -> str:
        """The instance's console text as the API gives it."""
        text: str = self.client().get_console_output(InstanceId=instance, Latest=True).get("Output", "")
        return text

    def hears(self, instance: str, pattern: str, timeout: float = 90) -> re.Match[str]:
        """Wait for the guest to print a line."""
        found: list[re.Match[str]] = []

        def heard() -> bool:
            found.extend(re.finditer(pattern, self.console(instance)))
            return bool(found)

        until(heard, timeout, f"{pattern!r} on the console of {instance}", lambda: self.console(instance)[-2000:])
        return found[-1]


def until(true: Callable[[], object], timeout: float, what: str, evidence: Callable[[], object] = lambda: "") -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}; {evidence()}"
        time.sleep(0.1)


def seed_cache(gateway: Gateway) -> None:
    """In the LVM lane: give the embedded libvirt what it would find out of QEMU in minutes."""
    if seed := os.environ.get("EC2GW_LIBVIRT_SEED"):
        shutil.copytree(seed, gateway.folder / "libvirt" / "libvirt" / "cache")


@contextmanager
def housed(target: str, **options: Any) -> Iterator[Gateway]:
    """A gateway that is yet to be started, in a folder of its own. Whatever becomes of it, nothing of it is left."""
    # A short path: a machine's monitor socket lies below it, and its name must fit in 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/run" if os.access("/run", os.W_OK) else None))
    made = Gateway(folder / "s", target, **options)
    made.folder.mkdir()
    seed_cache(made)
    try:
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(target: str, **options: Any) -> Iterator[Gateway]:
    """A gateway that serves, with the guest image imported as `guest`; a test may end it as it likes."""
    with housed(target, **options) as made:
        made.start()
        made.run("image", "import", str(guest_image()), "--name", "guest")
        yield made
