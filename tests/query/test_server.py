"""The life of a request, as clients on the network see it."""

from __future__ import annotations

import base64
import concurrent.futures
import re
import socket
import string
import threading
import time
import uuid
from typing import Any

import pytest
import structlog
import time_machine
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ec2gw.cloud import accounts
from ec2gw.door import reception
from ec2gw.query import actions, api
from ec2gw.state import records
from tests.query.face import Face

actions.load()
CREATE, DELETE = api.REGISTER["CreateVolume"], api.REGISTER["DeleteVolume"]


def refusal(call: Any, *args: Any, **params: Any) -> tuple[str, str, int]:
    """The code, the message and the status that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def volumes(face: Face) -> list[str]:
    with face.database.read() as tx:
        return [row.id for row in tx.db.query(records.Volume)]


def instance(face: Face, account_id: str) -> str:
    """An instance that simply is."""
    with face.database.write() as tx:
        row = records.Instance(
            id="i-0123456789abcdef0", account_id=account_id, created_at=tx.now, reservation_id="r-1", launch_index=0,
            image_id="ami-1", type="t3.micro", zone="us-east-1a", root_device_name="/dev/sda1", state="running",
            launched_at=tx.now, wished_at=tx.now, grace=20, architecture="x86_64", virtualization_type="hvm", scratch=[],
            options={},
        )  # fmt: skip
        tx.db.add(row)
        return row.id


# -- transport ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/services/Cloud", "/services/compute/", "/a%20b//c"])
def test_any_path_is_served(face: Face, path: str) -> None:
    assert face.client(path=path).describe_regions()["Regions"][0]["RegionName"] == "us-east-1"


def test_get_is_served_like_post(face: Face) -> None:
    url = face.client().generate_presigned_url("describe_regions", HttpMethod="GET")
    reply = face.send(b"", method="GET", path=url.removeprefix(f"http://127.0.0.1:{face.port}"), sign=False)
    assert reply.status == 200, reply.text
    assert "<regionName>us-east-1</regionName>" in reply.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused_in_xml(face: Face, method: str) -> None:
    reply = face.send(b"Action=DescribeRegions", method=method)
    assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "MethodNotAllowed", "GET, POST")


def test_what_is_no_path_is_refused_in_xml(face: Face) -> None:
    reply = face.send(b"", method="OPTIONS", path="*", sign=False)
    assert 400 <= reply.status < 500
    assert reply.code is not None


def test_answers_carry_what_ec2_carries(face: Face) -> None:
    for reply, element in ((face.ask("DescribeRegions"), "{*}requestId"), (face.ask("DescribeNothing"), "RequestID")):
        id = reply.xml.findtext(element)
        assert str(uuid.UUID(id)) == id == reply.headers["x-amzn-RequestId"]
        assert reply.headers["Content-Type"] == "text/xml;charset=UTF-8"
        assert reply.headers["Server"] == "AmazonEC2"
        assert reply.headers["Cache-Control"] == "no-cache, no-store"
        assert reply.headers["Vary"] == "accept-encoding"
        assert reply.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    assert face.ask("DescribeRegions").headers["x-amzn-RequestId"] != face.ask("DescribeRegions").headers["x-amzn-RequestId"]


def test_a_body_has_a_limit(face: Face) -> None:
    filler = b"Action=DescribeRegions&Version=2016-11-15&X="
    fits = face.send(filler + b"x" * (reception.MOST_BODY - len(filler)))
    assert fits.code == "UnknownParameter"
    large = face.send(filler + b"x" * (reception.MOST_BODY - len(filler) + 1))
    assert (large.status, large.code) == (413, "RequestEntityTooLarge")


def test_a_client_that_goes_away_harms_nobody(face: Face) -> None:
    with structlog.testing.capture_logs() as logs:
        for head in (b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=Desc"):
            with socket.create_connection(("127.0.0.1", face.port)) as gone:
                gone.sendall(head)
        assert face.ask("DescribeRegions").status == 200
    assert all(log["log_level"] == "info" for log in logs), logs


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nX-Secret: a\x01b\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_one_line_in_the_log(face: Face, said: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as logs, socket.create_connection(("127.0.0.1", face.port), timeout=10) as odd:
        odd.sendall(said)
        assert odd.recv(65536).startswith(b"HTTP/1.0 400 ")
    assert [(log["event"], log["log_level"]) for log in logs] == [("no request", "info")]
    assert "Secret" not in repr(logs)
    assert capfd.readouterr() == ("", "")


def test_a_body_that_does_not_come_is_given_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "PATIENCE", 0.2)
    with socket.create_connection(("127.0.0.1", face.port), timeout=10) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=Desc")
        answer = slow.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"<Code>RequestTimeout</Code>" in answer


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-"], ids=["silent", "half a head"])
def test_who_connects_and_does_not_ask_is_let_go(face: Face, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(reception, "PATIENCE", 0.5)
    with socket.create_connection(("127.0.0.1", face.port), timeout=10) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 403 ")
        with socket.create_connection(("127.0.0.1", face.port), timeout=10) as odd:
            odd.sendall(said)
            assert odd.recv(65536) == b""
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("version", "told"), [(b"HTTP/1.1", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"HTTP/1.0", b"")], ids=["1.1", "1.0"]
)
def test_a_client_that_asks_first_is_told_to_send_its_body(face: Face, version: bytes, told: bytes) -> None:
    with socket.create_connection(("127.0.0.1", face.port), timeout=10) as asking:
        head = b"Host: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 18\r\n\r\n"
        asking.sendall(b"POST / " + version + b"\r\n" + head)
        assert asking.recv(len(told)) == told
        asking.sendall(b"Version=2016-11-15")
        answer = b"".join(iter(lambda: asking.recv(65536), b""))
    assert answer.startswith(version + b" 403 "), answer
    assert b"<Code>MissingAuthenticationToken</Code>" in answer


# -- who and what ---------------------------------------------------------------------------------------------------


def test_actions_are_looked_up_in_the_model(face: Face) -> None:
    assert face.ask("DescribeNothing").code == "InvalidAction"
    assert face.ask("describeRegions").code == "InvalidAction"
    assert face.ask("CreateLocalGatewayRoute").code == "UnsupportedOperation"
    assert face.ask("DescribeRegions", version="1999-01-01").code == "NoSuchVersion"
    assert face.send(b"Version=2016-11-15").code == "MissingAction"
    assert face.send(b"Action=DescribeRegions").code == "MissingParameter"
    assert face.ask("DescribeRegions", Colour="red").code == "UnknownParameter"
    for unsayable in ("\0", "a\x0bb", "\x1f", "\ufffe"):
        assert face.ask("DescribeRegions", RegionName__1=unsayable).code == "InvalidCharacter"
    for odd in ("\t", "\r\n", "\x7f", "\u2028", "\U0001f600"):
        assert face.ask("DescribeRegions", RegionName__1=odd).code == "InvalidParameterValue"


def test_the_answer_is_in_the_version_asked(face: Face) -> None:
    assert 'xmlns="http://ec2.amazonaws.com/doc/2009-11-30/"' in face.ask("DescribeRegions", version="2009-11-30").text


def test_a_wrong_secret_and_an_unknown_key_look_the_same(face: Face) -> None:
    key = face.first
    wrong = face.ask("DescribeRegions", key=type(key)(key.account_id, key.id, key.secret[::-1]))
    unknown = face.ask("DescribeRegions", key=type(key)(key.account_id, "AKIANOBODY", key.secret))
    for reply in (wrong, unknown):
        assert (reply.status, reply.code) == (401, "AuthFailure")
        assert reply.xml.findtext("Errors/Error/Message") == "AWS was not able to validate the provided access credentials"
    assert face.send(b"Action=DescribeRegions&Version=2016-11-15", sign=False).code == "MissingAuthenticationToken"


def test_a_key_that_is_disabled_signs_no_more_at_once(face: Face) -> None:
    assert face.ask("DescribeRegions").status == 200
    for active in (False, True):
        with face.database.write() as tx:
            accounts.enable_key(tx, face.first.id, active=active)
        assert (face.ask("DescribeRegions").status == 200) is active
    with face.database.write() as tx:
        accounts.delete_key(tx, face.first.id)
    assert face.ask("DescribeRegions").code == "AuthFailure"


def test_sts_says_who_asks(face: Face) -> None:
    said = face.client(service="sts").get_caller_identity()
    assert said["Account"] == face.first.account_id
    assert said["Arn"] == f"arn:aws:iam::{face.first.account_id}:root"
    wrong = type(face.first)(face.first.account_id, face.first.id, "x" * 40)
    message = "The security token included in the request is invalid."
    assert refusal(face.client(wrong, service="sts").get_caller_identity) == ("InvalidClientTokenId", message, 403)
    with time_machine.travel(time.time() - 3600):
        late = face.client(service="sts")
        params = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
        url = late.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    path = url.removeprefix(f"http://127.0.0.1:{face.port}")
    reply = face.send(b"", method="GET", path=path, sign=False)
    assert (reply.status, reply.xml.findtext("{*}Error/{*}Code")) == (403, "SignatureDoesNotMatch")
    reply = face.send(params, sign=False)
    assert (reply.status, reply.xml.findtext("{*}Error/{*}Code")) == (403, "MissingAuthenticationToken")
    assert reply.xml.findtext("{*}RequestId") == reply.headers["x-amzn-RequestId"]


# -- one transaction ------------------------------------------------------------------------------------------------


def create_then_fail(call: api.Call, req: api.Request) -> api.Response:
    """An action that makes its volume and then meets a bug."""
    CREATE.run(call, req)
    raise RuntimeError("a bug with the secret 'hunter2'")


def delete_and_babble(call: api.Call, req: api.Request) -> api.Response:
    """An action that answers what EC2 does not know."""
    DELETE.run(call, req)
    return {"Gone": True}


def test_a_bug_is_logged_and_answered_blandly_and_changes_nothing(face: Face, ec2: Any) -> None:
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    with face.database.write() as tx:
        tx.db.query(records.Volume).one().state = "available"
    before = face.everything()
    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setitem(api.REGISTER, "CreateVolume", api.Action("CreateVolume", create_then_fail, writes=True))
        patch.setitem(api.REGISTER, "DeleteVolume", api.Action("DeleteVolume", delete_and_babble, writes=True))
        reply = face.ask("CreateVolume", AvailabilityZone="us-east-1a", Size="1")
        babble = face.ask("DeleteVolume", VolumeId=volume)
    for answer in (reply, babble):
        assert (answer.status, answer.code) == (500, "InternalError")
        assert answer.xml.findtext("Errors/Error/Message") == "An internal error has occurred"
        assert "hunter2" not in answer.text
    assert face.everything() == before
    failures = [log for log in logs if log["log_level"] == "error"]
    assert [log["action"] for log in failures] == ["CreateVolume", "DeleteVolume"]
    assert all(log["exc_info"] for log in failures)


def test_dry_run_does_everything_and_keeps_nothing(face: Face, ec2: Any) -> None:
    said = ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    before = face.everything()
    wish = {"AvailabilityZone": "us-east-1a", "Size": 1, "ClientToken": "t"}
    assert refusal(ec2.create_volume, DryRun=True, **wish) == said
    assert refusal(ec2.describe_volumes, DryRun=True) == said
    assert refusal(ec2.create_volume, DryRun=True, **wish | {"AvailabilityZone": "mars"})[0] == "InvalidZone.NotFound"
    assert refusal(ec2.delete_volume, DryRun=True, VolumeId="vol-1")[0] == "InvalidVolume.NotFound"
    assert refusal(ec2.create_volume, DryRun=True, AvailabilityZone="us-east-1a")[0] == "MissingParameter"
    assert face.everything() == before
    assert ec2.create_volume(DryRun=False, **wish)["State"] == "creating"


# -- requests that come twice -----------------------------------------------------------------------------------------


def test_a_client_token_makes_a_repeat_the_same_request(face: Face, ec2: Any) -> None:
    wish = {"AvailabilityZone": "us-east-1a", "Size": 1, "ClientToken": "token-1"}
    first = ec2.create_volume(**wish)
    with face.database.write() as tx:
        tx.db.query(records.Volume).one().state = "available"
    again = ec2.create_volume(**wish)
    assert again["VolumeId"] == first["VolumeId"]
    assert (first["State"], again["State"]) == ("creating", "available")
    assert refusal(ec2.create_volume, **wish | {"Size": 2})[0] == "IdempotentParameterMismatch"
    assert refusal(ec2.create_volume, DryRun=True, **wish)[0] == "DryRunOperation"
    assert volumes(face) == [first["VolumeId"]]
    other = face.client(face.second).create_volume(**wish)
    assert other["VolumeId"] != first["VolumeId"]
    assert ec2.create_volume(**wish | {"ClientToken": "token-2"})["VolumeId"] not in (first["VolumeId"], other["VolumeId"])


@pytest.mark.parametrize("token", ["x" * 129, "tökén"])
def test_a_client_token_is_short_ascii(face: Face, ec2: Any, token: str) -> None:
    assert refusal(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1, ClientToken=token)[0] == "InvalidClientToken"
    assert volumes(face) == []


def test_a_refused_request_leaves_its_token_free(face: Face, ec2: Any) -> None:
    assert refusal(ec2.create_volume, AvailabilityZone="mars", Size=1, ClientToken="t")[0] == "InvalidZone.NotFound"
    assert ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")["VolumeId"] in volumes(face)


def test_the_same_request_many_times_at_once_is_done_once(face: Face) -> None:
    wish: dict[str, Any] = {"AvailabilityZone": "us-east-1a", "Size": "1", "ClientToken": "t"}
    with concurrent.futures.ThreadPoolExecutor(16) as crowd:
        replies = list(crowd.map(lambda _: face.ask("CreateVolume", **wish), range(32)))
    assert {reply.status for reply in replies} == {200}
    assert {reply.xml.findtext("{*}volumeId") for reply in replies} == set(volumes(face))
    assert len(volumes(face)) == 1


# -- the engine -----------------------------------------------------------------------------------------------------


@pytest.fixture
def volume(face: Face, ec2: Any) -> str:
    """A volume that is there."""
    id: str = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    with face.database.write() as tx:
        tx.db.query(records.Volume).one().state = "available"
    return id


def test_a_snapshot_is_cut_before_the_answer_leaves(face: Face, ec2: Any, volume: str) -> None:
    seen = []

    def cut() -> bool:
        with face.database.read() as tx:
            seen.append(tx.db.query(records.Snapshot).one().state)
        time.sleep(0.3)
        return True

    face.bell.work = cut
    began = time.monotonic()
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert time.monotonic() - began >= 0.3
    assert face.bell.waited == [[snapshot]]
    assert seen == ["pending"], "the record must be committed when the engine is waited for"


def test_an_engine_that_fails_or_is_late_spoils_no_answer(face: Face, ec2: Any, volume: str) -> None:
    def fail() -> bool:
        raise RuntimeError("no engine")

    for work in (fail, lambda: False):
        face.bell.work = work
        assert ec2.create_snapshot(VolumeId=volume)["State"] == "pending"


def test_waiting_for_the_engine_holds_up_nobody_else(face: Face, ec2: Any, volume: str) -> None:
    release = threading.Event()
    face.bell.work = lambda: release.wait(30)
    with concurrent.futures.ThreadPoolExecutor(5) as crowd:
        waiting = [crowd.submit(face.ask, "CreateSnapshot", VolumeId=volume) for _ in range(5)]
        while len(face.bell.waited) < 5 and not any(job.done() for job in waiting):
            time.sleep(0.01)
        assert face.ask("DescribeVolumes").status == 200
        assert face.ask("CreateVolume", AvailabilityZone="us-east-1a", Size="1").status == 200
        assert not any(job.done() for job in waiting)
        release.set()
        assert {job.result().status for job in waiting} == {200}


def test_a_console_is_read_anew_before_it_is_shown(face: Face, ec2: Any) -> None:
    id = instance(face, face.first.account_id)

    def see() -> None:
        with face.database.write() as tx:
            tx.db.add(records.Console(instance_id=id, text=b"login:", seen_at=tx.now))

    face.bell.work = see
    assert ec2.get_console_output(InstanceId=id, Latest=True)["Output"] == "login:"
    assert face.bell.refreshed == [id]
    assert refusal(face.client(face.second).get_console_output, InstanceId=id)[0] == "InvalidInstanceID.NotFound"
    assert face.bell.refreshed == [id]


# -- what is told of it -----------------------------------------------------------------------------------------------


def test_each_request_is_counted_and_logged_without_its_secrets(face: Face, ec2: Any) -> None:
    secret = base64.b64encode(b"password=hunter2").decode()
    with structlog.testing.capture_logs() as logs:
        face.ask("RunInstances", ImageId="ami-1", MinCount="1", MaxCount="1", UserData=secret)
        ec2.describe_regions()
        face.ask("NoSuchThing")
    told = [(log["action"], log["code"], log["status"]) for log in logs if log["event"] == "request"]
    assert told == [
        ("RunInstances", "InvalidAMIID.NotFound", 400),
        ("DescribeRegions", "OK", 200),
        ("unknown", "InvalidAction", 400),
    ]
    text = repr(logs)
    assert secret not in text
    assert face.first.secret not in text
    for labels in ({"action": "DescribeRegions", "code": "OK"}, {"action": "unknown", "code": "InvalidAction"}):
        assert face.registry.get_sample_value("ec2gw_requests_total", labels) == 1
    assert face.registry.get_sample_value("ec2gw_request_seconds_count", {"action": "RunInstances"}) == 1


# -- bad input --------------------------------------------------------------------------------------------------------

_WORDS = """
    VolumeId VolumeId.1 Filter.1.Name Filter.1.Value.1 Filter.1 Filter MaxResults NextToken Size AvailabilityZone ClientToken
    DryRun Tag.1.Key Tag.1.Value ResourceId.1 KeyName KeyPairId.1 PublicKeyMaterial KeyType TagSpecification.1.ResourceType
    TagSpecification.1.Tag.1.Key InstanceType.1 ZoneName.1 BlockDeviceMapping.1.Ebs.VolumeSize ImageId MinCount MaxCount
    Action Version X-Amz-Date . a..b
"""
_NAMES = st.sampled_from(_WORDS.split())
_VALUES = st.one_of(
    st.sampled_from(
        ["", "vol-1", "vol-0123456789abcdef0", "i-1", "true", "-1", "5", "99999999999", "us-east-1a", "tag:x", "*", "\\"]
    ),
    st.sampled_from(
        ["volume", "aws:x", "W10", "WzFd", "size", "rsa", "\ufeff", "\U0001f600", "\x00", "%", "1e999", "ssh-rsa AAAA"]
    ),
    st.text(max_size=40),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    action=st.sampled_from(sorted(name for name in api.REGISTER)),
    params=st.dictionaries(st.one_of(_NAMES, st.text(string.printable, max_size=12)), _VALUES, max_size=6),
)
def test_no_request_is_answered_with_a_bug(face: Face, action: str, params: dict[str, str]) -> None:
    reply = face.send({"Action": action, "Version": "2016-11-15", **params})
    assert reply.status < 500, (action, params, reply.text)
    assert reply.xml is not None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_no_bytes_are_answered_with_a_bug(face: Face, body: bytes) -> None:
    before = face.everything()
    for sign in (True, False):
        reply = face.send(body, sign=sign)
        assert 400 <= reply.status < 500, (body, reply.text)
        assert re.search("<Code>[A-Za-z.]+</Code>", reply.text)
    assert face.everything() == before
