"""What the engine sees: a record with all that bears on it, read in one transaction, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, exists, select

from ec2gw.cloud import imports, snapshots, uploads, volumes
from ec2gw.engine.steps import Place, Scratch
from ec2gw.model import ids, instance_types, volume_types
from ec2gw.state import records
from ec2gw.state.session import Transaction

KEEP_TERMINATED = timedelta(hours=1)  # API_DescribeInstances: about an hour
KEEP_IMPORT = imports.KEPT


@dataclass(frozen=True)
class Volume:
    """`wanted`: a snapshot that is yet to be cut still needs the volume's bytes. `size` is bytes.

    `modification` is the state of its newest change, and `target` the bytes it then has; None where there is none.
    """

    id: str
    state: str
    zone: str
    size: int
    origin: str | None
    wanted: bool
    modification: str | None = None
    target: int | None = None


@dataclass(frozen=True)
class Upload:
    """What clients write of a snapshot. `complete`: they say it is whole; until then it is given up at `expires`.

    `staged`: blocks of it may lie where they were received.
    """

    parent: str | None
    complete: bool
    expires: datetime
    staged: bool


@dataclass(frozen=True)
class Snapshot:
    """`machine` must be off at the cut, where there is one; `wanted`: a volume or a copy is yet to be made from the snapshot, an
    import may be filling it, or the set it is of is yet to be cut. `set_id` is that set, and `leads` says whether it is for this
    snapshot to have it cut. `upload` is there where clients write it. `size` is bytes.
    """

    id: str
    state: str
    zone: str
    origin: str | None
    cut: bool
    machine: str | None
    wanted: bool
    set_id: str | None = None
    leads: bool = False
    size: int = 0
    upload: Upload | None = None


@dataclass(frozen=True)
class Image:
    """`ready`: none of its snapshots is pending any more."""

    id: str
    state: str
    ready: bool


@dataclass(frozen=True)
class Attached:
    """An attachment with its volume's state."""

    place: Place
    state: str
    volume_state: str
    wished_at: datetime
    forced: bool


@dataclass(frozen=True)
class Replacement:
    """A replacement of the root under way: its state, and its new volume's. `swapped`: that volume is the root already."""

    id: str
    state: str
    volume_state: str
    swapped: bool


@dataclass(frozen=True)
class Instance:
    """`uncut`: a snapshot waits for the machine to be off before it is cut. `impaired`: its record says that it cannot be on."""

    id: str
    state: str
    boots: int
    ran: bool
    wished_at: datetime
    grace: int
    ended_at: datetime | None
    vcpus: int
    memory_mib: int
    attached: tuple[Attached, ...]
    scratch: tuple[Scratch, ...]
    uncut: bool
    replacement: Replacement | None = None
    impaired: bool = False


@dataclass(frozen=True)
class Part:
    """A disk image of an import. `state` is that of its snapshot, None where that is not there."""

    url: str | None
    format: str | None
    snapshot: str | None
    state: str | None


@dataclass(frozen=True)
class Import:
    """`beside`: a command beside the gateway brings it."""

    id: str
    state: str
    zone: str
    beside: bool
    parts: tuple[Part, ...]
    ended_at: datetime | None


Seen = Volume | Snapshot | Image | Import | Instance

# Built once, and of columns alone: a record is looked at several times for each thing that becomes of it.
_VOLUMES, _MODIFICATIONS, _ATTACHMENTS = (
    record.__table__.c for record in (records.Volume, records.VolumeModification, records.Attachment)
)
_SNAPSHOTS, _INSTANCES, _REPLACEMENTS = (
    record.__table__.c for record in (records.Snapshot, records.Instance, records.RootReplacement)
)
_UNCUT = (_SNAPSHOTS.state == "pending") & _SNAPSHOTS.cut.is_(False)
_VOLUME = (
    select(
        _VOLUMES.state,
        _VOLUMES.zone,
        _VOLUMES.size,
        _VOLUMES.snapshot_id,
        exists().where(_SNAPSHOTS.origin == _VOLUMES.id, _UNCUT).label("wanted"),
        _MODIFICATIONS.state.label("modification"),
        _MODIFICATIONS.after,
    )
    .outerjoin_from(records.Volume.__table__, records.VolumeModification.__table__, _MODIFICATIONS.id == _VOLUMES.id)
    .where(_VOLUMES.id == bindparam("id"))
)
_INSTANCE = select(
    *(_INSTANCES[name] for name in ("state", "boots", "ran", "wished_at", "grace", "ended_at", "impaired_since")),
    *(_INSTANCES[name] for name in ("type", "zone", "cores", "threads", "scratch")),
    exists().where(_SNAPSHOTS.at_rest_of == _INSTANCES.id, _UNCUT).label("uncut"),
    exists().where(_REPLACEMENTS.instance_id == _INSTANCES.id).label("replaced"),
).where(_INSTANCES.id == bindparam("id"))
_ATTACHED = (
    select(*_ATTACHMENTS, _VOLUMES.zone, _VOLUMES.state.label("volume_state"))
    .join_from(records.Attachment.__table__, records.Volume.__table__, _VOLUMES.id == _ATTACHMENTS.volume_id)
    .where(_ATTACHMENTS.instance_id == bindparam("id"))
    .order_by(_ATTACHMENTS.slot)
)


def look(tx: Transaction, id: str) -> Seen | None:
    """The record of this id as the engine sees it, or None where there is none for the engine to mind."""
    match ids.kind(id):
        case "volume":
            return _volume(tx, id)
        case "snapshot":
            return _snapshot(tx, id)
        case "image":
            return _image(tx, id)
        case "import-snapshot-task" | "import-image-task":
            return _import(tx, id)
        case "instance":
            return _instance(tx, id)
    return None


def unsettled(tx: Transaction) -> list[str]:
    """The ids of every record that is on its way somewhere, of impaired instances, and of terminated ones shown long enough."""
    found: list[str] = []
    for record, states in (
        (records.Volume, ("creating", "deleting")),
        (records.VolumeModification, ("modifying", "optimizing")),
        (records.Snapshot, ("pending", "deleting")),
        (records.Image, ("pending",)),
        (records.ImportTask, ("active", "deleting")),
        (records.Instance, ("pending", "stopping", "shutting-down")),
    ):
        found += tx.db.scalars(select(record.id).where(record.state.in_(states)))
    shown = records.ImportTask.ended_at <= tx.now - imports.KEPT
    found += tx.db.scalars(select(records.ImportTask.id).where(shown))
    going = records.RootReplacement.state.in_(("pending", "in-progress"))
    found += tx.db.scalars(select(records.RootReplacement.instance_id).where(going))
    found += uploads.staged(tx)
    impaired = records.Instance.impaired_since.is_not(None)
    found += tx.db.scalars(select(records.Instance.id).where(records.Instance.state == "running", impaired))
    over = records.Instance.ended_at <= tx.now - KEEP_TERMINATED
    found += tx.db.scalars(select(records.Instance.id).where(records.Instance.state == "terminated", over))
    found += tx.db.scalars(
        select(records.Attachment.instance_id).where(records.Attachment.state.in_(("attaching", "detaching", "busy")))
    )
    return found


def running(tx: Transaction) -> dict[str, int]:
    """The ids of every instance that is to be on, each with the generation its machine must be of."""
    rows = tx.db.execute(select(records.Instance.id, records.Instance.boots).where(records.Instance.state == "running"))
    return dict(rows.all())


def _volume(tx: Transaction, id: str) -> Volume | None:
    row = tx.db.execute(_VOLUME, {"id": id}).one_or_none()
    if row is None:
        return None
    size = row.size * volume_types.GIB
    target = row.after["size"] * volume_types.GIB if row.after else None
    return Volume(id, row.state, row.zone, size, row.snapshot_id, row.wanted, row.modification, target)


def _snapshot(tx: Transaction, id: str) -> Snapshot | None:
    row = tx.db.scalars(select(records.Snapshot).where(records.Snapshot.id == id)).one_or_none()
    if row is None:
        return None
    making = select(records.Volume.id).where(records.Volume.snapshot_id == id, records.Volume.state == "creating")
    copying = select(records.Snapshot.id).where(
        records.Snapshot.origin == id, records.Snapshot.state == "pending", records.Snapshot.cut.is_(False)
    )
    writing = select(records.Upload.snapshot_id).where(
        records.Upload.parent_id == id,
        records.Upload.snapshot_id == records.Snapshot.id,
        records.Snapshot.state == "pending",
        records.Snapshot.cut.is_(False),
    )
    uncut = list(tx.db.scalars(snapshots.uncut(row.set_id))) if row.set_id else []
    filling = select(records.ImportTask.id).where(
        records.ImportTask.id == row.origin, records.ImportTask.state.in_(("active", "deleting"))
    )
    wanted = bool(uncut) or any(tx.db.scalar(query.limit(1)) is not None for query in (making, copying, writing, filling))
    leads = bool(uncut) and uncut[0].id == id
    written = tx.db.get(records.Upload, id)
    upload = None
    if written is not None:
        upload = Upload(written.parent_id, written.count is not None, uploads.expires(written), written.staged)
    size = row.size * volume_types.GIB
    return Snapshot(id, row.state, row.zone, row.origin, row.cut, row.at_rest_of, wanted, row.set_id, leads, size, upload)


def _image(tx: Transaction, id: str) -> Image | None:
    state = tx.db.scalar(select(records.Image.state).where(records.Image.id == id))
    if state is None:
        return None
    parts = select(records.ImageSnapshot.snapshot_id).where(records.ImageSnapshot.image_id == id)
    pending = exists().where(records.Snapshot.id.in_(parts), records.Snapshot.state == "pending")
    return Image(id, state, not tx.db.scalar(select(pending)))


def _import(tx: Transaction, id: str) -> Import | None:
    row = tx.db.scalars(select(records.ImportTask).where(records.ImportTask.id == id)).one_or_none()
    if row is None:
        return None
    parts = []
    for part in row.parts:
        snapshot = part.get("snapshot_id")
        state = tx.db.scalar(select(records.Snapshot.state).where(records.Snapshot.id == snapshot)) if snapshot else None
        parts.append(Part(part.get("url"), part.get("format"), snapshot, state))
    beside = any(part.get("made") and not part.get("url") for part in row.parts)
    return Import(id, row.state, row.zone, beside, tuple(parts), row.ended_at)


def _instance(tx: Transaction, id: str) -> Instance | None:
    row = tx.db.execute(_INSTANCE, {"id": id}).one_or_none()
    if row is None:
        return None
    attached = tuple(
        Attached(Place(a.volume_id, a.zone, a.slot), a.state, a.volume_state, a.wished_at, a.forced)
        for a in tx.db.execute(_ATTACHED, {"id": id})
    )
    scratch = tuple(Scratch(Place(disk["name"], row.zone, disk["slot"]), disk["size"] * volume_types.GIB) for disk in row.scratch)
    kind = instance_types.find(row.type)
    return Instance(
        id=id,
        state=row.state,
        boots=row.boots,
        ran=row.ran,
        wished_at=row.wished_at,
        grace=row.grace,
        ended_at=row.ended_at,
        vcpus=(row.cores or kind.cores) * (row.threads or kind.threads),
        memory_mib=kind.memory_mib,
        attached=attached,
        scratch=scratch,
        uncut=row.uncut,
        replacement=_replacement(tx, id, {a.place.disk for a in attached}) if row.replaced else None,
        impaired=row.impaired_since is not None,
    )


def _replacement(tx: Transaction, id: str, attached: set[str]) -> Replacement | None:
    row = volumes.replacement(tx, instance_id=id)
    if row is None:
        return None
    state = tx.db.scalars(select(records.Volume.state).where(records.Volume.id == row.new_volume_id)).one()
    return Replacement(row.id, row.state, state, row.new_volume_id in attached)
