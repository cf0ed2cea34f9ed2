"""One request sent again and again over kept-alive connections, and what that says of a server."""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CLIENTS = 2


@dataclass(frozen=True)
class Load:
    """Requests a second with CLIENTS connections, and milliseconds that one alone takes.

    `cpu` is how many milliseconds of CPU the server spent on each of the former: others on the machine hardly change that.
    """

    per_second: float
    p50: float
    p99: float
    cpu: float = 0.0


def measure(port: int, request: bytes, seconds: float, pid: int | None = None, most: int = sys.maxsize) -> Load:
    """Latency with one connection, then throughput with several; each for that many seconds, or `most` requests. `pid` is the
    server's.
    """
    alone = latencies(port, request, seconds, most=most)
    used = _cpu(pid)
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(latencies(port, request, seconds, most=most)))) for _ in range(CLIENTS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == CLIENTS, "a client ended early"
    rate = sum(counts) / (time.perf_counter() - began)
    cpu = (_cpu(pid) - used) / (sum(counts) + CLIENTS) * 1000
    centiles = statistics.quantiles(alone, n=100) if len(alone) > 1 else alone * 99
    return Load(rate, centiles[49] * 1000, centiles[98] * 1000, cpu)


def _cpu(pid: int | None) -> float:
    """Seconds of CPU that a process has used so far, all its threads together."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def latencies(port: int, request: bytes, seconds: float, changes: Sequence[bytes] = (), most: int = sys.maxsize) -> list[float]:
    """Seconds that each answer took, after one that is not counted. Raises AssertionError for an answer that is not 200.

    `changes` are requests of which one is sent, and not counted, before each: then no answer is one that was given before.
    """
    taken: list[float] = []
    turn = itertools.cycle(changes)
    with Client(port) as client:
        client.ask(request)
        end = time.perf_counter() + seconds
        while (time.perf_counter() < end and len(taken) < most) or not taken:
            if changes:
                client.ask(next(turn))
            began = time.perf_counter()
            client.ask(request)
            taken.append(time.perf_counter() - began)
    return taken


class Client:
    """A connection, kept alive as long as the server wants it so."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def ask(self, request: bytes) -> bytes:
        """Send a request; gives the answer's body."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._some(self._socket)
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), bytes(data)[:600]
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        left = int(fields[b"content-length"]) - len(body)
        parts = [body]
        while left > 0:
            parts.append(self._some(self._socket))
            left -= len(parts[-1])
        if fields.get(b"connection") == b"close":
            self._close()
        return b"".join(parts)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _some(self, connection: socket.socket) -> bytes:
        data = connection.recv(1 << 20)
        assert data, "the server closed the connection"
        return data
