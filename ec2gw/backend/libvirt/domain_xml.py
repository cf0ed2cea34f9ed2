"""A machine as libvirt's domain XML, and back: pure functions. Knows no connection and no host beyond what it is told."""

from __future__ import annotations

import hashlib
import string
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from ec2gw.backend import ports
from ec2gw.model import ids

NAMESPACE = "https://ec2gw.example/domain/1"
PREFIX = "ec2gw"
_MARK = f"{{{NAMESPACE}}}machine"
ElementTree.register_namespace(PREFIX, NAMESPACE)


@dataclass(frozen=True)
class Mark:
    """What the gateway keeps in the domain itself: whose it is, the boot it was started for, and why it is off once seen."""

    gateway: str
    generation: int
    shutdown: str | None = None


@dataclass(frozen=True)
class Plugged:
    """A disk as it stands in a domain: its target (`vda`) and the host path of what it runs on now."""

    target: str
    path: Path


@dataclass(frozen=True)
class Setting:
    """What is the same for every machine of a gateway; `sockets` and `logs` are the folders of the serial consoles."""

    gateway: str
    accelerator: Literal["kvm", "tcg"]
    sockets: Path
    logs: Path


# -- Names -----------------------------------------------------------------------------------------------------------------


def machine_uuid(name: str) -> str:
    """The machine's UUID. It begins `ec2`, by which guests (cloud-init) know that they run on EC2."""
    return str(uuid.UUID("ec2" + hashlib.sha256(name.encode()).hexdigest()[:29]))


def alias(disk: str) -> str:
    """libvirt's name of the device; the prefix is what libvirt asks of names that are not its own."""
    return f"ua-{disk}"


def target(slot: int) -> str:
    """`vda`, `vdb`, … `vdz`, `vdaa`, …"""
    letters = ""
    slot += 1
    while slot:
        slot, digit = divmod(slot - 1, 26)
        letters = string.ascii_lowercase[digit] + letters
    return f"vd{letters}"


# -- Writing ---------------------------------------------------------------------------------------------------------------


def domain(machine: ports.Machine, setting: Setting, direct: Mapping[str, bool]) -> str:
    """The whole domain. `direct` tells by disk name whether it can be opened past the host's page cache."""
    root = ElementTree.Element("domain", type="kvm" if setting.accelerator == "kvm" else "qemu")
    _text(root, "name", machine.name)
    _text(root, "uuid", machine_uuid(machine.name))
    ElementTree.SubElement(root, "metadata").append(_mark(Mark(setting.gateway, machine.generation)))
    _text(root, "memory", str(machine.memory_mib), unit="MiB")
    _text(root, "vcpu", str(machine.vcpus))
    system = ElementTree.SubElement(root, "os")
    # The i440fx machine takes 29 disks without preparation and boots faster under TCG than q35.
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    ElementTree.SubElement(system, "smbios", mode="sysinfo")
    information = ElementTree.SubElement(ElementTree.SubElement(root, "sysinfo", type="smbios"), "system")
    _text(information, "entry", "ec2gw", name="manufacturer")
    _text(information, "entry", machine_uuid(machine.name), name="serial")
    _text(information, "entry", machine_uuid(machine.name), name="uuid")
    features = ElementTree.SubElement(root, "features")
    ElementTree.SubElement(features, "acpi")
    ElementTree.SubElement(features, "apic")
    if setting.accelerator == "kvm":
        ElementTree.SubElement(root, "cpu", mode="host-passthrough")
    ElementTree.SubElement(root, "clock", offset="utc")
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart")
    _text(root, "on_crash", "destroy")
    sleep = ElementTree.SubElement(root, "pm")
    ElementTree.SubElement(sleep, "suspend-to-mem", enabled="no")
    ElementTree.SubElement(sleep, "suspend-to-disk", enabled="no")
    devices = ElementTree.SubElement(root, "devices")
    ElementTree.SubElement(devices, "controller", type="usb", model="none")
    devices.extend(_disk(each, direct=direct[each.name]) for each in sorted(machine.disks, key=lambda each: each.slot))
    serial = ElementTree.SubElement(devices, "serial", type="unix")
    ElementTree.SubElement(serial, "source", mode="bind", path=str(setting.sockets / f"{machine.name}.sock"))
    ElementTree.SubElement(serial, "log", file=str(setting.logs / f"{machine.name}.log"), append="on")
    ElementTree.SubElement(serial, "target", port="0")
    # A screen that nobody looks at but by a screenshot. It has the slot that the i440fx machine keeps free for it anyway.
    ElementTree.SubElement(ElementTree.SubElement(devices, "video"), "model", type="vga", vram="16384", heads="1")
    ElementTree.SubElement(devices, "memballoon", model="none")
    return ElementTree.tostring(root, encoding="unicode")


def disk(each: ports.Disk, *, direct: bool) -> str:
    """One disk, as it is plugged into a running domain."""
    return ElementTree.tostring(_disk(each, direct=direct), encoding="unicode")


def switch(plugged: Iterable[str], layers: Mapping[str, Path]) -> str:
    """The snapshot that puts each target of `layers` on the file named there and leaves the other plugged targets alone."""
    root = ElementTree.Element("domainsnapshot")
    disks = ElementTree.SubElement(root, "disks")
    for name in plugged:
        if name not in layers:
            ElementTree.SubElement(disks, "disk", name=name, snapshot="no")
            continue
        element = ElementTree.SubElement(disks, "disk", name=name, snapshot="external", type="file")
        ElementTree.SubElement(element, "driver", type="qcow2")
        ElementTree.SubElement(element, "source", file=str(layers[name]))
    return ElementTree.tostring(root, encoding="unicode")


def mark(value: Mark) -> str:
    """The metadata element alone; libvirt puts it into our namespace itself, and takes none that is in one already."""
    return ElementTree.tostring(_mark(value, "machine"), encoding="unicode")


def _mark(value: Mark, tag: str = _MARK) -> ElementTree.Element:
    element = ElementTree.Element(tag, gateway=value.gateway, generation=str(value.generation))
    if value.shutdown:
        element.set("shutdown", value.shutdown)
    return element


def _disk(each: ports.Disk, *, direct: bool) -> ElementTree.Element:
    match each.source:
        case ports.BlockDevice(path):
            kind, place, form = "block", {"dev": str(path)}, "raw"
        case ports.DiskFile(path, form):
            kind, place = "file", {"file": str(path)}
    element = ElementTree.Element("disk", type=kind, device="disk")
    # A full disk pauses the machine (enospace) until there is space; other trouble is the guest's to see.
    trouble = {"error_policy": "enospace", "rerror_policy": "report"}
    cache = "none" if direct else "writeback"
    ElementTree.SubElement(element, "driver", {"name": "qemu", "type": form, "cache": cache, "discard": "unmap", **trouble})
    ElementTree.SubElement(element, "source", place)
    ElementTree.SubElement(element, "target", dev=target(each.slot), bus="virtio")
    _text(element, "serial", ids.serial(each.name))
    if each.slot == 0:
        ElementTree.SubElement(element, "boot", order="1")
    ElementTree.SubElement(element, "alias", name=alias(each.name))
    return element


def _text(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text


# -- Reading ---------------------------------------------------------------------------------------------------------------


def read_mark(xml: str) -> Mark | None:
    """The gateway's mark in a domain's XML, or None when no gateway made it."""
    element = _parse(xml).find(f"metadata/{_MARK}")
    if element is None:
        return None
    return Mark(element.get("gateway", ""), int(element.get("generation", "0")), element.get("shutdown"))


def read_disks(xml: str) -> dict[str, Plugged]:
    """The disks in a domain's XML by the store's names; those that others plugged are left out."""
    disks = {}
    for element in _parse(xml).iterfind("devices/disk"):
        name, source, place = element.find("alias"), element.find("source"), element.find("target")
        if name is None or source is None or place is None or not name.get("name", "").startswith(alias("")):
            continue
        path = source.get("file") or source.get("dev") or ""
        disks[name.get("name", "").removeprefix(alias(""))] = Plugged(place.get("dev", ""), Path(path))
    return disks


def _parse(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml)  # noqa: S314 - libvirt wrote it
