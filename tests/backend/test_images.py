"""Images that people bring: the good ones are told apart, and no bad one makes the gateway read another file or hang."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from ec2gw.backend import images, ports
from ec2gw.model import errors

MIB = 1 << 20


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def refused(path: Path, image_format: str | None = None) -> str:
    with pytest.raises(errors.Invalid) as refusal:
        images.inspect(path, image_format)
    assert refusal.value.reason == "image-unreadable"
    assert refusal.value.facts["path"] == str(path.absolute())
    return str(refusal.value.facts["detail"])


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("raw", ""),
        ("qcow2", ""),
        ("qcow2", "compat=0.10"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vhdx", ""),
        ("vpc", "force_size=on"),
        ("vdi", ""),
    ],
)
def test_each_format_is_told_apart_and_read_byte_for_byte(tmp_path: Path, form: str, options: str) -> None:
    plain, image, back = tmp_path / "plain", tmp_path / "image", tmp_path / "back"
    plain.write_bytes(bytes(4096) + random.Random(3).randbytes(MIB) + bytes(7 * MIB - 4096))
    qemu_img("convert", "-f", "raw", "-O", form, *(["-o", options] if options else []), plain, image)
    # qemu does not find a fixed-up VHD out by itself as surely as its name, so that one is named.
    info = images.inspect(image) if form != "vpc" else images.inspect(image, "vpc")
    assert info == images.ImageInfo(form, 8 * MIB)
    heard: list[float] = []
    images.convert(image, images.accepted(image, form), back, "raw", heard.append)
    assert back.read_bytes() == plain.read_bytes()
    assert heard[-1] == 100.0


@pytest.mark.parametrize(("size", "wanted"), [(1, 1), (1 << 30, 1), ((1 << 30) + 1, 2), (5 << 30, 5)])
def test_a_volume_for_an_image_is_whole_gib(size: int, wanted: int) -> None:
    assert images.whole_gib(size) == wanted << 30


def test_a_backing_file_is_refused_whatever_version_and_without_looking_at_it(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for compat in ("0.10", "1.1"):
        qemu_img("create", "-q", "-f", "qcow2", "-o", f"compat={compat}", "-F", "raw", "-b", "/etc/passwd", image, "1G")
        assert "backing file" in refused(image)
        assert "backing file" in refused(image, "qcow2")


def test_an_outside_data_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'outside'},data_file_raw=on", image, "1G")
    assert "another file" in refused(image)
    (tmp_path / "outside").unlink()
    assert "another file" in refused(image)


@pytest.mark.parametrize("opening", [b"# Disk DescriptorFile\n", b"#\n", b"\n \n# x\n", b""])
def test_a_vmdk_of_several_files_is_refused(tmp_path: Path, opening: bytes) -> None:
    secret, image = tmp_path / "secret", tmp_path / "image.vmdk"
    secret.write_bytes(b"secret" * 1000)
    extent = f'RW 8 FLAT "{secret}" 0\n'.encode()
    image.write_bytes(opening + b'version=1\nCID=ffffffff\nparentCID=ffffffff\ncreateType="monolithicFlat"\n' + extent)
    assert "other files" in refused(image)
    assert "other files" in refused(image, "vmdk")


def test_a_vmdk_that_carries_a_descriptor_of_other_files_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", image, "8M")
    head = bytearray(image.read_bytes())
    head[12:20] = bytes(8)  # capacity 0: the descriptor inside counts
    image.write_bytes(head)
    assert "other files" in refused(image)


def test_an_encrypted_image_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    secret = ("--object", "secret,id=s,data=abcdefgh")
    qemu_img("create", "-q", *secret, "-f", "qcow2", "-o", "encrypt.format=aes,encrypt.key-secret=s", image, "8M")
    assert "encrypted" in refused(image)
    image.write_bytes(b"LUKS\xba\xbe\0\1" + bytes(MIB))
    assert refused(image)


def test_an_absurd_size_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    qemu_img("create", "-q", "-f", "qcow2", image, "65T")
    assert "64 TiB" in refused(image)
    image.write_bytes(b"")
    assert "between" in refused(image)


def test_what_is_no_readable_file_is_refused_at_once(tmp_path: Path) -> None:
    started = time.monotonic()
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in refused(tmp_path / "pipe")
    assert "regular file" in refused(tmp_path)
    assert "regular file" in refused(Path("/dev/zero"))
    assert "No such file" in refused(tmp_path / "absent")
    (tmp_path / "text").write_bytes(b"QFI\xfb\0\0\0\x03")
    assert refused(tmp_path / "text", "qcow2")
    assert "not one of" in refused(tmp_path / "text", "nbd")
    assert time.monotonic() - started < 5


def test_a_file_name_is_never_taken_for_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("nbd:localhost:1", 'json:{"driver":"null-co"}', "-U", "fat:x"):
        Path(name).write_bytes(bytes(MIB))
        assert images.inspect(Path(name)) == images.ImageInfo("raw", MIB)


def test_damaged_images_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    image, damaged = tmp_path / "image", tmp_path / "damaged"
    chance = random.Random(11)
    for form in ("qcow2", "vmdk", "vhdx", "vdi"):
        qemu_img("create", "-q", "-f", form, image, "64M")
        whole = image.read_bytes()
        for _ in range(12):
            content = bytearray(whole)
            for _ in range(chance.randrange(1, 30)):
                content[chance.randrange(min(len(content), 600))] = chance.randrange(256)
            damaged.write_bytes(content)
            try:
                images.inspect(damaged, form)
            except errors.Invalid as refusal:
                assert refusal.facts["detail"]


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vhdx"])
def test_an_image_that_is_cut_off_is_refused(tmp_path: Path, form: str) -> None:
    """qemu-img would read what is missing as zeros."""
    plain, image = tmp_path / "plain", tmp_path / "image"
    plain.write_bytes(random.Random(5).randbytes(40 * MIB))
    qemu_img("convert", "-f", "raw", "-O", form, plain, image)
    assert images.inspect(image, form).virtual_size == 40 * MIB
    os.truncate(image, 20 * MIB)
    assert "damaged or cut off" in refused(image, form) or form == "vhdx"  # which qemu-img does not even open


def test_space_that_is_taken_but_not_used_does_no_harm(tmp_path: Path) -> None:
    image = tmp_path / "image"
    qemu_img("create", "-q", "-f", "qcow2", image, "8M")
    end = -(-image.stat().st_size // 65536) * 65536
    os.truncate(image, end + 65536)
    with image.open("r+b") as file:
        file.seek(2 * 65536 + 2 * (end // 65536))  # its refcount, in the first block of them
        file.write(b"\0\1")
    assert subprocess.run(["qemu-img", "check", "-q", image], check=False).returncode == 3
    images.inspect(image)


def test_for_a_store_a_refusal_is_final(tmp_path: Path) -> None:
    with pytest.raises(ports.HostError) as error:
        images.accepted(tmp_path / "absent", "raw")
    assert error.value.final
