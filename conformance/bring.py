"""Brings recorded traffic into the suite: python -m conformance.bring SOURCE. It keeps what replay and verdicts need, no more.

SOURCE holds `<client>/<nnn>-<slug>.json` as the recorder wrote them; `recordings/README.md` tells the format kept.
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance import traffic

Found = tuple[str, str]

_KEPT = ("format", "client", "scenario", "step", "slug", "command", "client_clock", "expected", "difference", "note")


def compact(record: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    """A recording without what follows from the rest; `wanted` are the values that later requests of the client carry."""
    kept = {name: record[name] for name in _KEPT if record.get(name)}
    kept["exchanges"] = [_exchange(exchange, wanted) for exchange in record["exchanges"]]
    return kept


def _exchange(exchange: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    request = {name: exchange["request"][name] for name in ("time", "method", "target", "http_version", "headers", "body_base64")}
    response = exchange["response"] or {}
    gives = [[path, value] for path, value in leaves(response.get("body_text", "")) if value in wanted]
    answer: dict[str, Any] = {"status": response.get("status"), "gives": gives}
    if any("answered by the recorder" in change for change in exchange.get("upstream_changes", [])):
        answer["by"] = "recorder"
    return {"request": request, "signature": exchange["signature"], "answer": answer}


def leaves(body: str) -> Iterator[Found]:
    """The texts of an answer, each with its path; nothing if it is not XML."""
    try:
        root = ElementTree.fromstring(body.encode())
    except ElementTree.ParseError:
        return
    yield from traffic.leaves(root)


def _asked(record: dict[str, Any]) -> set[str]:
    return {value for exchange in record["exchanges"] for _, value in exchange["request"]["params"]}


def bring(source: Path, target: Path) -> int:
    """Writes every recording below `source`, compacted, to the same place below `target`; answers how many there were."""
    count = 0
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        records = [(path, json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]
        asked = set().union(*(_asked(record) for _, record in records))
        wanted = {value for value in asked if re.fullmatch(r"[a-z]+-[0-9a-f]{8,17}|[0-9]{12}|\d+(\.\d+){3}", value)}
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        for path, record in records:
            text = json.dumps(compact(record, wanted), ensure_ascii=False, separators=(",", ":"))
            (target / folder.name / path.name).write_text(text + "\n", "utf-8")
            count += 1
    return count


if __name__ == "__main__":
    print(bring(Path(sys.argv[1]), Path(__file__).parent / "recordings"), "recordings")
