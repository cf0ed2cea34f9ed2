"""Volumes and snapshots as boto3 sees them: what creating, attaching, modifying, sharing and deleting shows on the way."""

from __future__ import annotations

import datetime
import functools

from conformance import clients, scenes
from conformance.story import Story, story

# type -> (parameters, what must show then)
TYPES: dict[str, tuple[dict[str, int], dict[str, object]]] = {
    "gp2": ({"Size": 42}, {"Iops": 126, "Throughput": None}),
    "gp2 small": ({"Size": 1}, {"Iops": 100, "Throughput": None}),
    "gp3": ({"Size": 1}, {"Iops": 3000, "Throughput": 125}),
    "gp3 fast": ({"Size": 10, "Iops": 4000, "Throughput": 250}, {"Iops": 4000, "Throughput": 250}),
    "io1": ({"Size": 4, "Iops": 100}, {"Iops": 100, "Throughput": None}),
    "io2": ({"Size": 4, "Iops": 100}, {"Iops": 100, "Throughput": None}),
    "st1": ({"Size": 125}, {"Iops": None, "Throughput": None}),
    "standard": ({"Size": 1}, {"Iops": None, "Throughput": None}),
}


@story("boto3 volumes")
def volumes(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("create: what the answer holds"):
        made = ec2.create_volume(
            AvailabilityZone=told.target.zones[0],
            Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "grüß"}]}],
        )
        it.volume = made["VolumeId"]
        told.like("VolumeId", it.volume, "vol-[0-9a-f]{17}")
        told.among("State", made["State"], ("creating", "available"))
        told.same("Size", made["Size"], 1)
        told.same("SnapshotId", made.get("SnapshotId"), "")
        told.same("Encrypted", made.get("Encrypted"), False)
        told.same("AvailabilityZone", made["AvailabilityZone"], told.target.zones[0])
        told.same("Tags", made.get("Tags"), [{"Key": "Name", "Value": "grüß"}])
        told.true("CreateTime is a moment of now", abs(_age(made["CreateTime"])) < 300)
    with told.step("describe: the fields that clients read"):
        told.until("available", lambda: scenes.volume_state(ec2, it.volume), lambda state: state == "available")
        (row,) = ec2.describe_volumes(VolumeIds=[it.volume])["Volumes"]
        told.same("Attachments", row.get("Attachments"), [])
        told.same("SnapshotId", row.get("SnapshotId"), "")
        told.same("MultiAttachEnabled", row.get("MultiAttachEnabled"), False)
        told.same("Tags", row.get("Tags"), [{"Key": "Name", "Value": "grüß"}])
    for name, (params, shown) in TYPES.items():
        with told.step(f"a volume of type {name}"):
            kind = name.partition(" ")[0]
            volume = scenes.new_volume(told, ec2, VolumeType=kind, **params)
            (row,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
            told.same("VolumeType", row["VolumeType"], kind)
            for field, value in shown.items():
                told.same(field, row.get(field), value)
    with told.step("the same token makes the same volume"):
        token = scenes.name("token")
        first, again = (
            ec2.create_volume(AvailabilityZone=told.target.zones[0], Size=1, ClientToken=token)["VolumeId"] for _ in range(2)
        )
        told.same("the volume", again, first)
    with told.step("modify: bigger, another type"):
        change = ec2.modify_volume(VolumeId=it.volume, Size=2, VolumeType="gp3")["VolumeModification"]
        told.among("ModificationState", change["ModificationState"], ("modifying", "optimizing", "completed"))
        told.same("OriginalSize", change.get("OriginalSize"), 1)
        told.same("TargetSize", change.get("TargetSize"), 2)
        told.same("TargetVolumeType", change.get("TargetVolumeType"), "gp3")

        def progress() -> str:
            rows = ec2.describe_volumes_modifications(VolumeIds=[it.volume])["VolumesModifications"]
            return str(rows[0]["ModificationState"])

        told.until("modified", progress, lambda state: state in ("optimizing", "completed"))
        (row,) = ec2.describe_volumes(VolumeIds=[it.volume])["Volumes"]
        told.same("Size", row["Size"], 2)
        told.same("VolumeType", row["VolumeType"], "gp3")
    with told.step("status"):
        (row,) = ec2.describe_volume_status(VolumeIds=[it.volume])["VolumeStatuses"]
        told.among("Status", row["VolumeStatus"]["Status"], ("ok", "insufficient-data"))
    with told.step("attribute autoEnableIO"):
        told.same("before", _auto_io(ec2, it.volume), False)
        ec2.modify_volume_attribute(VolumeId=it.volume, AutoEnableIO={"Value": True})
        told.same("after", _auto_io(ec2, it.volume), True)
    with told.step("delete; deleted twice is NotFound"):
        ec2.delete_volume(VolumeId=it.volume)
        state = told.until("gone", lambda: scenes.volume_state(ec2, it.volume), lambda state: state in ("gone", "deleted"))
        told.same("the state", state, "gone")
        told.refused(r"InvalidVolume\.NotFound", ec2.delete_volume, VolumeId=it.volume)


def _auto_io(ec2: object, volume: str) -> object:
    answer = ec2.describe_volume_attribute(VolumeId=volume, Attribute="autoEnableIO")  # type: ignore[attr-defined]
    return answer["AutoEnableIO"].get("Value")


def _age(moment: datetime.datetime) -> float:
    return (datetime.datetime.now(datetime.UTC) - moment).total_seconds()


@story("boto3 snapshots")
def snapshots(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("create: what the answer holds"):
        it.volume = scenes.new_volume(told, ec2)
        made = ec2.create_snapshot(VolumeId=it.volume)
        it.snapshot = made["SnapshotId"]
        told.like("SnapshotId", it.snapshot, "snap-[0-9a-f]{17}")
        told.same("State", made["State"], "pending")
        told.same("Description", made.get("Description"), "")
        told.same("VolumeId", made["VolumeId"], it.volume)
        told.same("VolumeSize", made["VolumeSize"], 1)
        told.like("OwnerId", made["OwnerId"], "[0-9]{12}")
        told.true("Progress is there", "Progress" in made)
    with told.step("describe: completed, 100%"):
        row = told.until(
            "completed",
            lambda: ec2.describe_snapshots(SnapshotIds=[it.snapshot])["Snapshots"][0],
            lambda row: row["State"] == "completed",
        )
        told.same("Progress", row["Progress"], "100%")
        told.same("StorageTier", row.get("StorageTier"), "standard")
        told.same("Encrypted", row.get("Encrypted"), False)
    with told.step("owner, restorable and filters select it, and not another"):
        scenes.new_snapshot(told, ec2, scenes.new_volume(told, ec2))
        wanted = {"Filters": [{"Name": "volume-id", "Values": [it.volume]}]}
        for asked in ({"OwnerIds": ["self"]}, {"RestorableByUserIds": ["self"]}, {}):
            found = [row["SnapshotId"] for row in ec2.describe_snapshots(**wanted, **asked)["Snapshots"]]
            told.same(f"found with {asked}", found, [it.snapshot])
    with told.step("a volume from it, and a bigger one"):
        for size in (None, 2):
            volume = scenes.new_volume(told, ec2, SnapshotId=it.snapshot, **({"Size": size} if size else {}))
            (row,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
            told.same("SnapshotId", row["SnapshotId"], it.snapshot)
            told.same("Size", row["Size"], size or 1)
    with told.step("copy"):
        it.copy = ec2.copy_snapshot(SourceSnapshotId=it.snapshot, SourceRegion=told.target.region)["SnapshotId"]
        row = told.until(
            "completed",
            lambda: ec2.describe_snapshots(SnapshotIds=[it.copy])["Snapshots"][0],
            lambda row: row["State"] == "completed",
        )
        told.same("Description", row["Description"], "")
        told.same("VolumeSize", row["VolumeSize"], 1)
    with told.step("permissions: add, all, remove, reset"):
        change, other = ec2.modify_snapshot_attribute, "111122223333"

        def users() -> list[str]:
            answer = ec2.describe_snapshot_attribute(SnapshotId=it.snapshot, Attribute="createVolumePermission")
            return sorted(row.get("UserId") or row["Group"] for row in answer["CreateVolumePermissions"])

        told.same("at first", users(), [])
        change(SnapshotId=it.snapshot, CreateVolumePermission={"Add": [{"UserId": other}]})
        change(SnapshotId=it.snapshot, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"])
        told.same("after adding", users(), [other, "all"])
        change(SnapshotId=it.snapshot, CreateVolumePermission={"Remove": [{"UserId": other}]})
        told.same("after removing", users(), ["all"])
        ec2.reset_snapshot_attribute(SnapshotId=it.snapshot, Attribute="createVolumePermission")
        told.same("after resetting", users(), [])
    with told.step("snapshots of all volumes of an instance"):
        image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
        instance = scenes.launch(told, ec2, image, [scenes.ebs("/dev/sdf", VolumeSize=1)])
        rows = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
        held = {row["VolumeId"] for row in scenes.volumes(ec2, instance).values()}
        told.same("the volumes", {row["VolumeId"] for row in rows}, held)
        told.same("moments", len({row["StartTime"] for row in rows}), 1)
        told.true("each has a state", all(row.get("State") in ("pending", "completed") for row in rows))
    with told.step("its volume may go; the snapshot stays and names it"):
        ec2.delete_volume(VolumeId=it.volume)
        told.same("VolumeId", ec2.describe_snapshots(SnapshotIds=[it.snapshot])["Snapshots"][0]["VolumeId"], it.volume)
    with told.step("delete; deleted twice is NotFound"):
        ec2.delete_snapshot(SnapshotId=it.copy)
        told.refused(r"InvalidSnapshot\.NotFound", ec2.delete_snapshot, SnapshotId=it.copy)


@story("boto3 attachments")
def attachments(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("an instance and two volumes"):
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
        it.instance = scenes.launch(told, ec2, it.image)
        it.volume, it.second = scenes.new_volume(told, ec2), scenes.new_volume(told, ec2)
    with told.step("attach: the answer, then attached and in-use"):
        made = ec2.attach_volume(VolumeId=it.volume, InstanceId=it.instance, Device="/dev/sdf")
        told.among("State", made["State"], ("attaching", "attached"))
        told.same("Device", made["Device"], "/dev/sdf")
        told.same("InstanceId", made["InstanceId"], it.instance)
        told.same("state of the volume", scenes.volume_state(ec2, it.volume), "in-use")
        row = told.until(
            "attached",
            lambda: ec2.describe_volumes(VolumeIds=[it.volume])["Volumes"][0]["Attachments"][0],
            lambda row: row["State"] == "attached",
        )
        told.same("DeleteOnTermination", row["DeleteOnTermination"], False)
    with told.step("the mapping of the instance shows it"):
        shown = scenes.disks(ec2, it.instance)["/dev/sdf"]
        told.same("VolumeId", shown["VolumeId"], it.volume)
        told.same("DeleteOnTermination", shown["DeleteOnTermination"], False)
    with told.step("the name is kept as written"):
        ec2.attach_volume(VolumeId=it.second, InstanceId=it.instance, Device="xvdh")
        told.until(
            "attached", lambda: scenes.disks(ec2, it.instance).get("xvdh", {}).get("Status"), lambda status: status == "attached"
        )
    with told.step("filters find it by instance, device and flag"):
        filters = {
            "attachment.instance-id": it.instance,
            "attachment.device": "/dev/sdf",
            "attachment.delete-on-termination": "false",
        }
        rows = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()])["Volumes"]
        told.same("found", [row["VolumeId"] for row in rows], [it.volume])
        asked = [{"Name": "block-device-mapping.volume-id", "Values": [it.volume]}]
        told.same("the instance", _instances(ec2.describe_instances(Filters=asked)), [it.instance])
    with told.step("the flag can be turned while it runs"):
        ec2.modify_instance_attribute(
            InstanceId=it.instance, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}]
        )
        told.same("in the mapping", scenes.disks(ec2, it.instance)["/dev/sdf"]["DeleteOnTermination"], True)
        told.same("in the volume", scenes.volumes(ec2, it.instance)["/dev/sdf"]["Attachments"][0]["DeleteOnTermination"], True)
    with told.step("detach by the volume alone"):
        made = ec2.detach_volume(VolumeId=it.volume)
        told.among("State", made["State"], ("detaching", "detached"))
        told.until("available", lambda: scenes.volume_state(ec2, it.volume), lambda state: state == "available")
        told.true("the mapping no longer shows it", "/dev/sdf" not in scenes.disks(ec2, it.instance))
    with told.step("attached again, the flag is off again"):
        ec2.attach_volume(VolumeId=it.volume, InstanceId=it.instance, Device="/dev/sdf")
        told.same("DeleteOnTermination", scenes.disks(ec2, it.instance)["/dev/sdf"]["DeleteOnTermination"], False)
    with told.step("the root leaves and returns while stopped"):
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        root = scenes.disks(ec2, it.instance)[scenes.ROOT]["VolumeId"]
        ec2.detach_volume(VolumeId=root)
        told.until("available", lambda: scenes.volume_state(ec2, root), lambda state: state == "available")
        told.refused("InvalidParameterValue|IncorrectInstanceState", ec2.start_instances, InstanceIds=[it.instance])
        ec2.attach_volume(VolumeId=root, InstanceId=it.instance, Device=scenes.ROOT)
        told.same("DeleteOnTermination", scenes.disks(ec2, it.instance)[scenes.ROOT]["DeleteOnTermination"], False)
        told.made.add("volumeId", root)
        ec2.start_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "running")
    with told.step("after the restart the second leaves while it runs"):
        ec2.detach_volume(VolumeId=it.second, InstanceId=it.instance, Device="xvdh")
        told.until("available", lambda: scenes.volume_state(ec2, it.second), lambda state: state == "available")
        told.same("the devices", sorted(scenes.disks(ec2, it.instance)), [scenes.ROOT, "/dev/sdf"])
    with told.step("terminate: what came later stays"):
        ec2.terminate_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "terminated")
        for volume in (it.volume, it.second):
            state = functools.partial(scenes.volume_state, ec2, volume)
            told.until(f"{volume} available", state, lambda state: state == "available")


def _instances(answer: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[str]:
    return [row["InstanceId"] for part in answer["Reservations"] for row in part["Instances"]]
