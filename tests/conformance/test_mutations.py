"""Is the suite itself able to see? A proxy breaks one thing at a time in a good endpoint's answers, or swallows one parameter:
every breakage must turn at least one step from ok to something else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from conformance import run
from conformance.story import Target, Verdict
from tests.conformance.between import Between, Params, Passed

# Small stories that between them use what is broken below; each mutation names those that must see it.
VOLUMES, SNAPSHOTS, INSTANCES, MANNERS = "boto3 volumes", "boto3 snapshots", "boto3 instances", "wire manners"
OLD, NEW, BOTO2 = "replay boto-2.0b4 ebs-boot", "replay boto3-1.44.5 ebs-boot", "boto 2.49 boot from volume"
OLD_ERRORS, BOTO2_REST, NO_DEVICE = (
    "replay boto-2.0b4 errors",
    "boto 2.49 the rest",
    "boto3 checklist 7 devices taken away at launch",
)
IDS, LISTS, CHECKLIST, TAGS = "boto3 refusals ids", "boto3 pages and waiters", "boto3 checklist 2 root kept", "boto3 tags"
CONTENT = "boto3 content"


def answer(action: str, pattern: str, new: str) -> Callable[[Passed], Passed]:
    """Breaks the body of an action's answers by a regular expression; `.` is every action."""

    def broken(passed: Passed) -> Passed:
        if not re.fullmatch(action, passed.action):
            return passed
        return dataclasses.replace(passed, body=re.sub(pattern, new, passed.body.decode(), flags=re.DOTALL).encode())

    return broken


def status(old: int, new: int) -> Callable[[Passed], Passed]:
    """Breaks the HTTP status."""
    return lambda passed: dataclasses.replace(passed, status=new) if passed.status == old else passed


def swallow(action: str, pattern: str) -> Callable[[Params], Params]:
    """Loses the parameters of an action whose names match."""

    def lost(params: Params) -> Params:
        mine = dict(params).get("Action", "")
        return [(name, value) for name, value in params if not (re.fullmatch(action, mine) and re.fullmatch(pattern, name))]

    return lost


@dataclass(frozen=True)
class Mutation:
    """One breakage, and the stories of which each must see it."""

    stories: tuple[str, ...]
    break_answer: Callable[[Passed], Passed] = lambda passed: passed
    break_request: Callable[[Params], Params] = lambda params: params


MUTATIONS = {
    "wrong element name": Mutation((BOTO2, NEW), answer("DescribeVolumes", r"(</?)status>", r"\1state>")),
    "missing field": Mutation((OLD, NEW, BOTO2), answer("DescribeInstances", r"<rootDeviceName>.*?</rootDeviceName>", "")),
    "missing empty field": Mutation((VOLUMES, OLD), answer("CreateVolume", r"<snapshotId ?/>|<snapshotId></snapshotId>", "")),
    "wrong code": Mutation((IDS, BOTO2_REST), answer(".*", r"InvalidVolume\.NotFound", "InvalidVolumeID.NotFound")),
    "wrong message": Mutation((IDS,), answer(".*", r"The image id '\[(.*?)\]'", r"The image id '\1'")),
    "wrong status of errors": Mutation((MANNERS,), status(400, 404)),
    "wrong status of a dry run": Mutation((MANNERS,), status(412, 400)),
    "wrong namespace": Mutation((MANNERS,), answer(".*", r"amazonaws\.com/doc/[0-9-]+/", "amazonaws.com/doc/2006-10-01/")),
    "wrong order": Mutation((MANNERS,), answer(".*", r"(<requestId>.*?</requestId>)(.*)(</\w+Response>)", r"\2\1\3")),
    "wrong case in errors": Mutation((MANNERS, OLD_ERRORS), answer(".*", "RequestID", "RequestId")),
    "missing return": Mutation((OLD, NEW), answer("DeleteVolume|DeleteSnapshot", r"<return>true</return>", "")),
    "return in another case": Mutation((OLD, BOTO2), answer("DeregisterImage", r">true</return>", ">True</return>")),
    "wrong state": Mutation((INSTANCES, BOTO2), answer("StopInstances", "<name>stopping</name>", "<name>running</name>")),
    "a state skipped": Mutation((SNAPSHOTS,), answer("CreateSnapshot", "<status>pending<", "<status>completed<")),
    "wrong number of a state": Mutation((INSTANCES, BOTO2), answer("DescribeInstances", "<code>16</code>", "<code>80</code>")),
    "a list that old clients do not know": Mutation(
        (OLD,), answer("DescribeSnapshots", "<snapshotId>", "<newSet><item><a>b</a></item></newSet><snapshotId>")
    ),
    "a time that is none": Mutation((VOLUMES,), answer("CreateVolume", r"(<createTime>).*?(</createTime>)", r"\1soon\2")),
    "flag turned in a mapping": Mutation(
        (CHECKLIST,), answer("DescribeInstances", "<deleteOnTermination>false<", "<deleteOnTermination>true<")
    ),
    "volumes let go at a stop": Mutation(
        (CHECKLIST,),
        answer("DescribeInstances", "<blockDeviceMapping>.*?</blockDeviceMapping>(?=.*<name>stopped<)", "<blockDeviceMapping/>"),
    ),
    "device name respelt": Mutation((CHECKLIST, BOTO2), answer("DescribeVolumes", "<device>/dev/sd", "<device>/dev/vd")),
    "not XML": Mutation((OLD, BOTO2), answer("DescribeVolumes", "^.*$", "{}")),
    "lost page token": Mutation((LISTS,), answer("DescribeVolumes", r"<nextToken>.*?</nextToken>", "")),
    "swallowed DeleteOnTermination": Mutation((CHECKLIST,), break_request=swallow("RegisterImage", ".*DeleteOnTermination")),
    "swallowed NoDevice": Mutation((NO_DEVICE,), break_request=swallow("RunInstances", r"BlockDeviceMapping\..*")),
    "swallowed SnapshotId": Mutation((CONTENT,), break_request=swallow("CreateVolume", "SnapshotId")),
    "swallowed VolumeType": Mutation((VOLUMES,), break_request=swallow("CreateVolume", "VolumeType")),
    "swallowed ClientToken": Mutation((VOLUMES, INSTANCES), break_request=swallow(".*", "ClientToken")),
    "swallowed Filter": Mutation((LISTS, SNAPSHOTS), break_request=swallow("Describe(Volumes|Snapshots)", r"Filter\..*")),
    "swallowed DryRun": Mutation((MANNERS,), break_request=swallow(".*", "DryRun")),
    "swallowed MaxResults": Mutation((LISTS,), break_request=swallow("DescribeVolumes", "MaxResults")),
    "swallowed protection": Mutation((NEW,), break_request=swallow("RunInstances", "DisableApiTermination")),
    "swallowed tag": Mutation((TAGS,), break_request=swallow("CreateTags", r"Tag\.3\..*")),
}


@pytest.fixture(scope="module")
def proxy(endpoint: Target) -> Iterator[Between]:
    """A proxy in front of the endpoint."""
    between = Between(endpoint.url, endpoint.key)
    yield between
    between.stop()


@pytest.fixture(scope="module")
def behind(endpoint: Target, proxy: Between) -> Target:
    """The endpoint as seen through the proxy, which knows no EBS direct APIs."""
    return dataclasses.replace(endpoint, url=proxy.url, blocks=endpoint.url)


@pytest.fixture(scope="module")
def whole(behind: Target) -> dict[str, set[str]]:
    """story -> its steps that are ok while nothing is broken."""
    return all_well(behind)


def all_well(target: Target) -> dict[str, set[str]]:
    """The steps of every story that a mutation names, which must all be ok."""
    named = run.chosen(sorted({story for mutation in MUTATIONS.values() for story in mutation.stories}))
    results = run.run(named, target, jobs=4).results
    assert [result.name for result in results if result.verdict is not Verdict.OK] == []
    return {result.name: well(result) for result in results}


def well(result: run.Result) -> set[str]:
    """The steps that are ok."""
    return {step.name for step in result.steps if step.verdict is Verdict.OK}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(name: str, proxy: Between, behind: Target, whole: dict[str, set[str]]) -> None:
    mutation = MUTATIONS[name]
    hasty = dataclasses.replace(behind, patience=3)  # what is broken does not heal while one waits
    proxy.break_answer, proxy.break_request = mutation.break_answer, mutation.break_request
    try:
        for story in mutation.stories:
            assert whole[story] - well(run.one(story, hasty)), f"{story} did not see it"
    finally:
        proxy.break_answer, proxy.break_request = (lambda passed: passed), (lambda params: params)


def test_the_proxy_itself_changes_nothing(endpoint: Target, whole: dict[str, set[str]]) -> None:
    """What is caught above is caught because of the breakage: after it, without the proxy, all goes as before it."""
    assert all_well(endpoint) == whole
