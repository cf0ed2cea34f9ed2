"""Tells chosen stories to an endpoint, several at a time, each cleaned up after, and gathers what they showed."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import fnmatch
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from conformance import clients, tidy
from conformance.story import TELLERS, Heard, NotTried, Step, Story, Target, Verdict

Listen = Callable[[Story, Step], None]


@dataclass(frozen=True)
class Result:
    """One story as it went. `skipped` is the reason why it was not told at all."""

    name: str
    steps: tuple[Step, ...]
    seconds: float
    skipped: str = ""
    heard: tuple[Heard, ...] = ()

    def count(self, verdict: Verdict) -> int:
        """How many steps ended so."""
        return sum(step.verdict is verdict for step in self.steps)

    @property
    def verdict(self) -> Verdict:
        """The worst of the steps."""
        for verdict in (Verdict.DIFFERS, Verdict.UNSUPPORTED, Verdict.NOT_TRIED):
            if self.count(verdict):
                return verdict
        return Verdict.NOT_TRIED if self.skipped else Verdict.OK


@dataclass(frozen=True)
class Report:
    """All results of a run against one endpoint."""

    url: str
    results: tuple[Result, ...]
    seconds: float = 0.0
    totals: dict[str, int] = field(default_factory=dict)


def chosen(patterns: Sequence[str]) -> list[str]:
    """The names of the stories that any of the patterns fits (with * and ?, or as a part); all for no pattern."""
    from conformance import stories  # registers what there is; a story module may import this one

    stories.load()
    return [name for name in TELLERS if not patterns or any(fnmatch.fnmatch(name, p) or p in name for p in patterns)]


def one(name: str, target: Target, listen: Listen = lambda *_: None) -> Result:
    """Tell one story and clean up after it."""
    began = time.monotonic()
    told = Story(name, target, listen)
    skipped = ""
    try:
        TELLERS[name](told)
    except NotTried as reason:
        skipped = str(reason)
    except Exception as error:  # one story that falls between its steps must not take the others with it
        with told.step("goes on to its end"):
            raise error
    if told.steps:
        with told.step("leaves nothing behind"):
            for made, key in ((told.made, target.key), (told.made_by_second, target.second)):
                for thing in tidy.tidy(target, made, key):
                    told.complain(thing)
    return Result(name, tuple(told.steps), time.monotonic() - began, skipped, tuple(told.heard))


def run(
    names: Sequence[str],
    target: Target,
    jobs: int,
    listen: Listen = lambda *_: None,
    done: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Tell the stories, `jobs` at a time; the results are in the order of the names. `done` hears of each as it ends."""
    began = time.monotonic()
    target = found_out(target)

    def tell(name: str) -> Result:
        result = one(name, target, listen)
        done(result)
        return result

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = tuple(pool.map(tell, names))
    totals = {verdict.value: sum(result.count(verdict) for result in results) for verdict in Verdict}
    return Report(target.url, results, time.monotonic() - began, totals)


def found_out(target: Target) -> Target:
    """The target with its zones. Raises what the client raises when the endpoint cannot be spoken to at all."""
    zones = clients.ec2(target).describe_availability_zones()["AvailabilityZones"]
    return dataclasses.replace(target, zones=tuple(row["ZoneName"] for row in zones))
