"""Snapshots written and read block by block with boto3's own client: bytes, lists, pages, tokens, lineages, times, accounts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ec2gw.backend import ports
from ec2gw.door import signature
from ec2gw.ebs import server
from ec2gw.state import records
from tests.backend.disks import content, same
from tests.ebs.house import BLOCK, STORES, House, block, checksum, linear
from tests.ebs.test_errors import absent, invalid, refusal

A, B, C, ZERO = block("a"), block("b"), block("c"), bytes(BLOCK)


@pytest.fixture(params=STORES)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house of each kind of store."""
    made = House(tmp_path, request.param)
    yield made
    made.close()


@pytest.fixture
def slow_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the clients may be behind that of the house, which is moved."""
    monkeypatch.setattr(signature, "SKEW", timedelta(days=30))


def changes(house: House, first: str, second: str, **more: Any) -> dict[int, tuple[bool, bool]]:
    """By number: whether the first snapshot has the block, and whether the second has."""
    said = house.client().list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second, **more)
    return {row["BlockIndex"]: ("FirstBlockToken" in row, "SecondBlockToken" in row) for row in said["ChangedBlocks"]}


# -- from the first block to a volume -----------------------------------------------------------------------------------------


def test_a_snapshot_is_written_block_by_block_and_volumes_are_made_of_it(either: House) -> None:
    ebs, ec2 = either.client(), either.client(service="ec2")
    tags = [{"Key": "suite", "Value": "blocks"}]
    started = ebs.start_snapshot(VolumeSize=1, Description="mine", Tags=tags)
    snapshot = started["SnapshotId"]
    assert started["ResponseMetadata"]["HTTPStatusCode"] == 201
    shown = either.shown(snapshot)
    assert started.items() >= {
        "Status": "pending", "OwnerId": either.first.account_id, "VolumeSize": 1, "BlockSize": BLOCK, "Description": "mine",
        "Tags": tags,
    }.items()  # fmt: skip
    assert abs((started["StartTime"] - shown["StartTime"]).total_seconds()) < 0.01
    assert shown.items() >= {
        "State": "pending", "Progress": "0%", "VolumeId": "vol-ffffffff", "Description": "mine", "Tags": tags,
    }.items()  # fmt: skip
    either.put(snapshot, 0, A, Progress=10)
    either.put(snapshot, 0, A)
    either.put(snapshot, 0, B)  # takes its place
    for number, data in ((3, A), (7, ZERO)):
        either.put(snapshot, number, data)
    put = either.put(snapshot, 2047, C, Progress=99)
    assert (put["Checksum"], put["ChecksumAlgorithm"], put["ResponseMetadata"]["HTTPStatusCode"]) == (checksum(C), "SHA256", 201)
    whole = {"ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR", "Checksum": linear(B, A, ZERO, C)}
    done = ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=4, **whole)
    assert (done["Status"], done["ResponseMetadata"]["HTTPStatusCode"]) == ("pending", 202)
    assert either.settled(snapshot).items() >= {"State": "completed", "Progress": "100%"}.items()
    assert either.staging.snapshots() == set()
    assert either.read(snapshot) == {0: B, 3: A, 7: ZERO, 2047: C}

    volume = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    assert same(content(either.store, volume, 8 * BLOCK), B + 2 * ZERO + A + 4 * ZERO)
    image = ec2.register_image(
        Name="uploaded",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )
    assert image["ImageId"].startswith("ami-")

    for count in (4, 1):  # what comes after the end changes nothing
        assert ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=count)["Status"] == "completed"
    late = invalid("Snapshot is already completed", "INVALID_SNAPSHOT_ID")
    wish = {"DataLength": BLOCK, "Checksum": checksum(A), "ChecksumAlgorithm": "SHA256"}
    assert refusal(ebs.put_snapshot_block, SnapshotId=snapshot, BlockIndex=9, BlockData=A, **wish) == late
    assert either.read(snapshot).keys() == {0, 3, 7, 2047}


def test_what_is_written_lies_over_the_parent(either: House) -> None:
    ebs = either.client()
    root = either.upload({0: A, 3: A, 7: B})
    child = either.upload({0: ZERO, 5: C}, ParentSnapshotId=root, VolumeSize=2)
    sibling = either.upload({3: C}, ParentSnapshotId=root)
    assert either.read(child) == {0: ZERO, 3: A, 5: C, 7: B}
    assert either.shown(child)["VolumeSize"] == 2
    assert changes(either, root, child) == {0: (True, True), 5: (False, True)}
    assert changes(either, child, root) == {0: (True, True), 5: (True, False)}
    assert changes(either, child, sibling) == {0: (True, True), 3: (True, True), 5: (True, False)}
    assert changes(either, root, root) == {}
    assert changes(either, root, child, StartingBlockIndex=1) == {5: (False, True)}
    listed = ebs.list_changed_blocks(FirstSnapshotId=root, SecondSnapshotId=child)
    assert (listed["VolumeSize"], listed["BlockSize"]) == (2, BLOCK)
    row = listed["ChangedBlocks"][0]
    for snapshot, which, data in ((root, "First", A), (child, "Second", ZERO)):
        got = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=0, BlockToken=row[f"{which}BlockToken"])
        assert got["BlockData"].read() == data
    small = invalid("The volume size 1 is smaller than the parent snapshot's, 2.", "INVALID_VOLUME_SIZE")
    assert refusal(ebs.start_snapshot, VolumeSize=1, ParentSnapshotId=child) == small

    either.client(service="ec2").delete_snapshot(SnapshotId=root)  # the children have all they need
    assert either.read(child) == {0: ZERO, 3: A, 5: C, 7: B}
    assert changes(either, child, sibling).keys() == {0, 3, 5}
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=root) == absent(root)


def test_a_parent_that_is_deleted_lasts_until_its_child_is_made(either: House) -> None:
    ebs, ec2 = either.client(), either.client(service="ec2")
    root = either.upload({0: A})
    child = ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=root)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=root)
    either.wake(root)
    either.put(child, 1, B)
    ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=1)
    assert either.settled(child)["State"] == "completed"
    assert either.read(child) == {0: A, 1: B}
    either.wake(root)
    assert set(either.store.observe()) == {child}


def test_snapshots_of_volumes_are_read_and_compared(either: House) -> None:
    ebs, ec2 = either.client(), either.client(service="ec2")
    base = either.upload({0: A, 9: B})
    volume = ec2.create_volume(SnapshotId=base, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    cut = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert either.settled(cut)["State"] == "completed"
    assert either.read(cut) == {0: A, 9: B}
    assert changes(either, base, cut) == {}
    copied = ec2.copy_snapshot(SourceSnapshotId=cut, SourceRegion="us-east-1")["SnapshotId"]
    assert either.settled(copied)["State"] == "completed"
    child = either.upload({9: C}, ParentSnapshotId=copied)
    assert changes(either, base, child) == {9: (True, True)}
    assert refusal(ebs.complete_snapshot, SnapshotId=cut, ChangedBlocksCount=0)[1] == "INVALID_SNAPSHOT_ID"


# -- lists ---------------------------------------------------------------------------------------------------------------------


def test_pages(house: House, ebs: Any) -> None:
    root = house.upload({})
    child = ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=root)["SnapshotId"]
    numbers = range(0, 2 * 250, 2)
    for number in numbers:
        with house.database.write() as tx:  # 250 blocks by the wire would take a while
            tx.db.add(records.UploadBlock(snapshot_id=child, number=number, checksum=b"same"))
        house.staging.put(child, number, b"same", b"%d" % number)
    ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=len(numbers))
    assert house.settled(child)["State"] == "completed"
    for call, row, more in (
        (ebs.list_snapshot_blocks, "Blocks", {"SnapshotId": child}),
        (ebs.list_changed_blocks, "ChangedBlocks", {"FirstSnapshotId": root, "SecondSnapshotId": child}),
    ):
        pages: list[list[int]] = []
        token: dict[str, str] = {}
        while True:
            said = call(**more, MaxResults=100, **token)
            pages.append([block["BlockIndex"] for block in said[row]])
            if "NextToken" not in said:
                break
            token = {"NextToken": said["NextToken"]}
        assert [len(page) for page in pages] == [100, 100, 50]
        assert [number for page in pages for number in page] == list(numbers)
        assert call(**more, MaxResults=100, StartingBlockIndex=7, **token)[row][0]["BlockIndex"] == 400
        assert len(call(**more)[row]) == 250
        other = {**more, **dict.fromkeys(more, root)}
        bad = invalid(f"The pagination token {token['NextToken']} is invalid.", "INVALID_PAGE_TOKEN")
        assert refusal(call, **other, **token) == bad
        assert refusal(call, **more, NextToken="B" + token["NextToken"][1:])[1] == "INVALID_PAGE_TOKEN"


def test_a_list_begins_where_it_is_told(house: House, ebs: Any) -> None:
    snapshot = house.upload({0: A, 3: B, 2047: C})
    for begin, numbers in ((0, [0, 3, 2047]), (1, [3, 2047]), (2047, [2047]), (2048, [])):
        said = ebs.list_snapshot_blocks(SnapshotId=snapshot, StartingBlockIndex=begin)
        assert [row["BlockIndex"] for row in said["Blocks"]] == numbers
        left = (said["ExpiryTime"] - house.database.clock()).total_seconds()
        assert 584_990 < left <= 585_000 if numbers else -10 < left <= 0
    _, headers, said = house.send("GET", f"/snapshots/{snapshot}/blocks")
    assert headers["Content-Type"] == "application/json"
    assert list(said) == ["BlockSize", "Blocks", "ExpiryTime", "NextToken", "VolumeSize"]
    assert said["NextToken"] is None


def test_an_empty_snapshot(house: House) -> None:
    assert house.read(house.upload({})) == {}


# -- tokens --------------------------------------------------------------------------------------------------------------------


def test_a_block_token_opens_its_block_alone_and_not_for_ever(house: House, ebs: Any, slow_clients: None) -> None:
    snapshot, other = house.upload({0: A, 3: B}), house.upload({0: A, 3: B})
    old = {row["BlockIndex"]: row["BlockToken"] for row in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]}
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]{1,256}", token) for token in old.values())

    def get(token: str, snapshot: str = snapshot, number: int = 0, ebs: Any = ebs) -> Any:
        return ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=number, BlockToken=token)

    def bad(token: str, **more: Any) -> None:
        wanted = invalid(f"The block token {token} is invalid.", "INVALID_BLOCK_TOKEN")
        assert refusal(get, token=token, **more) == wanted

    house.later(days=1)
    ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert get(old[0])["BlockData"].read() == A
    bad(old[0], number=3)
    bad(old[0], number=1)
    bad(old[0], number=2048)
    bad(old[0], snapshot=other)
    bad("invalid")
    bad(old[0][:-4])
    for place in (0, 12, len(old[0]) - 2):
        bad(old[0][:place] + ("A" if old[0][place] != "A" else "B") + old[0][place + 1 :])
    with house.database.write() as tx:
        tx.db.add(records.Permission(resource_id=snapshot, grantee=house.second.account_id))
    bad(old[0], ebs=house.client(house.second))
    house.later(days=6)
    bad(old[0])
    assert house.read(snapshot) == {0: A, 3: B}


# -- accounts ------------------------------------------------------------------------------------------------------------------


def test_accounts_see_what_is_theirs_or_shared(house: House, ebs: Any) -> None:
    other, ec2 = house.client(house.second), house.client(service="ec2")
    snapshot, pending = house.upload({0: A}), ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    (row,) = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    wish = {"DataLength": BLOCK, "Checksum": checksum(A), "ChecksumAlgorithm": "SHA256", "BlockIndex": 1, "BlockData": A}
    assert refusal(other.list_snapshot_blocks, SnapshotId=snapshot) == absent(snapshot)
    assert refusal(other.list_changed_blocks, FirstSnapshotId=snapshot, SecondSnapshotId=snapshot) == absent(snapshot)
    assert refusal(other.get_snapshot_block, SnapshotId=snapshot, **row) == absent(snapshot)
    assert refusal(other.start_snapshot, VolumeSize=1, ParentSnapshotId=snapshot) == absent(snapshot)
    assert refusal(other.put_snapshot_block, SnapshotId=pending, **wish) == absent(pending)
    assert refusal(other.complete_snapshot, SnapshotId=pending, ChangedBlocksCount=0) == absent(pending)
    assert house.staging.snapshots() == set()

    for shared in (snapshot, pending):
        ec2.modify_snapshot_attribute(
            SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", UserIds=[house.second.account_id]
        )
    assert house.read(snapshot, house.second) == {0: A}
    denied = ("AccessDeniedException", "UNAUTHORIZED_ACCOUNT", f"The snapshot '{pending}' belongs to another account.", 403)
    assert refusal(other.put_snapshot_block, SnapshotId=pending, **wish) == denied
    assert refusal(other.complete_snapshot, SnapshotId=pending, ChangedBlocksCount=0) == denied
    assert house.shown(pending)["State"] == "pending"


# -- the same request again ----------------------------------------------------------------------------------------------------


def test_a_client_token_starts_one_snapshot(house: House, ebs: Any) -> None:
    wish = {"VolumeSize": 1, "ClientToken": "once", "Description": "first"}
    first = ebs.start_snapshot(**wish)
    conflict = ("ConflictException", None, "Current request does not match request stored with this token.", 409)
    assert refusal(ebs.start_snapshot, **{**wish, "Description": "second"}) == conflict
    ebs.complete_snapshot(SnapshotId=first["SnapshotId"], ChangedBlocksCount=0)
    house.settled(first["SnapshotId"])
    again = ebs.start_snapshot(**wish)  # as it was answered then, as on AWS
    assert {**again, "ResponseMetadata": None} == {**first, "ResponseMetadata": None}
    assert house.client(house.second).start_snapshot(**wish)["SnapshotId"] != first["SnapshotId"]


def test_many_at_once_write_one_block(house: House, ebs: Any) -> None:
    """Whoever is last, the record, the bytes and what is on the host agree."""
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda n: house.put(snapshot, n % 2, block("abcdef"[n % 6])), range(24)))
    with house.database.read() as tx:
        rows = {row.number: row.checksum for row in tx.db.query(records.UploadBlock)}
    assert rows.keys() == {0, 1}
    assert {path.name for path in house.staging.path(snapshot, 0, b"").parent.iterdir()} == {
        f"{number}-{checksum.hex()}" for number, checksum in rows.items()
    }
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=2)
    assert house.settled(snapshot)["State"] == "completed"
    assert len(house.read(snapshot)) == 2


def test_an_account_has_so_many_uploads_at_a_time(house: House, ebs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ec2gw.cloud.uploads.MOST", 2)
    for _ in range(2):
        ebs.start_snapshot(VolumeSize=1)
    said = "You have reached the limit for concurrent pending snapshots."
    assert refusal(ebs.start_snapshot, VolumeSize=1) == ("ConcurrentLimitExceededException", None, said, 400)
    assert house.client(house.second).start_snapshot(VolumeSize=1)["Status"] == "pending"


# -- how uploads end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "summed", "message"),
    [
        (2, None, "Changed blocks count mismatch for snapshot"),
        (0, None, "Changed blocks count mismatch for snapshot"),
        (1, linear(B), "Checksum mismatch for snapshot"),
        (1, checksum(checksum(A).encode()), "Checksum mismatch for snapshot"),
        (1, "A", "Checksum mismatch for snapshot"),
    ],
)
def test_what_does_not_add_up_ends_in_error(house: House, ebs: Any, count: int, summed: str | None, message: str) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    house.put(snapshot, 0, A)
    more = {"Checksum": summed, "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"} if summed else {}
    assert ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=count, **more)["Status"] == "pending"
    ended(house, snapshot, message)


def test_an_upload_that_nobody_goes_on_with_is_given_up(house: House, ebs: Any, slow_clients: None) -> None:
    idle = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    slow = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    long = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    house.later(minutes=9)
    house.put(slow, 0, A)  # from here on it has its time again
    house.later(minutes=2)
    for snapshot in (idle, slow, long):
        house.wake(snapshot)
    ended(house, idle, "Snapshot timed out")
    assert house.shown(slow)["State"] == "pending"
    house.later(minutes=9)
    house.wake(slow)
    ended(house, slow, "Snapshot timed out")
    house.later(minutes=50)
    house.wake(long)
    ended(house, long, "Snapshot timed out")


def ended(house: House, snapshot: str, message: str) -> None:
    """The snapshot is in error for this reason, and nothing of it is left or can be done with it but delete it."""
    ebs = house.client()
    shown = house.settled(snapshot)
    assert (shown["State"], shown["StateMessage"], shown["Progress"]) == ("error", message, "0%")
    house.wake(snapshot)
    assert snapshot not in house.staging.snapshots()
    assert house.store.observe() == {}
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot) == absent(snapshot)
    assert refusal(house.put, snapshot=snapshot, number=0, data=A) == absent(snapshot)
    assert refusal(ebs.start_snapshot, VolumeSize=1, ParentSnapshotId=snapshot) == absent(snapshot)
    assert ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)["Status"] == "error"
    house.client(service="ec2").delete_snapshot(SnapshotId=snapshot)
    house.wake(snapshot)
    with house.database.read() as tx:
        assert not tx.db.query(records.Snapshot).filter_by(id=snapshot).all()
        assert not tx.db.query(records.Upload).filter_by(snapshot_id=snapshot).all()
        assert not tx.db.query(records.UploadBlock).filter_by(snapshot_id=snapshot).all()


def test_an_upload_is_deleted_on_the_way(house: House, ebs: Any) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    house.put(snapshot, 0, A)
    house.client(service="ec2").delete_snapshot(SnapshotId=snapshot)
    house.wake(snapshot)
    assert house.staging.snapshots() == set()
    assert refusal(house.put, snapshot=snapshot, number=0, data=A) == absent(snapshot)
    house.staging.put(snapshot, 0, b"late", A)  # from before, on the way until now
    house.engine._performer.sweep()
    assert house.staging.snapshots() == set()


# -- trouble -------------------------------------------------------------------------------------------------------------------


def test_trouble_on_the_host_is_told_blandly_and_can_be_tried_again(
    house: House, ebs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = house.upload({0: A})
    trouble = ("InternalServerException", None, "An internal error has occurred.", 500)
    pending = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]

    def fail(*_: object) -> None:
        raise ports.HostError("/secret/path: no space left")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "extents", fail)
        patch.setattr(house.staging, "put", fail)
        assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot) == trouble
        assert refusal(house.put, snapshot=pending, number=0, data=A) == trouble
    with monkeypatch.context() as patch:
        patch.setattr(house.blocks, "written", lambda *_: 1 / 0)
        assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot) == trouble
    house.put(pending, 0, A)
    assert house.read(snapshot) == {0: A}


def test_a_host_that_hangs_holds_up_nobody_for_ever(house: House, ebs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = house.upload({0: A})
    release = threading.Event()
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    monkeypatch.setattr(server, "MOST_INSIDE", 3)
    late = ("InternalServerException", None, "The request could not be answered in time.", 500)
    busy = ("RequestThrottledException", "RESOURCE_LEVEL_THROTTLE", "Too many requests at a time.", 400)
    with monkeypatch.context() as patch:
        patch.setattr(house.blocks, "written", lambda *_: release.wait(20) and [0])
        with ThreadPoolExecutor(6) as crowd:
            said = [
                job.result() for job in [crowd.submit(refusal, ebs.list_snapshot_blocks, SnapshotId=snapshot) for _ in range(6)]
            ]
        assert sorted(set(said)) == sorted({late, busy})
        assert house.client(service="ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        release.set()
    deadline = time.monotonic() + 10
    monkeypatch.setattr(server, "PATIENCE", 10)
    while time.monotonic() < deadline and house.server._inside:
        time.sleep(0.01)
    assert house.read(snapshot) == {0: A}


def test_what_is_counted(house: House, ebs: Any) -> None:
    snapshot = house.upload({0: A})
    refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot, MaxResults=1)
    value = house.registry.get_sample_value
    assert value("ec2gw_ebs_requests_total", {"action": "PutSnapshotBlock", "code": "OK"}) == 1
    assert value("ec2gw_ebs_requests_total", {"action": "ListSnapshotBlocks", "code": "ValidationException"}) == 1
    assert (value("ec2gw_ebs_request_seconds_count", {"action": "PutSnapshotBlock"}) or 0) == 1
