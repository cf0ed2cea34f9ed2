"""What must be in an answer, read from data/answers.json. Pure: it judges one answer to one request and sends nothing."""

from __future__ import annotations

import functools
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance import traffic, wire

DATA = Path(__file__).parent / "data"


@functools.cache
def _rules() -> dict[str, Any]:
    rules: dict[str, Any] = json.loads((DATA / "answers.json").read_text("utf-8"))
    return rules


def complaints(action: str, params: dict[str, str], answer: wire.Answer, client: str) -> Iterator[str]:
    """What is wrong with a successful answer, for a client that sent these parameters (with the endpoint's own ids)."""
    rules = _rules()
    root = answer.root
    if traffic.local(root.tag) != f"{action}Response":
        yield f"the answer is a {traffic.local(root.tag)}: {answer.body[:80]!r}"
        return
    if not answer.text("requestId"):
        yield "no requestId"
    if action in rules["returns"] and answer.text("return") != "true":
        yield f"return is {answer.text('return')!r}, not 'true'"
    row = rules["actions"].get(action, {})
    later = (paths for since, paths in row.get("since", {}).items() if params["Version"] >= since)
    for path in [*row.get("need", ()), *(path for paths in later for path in paths)]:
        yield from _needed(root, path)
    for path, pattern in row.get("like", {}).items():
        for element in answer.all(path):
            if not re.fullmatch(pattern, (element.text or "").strip(), re.DOTALL):
                yield f"{path} is {element.text!r}, not like {pattern}"
    for name, path in row.get("echo", {}).items():
        if params.get(name):
            shown = {element.text for element in answer.all(path)}
            if shown != {params[name]}:
                yield f"{name}={params[name]} was asked, {path} is {shown or 'not there'}"
    asked = params.get(row.get("asked", ""))
    if asked and not answer.all(asked):
        yield f"{asked} was asked for and is not there"
    if action == "RunInstances":
        yield from _counted(len(answer.all("instancesSet/item")), params)
    if action.startswith("Describe") or action.endswith("Instances"):
        yield from _listed(root, action, params)
    yield from _foreign_lists(root, client)


def _needed(root: ElementTree.Element, path: str) -> Iterator[str]:
    *above, last = path.split("/")
    parents = wire.every(root, "/".join(above)) if above else [root]
    if last == "item" and not any(wire.every(parent, last) for parent in parents):
        yield f"{path} is empty"
    elif last != "item" and not all(wire.every(parent, last) for parent in parents):
        yield f"no {path}"


def _counted(count: int, params: dict[str, str]) -> Iterator[str]:
    least, most = int(params["MinCount"]), int(params["MaxCount"])
    if not least <= count <= most:
        yield f"{count} instances for MinCount={least}, MaxCount={most}"


def _listed(root: ElementTree.Element, action: str, params: dict[str, str]) -> Iterator[str]:
    """Everything that was asked for by name must be shown. Stopped instances have no status."""
    if action in ("DescribeInstanceStatus", "RunInstances", "RebootInstances"):
        return
    texts = {((element.text or "").strip(), traffic.local(element.tag)) for element in root.iter()}
    for name, value in params.items():
        kind, _, number = name.partition(".")
        element = _rules()["ids"].get(kind)
        if element and number.isdigit() and (value, element) not in texts:
            yield f"{name}={value} was asked for and is not shown"


def _foreign_lists(root: ElementTree.Element, client: str) -> Iterator[str]:
    parser = _rules()["parsers"].get(client)
    if parser is None:
        return
    for kind, paths in _rules()["objects"].items():
        known = _rules()["lists"][parser][kind]
        for path in paths:
            for thing in wire.every(root, path):
                for child in thing:
                    name = traffic.local(child.tag)
                    if name not in known and wire.every(child, "item"):
                        yield f"boto {parser} does not know the list {name} of {path}"
