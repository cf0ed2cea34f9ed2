"""Every cell of every state machine through the wire: in each state each wish leads where AWS says, or is refused with its code.

The tables here are AWS's (EC2 and EBS User Guides, API reference), written down apart from the house's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.cloud import snapshots
from ec2gw.model import lifecycle
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, run

INSTANCE_STATE, STATE, GONE = "IncorrectInstanceState", "IncorrectState", "NotFound"

# machine -> wish -> state -> the state it leads to (a small word) or the code of the refusal (a capital one)
EC2: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "instance": {
        "start": {
            "pending": "pending", "running": "running", "stopped": "pending",
            "stopping": INSTANCE_STATE, "shutting-down": INSTANCE_STATE, "terminated": INSTANCE_STATE,
        },
        "stop": {
            "running": "stopping", "stopping": "stopping", "stopped": "stopped",
            "pending": INSTANCE_STATE, "shutting-down": INSTANCE_STATE, "terminated": INSTANCE_STATE,
        },
        "reboot": {
            "pending": "pending", "running": "running", "shutting-down": "shutting-down", "terminated": "terminated",
            "stopping": INSTANCE_STATE, "stopped": INSTANCE_STATE,
        },
        "terminate": {
            "pending": "shutting-down", "running": "shutting-down", "stopping": "shutting-down", "stopped": "shutting-down",
            "shutting-down": "shutting-down", "terminated": "terminated",
        },
    },
    "volume": {
        "attach": {
            "available": "in-use", "creating": STATE, "error": STATE, "in-use": "VolumeInUse",
            "deleting": "InvalidVolume.NotFound",
        },
        "detach": {
            "in-use": "in-use", "available": STATE, "creating": STATE, "error": STATE, "deleting": "InvalidVolume.NotFound",
        },
        "delete": {
            "available": "deleting", "error": "deleting", "creating": STATE, "in-use": "VolumeInUse",
            "deleting": "InvalidVolume.NotFound",
        },
        "modify": {
            "available": "available", "in-use": "in-use", "creating": STATE, "error": STATE, "deleting": "InvalidVolume.NotFound",
        },
        "snapshot": {
            "available": "available", "in-use": "in-use", "creating": STATE, "error": STATE, "deleting": "InvalidVolume.NotFound",
        },
    },
    "attachment": {
        "attach": {
            "attaching": "VolumeInUse", "attached": "VolumeInUse", "detaching": "VolumeInUse", "busy": "VolumeInUse",
        },
        "detach": {"attaching": "detaching", "attached": "detaching", "detaching": "detaching", "busy": "detaching"},
    },
    "snapshot": {
        "delete": {
            "pending": "deleting", "completed": "deleting", "error": "deleting", "deleting": "InvalidSnapshot.NotFound",
        },
        "create-volume": {
            "completed": "completed", "pending": STATE, "error": STATE, "deleting": "InvalidSnapshot.NotFound",
        },
        "copy": {"completed": "completed", "pending": STATE, "error": STATE, "deleting": "InvalidSnapshot.NotFound"},
    },
    "image": {
        "deregister": {
            "pending": "deregistered", "available": "deregistered", "disabled": "deregistered", "failed": "deregistered",
            "deregistered": "InvalidAMIID.Unavailable",
        },
        "disable": {
            "available": "disabled", "disabled": "disabled", "pending": STATE, "failed": STATE,
            "deregistered": "InvalidAMIID.Unavailable",
        },
        "enable": {
            "available": "available", "disabled": "available", "pending": STATE, "failed": STATE,
            "deregistered": "InvalidAMIID.Unavailable",
        },
        "launch": {
            "available": "available", "pending": "InvalidAMIID.Unavailable", "disabled": "InvalidAMIID.Unavailable",
            "failed": "InvalidAMIID.Unavailable", "deregistered": "InvalidAMIID.Unavailable",
        },
    },
    "modification": {
        "modify": {
            "modifying": "IncorrectModificationState", "optimizing": "IncorrectModificationState", "completed": "modifying",
            "failed": "modifying",
        },
    },
    "importtask": {
        "cancel": {"active": "deleting", "deleting": "deleting", "completed": STATE, "deleted": STATE},
    },
}  # fmt: skip

# What attaching a volume to an instance, and taking a volume or an image from it, asks of the instance.
INSTANCE_MUST: Mapping[str, Mapping[str, str]] = {
    "attach": {
        "running": "ok", "stopped": "ok", "pending": STATE, "stopping": STATE, "shutting-down": STATE, "terminated": STATE,
    },
    "create-image": {
        "running": "ok", "stopping": "ok", "stopped": "ok", "pending": "InvalidParameterValue",
        "shutting-down": "InvalidParameterValue", "terminated": "InvalidParameterValue",
    },
    "retype": {
        "stopped": "ok", "pending": INSTANCE_STATE, "running": INSTANCE_STATE, "stopping": INSTANCE_STATE,
        "shutting-down": INSTANCE_STATE, "terminated": INSTANCE_STATE,
    },
    "detach-root": {"stopped": "ok", "pending": STATE, "running": STATE, "stopping": STATE},
}  # fmt: skip

TABLES = {
    "instance": lifecycle.INSTANCE, "volume": lifecycle.VOLUME, "attachment": lifecycle.ATTACHMENT,
    "snapshot": lifecycle.SNAPSHOT, "image": lifecycle.IMAGE, "modification": lifecycle.MODIFICATION,
    "importtask": lifecycle.IMPORT,
}  # fmt: skip


def test_the_tables_are_whole() -> None:
    """Every state of the house stands in AWS's tables under every wish, and every wish of the house is asked."""
    assert EC2.keys() == TABLES.keys()
    for machine, wishes in EC2.items():
        for wish, cells in wishes.items():
            assert cells.keys() == TABLES[machine].keys(), (machine, wish)
    asked = {wish for wishes in EC2.values() for wish in wishes}
    assert asked >= lifecycle.WISHES


@dataclass
class Stage:
    """A running instance with a data volume, a free volume, a snapshot, an image and an import; each cell begins from here."""

    face: Face
    ec2: Any
    instance: str
    root: str
    data: str
    free: str
    snapshot: str
    image: str
    task: str

    def put(self, **states: str) -> None:
        """Lay the records down in these states, as if nothing had ever been wished."""
        with self.face.database.write() as tx:
            found: tuple[tuple[Any, str], ...] = (
                (records.Instance, self.instance),
                (records.Volume, self.free),
                (records.Snapshot, self.snapshot),
                (records.Image, self.image),
                (records.ImportTask, self.task),
            )
            for record, id in found:
                tx.db.query(record).filter_by(id=id).one().state = states[record.__name__.lower()]
            tx.db.query(records.Volume).filter_by(id=self.data).one().state = "in-use"
            tx.db.query(records.Snapshot).filter(
                records.Snapshot.id != self.snapshot, records.Snapshot.volume_id != "vol-ffffffff"
            ).delete()
            tx.db.query(records.VolumeModification).delete()
            tx.db.query(records.Attachment).filter_by(volume_id=self.free).delete()
            for row in tx.db.query(records.Attachment).filter_by(instance_id=self.instance):
                row.state = states["attachment"] if row.volume_id == self.data else "attached"
            if states["modification"]:
                shape = {"type": "gp2", "size": 7, "iops": 100, "throughput": None}
                tx.db.add(
                    records.VolumeModification(
                        id=self.data, account_id=self.face.first.account_id, created_at=tx.now, before=shape, after=shape,
                        state=states["modification"],
                    )
                )  # fmt: skip

    def state(self, machine: str, volume: str) -> str:
        """The state that a machine is in now."""
        found: dict[str, tuple[Any, dict[str, str]]] = {
            "instance": (records.Instance, {"id": self.instance}),
            "volume": (records.Volume, {"id": volume}),
            "attachment": (records.Attachment, {"volume_id": self.data}),
            "snapshot": (records.Snapshot, {"id": self.snapshot}),
            "image": (records.Image, {"id": self.image}),
            "modification": (records.VolumeModification, {"id": self.data}),
            "importtask": (records.ImportTask, {"id": self.task}),
        }
        record, where = found[machine]
        with self.face.database.read() as tx:
            return str(tx.db.query(record).filter_by(**where).one().state)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    face = Face(tmp_path_factory.mktemp("states"))
    ec2 = face.client()
    image = make_image(face)
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7}}]
    instance = run(ec2, image, Placement={"AvailabilityZone": ZONES[0]}, BlockDeviceMappings=disks)["InstanceId"]
    bring(face, instance, "running")
    (part,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    at = {row["DeviceName"]: row["Ebs"]["VolumeId"] for row in part["Instances"][0]["BlockDeviceMappings"]}
    free = ec2.create_volume(AvailabilityZone=ZONES[0], Size=4)["VolumeId"]
    with face.database.write() as tx:
        snapshot = snapshots.begin_fill(tx, face.first.account_id, 3, ZONES[0], "imported").id
    task = ec2.import_snapshot(DiskContainer={"Url": "https://images.example/disk.raw"})["ImportTaskId"]
    yield Stage(face, ec2, instance, at["/dev/sda1"], at["/dev/sdf"], free, snapshot, make_image(face), task)
    face.close()


Wish = Callable[[Stage, str], Any]  # a volume beside

WISHES: dict[str, Wish] = {
    "instance start": lambda s, v: s.ec2.start_instances(InstanceIds=[s.instance]),
    "instance stop": lambda s, v: s.ec2.stop_instances(InstanceIds=[s.instance]),
    "instance reboot": lambda s, v: s.ec2.reboot_instances(InstanceIds=[s.instance]),
    "instance terminate": lambda s, v: s.ec2.terminate_instances(InstanceIds=[s.instance]),
    "volume attach": lambda s, v: s.ec2.attach_volume(VolumeId=v, InstanceId=s.instance, Device="/dev/sdh"),
    "volume detach": lambda s, v: s.ec2.detach_volume(VolumeId=v),
    "volume delete": lambda s, v: s.ec2.delete_volume(VolumeId=v),
    "volume modify": lambda s, v: s.ec2.modify_volume(VolumeId=v, Size=9),
    "volume snapshot": lambda s, v: s.ec2.create_snapshot(VolumeId=v),
    "attachment attach": lambda s, v: s.ec2.attach_volume(VolumeId=s.data, InstanceId=s.instance, Device="/dev/sdf"),
    "attachment detach": lambda s, v: s.ec2.detach_volume(VolumeId=s.data),
    "snapshot delete": lambda s, v: s.ec2.delete_snapshot(SnapshotId=s.snapshot),
    "snapshot create-volume": lambda s, v: s.ec2.create_volume(AvailabilityZone=ZONES[0], SnapshotId=s.snapshot),
    "snapshot copy": lambda s, v: s.ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=s.snapshot),
    "image deregister": lambda s, v: s.ec2.deregister_image(ImageId=s.image),
    "image disable": lambda s, v: s.ec2.disable_image(ImageId=s.image),
    "image enable": lambda s, v: s.ec2.enable_image(ImageId=s.image),
    "image launch": lambda s, v: run(s.ec2, s.image),
    "modification modify": lambda s, v: s.ec2.modify_volume(VolumeId=s.data, Size=9),
    "importtask cancel": lambda s, v: s.ec2.cancel_import_task(ImportTaskId=s.task),
}
START = {
    "instance": "running", "volume": "available", "attachment": "attached", "snapshot": "completed", "image": "available",
    "importtask": "active",
}  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "wish", "state", "leads"),
    [
        (machine, wish, state, leads)
        for machine, wishes in EC2.items()
        for wish, cells in wishes.items()
        for state, leads in cells.items()
    ],
)
def test_a_cell(stage: Stage, machine: str, wish: str, state: str, leads: str) -> None:
    volume = stage.data if machine == "volume" and state == "in-use" else stage.free
    stage.put(**{**START, "modification": "", machine: "available" if volume == stage.data else state})
    before = stage.face.everything()
    try:
        answer = WISHES[f"{machine} {wish}"](stage, volume)
    except ClientError as error:
        assert error.response["Error"]["Code"] == leads
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert stage.face.everything() == before
        return
    assert stage.state(machine, volume) == leads
    for side, name in (("PreviousState", state), ("CurrentState", leads)):
        for rows in answer.values():
            for row in rows if isinstance(rows, list) and machine == "instance" else ():
                assert row[side]["Name"] == name


MUST: dict[str, Wish] = {
    "attach": WISHES["volume attach"],
    "create-image": lambda s, v: s.ec2.create_image(InstanceId=s.instance, Name=f"of-{v}", NoReboot=True, DryRun=True),
    "retype": lambda s, v: s.ec2.modify_instance_attribute(InstanceId=s.instance, InstanceType={"Value": "m5.xlarge"}),
    "detach-root": lambda s, v: s.ec2.detach_volume(VolumeId=s.root),
}


@pytest.mark.parametrize(
    ("wish", "state", "code"), [(wish, state, code) for wish, cells in INSTANCE_MUST.items() for state, code in cells.items()]
)
def test_what_a_wish_asks_of_the_instance(stage: Stage, wish: str, state: str, code: str) -> None:
    stage.put(**{**START, "modification": "", "instance": state})
    try:
        MUST[wish](stage, stage.free)
        said = "ok"
    except ClientError as error:
        said = error.response["Error"]["Code"]
    assert said.replace("DryRunOperation", "ok") == code
