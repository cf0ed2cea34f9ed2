"""Imports of disk images: snapshots and images of what a URL gives."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from sqlalchemy import ColumnElement, or_

from ec2gw.cloud import imports
from ec2gw.model import errors, ids
from ec2gw.query import describe
from ec2gw.query.actions.images import check_description
from ec2gw.query.actions.snapshots import check_unencrypted
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.records import ImportTask

# EC2's names of formats, in capitals, and qemu-img's. QCOW2 is ours.
FORMATS = {"VMDK": "vmdk", "RAW": "raw", "VHD": "vpc", "VHDX": "vhdx", "QCOW2": "qcow2"}
LONGEST_URL = 4_096
MOST_DISKS = 21  # VM Import/Export User Guide, "Limitations": volumes of a virtual machine
_NAMES = {name: word for word, name in FORMATS.items()} | {"vdi": "VDI"}
_OPERATION = re.compile(r"RunInstances(?::[0-9a-z]{4})?")


# -- what is shown --------------------------------------------------------------------------------------------------------------


def view_snapshot_task(call: Call, task: ImportTask, own: list[dict[str, str]]) -> Response:
    """An import as DescribeImportSnapshotTasks shows it."""
    (part,) = task.parts
    detail = {
        "Description": task.description,
        "DiskImageSize": float(part.get("size", 0)),
        "Encrypted": False,
        "Format": _NAMES.get(part["format"]),
        "Progress": _progress(task),
        "SnapshotId": part.get("snapshot_id") if task.state == "completed" else None,
        "Status": task.state,
        "StatusMessage": _message(task),
        "Url": part.get("url"),
    }
    return {"Description": task.description, "ImportTaskId": task.id, "SnapshotTaskDetail": detail, "Tags": own}


def view_image_task(call: Call, task: ImportTask, own: list[dict[str, str]]) -> Response:
    """An import as DescribeImportImageTasks shows it."""
    details = [
        {
            "Description": part.get("description"),
            "DeviceName": part["device"],
            "DiskImageSize": float(part["size"]) if "size" in part else None,
            "Format": _NAMES.get(part.get("format", "")),
            "SnapshotId": part.get("snapshot_id") if task.state == "completed" or not part.get("made") else None,
            "Status": task.state,
            "Url": part.get("url"),
        }
        for part in task.parts
    ]
    return {
        "Architecture": task.options["Architecture"],
        "BootMode": task.options.get("BootMode"),
        "Description": task.description,
        "Encrypted": False,
        "Hypervisor": task.options.get("Hypervisor"),
        "ImageId": task.image_id,
        "ImportTaskId": task.id,
        "LicenseType": task.options.get("LicenseType"),
        "Platform": task.options.get("PlatformName"),
        "Progress": _progress(task),
        "SnapshotDetails": details,
        "Status": task.state,
        "StatusMessage": _message(task),
        "Tags": own,
        "UsageOperation": task.options.get("UsageOperation"),
    }


def _progress(task: ImportTask) -> str | None:
    return str(task.progress) if task.state == "active" else None


def _message(task: ImportTask) -> str | None:
    if task.reason is None:
        return task.phase if task.state == "active" else None
    return f"ClientError: {task.reason}" if task.theirs else task.reason


SNAPSHOT_TASKS = describe.Listing(
    kind="import-snapshot-task",
    record=ImportTask,
    result="ImportSnapshotTasks",
    ids="ImportTaskIds",
    view=view_snapshot_task,
    filters={"task-state": "SnapshotTaskDetail.Status"},
    columns={"task-state": ImportTask.state},
)
IMAGE_TASKS = describe.Listing(
    kind="import-image-task",
    record=ImportTask,
    result="ImportImageTasks",
    ids="ImportTaskIds",
    view=view_image_task,
    filters={"task-state": "Status"},
    columns={"task-state": ImportTask.state},
)


@action
def describe_import_snapshot_tasks(call: Call, req: Request) -> Response:
    return describe.answer(call, req, SNAPSHOT_TASKS, where=_shown(call, imports.SNAPSHOT))


@action
def describe_import_image_tasks(call: Call, req: Request) -> Response:
    return describe.answer(call, req, IMAGE_TASKS, where=_shown(call, imports.IMAGE))


def _shown(call: Call, prefix: str) -> list[ColumnElement[bool]]:
    recent = or_(ImportTask.ended_at.is_(None), ImportTask.ended_at > call.now - imports.KEPT)
    return [ImportTask.id.startswith(prefix), recent]


# -- wishes ---------------------------------------------------------------------------------------------------------------------


@action
def import_snapshot(call: Call, req: Request) -> Response:
    check_unencrypted(req)
    check_description(req.get("Description", ""))
    if "DiskContainer" not in req:
        raise errors.Missing("missing-parameter", parameter="diskContainer")
    part = _part(req["DiskContainer"])
    description = req.get("Description") or part["description"]
    task = imports.begin(call.tx, call.account_id, ids.new(imports.SNAPSHOT), _zone(call), [part], description)
    return view_snapshot_task(call, task, describe.tag(call, req, task.id))


@action
def import_image(call: Call, req: Request) -> Response:
    check_unencrypted(req)
    check_description(req.get("Description", ""))
    disks = req.get("DiskContainers", ())
    if not disks:
        raise errors.Missing("missing-parameter", parameter="diskContainers")
    if len(disks) > MOST_DISKS:
        raise errors.LimitExceeded("import-disks", limit=MOST_DISKS)
    parts = [_part(disk) | {"device": disk.get("DeviceName") or _device(n)} for n, disk in enumerate(disks)]
    options = _options(req)
    description = req.get("Description", "")
    task = imports.begin(call.tx, call.account_id, ids.new(imports.IMAGE), _zone(call), parts, description, options)
    shown = view_image_task(call, task, describe.tag(call, req, task.id))
    del shown["BootMode"]
    return shown


@action
def cancel_import_task(call: Call, req: Request) -> Response:
    if "ImportTaskId" not in req:
        raise errors.Missing("missing-parameter", parameter="importTaskId")
    check_description(req.get("CancelReason", ""))
    task, before = imports.cancel(call.tx, call.account_id, req["ImportTaskId"], req.get("CancelReason", ""))
    return {"ImportTaskId": task.id, "PreviousState": before, "State": task.state}


def _zone(call: Call) -> str:
    return call.settings.zones[0]


def _device(number: int) -> str:
    return "/dev/sda1" if number == 0 else f"/dev/sd{chr(ord('a') + number)}"


def _options(req: Request) -> dict[str, Any]:
    """What an image will be, in EC2's words."""
    for name, known in (
        ("Architecture", ("i386", "x86_64")),
        ("Hypervisor", ("xen",)),
        ("Platform", ("Linux", "Windows")),
        ("LicenseType", ("AWS", "BYOL")),
        ("BootMode", ("legacy-bios", "uefi", "uefi-preferred")),
    ):
        if name in req and req[name] not in known:
            raise errors.Invalid("bad-value", value=req[name][:64], parameter=name[0].lower() + name[1:])
    if "UsageOperation" in req and not _OPERATION.fullmatch(req["UsageOperation"]):
        raise errors.Invalid("bad-value", value=req["UsageOperation"][:64], parameter="usageOperation")
    options: dict[str, Any] = {
        name: req[name] for name in ("Hypervisor", "LicenseType", "BootMode", "UsageOperation") if name in req
    }
    options |= {"Architecture": req.get("Architecture", "x86_64"), "PlatformName": req.get("Platform", "Linux")}
    if options["PlatformName"] == "Windows":
        byol = options.get("LicenseType") == "BYOL"
        usage = "RunInstances:0800" if byol else "RunInstances:0002"
        options |= {"Platform": "windows", "PlatformDetails": "Windows BYOL" if byol else "Windows"}
        options.setdefault("UsageOperation", usage)
    return options


def _part(disk: Request) -> dict[str, Any]:
    """A disk container as `ImportTask.parts` have it."""
    given = [name for name in ("Url", "UserBucket", "SnapshotId") if disk.get(name)]
    if not given:
        raise errors.Missing("missing-parameter", parameter="diskContainer.Url")
    if len(given) > 1:
        raise errors.Conflict("parameter-conflict", parameter=given[0], other=given[1])
    part = {"description": disk.get("Description", "")}
    check_description(part["description"])
    if "SnapshotId" in disk:
        return part | {"snapshot_id": disk["SnapshotId"], "format": None}
    if "UserBucket" in disk:
        raise errors.Invalid("import-bucket")
    url, said = disk["Url"], disk.get("Format")
    if said is not None and said.upper() not in FORMATS:
        raise errors.Invalid("import-format", format=said[:64], known=", ".join(FORMATS))
    _check_url(url)
    return part | {"url": url, "format": FORMATS[said.upper()] if said is not None else None}


def _check_url(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise errors.Invalid("import-url") from None
    if parts.scheme == "s3":
        raise errors.Invalid("import-bucket")
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    # A password would stand in every answer.
    if parts.scheme not in ("http", "https") or not whole or not plain or parts.username is not None:
        raise errors.Invalid("import-url")
