"""Instances as boto3 sees them: launch, description, each transition, each attribute, console, tags and tokens."""

from __future__ import annotations

import base64
from typing import Any

from conformance import clients, scenes
from conformance.story import Story, story

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


@story("boto3 instances")
def instances(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("an image and a key pair"):
        it.snapshot = scenes.root_snapshot(told, ec2)
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
        it.key = scenes.name("key")
        ec2.create_key_pair(KeyName=it.key)
    with told.step("run two: what the answer holds"):
        it.launch = {
            "ImageId": it.image, "MinCount": 2, "MaxCount": 2, "InstanceType": told.target.instance_type, "KeyName": it.key,
            "ClientToken": scenes.name("token"), "UserData": "#!/bin/sh\necho grüß", "Monitoring": {"Enabled": True},
            "Placement": {"AvailabilityZone": told.target.zones[0]},
            "BlockDeviceMappings": [scenes.ebs("/dev/sdf", VolumeSize=1)],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("instance", "volume")
            ],
        }  # fmt: skip
        made = ec2.run_instances(**it.launch)
        it.reservation = made["ReservationId"]
        it.ids = [row["InstanceId"] for row in made["Instances"]]
        told.same("how many", len(it.ids), 2)
        told.like("ReservationId", it.reservation, "r-[0-9a-f]{17}")
        told.same("AmiLaunchIndex", sorted(row["AmiLaunchIndex"] for row in made["Instances"]), [0, 1])
        for row in made["Instances"]:
            told.same("State", row["State"], {"Code": 0, "Name": "pending"})
            told.same("KeyName", row.get("KeyName"), it.key)
            told.same("Tags", row.get("Tags"), [{"Key": "of", "Value": "instance"}])
            told.same("ClientToken", row.get("ClientToken"), it.launch["ClientToken"])
            told.same("ImageId", row["ImageId"], it.image)
    with told.step("the same token launches nothing more"):
        again = ec2.run_instances(**it.launch)
        told.same("ReservationId", again["ReservationId"], it.reservation)
        told.same("the instances", sorted(row["InstanceId"] for row in again["Instances"]), sorted(it.ids))
        told.refused(
            "IdempotentParameterMismatch", ec2.run_instances, **{**it.launch, "InstanceInitiatedShutdownBehavior": "terminate"}
        )
    with told.step("describe: the fields that clients read"):
        it.one, it.two = it.ids
        row = scenes.reach(told, ec2, it.one, "running")
        scenes.reach(told, ec2, it.two, "running")
        wanted = {
            "State": {"Code": 16, "Name": "running"}, "RootDeviceName": scenes.ROOT, "RootDeviceType": "ebs",
            "Architecture": "x86_64", "VirtualizationType": "hvm", "Hypervisor": "xen", "StateTransitionReason": "",
            "EbsOptimized": False, "InstanceType": told.target.instance_type,
        }  # fmt: skip
        for field, value in wanted.items():
            told.same(field, row.get(field), value)
        told.true("no StateReason", "StateReason" not in row)
        told.same("Tenancy", row["Placement"].get("Tenancy"), "default")
        told.same("AvailabilityZone", row["Placement"]["AvailabilityZone"], told.target.zones[0])
        told.among("Monitoring", row["Monitoring"]["State"], ("enabled", "pending"))
        told.true("ProductCodes is there", row.get("ProductCodes") == [])
        it.address = row["PrivateIpAddress"]
    with told.step("its volumes are tagged, deleted with it, and found by filter"):
        for device, volume in scenes.volumes(ec2, it.one).items():
            told.same(f"{device} tags", volume.get("Tags"), [{"Key": "of", "Value": "volume"}])
            told.same(f"{device} flag", volume["Attachments"][0]["DeleteOnTermination"], True)
    for name, value in (
        ("instance-state-name", "running"),
        ("image-id", None),
        ("tag:of", "instance"),
        ("key-name", None),
        ("reservation-id", None),
    ):
        with told.step(f"filter {name}"):
            value = value or {"image-id": it.image, "key-name": it.key, "reservation-id": it.reservation}[name]
            found = _ids(
                ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}, {"Name": "image-id", "Values": [it.image]}])
            )
            told.same("found", sorted(found), sorted(it.ids))
    with told.step("one reservation holds both"):
        parts = ec2.describe_instances(InstanceIds=it.ids)["Reservations"]
        told.same("reservations", [part["ReservationId"] for part in parts], [it.reservation])
    with told.step("status: ok in the end, only of running ones"):
        told.until("ok", lambda: _status(ec2, it.one), lambda status: status == ("ok", "ok"))
    with told.step("console output"):
        answer = ec2.get_console_output(InstanceId=it.one)
        told.same("InstanceId", answer["InstanceId"], it.one)
        told.true("Timestamp is there", "Timestamp" in answer)
    with told.step("monitor, unmonitor"):
        (row,) = ec2.unmonitor_instances(InstanceIds=[it.one])["InstanceMonitorings"]
        told.among("State", row["Monitoring"]["State"], ("disabling", "disabled"))
        (row,) = ec2.monitor_instances(InstanceIds=[it.one])["InstanceMonitorings"]
        told.among("State", row["Monitoring"]["State"], ("pending", "enabled"))
    with told.step("start what runs: no change"):
        (row,) = ec2.start_instances(InstanceIds=[it.one])["StartingInstances"]
        told.same("the states", (row["PreviousState"]["Name"], row["CurrentState"]["Name"]), ("running", "running"))
    with told.step("reboot: stays running"):
        ec2.reboot_instances(InstanceIds=[it.one])
        scenes.reach(told, ec2, it.one, "running")
    with told.step("stop: stopping, then stopped, with reasons"):
        (row,) = ec2.stop_instances(InstanceIds=[it.one])["StoppingInstances"]
        told.same("previous", row["PreviousState"], {"Code": 16, "Name": "running"})
        told.same("current", row["CurrentState"], {"Code": 64, "Name": "stopping"})
        row = scenes.reach(told, ec2, it.one, "stopped")
        told.same("State", row["State"], {"Code": 80, "Name": "stopped"})
        told.same("StateReason", row.get("StateReason", {}).get("Code"), "Client.UserInitiatedShutdown")
        told.like(
            "StateTransitionReason", row.get("StateTransitionReason"), r"User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)"
        )
        told.same("PublicDnsName", row.get("PublicDnsName"), "")
        told.true("it has no public address", "PublicIpAddress" not in row)
        told.same("the private address, which stays", row.get("PrivateIpAddress"), it.address)
    with told.step("stopped ones have no status, unless asked for"):
        told.same("by default", ec2.describe_instance_status(InstanceIds=[it.one])["InstanceStatuses"], [])
        (row,) = ec2.describe_instance_status(InstanceIds=[it.one], IncludeAllInstances=True)["InstanceStatuses"]
        told.same("status", row["InstanceStatus"]["Status"], "not-applicable")
    with told.step("stop what is stopped: no change"):
        (row,) = ec2.stop_instances(InstanceIds=[it.one])["StoppingInstances"]
        told.same("the states", (row["PreviousState"]["Name"], row["CurrentState"]["Name"]), ("stopped", "stopped"))
    with told.step("start: pending, then running, with a new launch time"):
        before = scenes.instance(ec2, it.one)["LaunchTime"]
        (row,) = ec2.start_instances(InstanceIds=[it.one])["StartingInstances"]
        told.same("previous", row["PreviousState"], {"Code": 80, "Name": "stopped"})
        told.same("current", row["CurrentState"], {"Code": 0, "Name": "pending"})
        row = scenes.reach(told, ec2, it.one, "running")
        told.true("LaunchTime moved on", row["LaunchTime"] >= before)
    with told.step("terminate both: shutting-down, then terminated, with nothing attached"):
        for row in ec2.terminate_instances(InstanceIds=it.ids)["TerminatingInstances"]:
            told.among("current", row["CurrentState"]["Name"], ("shutting-down", "terminated"))
            told.same("the code", row["CurrentState"]["Code"], CODES[row["CurrentState"]["Name"]])
        for id in it.ids:
            row = scenes.reach(told, ec2, id, "terminated")
            for field, value in {
                "BlockDeviceMappings": [],
                "NetworkInterfaces": [],
                "PrivateDnsName": "",
                "PublicDnsName": "",
            }.items():
                told.same(field, row.get(field), value)
            told.true("no PrivateIpAddress", "PrivateIpAddress" not in row)
            told.same("ImageId", row["ImageId"], it.image)
    with told.step("terminate what is terminated: no change"):
        (row,) = ec2.terminate_instances(InstanceIds=[it.one])["TerminatingInstances"]
        told.same("the states", (row["PreviousState"]["Name"], row["CurrentState"]["Name"]), ("terminated", "terminated"))
    with told.step("the volumes are gone"):
        told.until("no volumes", lambda: scenes.volumes(ec2, it.one), lambda held: not held)


def _ids(answer: dict[str, Any]) -> list[str]:
    return [row["InstanceId"] for part in answer["Reservations"] for row in part["Instances"]]


def _status(ec2: Any, id: str) -> tuple[str, str]:
    (row,) = ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"]
    return row["InstanceStatus"]["Status"], row["SystemStatus"]["Status"]


# attribute -> (what it is at first, how it is set, what it is then); a set of a stopped instance
ATTRIBUTES: dict[str, tuple[Any, dict[str, Any] | None, Any]] = {
    "DisableApiTermination": ({"Value": False}, {"Value": True}, {"Value": True}),
    "DisableApiStop": ({"Value": False}, {"Value": True}, {"Value": True}),
    "InstanceInitiatedShutdownBehavior": ({"Value": "stop"}, {"Value": "terminate"}, {"Value": "terminate"}),
    "UserData": ({}, {"Value": b"new words"}, {"Value": base64.b64encode(b"new words").decode()}),
    "SourceDestCheck": ({"Value": True}, {"Value": False}, {"Value": False}),
    "EbsOptimized": ({"Value": False}, None, None),
    "KernelId": ({}, None, None),
    "RamdiskId": ({}, None, None),
    "RootDeviceName": ({"Value": scenes.ROOT}, None, None),
    "ProductCodes": ([], None, None),
}
_NAMES = {"KernelId": "kernel", "RamdiskId": "ramdisk"}


@story("boto3 instance attributes")
def attributes(told: Story) -> None:
    ec2, it = clients.of(told), told.it

    def ask(name: str) -> Any:
        wire = _NAMES.get(name, name[0].lower() + name[1:])
        answer = ec2.describe_instance_attribute(InstanceId=it.instance, Attribute=wire)
        told.same("InstanceId", answer.get("InstanceId"), it.instance)
        if name not in answer:
            told.complain(f"{name} is not in the answer")
        return answer.get(name)

    with told.step("a stopped instance"):
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
        it.instance = scenes.launch(told, ec2, it.image)
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
    for name, (first, change, then) in ATTRIBUTES.items():
        with told.step(f"attribute {name}"):
            told.same("at first", ask(name), first)
            if change is not None:
                ec2.modify_instance_attribute(InstanceId=it.instance, **{name: change})
                told.same("then", ask(name), then)
    with told.step("attribute InstanceType"):
        told.same("InstanceType", ask("InstanceType"), {"Value": told.target.instance_type})
        ec2.modify_instance_attribute(InstanceId=it.instance, InstanceType={"Value": told.target.instance_type})
    with told.step("attribute blockDeviceMapping"):
        rows = ec2.describe_instance_attribute(InstanceId=it.instance, Attribute="blockDeviceMapping")["BlockDeviceMappings"]
        told.same("it", rows, scenes.instance(ec2, it.instance)["BlockDeviceMappings"])
    with told.step("attribute groupSet"):
        told.true("a group is shown", ec2.describe_instance_attribute(InstanceId=it.instance, Attribute="groupSet").get("Groups"))
    with told.step("the old form: Attribute and Value"):
        for name in ("disableApiStop", "disableApiTermination"):
            ec2.modify_instance_attribute(InstanceId=it.instance, Attribute=name, Value="false")
        told.same("DisableApiTermination", ask("DisableApiTermination"), {"Value": False})
    with told.step("a flag turned while stopped is obeyed"):
        ec2.modify_instance_attribute(
            InstanceId=it.instance, BlockDeviceMappings=[{"DeviceName": scenes.ROOT, "Ebs": {"DeleteOnTermination": False}}]
        )
        root = scenes.disks(ec2, it.instance)[scenes.ROOT]
        told.same("the flag", root["DeleteOnTermination"], False)
        told.made.add("volumeId", root["VolumeId"])
        ec2.terminate_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "terminated")
        told.until("available", lambda: scenes.volume_state(ec2, root["VolumeId"]), lambda state: state == "available")
