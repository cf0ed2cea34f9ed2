"""Disk images brought from outside, as a user and an operator live through it: kills, cancellations, a machine at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import ROOT, Gateway, until
from tests.web import Web

__test__ = "EC2GW_LVM" not in os.environ  # it is about the gateway, not about where disks are
ENVIRONMENT = {"EC2GW_IMPORT_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "files").mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "files" / "disk", "1500M"], check=True)
    served = Web(tmp_path / "files")
    yield served
    served.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "state", "simulated")
    made.start(**ENVIRONMENT)
    yield made
    assert made.stop() == 0


def task(ec2: Any, id: str) -> Any:
    (row,) = ec2.describe_import_image_tasks(ImportTaskIds=[id])["ImportImageTasks"]
    return row


def leftovers(served: Gateway) -> list[Path]:
    return list((served.folder / "imports").iterdir())


def test_an_image_from_a_url_is_launched_though_the_gateway_was_killed_meanwhile(served: Gateway, web: Web) -> None:
    ec2 = served.client()
    id = ec2.import_image(DiskContainers=[{"Url": web.url("held/disk"), "Format": "QCOW2"}])["ImportTaskId"]
    until(lambda: web.asked, 20, "the download")
    until(lambda: task(ec2, id)["StatusMessage"] == "validating", 20, "progress")
    served.kill()
    assert [path.suffix for path in leftovers(served)] == [".part"]
    web.gate.set()
    served.start(**ENVIRONMENT)
    until(lambda: task(ec2, id)["Status"] == "completed", 30, "the import", lambda: task(ec2, id))
    assert leftovers(served) == []
    row = task(ec2, id)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert (snapshot["VolumeSize"], row["SnapshotDetails"][0]["SnapshotId"]) == (2, snapshot["SnapshotId"])
    (instance,) = ec2.run_instances(ImageId=row["ImageId"], InstanceType="m1.small", MinCount=1, MaxCount=1)["Instances"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1})


def test_a_download_is_cancelled(served: Gateway, web: Web) -> None:
    ec2 = served.client()
    id = ec2.import_image(DiskContainers=[{"Url": web.url("held/disk")}])["ImportTaskId"]
    until(lambda: web.asked, 20, "the download")
    assert ec2.cancel_import_task(ImportTaskId=id)["State"] == "deleting"
    until(lambda: task(ec2, id)["Status"] == "deleted", 20, "the end", lambda: task(ec2, id))
    assert leftovers(served) == []
    metadata = ec2.import_image(DiskContainers=[{"Url": web.url("to/http://169.254.169.254/latest")}])["ImportTaskId"]
    until(lambda: task(ec2, metadata)["Status"] == "deleted", 20, "the refusal")
    assert task(ec2, metadata)["StatusMessage"] == "ClientError: the URL leads to an address that imports may not read from"
    assert web.url("") not in served.log()


def test_a_command_that_was_killed_leaves_nothing(served: Gateway, tmp_path: Path) -> None:
    """A hostile moment: while qemu-img copies, which a wrapper makes last."""
    wrapper = tmp_path / "bin" / "qemu-img"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\n[ "$1" = convert ] && exec sleep 60\nPATH=$REAL exec qemu-img "$@"\n')
    wrapper.chmod(0o700)
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    environment = os.environ | {
        "EC2GW_STATE": str(served.folder), "EC2GW_HYPERVISOR": "simulated", "REAL": os.environ["PATH"],
        "PATH": f"{wrapper.parent}:{os.environ['PATH']}", "EC2GW_VOLUMES": "file",
    }  # fmt: skip
    command = [sys.executable, "-m", "ec2gw", "image", "import", str(disk), "--name", "brought"]
    importer = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    ec2 = served.client()
    until(lambda: ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], 30, "the snapshot")
    time.sleep(3)  # the gateway has looked by now whether the command lives
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert snapshot["State"] == "pending"
    importer.send_signal(signal.SIGKILL)
    importer.wait()
    until(lambda: not ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], 20, "the snapshot to go")
    (row,) = ec2.describe_import_image_tasks()["ImportImageTasks"]
    assert (row["Status"], row["StatusMessage"]) == ("deleted", "its command was cut off")
    assert leftovers(served) == []
    image, _ = served.run("image", "import", str(disk), "--name", "brought").split()
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available"
