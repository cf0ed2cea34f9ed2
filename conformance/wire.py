"""Bytes to an endpoint and back: one HTTP exchange at a time, and the XML in it. It knows nothing of what is asked."""

from __future__ import annotations

import gzip
import http.client
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance import traffic

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """A request as it goes out; headers keep their order and case."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An answer as it came in."""

    status: int
    headers: Headers
    body: bytes
    root: ElementTree.Element = field(default_factory=lambda: ElementTree.Element("nothing"))

    @property
    def code(self) -> str | None:
        """The error's code, or none for a success."""
        return self.text("Errors/Error/Code") if self.status >= 300 else None

    @property
    def message(self) -> str | None:
        """The error's message."""
        return self.text("Errors/Error/Message")

    def text(self, path: str) -> str | None:
        """The text of the first element at a path of plain names."""
        found = self.all(path)
        return (found[0].text or "").strip() if found else None

    def all(self, path: str) -> list[ElementTree.Element]:
        """All elements at a path of plain names."""
        return every(self.root, path)


def every(element: ElementTree.Element, path: str) -> list[ElementTree.Element]:
    """All elements at a path of plain names below an element, whatever their namespace."""
    found = [element]
    for name in path.split("/"):
        found = [child for parent in found for child in parent if traffic.local(child.tag) == name]
    return found


def send(url: str, request: Request, timeout: float = 60.0) -> Answer:
    """Send a request just as it is, and read the answer. A body that is not XML leaves `root` an element `nothing`."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    headers = tuple(response.getheaders())
    if response.getheader("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(response.status, headers, body, parse(body))


def parse(body: bytes) -> ElementTree.Element:
    """The XML of a body; an element `nothing` if it is none."""
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return ElementTree.Element("nothing")


def encode(pairs: Iterable[tuple[str, str]]) -> str:
    """A form or query: RFC 3986, as AWS's signers write it."""
    quote = urllib.parse.quote
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
