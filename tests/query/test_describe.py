"""Ids, filters and pages, the same for every Describe."""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy.event
from botocore.exceptions import ClientError

from ec2gw.query import describe
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_server import refusal

BORN = datetime.datetime(2021, 9, 29, 12, 0, 0, 123456, tzinfo=datetime.UTC)


def fill(face: Face, count: int, account_id: str | None = None) -> list[str]:
    """Volumes with ids in no order: numbered sizes, three zones, odd ones in use, tags on every second."""
    ids = [f"vol-{random.getrandbits(68):017x}" for _ in range(count)]
    account_id = account_id or face.first.account_id
    with face.database.write() as tx:
        for index, id in enumerate(ids):
            tx.db.add(
                records.Volume(
                    id=id, account_id=account_id, created_at=BORN + datetime.timedelta(days=index), zone=ZONES[index % 3],
                    size=index + 1, snapshot_id=None, type="gp2", iops=100, encrypted=False,
                    state="in-use" if index % 2 else "available",
                )
            )  # fmt: skip
            if index % 2:
                tx.db.add(
                    records.Attachment(
                        volume_id=id, instance_id=f"i-{index}", device="/dev/sdf", slot=random.getrandbits(31),
                        delete_on_termination=index == 1, state="attached", attach_time=BORN, wished_at=BORN,
                    )
                )  # fmt: skip
            else:
                tag = {"resource_id": id, "account_id": account_id, "resource_type": "volume"}
                tx.db.add(records.Tag(key="Name", value=f"disk {index}", **tag))
                tx.db.add(records.Tag(key="odd*key", value="" if index else "?", **tag))
    return ids


def listed(answer: dict[str, Any]) -> list[str]:
    return [row["VolumeId"] for row in answer["Volumes"]]


# -- filters --------------------------------------------------------------------------------------------------------

# name, values, the indices of the volumes that pass (of six)
FILTERS = [
    ("size", ["1", "3"], [0, 2]),
    ("size", ["01"], []),
    ("size", ["?"], [0, 1, 2, 3, 4, 5]),
    ("status", ["available"], [0, 2, 4]),
    ("status", ["Available"], []),
    ("status", ["avail*", "nothing"], [0, 2, 4]),
    ("status", ["*-*"], [1, 3, 5]),
    ("status", ["in?use"], [1, 3, 5]),
    ("status", ["inuse", "in??use"], []),
    ("availability-zone", ["us-east-1a", "us-east-1b"], [0, 1, 3, 4]),
    ("availability-zone", ["*1c"], [2, 5]),
    ("create-time", ["2021-09-29T12:00:00.123Z"], [0]),
    ("create-time", ["2021-09-29*"], [0]),
    ("create-time", ["2021-09-29T12:00:00.123456Z"], []),
    ("encrypted", ["false"], [0, 1, 2, 3, 4, 5]),
    ("encrypted", ["False"], []),
    ("attachment.delete-on-termination", ["true"], [1]),
    ("attachment.delete-on-termination", ["true", "false"], [1, 3, 5]),
    ("attachment.instance-id", ["i-3"], [3]),
    ("attachment.instance-id", ["i-?"], [1, 3, 5]),
    ("attachment.device", ["*"], [1, 3, 5]),
    ("snapshot-id", [""], [0, 1, 2, 3, 4, 5]),
    ("tag:Name", ["disk 2"], [2]),
    ("tag:Name", ["disk *"], [0, 2, 4]),
    ("tag:Name", ["DISK 2"], []),
    ("tag:name", ["disk 2"], []),
    ("tag:N*", ["disk 2"], []),
    ("tag:odd*key", [""], [2, 4]),
    ("tag:odd*key", ["\\?"], [0]),
    ("tag:odd*key", ["?"], [0]),
    ("tag-key", ["Name"], [0, 2, 4]),
    ("tag-key", ["odd\\*key"], [0, 2, 4]),
    ("tag-key", ["odd\\**"], [0, 2, 4]),
    ("tag-key", ["odd"], []),
    ("tag-value", ["disk 4", "?"], [0, 4]),
]  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str]]]:
    """A client and its six volumes, beside six of another account."""
    face = Face(tmp_path_factory.mktemp("shelf"))
    ids = fill(face, 6)
    fill(face, 6, face.second.account_id)
    yield face.client(), ids
    face.close()


@pytest.mark.parametrize(("name", "values", "passing"), FILTERS)
def test_a_filter_passes_any_of_its_values(
    shelf: tuple[Any, list[str]], name: str, values: list[str], passing: list[int]
) -> None:
    ec2, ids = shelf
    found = listed(ec2.describe_volumes(Filters=[{"Name": name, "Values": values}]))
    assert found == [ids[index] for index in passing]


def test_filters_and_ids_all_have_to_pass(face: Face, ec2: Any) -> None:
    ids = fill(face, 6)
    both = [{"Name": "size", "Values": ["1", "2", "3"]}, {"Name": "status", "Values": ["available"]}]
    assert listed(ec2.describe_volumes(Filters=both)) == [ids[0], ids[2]]
    assert listed(ec2.describe_volumes(Filters=both, VolumeIds=[ids[2], ids[3]])) == [ids[2]]
    assert listed(ec2.describe_volumes(Filters=[both[0], {"Name": "size", "Values": ["3", "4"]}])) == [ids[2]]
    assert listed(ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": [ids[4], f"{ids[5][:-1]}?"]}])) == ids[4:]


@pytest.mark.parametrize(
    ("filters", "code", "message"),
    [
        ([{"Name": "colour", "Values": ["red"]}], "InvalidParameterValue", "The filter 'colour' is invalid"),
        ([{"Name": "Status", "Values": ["red"]}], "InvalidParameterValue", "The filter 'Status' is invalid"),
        ([{"Values": ["red"]}], "InvalidParameterValue", "The filter 'null' is invalid"),
        ([{"Name": "status"}], "MissingParameter", "The request must contain the parameter filter.Value"),
        ([{"Name": "size", "Values": ["1"]}] * 51, "FilterLimitExceeded", None),
        ([{"Name": "size", "Values": [str(n) for n in range(201)]}], "FilterLimitExceeded", None),
        ([{"Name": "size", "Values": ["x" * 1001]}], "InvalidParameterValue", None),
    ],
)
def test_filters_that_are_none(ec2: Any, filters: list[Any], code: str, message: str | None) -> None:
    said = refusal(ec2.describe_volumes, Filters=filters)
    assert said[0] == code
    assert message in (None, said[1])


def test_many_stars_take_no_time(face: Face, ec2: Any) -> None:
    with face.database.write() as tx:
        fill_one = records.KeyPair(
            id="key-1",
            account_id=face.first.account_id,
            created_at=tx.now,
            name="a" * 255,
            type="rsa",
            fingerprint="",
            public_key="",
        )
        tx.db.add(fill_one)
    hostile = "*a" * 120 + "*b"
    assert ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [hostile]}])["KeyPairs"] == []
    kind = "*a" * 120 + "*"
    assert len(ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [kind]}])["KeyPairs"]) == 1


# -- ids ------------------------------------------------------------------------------------------------------------


def test_ids_are_all_there_or_the_call_fails(face: Face, ec2: Any) -> None:
    ids = fill(face, 3)
    (foreign,) = fill(face, 1, face.second.account_id)
    assert sorted(listed(ec2.describe_volumes(VolumeIds=[ids[2], ids[0], ids[2]]))) == sorted([ids[0], ids[2]])
    absent = ("InvalidVolume.NotFound", "The volume 'vol-0abc' does not exist.", 400)
    assert refusal(ec2.describe_volumes, VolumeIds=[ids[0], "vol-0abc"]) == absent
    assert refusal(ec2.describe_volumes, VolumeIds=["vol-0abc"], Filters=[{"Name": "size", "Values": ["9"]}]) == absent
    assert refusal(ec2.describe_volumes, VolumeIds=[foreign])[0] == "InvalidVolume.NotFound"
    malformed = ("InvalidParameterValue", "Value (disk) for parameter volumeId is invalid. Expected: 'vol-...'.", 400)
    assert refusal(ec2.describe_volumes, VolumeIds=["vol-0abc", "disk"]) == malformed


# -- pages ----------------------------------------------------------------------------------------------------------


def pages(ec2: Any, **params: Any) -> Iterator[list[str]]:
    answer = ec2.describe_volumes(**params)
    yield listed(answer)
    while "NextToken" in answer:
        answer = ec2.describe_volumes(NextToken=answer["NextToken"], **params)
        yield listed(answer)


def test_pages_hold_everything_once(face: Face, ec2: Any) -> None:
    ids = fill(face, 23)
    assert [len(page) for page in pages(ec2, MaxResults=5)] == [5, 5, 5, 5, 3]
    assert [id for page in pages(ec2, MaxResults=5) for id in page] == ids
    assert [len(page) for page in pages(ec2, MaxResults=23)] == [23]
    assert [len(page) for page in pages(ec2, MaxResults=1100)] == [23]
    some = [{"Name": "status", "Values": ["avail*"]}]
    assert [id for page in pages(ec2, MaxResults=5, Filters=some) for id in page] == ids[::2]
    rest = ec2.describe_volumes(NextToken=ec2.describe_volumes(MaxResults=5)["NextToken"])
    assert listed(rest) == ids[5:]


def test_pages_go_on_while_others_create_and_delete(face: Face, ec2: Any) -> None:
    ids = fill(face, 20)
    seen: list[str] = []
    gone = [ids[4], ids[9], ids[10], ids[19]]  # the last of a page, and the next of one
    steps = pages(ec2, MaxResults=5)
    for page in steps:
        seen += page
        with face.database.write() as tx:
            for id in gone[:1]:
                row = tx.db.query(records.Volume).filter_by(id=id).one()
                tx.db.delete(row)
            gone = gone[1:]
        fill(face, 1)
        if len(seen) > 40:
            break
    assert len(seen) == len(set(seen))
    lasting = [id for id in ids if id not in (ids[4], ids[9], ids[10], ids[19])]
    assert [id for id in seen if id in lasting] == lasting


def test_a_page_that_would_look_at_too_many_records_ends_early(face: Face, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "BATCH", 10)
    monkeypatch.setattr(describe, "MOST_LOOKED_AT", 20)
    ids = fill(face, 55)
    rare = [{"Name": "create-time", "Values": [f"{BORN + datetime.timedelta(days=54):%Y-%m-%d}*"]}]
    assert list(pages(ec2, MaxResults=5, Filters=rare)) == [[], [], [ids[54]]]
    assert listed(ec2.describe_volumes(Filters=rare)) == [ids[54]]


def test_even_everything_has_an_end(face: Face, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "BATCH", 4)
    monkeypatch.setattr(describe, "MOST_AT_ONCE", 10)
    ids = fill(face, 21)
    assert [len(page) for page in pages(ec2)] == [10, 10, 1]
    assert [id for page in pages(ec2) for id in page] == ids
    assert [len(page) for page in pages(ec2, Filters=[{"Name": "status", "Values": ["avail*"]}])] == [10, 1]


def test_page_sizes(face: Face, ec2: Any) -> None:
    (id,) = fill(face, 1)
    small = "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5."
    assert refusal(ec2.describe_volumes, MaxResults=4) == ("InvalidParameterValue", small, 400)
    assert refusal(ec2.describe_volumes, MaxResults=-1)[0] == "InvalidParameterValue"
    assert refusal(ec2.describe_instance_types, MaxResults=101)[0] == "InvalidParameterValue"
    code, message, _ = refusal(ec2.describe_volumes, MaxResults=5, VolumeIds=[id])
    assert code == "InvalidParameterCombination"
    assert re.fullmatch(r"The parameter volumesSet cannot be used with the parameter maxResults", message)


def test_a_paging_token_is_for_one_request_of_one_account(face: Face, ec2: Any) -> None:
    fill(face, 12)
    fill(face, 12, face.second.account_id)
    token = ec2.describe_volumes(MaxResults=5)["NextToken"]
    assert len(listed(ec2.describe_volumes(MaxResults=6, NextToken=token))) == 6
    changed = ("B" if token[0] == "A" else "A") + token[1:]
    for bad in (changed, token[:-3], token + "A", "WzVd", "[5]", "x" * 10_000, "\u00e9"):
        assert refusal(ec2.describe_volumes, NextToken=bad)[0] == "InvalidNextToken", bad
    assert refusal(face.client(face.second).describe_volumes, NextToken=token)[0] == "InvalidNextToken"
    assert refusal(ec2.describe_snapshots, NextToken=token)[0] == "InvalidNextToken"
    filtered = [{"Name": "status", "Values": ["available"]}]
    assert refusal(ec2.describe_volumes, Filters=filtered, NextToken=token)[0] == "InvalidNextToken"


def test_instances_are_counted_and_reservations_grouped(face: Face, ec2: Any) -> None:
    with face.database.write() as tx:
        for index in range(12):
            tx.db.add(
                records.Instance(
                    id=f"i-{index:017x}", account_id=face.first.account_id, created_at=tx.now, reservation_id=f"r-{index // 4}",
                    launch_index=index % 4, image_id="ami-1", type="t3.micro", zone="us-east-1a", root_device_name="/dev/sda1",
                    state="running", launched_at=tx.now, wished_at=tx.now, grace=20, architecture="x86_64",
                    virtualization_type="hvm", scratch=[], options={},
                )
            )  # fmt: skip
    found: dict[str, list[str]] = {}
    sizes = []
    for page in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}):
        sizes.append(sum(len(part["Instances"]) for part in page["Reservations"]))
        for part in page["Reservations"]:
            found.setdefault(part["ReservationId"], []).extend(row["InstanceId"] for row in part["Instances"])
    assert sizes == [5, 5, 2]
    assert found == {f"r-{part}": [f"i-{4 * part + n:017x}" for n in range(4)] for part in range(3)}
    (only,) = ec2.describe_instances(Filters=[{"Name": "reservation-id", "Values": ["r-1"]}])["Reservations"]
    assert [row["AmiLaunchIndex"] for row in only["Instances"]] == [0, 1, 2, 3]


def test_catalogues_have_filters_and_pages_too(ec2: Any) -> None:
    paginator = ec2.get_paginator("describe_instance_types")
    names = [
        row["InstanceType"] for page in paginator.paginate(PaginationConfig={"PageSize": 7}) for row in page["InstanceTypes"]
    ]
    assert names == sorted(set(names))
    assert len(names) == len(ec2.describe_instance_types()["InstanceTypes"])
    token = ec2.describe_instance_types(MaxResults=7)["NextToken"]
    with pytest.raises(ClientError):
        ec2.describe_instance_type_offerings(NextToken=token)


# -- cost -----------------------------------------------------------------------------------------------------------


def test_a_page_or_an_id_touches_no_other_record(face: Face, ec2: Any) -> None:
    ids = fill(face, 2_000)
    fill(face, 2_000, face.second.account_id)
    loaded: list[str] = []
    asked: list[tuple[str, Any]] = []

    def note_load(row: records.Volume, _context: object) -> None:
        loaded.append(row.id)

    def note_query(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    sqlalchemy.event.listen(records.Volume, "load", note_load)
    sqlalchemy.event.listen(face.database.engine, "before_cursor_execute", note_query)
    try:
        ec2.describe_volumes(VolumeIds=[ids[1000]])
        assert loaded == [ids[1000]]
        loaded.clear()
        token = ec2.describe_volumes(MaxResults=100)["NextToken"]
        assert len(loaded) == 100
        loaded.clear()
        ec2.describe_volumes(MaxResults=100, NextToken=token)
        assert len(loaded) == 100
        loaded.clear()
        assert listed(ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["disk 700"]}])) == [ids[700]]
        assert loaded == [ids[700]]
    finally:
        sqlalchemy.event.remove(records.Volume, "load", note_load)
        sqlalchemy.event.remove(face.database.engine, "before_cursor_execute", note_query)
    with face.database.engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
                assert not [step for *_, step in plan if step.startswith("SCAN")], (statement, plan)
