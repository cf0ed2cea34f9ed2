"""What `ports.VolumeStore` promises, judged alike on every store by the bytes on its disks.

Where `EC2GW_LVM=VG/POOL` names a thin pool (the LVM lane) the judged store is LVM's; elsewhere raw files and qcow2 layers.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from ec2gw.backend import blocks, ports
from ec2gw.backend.stores import qcow2, raw
from tests.backend.disks import GIB, KINDS, MIB, POOL, SIZE, chain, content, new, open_store, pattern, same, silent, write


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> Iterator[ports.VolumeStore]:
    store = open_store(kind, tmp_path / "store")
    yield store
    if kind == "lvm":  # one command for all: each takes a third of a second in the lane
        subprocess.run(["lvremove", "-qq", "-y", "-S", "tags=ec2gw", str(POOL).split("/")[0]], check=True)
        return
    for name in list(store.observe()):
        store.remove(name)
    assert store.observe() == {}


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


def test_a_name_that_is_no_plain_id_is_refused(store: ports.VolumeStore) -> None:
    for name in ("../vol-1", "vol-1/x", "-vol-1", "vol-" + "0" * 200, "", "vol-1\n", "vol-$(id)"):
        for use in (partial(store.create, name, SIZE), partial(store.remove, name)):
            with pytest.raises(ports.HostError) as error:
                use()
            assert error.value.final
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
    for turn in range(3 if kind == "lvm" else 40):
        write(store, volume, turn + 1, turn * 131072)
        names.append(new("snap"))
        store.snapshot(volume, names[-1])
        store.settle(names[-1])
        if turn % 3 == 1:
            volume = new("vol")
            store.create(volume, SIZE, names[-1])
    for turn, name in list(enumerate(names))[::-7]:
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
    store.grow(volume, 2 * SIZE)
    store.grow(volume, SIZE)
    assert store.observe() == {volume: 2 * SIZE, snapshot: SIZE}
    assert same(content(store, volume), pattern((1, SIZE - 65536)) + bytes(SIZE))


# -- images ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["vmdk"] if POOL else ["raw", "qcow2", "vmdk"])
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


# -- blocks ------------------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_assembled_of_blocks_over_another(store: ports.VolumeStore, tmp_path: Path) -> None:
    """And its blocks, and what has changed, are found where they are; a block of zeros that was written is a block."""
    parts = {}
    for place, byte in ((0, 1), (2, 2), (15, 3), (4, 0)):
        parts[place] = tmp_path / f"{place}-part"
        parts[place].write_bytes(bytes([byte]) * blocks.SIZE)
    first, second, made = new("snap"), new("snap"), new("vol")
    store.assemble(first, SIZE, None, [(place * blocks.SIZE, parts[place]) for place in (0, 2, 4)])
    store.assemble(first, SIZE, None, [(0, tmp_path / "not-there")])  # nothing is done when it is there
    parts[2].write_bytes(b"\x09" * blocks.SIZE)
    store.assemble(second, 2 * SIZE, first, ((place * blocks.SIZE, parts[place]) for place in (2, 15)))
    wanted = bytearray(2 * SIZE)
    for place, byte in ((0, 1), (2, 9), (15, 3)):
        wanted[place * blocks.SIZE : (place + 1) * blocks.SIZE] = bytes([byte]) * blocks.SIZE
    store.create(made, 2 * SIZE, second)
    assert same(content(store, made), bytes(wanted))
    assert store.observe() == {first: SIZE, second: 2 * SIZE, made: 2 * SIZE}
    reader = blocks.Reader()
    assert list(reader.written(store, first)) == [0, 2, 4]
    assert list(reader.written(store, second)) == [0, 2, 4, 15]
    assert list(reader.changed((store, first), (store, second))) == [2, 15]
    for place in (0, 1, 2, 4, 15):
        assert same(reader.read(store, second, place), bytes(wanted[place * blocks.SIZE : (place + 1) * blocks.SIZE]))
    assert same(reader.read(store, first, 2), b"\x02" * blocks.SIZE)


def test_blocks_of_volumes_snapshots_are_what_is_written(store: ports.VolumeStore) -> None:
    volume, one, two = new("vol"), new("snap"), new("snap")
    store.create(volume, SIZE)
    write(store, volume, 1, 0)
    write(store, volume, 2, 5 * blocks.SIZE - 65536, 131072)  # across the border of two
    store.snapshot(volume, one)
    write(store, volume, 3, 0)
    write(store, volume, 2, 5 * blocks.SIZE)  # the same again
    store.snapshot(volume, two)
    write(store, volume, 4, 6 * blocks.SIZE)
    reader = blocks.Reader()
    assert list(reader.written(store, one)) == [0, 4, 5]
    assert list(reader.changed((store, one), (store, two))) == [0]
    assert same(reader.read(store, two, 4), bytes(blocks.SIZE - 65536) + b"\x02" * 65536)


def test_an_assembly_that_cannot_be_leaves_nothing(store: ports.VolumeStore, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(bytes(blocks.SIZE))
    first = new("snap")
    store.assemble(first, SIZE, None, [])
    for size, origin, path in ((SIZE // 2, first, part), (SIZE, new("snap"), part), (SIZE, None, tmp_path / "absent")):
        with pytest.raises(ports.HostError):
            store.assemble(new("snap"), size, origin, [(0, path)])
    with pytest.raises(ports.HostError):
        store.extents(new("snap"))
    assert store.observe() == {first: SIZE}


# -- cost --------------------------------------------------------------------------------------------------------------------


def test_a_volume_from_a_snapshot_costs_the_same_whatever_its_size(store: ports.VolumeStore, kind: str, tmp_path: Path) -> None:
    if kind == "raw" and not raw.reflinks(tmp_path):  # promised only where blocks are shared: see `stores.file_store`
        return
    seconds: dict[int, list[float]] = {}
    for size in (GIB, 64 * GIB):
        origin, snapshot = new("vol"), new("snap")
        store.create(origin, size)
        for at in range(0, size, GIB):
            write(store, origin, 1, at, MIB)
        store.snapshot(origin, snapshot)
        seconds[size] = []
        for _ in range(2 if kind == "lvm" else 5):
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
    for _ in range(8 if kind == "lvm" else 120):
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
    origin, snapshot = new("vol"), new("snap")
    store.create(origin, SIZE)
    write(store, origin, 1, 0)
    store.snapshot(origin, snapshot)
    turns = 1 if kind == "lvm" else 10

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
