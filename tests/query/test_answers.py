"""An answer that is kept is the one that would be written now, and nobody gets it who would not get that."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import sqlalchemy
import time_machine

from ec2gw.cloud import accounts
from ec2gw.query import answers, api
from ec2gw.state import records, session
from tests.query.face import Face
from tests.query.test_server import instance

ID = "11111111-2222-3333-4444-555555555555"
ANSWER = b"<a>" + ID.encode() + b"</a>"


@pytest.fixture
def runs(face: Face, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the actions that have been run, of all that only look."""
    ran: list[str] = []

    def counted(name: str, run: api.Run) -> api.Run:
        def count(call: api.Call, req: api.Request) -> api.Response:
            ran.append(name)
            return run(call, req)

        return count

    for name in ("DescribeVolumes", "DescribeImages", "DescribeRegions", "GetPasswordData"):
        action = api.REGISTER[name]
        monkeypatch.setitem(api.REGISTER, name, api.Action(name, counted(name, action.run), writes=False))
    return ran


def ids(face: Face, key: Any = None) -> list[str]:
    return re.findall("vol-[0-9a-f]{17}", face.ask("DescribeVolumes", key=key).text)


def test_the_same_question_is_answered_once_while_nothing_changes(face: Face, runs: list[str]) -> None:
    replies = [face.ask("DescribeRegions") for _ in range(4)]
    assert runs == ["DescribeRegions"]
    told = [reply.headers["x-amzn-RequestId"] for reply in replies]
    assert len(set(told)) == 4
    assert [reply.xml.findtext("{*}requestId") for reply in replies] == told
    assert len({reply.text.replace(id, "") for reply, id in zip(replies, told, strict=True)}) == 1


def test_what_is_written_is_seen_at_once(face: Face, runs: list[str]) -> None:
    seen: list[str] = []
    for _ in range(5):
        assert ids(face) == ids(face) == seen
        seen.append(face.client().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"])
    assert len(runs) == 5


def test_what_another_process_writes_is_seen_at_once(face: Face) -> None:
    assert ids(face) == ids(face) == []
    other = session.Database(str(face.database.url))
    with other.write() as tx:
        row = records.Volume(
            id="vol-0123456789abcdef0", account_id=face.first.account_id, created_at=tx.now, zone="us-east-1a", size=1,
            type="gp2", encrypted=False, auto_enable_io=True, state="available",
        )  # fmt: skip
        tx.db.add(row)
    other.close()
    assert ids(face) == ["vol-0123456789abcdef0"]


def test_each_account_has_answers_of_its_own(face: Face) -> None:
    made = face.client().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    for _ in range(3):
        assert ids(face) == [made]
        assert ids(face, face.second) == []


def test_each_version_and_each_wish_has_an_answer_of_its_own(face: Face) -> None:
    for _ in range(2):
        assert "2016-11-15" in face.ask("DescribeRegions").text
        assert "2010-08-31" in face.ask("DescribeRegions", version="2010-08-31").text
        assert face.ask("DescribeRegions", RegionName__1="us-east-1").code is None
        assert face.ask("DescribeRegions", RegionName__1="eu-west-9").code == "InvalidParameterValue"
        assert face.ask("DescribeRegions", DryRun="true").code == "DryRunOperation"
        assert face.ask("DescribeRegions", DryRun="false").code is None


def test_a_key_that_is_switched_off_gets_nothing_that_is_kept(face: Face) -> None:
    assert face.ask("DescribeRegions").status == face.ask("DescribeRegions").status == 200
    other = session.Database(str(face.database.url))
    with other.write() as tx:
        accounts.enable_key(tx, face.first.id, active=False)
    other.close()
    assert face.ask("DescribeRegions").code == "AuthFailure"
    assert face.ask("CreateVolume", AvailabilityZone="us-east-1a", Size="1").code == "AuthFailure"
    with face.database.read() as tx:
        assert tx.db.scalar(sqlalchemy.select(records.Volume.id)) is None


def test_a_wrong_signature_gets_nothing_that_is_kept(face: Face, runs: list[str]) -> None:
    key = type(face.first)(face.first.account_id, face.first.id, "wrong")
    assert face.ask("DescribeRegions").status == face.ask("DescribeRegions").status == 200
    assert face.ask("DescribeRegions", key=key).code == "AuthFailure"
    assert runs == ["DescribeRegions"]


def test_a_request_that_has_expired_gets_nothing_that_is_kept(face: Face) -> None:
    url = face.client().generate_presigned_url("describe_regions", ExpiresIn=60, HttpMethod="GET")
    path = url.removeprefix(f"http://127.0.0.1:{face.port}")
    assert [face.send(b"", method="GET", path=path, sign=False).status for _ in range(2)] == [200, 200]
    with time_machine.travel(time.time() + 120):
        assert face.send(b"", method="GET", path=path, sign=False).code == "RequestExpired"


def test_what_rests_on_the_hour_is_not_kept(face: Face, runs: list[str]) -> None:
    id = instance(face, face.first.account_id)
    told = [face.ask("GetPasswordData", InstanceId=id).xml.findtext("{*}timestamp")]
    with time_machine.travel(time.time() + 120):
        told.append(face.ask("GetPasswordData", InstanceId=id).xml.findtext("{*}timestamp"))
    assert told[0] < told[1]
    assert len(runs) == 2


# -- the keeping itself -------------------------------------------------------------------------------------------------------


def test_an_answer_is_good_for_one_stamp() -> None:
    kept = answers.Answers()
    kept.at(1)
    kept.keep(1, "q", ID, ANSWER)
    assert kept.find("q", "other") == b"<a>other</a>"
    for stamp in (2, 1):
        kept.at(stamp)
        assert kept.find("q", "other") is None


def test_an_answer_made_at_an_earlier_stamp_is_not_kept() -> None:
    kept = answers.Answers()
    kept.at(2)
    kept.keep(1, "q", ID, ANSWER)
    assert kept.find("q", ID) is None


@pytest.mark.parametrize("body", [b"<a>no id</a>", ANSWER + ANSWER, ANSWER + b" " * answers.MOST_EACH])
def test_what_cannot_be_told_again_is_not_kept(body: bytes) -> None:
    kept = answers.Answers()
    kept.at(1)
    kept.keep(1, "q", ID, body)
    assert kept.find("q", ID) is None


def test_nothing_is_kept_where_there_is_no_stamp() -> None:
    kept = answers.Answers()
    kept.at(None)
    kept.keep(None, "q", ID, ANSWER)
    assert kept.find("q", ID) is None


def test_the_least_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST", 3 * (len(ANSWER) - len(ID) + 1_024))
    kept = answers.Answers()
    kept.at(1)
    for question in "abc":
        kept.keep(1, question, ID, ANSWER)
    kept.find("a", ID)
    kept.keep(1, "d", ID, ANSWER)
    assert [kept.find(question, ID) is not None for question in "abcd"] == [True, False, True, True]
