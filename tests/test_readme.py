"""The page's own examples, cut out of README.md and run against a gateway: what it says of clients is what they do.

Packer and euca2ools are not run: no package index that the tests install from has them. Terraform has a story of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto
import boto3
import pytest

from tests.ebs.house import House
from tests.gateway import ROOT
from tests.query.face import Face
from tests.query.test_instances import bring, make_image
from tests.served import Key

PAGE = (ROOT / "README.md").read_text()
URL = "http://127.0.0.1:8773/"


def cells(client: str) -> list[str]:
    """The code in a client's row of the table."""
    (row,) = re.findall(rf"^\| {re.escape(client)}[^|]* \| (.*) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`([^`]+)`", row)


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    served = Face(tmp_path)
    yield served
    served.close()


@pytest.fixture
def pasted(face: Face, tmp_path: Path) -> dict[str, str]:
    return paste(face.port, face.first, tmp_path)


def paste(port: int, key: Key, folder: Path) -> dict[str, str]:
    """The environment after the two lines that the page says to paste."""
    credentials = folder / "credentials"
    credentials.write_text(f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n")
    said = dict(pair.split("=", 1) for line in re.findall(r"^    export (.*)$", PAGE, re.MULTILINE) for pair in line.split())
    assert said.pop("AWS_SHARED_CREDENTIALS_FILE") == "…"
    here = {name: value.replace(URL, f"http://127.0.0.1:{port}/") for name, value in said.items()}
    assert here != said, "the page names the endpoint"
    return {**here, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}


def test_aws_cli(face: Face, pasted: dict[str, str]) -> None:
    (line,) = cells("AWS CLI")
    program = str(Path(sys.executable).parent / "aws")
    done = subprocess.run(
        [program, *line.split()[1:]], env={**os.environ, **pasted}, capture_output=True, text=True, check=False, timeout=60
    )
    assert line.startswith("aws ec2 ")
    assert (done.returncode, '"Reservations": []' in done.stdout) == (0, True), done.stderr


def test_boto3(face: Face, pasted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pasted.items():
        monkeypatch.setenv(name, value)
    for line in cells("boto3"):
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        client = eval(line.replace(URL, f"http://127.0.0.1:{face.port}/"), {"boto3": boto3})  # noqa: S307 - the page's own line
        assert client.describe_instances()["Reservations"] == []


def test_boto_2(face: Face) -> None:
    (line,) = cells("boto 2")
    names = {"boto": boto, "KEY_ID": face.first.id, "SECRET": face.first.secret}
    client = eval(line.replace(URL, f"http://127.0.0.1:{face.port}/"), names)  # noqa: S307 - the page's own line
    assert client.get_all_reservations() == []


def test_blocks_of_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path)
    try:
        environment = paste(house.port, house.first, tmp_path)
        client, command = re.findall(r"^Blocks of snapshots: `(.+?)` and `(aws ebs) …`", PAGE, re.MULTILINE)[0]
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        begun = eval(client, {"boto3": boto3}).start_snapshot(VolumeSize=1)  # noqa: S307 - the page's own line
        words = [*command.split()[1:], "complete-snapshot", "--snapshot-id", begun["SnapshotId"], "--changed-blocks-count", "0"]
        program = str(Path(sys.executable).parent / "aws")
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, '"Status": ' in done.stdout) == (0, True), done.stderr
    finally:
        house.close()


def test_an_instance_s_volumes(face: Face) -> None:
    ec2 = face.client()
    snapshot = ec2.describe_images(ImageIds=[make_image(face)])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(example, {"ec2": ec2, "image": make_image(face), "snapshot": snapshot})  # noqa: S102 - the page's own lines
    (part,) = ec2.describe_instances()["Reservations"]
    instance = part["Instances"][0]["InstanceId"]
    bring(face, instance, "running")
    assert shown(ec2, instance) == {"/dev/sda1": (20, False), "/dev/sdf": (8, True), "/dev/sdg": (100, True)}


def shown(ec2: Any, instance: str) -> dict[str, tuple[int, bool]]:
    """Size and fate of an instance's volumes by device."""
    found = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    return {row["Attachments"][0]["Device"]: (row["Size"], row["Attachments"][0]["DeleteOnTermination"]) for row in found}
