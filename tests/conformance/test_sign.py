"""The suite's signer makes, from the recorded moment and key, the very signatures that the clients made."""

from __future__ import annotations

import datetime

import pytest

from conformance import sign, traffic, wire


@pytest.mark.parametrize("client", traffic.clients())
def test_signer_repeats_the_recorded_signatures(client: str) -> None:
    repeated = 0
    for recording in traffic.of(client):
        for exchange in recording.exchanges:
            if not exchange.signature["ok"] or exchange.header("x-amz-security-token"):
                continue
            request = wire.Request(exchange.method, exchange.target, exchange.headers, exchange.body)
            region = exchange.signature.get("scope", "///").split("/")[1]
            again = sign.again(request, traffic.ACCESS_KEY, traffic.SECRET_KEY, _moment(exchange), region)
            assert _signed(again.headers) == _signed(exchange.headers), recording.path
            assert _values(again.target) == _values(exchange.target), recording.path
            assert _values("?" + again.body.decode()) == _values("?" + exchange.body.decode()), recording.path
            repeated += 1
    assert repeated > 100


def _signed(headers: wire.Headers) -> list[tuple[str, str]]:
    """All but what no signature of version 2 covers: boto 1.9b's second one, and the length (old boto leaves `/` unescaped)."""
    v4 = any(value.startswith("AWS4-") for _, value in headers)
    return [(name, value) for name, value in headers if v4 or name not in ("Authorization", "Content-Length")]


def _values(target: str) -> list[tuple[str, str]]:
    return [(name, sign.plain(value)) for name, value in sign.pairs(target.partition("?")[2])]


def _moment(exchange: traffic.Exchange) -> datetime.datetime:
    """The time at which the client signed, from where it says so."""
    stamp = exchange.header("x-amz-date") or dict(exchange.query).get("X-Amz-Date")
    if stamp:
        return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    text = dict(exchange.params)["Timestamp"].rstrip("Z")
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
