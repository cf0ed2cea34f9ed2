"""Requests and answers of a REST service with JSON, by the shapes of its description. It knows no operation's meaning.

A request is the dict that a boto3 caller writes, an answer the one he reads. What the shapes do not allow is refused in the words
of the framework that AWS's own services are made with.
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from ec2gw.door import signature
from ec2gw.ebs.errors import Fault
from ec2gw.ebs.model import Operation

Request = dict[str, Any]
Response = dict[str, Any]

_DEEPEST = 8  # levels of a JSON body
_NUMBER = {"integer": (r"-?[0-9]{1,10}", 31), "long": (r"-?[0-9]{1,19}", 63)}
# As recorded, AWS checks this one by itself and says so in its own words.
_UNCHECKED = {("PutSnapshotBlock", "ChecksumAlgorithm")}


def read(operation: Operation, raw: signature.Raw, path: Mapping[str, str]) -> Request:
    """What is asked. Raises the faults SerializationException and ValidationException."""
    query = dict(reversed(urllib.parse.parse_qsl(raw.query, keep_blank_values=True)))
    body = None if "payload" in operation.input.serialization else _json(raw.body)
    request: Request = {}
    for name, shape in operation.input.members.items():
        place, label = shape.serialization.get("location"), shape.serialization.get("name", name)
        if name == operation.input.serialization.get("payload"):
            request[name] = raw.body
            continue
        if body is not None and place is None:
            if body.get(label) is not None:
                request[name] = _value(shape, body[label])
            continue
        text = _first(raw.header(label.lower())) if place == "header" else (path if place == "uri" else query).get(label)
        if text is not None:
            request[name] = _text(shape, urllib.parse.unquote(text) if place == "uri" else text)
    problems = [*_problems(operation, request)]
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise Fault("ValidationException", count + "; ".join(problems))
    return request


def write(operation: Operation, response: Response) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an answer."""
    headers: dict[str, str] = {"Content-Type": "application/json"}
    said: Response = {}
    payload = operation.output.serialization.get("payload")
    for name, shape in sorted(operation.output.members.items()):
        if shape.serialization.get("location") == "header":
            headers[shape.serialization["name"]] = str(response[name])
        elif name != payload:
            said[name] = _plain(shape, response.get(name))
    unknown = response.keys() - operation.output.members.keys()
    assert not unknown, f"{operation.name} does not answer {sorted(unknown)}"
    if payload is not None:
        return headers | {"Content-Type": "application/octet-stream"}, response[payload]
    return headers, json.dumps(said, separators=(",", ":")).encode()


def write_error(fault: Fault) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an error. What the service itself says has a reason, and a capital letter."""
    said = {"Message": fault.message, "Reason": fault.reason} if fault.reason else {"message": fault.message}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": fault.code}
    return headers, json.dumps(said, separators=(",", ":")).encode()


# -- reading ---------------------------------------------------------------------------------------------------------------------


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(found, dict):
        raise _unreadable()
    return found


def _no_number(text: str) -> None:
    raise ValueError(text)


def _text(shape: Shape, text: str) -> Any:
    """A value that came in a path, a query or a header."""
    if shape.type_name in _NUMBER:
        pattern, bits = _NUMBER[shape.type_name]
        if not re.fullmatch(pattern, text, re.ASCII) or not -(1 << bits) <= int(text) < 1 << bits:
            raise _unreadable()
        return int(text)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise _unreadable()
    return text


def _value(shape: Shape, value: Any, depth: int = 0) -> Any:
    """A value that came in JSON."""
    if depth > _DEEPEST:
        raise _unreadable()
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_value(shape.member, item, depth + 1) for item in value]
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        there = {name: member for name, member in shape.members.items() if value.get(name) is not None}
        return {name: _value(member, value[name], depth + 1) for name, member in there.items()}
    if shape.type_name == "boolean" and isinstance(value, bool):
        return value
    if shape.type_name in _NUMBER and isinstance(value, int) and not isinstance(value, bool):
        return _text(shape, str(value))
    if shape.type_name == "string" and isinstance(value, str):
        return _text(shape, value)
    raise _unreadable()


def _problems(operation: Operation, request: Request) -> Iterator[str]:
    for name in operation.input.required_members:
        if name not in request:
            yield _problem(name, "null", "Member must not be null")
    for name, value in request.items():
        if isinstance(value, int | str) and not isinstance(value, bool):
            shape = operation.input.members[name]
            for rule in _broken(shape, value, enum=(operation.name, name) not in _UNCHECKED):
                yield _problem(name, f"'{value}'", rule)
        if isinstance(value, list):
            yield from _problems_of(operation.input.members[name], name, value)


def _problems_of(shape: Shape, name: str, items: list[Any]) -> Iterator[str]:
    """Those of the structures in a list."""
    assert isinstance(shape, ListShape) and isinstance(shape.member, StructureShape)
    for number, item in enumerate(items, 1):
        for part, value in item.items():
            for rule in _broken(shape.member.members[part], value):
                yield _problem(f"{name}.{number}.member.{part[0].lower()}{part[1:]}", f"'{value}'", rule)


def _broken(shape: Shape, value: int | str, *, enum: bool = True) -> Iterator[str]:
    """The rules that a value breaks. Of a long text its length is enough to know."""
    rules = shape.metadata
    size, what = (value, "value") if isinstance(value, int) else (len(value), "length")
    if "min" in rules and size < rules["min"] and not (what == "length" and "pattern" in rules):
        yield f"Member must have {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"Member must have {what} less than or equal to {rules['max']}"
    elif isinstance(value, str) and "enum" in rules and enum:
        if value not in rules["enum"]:
            yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    elif isinstance(value, str) and "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"


def _problem(name: str, value: str, rule: str) -> str:
    return f"Value {value[:512]} at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {rule}"


def _first(values: list[str]) -> str | None:
    return values[0].strip() if values else None


def _unreadable() -> Fault:
    return Fault("SerializationException", "The request cannot be read.")


# -- writing ---------------------------------------------------------------------------------------------------------------------


def _plain(shape: Shape, value: Any) -> Any:
    """A value as JSON; what is absent is null, as on AWS."""
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        return {name: _plain(member, value.get(name)) for name, member in sorted(shape.members.items())}
    if isinstance(shape, ListShape):
        return [_plain(shape.member, item) for item in value]
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    return value
