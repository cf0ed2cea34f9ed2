"""The dict a boto3 caller reads to EC2's XML. Pure; knows no action.

Writers are compiled from botocore's models into trees of closures, once for each action and version.
Sources: the ec2 protocol of the smithy and botocore test suites, and the recorded traffic of old clients.
"""

from __future__ import annotations

import base64
import datetime
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ec2gw.query import api

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_Put = Callable[[str], None]
_Writer = Callable[[Any, _Put], None]

# Parsers of old clients take the `</item>` of a list they do not know for the end of the object they are in. So an answer for a
# version before the date holds, of these structures, only the lists named. (Later versions' models say it themselves.)
_LISTS_KNOWN: Final[tuple[tuple[str, Mapping[str, frozenset[str]]], ...]] = (
    (
        "2010-08-31",  # boto 1.9b sends 2009-11-30
        {
            "Instance": frozenset(("productCodes", "blockDeviceMapping")),
            "Image": frozenset(("productCodes", "blockDeviceMapping")),
            "Volume": frozenset(("attachmentSet",)),
            "Snapshot": frozenset(),
            "SecurityGroup": frozenset(("ipPermissions",)),
            "AvailabilityZone": frozenset(),
        },
    ),
    (
        "2011-01-01",  # boto 2.0b4 sends 2010-08-31
        {
            "Instance": frozenset(("productCodes", "blockDeviceMapping", "tagSet")),
            "SecurityGroup": frozenset(("ipPermissions",)),
            "AvailabilityZone": frozenset(),
        },
    ),
)


def write(action: str, version: str, response: api.Response, request_id: str) -> bytes:
    """The answer's XML in the shape and the namespace of the version asked.

    A member that is absent or None is left out; an empty list or structure gives an empty element. Members younger than the
    version are dropped; one that no version has, or a value of the wrong type, is a bug: TypeError.
    """
    date = api.bundled(version)
    era = next((index for index, (before, _) in enumerate(_LISTS_KNOWN) if version < before), None)
    put, parts = _sink()
    put(f'{DECLARATION}<{action}Response xmlns="http://ec2.amazonaws.com/doc/{version}/"><requestId>')
    put(_escape(request_id))
    put("</requestId>")
    _writer(action, date, era)(response, put)
    put(f"</{action}Response>")
    return "".join(parts).encode("utf-8")


def write_error(code: str, message: str, request_id: str) -> bytes:
    """The XML of an error; it has no namespace, and RequestID is spelt as nowhere else."""
    return (
        f"{DECLARATION}<Response><Errors><Error><Code>{_escape(code)}</Code><Message>{_escape(message)}</Message></Error></Errors>"
        f"<RequestID>{_escape(request_id)}</RequestID></Response>"
    ).encode()


def _sink() -> tuple[_Put, list[str]]:
    parts: list[str] = []
    return parts.append, parts


@functools.lru_cache(maxsize=16_384)
def _writer(action: str, date: str, era: int | None) -> _Writer:
    """Writes what stands between the request id and the end. `era` is the row of `_LISTS_KNOWN`, if one applies."""
    newest = api.model(api.NEWEST)
    theirs = api.model(date) if action in api.model(date).operations else newest
    ours = newest.operations[action].output
    output = theirs.operations[action].output
    if output is None:
        # The version had nothing to say here, or nobody has: the flag of today's answer, if any, is the answer.
        known = frozenset(newest.shapes[ours]["members"]) if ours else frozenset(("Return",))
        return functools.partial(_write_flag, action, known)
    assert ours is not None
    known_lists = {} if era is None else _LISTS_KNOWN[era][1]
    return _Compiler(newest.shapes, theirs.shapes, known_lists).members(ours, output)


def _write_flag(action: str, known: frozenset[str], response: api.Response, put: _Put) -> None:
    if not response.keys() <= known:
        raise TypeError(f"{action} has no {', '.join(sorted(response.keys() - known))}")
    put(f"<return>{'false' if response.get('Return') is False else 'true'}</return>")


class _Compiler:
    """Makes writers of our (the newest) shapes that drop what their (the version's) shapes do not have."""

    def __init__(
        self, ours: Mapping[str, api.Shape], theirs: Mapping[str, api.Shape], known_lists: Mapping[str, frozenset[str]]
    ) -> None:
        self.ours = ours
        self.theirs = theirs
        self.known_lists = known_lists
        self.made: dict[tuple[str, str, str], _Writer] = {}

    def members(self, our_name: str, their_name: str) -> _Writer:
        """Writes a structure's members, without an element around them."""
        writers: dict[str, _Writer | None] = {}
        theirs = {member.get("locationName", key): member["shape"] for key, member in self.theirs[their_name]["members"].items()}
        lists = self.known_lists.get(their_name)
        for key, member in self.ours[our_name]["members"].items():
            tag = member.get("locationName", key)
            shape = theirs.get(tag)
            bearable = lists is None or tag in lists or shape is None or self.theirs[shape]["type"] != "list"
            writers[key] = self.element(tag, member["shape"], shape) if shape is not None and bearable else None

        def write_members(value: Any, put: _Put) -> None:
            for key, item in value.items():
                if item is not None:
                    try:
                        write_item = writers[key]
                    except KeyError:
                        raise TypeError(f"{our_name} has no {key}") from None
                    if write_item is not None:
                        write_item(item, put)

        return write_members

    def element(self, tag: str, our_name: str, their_name: str) -> _Writer:
        key = (tag, our_name, their_name)
        if key not in self.made:
            self.made[key] = lambda value, put: self.made[key](value, put)
            kind = self.ours[our_name]["type"]
            if kind == "structure":
                self.made[key] = _enclose(tag, self.members(our_name, their_name))
            elif kind == "list":
                member = self.ours[our_name]["member"]
                item = self.element(
                    member.get("locationName", "item"), member["shape"], self.theirs[their_name]["member"]["shape"]
                )
                self.made[key] = _enclose_list(tag, item)
            else:
                self.made[key] = _scalar_writer(tag, _FORMATS[kind])
        return self.made[key]


def _enclose(tag: str, write_members: _Writer) -> _Writer:
    start, end = f"<{tag}>", f"</{tag}>"

    def write_structure(value: Any, put: _Put) -> None:
        put(start)
        write_members(value, put)
        put(end)

    return write_structure


def _enclose_list(tag: str, write_item: _Writer) -> _Writer:
    start, end = f"<{tag}>", f"</{tag}>"

    def write_list(value: Any, put: _Put) -> None:
        if isinstance(value, str | bytes | Mapping):
            raise TypeError(f"{tag} is a list, not {type(value).__name__}")
        put(start)
        for item in value:
            if isinstance(item, Part):
                put(item.written(write_item))
            else:
                write_item(item, put)
        put(end)

    return write_list


class Part:
    """An item of a list that is written once, by the first list it stands in, and then only repeated.

    It may stand only where it would be written alike. `text` is None until it is written; then the view is let go.
    """

    __slots__ = ("_view", "text")

    def __init__(self, view: Any) -> None:
        self._view = view
        self.text: str | None = None

    def written(self, write_item: _Writer) -> str:
        """The item's XML."""
        if self.text is None:
            put, parts = _sink()
            write_item(self._view, put)
            self.text, self._view = "".join(parts), None
        return self.text


def _scalar_writer(tag: str, form: Callable[[Any], str]) -> _Writer:
    start, end = f"<{tag}>", f"</{tag}>"

    def write_scalar(value: Any, put: _Put) -> None:
        try:
            put(start + form(value) + end)
        except (TypeError, AttributeError) as error:
            raise TypeError(f"{tag} cannot be {value!r}: {error}") from None

    return write_scalar


# XML 1.0 has no way to say these at all; a carriage return would be read as a line feed.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def sayable(text: str) -> bool:
    """Whether an answer can hold a text as it is."""
    return _FORBIDDEN.search(text) is None


def _escape(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    text = _FORBIDDEN.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")


def _form_string(value: Any) -> str:
    return _escape(value)


def _form_boolean(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise TypeError("not a bool")


def _form_integer(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError("not an int")


def _form_float(value: Any) -> str:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(float(value))
    raise TypeError("not a float")


def _form_timestamp(value: datetime.datetime) -> str:
    if value.tzinfo is None:
        raise TypeError("without a time zone")
    moment = value if value.tzinfo is datetime.UTC else value.astimezone(datetime.UTC)
    return (
        f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
        f".{moment.microsecond // 1000:03}Z"
    )


def _form_blob(value: Any) -> str:
    return base64.b64encode(value).decode("ascii")


_FORMATS: Final[Mapping[str, Callable[[Any], str]]] = {
    "string": _form_string,
    "boolean": _form_boolean,
    "integer": _form_integer,
    "long": _form_integer,
    "float": _form_float,
    "double": _form_float,
    "timestamp": _form_timestamp,
    "blob": _form_blob,
}
