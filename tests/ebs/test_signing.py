"""Who signed a request of the EBS direct APIs, and over what: over TLS the clients do not sign a block, but its checksum."""

from __future__ import annotations

import time
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from tests.ebs.house import BLOCK, House, block, checksum
from tests.ebs.test_errors import refusal
from tests.served import Key

A = block("a")
WRONG = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing"
    " method. Consult the service documentation for details."
)


def test_a_wrong_secret_and_an_unknown_key_look_the_same(house: House) -> None:
    first = house.first
    for key in (Key(first.account_id, first.id, first.secret[::-1]), Key(first.account_id, "AKIANOBODY", first.secret)):
        said = refusal(house.client(key).start_snapshot, VolumeSize=1)
        assert said == ("InvalidSignatureException", None, WRONG, 403)


def test_what_is_not_signed(house: House) -> None:
    status, headers, said = house.send("POST", "/snapshots", b'{"VolumeSize": 1}', sign=False)
    assert (status, headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")
    assert said == {"message": "Missing Authentication Token"}
    assert len(headers["x-amzn-RequestId"]) == 36
    old = f"?AWSAccessKeyId={house.first.id}&SignatureVersion=2&SignatureMethod=HmacSHA256&Signature=x"
    assert house.send("GET", f"/snapshots/snap-1/blocks{old}", sign=False)[0] == 403  # Version 2 is not heard
    status, headers, _ = house.send(
        "GET", "/snapshots/snap-1/blocks", headers={"Authorization": "AWS4-HMAC-SHA256 x"}, sign=False
    )
    assert (status, headers["x-amzn-ErrorType"]) == (403, "IncompleteSignatureException")


def test_an_old_signature(house: House, ebs: Any) -> None:
    house.later(minutes=16)
    assert refusal(ebs.start_snapshot, VolumeSize=1)[::3] == ("InvalidSignatureException", 403)


def test_a_presigned_request(house: House) -> None:
    snapshot = house.upload({0: A})
    url = house.client().generate_presigned_url("list_snapshot_blocks", Params={"SnapshotId": snapshot})
    status, _, said = house.send("GET", url.removeprefix(f"http://127.0.0.1:{house.port}"), sign=False)
    assert (status, [row["BlockIndex"] for row in said["Blocks"]]) == (200, [0])


@pytest.mark.parametrize("announced", [True, False])
def test_a_block_need_not_be_signed_where_its_checksum_is(house: House, ebs: Any, announced: bool) -> None:
    """As clients do it over TLS; with and without the header that says so."""
    path = f"/snapshots/{ebs.start_snapshot(VolumeSize=1)['SnapshotId']}/blocks/0"
    assert put(house, path, A, announced=announced)[0] == 201
    changed = put(house, path, A, sent=block("b"), announced=announced)
    assert (changed[0], changed[2]["message"][:46]) == (403, "The value passed in as x-amz-Checksum does not")
    for left_out in ("x-amz-Checksum", "x-amz-Checksum-Algorithm"):
        status, headers, _ = put(house, path, A, announced=announced, unsigned=left_out)
        wanted = (403, "InvalidSignatureException") if left_out == "x-amz-Checksum" else (201, None)
        assert (status, headers["x-amzn-ErrorType"]) == wanted


def test_any_other_body_must_be_signed(house: House) -> None:
    signer = Unsigned(house)
    status, headers, _ = house.send(
        "POST", "/snapshots", b'{"VolumeSize": 1}', signer.headers("POST", "/snapshots", {}), sign=False
    )
    assert (status, headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")


def put(
    house: House, path: str, data: bytes, *, sent: bytes | None = None, announced: bool = True, unsigned: str | None = None
) -> Any:
    said = {"x-amz-Data-Length": str(BLOCK), "x-amz-Checksum": checksum(data), "x-amz-Checksum-Algorithm": "SHA256"}
    if announced:
        said["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signed = {name: value for name, value in said.items() if name != unsigned}
    headers = Unsigned(house).headers("PUT", path, signed) | said
    return house.send("PUT", path, sent or data, headers, sign=False)


class Unsigned(botocore.auth.SigV4Auth):
    """botocore's signer, as it is over TLS."""

    def __init__(self, house: House) -> None:
        self._house = house
        super().__init__(botocore.credentials.Credentials(house.first.id, house.first.secret), "ebs", "us-east-1")

    def payload(self, request: Any) -> str:
        return botocore.auth.UNSIGNED_PAYLOAD

    def headers(self, method: str, path: str, said: dict[str, str]) -> dict[str, str]:
        request = botocore.awsrequest.AWSRequest(method, f"http://127.0.0.1:{self._house.port}{path}", said, b"")
        self.add_auth(request)
        return dict(request.headers.items())


def test_one_endpoint_serves_both(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables that `ec2gw serve` prints, with a client that is told nothing else."""
    url = f"http://127.0.0.1:{house.port}/"
    for name, value in (
        ("AWS_ENDPOINT_URL_EBS", url), ("AWS_ENDPOINT_URL_EC2", url), ("AWS_ACCESS_KEY_ID", house.first.id),
        ("AWS_SECRET_ACCESS_KEY", house.first.secret), ("AWS_DEFAULT_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    began = time.time()
    make: Any = boto3.session.Session()
    snapshot = make.client("ebs").start_snapshot(VolumeSize=1)
    assert abs(snapshot["StartTime"].timestamp() - began) < 30
    assert make.client("ec2").describe_snapshots(SnapshotIds=[snapshot["SnapshotId"]])["Snapshots"][0]["State"] == "pending"
