#!/usr/bin/env python3
"""Build the guest image: a small disk that boots by BIOS. No root, no mount, no loop device; the same inputs give the same bytes.

Layout: MBR | p1 FAT with syslinux, kernel and initrd | p2 ext4, the root file system. The kernel is the distribution's own cloud
kernel, unpacked beside the system and never installed; everything else is busybox and the files below `root/`.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
EPOCH = 1_700_000_000  # every time stamp in the image
SECTOR = 512
MIB = 1 << 20
IMAGE_SIZE = 64 * MIB
FAT_START = MIB
FAT_SIZE = 24 * MIB
ROOT_START = FAT_START + FAT_SIZE
FILE_SYSTEM_UUID = str(uuid.UUID(int=0xEC2))
DISK_SIGNATURE = 0x0EC20EC2
BOOT_SECTOR = Path("/usr/lib/EXTLINUX/mbr.bin")

# The package that names the current cloud kernel: Debian's, then Ubuntu's.
KERNEL_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")
# In the order in which they must be loaded; virtio_pci stands on the two before it.
INITRD_MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
ROOT_MODULES = ("button", "evdev")
NETWORK_MODULES = ("af_packet", "failover", "net_failover", "virtio_net")

# What is not said about here is there to spare an emulated processor work: it saves a quarter of the boot.
COMMAND_LINE = (
    "root=/dev/vda2 console=ttyS0 quiet panic=-1 net.ifnames=0 random.trust_cpu=on tsc=reliable nokaslr mitigations=off audit=0 "
    "cryptomgr.notests raid=noautodetect 8250.nr_uarts=1 no_timer_check rcupdate.rcu_expedited=1 noresume nowatchdog apparmor=0"
)

INIT = """\
#!/bin/busybox sh
B=/bin/busybox
$B mount -t devtmpfs dev /dev
for module in {modules}; do $B insmod /modules/$module.ko; done
tries=0
until [ -b /dev/vda2 ]; do
    $B usleep 20000
    tries=$((tries + 1))
    [ $tries -gt 500 ] && echo "EC2GW-GUEST panic reason=no-root-disk" && $B poweroff -f
done
$B mount -t ext4 -o rw /dev/vda2 /root || {{ echo "EC2GW-GUEST panic reason=cannot-mount-root"; $B poweroff -f; }}
$B mount --move /dev /root/dev
exec $B switch_root /root /sbin/init
"""


class BuildError(Exception):
    """The image cannot be built here; the text says what is missing."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: the bootable image and its folder of modules (`lib/modules/<version>`)."""

    image: Path
    modules: Path


@dataclass(frozen=True)
class Node:
    """One thing in a file tree: a folder (no data, no target), a file (`data`) or a symbolic link (`target`)."""

    path: str
    mode: int = 0o755
    data: bytes | None = None
    target: str | None = None


def run(*argv: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a command printed; BuildError with its error text when it fails or is not there."""
    settled = {"SOURCE_DATE_EPOCH": str(EPOCH), "E2FSPROGS_FAKE_TIME": str(EPOCH), "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    environment = {**os.environ, **settled, "PATH": "/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")}
    try:
        done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError(f"{argv[0]} is not installed") from error
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")
    return done


# -- The kernel ------------------------------------------------------------------------------------------------------------


def find_kernel(cache: Path) -> Kernel:
    """The newest kernel unpacked in `cache`; when there is none, the distribution's is downloaded into it."""
    cache.mkdir(parents=True, exist_ok=True)
    folders = sorted(folder for folder in cache.glob("linux-image-*") if folder.is_dir())
    folder = folders[-1] if folders else download_kernel(cache)
    images = sorted(folder.glob("boot/vmlinuz-*"))
    modules = sorted(folder.glob("lib/modules/*")) + sorted(folder.glob("usr/lib/modules/*"))
    if not images or not modules:
        raise BuildError(f"{folder} holds no kernel; remove it to have it made again")
    return Kernel(images[-1], modules[-1])


def download_kernel(cache: Path) -> Path:
    """Unpack the distribution's current cloud kernel as `cache/<package>`; a killed download leaves nothing of that name."""
    package = current_kernel_package()
    # Ubuntu keeps the modules in a package of their own.
    modules = package.replace("linux-image-", "linux-modules-")
    wanted = [package] + ([modules] if run("apt-cache", "search", "--names-only", f"^{modules}$").stdout.strip() else [])
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as name:
        temporary = Path(name)
        run("apt-get", "download", *wanted, cwd=temporary)
        tree = temporary / "tree"
        for archive in sorted(temporary.glob("*.deb")):
            run("dpkg-deb", "-x", archive, tree)
        return tree.rename(cache / package)


def current_kernel_package() -> str:
    """E.g. `linux-image-6.1.0-9-cloud-amd64`."""
    for meta in KERNEL_PACKAGES:
        if not run("apt-cache", "search", "--names-only", f"^{meta}$").stdout.strip():
            continue
        for line in run("apt-cache", "depends", meta).stdout.splitlines():
            relation, _, package = line.strip().partition(": ")
            if relation == "Depends" and package.startswith("linux-image-"):
                return package
    raise BuildError(f"apt knows none of {', '.join(KERNEL_PACKAGES)}; run apt-get update")


def module(kernel: Kernel, name: str) -> bytes | None:
    """The bytes of a kernel module, unpacked, or None when it is built into the kernel."""
    spellings = {name, name.replace("_", "-")}
    builtin = (kernel.modules / "modules.builtin").read_text().split()
    if any(Path(entry).stem in spellings for entry in builtin):
        return None
    for spelling in spellings:
        for path in kernel.modules.glob(f"kernel/**/{spelling}.ko*"):
            if path.suffix == ".ko":
                return path.read_bytes()
            if path.suffix == ".xz":
                return lzma.decompress(path.read_bytes())
            if path.suffix == ".zst":
                return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    raise BuildError(f"the kernel has no module {name}")


def modules(kernel: Kernel, names: Iterable[str]) -> dict[str, bytes]:
    """Those of the modules that are not built in, in the same order."""
    return {name: data for name in names if (data := module(kernel, name)) is not None}


# -- The trees -------------------------------------------------------------------------------------------------------------


def initrd(kernel: Kernel, busybox: bytes) -> bytes:
    """A gzipped cpio archive that loads the disk's drivers and goes over to the root file system."""
    needed = modules(kernel, INITRD_MODULES)
    nodes = [Node(folder) for folder in ("bin", "dev", "modules", "root")]
    nodes += [Node("bin/busybox", data=busybox)]
    nodes += [Node(f"modules/{name}.ko", 0o644, data) for name, data in needed.items()]
    nodes += [Node("init", data=INIT.format(modules=" ".join(needed)).encode())]
    return gzip.compress(cpio(nodes), compresslevel=6, mtime=0)


def cpio(nodes: Iterable[Node]) -> bytes:
    """The archive in the kernel's "newc" format, with the console device that the kernel opens before anything runs."""
    archive = bytearray()

    def put(number: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, EPOCH, len(data), 0, 0, *device, len(path), 0)
        archive.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        archive.extend(bytes(-len(archive) % 4) + data)
        archive.extend(bytes(-len(archive) % 4))

    count = 0
    for count, node in enumerate(nodes, 1):
        put(count, node.path, (stat.S_IFDIR if node.data is None else stat.S_IFREG) | node.mode, node.data or b"")
    put(count + 1, "dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
    put(0, "TRAILER!!!", 0, b"")
    return bytes(archive)


def root_tree(kernel: Kernel, busybox: Path) -> list[Node]:
    """Everything on the root file system, folders before what is in them."""
    files: dict[str, Node] = {}
    for order, names in (("order", ROOT_MODULES), ("network", NETWORK_MODULES)):
        late = modules(kernel, names)
        files |= {f"lib/modules/{name}.ko": Node(f"lib/modules/{name}.ko", 0o644, data) for name, data in late.items()}
        files[f"lib/modules/{order}"] = Node(f"lib/modules/{order}", 0o644, " ".join(late).encode())
    files["bin/busybox"] = Node("bin/busybox", data=busybox.read_bytes())
    for applet in run(busybox, "--list-full").stdout.split():
        files.setdefault(applet, Node(applet, target="/bin/busybox"))
    for path in sorted((HERE / "root").rglob("*")):
        if path.is_file():
            name = str(path.relative_to(HERE / "root"))
            files[name] = Node(name, 0o755 if os.access(path, os.X_OK) else 0o644, path.read_bytes())
    folders = {"dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var/lib"} | {str(Path(name).parent) for name in files}
    folders |= {str(parent) for folder in folders for parent in Path(folder).parents}
    return [Node(folder) for folder in sorted(folders - {"."})] + [files[name] for name in sorted(files)]


# -- The file systems ------------------------------------------------------------------------------------------------------


def make_fat(path: Path, work: Path, kernel: Kernel, initrd_bytes: bytes) -> None:
    """The boot file system: syslinux, its one entry, kernel and initrd."""
    config = f"DEFAULT guest\nPROMPT 0\nTIMEOUT 0\nLABEL guest\n KERNEL vmlinuz\n INITRD initrd\n APPEND {COMMAND_LINE}\n"
    (work / "initrd").write_bytes(initrd_bytes)
    (work / "syslinux.cfg").write_text(config)
    hidden = FAT_START // SECTOR
    empty(path, FAT_SIZE)
    run("mkfs.vfat", "--invariant", "-i", f"{DISK_SIGNATURE:08x}", "-h", str(hidden), "-n", "BOOT", path)
    run("mcopy", "-i", path, kernel.image, "::vmlinuz")
    run("mcopy", "-i", path, work / "initrd", work / "syslinux.cfg", "::")
    run("syslinux", "--install", path)


def make_ext4(path: Path, work: Path, nodes: Iterable[Node]) -> None:
    """The root file system, filled by one debugfs script: `mke2fs -d` would let the host's times and orders in."""
    empty(path, IMAGE_SIZE - ROOT_START)
    extended = f"hash_seed={FILE_SYSTEM_UUID},root_owner=0:0,lazy_itable_init=0,nodiscard"
    shape = ("-t", "ext4", "-b", "4096", "-m", "0", "-N", "2048", "-L", "root", "-U", FILE_SYSTEM_UUID, "-E", extended)
    run("mke2fs", "-q", "-F", *shape, path)
    script = []
    for number, node in enumerate(nodes):
        if node.target is not None:
            script.append(f"symlink /{node.path} {node.target}")
            continue
        if node.data is None:
            script.append(f"mkdir /{node.path}")
        else:
            source = work / f"file-{number}"
            source.write_bytes(node.data)
            script += [f"write {source} /{node.path}", f"sif /{node.path} mode 0{stat.S_IFREG | node.mode:o}"]
            script += [f"sif /{node.path} {field} 0" for field in ("uid", "gid")]
        script += [f"sif /{node.path} {field} @{EPOCH}" for field in ("atime", "ctime", "mtime", "crtime")]
    (work / "script").write_text("\n".join(script) + "\n")
    # debugfs tells of a failed line on its error output only, below its own greeting; its exit status is 0 all the same.
    said = run("debugfs", "-w", "-f", work / "script", path).stderr.splitlines()
    complaints = [line for line in said if line and not line.startswith("debugfs ")]
    if complaints:
        raise BuildError(f"debugfs: {complaints[0]}")
    run("e2fsck", "-fn", path)


def boot_record() -> bytes:
    """The first sector: the code that starts the active partition, and the two partitions."""
    if not BOOT_SECTOR.exists():
        raise BuildError(f"{BOOT_SECTOR} is not there: install extlinux")
    sector = bytearray(SECTOR)
    code = BOOT_SECTOR.read_bytes()[:440]
    sector[: len(code)] = code
    sector[440:444] = struct.pack("<I", DISK_SIGNATURE)
    parts = ((0x80, 0x0C, FAT_START, FAT_SIZE), (0x00, 0x83, ROOT_START, IMAGE_SIZE - ROOT_START))
    beyond = b"\xfe\xff\xff"  # cylinders are of no meaning any more
    for index, (active, kind, start, size) in enumerate(parts):
        entry = struct.pack("<B3sB3sII", active, beyond, kind, beyond, start // SECTOR, size // SECTOR)
        sector[446 + 16 * index : 462 + 16 * index] = entry
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def empty(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def place(image: Path, part: Path, offset: int) -> None:
    """Copy `part` into `image` at `offset`; what is zero stays a hole."""
    with part.open("rb") as source, image.open("r+b") as target:
        for position in range(offset, offset + part.stat().st_size, MIB):
            block = source.read(MIB)
            if block.count(0) != len(block):
                target.seek(position)
                target.write(block)


def build(out: Path, kernel: Kernel, busybox: Path, work: Path) -> None:
    """Write the image to `out`; it appears there whole or not at all. `work` is an existing folder for what comes between."""
    fat, ext4, image = work / "fat.img", work / "ext4.img", out.with_name(out.name + ".part")
    make_fat(fat, work, kernel, initrd(kernel, busybox.read_bytes()))
    make_ext4(ext4, work, root_tree(kernel, busybox))
    empty(image, IMAGE_SIZE)
    place(image, fat, FAT_START)
    place(image, ext4, ROOT_START)
    with image.open("r+b") as file:
        file.write(boot_record())
    image.rename(out)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the guest image (a raw disk of 64 MiB).")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--work", type=Path, help="keep what comes between in this folder")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "build" / "guest", help="where the unpacked kernel is kept")
    parser.add_argument("--busybox", type=Path, default=Path("/bin/busybox"), help="a statically linked busybox")
    asked = parser.parse_args()
    began = time.monotonic()
    work = asked.work or Path(tempfile.mkdtemp(prefix="guest-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        build(asked.out, find_kernel(asked.cache), asked.busybox, work)
    except (BuildError, subprocess.CalledProcessError, OSError) as error:
        print(f"guest image: {error}", file=sys.stderr)
        return 1
    finally:
        if asked.work is None:
            shutil.rmtree(work)
    used = asked.out.stat().st_blocks * SECTOR // MIB
    print(f"{asked.out}: {IMAGE_SIZE // MIB} MiB, {used} MiB used, built in {time.monotonic() - began:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
