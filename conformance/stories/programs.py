"""Programs as users run them: the AWS CLI, and euca2ools where it is found. Each is a process of its own with its own parser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conformance import clients, scenes
from conformance.story import UNSUPPORTED, Differs, NotTried, Story, Unsupported, story

EUCA2OOLS = "EUCA2OOLS_BIN"


def found(name: str, variable: str = "") -> str:
    """The program's path: in the folder that an environment variable names, beside this Python, or on PATH. Raises NotTried."""
    folders = (os.environ.get(variable), str(Path(sys.executable).parent), os.environ.get("PATH"))
    path = shutil.which(name, path=os.pathsep.join(folder for folder in folders if folder))
    if path is None:
        raise NotTried(f"{name} is not on this machine" + (f", nor in the folder that {variable} names" if variable else ""))
    return path


def run(told: Story, words: list[str], environment: dict[str, str], folder: Path | None = None, seconds: float = 60) -> str:
    """What the program prints, run in a folder; `seconds` are its own, beside the endpoint's.

    Raises Differs with its complaint, Unsupported where the endpoint said so.
    """
    with tempfile.TemporaryDirectory() as home:
        base = {"PATH": os.environ.get("PATH", ""), "HOME": home, "LANG": "C.UTF-8", "NO_PROXY": "*"}
        patience = told.target.patience + seconds
        done = subprocess.run(words, env=base | environment, cwd=folder, capture_output=True, text=True, timeout=patience)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise (Unsupported if any(code in said for code in UNSUPPORTED) else Differs)(f"{' '.join(words[1:3])}: {said[:500]}")
    return done.stdout


@story("AWS CLI")
def aws(told: Story) -> None:
    program, it = found("aws"), told.it
    environment = {
        "AWS_ACCESS_KEY_ID": told.target.key.id, "AWS_SECRET_ACCESS_KEY": told.target.key.secret,
        "AWS_DEFAULT_REGION": told.target.region, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }  # fmt: skip

    def ec2(command: str, *words: str) -> Any:
        out = run(told, [program, "--endpoint-url", told.target.url, "--output", "json", "ec2", command, *words], environment)
        answer = json.loads(out) if out.strip() else {}
        told.made.note("".join(word.capitalize() for word in command.split("-")), clients.texts(answer))
        return answer

    def refused(code: str, command: str, *words: str) -> None:
        try:
            answer = ec2(command, *words)
        except Differs as said:
            told.true(f"the program prints ({code}), not {said}", f"({code})" in str(said))
        else:
            told.complain(f"not refused with {code}, but answered {answer}")

    with told.step("zones"):
        rows = ec2("describe-availability-zones")["AvailabilityZones"]
        told.same("the zones", [row["ZoneName"] for row in rows], list(told.target.zones))
    with told.step("a volume, and its waiter"):
        it.volume = ec2("create-volume", "--size", "1", "--availability-zone", told.target.zones[0])["VolumeId"]
        ec2("wait", "volume-available", "--volume-ids", it.volume)
    with told.step("a snapshot, and its waiter"):
        it.snapshot = ec2("create-snapshot", "--volume-id", it.volume)["SnapshotId"]
        ec2("wait", "snapshot-completed", "--snapshot-ids", it.snapshot)
    with told.step("an image, by shorthand"):
        mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={it.snapshot},DeleteOnTermination=true}}"
        it.image = ec2(
            "register-image", "--name", scenes.name("cli"), "--architecture", "x86_64", "--root-device-name", "/dev/sda1",
            "--virtualization-type", "hvm", "--block-device-mappings", mapping, "DeviceName=/dev/sdb,VirtualName=ephemeral0",
        )["ImageId"]  # fmt: skip
        told.same(
            "found",
            [row["ImageId"] for row in ec2("describe-images", "--owners", "self", "--image-ids", it.image)["Images"]],
            [it.image],
        )
    with told.step("an instance, with a mapping in JSON and user data"):
        mapping = json.dumps([{"DeviceName": "/dev/sdj", "Ebs": {"VolumeSize": 1}}, {"DeviceName": "/dev/sdb", "NoDevice": ""}])
        row = ec2(
            "run-instances", "--image-id", it.image, "--instance-type", told.target.instance_type, "--user-data", "words",
            "--placement", f"AvailabilityZone={told.target.zones[0]}", "--block-device-mappings", mapping,
        )["Instances"][0]  # fmt: skip
        it.instance = row["InstanceId"]
        told.until("running", lambda: _state(ec2, it.instance), lambda state: state == "running")
        rows = ec2("describe-volumes", "--filters", f"Name=attachment.instance-id,Values={it.instance}")["Volumes"]
        told.same("its devices", sorted(row["Attachments"][0]["Device"] for row in rows), ["/dev/sda1", "/dev/sdj"])
    with told.step("attach, detach"):
        ec2("attach-volume", "--volume-id", it.volume, "--instance-id", it.instance, "--device", "/dev/sdf")
        ec2("wait", "volume-in-use", "--volume-ids", it.volume)
        ec2("detach-volume", "--volume-id", it.volume)
        ec2("wait", "volume-available", "--volume-ids", it.volume)
    with told.step("attributes and console"):
        answer = ec2("describe-instance-attribute", "--instance-id", it.instance, "--attribute", "userData")
        told.same("UserData", answer["UserData"], {"Value": "d29yZHM="})
        ec2("get-console-output", "--instance-id", it.instance)
    with told.step("stop, start"):
        ec2("stop-instances", "--instance-ids", it.instance)
        told.until("stopped", lambda: _state(ec2, it.instance), lambda state: state == "stopped")
        ec2("start-instances", "--instance-ids", it.instance)
        told.until("running", lambda: _state(ec2, it.instance), lambda state: state == "running")
    with told.step("tags"):
        ec2("create-tags", "--resources", it.volume, "--tags", "Key=Name,Value=a b&c=d~*", "Key=bare,Value=")
        rows = ec2("describe-tags", "--filters", f"Name=resource-id,Values={it.volume}")["Tags"]
        told.same("the tags", {row["Key"]: row["Value"] for row in rows}, {"Name": "a b&c=d~*", "bare": ""})
    with told.step("pages"):
        rows = ec2("describe-volumes", "--page-size", "5", "--query", "Volumes[].VolumeId")
        told.true("the volume is among them", it.volume in rows)
    with told.step("errors are printed"):
        refused("InvalidInstanceID.NotFound", "describe-instances", "--instance-ids", "i-0bad0bad0bad0bad0")
        refused("DryRunOperation", "describe-instances", "--dry-run")
        refused(
            "VolumeInUse", "delete-volume", "--volume-id", scenes.disks(clients.of(told), it.instance)["/dev/sdj"]["VolumeId"]
        )
    with told.step("terminate and clean up"):
        clients.note_volumes(clients.of(told), [it.instance], told.made)
        ec2("terminate-instances", "--instance-ids", it.instance)
        told.until("terminated", lambda: _state(ec2, it.instance), lambda state: state == "terminated")
        ec2("deregister-image", "--image-id", it.image)
        ec2("delete-snapshot", "--snapshot-id", it.snapshot)
        ec2("delete-volume", "--volume-id", it.volume)


def _state(ec2: Any, instance: str) -> str:
    answer = ec2("describe-instances", "--instance-ids", instance)
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


@story("euca2ools")
def euca2ools(told: Story) -> None:
    """On neither PyPI nor Debian, and for Python 2.7: told where somebody has installed it."""
    found("euca-version", EUCA2OOLS)
    it = told.it
    environment = {
        "EC2_URL": told.target.url, "EC2_ACCESS_KEY": told.target.key.id, "EC2_SECRET_KEY": told.target.key.secret,
        "AWS_ACCESS_KEY_ID": told.target.key.id, "AWS_SECRET_ACCESS_KEY": told.target.key.secret,
    }  # fmt: skip

    def euca(command: str, *words: str) -> list[list[str]]:
        out = run(told, [found(f"euca-{command}", EUCA2OOLS), *words], environment)
        return [line.split("\t") for line in out.splitlines()]

    def until(command: str, id: str, word: str) -> None:
        told.until(f"{id} {word}", lambda: euca(command, id), lambda rows: any(word in row for row in rows))

    def refused(code: str, command: str, *words: str) -> None:
        try:
            answer = euca(command, *words)
        except Differs as said:
            told.true(f"the program prints ({code}), not {said}", f"({code})" in str(said))
        else:
            told.complain(f"not refused with {code}, but answered {answer}")

    with told.step("zones"):
        told.same("the zones", [row[1] for row in euca("describe-availability-zones")], list(told.target.zones))
    with told.step("a volume and a snapshot"):
        it.volume = euca("create-volume", "-s", "1", "-z", told.target.zones[0])[0][1]
        told.made.add("volumeId", it.volume)
        until("describe-volumes", it.volume, "available")
        it.snapshot = euca("create-snapshot", it.volume)[0][1]
        told.made.add("snapshotId", it.snapshot)
        until("describe-snapshots", it.snapshot, "completed")
    with told.step("an image"):
        words = ["-n", scenes.name("euca"), "-a", "x86_64", "--root-device-name", scenes.ROOT, "--virtualization-type", "hvm"]
        it.image = euca("register", *words, "-b", f"{scenes.ROOT}={it.snapshot}", "-b", "/dev/sdk=:1")[0][1]
        told.made.add("imageId", it.image)
        rows = euca("describe-images", it.image)
        told.true("it is shown", any(it.image in row for row in rows))
        mapped = sorted(word for row in rows if row[0] == "BLOCKDEVICEMAPPING" for word in row if word.startswith("/dev/"))
        told.same("its devices", mapped, [scenes.ROOT, "/dev/sdk"])
    with told.step("an instance: a device more, a device less"):
        zone = ["-z", told.target.zones[0]]
        mappings = ["-b", "/dev/sdj=:1:false", "-b", "/dev/sdk=none"]
        rows = euca("run-instances", "-t", told.target.instance_type, *zone, *mappings, it.image)
        it.instance = next(row[1] for row in rows if row[0] == "INSTANCE")
        told.made.add("instanceId", it.instance)
        until("describe-instances", it.instance, "running")
        shown = euca("describe-instances", it.instance)
        mapped = sorted(word for row in shown if row[0] == "BLOCKDEVICE" for word in row if word.startswith("/dev/"))
        told.same("its devices", mapped, [scenes.ROOT, "/dev/sdj"])
    with told.step("attach, detach"):
        euca("attach-volume", "-i", it.instance, "-d", "/dev/sdf", it.volume)
        until("describe-volumes", it.volume, "attached")
        euca("detach-volume", it.volume)
        until("describe-volumes", it.volume, "available")
    with told.step("attributes and console"):
        rows = euca("describe-instance-attribute", "--disable-api-termination", it.instance)
        told.same("the attribute", rows[-1][-1], "false")
        euca("get-console-output", "-r", it.instance)
    with told.step("stop, start"):
        euca("stop-instances", it.instance)
        until("describe-instances", it.instance, "stopped")
        euca("start-instances", it.instance)
        until("describe-instances", it.instance, "running")
    with told.step("tags"):
        euca("create-tags", "--tag", "Name=a b&c=d", it.volume)
        rows = euca("describe-tags", "--filter", f"resource-id={it.volume}")
        told.same("the tag", [row[-2:] for row in rows], [["Name", "a b&c=d"]])
    with told.step("errors are printed"):
        refused("InvalidInstanceID.NotFound", "describe-instances", "i-0bad0bad0bad0bad0")
        refused("VolumeInUse", "delete-volume", scenes.disks(clients.of(told), it.instance)["/dev/sdj"]["VolumeId"])
    with told.step("terminate and clean up"):
        clients.note_volumes(clients.of(told), [it.instance], told.made)
        euca("terminate-instances", it.instance)
        until("describe-instances", it.instance, "terminated")
        euca("deregister", it.image)
        euca("delete-snapshot", it.snapshot)
        euca("delete-volume", it.volume)
