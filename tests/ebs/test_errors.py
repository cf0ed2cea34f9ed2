"""What the EBS direct APIs refuse, and how: codes, reasons and texts as recorded from AWS, read by botocore."""

from __future__ import annotations

import ast
import string
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import StructureShape

import ec2gw
from ec2gw.ebs import errors, model
from ec2gw.model import errors as model_errors
from ec2gw.state import records
from tests.ebs.house import BLOCK, House, block, checksum

GONE = "snap-00000000000000000"


def refusal(call: Any, **params: Any) -> tuple[str, str | None, str, int]:
    """Code, reason, message and status."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    said = caught.value.response
    error, reason = said["Error"], said.get("Reason")
    assert reason is None or isinstance(reason, str)
    return error["Code"], reason, error["Message"], said["ResponseMetadata"]["HTTPStatusCode"]


def invalid(message: str, reason: str | None = None) -> tuple[str, str | None, str, int]:
    return "ValidationException", reason, message, 400


def constraint(value: str, name: str, rule: str) -> tuple[str, str | None, str, int]:
    return invalid(f"1 validation error detected: Value {value} at '{name}' failed to satisfy constraint: Member must {rule}")


def absent(snapshot: str) -> tuple[str, str | None, str, int]:
    return "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", f"The snapshot '{snapshot}' does not exist.", 404


def rows(house: House) -> dict[str, int]:
    with house.database.read() as tx:
        found = {}
        for name in ("snapshot", "upload", "upload_block", "tag", "client_token"):
            table = records.Record.metadata.tables[name]
            found[name] = len(tx.db.execute(table.select()).all())
        return found


START: list[tuple[dict[str, Any], tuple[str, str | None, str, int]]] = [
    ({}, constraint("null", "volumeSize", "not be null")),
    ({"VolumeSize": 0}, constraint("'0'", "volumeSize", "have value greater than or equal to 1")),
    ({"VolumeSize": 65_537}, invalid("The volume size 65537 is larger than 65536.", "INVALID_VOLUME_SIZE")),
    ({"VolumeSize": 1, "Timeout": 9}, constraint("'9'", "timeout", "have value greater than or equal to 10")),
    ({"VolumeSize": 1, "Timeout": 4321}, constraint("'4321'", "timeout", "have value less than or equal to 4320")),
    ({"VolumeSize": 1, "ClientToken": ""}, constraint("''", "clientToken", r"satisfy regular expression pattern: ^[\S]+$")),
    (
        {"VolumeSize": 1, "ClientToken": "x" * 256},
        constraint(f"'{'x' * 256}'", "clientToken", "have length less than or equal to 255"),
    ),
    (
        {"VolumeSize": 1, "Description": "x" * 256},
        constraint(f"'{'x' * 256}'", "description", "have length less than or equal to 255"),
    ),
    (
        {"VolumeSize": 1, "ParentSnapshotId": "not-a-snapshot"},
        constraint("'not-a-snapshot'", "parentSnapshotId", "satisfy regular expression pattern: ^snap-[0-9a-f]+$"),
    ),
    ({"VolumeSize": 1, "ParentSnapshotId": GONE}, absent(GONE)),
    (
        {"VolumeSize": 1, "ParentSnapshotId": "snap-" + "0" * 30},
        invalid(f"The snapshot ID 'snap-{'0' * 30}' is malformed.", "INVALID_SNAPSHOT_ID"),
    ),
    (
        {"VolumeSize": 1, "Encrypted": True},
        invalid("Encrypted snapshots are not supported by this endpoint.", "INVALID_PARAMETER_VALUE"),
    ),
    (
        {"VolumeSize": 1, "Encrypted": True, "ParentSnapshotId": GONE},
        invalid("Encrypted cannot be specified together with ParentSnapshotId.", "INVALID_PARAMETER_VALUE"),
    ),
    (
        {"VolumeSize": 1, "Tags": [{"Key": "k" * 128, "Value": "v"}]},
        constraint(f"'{'k' * 128}'", "tags.1.member.key", "have length less than or equal to 127"),
    ),
    (
        {"VolumeSize": 1, "Tags": [{"Key": "aws:x", "Value": "v"}]},
        invalid("Tag keys starting with 'aws:' are reserved for internal use.", "INVALID_TAG"),
    ),
    ({"VolumeSize": 1, "Tags": [{"Value": "v"}]}, invalid("Tag keys must not be empty.", "INVALID_TAG")),
    (
        {"VolumeSize": 1, "Tags": [{"Key": str(n), "Value": "v"} for n in range(51)]},
        invalid("A snapshot can have at most 50 tags.", "INVALID_TAG"),
    ),
]


@pytest.mark.parametrize(("wish", "said"), START, ids=[", ".join(wish) or "nothing" for wish, _ in START])
def test_start_snapshot_refuses_and_changes_nothing(house: House, wish: Any, said: Any) -> None:
    before = rows(house)
    assert refusal(house.client().start_snapshot, **wish) == said
    assert rows(house) == before


def test_put_snapshot_block_refuses_and_keeps_nothing(house: House, ebs: Any) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    data, other = block("a"), block("b")
    good = {
        "SnapshotId": snapshot, "BlockIndex": 9, "BlockData": data, "DataLength": BLOCK, "Checksum": checksum(data),
        "ChecksumAlgorithm": "SHA256",
    }  # fmt: skip
    wrong = (
        "The value passed in as x-amz-Checksum does not match the computed checksum. Computed checksum:"
        f" {checksum(data)} expected checksum: {checksum(other)}"
    )
    short = invalid("Failed to read block data", "INVALID_PARAMETER_VALUE")
    pattern = "satisfy regular expression pattern: ^[A-Za-z0-9+/=]+$"
    for change, said in (
        ({"Checksum": checksum(other)}, ("InvalidSignatureException", None, wrong, 403)),
        ({"BlockData": b"short", "DataLength": 5, "Checksum": checksum(b"short")}, short),
        ({"BlockData": b"short", "Checksum": checksum(b"short")}, short),
        ({"BlockData": data + b"x"}, short),
        ({"DataLength": 1}, invalid("Block data length 1 is not valid, expected 524288", "INVALID_BLOCK")),
        ({"BlockIndex": -1}, constraint("'-1'", "blockIndex", "have value greater than or equal to 0")),
        ({"BlockIndex": 2048}, invalid("Block index 2048 is beyond the volume size extent", "INVALID_BLOCK")),
        ({"Progress": -1}, constraint("'-1'", "progress", "have value greater than or equal to 0")),
        ({"Progress": 101}, constraint("'101'", "progress", "have value less than or equal to 100")),
        (
            {"ChecksumAlgorithm": "SHA1"},
            invalid("Unsupported Checksum Algorithm 'SHA1', supported algorithms are SHA256", "INVALID_PARAMETER_VALUE"),
        ),
        ({"Checksum": "not-base64!"}, constraint("'not-base64!'", "checksum", pattern)),
        ({"SnapshotId": GONE}, absent(GONE)),
    ):
        assert refusal(ebs.put_snapshot_block, **{**good, **change}) == said, change
    assert house.staging.snapshots() == set()
    assert rows(house)["upload_block"] == 0
    ebs.put_snapshot_block(**good)
    assert rows(house)["upload_block"] == 1


def test_complete_snapshot_refuses(house: House, ebs: Any) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    good = {"Checksum": checksum(b""), "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
    missing = "Invalid parameter combination. {} is missing."
    for wish, said in (
        ({"Checksum": checksum(b"")}, invalid(missing.format("Checksum algorithm"), "INVALID_PARAMETER_VALUE")),
        ({"ChecksumAlgorithm": "SHA256"}, invalid(missing.format("Snapshot checksum"), "INVALID_PARAMETER_VALUE")),
        ({"ChecksumAggregationMethod": "LINEAR"}, invalid(missing.format("Snapshot checksum"), "INVALID_PARAMETER_VALUE")),
        ({**good, "ChecksumAlgorithm": "SHA1"}, constraint("'SHA1'", "checksumAlgorithm", "satisfy enum value set: [SHA256]")),
        (
            {**good, "ChecksumAggregationMethod": "TREE"},
            constraint("'TREE'", "checksumAggregationMethod", "satisfy enum value set: [LINEAR]"),
        ),
        ({"ChangedBlocksCount": -1}, constraint("'-1'", "changedBlocksCount", "have value greater than or equal to 0")),
        ({"SnapshotId": GONE}, absent(GONE)),
    ):
        assert refusal(ebs.complete_snapshot, **{"SnapshotId": snapshot, "ChangedBlocksCount": 0, **wish}) == said, wish
    assert house.shown(snapshot)["State"] == "pending"


def test_lists_refuse(house: House, ebs: Any) -> None:
    snapshot, pending = house.upload({0: block("a")}), ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    stranger = house.upload({0: block("a")})
    small, large = "have value greater than or equal to 100", "have value less than or equal to 10000"
    for wish, said in (
        ({"MaxResults": 99}, constraint("'99'", "maxResults", small)),
        ({"MaxResults": 10_001}, constraint("'10001'", "maxResults", large)),
        ({"StartingBlockIndex": -1}, constraint("'-1'", "startingBlockIndex", "have value greater than or equal to 0")),
        ({"NextToken": "invalid"}, invalid("The pagination token invalid is invalid.", "INVALID_PAGE_TOKEN")),
        (
            {"NextToken": "invalid", "StartingBlockIndex": -1},
            constraint("'-1'", "startingBlockIndex", "have value greater than or equal to 0"),
        ),
    ):
        assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot, **wish) == said
        assert refusal(ebs.list_changed_blocks, FirstSnapshotId=snapshot, SecondSnapshotId=snapshot, **wish) == said
    both = refusal(ebs.list_snapshot_blocks, SnapshotId="x", MaxResults=99)[2]
    assert both.startswith("2 validation errors detected: Value 'x' at 'snapshotId' failed")
    assert both.endswith(f"; Value '99' at 'maxResults' failed to satisfy constraint: Member must {small}")
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=pending) == absent(pending)
    assert refusal(ebs.get_snapshot_block, SnapshotId=pending, BlockIndex=0, BlockToken="invalid") == absent(pending)
    first = invalid("First snapshot should not be empty or null", "INVALID_SNAPSHOT_ID")
    assert refusal(ebs.list_changed_blocks, SecondSnapshotId=snapshot) == first
    assert refusal(ebs.list_changed_blocks, FirstSnapshotId=pending, SecondSnapshotId=snapshot) == absent(pending)
    unrelated = invalid(f"The snapshots {snapshot} and {stranger} are not related.", "UNRELATED_SNAPSHOTS")
    assert refusal(ebs.list_changed_blocks, FirstSnapshotId=snapshot, SecondSnapshotId=stranger) == unrelated


def test_what_is_no_operation(house: House) -> None:
    for method, path in (
        ("GET", "/snapshots"),
        ("DELETE", "/snapshots/snap-1"),
        ("POST", "/snapshots/a/b/c"),
        ("PUT", "/snapshots/"),
    ):
        status, headers, said = house.send(method, path)
        assert (status, headers["x-amzn-ErrorType"], said) == (
            404, "UnknownOperationException", {"message": "The operation is unknown."},
        )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b'"x"', b"\xff", b'{"VolumeSize": NaN}', b'{"VolumeSize": "1"}', b'{"VolumeSize": 1.5}',
        b'{"VolumeSize": true}',
        b'{"VolumeSize": 1, "Tags": {}}', b'{"VolumeSize": 1, "Tags": ["x"]}', b'{"VolumeSize": 1, "Description": "\\u0000"}',
        b'{"VolumeSize": 1, "Description": "\\ud800"}', b'{"VolumeSize": ' + b"9" * 5000 + b"}", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read(house: House, body: bytes) -> None:
    status, headers, said = house.send("POST", "/snapshots", body)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "SerializationException"), said
    assert rows(house)["snapshot"] == 0


@pytest.mark.parametrize(
    "path", ["blocks?maxResults=x", "blocks?maxResults=99999999999", "blocks/x?blockToken=t", "blocks?pageToken=%00"]
)
def test_a_parameter_that_cannot_be_read(house: House, path: str) -> None:
    status, headers, _ = house.send("GET", f"/snapshots/{GONE}/{path}")
    assert (status, headers["x-amzn-ErrorType"]) == (400, "SerializationException")


def test_a_body_has_a_limit(house: House) -> None:
    status, headers, said = house.send("POST", "/snapshots", b" " * (1024 * 1024 + 1))
    assert (status, headers["x-amzn-ErrorType"]) == (413, "RequestEntityTooLargeException"), said


# -- the table ----------------------------------------------------------------------------------------------------------------


def test_every_code_and_reason_is_one_of_the_service() -> None:
    known = {shape.name: shape for shape in model._SERVICE.error_shapes}
    for slug, row in errors.ROWS.items():
        fault = errors.Fault(row.code, "", row.reason)
        assert 400 <= fault.status <= 500, slug
        if row.code in known:
            shape = known[row.code]
            assert isinstance(shape, StructureShape)
            reason = shape.members.get("Reason")
            assert row.reason is None or (reason is not None and row.reason in reason.metadata["enum"]), slug
        else:
            assert row.reason is None, slug


def test_every_refusal_that_can_come_here_has_a_text() -> None:
    """Those of the face itself and its door, and of the verbs that it calls."""
    root = Path(ec2gw.__file__).parent
    kinds = {name for name, value in vars(model_errors).items() if isinstance(value, type)}
    found = 0
    for path in [*root.glob("ebs/*.py"), *root.glob("door/*.py"), root / "cloud/uploads.py", root / "engine/blocks.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(value=str(reason)), *_]) if attr in kinds:
                    found += 1
                    if reason in ("not-found", "malformed-id"):
                        continue
                    if reason == "invalid-combination":  # of Version 2 of signatures, which is not heard here
                        continue
                    facts = {keyword.arg for keyword in node.keywords}
                    wanted = {name for _, name, _, _ in string.Formatter().parse(errors.ROWS[reason].text) if name}
                    assert wanted <= facts, f"{path.name}:{node.lineno}"
    assert found > 20
