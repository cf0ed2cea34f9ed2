"""Images as boto3 sees them: registering, describing, sharing, copying, and making one from an instance."""

from __future__ import annotations

from typing import Any

from conformance import clients, scenes
from conformance.story import NotTried, Story, story


@story("boto3 images")
def images(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("register with disks of every kind"):
        it.snapshot = scenes.root_snapshot(told, ec2)
        it.name = scenes.name("image")
        it.image = scenes.new_image(
            told,
            ec2,
            [
                scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot),
                scenes.ebs("/dev/sdf", VolumeSize=3, VolumeType="gp3", DeleteOnTermination=False),
                {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
                {"DeviceName": "/dev/sdk", "NoDevice": ""},
            ],
            Name=it.name,
            Description="words",
        )
    with told.step("describe: the fields that clients read"):
        (row,) = ec2.describe_images(ImageIds=[it.image])["Images"]
        wanted = {
            "Name": it.name, "Description": "words", "Architecture": "x86_64", "VirtualizationType": "hvm",
            "RootDeviceType": "ebs", "RootDeviceName": scenes.ROOT, "ImageType": "machine", "Public": False,
            "State": "available", "Hypervisor": "xen",
        }  # fmt: skip
        for field, value in wanted.items():
            told.same(field, row.get(field), value)
        told.same("ImageLocation", row.get("ImageLocation"), f"{row.get('OwnerId')}/{it.name}")
        told.like("CreationDate", row.get("CreationDate"), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    with told.step("describe: the mapping, with what was not said filled in"):
        shown = {m["DeviceName"]: m for m in ec2.describe_images(ImageIds=[it.image])["Images"][0]["BlockDeviceMappings"]}
        told.same("the devices", sorted(shown), [scenes.ROOT, "/dev/sdb", "/dev/sdf"])
        root = shown[scenes.ROOT]["Ebs"]
        told.same("root snapshot", root.get("SnapshotId"), it.snapshot)
        told.true("root VolumeSize is shown", root.get("VolumeSize"))
        told.same("root VolumeType", root.get("VolumeType"), "gp2")
        told.same("root DeleteOnTermination", root.get("DeleteOnTermination"), True)
        told.same("blank DeleteOnTermination", shown["/dev/sdf"]["Ebs"].get("DeleteOnTermination"), False)
        told.same("blank VolumeType", shown["/dev/sdf"]["Ebs"].get("VolumeType"), "gp3")
        told.same("ephemeral", shown["/dev/sdb"], {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"})
    with told.step("filters"):
        for name, value in {"name": it.name, "root-device-type": "ebs", "block-device-mapping.snapshot-id": it.snapshot}.items():
            rows = ec2.describe_images(Owners=["self"], Filters=[{"Name": name, "Values": [value]}])["Images"]
            told.true(f"it is found by {name}", it.image in [row["ImageId"] for row in rows])
    with told.step("a filter with a wildcard, and one that does not fit"):
        for value, found in ((f"{it.name[:-2]}??", True), (f"{it.name[:12]}*", True), (it.name.upper(), False)):
            rows = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [value]}])["Images"]
            told.same(f"found by {value}", it.image in [row["ImageId"] for row in rows], found)
    with told.step("launch permissions: add, all, remove, reset"):
        change, other = ec2.modify_image_attribute, "111122223333"
        told.same("at first", _permitted(ec2, it.image), [])
        change(ImageId=it.image, LaunchPermission={"Add": [{"UserId": other}]})
        change(ImageId=it.image, LaunchPermission={"Add": [{"UserId": other}]})
        change(ImageId=it.image, Attribute="launchPermission", OperationType="add", UserGroups=["all"])
        told.same("after adding", _permitted(ec2, it.image), [other, "all"])
        told.same("Public", ec2.describe_images(ImageIds=[it.image])["Images"][0]["Public"], True)
        change(ImageId=it.image, LaunchPermission={"Remove": [{"UserId": other}]})
        told.same("after removing", _permitted(ec2, it.image), ["all"])
        ec2.reset_image_attribute(ImageId=it.image, Attribute="launchPermission")
        told.same("after resetting", _permitted(ec2, it.image), [])
    with told.step("description can be changed"):
        ec2.modify_image_attribute(ImageId=it.image, Description={"Value": "new words"})
        answer = ec2.describe_image_attribute(ImageId=it.image, Attribute="description")
        told.same("Description", answer["Description"], {"Value": "new words"})
    with told.step("copy"):
        copy = ec2.copy_image(Name=scenes.name("copy"), SourceImageId=it.image, SourceRegion=told.target.region)["ImageId"]
        scenes.available(told, ec2, copy)
        (row,) = ec2.describe_images(ImageIds=[copy])["Images"]
        told.true("its snapshot is its own", row["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] != it.snapshot)
    with told.step("deregister: the snapshot stays, the image does not"):
        ec2.deregister_image(ImageId=it.image)
        told.refused(r"InvalidAMIID\.(NotFound|Unavailable)", ec2.describe_images, ImageIds=[it.image])
        told.same("snapshots", len(ec2.describe_snapshots(SnapshotIds=[it.snapshot])["Snapshots"]), 1)


def _permitted(ec2: Any, image: str) -> list[str]:
    rows = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    return sorted(row.get("UserId") or row["Group"] for row in rows)


@story("boto3 create image")
def create_image(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    with told.step("an instance with a volume of the launch and one attached later"):
        it.snapshot = scenes.root_snapshot(told, ec2)
        image = scenes.new_image(
            told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot), {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}]
        )
        it.instance = scenes.launch(told, ec2, image, [scenes.ebs("/dev/sdf", VolumeSize=1, DeleteOnTermination=False)])
        later = scenes.new_volume(told, ec2, Size=2)
        ec2.attach_volume(VolumeId=later, InstanceId=it.instance, Device="/dev/sdg")
        told.until("attached", lambda: scenes.disks(ec2, it.instance)["/dev/sdg"]["Status"], lambda status: status == "attached")
    with told.step("make an image of it as it runs"):
        it.made = ec2.create_image(
            InstanceId=it.instance,
            Name=scenes.name("made"),
            NoReboot=True,
            BlockDeviceMappings=[scenes.ebs("/dev/sdn", VolumeSize=4), {"DeviceName": "/dev/sdb", "NoDevice": ""}],
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "of", "Value": "image"}]}],
        )["ImageId"]
        told.same("the instance", scenes.state(ec2, it.instance), "running")
        scenes.available(told, ec2, it.made)
    with told.step("its mapping: what is attached now, each in a new snapshot, and what was asked for"):
        (row,) = ec2.describe_images(ImageIds=[it.made])["Images"]
        shown = {m["DeviceName"]: m.get("Ebs", {}) for m in row["BlockDeviceMappings"]}
        told.same("the devices", sorted(shown), [scenes.ROOT, "/dev/sdf", "/dev/sdg", "/dev/sdn"])
        for device, size, flag in ((scenes.ROOT, None, True), ("/dev/sdf", 1, False), ("/dev/sdg", 2, False)):
            told.like(f"{device} SnapshotId", shown[device].get("SnapshotId"), "snap-[0-9a-f]+")
            told.same(f"{device} flag", shown[device].get("DeleteOnTermination"), flag)
            told.same(f"{device} size", shown[device].get("VolumeSize"), size or shown[device].get("VolumeSize"))
        told.same("/dev/sdn", (shown["/dev/sdn"].get("VolumeSize"), shown["/dev/sdn"].get("SnapshotId")), (4, None))
        told.same("Public", row["Public"], False)
        it.snapshots = [shown[device]["SnapshotId"] for device in (scenes.ROOT, "/dev/sdf", "/dev/sdg")]
    with told.step("its snapshots: completed, described, tagged"):
        for row in ec2.describe_snapshots(SnapshotIds=it.snapshots)["Snapshots"]:
            told.same("State", row["State"], "completed")
            told.like("Description", row["Description"], rf"Created by CreateImage\({it.instance}\) for {it.made}.*")
            told.same("Tags", row.get("Tags"), [{"Key": "of", "Value": "image"}])
    with told.step("launch from it"):
        again = scenes.launch(told, ec2, it.made)
        told.same("the devices", sorted(scenes.disks(ec2, again)), [scenes.ROOT, "/dev/sdf", "/dev/sdg", "/dev/sdn"])
        told.same("ImageId", scenes.instance(ec2, again)["ImageId"], it.made)
    with told.step("deregister with its snapshots"):
        ec2.deregister_image(ImageId=it.made, DeleteAssociatedSnapshots=True)
        told.refused(r"InvalidSnapshot\.NotFound", ec2.describe_snapshots, SnapshotIds=[it.snapshots[0]])
    with told.step("with a reboot, and of a stopped instance"):
        it.second = ec2.create_image(InstanceId=it.instance, Name=scenes.name("made"))["ImageId"]
        scenes.available(told, ec2, it.second)
        scenes.reach(told, ec2, it.instance, "running")
        ec2.stop_instances(InstanceIds=[it.instance])
        scenes.reach(told, ec2, it.instance, "stopped")
        third = ec2.create_image(InstanceId=it.instance, Name=scenes.name("made"))["ImageId"]
        scenes.available(told, ec2, third)
        told.same("the instance", scenes.state(ec2, it.instance), "stopped")


@story("boto3 two accounts")
def sharing(told: Story) -> None:
    """A second account sees and uses what is shared with it, and nothing else."""
    if told.target.second is None:
        raise NotTried("no second key was given")
    ec2, other, it = clients.of(told), clients.of(told, key=told.target.second), told.it
    with told.step("whose account is the second"):
        volume = scenes.new_volume(told, ec2)
        it.snapshot = scenes.new_snapshot(told, ec2, volume)
        mine = ec2.describe_snapshots(SnapshotIds=[it.snapshot])["Snapshots"][0]["OwnerId"]
        group = other.describe_security_groups()["SecurityGroups"][0]
        it.theirs = group["OwnerId"]
        told.true("it is another", it.theirs != mine)
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
    with told.step("nothing is seen before it is shared"):
        told.refused(r"InvalidAMIID\.NotFound|AuthFailure", other.run_instances, ImageId=it.image, MinCount=1, MaxCount=1)
        told.refused(r"InvalidVolume\.NotFound", other.delete_volume, VolumeId=volume)
        seen = other.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": [it.snapshot]}])["Snapshots"]
        told.same("snapshots seen", seen, [])
    with told.step("a shared snapshot can be seen and made a volume of"):
        ec2.modify_snapshot_attribute(SnapshotId=it.snapshot, CreateVolumePermission={"Add": [{"UserId": it.theirs}]})
        seen = other.describe_snapshots(SnapshotIds=[it.snapshot])["Snapshots"]
        told.same("snapshots seen", [row["SnapshotId"] for row in seen], [it.snapshot])
        volume = scenes.new_volume(told, other, SnapshotId=it.snapshot)
        other.delete_volume(VolumeId=volume)
        told.refused("AuthFailure|UnauthorizedOperation|InvalidSnapshot.NotFound", other.delete_snapshot, SnapshotId=it.snapshot)
    with told.step("a shared image can be seen and launched, not changed"):
        ec2.modify_image_attribute(ImageId=it.image, LaunchPermission={"Add": [{"UserId": it.theirs}]})
        seen = other.describe_images(ExecutableUsers=["self"])["Images"]
        told.true("it is among the executable", it.image in [row["ImageId"] for row in seen])
        instance = scenes.launch(told, other, it.image)
        other.terminate_instances(InstanceIds=[instance])
        scenes.reach(told, other, instance, "terminated")
        told.refused("AuthFailure", other.describe_image_attribute, ImageId=it.image, Attribute="launchPermission")
        told.refused("AuthFailure", other.deregister_image, ImageId=it.image)
