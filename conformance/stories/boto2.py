"""boto 2.49, the last of the old library, live: its own signer, its own SAX parser reading every answer."""

from __future__ import annotations

import urllib.parse
from typing import Any

from conformance import old_boto, scenes
from conformance.story import NotTried, Story, Target, code_of, story


def _connect(target: Target) -> Any:
    """An EC2Connection. Raises NotTried where boto is not installed, or cannot be imported."""
    old_boto.make_loadable()
    try:
        from boto.ec2.connection import EC2Connection
        from boto.ec2.regioninfo import RegionInfo
    except ImportError as error:
        raise NotTried(f"boto cannot be imported: {error}") from None

    parts = urllib.parse.urlsplit(target.url)
    connection = EC2Connection(
        target.key.id,
        target.key.secret,
        is_secure=parts.scheme == "https",
        port=parts.port,
        path=parts.path or "/",
        region=RegionInfo(None, target.region, parts.hostname),
    )
    connection.num_retries = 0
    return connection


@story("boto 2.49 boot from volume")
def boot(told: Story) -> None:
    conn, it, made = _connect(told.target), told.it, told.made
    from boto.ec2.blockdevicemapping import BlockDeviceMapping, BlockDeviceType

    def mapping(**devices: Any) -> Any:
        table = BlockDeviceMapping()
        for name, device in devices.items():
            table[f"/dev/{name}"] = device
        return table

    def instance() -> Any:
        return conn.get_only_instances([it.instance])[0]

    with told.step("zones and regions"):
        zones = conn.get_all_zones()
        told.same("the zones", [zone.name for zone in zones], list(told.target.zones))
        told.same("their states", {zone.state for zone in zones}, {"available"})
        told.true("a region", conn.get_all_regions())
    with told.step("create a volume; every attribute is read"):
        it.volume = conn.create_volume(1, told.target.zones[0])
        made.add("volumeId", it.volume.id)
        told.until("available", it.volume.update, lambda status: status == "available")
        told.same("size, zone", (it.volume.size, it.volume.zone), (1, told.target.zones[0]))
    with told.step("create a snapshot"):
        it.snapshot = it.volume.create_snapshot("base disk")
        made.add("snapshotId", it.snapshot.id)
        told.until("completed", lambda: conn.get_all_snapshots([it.snapshot.id])[0].status, lambda status: status == "completed")
        told.same("description", conn.get_all_snapshots([it.snapshot.id])[0].description, "base disk")
    with told.step("register an image with a mapping"):
        table = mapping(
            sda1=BlockDeviceType(snapshot_id=it.snapshot.id, delete_on_termination=True),
            sdb=BlockDeviceType(ephemeral_name="ephemeral0"),
            sdf=BlockDeviceType(size=1, delete_on_termination=False),
        )
        it.image = conn.register_image(
            scenes.name("boto"), "words", architecture="x86_64", root_device_name="/dev/sda1", block_device_map=table
        )
        made.add("imageId", it.image)
    with told.step("describe the image"):
        image = conn.get_all_images([it.image])[0]
        told.same("id, root, type", (image.id, image.root_device_name, image.root_device_type), (it.image, "/dev/sda1", "ebs"))
        shown = image.block_device_mapping
        told.same("the devices", sorted(shown), ["/dev/sda1", "/dev/sdb", "/dev/sdf"])
        told.same("the snapshot", shown["/dev/sda1"].snapshot_id, it.snapshot.id)
        told.same("the flag", shown["/dev/sdf"].delete_on_termination, False)
        told.same("the ephemeral disk", shown["/dev/sdb"].ephemeral_name, "ephemeral0")
    with told.step("run with overrides"):
        table = mapping(sda1=BlockDeviceType(size=2), sdf=BlockDeviceType(no_device=True), sdg=BlockDeviceType(size=1))
        reservation = conn.run_instances(
            it.image,
            instance_type=told.target.instance_type,
            placement=told.target.zones[0],
            block_device_map=table,
            user_data="words",
        )
        it.instance = reservation.instances[0].id
        made.add("instanceId", it.instance)
        told.same("how many", len(reservation.instances), 1)
        told.until("running", lambda: instance().state, lambda state: state == "running")
    with told.step("describe the instance"):
        row = instance()
        told.same("image, type", (row.image_id, row.instance_type), (it.image, told.target.instance_type))
        told.same("state", (row.state, row.state_code), ("running", 16))
        told.same("root", (row.root_device_name, row.root_device_type), ("/dev/sda1", "ebs"))
        told.same("the devices", sorted(row.block_device_mapping), ["/dev/sda1", "/dev/sdg"])
        told.true("every device names a volume", all(d.volume_id.startswith("vol-") for d in row.block_device_mapping.values()))
        for device in row.block_device_mapping.values():
            made.add("volumeId", device.volume_id)
    with told.step("volumes of the instance"):
        rows = {row.attach_data.device: row for row in conn.get_all_volumes(filters={"attachment.instance-id": it.instance})}
        told.same("sizes", {device: row.size for device, row in rows.items()}, {"/dev/sda1": 2, "/dev/sdg": 1})
        told.same("attached to", {row.attach_data.instance_id for row in rows.values()}, {it.instance})
    with told.step("console output"):
        told.same("instance_id", conn.get_console_output(it.instance).instance_id, it.instance)
    with told.step("attach and detach"):
        told.among("attach answers", conn.attach_volume(it.volume.id, it.instance, "/dev/sdh"), (True, "attaching", "attached"))
        told.until("in-use", lambda: (it.volume.update(), it.volume.attachment_state())[1], lambda state: state == "attached")
        told.true("detach answers", it.volume.detach())
        told.until("available", it.volume.update, lambda status: status == "available")
    with told.step("attributes"):
        told.true("modify answers", conn.modify_instance_attribute(it.instance, "disableApiTermination", True))
        told.same("then", conn.get_instance_attribute(it.instance, "disableApiTermination")["disableApiTermination"], True)
        _refused(told, "OperationNotPermitted", lambda: conn.terminate_instances([it.instance]))
        told.true("modify answers", conn.modify_instance_attribute(it.instance, "disableApiTermination", False))
        told.same("kernel", conn.get_instance_attribute(it.instance, "kernel").get("kernel"), None)
    with told.step("stop, start, reboot"):
        told.same("stop answers", [row.state for row in conn.stop_instances([it.instance])], ["stopping"])
        told.until("stopped", lambda: instance().state, lambda state: state == "stopped")
        told.same("start answers", [row.state for row in conn.start_instances([it.instance])], ["pending"])
        told.until("running", lambda: instance().state, lambda state: state == "running")
        told.true("reboot answers", conn.reboot_instances([it.instance]))
    with told.step("create an image"):
        it.made = conn.create_image(it.instance, scenes.name("boto-made"), no_reboot=True)
        made.add("imageId", it.made)
        made.with_snapshots.add(it.made)
        told.until("available", lambda: conn.get_all_images([it.made])[0].state, lambda state: state == "available")
        told.same(
            "its devices", sorted(conn.get_all_images([it.made])[0].block_device_mapping), ["/dev/sda1", "/dev/sdb", "/dev/sdg"]
        )
    with told.step("terminate"):
        told.same("answers", [row.state for row in conn.terminate_instances([it.instance])], ["shutting-down"])
        told.until("terminated", lambda: instance().state, lambda state: state == "terminated")
    with told.step("clean up; each call answers true"):
        told.true("deregister", conn.deregister_image(it.made) and conn.deregister_image(it.image))
        told.true("delete the volume", conn.delete_volume(it.volume.id))
        told.true("delete the snapshot", conn.delete_snapshot(it.snapshot.id))


@story("boto 2.49 the rest")
def rest(told: Story) -> None:
    conn, it, made = _connect(told.target), told.it, told.made
    with told.step("key pairs"):
        it.key = scenes.name("boto-key")
        made.add("keyName", it.key)
        told.true("material", conn.create_key_pair(it.key).material.startswith("-----BEGIN RSA"))
        _refused(told, "InvalidKeyPair.Duplicate", lambda: conn.create_key_pair(it.key))
        told.same("described", [pair.name for pair in conn.get_all_key_pairs([it.key])], [it.key])
        told.true("deleted", conn.delete_key_pair(it.key))
    with told.step("tags"):
        volume = conn.create_volume(1, told.target.zones[0])
        made.add("volumeId", volume.id)
        words = {"Name": "data", "k/e+y": "a b&c=d~*", "bare": "", "umlaut": "grüß ✓"}
        told.true("create answers", conn.create_tags([volume.id], words))
        told.same("shown", dict(conn.get_all_volumes([volume.id])[0].tags), words)
        told.same("listed", {tag.name: tag.value for tag in conn.get_all_tags({"resource-id": volume.id})}, words)
        told.true("delete answers", conn.delete_tags([volume.id], list(words)))
        told.same("shown then", dict(conn.get_all_volumes([volume.id])[0].tags), {})
    with told.step("groups"):
        name = scenes.name("boto-group")
        group = conn.create_security_group(name, "words")
        made.add("groupId", group.id)
        told.true(
            "authorize answers",
            conn.authorize_security_group(group_id=group.id, ip_protocol="tcp", from_port=22, to_port=22, cidr_ip="0.0.0.0/0"),
        )
        (shown,) = conn.get_all_security_groups(group_ids=[group.id])
        told.same("rules", [(str(rule.ip_protocol), str(rule.from_port)) for rule in shown.rules], [("tcp", "22")])
        told.true("delete answers", conn.delete_security_group(group_id=group.id))
    with told.step("addresses"):
        address = conn.allocate_address("vpc")
        made.add("publicIp", address.public_ip)
        told.true("release answers", conn.release_address(allocation_id=address.allocation_id))
    with told.step("account attributes"):
        told.true("some", conn.describe_account_attributes())
    with told.step("errors are read"):
        _refused(told, "InvalidInstanceID.NotFound", lambda: conn.get_only_instances(["i-0bad0bad"]))
        _refused(told, "InvalidVolume.NotFound", lambda: conn.delete_volume("vol-0bad0bad"))
        _refused(told, "InvalidAMIID.NotFound", lambda: conn.run_instances("ami-0bad0bad"))
        _refused(told, "DryRunOperation", lambda: conn.get_all_regions(dry_run=True))


def _refused(told: Story, code: str, call: Any) -> None:
    try:
        answer = call()
    except Exception as error:
        if code_of(error) is None:
            raise
        told.same("the code", code_of(error), code)
        return
    told.complain(f"not refused with {code}, but answered {answer!r}")
