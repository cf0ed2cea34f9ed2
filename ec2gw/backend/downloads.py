"""Fetches disk images over HTTP into files of the host, from nowhere it must not; it must not know what is done with them.

A URL is hostile until shown otherwise: it may name, lead to, or resolve to what only this host can reach, and what it gives may
end too soon, never, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from ec2gw.backend import ports
from ec2gw.backend.stores.folder import checked, opened

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_REDIRECTS = 5
CONNECT, SILENCE, LONGEST = 20.0, 60.0, 24 * 3600.0  # seconds
LOOK = 0.5  # seconds between two reports of progress
_PIECE = 1 << 18
_LATER = {408, 425, 429}
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
# Tells secrets to the machine that asks, at an address that is nobody's and yet public.
_METADATA = {ipaddress.ip_address("168.63.129.16")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an import may read from an IP address: a public one, or one of the networks `allowed`."""
    return _may_reach(ipaddress.ip_address(address.partition("%")[0]), allowed)


def _may_reach(address: Address, allowed: Sequence[Network]) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _may_reach(inner, allowed)
    if any(address in network for network in allowed):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _METADATA


class Downloads:
    """Files in `folder`, named by the task they are for. `largest` is bytes; `allowed` are networks beside the public ones."""

    def __init__(self, folder: Path, *, largest: int, allowed: Sequence[Network] = ()) -> None:
        self.largest = largest
        self._folder = folder
        self._allowed = tuple(allowed)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def fetch(self, task: str, number: int, url: str, progress: Callable[[float], None]) -> Path:
        """The bytes of `url`, as the disk image `number` of `task`. Nothing is done when they are here.

        `progress` hears percents all the time, and ends it by raising. Raises SourceError for what the URL is to blame for, final
        where the same again would bring nothing else, and HostError. An interrupted fetch begins anew.
        """
        path = self._folder / f"{checked(task)}.{number}"
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            try:
                asyncio.run(self._watched(url, part, progress))
                part.replace(path)
                with opened(self._folder, os.O_RDONLY) as descriptor:
                    os.fsync(descriptor)
            except OSError as error:
                raise ports.HostError(str(error.strerror or error), final=error.errno in _HOPELESS) from error
            finally:
                part.unlink(missing_ok=True)
        return path

    def remove(self, task: str) -> None:
        """Forget all there is of a task."""
        for path in self._folder.glob(f"{checked(task)}.*"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def hold(self, task: str) -> Iterator[None]:
        """Say that this process works on a task, for as long as it lives."""
        path = self._folder / f"{checked(task)}.lock"
        with opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def held(self, task: str) -> bool:
        """Whether a living process holds the task."""
        try:
            with opened(self._folder / f"{checked(task)}.lock", os.O_RDWR) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    async def _watched(self, url: str, part: Path, progress: Callable[[float], None]) -> None:
        """Receive, and tell `progress` of it also while nothing comes."""
        percent = [0.0]
        receiving = asyncio.create_task(self._receive(url, part, percent))
        try:
            while not receiving.done():
                progress(percent[0])
                await asyncio.wait({receiving}, timeout=LOOK)
            await receiving
        finally:
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # of a task that nobody wants any more
                await receiving

    async def _receive(self, url: str, part: Path, percent: list[float]) -> None:
        refused: list[str] = []

        def connecting(info: tuple[Any, ...]) -> socket.socket:
            # Here is the address that will really be connected to, whatever named it and however often it was resolved.
            family, kind, protocol, _, where = info
            if not may_reach(where[0], self._allowed):
                refused.append(where[0])
                raise OSError("the address is not allowed")
            return socket.socket(family, kind, protocol)

        timeout = aiohttp.ClientTimeout(total=LONGEST, sock_connect=CONNECT, sock_read=SILENCE)
        connector = aiohttp.TCPConnector(socket_factory=connecting, force_close=True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
                session.get(url, max_redirects=MOST_REDIRECTS, headers={"Accept-Encoding": "identity"}) as answer,
            ):
                await self._write(answer, part, percent)
        except aiohttp.TooManyRedirects:
            raise ports.SourceError("the URL redirects too often", final=True) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise ports.SourceError("the URL leads to what is no http or https URL", final=True) from None
        except aiohttp.ClientConnectorCertificateError:
            raise ports.SourceError("the server's certificate is not trusted", final=True) from None
        except aiohttp.ClientConnectionError as error:
            if refused:
                raise ports.SourceError("the URL leads to an address that imports may not read from", final=True) from None
            if isinstance(error, TimeoutError):
                raise ports.SourceError("the server did not answer in time") from None
            raise ports.SourceError("the server cannot be reached, or hung up") from None
        except aiohttp.ClientError as error:
            raise ports.SourceError(f"the transfer broke off ({type(error).__name__})") from None
        except TimeoutError:
            raise ports.SourceError("the server did not answer in time") from None

    async def _write(self, answer: aiohttp.ClientResponse, part: Path, percent: list[float]) -> None:
        if answer.status != 200:
            final = answer.status < 500 and answer.status not in _LATER
            raise ports.SourceError(f"the server answered with status {answer.status}", final=final)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ports.SourceError("the server sends it compressed", final=True)
        size = answer.content_length
        if size is None and answer.headers.get("Transfer-Encoding", "").lower() != "chunked":
            raise ports.SourceError("the server does not say where it ends", final=True)
        room = shutil.disk_usage(part.parent).free
        self._check_size(size or 0, room)
        got = 0
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            async for piece in answer.content.iter_chunked(_PIECE):
                got += len(piece)
                self._check_size(got, room)
                file.write(piece)
                percent[0] = 100.0 * got / size if size else 0.0
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())

    def _check_size(self, size: int, room: int) -> None:
        if size > self.largest:
            raise ports.SourceError(f"it is larger than {self.largest >> 30} GiB", final=True)
        if size > room:
            raise ports.HostError("there is no space for it", final=True)
