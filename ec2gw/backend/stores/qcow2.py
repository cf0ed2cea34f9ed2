"""Volumes as qcow2 layers on any file system; it must not know who runs on them.

As commits in git, layers form a graph and refs name them: `refs/<name>` is a symbolic link to `../layers/<layer>`. A volume's
ref names its head, the one layer that is written to; a snapshot's ref names a frozen layer, which may back any number of
others. A layer that no ref reaches is swept away. A ref changes by one rename, so a killed process leaves the old state or the
new one, and at most a layer that the next sweep finds.
"""

from __future__ import annotations

import itertools
import json
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ec2gw.backend import command, images, ports
from ec2gw.backend.stores.folder import Folder, check_size, checked

log = structlog.get_logger(__name__)

# Layers below a snapshot when it counts as completed. qemu refuses more than 200 and slows down long before.
DEEPEST = 16
_BATCH = 128  # blocks that one command writes
_RACY = 1_000_000_000  # nanoseconds: a file changed this recently may change again without a new time stamp


@dataclass(frozen=True)
class _Header:
    """What a layer says of itself: its virtual size in bytes and the layer below it."""

    size: int
    backing: str | None


class Qcow2Store:
    """`refs/` and `layers/` in `folder`. See `ports.VolumeStore`.

    `grow` leaves a volume that a machine runs on to `Hypervisor.resize`, which grows the layer from inside; `observe` shows the
    new size once that is done.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder, "refs", "layers")
        self._refs = self._folder.path / "refs"
        self._layers = self._folder.path / "layers"
        self._headers: dict[str, tuple[tuple[int, int], _Header]] = {}
        with self._folder.locked():
            self._sweep()

    def observe(self) -> Mapping[str, int]:
        sizes = {}
        with self._folder.locked():
            for name, layer in self._named().items():
                try:
                    sizes[name] = self._header(layer).size
                except ports.HostError as error:
                    log.error("disk-lost", disk=name, layer=layer, error=str(error))
        return sizes

    def create(self, name: str, size: int, origin: str | None = None) -> None:
        if self._ref(name).is_symlink():
            self._header(self._layer(name))
            return
        base = self._base(name, size, origin)
        with self._folder.work() as work:
            made = self._overlay(work, base, size)
            with self._folder.locked():
                if origin is not None and self._layer(origin) != base:
                    raise ports.HostError(f"{origin} changed while {name} was made from it")
                self._point(work, name, self._adopt(made, name))

    def snapshot(self, volume: str, name: str) -> None:
        """Freeze the head under the snapshot's name, then give the volume a new head on top of it.

        In this order: a process killed between the two leaves a volume whose head is also the snapshot's layer, which tells the
        next call what is missing. A running machine writes to the old head until it is switched; that is the point in time.
        """
        taken = self._ref(name).is_symlink()
        if taken and not (self._ref(volume).is_symlink() and self._layer(volume) == self._layer(name)):
            return
        head = self._layer(volume)
        with self._folder.work() as work:
            made = self._overlay(work, head, self._header(head).size)
            with self._folder.locked():
                if self._layer(volume) != head:
                    raise ports.HostError(f"{volume} changed while the snapshot {name} was made")
                overlay = self._adopt(made, volume)
                if not taken:
                    self._point(work, name, head)
                self._point(work, volume, overlay)

    def copy(self, origin: str, name: str) -> None:
        """A second ref to the same frozen layer: free, and independent of the first."""
        with self._folder.work() as work, self._folder.locked():
            if not self._ref(name).is_symlink():
                self._point(work, name, self._layer(origin))

    def settle(self, snapshot: str) -> None:
        """Keep the chain below a snapshot no deeper than DEEPEST, by giving its layer all that is below it.

        The layer is frozen, so its content can be read at any time and the new file takes its name at once; a machine that has
        the old one open keeps it.
        """
        layer = self._layer(snapshot)
        with self._folder.locked():
            depth = self._depth(layer)
        if depth <= DEEPEST:
            return
        with self._folder.work() as work:
            made = work / "flat"
            frozen = str(self._layers / layer)
            command.run(
                ["qemu-img", "convert", "-U", "-t", "writeback", "-f", "qcow2", "-O", "qcow2", frozen, str(made)],
                timeout=24 * 3600,
                with_parent=True,
            )
            with self._folder.locked():
                if self._layer(snapshot) == layer:
                    self._folder.put(made, self._layers / layer)
                    self._sweep()

    def grow(self, name: str, size: int) -> None:
        with self._folder.locked():
            layer = self._layer(name)
            if self._header(layer).size >= size:
                return
            try:
                command.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(self._layers / layer), str(size)])
            except command.CommandFailed as error:
                if 'Failed to get "write" lock' not in error.stderr:
                    raise
                log.debug("grow-left-to-machine", disk=name, size=size)

    def remove(self, name: str) -> None:
        with self._folder.locked():
            self._ref(name).unlink(missing_ok=True)
            self._folder.flush(self._refs)
            self._sweep()

    def source(self, name: str) -> ports.Source:
        return ports.DiskFile(self._layers / self._layer(name), "qcow2")

    def fill(self, name: str, image: Path, image_format: str, progress: Callable[[float], None]) -> None:
        if self._ref(name).is_symlink():
            return
        info = images.accepted(image, image_format)
        with self._folder.work() as work:
            made = work / "layer"
            images.convert(image, info, made, "qcow2", progress)
            command.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(made), str(images.whole_gib(info.virtual_size))])
            with self._folder.locked():
                self._point(work, name, self._adopt(made, name))

    def assemble(self, name: str, size: int, origin: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        if self._ref(name).is_symlink():
            return
        base = self._base(name, size, origin)
        with self._folder.work() as work:
            made = self._overlay(work, base, size)
            self._write(made, base, blocks)
            with self._folder.locked():
                if origin is not None and self._layer(origin) != base:
                    raise ports.HostError(f"{origin} changed while {name} was made from it")
                self._point(work, name, self._adopt(made, name))

    def extents(self, snapshot: str) -> Sequence[ports.Extent]:
        """A layer may be given all that is below it meanwhile (`settle`), which moves its bytes: then it is looked again."""
        layers = self._chain(snapshot)
        while True:
            report = command.run(
                ["qemu-img", "map", "-U", "--output=json", "-f", "qcow2", str(layers[0][0])], timeout=600, with_parent=True
            )
            if layers == (layers := self._chain(snapshot)):
                break
        found = []
        for part in json.loads(report):
            if part["data"]:
                (path, inode), offset = layers[part["depth"]], part["offset"]
                found.append(ports.Extent(part["start"], part["length"], path, offset, inode, (path.name, offset)))
        return found

    def capacity(self) -> tuple[int, int]:
        return self._folder.capacity()

    # -- refs

    def _ref(self, name: str) -> Path:
        return self._refs / checked(name)

    def _layer(self, name: str) -> str:
        """The name of the layer that the disk `name` is."""
        try:
            return self._ref(name).readlink().name
        except FileNotFoundError as error:
            raise ports.HostError(f"there is no disk {name}", final=True) from error

    def _named(self) -> dict[str, str]:
        return {ref.name: ref.readlink().name for ref in self._refs.iterdir()}

    def _point(self, work: Path, name: str, layer: str) -> None:
        link = work / "link"
        link.symlink_to(Path("..", "layers", layer))
        self._folder.put(link, self._ref(name))

    # -- layers

    def _base(self, name: str, size: int, origin: str | None) -> str | None:
        """The layer that `name` is to be made on, None for none."""
        if origin is None:
            return None
        base = self._layer(origin)
        check_size(name, size, origin, self._header(base).size)
        return base

    def _overlay(self, work: Path, base: str | None, size: int) -> Path:
        """A new empty layer of `size` bytes on `base`, which is not opened (-u): a machine may be writing to it."""
        made = work / "layer"
        below = [] if base is None else ["-u", "-F", "qcow2", "-b", base]
        command.run(["qemu-img", "create", "-q", "-f", "qcow2", *below, str(made), str(size)])
        return made

    def _adopt(self, made: Path, name: str) -> str:
        """Move a new layer among the others, under a name never used before that begins with its disk's."""
        layer = f"{name}.{secrets.token_hex(6)}.qcow2"
        self._folder.put(made, self._layers / layer)
        return layer

    def _write(self, made: Path, base: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        """Write blocks into a layer that is not among the others yet, so that qemu must be told where its `base` is."""
        image: dict[str, Any] = _image(made)
        if base is not None:
            image["backing"] = _image(self._layers / base)
        left = iter(blocks)
        while some := list(itertools.islice(left, _BATCH)):
            # Its commands cannot name a file with a space in its path, so it runs beside them.
            words = [f"write -q -s {block.name} {at} {block.stat().st_size}" for at, block in some]
            argv = ["qemu-io", *(part for word in words for part in ("-c", word)), f"json:{json.dumps(image)}"]
            command.run(argv, timeout=3600, with_parent=True, folder=some[0][1].parent)

    def _chain(self, name: str) -> list[tuple[Path, int]]:
        """The layer of a disk and those below it, each with the inode of its file now."""
        chain = []
        layer: str | None = self._layer(name)
        while layer is not None:
            path = self._layers / layer
            try:
                chain.append((path, path.stat().st_ino))
            except OSError as error:
                raise ports.HostError(f"the layer {layer} cannot be read: {error}") from error
            layer = self._header(layer).backing
        return chain

    def _header(self, layer: str) -> _Header:
        """Read again only when the file is another or has changed, so that a thousand disks cost a thousand stat calls."""
        path = self._layers / layer
        try:
            status = path.stat()
            mark = (status.st_ino, status.st_mtime_ns)
            known = self._headers.get(layer)
            if known is not None and known[0] == mark:
                return known[1]
            with path.open("rb") as file:
                header = _parse(file.read(65536))
        except (OSError, ValueError, struct.error) as error:
            raise ports.HostError(f"the layer {layer} cannot be read: {error}", final=True) from error
        if time.time_ns() - status.st_mtime_ns > _RACY:
            self._headers[layer] = (mark, header)
        return header

    def _depth(self, layer: str) -> int:
        depth = 0
        while (below := self._header(layer).backing) is not None:
            depth, layer = depth + 1, below
        return depth

    def _sweep(self) -> None:
        """Remove the layers that no ref reaches. Only under the lock: there every new layer already has its ref."""
        reached: set[str] = set()
        try:
            for top in self._named().values():
                layer: str | None = top
                while layer is not None and layer not in reached:
                    reached.add(layer)
                    layer = self._header(layer).backing
        except ports.HostError as error:  # what lies below a damaged layer is unknown, so nothing is known to be unreached
            log.error("sweep-skipped", error=str(error))
            return
        swept = [path for path in self._layers.iterdir() if path.name not in reached]
        for path in swept:
            path.unlink()
            self._headers.pop(path.name, None)
        if swept:
            self._folder.flush(self._layers)


def _image(path: Path) -> dict[str, Any]:
    """A layer as qemu's JSON names it."""
    return {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}}


def _parse(head: bytes) -> _Header:
    """The fields of a qcow2 header that matter here (QEMU, docs/interop/qcow2.txt); all are big-endian."""
    magic, version, name_at, name_length, _cluster_bits, size = struct.unpack_from(">4sIQIIQ", head)
    if magic != b"QFI\xfb" or version not in (2, 3):
        raise ValueError("it is no qcow2 image")
    backing = head[name_at : name_at + name_length].decode() if name_at else None
    if backing is not None and (len(backing) != name_length or "/" in backing):
        raise ValueError("it is based on a file outside the store")
    return _Header(size, backing)
