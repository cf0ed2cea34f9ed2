"""Writes docs/coverage.md from the register of `ec2gw.query.api`: which of EC2's actions this house does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from ec2gw.query import actions, api

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"

_HEAD = """\
# Coverage

Written from the register of actions by `make coverage`; a test fails when this page is stale.

Of the {all} actions of EC2's API {version}, {served} are served. The others are refused as `UnsupportedOperation`, and what is no
action of EC2 as `InvalidAction`. What a served action does not do as AWS does is in [divergences.md](divergences.md).

| noun | served | refused |
| --- | --- | --- |
"""
_WORD = re.compile(r"[A-Z][a-z0-9]*|[A-Z]+(?![a-z])")
_VERB = re.compile(r"(?:Batch)?[A-Z][a-z]+")


def nouns(names: Iterable[str]) -> dict[str, list[str]]:
    """Actions by what they are about: those whose names go on with the same word after the verb, in the singular."""
    words = {name: _WORD.findall(_VERB.sub("", name, count=1)) for name in names}
    heads = {said[0] for said in words.values()}
    groups: dict[str, list[str]] = {}
    for name, said in sorted(words.items()):
        singular = next((head for head in (said[0].removesuffix("s"), said[0].removesuffix("es")) if head in heads), said[0])
        said[0] = singular
        groups.setdefault(singular, []).append(name)
    return {" ".join(_shared([words[name] for name in group])): group for _, group in sorted(groups.items())}


def _shared(phrases: list[list[str]]) -> list[str]:
    """The words that all of the phrases begin with."""
    return [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*phrases, strict=False))]


def page() -> str:
    """The whole page."""
    actions.load()
    names = api.model(api.NEWEST).operations
    head = _HEAD.format(all=len(names), version=api.NEWEST, served=len(api.REGISTER))
    rows = [
        f"| {noun} | {_list(name for name in group if name in api.REGISTER)} | "
        f"{_list(name for name in group if name not in api.REGISTER)} |"
        for noun, group in nouns(names).items()
    ]
    return head + "\n".join(rows) + "\n"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    PAGE.write_text(page())
