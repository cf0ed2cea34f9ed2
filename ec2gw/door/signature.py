"""Who signed this request? Signature Version 2, and Version 4 in header or query. Pure: it knows no clock, database or server.

What is verified is what arrived, byte for byte. Where real clients sign a form other than the textbook's (the Host without its
port, the path as sent rather than encoded once more), the signature may match either; each form is a function of the same bytes,
so none lets a change through. A request may come twice: old clients repeat the very same bytes after a server error.
"""

from __future__ import annotations

import base64
import datetime
import email.utils
import functools
import hashlib
import hmac
import itertools
import posixpath
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ec2gw.model import errors

SKEW = datetime.timedelta(minutes=15)
LONGEST_PRESIGNED = 604_800

_V4 = "AWS4-HMAC-SHA256"
_UNSIGNED_BODY = "UNSIGNED-PAYLOAD"
_BASIC_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SPACES = re.compile("  +")
_PORT = re.compile(":[0-9]*$")
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Raw:
    """A request as received: `target` is the raw path and query, `headers` are in their order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> list[str]:
        """All values of a header, by its lower-case name."""
        return self._by_name.get(name, [])

    @functools.cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.lower(), []).append(value)
        return found

    @property
    def path(self) -> str:
        """The path as sent; `/` for an empty one."""
        return self.target.partition("?")[0] or "/"

    @property
    def query(self) -> str:
        """The query as sent, without the question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Credential:
    """What is known of an access key. `session_token` is that of a temporary one; a key that is not `active` signs nothing."""

    secret: str = field(repr=False)
    account_id: str
    session_token: str | None = field(default=None, repr=False)
    active: bool = True


@dataclass(frozen=True)
class Signed:
    """Who signed a request, with which key, and when they say they did."""

    access_key_id: str
    credential: Credential
    at: datetime.datetime | None

    @property
    def account_id(self) -> str:
        """The account that the key is of."""
        return self.credential.account_id


SecretOf = Callable[[str], Credential | None]

# Stands in for an unknown key, so that refusing it takes as long as refusing a wrong secret.
_NOBODY = Credential(secret="0" * 40, account_id="", active=False)


def parameters(raw: Raw) -> list[tuple[str, str]]:
    """The names and values of the query, then of the form in the body, decoded once.

    The body is read as a form whatever its Content-Type says, as EC2 does. Raises Malformed unless it is percent-encoded UTF-8.
    """
    return [*_decode(_bytes(raw.query)), *_decode(raw.body)]


def verify(raw: Raw, secret_of: SecretOf, now: datetime.datetime) -> Signed:
    """Who signed the request. `now` is aware.

    Raises Unsigned with the reason `signature-wrong` (one and the same for an unknown key, a wrong secret, an inactive key, a
    changed request), `request-expired`, `not-signed` or `signature-incomplete`; Malformed for a query that cannot be read.
    """
    signed = _verify_v4(raw, secret_of, now)
    if signed is not None:
        return signed
    params = parameters(raw)
    if any(name in ("AWSAccessKeyId", "Signature", "SignatureVersion") for name, _ in params):
        return _verify_v2(raw, params, secret_of, now)
    raise errors.Unsigned("not-signed")


def verify_v4(raw: Raw, secret_of: SecretOf, now: datetime.datetime, *, voucher: str | None = None) -> Signed:
    """As `verify`, for a service that never knew Version 2.

    `voucher` is the header, in lower case, by which this request may vouch for its body: where it is signed, the body need not be
    (UNSIGNED-PAYLOAD), and it is for the caller to hold the body against it.
    """
    signed = _verify_v4(raw, secret_of, now, voucher)
    if signed is None:
        raise errors.Unsigned("not-signed")
    return signed


# -- Version 4 ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    access_key_id: str
    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def _verify_v4(raw: Raw, secret_of: SecretOf, now: datetime.datetime, voucher: str | None = None) -> Signed | None:
    """None where there is no signature of this version."""
    authorization = [value.strip() for value in raw.header("authorization") if value.strip().startswith("AWS4-")]
    if authorization:
        return _verify_v4_header(raw, authorization, secret_of, now, voucher)
    query = list(_decode(_bytes(raw.query)))
    if any(name == "X-Amz-Algorithm" for name, _ in query):
        return _verify_v4_query(raw, query, secret_of, now, voucher)
    return None


def _verify_v4_header(
    raw: Raw, authorization: list[str], secret_of: SecretOf, now: datetime.datetime, voucher: str | None
) -> Signed:
    if len(authorization) > 1:
        raise _incomplete("More than one Authorization header.")
    algorithm, _, rest = authorization[0].partition(" ")
    if algorithm != _V4:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:32]}'.")
    fields = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest.split(","))}
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    stamp, at = _v4_header_date(raw, fields["SignedHeaders"])
    token = _one_or_none(raw.header("x-amz-security-token"))
    signed = _match_v4(raw, raw.query, fields, stamp, token, secret_of, voucher)
    if abs(now - at) > SKEW:
        raise _expired()
    return Signed(*signed, at)


def _verify_v4_query(
    raw: Raw, query: list[tuple[str, str]], secret_of: SecretOf, now: datetime.datetime, voucher: str | None
) -> Signed:
    wanted = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    fields = {name: _only(query, f"X-Amz-{name}") for name in wanted}
    if fields["Algorithm"] != _V4:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{fields['Algorithm'][:32]}'.")
    expires = fields["Expires"]
    if not re.fullmatch(r"[0-9]{1,6}", expires) or not 1 <= int(expires) <= LONGEST_PRESIGNED:
        raise _invalid("X-Amz-Expires", expires, f"Must be 1 to {LONGEST_PRESIGNED} seconds.")
    at = _basic_time(fields["Date"])
    token = _one_or_none([value for name, value in query if name == "X-Amz-Security-Token"])
    pairs = [pair for pair in raw.query.split("&") if urllib.parse.unquote_plus(pair.partition("=")[0]) != "X-Amz-Signature"]
    signed = _match_v4(raw, "&".join(pairs), fields, fields["Date"], token, secret_of, voucher)
    if not -SKEW <= now - at <= datetime.timedelta(seconds=int(expires)):
        raise _expired()
    return Signed(*signed, at)


def _v4_header_date(raw: Raw, signed_headers: str) -> tuple[str, datetime.datetime]:
    """The time of signing, as it stands in the string to sign and as a moment: X-Amz-Date, else a signed Date."""
    stamps = raw.header("x-amz-date")
    if stamps:
        return stamps[0].strip(), _basic_time(stamps[0].strip())
    dates = raw.header("date")
    if not dates or "date" not in signed_headers.lower().split(";"):
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    try:
        at = email.utils.parsedate_to_datetime(dates[0])
        if at.tzinfo is None:
            at = at.replace(tzinfo=datetime.UTC)
        at = at.astimezone(datetime.UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        raise _incomplete("Date must be in RFC 1123 form.") from None
    return at.strftime("%Y%m%dT%H%M%SZ"), at


def _basic_time(text: str) -> datetime.datetime:
    if _BASIC_TIME.fullmatch(text):
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    raise _incomplete("Date must be in ISO-8601 'basic format'.")


def _match_v4(
    raw: Raw,
    query: str,
    fields: dict[str, str],
    stamp: str,
    token: str | None,
    secret_of: SecretOf,
    voucher: str | None,
) -> tuple[str, Credential]:
    """(access key id, key) of whoever made the signature; any region and service may be named. Raises Unsigned."""
    words = fields["Credential"].split("/")
    if len(words) != 5 or not all(words) or words[4] != "aws4_request":
        raise _incomplete("Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request.")
    scope = _Scope(*words[:4])
    names = fields["SignedHeaders"].lower().split(";")
    if len(set(names)) < len(names):  # or thousands of names could multiply one long header
        raise _incomplete("SignedHeaders must name each header once.")
    credential = secret_of(scope.access_key_id) or _NOBODY
    key = b"AWS4" + _bytes(credential.secret)
    for word in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, _bytes(word), "sha256")
    body_hashes = [hashlib.sha256(raw.body).hexdigest(), *([_UNSIGNED_BODY] if voucher in names else [])]
    given = _bytes(fields["Signature"])
    matched = False
    for path, text, host, body_hash in itertools.product(_v4_paths(raw.path), _v4_queries(query), _hosts(raw), body_hashes):
        lines = [f"{name}:{_v4_header_value(raw, name, host)}" for name in names]
        canonical = "\n".join([raw.method, path, text, *lines, "", fields["SignedHeaders"], body_hash])
        to_sign = "\n".join([_V4, stamp, str(scope), hashlib.sha256(_bytes(canonical)).hexdigest()])
        matched = hmac.compare_digest(hmac.digest(key, _bytes(to_sign), "sha256").hex().encode(), given)
        if matched:
            break  # which form it was is no secret
    # Whatever is signed must be there; the host always is; a hash of the body that is sent must be the body's.
    present = "host" in names and all(raw.header(name) for name in names)
    hashes = raw.header("x-amz-content-sha256") if "x-amz-content-sha256" in names else []
    honest = all(value in body_hashes for value in hashes) and stamp[:8] == scope.date
    return scope.access_key_id, _admit(credential, token, matched and present and honest)


def _v4_header_value(raw: Raw, name: str, host: str) -> str:
    values = [host] if name == "host" else raw.header(name)
    return ",".join(_SPACES.sub(" ", value.strip()) for value in values)


def _v4_paths(path: str) -> list[str]:
    """The path as the textbook has it (normal form, encoded once more), and as it was sent."""
    if path == "/":
        return [path]
    normal = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and normal != "/":
        normal += "/"
    return _different(urllib.parse.quote(_bytes(normal), safe="/~"), path)


def _v4_queries(query: str) -> list[str]:
    """The sorted query as the textbook has it (decoded and encoded anew), and of the pieces as they were sent."""
    if not query:
        return [query]
    decoded = sorted((_quote(name), _quote(value)) for name, value in _decode(_bytes(query)))
    pieces = sorted((name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair))
    return _different(*("&".join(f"{name}={value}" for name, value in pairs) for pairs in (decoded, pieces)))


# -- Version 2 ------------------------------------------------------------------------------------------------------------------

_V2_METHODS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}
_V2_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def _verify_v2(raw: Raw, params: list[tuple[str, str]], secret_of: SecretOf, now: datetime.datetime) -> Signed:
    access_key_id, version, method, given = (
        _only(params, name) for name in ("AWSAccessKeyId", "SignatureVersion", "SignatureMethod", "Signature")
    )
    if version != "2":
        raise _invalid("SignatureVersion", version, "Must be 2.")
    if method not in _V2_METHODS:
        raise _invalid("SignatureMethod", method, f"Must be one of {', '.join(_V2_METHODS)}.")
    named = {name for name, _ in params}
    if ("Timestamp" in named) == ("Expires" in named):
        message = "Exactly one of Timestamp and Expires must be in the request."
        raise errors.Conflict("invalid-combination", message=message)
    label = "Timestamp" if "Timestamp" in named else "Expires"
    text = _only(params, label)
    moment = _v2_time(label, text)

    credential = secret_of(access_key_id) or _NOBODY
    query = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted(params) if name != "Signature")
    matched = False
    for host in _hosts(raw):
        to_sign = "\n".join([raw.method, host.lower(), raw.path, query])
        digest = hmac.digest(_bytes(credential.secret), _bytes(to_sign), _V2_METHODS[method])
        matched |= hmac.compare_digest(base64.b64encode(digest), _bytes(given))
    token = _one_or_none([value for name, value in params if name == "SecurityToken"])
    credential = _admit(credential, token, matched)
    if abs(now - moment) > SKEW if label == "Timestamp" else now > moment:
        raise _expired(f" {label} date is {text}")
    return Signed(access_key_id, credential, moment if label == "Timestamp" else None)


def _v2_time(label: str, text: str) -> datetime.datetime:
    """ISO 8601; without a zone it is UTC, as boto 1 sent it."""
    try:
        if _V2_TIME.fullmatch(text):
            moment = datetime.datetime.fromisoformat(text)
            return moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise _invalid(label, text, "Must be ISO 8601.")


# -- What both versions share ---------------------------------------------------------------------------------------------------


def _admit(credential: Credential, token: str | None, matched: bool) -> Credential:
    """The key, if the signature matched and the key may sign. One text for all that is wrong.

    A temporary key needs its token; a token beside a lasting key says nothing and is let be.
    """
    lasting = credential.session_token is None
    same_token = hmac.compare_digest(_bytes(token or ""), _bytes(credential.session_token or ""))
    if not (matched and (lasting or same_token) and credential.active):
        raise errors.Unsigned("signature-wrong")
    return credential


def _hosts(raw: Raw) -> list[str]:
    """The Host header as received, and without its port: some clients sign the bare name."""
    host = (raw.header("host") or [""])[0].strip()
    return _different(host, _PORT.sub("", host))


def _decode(text: bytes) -> Iterator[tuple[str, str]]:
    for pair in text.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            yield _unquote(name), _unquote(value)


def _unquote(text: bytes) -> str:
    text = text.replace(b"+", b" ")
    if b"%" in text:
        if _NO_ESCAPE.search(text):
            raise _malformed()
        text = urllib.parse.unquote_to_bytes(text)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed() from None


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def _bytes(text: str) -> bytes:
    """The bytes that a server decoded to `text`: what is not UTF-8 came as surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _malformed() from None


def _only(params: Iterable[tuple[str, str]], name: str) -> str:
    values = [value for key, value in params if key == name]
    if len(values) != 1 or not values[0]:
        raise _incomplete(f"The request requires exactly one '{name}' parameter.")
    return values[0]


def _one_or_none(values: list[str]) -> str | None:
    if len(values) > 1:
        raise _incomplete("The request has more than one session token.")
    return values[0] if values else None


def _different(*texts: str) -> list[str]:
    return list(dict.fromkeys(texts))


def _expired(detail: str = "") -> errors.Unsigned:
    return errors.Unsigned("request-expired", detail=detail)


def _incomplete(message: str) -> errors.Unsigned:
    return errors.Unsigned("signature-incomplete", message=message)


def _invalid(name: str, value: str, why: str) -> errors.Invalid:
    return errors.Invalid("invalid-value", value=value[:64], parameter=name, why=why)


def _malformed() -> errors.Malformed:
    return errors.Malformed("malformed-query")
