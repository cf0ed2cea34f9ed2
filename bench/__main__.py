"""`python -m bench`: how fast the gateway answers, beside moto_server and beside a handler that does nothing, in one run.

Every request is signed once and sent again and again, so that the client's own work is next to nothing; all three servers get the
same bytes over one kept-alive connection at a time. With `--libvirt`, also how long a real guest takes from RunInstances to its
first console line, beside virsh starting the same disk.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench import guests, servers
from bench.load import Load, measure

SIZES = (1, 100, 1000)


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="How long each request is repeated, on each server.")
@click.option("--libvirt/--no-libvirt", default=True, show_default=True, help="Also boot a real guest.")
@click.option("--boots", default=3, show_default=True, help="How many times a real guest is booted.")
def main(seconds: float, libvirt: bool, boots: int) -> None:
    """Measure, and print tables in Markdown."""
    console = Console(width=140)
    folder = Path(tempfile.mkdtemp(prefix="ec2gw-bench-"))
    results: dict[str, dict[str, Load]] = {}
    try:
        with Progress(console=Console(stderr=True)) as progress, servers.all_of(folder) as running:
            requests = [
                *(f"DescribeInstances, {size} stored" for size in SIZES),
                "DescribeVolumes",
                "CreateVolume",
                "RunInstances",
            ]
            task = progress.add_task("requests", total=len(requests) * len(running))
            for server in running:
                server.prepare()
                for name in requests:
                    if name.startswith("DescribeInstances"):
                        server.grow(int(name.split(", ")[1].split()[0]))
                    results.setdefault(name, {})[server.name] = measure(server, name.split(",")[0], seconds)
                    progress.advance(task)
        console.print(_requests(results))
        if libvirt:
            console.print(_boots(boots))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _requests(results: dict[str, dict[str, Load]]) -> str:
    lines = [
        "| request | server | per second | p50 ms | p99 ms | times moto_server |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, loads in results.items():
        for server, load in loads.items():
            ratio = load.per_second / loads["moto_server"].per_second
            lines.append(f"| {name} | {server} | {load.per_second:,.0f} | {load.p50:.2f} | {load.p99:.2f} | {ratio:.1f} |")
    return "\n".join(lines)


def _boots(count: int) -> str:
    gateway, plain = guests.through_the_gateway(count), guests.through_virsh(count)
    lines = ["", "| first console line of a guest after | median s | least s | most s |", "| --- | ---: | ---: | ---: |"]
    for name, times in (("RunInstances", gateway), ("virsh create", plain)):
        lines.append(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")
    lines.append(f"\nRunInstances takes {statistics.median(gateway) / statistics.median(plain):.2f} times as long as virsh.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
