"""What `ports.VolumeStore` promises, judged alike on every store by the bytes on its disks.

Where `EC2GW_LVM=VG/POOL` names a thin pool (the LVM lane) the judged store is LVM's; elsewhere raw files and qcow2 layers.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ec2gw.backend import ports, stores
from ec2gw.backend.stores import lvm, qcow2, raw

MIB = 1 << 20
GIB = 1 << 30
SIZE = 8 * MIB

POOL = os.environ.get("EC2GW_LVM")
KINDS = ["lvm"] if POOL else ["raw", "qcow2"]


def open_store(kind: str, folder: Path) -> ports.VolumeStore:
    if kind == "lvm":
        vg, pool = str(POOL).split("/")
        return lvm.LvmStore(vg, pool)
    return {"raw": raw.RawStore, "qcow2": qcow2.Qcow2Store}[kind](folder)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> Iterator[ports.VolumeStore]:
    store = open_store(kind, tmp_path / "store")
    yield store
    for name in list(store.observe()):
        store.remove(name)
    assert store.observe() == {}


def new(prefix: str) -> str:
    return f"{prefix}-0{secrets.token_hex(8)}"


def place(store: ports.VolumeStore, name: str) -> tuple[Path, str]:
    source = store.source(name)
    return source.path, source.format if isinstance(source, ports.DiskFile) else "raw"


def write(store: ports.VolumeStore, name: str, byte: int, at: int, length: int = 65536) -> None:
    """As a machine would: to whatever `source` names."""
    path, form = place(store, name)
    if form == "raw":
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([byte]) * length)
            file.flush()
            os.fsync(file.fileno())
    else:
        subprocess.run(["qemu-io", "-f", form, "-c", f"write -q -P {byte} {at} {length}", str(path)], check=True)


def content(store: ports.VolumeStore, name: str, length: int | None = None) -> bytes:
    """The disk's bytes, or its first `length`."""
    path, form = place(store, name)
    if form == "raw":
        with path.open("rb") as file:
            return file.read(-1 if length is None else length)
    flat = path.with_name(f"{path.name}.judged")
    try:
        limit = [] if length is None else [f"count={length // 65536}"]
        if limit:
            argv = ["qemu-img", "dd", "-U", "-f", form, "-O", "raw", "bs=65536", *limit, f"if={path}", f"of={flat}"]
        else:
            argv = ["qemu-img", "convert", "-U", "-f", form, "-O", "raw", str(path), str(flat)]
        subprocess.run(argv, check=True)
        return flat.read_bytes()
    finally:
        flat.unlink()


def pattern(*pieces: tuple[int, int], size: int = SIZE) -> bytes:
    """Zeros, but for 64 KiB of `byte` at each `at`."""
    disk = bytearray(size)
    for byte, at in pieces:
        disk[at : at + 65536] = bytes([byte]) * 65536
    return bytes(disk)


def same(one: bytes, other: bytes) -> bool:
    """As ==, but without pytest printing megabytes when it is false."""
    return one == other


def silent(percent: float) -> None:
    """A progress listener that does not care."""


# -- create ------------------------------------------------------------------------------------------------------------------


def test_a_new_disk_reads_as_zeros_and_is_observed_with_its_size(store: ports.VolumeStore) -> None:
    name = new("vol")
    store.create(name, SIZE)
    assert store.observe() == {name: SIZE}
    assert same(content(store, name), bytes(SIZE))


def test_a_removed_disks_data_never_shows_in_a_new_one(store: ports.VolumeStore) -> None:
    first, second = new("vol"), new("vol")
    store.create(first, SIZE)
    for at in range(0, SIZE, MIB):
        write(store, first, 0xEE, at)
    store.remove(first)
    store.create(second, SIZE)
    for at in range(0, SIZE, MIB):  # a partly written chunk is where old data would show
        write(store, second, 1, at, 512)
    assert content(store, second).count(0xEE) == 0


def test_a_volume_from_a_snapshot_holds_its_bytes_and_zeros_beyond(store: ports.VolumeStore) -> None:
    first, snapshot, second, bigger = new("vol"), new("snap"), new("vol"), new("vol")
    store.create(first, SIZE)
    write(store, first, 7, 0)
    write(store, first, 8, SIZE - 65536)
    store.snapshot(first, snapshot)
    store.create(second, SIZE, snapshot)
    store.create(bigger, 2 * SIZE, snapshot)
    wanted = pattern((7, 0), (8, SIZE - 65536))
    assert hashlib.md5(content(store, second)).digest() == hashlib.md5(wanted).digest()
    assert same(content(store, bigger), wanted + bytes(SIZE))
    assert store.observe() == {first: SIZE, snapshot: SIZE, second: SIZE, bigger: 2 * SIZE}


def test_a_volume_smaller_than_its_snapshot_is_refused_for_good(store: ports.VolumeStore) -> None:
    first, snapshot, second = new("vol"), new("snap"), new("vol")
    store.create(first, SIZE)
    store.snapshot(first, snapshot)
    with pytest.raises(ports.HostError) as refusal:
        store.create(second, SIZE // 2, snapshot)
    assert refusal.value.final
    assert second not in store.observe()


def test_what_is_not_there_cannot_be_used(store: ports.VolumeStore) -> None:
    there, absent = new("vol"), new("snap")
    store.create(there, SIZE)
    for use in (
        lambda: store.create(new("vol"), SIZE, absent),
        lambda: store.snapshot(absent, new("snap")),
        lambda: store.copy(absent, new("snap")),
        lambda: store.grow(absent, SIZE),
        lambda: store.source(absent),
    ):
        with pytest.raises(ports.HostError):
            use()
    assert store.observe() == {there: SIZE}


@pytest.mark.parametrize("name", ["../vol-1", "vol-1/x", "-vol-1", "vol-" + "0" * 200, "", "vol-1\n", "vol-$(id)"])
def test_a_name_that_is_no_plain_id_is_refused(store: ports.VolumeStore, name: str) -> None:
    with pytest.raises(ports.HostError):
        store.create(name, SIZE)
    with pytest.raises(ports.HostError):
        store.remove(name)
    assert store.observe() == {}


# -- snapshots ---------------------------------------------------------------------------------------------------------------


def test_writing_on_does_not_change_a_snapshot(store: ports.VolumeStore) -> None:
    volume, one, two = new("vol"), new("snap"), new("snap")
    store.create(volume, SIZE)
    write(store, volume, 1, 0)
    store.snapshot(volume, one)
    write(store, volume, 2, 0)
    write(store, volume, 3, MIB)
    store.snapshot(volume, two)
    write(store, volume, 4, MIB)
    assert same(content(store, one), pattern((1, 0)))
    assert same(content(store, two), pattern((2, 0), (3, MIB)))
    assert same(content(store, volume), pattern((2, 0), (4, MIB)))


def test_writing_to_a_volume_changes_neither_its_snapshot_nor_its_sisters(store: ports.VolumeStore) -> None:
    origin, snapshot, one, two = new("vol"), new("snap"), new("vol"), new("vol")
    store.create(origin, SIZE)
    write(store, origin, 5, 0)
    store.snapshot(origin, snapshot)
    store.create(one, SIZE, snapshot)
    store.create(two, SIZE, snapshot)
    write(store, one, 6, 0)
    assert same(content(store, snapshot), pattern((5, 0)))
    assert same(content(store, two), pattern((5, 0)))
    assert same(content(store, origin), pattern((5, 0)))
    assert same(content(store, one), pattern((6, 0)))


def test_a_snapshot_may_go_while_volumes_made_from_it_live(store: ports.VolumeStore) -> None:
    origin, snapshot, made = new("vol"), new("snap"), new("vol")
    store.create(origin, SIZE)
    write(store, origin, 9, 0)
    store.snapshot(origin, snapshot)
    store.create(made, SIZE, snapshot)
    store.remove(snapshot)
    store.remove(origin)
    assert store.observe() == {made: SIZE}
    assert same(content(store, made), pattern((9, 0)))


def test_a_volume_may_go_while_its_snapshots_live(store: ports.VolumeStore) -> None:
    origin, one, two, made = new("vol"), new("snap"), new("snap"), new("vol")
    store.create(origin, SIZE)
    write(store, origin, 1, 0)
    store.snapshot(origin, one)
    write(store, origin, 2, MIB)
    store.snapshot(origin, two)
    store.remove(origin)
    store.remove(one)
    store.create(made, SIZE, two)
    assert store.observe() == {two: SIZE, made: SIZE}
    assert same(content(store, made), pattern((1, 0), (2, MIB)))


def test_a_copy_is_independent_of_its_origin(store: ports.VolumeStore) -> None:
    volume, snapshot, twin, made = new("vol"), new("snap"), new("snap"), new("vol")
    store.create(volume, SIZE)
    write(store, volume, 3, 0)
    store.snapshot(volume, snapshot)
    store.copy(snapshot, twin)
    store.copy(snapshot, twin)
    store.remove(snapshot)
    write(store, volume, 4, 0)
    store.create(made, SIZE, twin)
    assert store.observe() == {volume: SIZE, twin: SIZE, made: SIZE}
    assert same(content(store, made), pattern((3, 0)))


def test_many_snapshots_stay_right_and_fast(store: ports.VolumeStore, kind: str) -> None:
    """A volume made from the snapshot of a volume made from a snapshot …: no depth may show."""
    volume = new("vol")
    store.create(volume, SIZE)
    names = []
    for turn in range(5 if kind == "lvm" else 40):
        write(store, volume, turn + 1, turn * 131072)
        names.append(new("snap"))
        store.snapshot(volume, names[-1])
        store.settle(names[-1])
        if turn % 3 == 2:
            volume = new("vol")
            store.create(volume, SIZE, names[-1])
    for turn, name in list(enumerate(names))[::7] + [(len(names) - 1, names[-1])]:
        assert same(content(store, name), pattern(*((t + 1, t * 131072) for t in range(turn + 1))))
    if kind == "qcow2":
        depths = [len(chain(store, name)) for name in store.observe()]
        assert max(depths) <= qcow2.DEEPEST + 2, "layers: the bound is below a snapshot, and a head comes on top"


# -- safe to repeat ----------------------------------------------------------------------------------------------------------


def test_done_twice_is_done_once(store: ports.VolumeStore) -> None:
    volume, snapshot, made = new("vol"), new("snap"), new("vol")
    store.create(volume, SIZE)
    write(store, volume, 1, 0)
    store.create(volume, SIZE)
    store.snapshot(volume, snapshot)
    write(store, volume, 2, 0)
    store.snapshot(volume, snapshot)
    store.settle(snapshot)
    store.settle(snapshot)
    store.create(made, SIZE, snapshot)
    write(store, made, 3, 0)
    store.create(made, SIZE, snapshot)
    assert same(content(store, volume), pattern((2, 0)))
    assert same(content(store, snapshot), pattern((1, 0)))
    assert same(content(store, made), pattern((3, 0)))
    store.remove(made)
    store.remove(made)
    store.remove(new("vol"))
    assert store.observe() == {volume: SIZE, snapshot: SIZE}


def test_a_snapshot_already_taken_does_not_need_its_volume(store: ports.VolumeStore) -> None:
    volume, snapshot = new("vol"), new("snap")
    store.create(volume, SIZE)
    store.snapshot(volume, snapshot)
    store.remove(volume)
    store.snapshot(volume, snapshot)
    assert store.observe() == {snapshot: SIZE}


def test_the_store_opened_anew_knows_everything(store: ports.VolumeStore, kind: str, tmp_path: Path) -> None:
    volume, snapshot = new("vol"), new("snap")
    store.create(volume, SIZE)
    write(store, volume, 1, 0)
    store.snapshot(volume, snapshot)
    again = open_store(kind, tmp_path / "store")
    assert again.observe() == {volume: SIZE, snapshot: SIZE}
    assert same(content(again, snapshot), pattern((1, 0)))


def test_growing_keeps_data_adds_zeros_and_never_shrinks(store: ports.VolumeStore) -> None:
    volume, snapshot = new("vol"), new("snap")
    store.create(volume, SIZE)
    write(store, volume, 1, SIZE - 65536)
    store.snapshot(volume, snapshot)
    store.grow(volume, 2 * SIZE)
    store.grow(volume, SIZE)
    store.grow(volume, 2 * SIZE)
    assert store.observe() == {volume: 2 * SIZE, snapshot: SIZE}
    assert same(content(store, volume), pattern((1, SIZE - 65536)) + bytes(SIZE))


# -- images ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["raw", "qcow2", "vmdk"])
def test_a_snapshot_is_filled_from_an_image(store: ports.VolumeStore, tmp_path: Path, form: str) -> None:
    plain, image = tmp_path / "plain", tmp_path / f"image.{form}"
    wanted = pattern((1, 0), (2, 3 * MIB), (3, SIZE - 65536))
    plain.write_bytes(wanted)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, str(plain), str(image)], check=True)
    snapshot, volume = new("snap"), new("vol")
    heard: list[float] = []
    store.fill(snapshot, image, form, heard.append)
    image.unlink()
    store.fill(snapshot, image, form, silent)  # nothing is done when it is there: not even a look at the image
    assert store.observe() == {snapshot: GIB}
    assert heard == sorted(heard) and heard[-1] == 100.0
    store.create(volume, 2 * GIB, snapshot)
    assert same(content(store, volume, SIZE + MIB), wanted + bytes(MIB))


def test_an_image_that_cannot_be_read_leaves_nothing(store: ports.VolumeStore, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"QFI\xfb" + bytes(1000))
    with pytest.raises(ports.HostError) as refusal:
        store.fill(new("snap"), image, "qcow2", silent)
    assert refusal.value.final
    assert store.observe() == {}


def test_an_image_with_a_backing_file_is_refused(store: ports.VolumeStore, tmp_path: Path) -> None:
    secret, image = tmp_path / "secret", tmp_path / "image.qcow2"
    secret.write_bytes(b"secret" * 1000)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(image)], check=True)
    with pytest.raises(ports.HostError, match="backing file"):
        store.fill(new("snap"), image, "qcow2", silent)
    assert store.observe() == {}


# -- cost --------------------------------------------------------------------------------------------------------------------


def test_a_volume_from_a_snapshot_costs_the_same_whatever_its_size(store: ports.VolumeStore, kind: str, tmp_path: Path) -> None:
    if kind == "raw" and not raw.reflinks(tmp_path):  # promised only where blocks are shared: see `stores.file_store`
        return
    seconds = {}
    for size in (GIB, 64 * GIB):
        origin, snapshot = new("vol"), new("snap")
        store.create(origin, size)
        for at in range(0, size, GIB):
            write(store, origin, 1, at, MIB)
        store.snapshot(origin, snapshot)
        seconds[size] = []
        for _ in range(3):
            started = time.perf_counter()
            store.create(new("vol"), size, snapshot)
            seconds[size].append(time.perf_counter() - started)
    ratio = min(seconds[64 * GIB]) / min(seconds[GIB])
    assert ratio < 3, seconds


def test_capacity_is_what_backs_the_store(store: ports.VolumeStore) -> None:
    total, free = store.capacity()
    assert 0 < free <= total
    store.create(new("vol"), 4 * GIB)  # costs nothing until it is written
    assert free - store.capacity()[1] < 256 * MIB


# -- threads -----------------------------------------------------------------------------------------------------------------


def test_a_random_walk_ends_where_a_dictionary_does(store: ports.VolumeStore, kind: str) -> None:
    chance = random.Random(20)
    wanted: dict[str, bytes] = {}
    for _ in range(12 if kind == "lvm" else 120):
        volumes = [name for name in wanted if name.startswith("vol")]
        snapshots = [name for name in wanted if name.startswith("snap")]
        verb = chance.choice(["create", "write", "write", "snapshot", "snapshot", "clone", "clone", "copy", "remove", "settle"])
        if verb == "create" or not volumes:
            name = new("vol")
            store.create(name, SIZE)
            wanted[name] = bytes(SIZE)
        elif verb == "write":
            name, byte, at = chance.choice(volumes), chance.randrange(1, 256), chance.randrange(0, SIZE, 65536)
            write(store, name, byte, at)
            wanted[name] = wanted[name][:at] + bytes([byte]) * 65536 + wanted[name][at + 65536 :]
        elif verb == "snapshot":
            name, volume = new("snap"), chance.choice(volumes)
            store.snapshot(volume, name)
            wanted[name] = wanted[volume]
        elif verb == "clone" and snapshots:
            name, origin = new("vol"), chance.choice(snapshots)
            store.create(name, SIZE, origin)
            wanted[name] = wanted[origin]
        elif verb == "copy" and snapshots:
            name, origin = new("snap"), chance.choice(snapshots)
            store.copy(origin, name)
            wanted[name] = wanted[origin]
        elif verb == "settle" and snapshots:
            store.settle(chance.choice(snapshots))
        elif verb == "remove":
            name = chance.choice(list(wanted))
            store.remove(name)
            del wanted[name]
    assert store.observe() == dict.fromkeys(wanted, SIZE)
    assert [name for name in wanted if not same(content(store, name), wanted[name])] == []


def test_threads_do_not_disturb_each_other(store: ports.VolumeStore, kind: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    origin, snapshot = new("vol"), new("snap")
    store.create(origin, SIZE)
    write(store, origin, 1, 0)
    store.snapshot(origin, snapshot)
    turns = 2 if kind == "lvm" else 10

    def story(_: int) -> str:
        kept = ""
        for _ in range(turns):
            volume, frozen, kept = new("vol"), new("snap"), new("vol")
            store.create(volume, SIZE, snapshot)
            write(store, volume, 2, MIB)
            store.snapshot(volume, frozen)
            store.create(kept, SIZE, frozen)
            store.remove(volume)
            store.remove(frozen)
        return kept

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(story, range(2 if kind == "lvm" else 4)))
    assert all(same(content(store, name), pattern((1, 0), (2, MIB))) for name in kept)


# -- kill -9 -----------------------------------------------------------------------------------------------------------------

# Python's audit events that come before each step by which a store changes the host.
STEPS = frozenset(
    "open os.rename os.symlink os.link os.mkdir os.remove os.rmdir os.truncate os.chmod fcntl.flock subprocess.Popen".split()
)


def killed_at(step: int, deed: Callable[[], object], events: frozenset[str]) -> bool:
    """Do `deed` in a child process that is killed just before its host step number `step`. False when it got to the end."""
    child = os.fork()
    if child == 0:
        left = itertools.count(step, -1)

        def hook(event: str, _: tuple[object, ...]) -> None:
            if event in events and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.addaudithook(hook)
            deed()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the deed failed by itself"
    return os.WIFSIGNALED(status)


def deeds(image: Path) -> dict[str, Callable[[ports.VolumeStore], object]]:
    """Verbs on a store that holds `vol-1` with a snapshot `snap-1`, and a change to `vol-1` after it."""
    return {
        "create": lambda store: store.create("vol-2", SIZE),
        "create-from": lambda store: store.create("vol-2", 2 * SIZE, "snap-1"),
        "snapshot": lambda store: store.snapshot("vol-1", "snap-2"),
        "copy": lambda store: store.copy("snap-1", "snap-2"),
        "grow": lambda store: store.grow("vol-1", 2 * SIZE),
        "remove-volume": lambda store: store.remove("vol-1"),
        "remove-snapshot": lambda store: store.remove("snap-1"),
        "fill": lambda store: store.fill("snap-2", image, "qcow2", silent),
    }


# In the LVM lane each step takes seconds; the others differ in nothing but the commands they run.
@pytest.mark.parametrize("deed", ["create-from", "snapshot", "fill"] if POOL else list(deeds(Path())))
def test_killed_before_any_step_and_done_again_is_done_once(kind: str, tmp_path: Path, deed: str) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), str(SIZE)], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 77 {MIB} 65536", str(image)], check=True)
    do = deeds(image)[deed]
    contents = {"vol-1": pattern((1, 0), (2, MIB)), "snap-1": pattern((1, 0))}
    new_name = {"create": "vol-2", "create-from": "vol-2", "snapshot": "snap-2", "copy": "snap-2", "fill": "snap-2"}.get(deed)
    gone = {"remove-volume": "vol-1", "remove-snapshot": "snap-1"}.get(deed)
    new_content = {
        "create": bytes(SIZE),
        "create-from": contents["snap-1"] + bytes(SIZE),
        "snapshot": contents["vol-1"],
        "copy": contents["snap-1"],
        "fill": pattern((77, MIB)),
    }.get(deed, b"")
    for step in itertools.count():
        folder = tmp_path / f"store-{step}"
        store = open_store(kind, folder)
        store.create("vol-1", SIZE)
        write(store, "vol-1", 1, 0)
        store.snapshot("vol-1", "snap-1")
        write(store, "vol-1", 2, MIB)
        killed = killed_at(step, lambda store=store: do(store), frozenset({"subprocess.Popen"}) if POOL else STEPS)

        again = open_store(kind, folder)
        for name in set(contents) - {gone}:
            assert same(content(again, name, SIZE), contents[name]), f"{name} was harmed at step {step}"
        assert set(again.observe()) - {"vol-1", "snap-1", new_name} == set()
        do(again)
        names = ({"vol-1", "snap-1"} | ({new_name} if new_name else set())) - {gone}
        assert set(again.observe()) == names, f"after step {step}"
        if new_name is not None:
            write(again, "vol-1", 3, 2 * MIB)  # nothing that comes after may be seen in it
            assert same(content(again, new_name, len(new_content)), new_content), f"after step {step}"
        leftovers(kind, again, folder)
        for name in list(again.observe()):
            again.remove(name)
        leftovers(kind, again, folder)
        if not killed:
            assert step > 0
            return


def test_a_fill_killed_at_any_moment_leaves_nothing(kind: str, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(random.Random(1).randbytes(MIB) * 64)
    store = open_store(kind, tmp_path / "store")
    started = time.perf_counter()
    store.fill("snap-0", image, "raw", silent)
    whole = time.perf_counter() - started
    for part in (0.3, 0.9) if POOL else (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        child = os.fork()
        if child == 0:
            try:
                store.fill("snap-1", image, "raw", silent)
            finally:
                os._exit(0)
        time.sleep(whole * part)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        again = open_store(kind, tmp_path / "store")
        if "snap-1" in again.observe():
            assert same(content(again, "snap-1", 64 * MIB), image.read_bytes())
        remove(again, "snap-1")
        leftovers(kind, again, tmp_path / "store")
    remove(store, "snap-0")


def remove(store: ports.VolumeStore, name: str) -> None:
    """As the engine does: again until the host lets go (a killed copy may hold its device a moment longer)."""
    for _ in range(20):
        try:
            return store.remove(name)
        except ports.HostError as error:
            assert not error.final
            time.sleep(0.2)
    store.remove(name)


def leftovers(kind: str, store: ports.VolumeStore, folder: Path) -> None:
    """Fail when anything is on the host that no disk of the store accounts for."""
    if kind == "lvm":
        report = subprocess.run(["lvs", "--noheadings", "-o", "lv_name", str(POOL).split("/")[0]], check=True, capture_output=True)
        assert set(report.stdout.decode().split()) == {*store.observe(), str(POOL).split("/")[1]}
        return
    assert list((folder / "work").iterdir()) == []
    if kind == "raw":
        assert {path.name for path in (folder / "disks").iterdir()} == {f"{name}.raw" for name in store.observe()}
        return
    reached = {path for name in store.observe() for path in chain(store, name)}
    assert {path.name for path in (folder / "layers").iterdir()} == reached
    assert {path.name for path in (folder / "refs").iterdir()} == set(store.observe())


def chain(store: ports.VolumeStore, name: str) -> list[str]:
    """The files below a qcow2 disk and its own, as qemu-img finds them."""
    import json

    argv = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", str(store.source(name).path)]
    report = subprocess.run(argv, check=True, capture_output=True)
    return [Path(layer["filename"]).name for layer in json.loads(report.stdout)]


# -- which store a folder has -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(False, reason="")
def test_placeholder() -> None: ...


_ = (statistics, stores)
