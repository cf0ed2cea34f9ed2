"""Replacements of root volumes."""

from __future__ import annotations

from ec2gw.cloud import root_volumes
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.records import RootReplacement

_SOURCES = ("SnapshotId", "ImageId", "VolumeId")


def view(call: Call, row: RootReplacement, tags: list[dict[str, str]]) -> Response:
    """A replacement as EC2 shows it; its times are texts there."""
    return {
        "ReplaceRootVolumeTaskId": row.id,
        "InstanceId": row.instance_id,
        "TaskState": row.state,
        "StartTime": f"{row.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "CompleteTime": f"{row.ended_at:%Y-%m-%dT%H:%M:%SZ}" if row.ended_at else None,
        "Tags": tags,
        "ImageId": row.image_id,
        "SnapshotId": row.snapshot_id,
        "DeleteReplacedRootVolume": row.delete_old,
    }


TASKS = describe.Listing(
    kind="replace-root-volume-task",
    record=RootReplacement,
    result="ReplaceRootVolumeTasks",
    ids="ReplaceRootVolumeTaskIds",
    view=view,
    filters={"instance-id": "InstanceId"},
    columns={"instance-id": RootReplacement.instance_id},
    pages=(1, 50),
)


@action
def describe_replace_root_volume_tasks(call: Call, req: Request) -> Response:
    return describe.answer(call, req, TASKS)


def _again(call: Call, response: Response) -> Response:
    (found,) = response.values()
    return {"ReplaceRootVolumeTask": describe.one(call, TASKS, found["ReplaceRootVolumeTaskId"])}


@action(refresh=_again)
def create_replace_root_volume_task(call: Call, req: Request) -> Response:
    named = [name for name in _SOURCES if req.get(name)]
    if len(named) > 1:
        raise errors.Conflict("parameter-conflict", parameter=named[1], other=named[0])
    task = root_volumes.replace(
        call.tx,
        call.account_id,
        req["InstanceId"],
        snapshot_id=req.get("SnapshotId"),
        image_id=req.get("ImageId"),
        volume_id=req.get("VolumeId"),
        rate=req.get("VolumeInitializationRate"),
        delete_old=req.get("DeleteReplacedRootVolume", False),
    )
    return {"ReplaceRootVolumeTask": view(call, task, describe.tag(call, req, task.id))}
