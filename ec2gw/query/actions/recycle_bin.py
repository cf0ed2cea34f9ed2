"""The recycle bin, which is always empty: what is deleted here is gone at once."""

from __future__ import annotations

from typing import NoReturn

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action


@action
def list_snapshots_in_recycle_bin(call: Call, req: Request) -> Response:
    return _empty(req, "snap", req.get("SnapshotIds", ()), describe.Catalogue("Snapshots", "SnapshotId", {}, pages=(5, 1_000)))


@action
def list_images_in_recycle_bin(call: Call, req: Request) -> Response:
    return _empty(req, "ami", req.get("ImageIds", ()), describe.Catalogue("Images", "ImageId", {}, pages=(1, 1_000)))


@action
def list_volumes_in_recycle_bin(call: Call, req: Request) -> Response:
    return _empty(req, "vol", req.get("VolumeIds", ()), describe.Catalogue("Volumes", "VolumeId", {}, pages=(5, 500)))


@action
def restore_snapshot_from_recycle_bin(call: Call, req: Request) -> Response:
    _absent("snap", [req["SnapshotId"]])


@action
def restore_image_from_recycle_bin(call: Call, req: Request) -> Response:
    _absent("ami", [req["ImageId"]])


@action
def restore_volume_from_recycle_bin(call: Call, req: Request) -> Response:
    _absent("vol", [req["VolumeId"]])


def _empty(req: Request, prefix: str, wanted: list[str], catalogue: describe.Catalogue) -> Response:
    if wanted:
        _absent(prefix, wanted)
    return describe.choose(req, catalogue, ())


def _absent(prefix: str, wanted: list[str]) -> NoReturn:
    lookup.check_ids(prefix, wanted)
    raise errors.NotFound("not-found", kind=ids.KINDS[prefix], ids=wanted)
