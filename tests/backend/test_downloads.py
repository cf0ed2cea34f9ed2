"""Downloads: only from where they may be, whole or not at all, ended when told, against a server that misbehaves."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.backend import downloads, ports
from ec2gw.backend.downloads import Downloads
from tests.web import Web

TASK = "import-snap-00000000000000001"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
MIB = 1 << 20


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "disk").write_bytes(os.urandom(MIB))
    served = Web(tmp_path / "files")
    yield served
    served.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "imports"


@pytest.fixture
def here(folder: Path) -> Downloads:
    return Downloads(folder, largest=8 * MIB, allowed=LOOPBACK)


def silent(percent: float) -> None:
    """Nobody listens."""


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_bytes_come_whole_and_once(here: Downloads, web: Web, folder: Path) -> None:
    heard: list[float] = []
    path = here.fetch(TASK, 0, web.url("disk"), heard.append)
    assert path.read_bytes() == (web.folder / "disk").read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert heard
    assert here.fetch(TASK, 0, web.url("disk"), silent) == path
    assert web.asked == ["/disk"]
    here.fetch(TASK, 1, web.url("to//disk"), silent)
    here.remove(TASK)
    assert left(folder) == []


@pytest.mark.parametrize(
    ("path", "said", "final"),
    [
        ("truncated/disk", "broke off", False),
        ("endless", "larger than", True),
        ("huge", "larger than", True),
        ("unmeasured/disk", "where it ends", True),
        ("gzip", "compressed", True),
        ("status/404", "status 404", True),
        ("status/503", "status 503", False),
        ("status/204", "status 204", True),
        ("round", "redirects too often", True),
        ("to/ftp://127.0.0.1/disk", "no http", True),
        ("to/file:///etc/passwd", "no http", True),
        ("to/http://169.254.169.254/latest/meta-data/", "may not read from", True),
        ("to/http://10.0.0.1/", "may not read from", True),
        ("to/http://[::ffff:169.254.169.254]/", "may not read from", True),
    ],
)
def test_what_is_not_a_whole_file_is_refused_and_leaves_nothing(
    here: Downloads, web: Web, folder: Path, path: str, said: str, final: bool
) -> None:
    with pytest.raises(ports.SourceError, match=said) as caught:
        here.fetch(TASK, 0, web.url(path), silent)
    assert caught.value.final is final
    assert left(folder) == []


def test_a_server_that_says_nothing_is_given_up(here: Downloads, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SILENCE", 0.2)
    with pytest.raises(ports.SourceError, match="in time") as caught:
        here.fetch(TASK, 0, web.url("silent"), silent)
    assert not caught.value.final


def test_nobody_there_is_tried_again(here: Downloads) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ports.SourceError, match="cannot be reached") as caught:
            here.fetch(TASK, 0, f"http://127.0.0.1:{taken.getsockname()[1]}/", silent)
    assert not caught.value.final


def test_a_full_disk_is_the_host_s_trouble(here: Downloads, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: downloads.shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    with pytest.raises(ports.HostError, match="no space") as caught:
        here.fetch(TASK, 0, web.url("disk"), silent)
    assert caught.value.final
    assert not isinstance(caught.value, ports.SourceError)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1"])
def test_this_host_is_no_source_however_it_is_called(folder: Path, web: Web, host: str) -> None:
    with pytest.raises(ports.SourceError):
        Downloads(folder, largest=MIB).fetch(TASK, 0, web.url("disk", host), silent)
    assert web.asked == []


def test_a_name_that_leads_elsewhere_at_the_second_look_is_refused(
    folder: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the address that is connected to, not the one that the name had before (DNS rebinding)."""
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def resolve(host: str, port: int, *words: Any, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert downloads.may_reach(socket.getaddrinfo("rebound.example", 80)[0][4][0], ())  # type: ignore[arg-type]
    with pytest.raises(ports.SourceError, match="may not read from"):
        Downloads(folder, largest=MIB).fetch(TASK, 0, web.url("disk", "rebound.example"), silent)
    assert web.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1",
        "192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2001:db8::1", "fd00:ec2::254", "fe80::1%eth0", "ff02::1",
    ],
)  # fmt: skip
def test_what_is_nobody_else_s_is_not_reached(address: str) -> None:
    assert not downloads.may_reach(address, ())


def test_public_addresses_and_allowed_networks_are_reached() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"):
        assert downloads.may_reach(address, ())
    allowed = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]
    assert downloads.may_reach("10.1.2.3", allowed)
    assert downloads.may_reach("::ffff:10.1.2.3", allowed)
    assert downloads.may_reach("fd00::1", allowed)
    assert not downloads.may_reach("192.168.1.1", allowed)


def test_it_ends_at_once_when_told_though_nothing_comes(here: Downloads, web: Web, folder: Path) -> None:
    class Enough(Exception):
        pass

    started = time.monotonic()

    def listener(percent: float) -> None:
        if time.monotonic() - started > 0.5:
            raise Enough

    with pytest.raises(Enough):
        here.fetch(TASK, 0, web.url("held/disk"), listener)
    assert time.monotonic() - started < 5
    assert left(folder) == []


def test_a_killed_download_is_begun_anew(here: Downloads, web: Web, folder: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            here.fetch(TASK, 0, web.url("held/disk"), silent)
        finally:
            os._exit(0)
    deadline = time.monotonic() + 20
    while not left(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert left(folder) == [f"{TASK}.0.part"]
    path = Downloads(folder, largest=8 * MIB, allowed=LOOPBACK).fetch(TASK, 0, web.url("disk"), silent)
    assert path.read_bytes() == (web.folder / "disk").read_bytes()
    here.remove(TASK)
    assert left(folder) == []


def test_a_task_is_held_as_long_as_its_holder_lives(here: Downloads, folder: Path) -> None:
    assert not here.held(TASK)
    with here.hold(TASK):
        assert Downloads(folder, largest=1).held(TASK)
    assert not here.held(TASK)
    child = os.fork()
    if child == 0:
        with here.hold(TASK):
            time.sleep(60)
    deadline = time.monotonic() + 20
    while not here.held(TASK) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert here.held(TASK)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not here.held(TASK)
    here.remove(TASK)
    assert left(folder) == []
