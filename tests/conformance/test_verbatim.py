"""Every recorded request, byte for byte, at its own moment and with its own key: the gateway's verdict on the signature is the
recorder's, and what it reads is what the client meant.

What was meant is judged by botocore: the request as read, written out again by botocore's own serializer, must be the very
parameters that were sent, save for spellings that today's model no longer has.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterator

import botocore.model
import botocore.serialize
import botocore.session
import pytest

from conformance import replay, traffic
from ec2gw.door import signature
from ec2gw.model.errors import Refusal
from ec2gw.query import api, errors, wire

SESSION = botocore.session.get_session()
MODEL = botocore.model.ServiceModel(SESSION.get_service_data("ec2", "2016-11-15"), "ec2")
SERIALIZER = botocore.serialize.create_serializer("ec2", include_validation=False)

# What old clients spell otherwise: (action, name as sent, name of today; none where it says nothing to EC2).
SPELLINGS = (
    ("GetConsoleOutput", r"InstanceId\.1", "InstanceId"),
    ("(Unm|M)onitorInstances", r"InstanceId", "InstanceId.1"),
    ("DescribeSnapshots", r"(Owner|RestorableBy)", r"\1.1"),
    ("RunInstances", "AddressingType", None),
    ("DescribeInstanceTypes", "Availability", None),
    ("RunInstances|RegisterImage|CreateImage", r"(BlockDeviceMapping\.\d+)\.Ebs\.NoDevice", r"\1.NoDevice"),
)
# Empty text that says what absence says.
EMPTY = re.compile(r"VolumeId|(.+\.)?(SnapshotId|NextToken|KeyName)")
ENVELOPE = re.compile(r"Action|Version|AWSAccessKeyId|Signature.*|Timestamp|X-Amz-.*")


def exchanges(client: str) -> Iterator[tuple[traffic.Recording, traffic.Exchange]]:
    for recording in traffic.of(client):
        for exchange in recording.exchanges:
            yield recording, exchange


def raw(exchange: traffic.Exchange) -> signature.Raw:
    return signature.Raw(exchange.method, exchange.target, exchange.headers, exchange.body)


def secret_of(access_key_id: str) -> signature.Credential | None:
    known = access_key_id == traffic.ACCESS_KEY
    return signature.Credential(traffic.SECRET_KEY, "123456789012") if known else None


def meant(exchange: traffic.Exchange) -> list[tuple[str, str]]:
    """The parameters as sent, under today's names, sorted; a device that is taken away says nothing else."""
    params = []
    for name, value in exchange.params:
        if ENVELOPE.fullmatch(name) or (not value and EMPTY.fullmatch(name)):
            continue
        new: str | None = name
        for actions, old, today in SPELLINGS:
            if re.fullmatch(actions, exchange.action) and re.fullmatch(old, name):
                new = today and re.sub(old, today, name)
        if new is not None:
            # boto 2.0b4 leaves base64 to its caller, so it may be broken into lines.
            params.append((new, value.replace("\n", "") if new == "PublicKeyMaterial" else value))
    taken = {name.removesuffix(".NoDevice") for name, _ in params if name.endswith(".NoDevice")}
    kept = [(name, value) for name, value in params if name.split(".Ebs.")[0] not in taken or ".Ebs." not in name]
    return sorted((name, "" if name.endswith(".NoDevice") else value) for name, value in kept)


def written(action: str, request: api.Request) -> list[tuple[str, str]]:
    """What botocore sends for the request as read."""
    body = SERIALIZER.serialize_to_request(dict(request), MODEL.operation_model(action))["body"]
    plain = ((name, value.decode() if isinstance(value, bytes) else str(value)) for name, value in body.items())
    return sorted((name, "" if name.endswith(".NoDevice") else text) for name, text in plain if not ENVELOPE.fullmatch(name))


def test_none_is_missing() -> None:
    """The recordings that there are: none is skipped, none counted twice."""
    commands = sum(len(traffic.of(client)) for client in traffic.clients())
    requests = sum(1 for client in traffic.clients() for _ in exchanges(client))
    print(f"{len(traffic.clients())} clients, {commands} commands, {requests} requests")
    assert (len(traffic.clients()), commands, requests) == (11, 1825, 1927)


@pytest.mark.parametrize("client", traffic.clients())
def test_signatures(client: str) -> None:
    verdicts: Counter[str] = Counter()
    for recording, exchange in exchanges(client):
        now = datetime.datetime.fromisoformat(exchange.time)
        wanted = "accepted"
        if not exchange.signature["ok"] or exchange.signature["access_key"] != traffic.ACCESS_KEY:
            wanted = "AuthFailure"
        elif abs(exchange.signature["age"]) > 900:
            wanted = "RequestExpired"
        try:
            signed = signature.verify(raw(exchange), secret_of, now)
            got = "accepted"
            assert (signed.access_key_id, signed.account_id) == (traffic.ACCESS_KEY, "123456789012")
        except Refusal as refusal:
            got = errors.from_refusal(refusal).code
        assert got == wanted, f"{recording.path}: {got}, not {wanted}"
        verdicts[got] += 1
    print(f"{client}: {sum(verdicts.values())} requests: {dict(verdicts)}")
    assert verdicts.keys() == {"accepted", "AuthFailure", "RequestExpired"}


@pytest.mark.parametrize("client", traffic.clients())
def test_a_changed_request_is_refused(client: str) -> None:
    """The other half of each verdict: the same bytes with one letter of one value changed."""
    refused = 0
    for _, exchange in exchanges(client):
        if not exchange.signature["ok"]:
            continue
        changed = signature.Raw(
            exchange.method,
            exchange.target.replace("Action=D", "Action=E").replace("Action=R", "Action=S"),
            exchange.headers,
            exchange.body.replace(exchange.action.encode(), exchange.action.swapcase().encode()),
        )
        if (changed.target, changed.body) == (exchange.target, exchange.body):
            changed = signature.Raw("PUT", exchange.target, exchange.headers, exchange.body)
        with pytest.raises(Refusal, match="signature-wrong"):
            signature.verify(changed, secret_of, datetime.datetime.fromisoformat(exchange.time))
        refused += 1
    print(f"{client}: {refused} changed requests refused")
    assert refused > 100


@pytest.mark.parametrize("client", traffic.clients())
def test_parsing(client: str) -> None:
    read = refused = 0
    for recording, exchange in exchanges(client):
        params = signature.parameters(raw(exchange))
        try:
            action, version = wire.heading(params)
            request = wire.read(action, version, params)
        except errors.Fault as fault:
            _, codes = replay.expectation(recording, exchange)
            assert codes and re.fullmatch(codes, fault.code), f"{recording.path}: {fault.code}: {fault.message}"
            refused += 1
            continue
        assert action == exchange.action
        assert written(action, request) == meant(exchange), recording.path
        read += 1
    print(f"{client}: {read} requests read, {refused} refused as they should be")
    assert read > 100
