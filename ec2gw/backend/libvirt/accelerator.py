"""Find out by running it whether KVM works here, and hide a KVM that does not from libvirt. Knows nothing of machines."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Literal

from ec2gw.backend import ports

Accelerator = Literal["kvm", "tcg"]

KVM = Path("/dev/kvm")
DEADLINE = 5.0  # seconds; a working accelerator needs a tenth of one
_PASSED = 33  # QEMU's exit status after the byte 16 was written to isa-debug-exit: (16 << 1) | 1

# A boot sector that goes the way every boot loader and kernel goes: real mode, protected mode with an `iret`, paging, long mode
# with an `iretq`. A host whose KVM runs 16-bit code only (as some nested ones do) hangs on the way.
_BOOT_SECTOR = bytes.fromhex(
    "fa 31c0 8ed8 8ed0 bc007c"  # cli; ds = ss = 0; sp = 0x7c00
    "e492 0c02 e692"  # open the A20 gate
    "0f0116d87c"  # lgdt [0x7cd8]
    "0f20c0 0c01 0f22c0"  # cr0.PE = 1
    "ea227c0800"  # jump 0x08:0x7c22, the 32-bit code
    "66b81000 8ed8 8ec0 8ed0 bc007c0000"  # ds = es = ss = 0x10; esp = 0x7c00
    "9c 6a08 683a7c0000 cf"  # pushf; push 0x08; push 0x7c3a; iret
    "bf00100000 31c0 b9000c0000 f3ab"  # clear three pages from 0x1000 on
    "c7050010000003200000"  # the top table's first entry -> 0x2000
    "c7050020000003300000"  # -> 0x3000
    "c7050030000083000000"  # -> the first 2 MiB, as they are
    "b820000000 0f22e0"  # cr4.PAE = 1
    "b800100000 0f22d8"  # cr3 = 0x1000
    "b9800000c0 0f32 0d00010000 0f30"  # EFER.LME = 1
    "0f20c0 0d00000080 0f22c0"  # cr0.PG = 1
    "ea967c00001800"  # jump 0x18:0x7c96, the 64-bit code
    "b810000000 50 68007c0000 9c 6a18 68ab7c0000 48cf"  # push ss, rsp, flags, cs, 0x7cab; iretq
    "b010 e6f4"  # out 0xf4, 16
    "f4 ebfd"  # should that not have ended it: halt
    "660f1f440000"  # up to 0x7cb8
    "0000000000000000 ffff0000009acf00 ffff00000092cf00 ffff0000009aaf00"  # segments 0x08 (32-bit), 0x10 (data), 0x18 (64-bit)
    "1f00 b87c0000"  # what lgdt reads
)


def probe() -> Accelerator:
    """`kvm` where a guest reaches 64-bit code under it within the deadline, else `tcg`. Up to 5 seconds where KVM is broken."""
    return "kvm" if os.access(KVM, os.R_OK | os.W_OK) and runs("kvm") else "tcg"


def runs(accelerator: Accelerator) -> bool:
    """True when the boot sector comes to its end under QEMU with this accelerator."""
    with tempfile.NamedTemporaryFile(prefix="ec2gw-probe-") as disk:
        disk.write(_BOOT_SECTOR)
        disk.write(bytes(510 - disk.tell()) + b"\x55\xaa")
        disk.flush()
        argv = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "pc", "-m", "16", "-nodefaults", "-display", "none"]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        argv += ["-drive", f"file={disk.name},format=raw,if=ide,read-only=off,snapshot=on"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False)
        except subprocess.TimeoutExpired:
            return False
        except FileNotFoundError as error:
            raise ports.HostError("qemu-system-x86_64 is not installed", final=True) from error
    return done.returncode == _PASSED


def hide_broken_kvm() -> None:
    """Make /dev/kvm unusable for this process and its children; nothing is done where the node is not usable anyway.

    As long as root can open a KVM that does not work, libvirt takes its knowledge of QEMU for stale and asks QEMU again, for half
    a minute per operation. libvirt goes by `access(2)`: a read-only regular file over the node is "not usable" to it and to QEMU.
    Nothing else below /dev is touched, so nodes that appear later (LVM, loop) are seen. The mount is in a namespace of our own.

    Call it when `probe` has said `tcg`, from the main thread, before any other thread is started: a mount namespace belongs to
    the thread that makes it, and threads inherit it from the one that starts them. Raises HostError when that is not so, or when
    the host does not let us.
    """
    if not os.access(KVM, os.R_OK | os.W_OK) or os.geteuid() != 0:
        return
    if threading.active_count() > 1:
        raise ports.HostError("KVM can be hidden before the first thread is started only", final=True)
    with tempfile.NamedTemporaryFile(prefix="ec2gw-kvm-") as cover:
        try:
            _call("unshare", _CLONE_NEWNS)
            _mount(None, Path("/"), _MS_REC | _MS_SLAVE)
            _mount(Path(cover.name), KVM, _MS_BIND)
            _mount(None, KVM, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
        except OSError as error:
            raise ports.HostError(f"{KVM} does not work and cannot be hidden: {error}", final=True) from error


# -- The system calls that Python 3.11 does not have; numbers from sched.h and mount.h ------------------------------------------

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 32, 4096, 1 << 14, 1 << 19


def _mount(source: Path | None, target: Path, flags: int) -> None:
    _call("mount", os.fsencode(source) if source else None, os.fsencode(target), None, ctypes.c_ulong(flags), None)


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library[name](*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
