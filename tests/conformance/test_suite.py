"""The suite, whole, on simulated machines and on libvirt, in the LVM lane its boot stories; reports and exit codes."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import pytest

from conformance import clients, replay, report, run, scenes, traffic
from conformance.story import TELLERS, Key, Made, Step, Story, Target, Verdict
from conformance.tidy import tidy
from tests import gateway
from tests.conformance import alike
from tests.conformance.conftest import JOBS, TARGETS, names, serving

NAMES = names(TARGETS[0])
# What may stay untold, and why: a word of the reason.
UNTOLD = {
    "euca2ools": "is not on this machine",
    "Terraform": "erraform",
    "boto3 guest checks": "no snapshot of the guest image",
    "boto3 guest again and again": "no snapshot of the guest image",
}
# What the gateway has not, and a guest says so: the pattern of a step, and what is said.
LACKING = (re.compile("C4: .*"), "the guest finds no metadata service: no network card")

TOLD: dict[str, dict[str, run.Result]] = {}  # what was told in this run, by target


@pytest.fixture(scope="session", params=TARGETS)
def told(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, run.Result]]]:
    """A target's name, and all stories as told to it, several at a time: most of them wait."""
    with serving(request.param) as (_, target):
        before = everything(target)
        results = run.run(NAMES, target, jobs=JOBS[request.param]).results
        # A volume on its way out is shown until it is gone.
        gateway.until(lambda: not everything(target) - before, 30, "all to go", lambda: everything(target) - before)
        TOLD[request.param] = {result.name: result for result in results}
        yield request.param, TOLD[request.param]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_differs(name: str, told: tuple[str, dict[str, run.Result]]) -> None:
    target, results = told
    result = results[name]
    amiss = [f"{step.name}: {step.verdict}: {step.detail}" for step in result.steps if not _as_known(step)]
    assert amiss == []
    if result.skipped:
        assert UNTOLD.get(name, "not to be skipped") in result.skipped
        pytest.skip(result.skipped)
    assert result.steps
    print(f"{name} on {target}: {result.count(Verdict.OK)} ok in {result.seconds:.1f} s")


def _as_known(step: Step) -> bool:
    """Well; or, of the metadata, unsupported, which is not the same as well."""
    name, reason = LACKING
    if name.fullmatch(step.name):
        return (step.verdict, step.detail) == (Verdict.UNSUPPORTED, reason)
    return step.verdict is Verdict.OK


@pytest.mark.timeout(900)
def test_the_targets_answer_alike(told: tuple[str, dict[str, run.Result]]) -> None:
    """Element by element, in shape and state, but for what is another every time."""
    target, results = told
    if len(TOLD) < 2:
        pytest.skip("told to one target so far")
    (other,) = TOLD.keys() - {target}
    whole = [name for name in NAMES if not results[name].skipped and not TOLD[other][name].skipped]
    found = [f"{n}: {line}" for n in whole for line in alike.Pair().differences(TOLD[other][n].heard, results[n].heard)]
    assert found == []
    assert sum(len(results[name].heard) for name in whole) > 2_000


def everything(target: Target) -> set[str]:
    ec2 = clients.ec2(target)
    live = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]}]
    reservations = ec2.describe_instances(Filters=live)["Reservations"]
    return {
        *(row["InstanceId"] for part in reservations for row in part["Instances"]),
        *(row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]),
        *(row["SnapshotId"] for row in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]),
        *(row["ImageId"] for row in ec2.describe_images(Owners=["self"])["Images"]),
        *(row["KeyName"] for row in ec2.describe_key_pairs()["KeyPairs"]),
        *(row["GroupId"] for row in ec2.describe_security_groups()["SecurityGroups"]),
    }


def test_a_story_that_breaks_half_way_is_cleaned_up(endpoint: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(endpoint)

    def broken(told: Story) -> None:
        with told.step("make a volume"):
            clients.of(told).create_volume(AvailabilityZone=told.target.zones[0], Size=1)
        with told.step("stumble"):
            raise RuntimeError("on purpose")
        raise RuntimeError("and fall")

    monkeypatch.setitem(TELLERS, "broken", broken)
    steps = {step.name: step.verdict for step in run.one("broken", endpoint).steps}
    assert steps == {"make a volume": "ok", "stumble": "differs", "goes on to its end": "differs", "leaves nothing behind": "ok"}
    assert everything(endpoint) - before == set()


def test_what_will_not_go_is_said(endpoint: Target) -> None:
    """A volume in use by what the story did not make stays, and is named."""
    made, stranger = Made(), Made()
    ec2 = clients.ec2(endpoint, stranger)
    told = Story("a stranger's", endpoint)
    image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
    instance = scenes.launch(told, ec2, image)
    made.add("volumeId", scenes.disks(ec2, instance)[scenes.ROOT]["VolumeId"])
    (left,) = tidy(dataclasses.replace(endpoint, patience=1), made, endpoint.key)
    assert "VolumeInUse" in left
    assert tidy(endpoint, stranger, endpoint.key) == []


def test_verdicts() -> None:
    """Each way a step can end, and the evidence it leaves."""
    heard: list[tuple[Verdict, str]] = []

    def listen(_: Story, step: Step) -> None:
        heard.append((step.verdict, step.detail))

    told = Story("verdicts", Target("http://127.0.0.1:1", Key("key", "secret")), listen)
    with told.step("fine"):
        told.same("one", 1, 1)
    with told.step("two things wrong"):
        told.same("one", 1, 2)
        told.like("a word", "x", "y+")
    with told.step("needs what is not there"):
        print(told.it.nothing)
    with told.step("unsupported"):
        _raise("UnsupportedOperation")
    with told.step("refused"):
        _raise("IncorrectState")
    with told.step("not refused"):
        told.refused("IncorrectState", lambda: {"Return": True})
    with told.step("refused as wanted"):
        told.refused("Incorrect.*", _raise, code="IncorrectState")
    assert [verdict for verdict, _ in heard] == ["ok", "differs", "not tried", "unsupported", "differs", "differs", "ok"]
    assert heard[1][1] == "one is 1, not 2; a word is 'x', not like y+"
    assert "IncorrectState" in heard[4][1] and "not refused" in heard[5][1]


def _raise(code: str) -> None:
    raise botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, "Action")


def test_every_difference_of_the_emulator_has_its_reason() -> None:
    """Where the recorded upstream led elsewhere than AWS, data/expectations.json says why."""
    rows = replay.data()["upstream"]
    for client in traffic.clients():
        for recording in traffic.of(client):
            if json.loads(recording.path.read_text("utf-8")).get("difference"):
                assert any(re.fullmatch(row["slug"], recording.slug) for row in rows), recording.path


def test_command(endpoint: Target, tmp_path: Path) -> None:
    """The command: a table, JSON, HTML and Markdown of two endpoints side by side; 0 when nothing differs."""
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html", "markdown")}
    done = _command(
        endpoint, endpoint.url, "--compare", endpoint.url, "--only", "boto3 tags", *(f"--{n}={p}" for n, p in files.items())
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("6 ok") == 4
    first, second = json.loads(files["json"].read_text())
    assert first["endpoint"] == second["endpoint"] == endpoint.url
    assert [step["verdict"] for step in first["stories"][0]["steps"]] == ["ok"] * 6
    assert "| boto3 tags | 6 ok | 6 ok |" in files["markdown"].read_text()
    assert "leaves nothing behind" in files["html"].read_text()
    read = report.from_json(files["json"].read_text())
    assert report.as_markdown(read) == files["markdown"].read_text()
    nothing = dataclasses.replace(read[1], results=(), totals={})
    assert "| boto3 tags | 6 ok | not told |" in report.as_markdown([read[0], nothing])
    assert "not told" in report.as_html([read[0], nothing])


def test_exit_codes(endpoint: Target) -> None:
    wrong = dataclasses.replace(endpoint, key=dataclasses.replace(endpoint.key, secret="wrong"))
    assert _command(wrong, endpoint.url, "--only", "boto3 tags").returncode == 2
    nobody = f"http://127.0.0.1:{gateway.free_port()}"
    assert _command(endpoint, nobody, "--only", "boto3 tags").returncode == 2
    assert _command(endpoint, endpoint.url, "--only", "boto3 tags", "--compare", nobody).returncode == 2
    assert _command(endpoint, endpoint.url, "--only", "no such story").returncode == 2
    # A type that is not offered here: the launch differs.
    assert _command(endpoint, endpoint.url, "--only", "boto3 checklist 1*", "--instance-type", "z9.huge").returncode == 1


def _command(target: Target, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    keys = ["--access-key", target.key.id, "--secret-key", target.key.secret, "--patience", "20"]
    command = [sys.executable, "-m", "conformance", "--endpoint", url, *keys, *words]
    return subprocess.run(
        command, cwd=gateway.ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    )


def test_the_page_has_every_story() -> None:
    """docs/conformance.md is of a run of the stories that there are. (`make conformance` writes it anew.)"""
    rows = (gateway.ROOT / "docs" / "conformance.md").read_text("utf-8").splitlines()
    told = [row.split(" | ")[0].removeprefix("| ") for row in rows if re.match(r"\| (?!story|---|\*\*)", row)]
    assert told == run.chosen(())
