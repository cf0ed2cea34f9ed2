"""`python -m bench`: how fast the gateway answers, beside moto_server and beside a handler that does nothing, in one run.

Every request is signed once and sent again and again, so that the client's own work is next to nothing; all servers get the same
bytes over one kept-alive connection at a time. What is asked again while nothing has changed may be answered as before, so it is
also asked after a change each time. Then, how the time for an answer of one size depends on how much is stored; and,
where there is libvirt, how long a real guest takes from RunInstances to its first console line, beside virsh with the same disk.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench import guests, servers, stored
from bench.load import Load, latencies, measure

SIZES = (1, 100, 1000)
MOST = {"RunInstances of 50": 10}  # requests of one client: a default subnet has 4,091 addresses
STORED = (10, 1_000, 10_000, 100_000)


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="How long each request is repeated, on each server.")
@click.option("--most", default=STORED[-1], show_default=True, help="Up to how many instances are stored.")
@click.option("--libvirt/--no-libvirt", default=True, show_default=True, help="Also boot a real guest.")
@click.option("--boots", default=3, show_default=True, help="How many times a real guest is booted.")
def main(seconds: float, most: int, libvirt: bool, boots: int) -> None:
    """Measure, and print tables in Markdown."""
    with Progress(console=Console(stderr=True)) as progress:
        with _folder() as folder:
            _say(_requests(folder, seconds, progress))
        with _folder() as folder:
            _say(_stored(folder, seconds, [size for size in STORED if size <= most], progress))
    if libvirt:
        _say(_boots(boots))


def _say(lines: Iterator[str]) -> None:
    sys.stdout.write("\n".join([*lines, "", ""]))
    sys.stdout.flush()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ec2gw-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _requests(folder: Path, seconds: float, progress: Progress) -> Iterator[str]:
    results: dict[str, dict[str, Load]] = {}
    anew: dict[str, dict[str, float]] = {}
    names = ["DescribeRegions", *(f"DescribeInstances of {size}" for size in SIZES), "DescribeInstances, one by id"]
    names += ["DescribeVolumes, a page of 100", "CreateVolume", "RunInstances", "RunInstances of 50"]
    with servers.all_of(folder) as running:
        task = progress.add_task("requests", total=len(names) * len(running))
        for server in running:
            server.prepare()
            for name in names:
                if " of " in name and name.startswith("DescribeInstances"):
                    server.grow(int(name.split()[-1]))
                request = server.request(name)
                most = MOST.get(name, sys.maxsize)
                results.setdefault(name, {})[server.name] = measure(server.port, request, seconds, server.pid, most)
                if name.startswith("Describe"):
                    taken = latencies(server.port, request, seconds, server.changes())
                    anew.setdefault(name, {})[server.name] = statistics.median(taken) * 1000
                progress.advance(task)
    yield "| request | server | per second | p50 ms | p99 ms | CPU ms | throughput, times moto_server's |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for name, loads in results.items():
        for server_name, load in loads.items():
            ratio = load.per_second / loads["moto_server"].per_second
            times = f"{load.p50:.2f} | {load.p99:.2f} | {load.cpu:.2f}"
            yield f"| {name} | {server_name} | {load.per_second:,.1f} | {times} | {ratio:.1f} |"
    yield ""
    yield "| after a change of something else, p50 ms | ec2gw | moto_server | moto_server's, times ec2gw's |"
    yield "| --- | ---: | ---: | ---: |"
    for name, medians in anew.items():
        ours, theirs = medians["ec2gw"], medians["moto_server"]
        yield f"| {name} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |"


def _stored(folder: Path, seconds: float, sizes: list[int], progress: Progress) -> Iterator[str]:
    results: dict[str, dict[int, float]] = {}
    memory: dict[int, float] = {}
    house = stored.House(folder)
    task = progress.add_task("stored instances", total=len(sizes))
    for size in sizes:
        with house.serving(size) as server:
            for name in stored.REQUESTS:
                if name != "a page of 100" or size >= 100:
                    taken = latencies(server.port, server.request(name), seconds, server.changes)
                    results.setdefault(name, {})[size] = statistics.median(taken) * 1000
            server.walk(stored.PAGES)
            memory[size] = house.peak_memory()
        progress.advance(task)
    yield "| DescribeInstances, p50 ms | " + " | ".join(f"{size:,} stored" for size in sizes) + " | last, times the first |"
    yield "| --- |" + " ---: |" * (len(sizes) + 1)
    for name, medians in results.items():
        cells = [f"{medians[size]:.2f}" if size in medians else "" for size in sizes]
        first, last = medians[min(medians)], medians[max(medians)]
        yield f"| {name} | " + " | ".join(cells) + f" | {last / first:.2f} |"
    cells = [f"{memory[size]:,.0f}" for size in sizes]
    yield f"| most memory, MiB | {' | '.join(cells)} | {memory[sizes[-1]] / memory[sizes[0]]:.2f} |"


def _boots(count: int) -> Iterator[str]:
    gateway, plain = guests.through_the_gateway(count), guests.through_virsh(count)
    yield "| first console line of a guest after | median s | least s | most s |"
    yield "| --- | ---: | ---: | ---: |"
    for name, times in (("RunInstances", gateway), ("virsh create", plain)):
        yield f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |"
    yield ""
    yield f"RunInstances takes {statistics.median(gateway) / statistics.median(plain):.2f} times as long as virsh."


if __name__ == "__main__":
    main()
