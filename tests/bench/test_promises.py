"""The promises of docs/promises.md that a test can keep: ratios of one run, with room for a busy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bench import load, servers, stored

pytestmark = pytest.mark.timeout(300)

FEW, MANY = 10, 10_000
SAME_SIZED = ("one by id", "a tag filter that ten pass", "a page of 10")
BOUNDED = 160  # MiB: of texts kept (`query.fragments.MOST`), and of the largest answers while they are put together


@dataclass
class Measured:
    """Times by request; the most memory (MiB) after all was listed; a page of 1,000, first and later. Times are seconds."""

    times: dict[str, float] = field(default_factory=dict)
    memory: float = 0.0
    listed: int = 0
    first: float = 0.0
    later: float = 0.0


def _undisturbed(taken: list[float]) -> float:
    """What an answer takes when nothing else on the machine comes in between: the fastest tenth took no longer."""
    return statistics.quantiles(taken, n=10)[0] if len(taken) > 1 else taken[0]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Measured]]:
    """What was measured with few and with many instances stored."""
    house = stored.House(tmp_path_factory.mktemp("stored"))
    found = {FEW: Measured(), MANY: Measured()}
    for count, noted in found.items():
        with house.serving(count) as target:
            page = target.request("a page of 1000")
            for name in SAME_SIZED:
                noted.times[name] = _undisturbed(load.latencies(target.port, target.request(name), 0.5, target.changes))
            with load.Client(target.port) as client:
                began = time.perf_counter()
                client.ask(page)
                noted.first = time.perf_counter() - began
            noted.later = _undisturbed(load.latencies(target.port, page, 0.5, target.changes))
            noted.listed = target.walk(MANY)
            noted.memory = house.peak_memory()
    yield found


@pytest.mark.parametrize("name", SAME_SIZED)
def test_what_else_is_stored_does_not_slow_an_answer_of_the_same_size(measured: dict[int, Measured], name: str) -> None:
    assert measured[MANY].times[name] < 2 * measured[FEW].times[name]


def test_what_has_not_changed_is_not_written_anew(measured: dict[int, Measured]) -> None:
    assert measured[MANY].first > 5 * measured[MANY].later


def test_memory_does_not_grow_with_what_is_stored(measured: dict[int, Measured]) -> None:
    assert (measured[FEW].listed, measured[MANY].listed) == (FEW, MANY)
    assert measured[MANY].memory < measured[FEW].memory + BOUNDED


# How many times moto_server's CPU time is ours: less than was measured. A test shares its machine, so no clock can judge this.
BESIDE_MOTO = {"DescribeRegions": 6.0, "DescribeInstances, one by id": 5.0, "RunInstances of 50": 1.5}


@pytest.fixture(scope="module")
def beside_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[float]]]:
    """CPU time of a request here, and at moto_server."""
    taken: dict[str, list[float]] = {name: [] for name in BESIDE_MOTO}
    with servers.all_of(tmp_path_factory.mktemp("beside")) as running:
        for server in running[:2]:
            server.prepare()
            server.grow(1)
            for name in BESIDE_MOTO:
                taken[name].append(load.measure(server.port, server.request(name), 0.5, server.pid).cpu)
    yield taken


@pytest.mark.parametrize("name", BESIDE_MOTO)
def test_answers_take_less_than_those_of_moto_which_keeps_all_in_memory(beside_moto: dict[str, list[float]], name: str) -> None:
    ours, theirs = beside_moto[name]
    assert theirs > BESIDE_MOTO[name] * ours
