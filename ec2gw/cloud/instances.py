"""The verbs of instances: wishes of the faces, then facts of the engine. Only this module changes their records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm.attributes import set_committed_value

from ec2gw.cloud import images, interfaces, limits, lookup, placement, root_volumes, volumes
from ec2gw.model import bdm, errors, ids, instance_types, lifecycle
from ec2gw.state import records
from ec2gw.state.records import Attachment, Console, Image, Instance, KeyPair, PlacementGroup, Screen, Volume
from ec2gw.state.session import Transaction

MOST_AT_ONCE = 1_000  # instances of one launch
_BY_ID = select(Instance).where(Instance.id == bindparam("id"))  # built once, for every fact of the engine

BY_USER = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
BY_GUEST = ("Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
BY_HOST = ("Server.InternalError", "Server.InternalError: Internal error on launch")
DIED = ("Server.InternalError", "Server.InternalError: The machine ended unexpectedly")
BAD_VOLUME = ("Client.InternalError", "Client.InternalError: Client error on launch")


@dataclass(frozen=True)
class Launch:
    """What RunInstances says of the instances, beside how many.

    `image` is as `images.usable` gives it. `patience` is how long their guests have to obey, in seconds. `cores` and `threads`
    None are the type's own. `options` are kept for the faces.
    """

    image: Image
    type: str
    patience: int
    lines: tuple[bdm.Line, ...] = ()
    network: interfaces.Wish = field(default_factory=interfaces.Wish)
    zone: str | None = None
    zones: tuple[str, ...] = ()
    key_name: str | None = None
    user_data: str | None = None
    client_token: str = ""
    shutdown_behavior: str = "stop"
    disable_api_termination: bool = False
    disable_api_stop: bool = False
    monitoring: bool = False
    ebs_optimized: bool = False
    cores: int | None = None
    threads: int | None = None
    group: PlacementGroup | None = None
    partition: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """An instance whose state a wish may have changed, and the state before."""

    instance: Instance
    before: str


# -- wishes ---------------------------------------------------------------------------------------------------------------------


def launch(tx: Transaction, account_id: str, wish: Launch, count: int, least: int | None = None) -> list[Instance]:
    """Wish for `count` instances, each with volumes of its own; fewer, but `least`, where there is no room for all
    (API_RunInstances).
    """
    least = count if least is None else least
    if least > MOST_AT_ONCE:
        raise errors.LimitExceeded("instance-limit", requested=least, room=MOST_AT_ONCE)
    image = wish.image
    kind = instance_types.find(wish.type)
    kind.check_runs(image.architecture, image.virtualization_type)
    if wish.key_name is not None:
        _check_key(tx, account_id, wish.key_name)
    images.launched(tx, image)
    assert image.root_device_name is not None
    disks, scratch = bdm.resolve(
        [bdm.from_json(line) for line in image.mapping],
        wish.lines,
        image.root_device_name,
        lambda wanted: _sources(tx, account_id, image, wanted),
        virtualization=image.virtualization_type,
        storage=kind.disks,
        most_volumes=volumes.MOST_ATTACHMENTS,
    )
    existing = {id: volumes.find(tx, account_id, id) for disk in disks if (id := disk.volume_id)}
    if existing and count > 1:
        raise errors.Conflict("invalid-combination", message="An existing volume cannot be mapped to more than one instance")
    zones = [*(volume.zone for volume in existing.values()), *wish.zones]
    network = interfaces.resolve(tx, account_id, wish.network, wish.zone, zones, wish.type, count)
    room = min(MOST_AT_ONCE, interfaces.room(network), placement.room(tx, wish.group, network.zone))
    count = int(min(count, max(least, room)))
    count = limits.room_for_instances(tx, account_id, least, count)
    reservation_id = ids.new("r")
    launched = [_launch_one(tx, account_id, wish, network.zone, reservation_id, index, scratch) for index in range(count)]
    for instance in launched:
        set_committed_value(instance, "attachments", [volumes.launch(tx, instance, disk) for disk in disks])
    interfaces.launch(tx, network, launched)
    return launched


def _launch_one(
    tx: Transaction,
    account_id: str,
    wish: Launch,
    zone: str,
    reservation_id: str,
    index: int,
    scratch: Sequence[bdm.Scratch],
) -> Instance:
    id, image = ids.new("i"), wish.image
    instance = Instance(
        id=id,
        account_id=account_id,
        created_at=tx.now,
        reservation_id=reservation_id,
        launch_index=index,
        image_id=image.id,
        type=wish.type,
        zone=zone,
        key_name=wish.key_name,
        root_device_name=image.root_device_name,
        state="pending",
        state_reason_code="pending",
        state_reason="pending",
        transition_reason="",
        launched_at=tx.now,
        wished_at=tx.now,
        boots=1,
        ran=False,
        grace=wish.patience,
        user_data=wish.user_data,
        client_token=wish.client_token,
        disable_api_termination=wish.disable_api_termination,
        disable_api_stop=wish.disable_api_stop,
        shutdown_behavior=wish.shutdown_behavior,
        monitoring=wish.monitoring,
        ebs_optimized=wish.ebs_optimized,
        architecture=image.architecture,
        virtualization_type=image.virtualization_type,
        scratch=[
            {
                "name": f"eph-{id[2:]}-{disk.virtual}",
                "device": disk.device,
                "virtual": disk.virtual,
                "slot": disk.slot,
                "size": disk.size,
            }
            for disk in scratch
        ],
        cores=wish.cores,
        threads=wish.threads,
        options={name: image.options[name] for name in images.INHERITED if name in image.options} | dict(wish.options),
    )
    tx.db.add(instance)
    placement.join(tx, wish.group, instance, wish.partition)
    tx.touch(id)
    return instance


def start(tx: Transaction, account_id: str, wanted: Sequence[str], patience: int) -> list[Change]:
    """Wish stopped instances on (API_StartInstances); running ones stay as they are."""

    def begin(instance: Instance) -> None:
        if not any(row.slot == 0 and row.state != "detaching" for row in instance.attachments):
            raise errors.Invalid("instance-without-root", instance=instance.id, device=instance.root_device_name)
        instance.boots += 1
        instance.launched_at = tx.now
        instance.grace = patience
        instance.state_reason_code = instance.state_reason = None
        instance.transition_reason = ""

    rows = lookup.many(tx, Instance, "i", account_id, wanted)
    more = sum(row.state == "stopped" for row in rows)
    limits.room_for_instances(tx, account_id, more, more)
    return _each(tx, account_id, wanted, "start", "instance-not-startable", begin, rows)


def stop(tx: Transaction, account_id: str, wanted: Sequence[str], patience: int) -> list[Change]:
    """Wish instances off (API_StopInstances); `patience` 0 is a forced stop."""
    rows = lookup.many(tx, Instance, "i", account_id, wanted)
    for row in rows:
        if row.state == "pending":
            raise errors.WrongState("instance-never-ran" if not row.ran else "instance-not-stoppable", instance=row.id)
        if row.disable_api_stop and row.state == "running":
            raise errors.NotPermitted("stop-protected", instance=row.id)
    _hurry(tx, rows, patience)
    return _each(tx, account_id, wanted, "stop", "instance-not-stoppable", lambda row: _say_by_user(tx, row, patience), rows)


def reboot(tx: Transaction, account_id: str, wanted: Sequence[str]) -> None:
    """Wish for another boot of running instances (API_RebootInstances); those not yet on, and those going, are passed over."""
    for change in _each(tx, account_id, wanted, "reboot", "instance-not-rebootable", lambda instance: None):
        if change.before == "running":
            change.instance.boots += 1
            change.instance.wished_at = tx.now
            tx.touch(change.instance.id)


def terminate(tx: Transaction, account_id: str, wanted: Sequence[str], patience: int) -> list[Change]:
    """Wish instances gone (API_TerminateInstances). Where one of them is protected, none goes."""
    rows = lookup.many(tx, Instance, "i", account_id, wanted)
    for row in rows:
        if row.state in ("terminated", "shutting-down"):
            continue
        if row.disable_api_termination:
            raise errors.NotPermitted("termination-protected", instance=row.id, attribute="disableApiTermination")
        if row.disable_api_stop:
            raise errors.NotPermitted("termination-protected", instance=row.id, attribute="disableApiStop")
    _hurry(tx, rows, patience)
    return _each(tx, account_id, wanted, "terminate", "instance-wrong-state", lambda row: _say_by_user(tx, row, patience), rows)


def _each(
    tx: Transaction,
    account_id: str,
    wanted: Sequence[str],
    event: str,
    refusal: str,
    do: Callable[[Instance], None],
    rows: Sequence[Instance] | None = None,
) -> list[Change]:
    """Send a wish to all or to none. `do` is told where the state changes."""
    changes = []
    rows = rows if rows is not None else lookup.many(tx, Instance, "i", account_id, wanted)
    for row in rows:
        state = lifecycle.after(lifecycle.INSTANCE, row.state, event)
        if state is None:
            raise errors.WrongState(refusal, instance=row.id, state=row.state)
        before = row.state
        if state != before:
            do(row)
            row.state = state
            row.wished_at = tx.now
            tx.touch(row.id)
        changes.append(Change(row, before))
    return changes


def _hurry(tx: Transaction, rows: Sequence[Instance], patience: int) -> None:
    """A guest that is being shut down has no longer to obey than the newest wish says: a forced stop may follow a plain one."""
    for row in rows:
        if row.state in ("stopping", "shutting-down") and patience < row.grace:
            row.grace = patience
            tx.touch(row.id)


def _say_by_user(tx: Transaction, instance: Instance, patience: int) -> None:
    instance.state_reason_code, instance.state_reason = BY_USER
    instance.transition_reason = f"User initiated ({tx.now:%Y-%m-%d %H:%M:%S} GMT)"
    instance.grace = patience


def find(tx: Transaction, account_id: str, instance_id: str) -> Instance:
    """The account's instance, terminated ones included."""
    return lookup.one(tx, Instance, "i", account_id, instance_id)


def changeable(tx: Transaction, account_id: str, instance_id: str) -> Instance:
    """The account's instance, unless it has ended: then nothing of it changes any more."""
    row = find(tx, account_id, instance_id)
    if row.state == "terminated":
        raise errors.WrongState("instance-wrong-state", instance=row.id, state=row.state)
    return row


def disks(tx: Transaction, instance: Instance) -> list[tuple[Attachment, Volume]]:
    """The volumes at an instance by slot, the root first."""
    wanted = [row.volume_id for row in instance.attachments]
    found = {row.id: row for row in tx.db.scalars(select(Volume).where(Volume.id.in_(wanted)))}
    return [(row, found[row.volume_id]) for row in instance.attachments]


def keep_volumes(tx: Transaction, instance: Instance, device: str, delete_on_termination: bool, volume_id: str | None) -> None:
    """Change whether the volume at a device goes with the instance (API_ModifyInstanceAttribute, BlockDeviceMapping)."""
    row = next((row for row in instance.attachments if bdm.same(row.device, device)), None)
    if row is None or volume_id not in (None, row.volume_id):
        raise errors.Invalid("no-device-mapped", device=device)
    row.delete_on_termination = delete_on_termination


def change(instance: Instance, **values: object) -> None:
    """Change attributes: columns of the record by their names, the others among its options."""
    for name, value in values.items():
        if name in Instance.__table__.columns:
            setattr(instance, name, value)
        else:
            instance.options = instance.options | {name: value}


def retype(instance: Instance, kind: instance_types.InstanceType, **options: object) -> None:
    """Make an instance of another type; what was chosen of the old type's CPU is forgotten. `options` None are none."""
    instance.type, instance.cores, instance.threads = kind.name, None, None
    instance.options = {name: value for name, value in (instance.options | options).items() if value is not None}


def must_be_stopped(instance: Instance) -> None:
    """Raise unless the instance is stopped: what the machine is made from changes only then."""
    if instance.state != "stopped":
        raise errors.WrongState("instance-not-stopped", instance=instance.id)


# -- facts ----------------------------------------------------------------------------------------------------------------------


def started(tx: Transaction, instance_id: str, disks: Collection[str]) -> None:
    """The machine of the generation asked for is on, with these disks."""
    instance = _tell(tx, instance_id, "started")
    if instance:
        instance.ran = True
        instance.impaired_since = None
        interfaces.started(tx, instance_id)
        instance.state_reason_code = instance.state_reason = None
        for row in instance.attachments:
            if row.volume_id in disks:
                volumes.plugged(tx, row.volume_id)


def failed(tx: Transaction, instance_id: str, reason: tuple[str, str]) -> None:
    """The machine cannot be started: a first launch ends, a later start goes back to stopped."""
    row = _row(tx, instance_id)
    if row and _tell(tx, instance_id, "failed-again" if row.ran else "failed"):
        _say(row, reason)
        row.wished_at = tx.now


def unreachable(tx: Transaction, instance_id: str) -> None:
    """The machine of an instance that ran cannot be had on again. It is tried on and on, for the wish is that it runs."""
    row = _row(tx, instance_id)
    if row and row.state == "running" and row.impaired_since is None:
        row.impaired_since = tx.now


def reachable(tx: Transaction, instance_id: str) -> None:
    """The machine is on again after all."""
    row = _row(tx, instance_id)
    if row:
        row.impaired_since = None


def halted(tx: Transaction, instance_id: str, *, by_guest: bool) -> None:
    """The machine went off by itself."""
    row = _row(tx, instance_id)
    for_good = by_guest and row is not None and row.shutdown_behavior == "terminate"
    if row and _tell(tx, instance_id, "halted-for-good" if for_good else "halted"):
        _say(row, BY_GUEST if by_guest else DIED)
        row.wished_at = tx.now


def stopped(tx: Transaction, instance_id: str) -> None:
    """The machine is off and its scratch disks are gone. Volumes on their way in or out have arrived."""
    instance = _tell(tx, instance_id, "stopped")
    if instance:
        for row in list(instance.attachments):
            if row.state in ("detaching", "busy"):
                volumes.unplugged(tx, row.volume_id)
            else:
                volumes.plugged(tx, row.volume_id)


def ended(tx: Transaction, instance_id: str) -> None:
    """Nothing is left of the machine: the volumes that go with it are to be deleted, the others are free."""
    instance = _tell(tx, instance_id, "ended")
    if instance:
        instance.ended_at = tx.now
        interfaces.release(tx, instance_id)
        root_volumes.abandon(tx, instance_id)
        for row in list(instance.attachments):
            volumes.unplugged(tx, row.volume_id, reclaim=row.delete_on_termination and row.state not in ("detaching", "busy"))


def forget(tx: Transaction, instance_id: str) -> None:
    """The last trace of a terminated instance goes, about an hour after its end (API_DescribeInstances)."""
    row = _row(tx, instance_id)
    if row and row.state == "terminated":
        for seen in (tx.db.get(Console, instance_id), tx.db.get(Screen, instance_id)):
            if seen:
                tx.db.delete(seen)
        root_volumes.forget(tx, instance_id)
        records.forget_tags(tx.db, instance_id)
        tx.db.delete(row)


def heard(tx: Transaction, instance_id: str, text: bytes) -> None:
    """The newest console text."""
    tx.db.merge(Console(instance_id=instance_id, text=text, seen_at=tx.now))


def saw(tx: Transaction, instance_id: str, picture: bytes | None) -> None:
    """What the screen shows now; None where there is no screen."""
    tx.db.merge(Screen(instance_id=instance_id, picture=picture))


def sees_nothing(tx: Transaction, instance_id: str) -> None:
    """The screen cannot be seen, and an old picture of it would be taken for what it shows now."""
    screen = tx.db.get(Screen, instance_id)
    if screen:
        tx.db.delete(screen)


def _row(tx: Transaction, instance_id: str) -> Instance | None:
    return tx.db.scalars(_BY_ID, {"id": instance_id}).one_or_none()


def _tell(tx: Transaction, instance_id: str, event: str) -> Instance | None:
    row = _row(tx, instance_id)
    state = lifecycle.after(lifecycle.INSTANCE, row.state, event) if row else None
    if row is None or state is None:
        return None
    row.state = state
    tx.touch(instance_id)
    return row


def _say(row: Instance, reason: tuple[str, str]) -> None:
    row.state_reason_code, row.state_reason = reason
    row.transition_reason = reason[0]


def _check_key(tx: Transaction, account_id: str, name: str) -> None:
    if tx.db.scalar(select(KeyPair.id).where(KeyPair.account_id == account_id, KeyPair.name == name)) is None:
        raise errors.NotFound("not-found", kind="key-pair", ids=[name])


def _sources(tx: Transaction, account_id: str, image: Image, wanted: Sequence[str]) -> Mapping[str, bdm.Source]:
    return images.sources(tx, account_id, wanted, image)
