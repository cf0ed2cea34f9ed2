"""The manners of the wire, byte by byte: namespaces, request ids, the form of errors, both signatures; no library between."""

from __future__ import annotations

import datetime
import urllib.parse
import xml.etree.ElementTree as ElementTree

from conformance import sign, traffic, wire
from conformance.story import Story, story

VERSIONS = ("2009-11-30", "2010-08-31", "2011-01-01", "2014-10-01", "2015-10-01", "2016-11-15")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_V4 = "AWS4-HMAC-SHA256 Credential=key/20261122/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"


def _ask(
    told: Story, params: dict[str, str], *, method: str = "POST", scheme: str = "v4", days: int = 0, secret: str = ""
) -> wire.Answer:
    """Send parameters, signed by one of the schemes, and answer with the answer."""
    parts = urllib.parse.urlsplit(told.target.url)
    path = parts.path or "/"
    pairs = list({"Version": "2016-11-15", **params}.items())
    headers: list[tuple[str, str]] = [("Host", parts.netloc)]
    if scheme == "v4":
        headers += [("X-Amz-Date", ""), ("Authorization", _V4)]
    elif scheme == "v2":
        pairs += [
            ("AWSAccessKeyId", ""),
            ("SignatureVersion", "2"),
            ("SignatureMethod", "HmacSHA256"),
            ("Timestamp", "Z"),
            ("Signature", ""),
        ]
    elif scheme == "v4-query":
        credential = "key/20261122/us-east-1/ec2/aws4_request"
        pairs += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", credential), ("X-Amz-Date", ""),
            ("X-Amz-Expires", "60"), ("X-Amz-SignedHeaders", "host"), ("X-Amz-Signature", "0"),
        ]  # fmt: skip
    text = wire.encode(pairs)
    if method == "POST":
        headers += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(text)))]
        request = wire.Request("POST", path, tuple(headers), text.encode())
    else:
        request = wire.Request("GET", f"{path}?{text}", tuple(headers))
    if scheme:
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        key = told.target.key
        request = sign.again(request, key.id, secret or key.secret, now, told.target.region)
    return wire.send(told.target.url, request)


def _refusal(told: Story, answer: wire.Answer, status: int, code: str) -> None:
    """The form of every error: its status, one Error, a RequestID, no namespace."""
    told.same("HTTP status", answer.status, status)
    told.same("the root", answer.root.tag, "Response")
    told.like("Code", answer.code, code)
    told.true("there is a Message", answer.message)
    told.like("RequestID", answer.text("RequestID"), _UUID)
    told.same("how many errors", len(answer.all("Errors/Error")), 1)


@story("wire manners")
def manners(told: Story) -> None:
    for version in VERSIONS:
        with told.step(f"version {version}: its own namespace, requestId, text/xml"):
            answer = _ask(told, {"Action": "DescribeRegions", "Version": version})
            told.same("HTTP status", answer.status, 200)
            told.same("the root", answer.root.tag, f"{{http://ec2.amazonaws.com/doc/{version}/}}DescribeRegionsResponse")
            told.like("requestId", answer.text("requestId"), _UUID)
            first = next(iter(answer.root), ElementTree.Element("nothing"))
            told.same("the first element", traffic.local(first.tag), "requestId")
            told.like("Content-Type", dict(answer.headers).get("Content-Type"), "text/xml.*")
            told.true("an XML declaration", answer.body.startswith(b"<?xml"))
    with told.step("each answer has a request id of its own"):
        told.true("they differ", len({_ask(told, {"Action": "DescribeRegions"}).text("requestId") for _ in range(3)}) == 3)
    for method, scheme in (("GET", "v2"), ("POST", "v2"), ("GET", "v4"), ("POST", "v4"), ("GET", "v4-query")):
        with told.step(f"signed {scheme}, {method}"):
            answer = _ask(told, {"Action": "DescribeRegions"}, method=method, scheme=scheme)
            told.same("HTTP status", answer.status, 200)
            told.same("the root", traffic.local(answer.root.tag), "DescribeRegionsResponse")
        with told.step(f"signed {scheme}, {method}, with a wrong secret"):
            answer = _ask(told, {"Action": "DescribeRegions"}, method=method, scheme=scheme, secret="wrong")
            _refusal(told, answer, 401, "AuthFailure")
        with told.step(f"signed {scheme}, {method}, yesterday"):
            _refusal(
                told, _ask(told, {"Action": "DescribeRegions"}, method=method, scheme=scheme, days=-1), 400, "RequestExpired"
            )
    with told.step("not signed at all"):
        _refusal(told, _ask(told, {"Action": "DescribeRegions"}, scheme=""), 403, "MissingAuthenticationToken")
    with told.step("not an action"):
        _refusal(told, _ask(told, {"Action": "NoSuchAction"}), 400, "InvalidAction")
    with told.step("not a version"):
        _refusal(told, _ask(told, {"Action": "DescribeRegions", "Version": "1999-01-01"}), 400, "NoSuchVersion")
    with told.step("no action"):
        _refusal(told, _ask(told, {}), 400, "MissingAction")
    with told.step("a parameter that the action does not have"):
        _refusal(told, _ask(told, {"Action": "DescribeRegions", "Colour": "blue"}), 400, "UnknownParameter")
    with told.step("a resource that is not there is 400, never 404"):
        answer = _ask(told, {"Action": "DeleteVolume", "VolumeId": "vol-0bad0bad0bad0bad0"})
        _refusal(told, answer, 400, r"InvalidVolume\.NotFound")
    with told.step("a dry run is 412"):
        _refusal(told, _ask(told, {"Action": "DescribeRegions", "DryRun": "true"}), 412, "DryRunOperation")
    with told.step("an integer that is none"):
        answer = _ask(told, {"Action": "CreateVolume", "AvailabilityZone": told.target.zones[0], "Size": "much"})
        _refusal(told, answer, 400, "InvalidParameterValue")
    with told.step("names are returned as they were written"):
        name = 'conformance <&> "grüß" ✓'
        answer = _ask(told, {"Action": "DescribeKeyPairs", "Filter.1.Name": "key-name", "Filter.1.Value.1": name})
        told.same("HTTP status", answer.status, 200)
        answer = _ask(told, {"Action": "DescribeKeyPairs", "KeyName.1": name})
        _refusal(told, answer, 400, r"InvalidKeyPair\.NotFound")
        told.same("Message", answer.message, f"The key pair '{name}' does not exist")
