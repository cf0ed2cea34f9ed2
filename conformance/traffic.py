"""The recordings: requests that real, unmodified clients sent, and what they should lead to. Data; nothing is sent here."""

from __future__ import annotations

import base64
import functools
import json
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Exchange:
    """One HTTP request as sent, the recorder's verdict on its signature, and what of the answer later requests use.

    `gives` are (path, value) of the emulator's answer; `status` is the emulator's and proves nothing about AWS.
    """

    time: str
    method: str
    target: str
    http_version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    signature: dict[str, Any]
    status: int | None
    gives: tuple[tuple[str, str], ...]
    by_recorder: bool

    @functools.cached_property
    def query(self) -> Pairs:
        """The decoded query."""
        return _pairs(self.target.partition("?")[2])

    @functools.cached_property
    def form(self) -> Pairs:
        """The decoded form of the body."""
        return _pairs(self.body.decode("utf-8"))

    @property
    def params(self) -> Pairs:
        """The decoded query, then the decoded form."""
        return [*self.query, *self.form]

    @property
    def action(self) -> str:
        """The Action that is asked for."""
        return dict(self.params)["Action"]

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Recording:
    """One command of a client. `expected` is `success`, `error: REGEX`, `success or error: REGEX` or `client-side error: …`."""

    client: str
    scenario: str
    step: int
    slug: str
    command: str
    expected: str
    clock: str
    exchanges: tuple[Exchange, ...]
    path: Path


def _pairs(text: str) -> Pairs:
    return urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=10_000)


def read(path: Path) -> Recording:
    """One recording from its file."""
    record = json.loads(path.read_text("utf-8"))
    command = record["command"]
    return Recording(
        client=record["client"]["id"],
        scenario=record["scenario"],
        step=record["step"],
        slug=record["slug"],
        command=command.get("call") or " ".join(command["argv"]),
        expected=record["expected"],
        clock=record.get("client_clock", ""),
        exchanges=tuple(_exchange(exchange) for exchange in record["exchanges"]),
        path=path,
    )


def _exchange(row: dict[str, Any]) -> Exchange:
    request = row["request"]
    return Exchange(
        time=request["time"],
        method=request["method"],
        target=request["target"],
        http_version=request["http_version"],
        headers=tuple((name, value) for name, value in request["headers"]),
        body=base64.b64decode(request["body_base64"] or ""),
        signature=row["signature"],
        status=row["answer"]["status"],
        gives=tuple((path, value) for path, value in row["answer"]["gives"]),
        by_recorder=row["answer"].get("by") == "recorder",
    )


@functools.cache
def clients() -> tuple[str, ...]:
    """The names of the recorded clients."""
    return tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))


@functools.cache
def of(client: str) -> tuple[Recording, ...]:
    """All recordings of a client, in the order in which they ran."""
    return tuple(read(path) for path in sorted((FOLDER / client).glob("*.json")))


@functools.cache
def tag(client: str) -> str:
    """The word that made the names of the client's run unique."""
    found = (
        match[1]
        for recording in of(client)
        for exchange in recording.exchanges
        for _, value in exchange.params
        if (match := re.fullmatch(r"boot-([0-9a-f]{5})", value))
    )
    return next(found)


def local(tag: str) -> str:
    """The name of an element without its namespace."""
    return tag.rpartition("}")[2]


def leaves(element: ElementTree.Element, path: str = "") -> Iterator[tuple[str, str]]:
    """The texts of an answer with their paths: names joined by `/`, each `item` numbered from 1 or named by its device."""
    count: Counter[str] = Counter()
    for child in element:
        name = local(child.tag)
        count[name] += 1
        device = next((kid.text for kid in child if local(kid.tag) == "deviceName"), None)
        label = f"{name}[{(device or count[name])}]".replace("/dev/", "") if name == "item" else name
        where = f"{path}/{label}" if path else label
        if len(child):
            yield from leaves(child, where)
        elif child.text and child.text.strip():
            yield where, child.text.strip()
