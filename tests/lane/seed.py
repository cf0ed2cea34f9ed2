"""seed.py DIR: write to DIR the capability cache that libvirt keeps of this host's qemu, for use inside the LVM lane's machine.

Run it where there is no /dev/kvm. Without the flag that is taken out here, libvirt asks qemu for each CPU property at every
start: some 400 questions, which cost 0.1 s on a host and 8 to 18 s in User-Mode Linux.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import libvirt


def turn() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def main(target: Path) -> None:
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=turn, daemon=True).start()
    with tempfile.TemporaryDirectory() as root:
        etc = Path(root, "etc")
        etc.mkdir()
        (etc / "qemu.conf").write_text(
            'stdio_handler = "file"\nsecurity_driver = "none"\ncgroup_controllers = []\nnamespaces = []\n'
        )
        connection = libvirt.open(f"qemu:///embed?root={root}")
        connection.getCapabilities()
        shutil.copytree(Path(root, "cache"), target)
    found = list(target.glob("qemu/capabilities/*.xml"))
    if not found:
        sys.exit("libvirt found no qemu to probe")
    for capabilities in found:
        text = capabilities.read_text()
        capabilities.write_text(re.sub(r"\s*<flag name='cpu-unavailable-features'/>", "", text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
