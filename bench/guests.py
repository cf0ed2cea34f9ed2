"""A real guest's way to its first console line: through RunInstances, and through virsh with the same disk."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway import Gateway, guest_image, until

FIRST_LINE = "EC2GW-GUEST boot"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/run") as folder:  # short: a socket's path must fit in 107 bytes
        yield Path(folder)


def through_the_gateway(count: int) -> list[float]:
    """Seconds from the RunInstances call to the line, as GetConsoleOutput has it."""
    taken = []
    with _folder() as folder:
        gateway = Gateway(folder / "s", "libvirt")
        gateway.folder.mkdir()
        gateway.start()
        try:
            gateway.run("image", "import", str(guest_image()), "--name", "guest")
            client = gateway.client()
            (image,) = client.describe_images(Owners=["self"])["Images"]
            for _ in range(count):
                began = time.perf_counter()
                answer = client.run_instances(ImageId=image["ImageId"], InstanceType="t3.nano", MinCount=1, MaxCount=1)
                instance = answer["Instances"][0]["InstanceId"]
                gateway.hears(instance, FIRST_LINE)
                taken.append(time.perf_counter() - began)
                client.terminate_instances(InstanceIds=[instance], Force=True)
                client.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
        finally:
            gateway.stop()
    return taken


DOMAIN = """
<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><controller type='usb' model='none'/>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/></disk>
<serial type='file'><source path='{log}'/><target port='0'/></serial><memballoon model='none'/></devices></domain>
"""


def through_virsh(count: int) -> list[float]:
    """Seconds from `virsh create` of a new overlay on the same image to the line."""
    from ec2gw.backend.libvirt import accelerator

    kind = "kvm" if accelerator.probe() == "kvm" else "qemu"
    taken = []
    with _folder() as folder:
        uri = f"qemu:///embed?root={folder}/r"
        _prepare(folder / "r")
        for number in range(count):
            disk, log, xml = (folder / f"{number}.{ending}" for ending in ("qcow2", "log", "xml"))
            log.touch()
            began = time.perf_counter()
            overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(guest_image()), str(disk)]
            subprocess.run(overlay, check=True)
            name = f"plain-{number}"
            xml.write_text(DOMAIN.format(kind=kind, name=name, uuid=uuid.uuid4(), disk=disk, log=log))
            # virsh's own process carries the embedded driver; the shell of it stays until the machine is destroyed.
            shell = subprocess.Popen(["virsh", "-q", "-c", uri], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            assert shell.stdin is not None
            shell.stdin.write(f"create {xml}\n")
            shell.stdin.flush()
            until(lambda log=log: FIRST_LINE in log.read_text(errors="replace"), 120, "the guest's first line")  # type: ignore[misc]
            taken.append(time.perf_counter() - began)
            shell.communicate(f"destroy {name}\nquit\n", timeout=60)
    return taken


def _prepare(root: Path) -> None:
    (root / "etc").mkdir(parents=True)
    settings = (
        'namespaces = []\nuser = "root"\ngroup = "root"\ndynamic_ownership = 0\nremember_owner = 0\ncgroup_controllers = []\n'
    )
    (root / "etc" / "qemu.conf").write_text(settings + 'security_driver = "none"\nstdio_handler = "file"\n')
