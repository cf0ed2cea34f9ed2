"""Answers of two endpoints to one story, side by side: the same elements in the same order, the same states and words.

What is another every time (ids, times, addresses) is taken out; but a thing must stay itself: where the one names it again, so
must the other. Stories are told several at a time, so of a list only what the story itself made is looked at.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence

from conformance import traffic
from conformance.story import Heard

_ID = re.compile(r"\b([a-z]+(?:-[a-z]+)*)-(?:[0-9a-f]{17}|[0-9a-f]{8})\b")
# Kinds of what is there before every story, and belongs to none.
_SHARED = ("vpc", "subnet", "acl", "rtb", "igw", "dopt", "aclassoc", "rtbassoc", "vpc-cidr-assoc")
# Texts that are another every time.
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| GMT)?"), "a time"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?"), "an address"),
    (re.compile(r"\bip-\d+-\d+-\d+-\d+"), "a host"),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "a UUID"),
    (re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5,}"), "octets"),
    (re.compile(r"\b\d{12}\b"), "an account"),
    (re.compile(r"(?<=-)[0-9a-f]{5,6}\b|\b[0-9a-f]{12}\b"), "a mark"),
    (re.compile(r"\b\d+(?= more running instance)"), "what other stories leave of a quota"),
)
_OPAQUE = ("keyMaterial", "nextToken", "requestId", "output", "imageData", "RequestID")
_UNORDERED = ("groupSet", "deleteSnapshotResultSet")
# States of which the one soon follows the other: which of them is seen is a matter of moments.
_SOON = [
    {"creating", "available"}, {"attaching", "attached"}, {"shutting-down", "terminated"},
    {"pending", "running"}, {"pending", "completed"}, {"pending", "available"},
    {"modifying", "optimizing"}, {"modifying", "completed"}, {"optimizing", "completed"},
]  # fmt: skip
_STATES = ("instanceState/name", "currentState/name", "previousState/name", "status", "state", "ebs/status", "modificationState")
# Steps that show what is there at a moment: a page of everybody's, or what is just now in some state.
_MOMENTS = re.compile(r".*(paged|describe-volumes-two-values|describe-volumes-of-instance|describe-instances-by-mapping)")


class Pair:
    """Two tellings of one story. `same` has each thing of the first under its name there, with its name in the second."""

    def __init__(self) -> None:
        self.same: dict[str, str] = {}
        self.own: set[str] = set()

    def differences(self, one: Sequence[Heard], other: Sequence[Heard]) -> Iterator[str]:
        """What differs between the answers."""
        asked, asked_too = ([(row.step, row.action) for row in heard] for heard in (one, other))
        if asked != asked_too:
            yield f"asked {asked} and {asked_too}"
            return
        for row, row_too in zip(one, other, strict=True):
            first, second = self._own(row), self._own(row_too)
            if not _MOMENTS.fullmatch(row.step):
                yield from (f"{row.step}: {line}" for line in self._between(first, second, traffic.local(first.tag)))

    def _own(self, heard: Heard) -> ElementTree.Element:
        """An answer without what other stories made."""
        root = ElementTree.fromstring(heard.body)
        if not heard.action.startswith(("Describe", "Get", "List")):
            self._learn(root, group=heard.action == "CreateSecurityGroup")
            return root
        for part in root:
            for item in [item for item in part if traffic.local(item.tag) == "item"]:
                found = {name for element in item.iter() for name in _names(element)}
                if not found.isdisjoint(self.own):
                    self._learn(item)
                elif found:
                    part.remove(item)
        return root

    def _learn(self, element: ElementTree.Element, *, group: bool = False) -> None:
        for part in element.iter():
            self.own.update(
                name for name, kind in _names(part).items() if kind not in _SHARED and (group or kind != "sg")
            )  # fmt: skip

    def _between(self, one: ElementTree.Element, other: ElementTree.Element, path: str, ordered: bool = True) -> Iterator[str]:
        if any({_text(one, path), _text(other, path)} in _SOON for path in _STATES):
            return
        if not len(one) and not len(other):
            yield from self._between_texts(one, other, path, ordered)
            return
        parts, parts_too = list(one), list(other)
        if traffic.local(one.tag) in _UNORDERED:
            ordered = False
            parts, parts_too = (sorted(found, key=_whole) for found in (parts, parts_too))
        names, names_too = ([traffic.local(part.tag) for part in found] for found in (parts, parts_too))
        if names != names_too:
            yield f"{path} has {names} and {names_too}"
            return
        for name, part, part_too in zip(names, parts, parts_too, strict=True):
            yield from self._between(part, part_too, f"{path}/{name}", ordered)

    def _between_texts(self, one: ElementTree.Element, other: ElementTree.Element, path: str, ordered: bool) -> Iterator[str]:
        if traffic.local(one.tag) in _OPAQUE:
            return
        text, text_too = _plain(one.text or ""), _plain(other.text or "")
        if text != text_too:
            yield f"{path}: {text!r} and {text_too!r}"
        for name, name_too in zip(_names(one), _names(other), strict=False):
            if ordered and self.same.setdefault(name, name_too) != name_too:
                yield f"{path}: another {_names(one)[name]}"


def _names(element: ElementTree.Element) -> dict[str, str]:
    """The names of things that an element's text has, each with its kind."""
    text = element.text or ""
    if traffic.local(element.tag) == "keyName":
        return {text: "key"}
    return {match[0]: match[1] for match in _ID.finditer(text)}


def _plain(text: str) -> str:
    text = _ID.sub(lambda match: match[1], text.strip())
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


def _whole(element: ElementTree.Element) -> list[str]:
    return [_plain(part.text or "") for part in element.iter()]


def _text(element: ElementTree.Element, path: str) -> str:
    """The text at a path of plain names, empty where there is none."""
    found = [element]
    for name in path.split("/"):
        found = [part for above in found for part in above if traffic.local(part.tag) == name]
    return (found[0].text or "") if found else ""
