"""The records, one class a noun. A record has no behaviour: `cloud/` changes it, `engine/` and the faces read it.

Ids are EC2's own. `number` gives every listed record a stable order for paging. Times are UTC. Sizes of volumes and snapshots
are GiB, as in EC2. States are words of `model.lifecycle`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint, delete
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

if TYPE_CHECKING:
    from ec2gw.state.networks import Interface


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Record(DeclarativeBase):
    """The base of all records."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime, dict[str, Any]: JSON, list[Any]: JSON, str: String}


class Listed:
    """What every record that a Describe lists has: an id, an owner, an order and a time of birth."""

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]


class Account(Record):
    __tablename__ = "account"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class AccessKey(Record):
    """One of an account's keys. The secret is encrypted with the key file (`state.vault`)."""

    __tablename__ = "access_key"
    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Volume(Listed, Record):
    __tablename__ = "volume"
    zone: Mapped[str]
    size: Mapped[int]
    snapshot_id: Mapped[str | None] = mapped_column(index=True)
    type: Mapped[str]
    iops: Mapped[int | None]
    throughput: Mapped[int | None]
    initialization_rate: Mapped[int | None]
    encrypted: Mapped[bool] = mapped_column(default=False)
    auto_enable_io: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(index=True)
    attachment: Mapped[Attachment | None] = relationship(
        primaryjoin="Volume.id == foreign(Attachment.volume_id)", uselist=False, viewonly=True
    )


class VolumeModification(Listed, Record):
    """The newest change of a volume, by the volume's id: `before` and `after` are `model.volume_types.Shape` as dicts."""

    __tablename__ = "volume_modification"
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class Attachment(Record):
    """A volume at an instance. `device` is the caller's own spelling; `slot` is the disk's place in the machine, 0 the root."""

    __tablename__ = "attachment"
    __table_args__ = (UniqueConstraint("instance_id", "slot"),)
    volume_id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(index=True)
    device: Mapped[str]
    slot: Mapped[int]
    delete_on_termination: Mapped[bool]
    state: Mapped[str]
    attach_time: Mapped[datetime]
    wished_at: Mapped[datetime]
    forced: Mapped[bool] = mapped_column(default=False)


class RootReplacement(Listed, Record):
    """A wish that an instance run on another root. `made`: the new volume was made for it. `pristine_id` is the snapshot that
    brings the instance back to its launch, once this is done.
    """

    __tablename__ = "root_replacement"
    instance_id: Mapped[str] = mapped_column(index=True)
    old_volume_id: Mapped[str]
    new_volume_id: Mapped[str] = mapped_column(index=True)
    made: Mapped[bool]
    image_id: Mapped[str | None]
    snapshot_id: Mapped[str | None]
    pristine_id: Mapped[str | None]
    delete_old: Mapped[bool]
    state: Mapped[str]
    ended_at: Mapped[datetime | None]


class Snapshot(Listed, Record):
    """`origin` is the volume that is cut, the snapshot that is copied, or the import that fills it; `volume_id` is what Describe
    shows.

    `cut` turns true when the point in time is taken. `at_rest_of` names the instance that must be off at the cut (CreateImage
    with a reboot). Snapshots of the same `set_id` are cut at one instant. `lock` is what LockSnapshot has said: `{"mode", "days",
    "hours", "began", "since", "cool_until", "until"}`, times in ISO 8601.
    """

    __tablename__ = "snapshot"
    volume_id: Mapped[str] = mapped_column(index=True)
    origin: Mapped[str | None] = mapped_column(index=True)
    zone: Mapped[str]
    size: Mapped[int]
    description: Mapped[str] = mapped_column(default="")
    encrypted: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    cut: Mapped[bool] = mapped_column(default=False)
    at_rest_of: Mapped[str | None] = mapped_column(index=True)
    set_id: Mapped[str | None] = mapped_column(index=True)
    completed_at: Mapped[datetime | None]
    lock: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class Upload(Record):
    """A snapshot that a client writes block by block over `parent_id`, or over nothing (EBS direct APIs).

    It is given up `minutes` after `written_at`, which is its start or its newest block. `count` is there once the client has said
    that it is whole: how many blocks, and where he says so, with which `checksum` of their checksums. `staged`: blocks of it may
    still lie where they were received.
    """

    __tablename__ = "upload"
    snapshot_id: Mapped[str] = mapped_column(primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(index=True)
    minutes: Mapped[int]
    written_at: Mapped[datetime]
    count: Mapped[int | None]
    checksum: Mapped[bytes | None] = mapped_column(LargeBinary)
    staged: Mapped[bool] = mapped_column(default=True, index=True)


class UploadBlock(Record):
    """A block that was received: `number` counts blocks of 512 KiB, `checksum` is the SHA-256 of its bytes."""

    __tablename__ = "upload_block"
    snapshot_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    checksum: Mapped[bytes] = mapped_column(LargeBinary)


class Image(Listed, Record):
    """`mapping` is the block device mapping as `model.bdm.Line` dicts, sizes and types filled in.

    `protection` is EC2's word for whether it may be deregistered; once that is taken back it may last until `protected_until`.
    """

    __tablename__ = "image"
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    architecture: Mapped[str]
    virtualization_type: Mapped[str]
    root_device_name: Mapped[str | None]
    location: Mapped[str]
    mapping: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    source_instance_id: Mapped[str | None]
    source_image_id: Mapped[str | None]
    deprecated_at: Mapped[datetime | None]
    protection: Mapped[str] = mapped_column(default="disabled")
    protected_until: Mapped[datetime | None]
    launched_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]]
    permissions: Mapped[list[Permission]] = relationship(
        primaryjoin="Image.id == foreign(Permission.resource_id)", viewonly=True, order_by="Permission.grantee"
    )


class ImportTask(Listed, Record):
    """Disk images on their way to become snapshots, and of an `import-ami-…` to become an image.

    `parts` are the disks, the root first: `{"url", "format", "description", "device", "snapshot_id", "size", "made"}`. `format`
    is qemu-img's name of it; None where it is yet to be found out. `size` is bytes to fetch, and `made` says that the snapshot is
    this task's own. A part that is neither from a `url` nor a snapshot that was there is brought by a command beside the gateway.
    `phase` and `progress` (percent) are of the work; `reason` says why it ended badly, and `theirs` that what was brought is to
    blame, not the host. `options` are what EC2 says of the image that it will be.
    """

    __tablename__ = "import_task"
    zone: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    parts: Mapped[list[Any]]
    options: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(index=True)
    phase: Mapped[str] = mapped_column(default="pending")
    progress: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None]
    theirs: Mapped[bool] = mapped_column(default=False)
    image_id: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class Permission(Record):
    """Who besides its owner may use an image or a snapshot: the account `grantee`, or `all`."""

    __tablename__ = "permission"
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    grantee: Mapped[str] = mapped_column(primary_key=True, index=True)


class FastRestore(Record):
    """A snapshot whose fast restore somebody has asked for in a zone."""

    __tablename__ = "fast_restore"
    snapshot_id: Mapped[str] = mapped_column(primary_key=True)
    zone: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    enabled_at: Mapped[datetime]


class Setting(Record):
    """What an account has chosen for all it has, in EC2's own words."""

    __tablename__ = "setting"
    account_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ImageSnapshot(Record):
    """Which snapshots an image is made of: a snapshot in use by an image of its owner cannot be deleted."""

    __tablename__ = "image_snapshot"
    image_id: Mapped[str] = mapped_column(primary_key=True)
    snapshot_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class Instance(Listed, Record):
    """`boots` counts the boots asked for: the machine on the host must be of that generation. `grace` is how many seconds the
    guest has to obey the power button. `cores` and `threads` (of a core) are None where they are the type's.
    `placement_group` is the group's name. `options` are members of EC2's instance that only a face reads. `scratch` are the
    instance-store disks: `{"name", "device", "virtual", "slot", "size"}`. `impaired_since` is there while it runs and the host
    cannot have its machine on.
    """

    __tablename__ = "instance"
    __table_args__ = (Index("ix_instance_account_state", "account_id", "state"),)
    reservation_id: Mapped[str] = mapped_column(index=True)
    launch_index: Mapped[int]
    image_id: Mapped[str]
    type: Mapped[str]
    zone: Mapped[str]
    key_name: Mapped[str | None]
    root_device_name: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    state_reason_code: Mapped[str | None]
    state_reason: Mapped[str | None]
    transition_reason: Mapped[str] = mapped_column(default="")
    launched_at: Mapped[datetime]
    wished_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    impaired_since: Mapped[datetime | None]
    boots: Mapped[int] = mapped_column(default=1)
    ran: Mapped[bool] = mapped_column(default=False)
    grace: Mapped[int]
    user_data: Mapped[str | None]
    client_token: Mapped[str] = mapped_column(default="")
    disable_api_termination: Mapped[bool] = mapped_column(default=False)
    disable_api_stop: Mapped[bool] = mapped_column(default=False)
    shutdown_behavior: Mapped[str] = mapped_column(default="stop")
    monitoring: Mapped[bool] = mapped_column(default=False)
    ebs_optimized: Mapped[bool] = mapped_column(default=False)
    architecture: Mapped[str]
    virtualization_type: Mapped[str]
    scratch: Mapped[list[Any]]
    cores: Mapped[int | None]
    threads: Mapped[int | None]
    placement_group: Mapped[str | None] = mapped_column(index=True)
    partition: Mapped[int | None]
    options: Mapped[dict[str, Any]]
    attachments: Mapped[list[Attachment]] = relationship(
        primaryjoin="Instance.id == foreign(Attachment.instance_id)", viewonly=True, order_by="Attachment.slot", lazy="selectin"
    )
    interfaces: Mapped[list[Interface]] = relationship(
        primaryjoin="Instance.id == foreign(Interface.instance_id)",
        viewonly=True,
        order_by="Interface.device_index",
    )


class PlacementGroup(Listed, Record):
    """`partitions` counts those of a group whose strategy is `partition`; `spread_level` is there where it is `spread`."""

    __tablename__ = "placement_group"
    __table_args__ = (UniqueConstraint("account_id", "name"),)
    name: Mapped[str]
    strategy: Mapped[str]
    partitions: Mapped[int | None]
    spread_level: Mapped[str | None]


class LaunchTemplate(Listed, Record):
    """`default` and `latest` are numbers of versions; `made` counts all ever made, for a number is not used again."""

    __tablename__ = "launch_template"
    __table_args__ = (UniqueConstraint("account_id", "name"),)
    name: Mapped[str]
    default: Mapped[int]
    latest: Mapped[int]
    made: Mapped[int]


class LaunchTemplateVersion(Listed, Record):
    """`version` counts within the template. `data` is EC2's LaunchTemplateData. The id is nobody's but ours."""

    __tablename__ = "launch_template_version"
    __table_args__ = (UniqueConstraint("template_id", "version"),)
    template_id: Mapped[str]
    version: Mapped[int]
    description: Mapped[str | None]
    data: Mapped[dict[str, Any]]
    template: Mapped[LaunchTemplate] = relationship(
        primaryjoin="foreign(LaunchTemplateVersion.template_id) == LaunchTemplate.id", viewonly=True, lazy="joined"
    )


class Console(Record):
    """The newest serial console text that the engine has seen of an instance."""

    __tablename__ = "console"
    instance_id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[bytes] = mapped_column(LargeBinary)
    seen_at: Mapped[datetime]


class Screen(Record):
    """The newest picture of an instance's screen, a JPEG; None where the machine has no screen."""

    __tablename__ = "screen"
    instance_id: Mapped[str] = mapped_column(primary_key=True)
    picture: Mapped[bytes | None] = mapped_column(LargeBinary)


class KeyPair(Listed, Record):
    __tablename__ = "key_pair"
    __table_args__ = (UniqueConstraint("account_id", "name"),)
    name: Mapped[str]
    type: Mapped[str]
    fingerprint: Mapped[str]
    public_key: Mapped[str]


class Tag(Record):
    __tablename__ = "tag"
    __table_args__ = (Index("ix_tag_account_key_value", "account_id", "key", "value"),)
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    account_id: Mapped[str]
    resource_type: Mapped[str]


class ClientToken(Record):
    """What was answered to an idempotency token: the same request gets it again."""

    __tablename__ = "client_token"
    account_id: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    response: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


def forget_tags(db: Session, resource_id: str) -> None:
    """A record that goes takes its tags with it."""
    db.execute(delete(Tag).where(Tag.resource_id == resource_id), execution_options={"concerns": (resource_id,)})
