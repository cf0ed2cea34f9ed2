"""Signs requests as EC2 clients do: version 2 in query or form, version 4 in header or query. Pure; it knows no clock."""

from __future__ import annotations

import base64
import datetime
import email.utils
import hashlib
import hmac
import re
import urllib.parse

from conformance import wire

Pairs = list[tuple[str, str]]

_ALGORITHM = "AWS4-HMAC-SHA256"


def pairs(text: str) -> Pairs:
    """The raw (still encoded) names and values of a query or form."""
    return [(name, value) for name, _, value in (piece.partition("=") for piece in text.split("&") if piece)]


def plain(text: str) -> str:
    """The decoded form of an encoded name or value."""
    return urllib.parse.unquote_plus(text)


def _join(raw: Pairs) -> str:
    return "&".join(f"{name}={value}" for name, value in raw)


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def v2(method: str, host: str, path: str, params: Pairs, secret: str) -> str:
    """The signature, base64, of decoded parameters (all but Signature) by HmacSHA256."""
    text = "\n".join([method, host.lower(), path or "/", wire.encode(sorted(params))])
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def v4(request: wire.Request, names: str, stamp: str, scope: str, secret: str) -> str:
    """The signature, hex. `names` are the signed headers joined by `;`; the target's query must not hold a signature."""
    path, _, query = request.target.partition("?")
    values = {name.lower(): " ".join(value.split()) for name, value in request.headers}
    canonical = "\n".join(
        [
            request.method,
            urllib.parse.quote(path or "/", safe="/~"),
            wire.encode(sorted((plain(name), plain(value)) for name, value in pairs(query))),
            *(f"{name}:{values[name]}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def again(request: wire.Request, key_id: str, secret: str, now: datetime.datetime, region: str) -> wire.Request:
    """The request signed anew, the way it was signed: version, place, parts covered, form of the time.

    `request` bears the old signature, and already the new host, path and parameters. A scope of `us-east-1/ec2` names the region;
    any other (old clients make it from the host's name) stays.
    """
    if _ALGORITHM in (dict(request.headers).get("Authorization") or ""):
        return _v4_header(request, key_id, secret, now, region)
    if "X-Amz-Algorithm=" in request.target:
        return _v4_query(request, key_id, secret, now, region)
    return _v2(request, key_id, secret, now)


def _v2(request: wire.Request, key_id: str, secret: str, now: datetime.datetime) -> wire.Request:
    path, _, query = request.target.partition("?")
    raw = pairs(query) or pairs(request.body.decode())
    old = dict(raw)
    form = "%Y-%m-%dT%H:%M:%S" + ("Z" if old["Timestamp"].endswith("Z") else "")
    new = {"AWSAccessKeyId": key_id, "Timestamp": now.strftime(form)}
    raw = [(name, _quote(new[name]) if name in new else value) for name, value in raw]
    params = [(plain(name), plain(value)) for name, value in raw if name != "Signature"]
    signature = v2(request.method, _value(request, "host"), path, params, secret)
    text = _join([(name, _quote(signature) if name == "Signature" else value) for name, value in raw])
    date = email.utils.format_datetime(now, usegmt=True)
    # boto 1.9b signs a second time, by the oldest scheme; servers look at the parameters only.
    beside = base64.b64encode(hmac.digest(secret.encode(), date.encode(), "sha1")).decode()
    request = _with(request, Date=date, Authorization=f"AWS {key_id}:{beside}")
    if query:
        return wire.Request(request.method, f"{path}?{text}", request.headers)
    body = text.encode()
    return _with(wire.Request(request.method, path, request.headers, body), **{"Content-Length": str(len(body))})


def _v4_header(request: wire.Request, key_id: str, secret: str, now: datetime.datetime, region: str) -> wire.Request:
    old = _value(request, "authorization")
    scope = _scope(_found(r"Credential=[^/]+/([^,\s]+)", old), now, region)
    names = _found(r"SignedHeaders=([^,\s]+)", old)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    length = {"Content-Length": str(len(request.body))}
    digest = {"X-Amz-Content-SHA256": hashlib.sha256(request.body).hexdigest()}
    request = _with(request, **{"X-Amz-Date": stamp}, **length, **digest)
    signature = v4(request, names, stamp, scope, secret)
    comma = ", " if ", " in old else ","
    words = (f"{_ALGORITHM} Credential={key_id}/{scope}", f"SignedHeaders={names}", f"Signature={signature}")
    return _with(request, Authorization=comma.join(words))


def _v4_query(request: wire.Request, key_id: str, secret: str, now: datetime.datetime, region: str) -> wire.Request:
    path, _, query = request.target.partition("?")
    raw = [(name, value) for name, value in pairs(query) if name != "X-Amz-Signature"]
    old = {name: plain(value) for name, value in raw}
    scope = _scope(old["X-Amz-Credential"].partition("/")[2], now, region)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    new = {"X-Amz-Credential": f"{key_id}/{scope}", "X-Amz-Date": stamp}
    text = _join([(name, _quote(new[name]) if name in new else value) for name, value in raw])
    unsigned = wire.Request(request.method, f"{path}?{text}", request.headers, request.body)
    signature = v4(unsigned, old["X-Amz-SignedHeaders"], stamp, scope, secret)
    return wire.Request(request.method, f"{unsigned.target}&X-Amz-Signature={signature}", request.headers, request.body)


def _scope(old: str, now: datetime.datetime, region: str) -> str:
    _, old_region, service, end = old.split("/")
    if (old_region, service) == ("us-east-1", "ec2"):
        old_region = region
    return f"{now:%Y%m%d}/{old_region}/{service}/{end}"


def _value(request: wire.Request, name: str) -> str:
    return next(value for key, value in request.headers if key.lower() == name)


def _with(request: wire.Request, **new: str) -> wire.Request:
    """The request with new values for those of these headers that it has."""
    lower = {name.lower(): value for name, value in new.items()}
    headers = tuple((name, lower.get(name.lower(), value)) for name, value in request.headers)
    return wire.Request(request.method, request.target, headers, request.body)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"no {pattern} in {text}")
    return match[1]
