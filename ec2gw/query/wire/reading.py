"""EC2 Query parameters to the dict a boto3 caller writes. Pure; knows no action.

Readers are compiled from botocore's newest model into trees of closures, once for each action.
Sources: the ec2 protocol of the smithy and botocore test suites, and the recorded traffic of old clients.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ec2gw.query import api, errors

MOST_PARAMETERS = 10_000
LONGEST_NAME = 256
DEEPEST_NAME = 24
HIGHEST_INDEX = 99_999

Parameters = list[tuple[str, str]]

# What signs and routes a request is never a parameter of an action.
_ENVELOPE = frozenset(
    (
        "Action",
        "Version",
        "AWSAccessKeyId",
        "SignatureVersion",
        "SignatureMethod",
        "Signature",
        "Timestamp",
        "Expires",
        "SecurityToken",
    )
)
_ENVELOPE_PREFIX = "X-Amz-"


def heading(params: Parameters) -> tuple[str, str]:
    """The action and the version that a request names. Raises the faults MissingAction and MissingParameter."""
    action = [value for name, value in params if name == "Action"]
    version = [value for name, value in params if name == "Version"]
    if not any(action):
        raise errors.Fault("MissingAction", "The request is missing an action or a required parameter.")
    if not any(version):
        raise _missing("Version")
    for name, values in (("Action", action), ("Version", version)):
        if len(values) > 1:
            raise _invalid(name, values[1], "The parameter was given more than once.")
    return action[0], version[0]


def read(action: str, version: str, params: Parameters) -> api.Request:
    """The request as a boto3 caller would have written it. Raises faults for what cannot be read.

    Lists may be numbered from any number, with gaps, or not at all. An empty value means absent, save where the empty text is a
    value itself: in `_EMPTY_COUNTS` and in a numbered item of a list. A structure that is empty as a whole is absent.
    """
    operation = api.operation(action, version)
    if len(params) > MOST_PARAMETERS:
        raise errors.Fault("MalformedQueryString", f"The request has more than {MOST_PARAMETERS} parameters.")
    root = _Node()
    for name, value in _today(action, params):
        if name not in _ENVELOPE and not name.startswith(_ENVELOPE_PREFIX):
            root.put(name, value)
    request: api.Request = _reader(operation.name)(root)
    return request


# -- spellings that are no longer in the model ----------------------------------------------------------------------------------

_MAPPING_ACTIONS = ("RunInstances", "RegisterImage", "CreateImage")

# (actions, name as sent, name of today or None to drop it). What old clients send beside all that the model still knows.
_SPELLINGS: Final = (
    # every boto and euca2ools 1 and 2
    (("GetConsoleOutput",), r"InstanceId\.\d", "InstanceId"),
    # extensions of Eucalyptus, sent by euca2ools
    (("RunInstances",), "AddressingType", None),
    (("DescribeInstanceTypes",), "Availability", None),
    # up to API version 2016-09-15 and 2014-10-01
    (("DescribeReservedInstancesListings",), r"Filters\.(.+)", r"Filter.\1"),
    (("ImportInstance",), r"LaunchSpecification\.UserData", "LaunchSpecification.UserData.Data"),
)
_TODAY: Final[Mapping[str, list[tuple[re.Pattern[str], str | None]]]] = {
    action: [(re.compile(pattern), today) for actions, pattern, today in _SPELLINGS if action in actions]
    for action in {name for actions, _, _ in _SPELLINGS for name in actions}
}
_EBS_NO_DEVICE = re.compile(r"(BlockDeviceMapping\.\d+\.)Ebs\.NoDevice")


def _today(action: str, params: Parameters) -> Iterable[tuple[str, str]]:
    """The parameters under the names that the newest model has for them."""
    if action in _MAPPING_ACTIONS:
        params = _no_device(params)
    rows = _TODAY.get(action)
    return params if rows is None else _respelt(rows, params)


def _respelt(rows: list[tuple[re.Pattern[str], str | None]], params: Parameters) -> Iterable[tuple[str, str]]:
    for name, value in params:
        for pattern, today in rows:
            if match := pattern.fullmatch(name):
                if today is not None:
                    yield match.expand(today), value
                break
        else:
            yield name, value


def _no_device(params: Parameters) -> Parameters:
    """boto 2.0 says `Ebs.NoDevice=true` for NoDevice, and `Ebs.DeleteOnTermination=false` beside it, which then means nothing."""
    said = {match[1]: value for name, value in params if (match := _EBS_NO_DEVICE.fullmatch(name))}
    if not said:
        return params
    gone = tuple(f"{prefix}Ebs." for prefix, value in said.items() if value.lower() in _TRUE)
    kept = [(name, value) for name, value in params if not _EBS_NO_DEVICE.fullmatch(name) and not name.startswith(gone)]
    return kept + [(f"{prefix}NoDevice", "") for prefix, value in said.items() if value.lower() in _TRUE]


# -- from names to values --------------------------------------------------------------------------------------------------------


class _Node:
    """What was said under one dotted name: values of the name itself, and nodes below it."""

    __slots__ = ("below", "values")

    def __init__(self) -> None:
        self.values: list[str] = []
        self.below: dict[str, _Node] = {}

    def put(self, name: str, value: str) -> None:
        steps = name.split(".")
        if len(name) > LONGEST_NAME or len(steps) > DEEPEST_NAME:
            raise _unknown(name[:LONGEST_NAME])
        node = self
        for step in steps:
            found = node.below.get(step)
            if found is None:
                found = node.below[step] = _Node()
            node = found
        node.values.append(value)


_ABSENT: Final = object()
_Reader = Callable[[_Node, str], Any]

# Members whose empty text is a value: `NoDevice=` takes a device away; `Value=` is a tag's value, a filter's, or that of an
# attribute to be set (`Description.Value=`); an empty `Key=` must be refused, for DeleteTags without tags deletes all. The rule
# reads the name alone, so it holds for members yet unknown.
_EMPTY_COUNTS = frozenset(("Key", "NoDevice", "Value"))

_TRUE = frozenset(("true", "1"))
_FALSE = frozenset(("false", "0"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?|NaN|-?Infinity")
_TIMESTAMP = re.compile(r"\d{4}-?\d\d-?\d\d([T ]\d\d:?\d\d(:?\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)

# EC2's own word for a missing list, where it differs from the parameter's name.
_LISTS_BY_OTHER_NAMES = {"ResourceId": "resourceIdSet", "InstanceId": "instancesSet"}


@functools.cache
def _reader(action: str) -> Callable[[_Node], Any]:
    shapes = api.model(api.NEWEST).shapes
    read_members = _members_reader(shapes, api.model(api.NEWEST).operations[action].input, {})
    return lambda root: read_members(root, "")


def _shape_reader(
    shapes: Mapping[str, api.Shape], name: str, empty_counts: bool, made: dict[tuple[str, bool], _Reader]
) -> _Reader:
    """`made` holds the readers there are already: a shape may hold itself."""
    key = (name, empty_counts)
    if key not in made:
        made[key] = lambda node, path: made[key](node, path)
        kind = shapes[name]["type"]
        if kind == "structure":
            made[key] = _structure_reader(shapes, name, made)
        elif kind == "list":
            made[key] = _list_reader(_shape_reader(shapes, shapes[name]["member"]["shape"], True, made))
        else:
            made[key] = _scalar_reader(_PARSERS[kind], empty_counts and kind in ("string", "blob"))
    return made[key]


def _structure_reader(shapes: Mapping[str, api.Shape], name: str, made: dict[tuple[str, bool], _Reader]) -> _Reader:
    read_members = _members_reader(shapes, name, made)

    def read_structure(node: _Node, path: str) -> Any:
        if any(node.values):
            raise _unknown(path)
        return (read_members(node, f"{path}.") or _ABSENT) if node.below else _ABSENT

    return read_structure


def _members_reader(shapes: Mapping[str, api.Shape], name: str, made: dict[tuple[str, bool], _Reader]) -> _Reader:
    members: dict[str, tuple[str, _Reader]] = {}
    required: list[tuple[str, str]] = []
    for key, member in shapes[name]["members"].items():
        wire_name = member.get("queryName") or member.get("locationName") or key
        wire_name = wire_name[0].upper() + wire_name[1:]
        members[wire_name] = (key, _shape_reader(shapes, member["shape"], wire_name in _EMPTY_COUNTS, made))
        if key in shapes[name].get("required", ()):
            is_list = shapes[member["shape"]]["type"] == "list"
            required.append((key, _LISTS_BY_OTHER_NAMES.get(wire_name, wire_name) if is_list else wire_name))

    def read_members(node: _Node, prefix: str) -> Any:
        said: dict[str, Any] = {}
        for step, below in node.below.items():
            known = members.get(step)
            if known is None:
                raise _unknown(prefix + step)
            value = known[1](below, prefix + step)
            if value is not _ABSENT:
                said[known[0]] = value
        if said or not prefix:
            for key, wire_name in required:
                if key not in said:
                    raise _missing(prefix + wire_name)
        return said

    return read_members


def _list_reader(read_item: _Reader) -> _Reader:
    def read_list(node: _Node, path: str) -> Any:
        # The numbered items, after what stands under the bare name: values (`InstanceId=`), or one structure (`Filter.Name=`).
        numbered: dict[int, tuple[str, _Node]] = {}
        bare = _Node()
        for step, below in node.below.items():
            if not (step.isascii() and step.isdigit()):
                bare.below[step] = below
                continue
            number = int(step) if len(step) <= len(str(HIGHEST_INDEX)) else HIGHEST_INDEX + 1
            if number > HIGHEST_INDEX:
                raise _invalid(path, step, f"The highest number of an item is {HIGHEST_INDEX}.")
            if number in numbered:
                raise _invalid(path, step, "The number of an item was given more than once.")
            numbered[number] = (f"{path}.{step}", below)
        items = []
        for value in filter(None, node.values):
            single = _Node()
            single.values.append(value)
            items.append(read_item(single, path))
        if bare.below:
            items.append(read_item(bare, path))
        items += [read_item(below, name) for _, (name, below) in sorted(numbered.items())]
        return [item for item in items if item is not _ABSENT] or _ABSENT

    return read_list


def _scalar_reader(parse: Callable[[str, str], Any], empty_counts: bool) -> _Reader:
    def read_scalar(node: _Node, path: str) -> Any:
        if node.below:
            raise _unknown(f"{path}.{next(iter(node.below))}")
        if len(node.values) > 1:
            raise _invalid(path, node.values[1], "The parameter was given more than once.")
        text = node.values[0]
        return parse(text, path) if text or empty_counts else _ABSENT

    return read_scalar


def _parse_string(text: str, path: str) -> str:
    return text


def _parse_boolean(text: str, path: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise _invalid(path, text, "Must be true or false.")


def _parse_integer(text: str, path: str, *, bits: int) -> int:
    if _INTEGER.fullmatch(text) and -(1 << bits - 1) <= (number := int(text)) < 1 << bits - 1:
        return number
    raise _invalid(path, text, "Must be an integer.")


def _parse_float(text: str, path: str) -> float:
    if _FLOAT.fullmatch(text):
        return float(text)
    raise _invalid(path, text, "Must be a number.")


def _parse_timestamp(text: str, path: str) -> datetime.datetime:
    try:
        if _TIMESTAMP.fullmatch(text):
            moment = datetime.datetime.fromisoformat(text)
            if moment.tzinfo is None:
                return moment.replace(tzinfo=datetime.UTC)
            return moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise _invalid(path, text, "Must be an ISO 8601 timestamp.")


def _parse_blob(text: str, path: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _invalid(path, text, "Must be base64.") from None


_PARSERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "string": _parse_string,
    "boolean": _parse_boolean,
    "integer": functools.partial(_parse_integer, bits=32),
    "long": functools.partial(_parse_integer, bits=64),
    "float": _parse_float,
    "double": _parse_float,
    "timestamp": _parse_timestamp,
    "blob": _parse_blob,
}


def _lower_first(path: str) -> str:
    return path[:1].lower() + path[1:]


def _unknown(path: str) -> errors.Fault:
    return errors.Fault("UnknownParameter", f"The parameter {path} is not recognized")


def _missing(path: str) -> errors.Fault:
    return errors.Fault("MissingParameter", f"The request must contain the parameter {_lower_first(path)}")


def _invalid(path: str, text: str, why: str) -> errors.Fault:
    said = text if len(text) <= 64 else f"{text[:64]}..."
    return errors.Fault("InvalidParameterValue", f"Value ({said}) for parameter {_lower_first(path)} is invalid. {why}")
