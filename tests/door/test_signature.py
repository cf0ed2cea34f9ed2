"""Signatures against those who make them: botocore, boto 2, and the bytes that old clients really sent."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import string
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import boto.auth
import boto.connection
import boto.provider
import botocore.auth
import botocore.awsrequest
import botocore.compat
import botocore.credentials
import hypothesis
import pytest
import time_machine
from hypothesis import strategies

from conformance import traffic
from ec2gw.door import signature
from ec2gw.model.errors import Refusal
from ec2gw.query import errors

KEY = traffic.ACCESS_KEY
SECRET = traffic.SECRET_KEY
ACCOUNT = "123456789012"
NOW = datetime.datetime(2026, 11, 22, 10, 49, 45, tzinfo=datetime.UTC)
HOST = "127.0.0.1:8773"
FORM = "Action=DescribeVolumes&Filter.1.Name=tag%3AName&Filter.1.Value.1=two+words+%2B+%C3%BC&Version=2016-11-15"


def secret_of(access_key_id: str) -> signature.Credential | None:
    return {
        KEY: signature.Credential(SECRET, ACCOUNT),
        "AKIAOFF": signature.Credential(SECRET, ACCOUNT, active=False),
        "ASIATEMP": signature.Credential(SECRET, ACCOUNT, session_token="the+token/="),
    }.get(access_key_id)


def verify(raw: signature.Raw, now: datetime.datetime = NOW) -> signature.Signed:
    """As the EC2 face says it."""
    try:
        return signature.verify(raw, secret_of, now)
    except Refusal as refusal:
        raise errors.from_refusal(refusal) from None


def code(raw: signature.Raw, now: datetime.datetime = NOW) -> str:
    with pytest.raises(errors.Fault) as caught:
        verify(raw, now)
    if caught.value.code == "AuthFailure":
        assert caught.value.status == 401
        assert caught.value.message == "AWS was not able to validate the provided access credentials"
    return caught.value.code


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# -- Those who sign ------------------------------------------------------------------------------------------------------------


def sign(
    auth: Callable[[botocore.credentials.Credentials], Any],
    *,
    method: str = "POST",
    path: str = "/",
    form: str = FORM,
    key: str = KEY,
    secret: str = SECRET,
    token: str | None = None,
    headers: dict[str, str] | None = None,
    at: datetime.datetime = NOW,
) -> signature.Raw:
    """A request as botocore signs it."""
    signer = auth(botocore.credentials.Credentials(key, secret, token))
    in_body = method == "POST" and not isinstance(signer, botocore.auth.SigV4QueryAuth)
    url = f"http://{HOST}{path}" + ("" if in_body else f"?{form}")
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"} if in_body else {}
    request = botocore.awsrequest.AWSRequest(method, url, {**kind, **(headers or {})}, data=form if in_body else "")
    if isinstance(signer, botocore.auth.SigV2Auth):
        pairs = dict(urllib.parse.parse_qsl(form))
        request.url = f"http://{HOST}{path}"
        request.data, request.params = (pairs, {}) if in_body else ({}, pairs)
    with time_machine.travel(at, tick=False):
        signer.add_auth(request)
    prepared = request.prepare()
    body: Any = prepared.body or b""
    target = prepared.url.removeprefix(f"http://{HOST}")
    sent = (
        ("Host", HOST),
        *((name, _text(value)) for name, value in prepared.headers.items()),
    )
    return signature.Raw(method, target, sent, body.encode() if isinstance(body, str) else body)


def v4(credentials: botocore.credentials.Credentials) -> botocore.auth.SigV4Auth:
    return botocore.auth.SigV4Auth(credentials, "ec2", "us-east-1")


def v4_query(credentials: botocore.credentials.Credentials) -> botocore.auth.SigV4QueryAuth:
    return botocore.auth.SigV4QueryAuth(credentials, "ec2", "us-east-1", expires=3600)


def v2(credentials: botocore.credentials.Credentials) -> botocore.auth.SigV2Auth:
    return botocore.auth.SigV2Auth(credentials)


def sign_with_boto(
    handler: type[Any],
    *,
    method: str = "POST",
    path: str = "/",
    token: str | None = None,
    sha1: bool = False,
    key: str = KEY,
    at: datetime.datetime = NOW,
) -> signature.Raw:
    """A request as boto 2.49 signs it."""
    provider = boto.provider.Provider("aws", key, SECRET, token)
    signer = handler("127.0.0.1", None, provider)
    if sha1:
        signer._hmac_256 = None
        signer._get_hmac = lambda: hmac.new(SECRET.encode(), digestmod=hashlib.sha1)
    params = dict(urllib.parse.parse_qsl(FORM))
    request = boto.connection.HTTPRequest(method, "http", "127.0.0.1", 8773, path, path, params, {}, "")
    request.headers["Host"] = HOST
    if handler is boto.auth.QuerySignatureV2AuthHandler:
        request.host = HOST
    with time_machine.travel(at, tick=False):
        signer.add_auth(request)
    body = request.body.encode() if isinstance(request.body, str) else request.body
    return signature.Raw(method, request.path, tuple((name, str(value)) for name, value in request.headers.items()), body)


V2_BOTO = boto.auth.QuerySignatureV2AuthHandler
V4_BOTO = boto.auth.HmacAuthV4Handler

PATHS = ["/", "/services/Cloud/", "/services/compute", "/a/../b//c/./d", "/with%20space/%C3%BC", "//", "/~tilde"]
SIGNED: dict[str, Callable[[], signature.Raw]] = {
    "botocore v4 header": lambda: sign(v4),
    "botocore v4 header GET": lambda: sign(v4, method="GET"),
    "botocore v4 presigned": lambda: sign(v4_query, method="GET"),
    "botocore v2": lambda: sign(v2),
    "botocore v2 GET": lambda: sign(v2, method="GET"),
    "boto v2": lambda: sign_with_boto(V2_BOTO),
    "boto v2 GET": lambda: sign_with_boto(V2_BOTO, method="GET"),
    "boto v2 sha1": lambda: sign_with_boto(V2_BOTO, sha1=True),
    "boto v4": lambda: sign_with_boto(V4_BOTO),
    "boto v4 GET": lambda: sign_with_boto(V4_BOTO, method="GET"),
}


@pytest.fixture(params=SIGNED)
def raw(request: pytest.FixtureRequest) -> signature.Raw:
    return SIGNED[request.param]()


def test_a_signed_request_is_accepted_and_so_is_its_repeat(raw: signature.Raw) -> None:
    for _ in range(2):
        signed = verify(raw)
        assert (signed.access_key_id, signed.account_id) == (KEY, ACCOUNT)
        assert signed.at == NOW


def test_parameters_are_those_that_were_meant(raw: signature.Raw) -> None:
    meant = dict(urllib.parse.parse_qsl(FORM))
    assert meant.items() <= dict(signature.parameters(raw)).items()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("signer", [v4, v4_query, v2])
def test_any_path_botocore_signs_is_accepted(path: str, signer: Callable[..., Any]) -> None:
    verify(sign(signer, method="GET" if signer is v4_query else "POST", path=path))


@pytest.mark.parametrize("path", ["/", "/services/Cloud/", "/services/compute", "/a/b"])
@pytest.mark.parametrize("handler", [V2_BOTO, V4_BOTO])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_path_boto_signs_is_accepted(path: str, handler: type[Any], method: str) -> None:
    verify(sign_with_boto(handler, method=method, path=path))


@pytest.mark.parametrize("scope", [("0", "127"), ("undefined-4711", "ec2"), ("localhost", "localhost"), ("eu-west-1", "sts")])
def test_the_scope_may_name_any_region_and_service(scope: tuple[str, str]) -> None:
    verify(sign(lambda credentials: botocore.auth.SigV4Auth(credentials, scope[1], scope[0])))


@pytest.mark.parametrize("host", ["cloud.example.com", "cloud.example.com:8773"])
def test_a_host_signed_without_its_port_is_accepted(host: str) -> None:
    pairs = ["AWSAccessKeyId=" + KEY, "Action=A", "SignatureMethod=HmacSHA256", "SignatureVersion=2"]
    text = "&".join([*pairs, "Timestamp=2026-11-22T10%3A49%3A45"])
    made = base64.b64encode(hmac.digest(SECRET.encode(), f"GET\n{host}\n/\n{text}".encode(), "sha256")).decode()
    target = f"/?{text}&Signature={urllib.parse.quote(made)}"
    verify(signature.Raw("GET", target, (("Host", "Cloud.Example.com:8773"),), b""))
    assert code(signature.Raw("GET", target, (("Host", "cloud.example.org:8773"),), b"")) == "AuthFailure"


def test_another_host_is_refused(raw: signature.Raw) -> None:
    assert code(signature.Raw(raw.method, raw.target, tuple(swap(raw.headers, "Host", HOST + "0")), raw.body)) == "AuthFailure"


def swap(headers: tuple[tuple[str, str], ...], name: str, value: str) -> Iterator[tuple[str, str]]:
    for key, old in headers:
        yield (key, value) if key.lower() == name.lower() else (key, old)


def test_separators_of_the_authorization_header() -> None:
    signed = sign(v4)
    (value,) = signed.header("authorization")
    for form in (value.replace(", ", ","), value.replace(", ", " ,  "), f"  {value} "):
        verify(signature.Raw(signed.method, signed.target, tuple(swap(signed.headers, "authorization", form)), signed.body))


def test_an_authorization_header_of_another_scheme_says_nothing() -> None:
    signed = sign_with_boto(V2_BOTO, method="GET")
    for other in ("AWS AKIAIOSFODNN7EXAMPLE:abc=", "Basic Zm9v", ""):
        verify(signature.Raw(signed.method, signed.target, (*signed.headers, ("Authorization", other)), signed.body))


def test_header_values_are_trimmed_and_joined() -> None:
    signed = sign(v4, headers={"X-Amz-Meta": "a b,c"})
    parts = [pair for pair in signed.headers if pair[0] != "X-Amz-Meta"]
    verify(signature.Raw(signed.method, signed.target, (*parts, ("x-amz-meta", "  a   b "), ("X-AMZ-Meta", "c")), signed.body))
    other = (*parts, ("x-amz-meta", "c"), ("x-amz-meta", "a b"))
    assert code(signature.Raw(signed.method, signed.target, other, signed.body)) == "AuthFailure"


def test_a_signed_date_header_will_do() -> None:
    signed = sign(v4, headers={"Date": "Sun, 22 Nov 2026 10:49:45 GMT"})
    assert not signed.header("x-amz-date")
    assert verify(signed).at == NOW


# -- Those who may not ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", [v4, v4_query, v2])
def test_wrong_secret_unknown_and_inactive_keys_are_refused_alike(signer: Callable[..., Any]) -> None:
    method = "GET" if signer is v4_query else "POST"
    assert code(sign(signer, method=method, secret=SECRET + "x")) == "AuthFailure"
    assert code(sign(signer, method=method, key="AKIANOBODY")) == "AuthFailure"
    for secret in ("", "0" * 40):  # whatever stands in for the secret of nobody
        assert code(sign(signer, method=method, key="AKIANOBODY", secret=secret)) == "AuthFailure"
    assert code(sign(signer, method=method, key="AKIAOFF")) == "AuthFailure"


@pytest.mark.parametrize("signer", [v4, v4_query, v2])
def test_a_temporary_key_needs_its_token(signer: Callable[..., Any]) -> None:
    method = "GET" if signer is v4_query else "POST"
    assert verify(sign(signer, method=method, key="ASIATEMP", token="the+token/=")).account_id == ACCOUNT
    assert code(sign(signer, method=method, key="ASIATEMP", token="another")) == "AuthFailure"
    assert code(sign(signer, method=method, key="ASIATEMP")) == "AuthFailure"
    verify(sign(signer, method=method, token="left over"))


def test_an_unknown_key_costs_what_a_wrong_secret_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        calls.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    counts = []
    for key, secret in ((KEY, "wrong"), ("AKIANOBODY", SECRET)):
        for signer in (v4, v2):
            calls.clear()
            assert code(sign(signer, key=key, secret=secret)) == "AuthFailure"
            counts.append((signer, len(calls)))
    assert len(set(counts)) == 2


@pytest.mark.parametrize("minutes", [-181, -16, 16, 181])
@pytest.mark.parametrize("make", [m for name, m in SIGNED.items() if name != "botocore v4 presigned"])
def test_a_clock_more_than_a_quarter_off_is_refused(make: Callable[[], signature.Raw], minutes: int) -> None:
    assert code(make(), NOW + datetime.timedelta(minutes=minutes)) == "RequestExpired"


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_less_than_a_quarter_off_is_borne(raw: signature.Raw, minutes: int) -> None:
    verify(raw, NOW + datetime.timedelta(minutes=minutes))


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    signed = sign(v4_query, method="GET")
    verify(signed, NOW + datetime.timedelta(seconds=3599))
    assert code(signed, NOW + datetime.timedelta(seconds=3601)) == "RequestExpired"
    assert code(signed, NOW - datetime.timedelta(minutes=16)) == "RequestExpired"


@pytest.mark.parametrize(
    ("expires", "verdict"), [(0, "InvalidParameterValue"), (604_801, "InvalidParameterValue"), (604_800, None)]
)
def test_a_presigned_request_lives_a_week_at_most(expires: int, verdict: str | None) -> None:
    signed = sign(lambda credentials: botocore.auth.SigV4QueryAuth(credentials, "ec2", "r", expires=expires), method="GET")
    if verdict:
        assert code(signed) == verdict
    else:
        verify(signed, NOW + datetime.timedelta(days=6, hours=23))


def v2_by_hand(*extra: tuple[str, str]) -> signature.Raw:
    pairs = [("Action", "A"), ("AWSAccessKeyId", KEY), ("SignatureMethod", "HmacSHA256"), ("SignatureVersion", "2"), *extra]
    text = "&".join(f"{name}={urllib.parse.quote(value, safe='-_.~')}" for name, value in sorted(pairs))
    made = base64.b64encode(hmac.digest(SECRET.encode(), f"GET\n{HOST}\n/\n{text}".encode(), "sha256")).decode()
    return signature.Raw("GET", f"/?{text}&Signature={urllib.parse.quote(made, safe='/')}", (("Host", HOST),), b"")


def test_v2_times() -> None:
    for text in ("2026-11-22T10:49:45", "2026-11-22T10:49:45Z", "2026-11-22T10:49:45.000Z", "2026-11-22T11:49:45+01:00"):
        assert verify(v2_by_hand(("Timestamp", text))).at == NOW
    verify(v2_by_hand(("Expires", "2026-11-23T00:00:00Z")))
    assert code(v2_by_hand(("Expires", "2026-11-22T10:49:44Z"))) == "RequestExpired"
    assert (
        code(v2_by_hand(("Timestamp", "2026-11-22T10:49:45Z"), ("Expires", "2026-11-23T00:00:00Z")))
        == "InvalidParameterCombination"
    )
    assert code(v2_by_hand()) == "InvalidParameterCombination"
    for text in ("yesterday", "2026-11-22", "20261122T104945Z", "2026-11-32T10:49:45Z", "0001-01-01T00:00:00+14:00"):
        assert code(v2_by_hand(("Timestamp", text))) == "InvalidParameterValue"
    with pytest.raises(errors.Fault) as caught:
        verify(v2_by_hand(("Timestamp", "2026-11-22T07:00:00Z")))
    assert caught.value.message == "Request has expired. Timestamp date is 2026-11-22T07:00:00Z"


def test_what_is_not_signed_at_all() -> None:
    plain = signature.Raw("POST", "/", (("Host", HOST),), FORM.encode())
    with pytest.raises(errors.Fault) as caught:
        verify(plain)
    assert (caught.value.code, caught.value.status) == ("MissingAuthenticationToken", 403)
    for other in ("Basic Zm9v", "AWS AKIA:sig"):
        assert (
            code(signature.Raw("POST", "/", (("Host", HOST), ("Authorization", other)), FORM.encode()))
            == "MissingAuthenticationToken"
        )


GOOD = f"Credential={KEY}/20261122/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA512 " + GOOD,
        "AWS4-ECDSA-P256-SHA256 " + GOOD,
        "AWS4-HMAC-SHA256 " + GOOD.replace("Signature=", "Sig="),
        "AWS4-HMAC-SHA256 " + GOOD.replace("SignedHeaders=", "Headers="),
        "AWS4-HMAC-SHA256 " + GOOD.replace("Credential=", "Key="),
        "AWS4-HMAC-SHA256 " + GOOD.replace("/aws4_request", ""),
        "AWS4-HMAC-SHA256 " + GOOD.replace("aws4_request", "aws5_request"),
        "AWS4-HMAC-SHA256 " + GOOD.replace("us-east-1", ""),
        "AWS4-HMAC-SHA256 " + GOOD.replace("host;", "host;Host;"),  # a long header, named thousands of times, fills the memory
    ],
)
def test_half_a_v4_signature_is_incomplete(authorization: str) -> None:
    headers = (("Host", HOST), ("X-Amz-Date", "20261122T104945Z"), ("Authorization", authorization))
    assert code(signature.Raw("POST", "/", headers, b"")) == "IncompleteSignature"


@pytest.mark.parametrize("date", ["", "now", "2026-11-22T10:49:45Z", "20261322T104945Z", "20261122T104945"])
def test_a_v4_signature_needs_its_date(date: str) -> None:
    headers = (("Host", HOST), ("X-Amz-Date", date), ("Authorization", "AWS4-HMAC-SHA256 " + GOOD))
    assert code(signature.Raw("POST", "/", headers, b"")) == "IncompleteSignature"
    headers = (("Host", HOST), ("Date", "Sun, 22 Nov 2026 10:49:45 GMT"), ("Authorization", "AWS4-HMAC-SHA256 " + GOOD))
    assert code(signature.Raw("POST", "/", headers, b"")) == "IncompleteSignature"


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "SignatureVersion", "SignatureMethod", "Signature"])
def test_half_a_v2_signature_is_incomplete(name: str) -> None:
    signed = v2_by_hand(("Timestamp", "2026-11-22T10:49:45Z"))
    pairs = [pair for pair in signed.query.split("&") if not pair.startswith(f"{name}=")]
    assert code(signature.Raw("GET", "/?" + "&".join(pairs), signed.headers, b"")) == "IncompleteSignature"
    twice = [*signed.query.split("&"), f"{name}=x"]
    assert code(signature.Raw("GET", "/?" + "&".join(twice), signed.headers, b"")) == "IncompleteSignature"


Headers = tuple[tuple[str, str], ...]


def by_hand(
    names: str,
    headers: Headers,
    *,
    scope_date: str = "20261122",
    body: bytes = b"",
    signed: tuple[str, str] = ("/", ""),
    target: str = "/",
) -> signature.Raw:
    """Signed as version 4 has it, whatever the names say; `signed` are the path and the query that are signed."""
    values = {name.lower(): value for name, value in headers}
    lines = "".join(f"{name}:{values.get(name, '')}\n" for name in names.split(";"))
    canonical = f"POST\n{signed[0]}\n{signed[1]}\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{scope_date}/us-east-1/ec2/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n20261122T104945Z\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + SECRET.encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    made = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={made}"
    return signature.Raw("POST", target, (*headers, ("Authorization", authorization)), body)


BASE = (("Host", HOST), ("X-Amz-Date", "20261122T104945Z"))


def test_what_a_right_signature_does_not_excuse() -> None:
    verify(by_hand("host;x-amz-date", BASE))
    assert code(by_hand("x-amz-date", BASE)) == "AuthFailure"  # the host must be signed
    assert code(by_hand("host;x-amz-date;x-amz-none", BASE)) == "AuthFailure"  # what is signed must be there
    assert code(by_hand("host;x-amz-date", BASE, scope_date="20261121")) == "AuthFailure"


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        ("/a//b/%C3%BC", ("/a//b/%C3%BC", "")),  # as sent
        ("/a//b/./%C3%BC", ("/a/b/%25C3%25BC", "")),  # as the textbook has it
        ("/?b=x+y&a=%c3%bc&c", ("/", "a=%C3%BC&b=x%20y&c=")),  # as the textbook has it
        ("/?b=x+y&a=%c3%bc&c=", ("/", "a=%c3%bc&b=x+y&c=")),  # the pieces as sent
    ],
)
def test_both_forms_of_path_and_query_are_accepted(target: str, signed: tuple[str, str]) -> None:
    verify(by_hand("host;x-amz-date", BASE, signed=signed, target=target))
    assert code(by_hand("host;x-amz-date", BASE, signed=signed, target=target + "x")) == "AuthFailure"


def test_a_signed_hash_must_be_the_bodys() -> None:
    def hashed(value: str) -> signature.Raw:
        return by_hand("host;x-amz-content-sha256;x-amz-date", (*BASE, ("X-Amz-Content-SHA256", value)), body=b"Action=A")

    verify(hashed(hashlib.sha256(b"Action=A").hexdigest()))
    assert code(hashed(hashlib.sha256(b"Action=B").hexdigest())) == "AuthFailure"
    assert code(hashed("UNSIGNED-PAYLOAD")) == "AuthFailure"


# -- Any changed byte ----------------------------------------------------------------------------------------------------------


def changes(raw: signature.Raw) -> Iterator[tuple[str, signature.Raw]]:
    """Every byte of all that is signed, changed: method, target, signed headers, the signature, body."""
    for text in flips(raw.method):
        yield f"method {text}", signature.Raw(text, raw.target, raw.headers, raw.body)
    for text in flips(raw.target):
        yield f"target {text}", signature.Raw(raw.method, text, raw.headers, raw.body)
    (authorization,) = raw.header("authorization") or [""]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    for place, (name, value) in enumerate(raw.headers):
        if name.lower() in ("host", "authorization", *signed):
            for text in flips(value):
                headers = (*raw.headers[:place], (name, text), *raw.headers[place + 1 :])
                yield f"{name}: {text}", signature.Raw(raw.method, raw.target, headers, raw.body)
    for text in flips(raw.body.decode()):
        yield f"body {text}", signature.Raw(raw.method, raw.target, raw.headers, text.encode())


def flips(text: str) -> Iterator[str]:
    for place, letter in enumerate(text):
        other = string.ascii_letters[(string.ascii_letters.find(letter) + 1) % 52]
        yield text[:place] + other + text[place + 1 :]


REFUSALS = {"AuthFailure", "IncompleteSignature", "MissingAuthenticationToken", "MalformedQueryString", "InvalidParameterValue"}
REFUSALS |= {"InvalidParameterCombination", "RequestExpired"}


def test_any_changed_byte_is_refused(raw: signature.Raw) -> None:
    count = 0
    for what, changed in changes(raw):
        try:
            verify(changed)
        except errors.Fault as refused:
            assert refused.code in REFUSALS, what
        else:
            pytest.fail(f"accepted: {what}")
        count += 1
    assert count > 200


def test_another_request_under_the_same_signature_is_an_auth_failure(raw: signature.Raw) -> None:
    """Where the form of the request stays good, the answer is AWS's own."""
    deletes = raw.target.replace("DescribeVolumes", "DeleteVolume"), raw.body.replace(b"DescribeVolumes", b"DeleteVolume")
    assert deletes != (raw.target, raw.body)
    assert code(signature.Raw(raw.method, deletes[0], raw.headers, deletes[1])) == "AuthFailure"
    assert code(signature.Raw("GET" if raw.method == "POST" else "POST", raw.target, raw.headers, raw.body)) == "AuthFailure"
    more = raw.target + ("&" if raw.query else "?") + "DryRun=true"
    assert code(signature.Raw(raw.method, more, raw.headers, raw.body)) == "AuthFailure"
    assert code(signature.Raw(raw.method, raw.target, raw.headers, raw.body + b"&DryRun=true")) == "AuthFailure"
    assert code(signature.Raw(raw.method, "/other" + raw.target, raw.headers, raw.body)) == "AuthFailure"


# -- What was recorded ---------------------------------------------------------------------------------------------------------


def test_there_are_recordings() -> None:
    assert len(traffic.clients()) == 11
    assert sum(len(recording.exchanges) for client in traffic.clients() for recording in traffic.of(client)) > 1900


@pytest.mark.parametrize("client", traffic.clients())
def test_every_recorded_exchange_gets_its_verdict(client: str) -> None:
    verdicts = []
    for recording in traffic.of(client):
        for exchange in recording.exchanges:
            raw = signature.Raw(exchange.method, exchange.target, exchange.headers, exchange.body)
            late = abs(exchange.signature["age"]) > signature.SKEW.total_seconds()
            expected = "AuthFailure" if not exchange.signature["ok"] else "RequestExpired" if late else KEY
            try:
                verdict = verify(raw, datetime.datetime.fromisoformat(exchange.time)).access_key_id
            except errors.Fault as refused:
                verdict = refused.code
            assert verdict == expected, recording.path
            assert signature.parameters(raw) == exchange.params, recording.path
            verdicts.append(verdict)
    assert len(verdicts) > 100 and set(verdicts) == {KEY, "AuthFailure", "RequestExpired"}


# -- Bytes of any kind ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/?a=%", "/?a=%4", "/?a=%zz", "/?%ff=1", "/?a=%c3", "/?a=\udcff"])
def test_what_is_not_utf8_is_malformed(target: str) -> None:
    for raw in (
        signature.Raw("GET", target, (), b""),
        signature.Raw("POST", "/", (), target[2:].encode("utf-8", "surrogateescape")),
    ):
        with pytest.raises(Refusal) as caught:
            signature.parameters(raw)
        assert errors.from_refusal(caught.value).code == "MalformedQueryString"


def test_parameters_are_decoded_once_and_kept_in_order() -> None:
    raw = signature.Raw("POST", "/p?b=%2541&a&=x&&c=1=2", (), b"a=1+2%2B3&e=\xc3\xbc")
    assert signature.parameters(raw) == [("b", "%41"), ("a", ""), ("", "x"), ("c", "1=2"), ("a", "1 2+3"), ("e", "ü")]


ODD = strategies.text(alphabet=strategies.characters(exclude_categories=()), max_size=40)
FIELDS = strategies.sampled_from(["Authorization", "X-Amz-Date", "Date", "Host", "X-Amz-Security-Token", "X-Amz-Content-Sha256"])
PIECES = strategies.sampled_from(
    [
        *(f"X-Amz-{name}" for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")),
        *("AWSAccessKeyId", "Signature", "SignatureVersion", "SignatureMethod", "Timestamp", "Expires", "SecurityToken"),
        *(
            "=",
            "&",
            "?",
            "2",
            "HmacSHA256",
            "AWS4-HMAC-SHA256",
            "20261122T104945Z",
            "host",
            "%",
            KEY,
            f"{KEY}/20261122/a/b/aws4_request",
        ),
    ]
)
JUMBLE = strategies.one_of(ODD, strategies.lists(PIECES, max_size=25).map("".join), strategies.just("AWS4-HMAC-SHA256 " + GOOD))
QUERY = strategies.dictionaries(PIECES, strategies.one_of(PIECES, ODD), max_size=9).map(
    lambda pairs: "/?" + "&".join(f"{name}={urllib.parse.quote(value, errors='replace')}" for name, value in pairs.items())
)


@hypothesis.settings(max_examples=500, deadline=None)
@hypothesis.given(
    ODD,
    strategies.one_of(JUMBLE, QUERY),
    strategies.lists(strategies.tuples(FIELDS, JUMBLE), max_size=6),
    strategies.binary(max_size=60),
)
def test_any_bytes_are_refused_and_nothing_worse(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(errors.Fault):
        verify(signature.Raw(method, target, tuple(headers), body))
