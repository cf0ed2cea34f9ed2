"""One request sent again and again over kept-alive connections, and what that says of a server."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CLIENTS = 2


class Target(Protocol):
    """A server under load: its port, and the bytes of a request of this name."""

    port: int

    def request(self, name: str) -> Callable[[], bytes]:
        """Gives the bytes of one request after the other."""


@dataclass(frozen=True)
class Load:
    """Requests a second with CLIENTS connections; milliseconds that one alone takes."""

    per_second: float
    p50: float
    p99: float


def measure(target: Target, name: str, seconds: float) -> Load:
    """Latency with one connection, then throughput with several."""
    make = target.request(name)
    alone = _repeat(target.port, make, seconds)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(_repeat(target.port, make, seconds)))) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(counts) / (time.perf_counter() - began)
    centiles = statistics.quantiles(alone, n=100) if len(alone) > 1 else [alone[0]] * 99
    return Load(rate, centiles[49] * 1000, centiles[98] * 1000)


def _repeat(port: int, make: Callable[[], bytes], seconds: float) -> list[float]:
    """Seconds that each answer took. Raises AssertionError for an answer that is not 200."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (began := time.perf_counter()) < end or not taken:
            connection.sendall(make())
            _receive(connection)
            taken.append(time.perf_counter() - began)
    return taken


def _receive(connection: socket.socket) -> None:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), bytes(data)[:600]
    fields = dict(line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:])
    left = int(fields[b"content-length"]) - len(body)
    while left > 0:
        left -= len(_some(connection))


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    assert data, "the server closed the connection"
    return data
