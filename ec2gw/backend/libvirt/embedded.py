"""Where the embedded driver lives and how it is set up. Knows paths, no connection.

The driver keeps everything below one root, and QEMU's sockets there must fit into the 107 bytes of a socket address, so the root
must be short: it is the state folder where that is short enough, else a folder in the host's runtime folder.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ec2gw.backend import ports

URI = "qemu:///embed"
_LONGEST_ROOT = 48  # bytes; `/lib/qemu/domain-99999-i-0123456789abcdef0/monitor.sock` comes after it

# Security labels, cgroups and private mounts are for a system daemon to give; this driver runs as whoever runs the gateway.
_QEMU_CONF = """\
# Written once by ec2gw; yours to change.
namespaces = []
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
security_driver = "none"
stdio_handler = "file"
"""


def short_folder(folder: Path) -> Path:
    """A private folder with a short path that belongs to the state folder `folder`, the same at every call."""
    note = folder / "short-folder"
    if note.exists():
        chosen = Path(note.read_text().strip())
    else:
        chosen = _choose(folder.resolve())
        note.write_text(f"{chosen}\n")
    chosen.mkdir(mode=0o700, exist_ok=True)
    status = chosen.lstat()
    if chosen.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ports.HostError(f"{chosen} belongs to somebody else or can be written by others", final=True)
    return chosen


def _choose(folder: Path) -> Path:
    if len(os.fsencode(folder / "libvirt")) <= _LONGEST_ROOT:
        return folder / "libvirt"
    runtime = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime or not Path(runtime).is_dir() or len(runtime) > _LONGEST_ROOT - 20:
        runtime = tempfile.gettempdir()
    return Path(runtime) / f"ec2gw-{secrets.token_hex(6)}"


def prepare(uri: str, short: Path) -> str:
    """The whole URI to open. For the embedded driver its root is filled in (where it is not said) and its settings are there."""
    parts = urlsplit(uri)
    if parts.path != urlsplit(URI).path:
        return uri
    said = parse_qs(parts.query).get("root")
    root = Path(said[0]) if said else short
    if len(os.fsencode(root)) > _LONGEST_ROOT:
        raise ports.HostError(f"the embedded driver's root {root} is longer than {_LONGEST_ROOT} bytes", final=True)
    settings = root / "etc" / "qemu.conf"
    if not settings.exists():
        settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = _QEMU_CONF
        if os.geteuid() == 0:
            # Else libvirt would hand its folders to the distribution's QEMU user; an ordinary user cannot hand anything over.
            text += 'user = "root"\ngroup = "root"\n'
        # A kernel without system call filters (User-Mode Linux) would have QEMU refuse to start in its sandbox.
        if "Seccomp_filters:" not in Path("/proc/self/status").read_text():
            text += "seccomp_sandbox = 0\n"
        settings.write_text(text)
    return f"{URI}?root={root}"
