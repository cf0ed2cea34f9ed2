"""Lists as boto3 sees them: pages, waiters, tags, filters, regions, zones, types; and key pairs, groups, addresses, networks."""

from __future__ import annotations

import secrets

from conformance import clients, scenes
from conformance.story import Differs, Story, story


@story("boto3 pages and waiters")
def pages(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    quick = {"Delay": 1, "MaxAttempts": int(told.target.patience)}
    with told.step("twelve volumes with a tag of their own"):
        it.tag = secrets.token_hex(6)
        tags = [{"ResourceType": "volume", "Tags": [{"Key": "run", "Value": it.tag}]}]
        zone = told.target.zones[0]
        it.ids = [ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tags)["VolumeId"] for _ in range(12)]
        it.filters = [{"Name": "tag:run", "Values": [it.tag]}]
    with told.step("waiter volume_available"):
        ec2.get_waiter("volume_available").wait(VolumeIds=it.ids, WaiterConfig=quick)
    for size in (5, 7, 1100):
        with told.step(f"pages of {size}: each volume once"):
            paginator = ec2.get_paginator("describe_volumes")
            parts = [part["Volumes"] for part in paginator.paginate(Filters=it.filters, PaginationConfig={"PageSize": size})]
            told.same("found", sorted(row["VolumeId"] for part in parts for row in part), sorted(it.ids))
            told.true("no page is too long", all(len(part) <= size for part in parts))
    with told.step("pages of 5 by hand, and no token on the last"):
        first = ec2.describe_volumes(Filters=it.filters, MaxResults=5)
        told.true("a token", first.get("NextToken"))
        rest = ec2.describe_volumes(Filters=it.filters, NextToken=first["NextToken"], MaxResults=1000)
        told.same("all", sorted(row["VolumeId"] for row in first["Volumes"] + rest["Volumes"]), sorted(it.ids))
        told.true("no token", not rest.get("NextToken"))
    with told.step("filters: any of the values, all of the filters, wildcards"):
        some = it.ids[:3]
        rows = ec2.describe_volumes(Filters=[*it.filters, {"Name": "volume-id", "Values": some}])["Volumes"]
        told.same("any of the values", sorted(row["VolumeId"] for row in rows), sorted(some))
        rows = ec2.describe_volumes(Filters=[*it.filters, {"Name": "status", "Values": ["in-use"]}])["Volumes"]
        told.same("all of the filters", rows, [])
        for value, count in (
            (it.tag[:-1] + "?", 12),
            (it.tag[:4] + "*", 12),
            (it.tag[:-1], 0),
            ("*", 12),
            (it.tag.upper() + "*", 0),
        ):
            rows = ec2.describe_volumes(Filters=[{"Name": "tag:run", "Values": [value]}, {"Name": "volume-id", "Values": it.ids}])
            told.same(f"found by {value}", len(rows["Volumes"]), count)
        told.same(
            "tag-key", len(ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["run"]}, *it.filters])["Volumes"]), 12
        )
    with told.step("waiter volume_deleted"):
        for volume in it.ids:
            ec2.delete_volume(VolumeId=volume)
        ec2.get_waiter("volume_deleted").wait(VolumeIds=it.ids[:1], WaiterConfig=quick)
    with told.step("waiters snapshot_completed, image_available"):
        volume = scenes.new_volume(told, ec2)
        it.snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[it.snapshot], WaiterConfig=quick)
        it.image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=it.snapshot)])
        ec2.get_waiter("image_available").wait(ImageIds=[it.image], WaiterConfig=quick)
    with told.step("waiters instance_running, instance_status_ok, volume_in_use, instance_stopped, instance_terminated"):
        made = ec2.run_instances(ImageId=it.image, MinCount=6, MaxCount=6, InstanceType=told.target.instance_type)["Instances"]
        ids = [row["InstanceId"] for row in made]
        ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=quick)
        ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids[:1], WaiterConfig=quick)
        root = scenes.disks(ec2, ids[0])[scenes.ROOT]["VolumeId"]
        ec2.get_waiter("volume_in_use").wait(VolumeIds=[root], WaiterConfig=quick)
        it.instances = ids
    with told.step("pages count instances, not reservations"):
        asked = [{"Name": "image-id", "Values": [it.image]}]
        paginator = ec2.get_paginator("describe_instances").paginate(Filters=asked, PaginationConfig={"PageSize": 5})
        parts = [[row["InstanceId"] for r in part["Reservations"] for row in r["Instances"]] for part in paginator]
        told.same("found", sorted(id for part in parts for id in part), sorted(it.instances))
        told.true("no page is too long", all(len(part) <= 5 for part in parts))
    with told.step("waiters instance_stopped, instance_terminated"):
        ec2.stop_instances(InstanceIds=it.instances[:1])
        ec2.get_waiter("instance_stopped").wait(InstanceIds=it.instances[:1], WaiterConfig=quick)
        ec2.terminate_instances(InstanceIds=it.instances)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=it.instances, WaiterConfig=quick)


@story("boto3 tags")
def tags(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    words = {"Name": "data", "k/e+y": "a b&c=d~*", "bare": "", "umlaut": "grüß ✓", "<&>\"'": "<item>"}
    with told.step("create tags of many characters on two things"):
        it.volume = scenes.new_volume(told, ec2)
        it.snapshot = scenes.new_snapshot(told, ec2, it.volume)
        ec2.create_tags(Resources=[it.volume, it.snapshot], Tags=[{"Key": key, "Value": value} for key, value in words.items()])

    def shown() -> dict[str, str]:
        return {row["Key"]: row["Value"] for row in ec2.describe_volumes(VolumeIds=[it.volume])["Volumes"][0].get("Tags", [])}

    with told.step("they are shown with the thing"):
        told.same("the tags", shown(), words)
    with told.step("and listed"):
        rows = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [it.volume]}])["Tags"]
        told.same("the tags", {row["Key"]: row["Value"] for row in rows}, words)
        told.same("ResourceType", {row["ResourceType"] for row in rows}, {"volume"})
        asked = [{"Name": "key", "Values": ["Name"]}, {"Name": "resource-type", "Values": ["snapshot"]}]
        rows = ec2.describe_tags(Filters=[*asked, {"Name": "resource-id", "Values": [it.snapshot]}])["Tags"]
        told.same("of the snapshot", [row["Value"] for row in rows], ["data"])
    with told.step("create again: the new value holds"):
        ec2.create_tags(Resources=[it.volume], Tags=[{"Key": "Name", "Value": "new"}])
        told.same("Name", shown().get("Name"), "new")
    with told.step("delete: only with its value, any without, all without tags; absent ones do not matter"):
        ec2.delete_tags(Resources=[it.volume], Tags=[{"Key": "Name", "Value": "data"}, {"Key": "k/e+y"}, {"Key": "nowhere"}])
        told.same("left", sorted(shown()), sorted({"Name", "bare", "umlaut", "<&>\"'"}))
        ec2.delete_tags(Resources=[it.volume], Tags=[{"Key": "bare", "Value": ""}])
        told.true("the empty value was equal", "bare" not in shown())
        ec2.delete_tags(Resources=[it.volume])
        told.same("left", shown(), {})


@story("boto3 places and types")
def places(told: Story) -> None:
    ec2 = clients.of(told)
    with told.step("regions"):
        rows = {row["RegionName"]: row for row in ec2.describe_regions()["Regions"]}
        told.true("the region is among them", told.target.region in rows)
        told.true("an endpoint is a bare host", "/" not in rows[told.target.region]["Endpoint"])
    with told.step("zones"):
        rows = ec2.describe_availability_zones()["AvailabilityZones"]
        for row in rows:
            told.same("State", row["State"], "available")
            told.same("RegionName", row["RegionName"], told.target.region)
            told.same("ZoneType", row.get("ZoneType"), "availability-zone")
            told.same("Messages", row.get("Messages"), [])
        named = ec2.describe_availability_zones(ZoneNames=[rows[0]["ZoneName"]])["AvailabilityZones"]
        told.same("the one asked for", named, rows[:1])
        told.refused("InvalidParameterValue", ec2.describe_availability_zones, ZoneNames=["nowhere-1a"])
    with told.step("account attributes"):
        rows = {row["AttributeName"]: row["AttributeValues"] for row in ec2.describe_account_attributes()["AccountAttributes"]}
        told.same("supported-platforms", [v["AttributeValue"] for v in rows.get("supported-platforms", [])], ["VPC"])
        told.true("default-vpc is there", "default-vpc" in rows)
    with told.step("instance types"):
        (row,) = ec2.describe_instance_types(InstanceTypes=[told.target.instance_type])["InstanceTypes"]
        told.true("memory and processors are said", row["MemoryInfo"]["SizeInMiB"] and row["VCpuInfo"]["DefaultVCpus"])
        rows = ec2.describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": [told.target.instance_type]}])
        told.true("it is offered", rows["InstanceTypeOfferings"])


@story("boto3 key pairs")
def key_pairs(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    it.key, it.imported = scenes.name("key"), scenes.name("imported")
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTSmjJrVcRoFYjMkJpRNNYYFtzTuUyZNUBEYsjDWLZ3 someone"
    with told.step("create"):
        made = ec2.create_key_pair(KeyName=it.key)
        told.same("KeyName", made["KeyName"], it.key)
        told.like("KeyPairId", made.get("KeyPairId"), "key-[0-9a-f]{17}")
        told.like("KeyFingerprint", made["KeyFingerprint"], "([0-9a-f]{2}:){19}[0-9a-f]{2}")
        told.like("KeyMaterial", made["KeyMaterial"], "-----BEGIN RSA PRIVATE KEY-----.*-----END RSA PRIVATE KEY-----.*")
    with told.step("the name is taken then"):
        told.refused(r"InvalidKeyPair\.Duplicate", ec2.create_key_pair, KeyName=it.key)
    with told.step("import, of bytes"):
        made = ec2.import_key_pair(KeyName=it.imported, PublicKeyMaterial=public.encode())
        told.same("KeyName", made["KeyName"], it.imported)
        told.refused(r"InvalidKey\.Format", ec2.import_key_pair, KeyName=scenes.name("bad"), PublicKeyMaterial=b"nonsense")
    with told.step("describe, by name, by filter"):
        rows = ec2.describe_key_pairs(KeyNames=[it.key, it.imported])["KeyPairs"]
        told.same("types", {row["KeyName"]: row.get("KeyType") for row in rows}, {it.key: "rsa", it.imported: "ed25519"})
        rows = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [it.key]}])["KeyPairs"]
        told.same("found", [row["KeyName"] for row in rows], [it.key])
    with told.step("delete, twice"):
        for _ in range(2):
            ec2.delete_key_pair(KeyName=it.key)
        told.refused(r"InvalidKeyPair\.NotFound", ec2.describe_key_pairs, KeyNames=[it.key])


@story("boto3 groups, networks, addresses")
def networks(told: Story) -> None:
    ec2, it = clients.of(told), told.it
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    with told.step("the default network and its subnets"):
        (row,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        it.vpc = row["VpcId"]
        rows = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [it.vpc]}])["Subnets"]
        told.same("a subnet in each zone", sorted(row["AvailabilityZone"] for row in rows), sorted(told.target.zones))
    with told.step("a group: taken names, rules, rules twice"):
        it.name = scenes.name("group")
        it.group = ec2.create_security_group(GroupName=it.name, Description="a group & more")["GroupId"]
        told.refused(r"InvalidGroup\.Duplicate", ec2.create_security_group, GroupName=it.name, Description="again")
        ec2.authorize_security_group_ingress(GroupId=it.group, IpPermissions=rule)
        told.refused(r"InvalidPermission\.Duplicate", ec2.authorize_security_group_ingress, GroupId=it.group, IpPermissions=rule)
    with told.step("the group as described"):
        (row,) = ec2.describe_security_groups(GroupIds=[it.group])["SecurityGroups"]
        told.same("Description", row["Description"], "a group & more")
        told.same("VpcId", row.get("VpcId"), it.vpc)
        told.same("rules", [(p["IpProtocol"], p["FromPort"], p["ToPort"]) for p in row["IpPermissions"]], [("tcp", 22, 22)])
        told.same("rules out", [p["IpProtocol"] for p in row["IpPermissionsEgress"]], ["-1"])
    with told.step("revoke; revoked twice is named as unknown, in the default network; delete"):
        answers = [ec2.revoke_security_group_ingress(GroupId=it.group, IpPermissions=rule) for _ in range(2)]
        unknown = [[p["FromPort"] for p in answer.get("UnknownIpPermissions", [])] for answer in answers]
        told.same("unknown rules", unknown, [[], [22]])
        ec2.delete_security_group(GroupId=it.group)
        told.refused(r"InvalidGroup\.NotFound", ec2.describe_security_groups, GroupIds=[it.group])
    with told.step("an address: allocate, describe, release"):
        made = ec2.allocate_address(Domain="vpc")
        told.like("AllocationId", made.get("AllocationId"), "eipalloc-[0-9a-f]{17}")
        (row,) = ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]
        told.same("PublicIp", row["PublicIp"], made["PublicIp"])
        ec2.release_address(AllocationId=made["AllocationId"])
        told.refused(r"InvalidAllocationID\.NotFound", ec2.release_address, AllocationId=made["AllocationId"])
    with told.step("an instance is on the network, in the default group"):
        image = scenes.new_image(told, ec2, [scenes.ebs(scenes.ROOT, SnapshotId=scenes.root_snapshot(told, ec2))])
        row = scenes.instance(ec2, scenes.launch(told, ec2, image))
        told.same("VpcId", row.get("VpcId"), it.vpc)
        told.like("PrivateIpAddress", row.get("PrivateIpAddress"), r"\d+\.\d+\.\d+\.\d+")
        told.same("groups", [group["GroupName"] for group in row.get("SecurityGroups", [])], ["default"])
        if len(row.get("NetworkInterfaces", [])) != 1:
            raise Differs(f"{len(row.get('NetworkInterfaces', []))} network interfaces")
        told.same("its interface", row["NetworkInterfaces"][0]["Attachment"]["DeviceIndex"], 0)
