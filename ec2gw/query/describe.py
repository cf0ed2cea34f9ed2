"""Describe, for every noun: ids, filters, pages, tags. It must not know any noun.

The owner, ids and what an index can answer go into SQL; the rest of a filter looks at the very view the client will see. Records
are read and shown in batches, so memory is bounded by the answer and a page costs a page.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import jmespath  # type: ignore[import-untyped]
from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ExecutableOption

from ec2gw.cloud import permissions, tags
from ec2gw.model import errors, ids
from ec2gw.query import wire
from ec2gw.query.api import Call, Request, Response
from ec2gw.query.errors import Fault
from ec2gw.query.fragments import Shelf
from ec2gw.state import records

MOST_FILTERS = 50
MOST_FILTER_VALUES = 200
LONGEST_FILTER_VALUE = 1_000
MOST_IDS = 10_000
MOST_ON_A_PAGE = 1_000
LEAST_ON_A_PAGE = 5
BATCH = 1_000
MOST_AT_ONCE = 10_000  # where the client names no size: EC2's "internal limit"; then there is a next page after all
FEW = 1_000  # records that a filter may name one by one
MOST_LOOKED_AT = 5_000  # records for a page of a size asked for; it may come back short and say that there is more

Tags = list[dict[str, str]]
R = TypeVar("R")
_Shown = tuple[Any, Response | wire.Part]  # a record, or what of it pages and groups need; its view, which may be written already


@dataclass(frozen=True)
class Through:
    """A filter that an index of another table answers: `column` there, where `key` is the id of the record that is listed."""

    key: InstrumentedAttribute[Any]
    column: InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Listing(Generic[R]):
    """How a noun is listed.

    `kind` is that of its ids (`model.ids`), `result` the member of the answer, `ids` the member of the request that names ids.
    `view(call, record, tags)` shows a record; `filters` are names and jmespath expressions into the view. `columns` names the
    column that answers a filter faster, and changes nothing else. Records in a `hidden` state are not there. Where there is a
    `group`, records with the same `by` are shown together: `group(call, views, first record)`, of which it may read `by` only;
    filters may look at both. `order` is what pages follow. `tagged` is False for what has no tags. `shared`: accounts may share
    it, so that of others may be seen; its tags are the owner's alone. `quiet`: somebody else's ids are passed over.

    `kept`: the view rests on nothing but records whose ids stand in it, so what is written of it is kept until one of them
    changes. `only_named` are the kinds of ids that stand in it while nothing else of their records does. `eager` says what else
    the view looks at, so that it is read for all records at once.
    """

    kind: str
    record: type[R]
    result: str
    view: Callable[[Call, R, Tags], Response]
    filters: Mapping[str, str]
    ids: str | None = None
    columns: Mapping[str, InstrumentedAttribute[Any] | Through] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    group: Callable[[Call, list[Response], R], Response] | None = None
    by: str = "reservation_id"
    order: tuple[InstrumentedAttribute[Any], ...] = ()
    tagged: bool = True
    kept: bool = False
    only_named: tuple[str, ...] = ()
    eager: tuple[ExecutableOption, ...] = ()
    shared: bool = False
    quiet: bool = False
    pages: tuple[int, int] | None = None


@dataclass(frozen=True)
class Catalogue:
    """How things that are no records are listed, in the order of their views' member `key`. `pages`: as the model limits them.
    `tagged`: they could have tags, and none has.
    """

    result: str
    key: str
    filters: Mapping[str, str]
    pages: tuple[int, int] | None = None
    tagged: bool = False


def answer(
    call: Call,
    req: Request,
    listing: Listing[R],
    *,
    owners: Sequence[str] | None = None,
    users: Sequence[str] | None = None,
    where: Sequence[ColumnElement[bool]] = (),
) -> Response:
    """Answer a Describe. `owners` (account ids, `self`, aliases) says whose records are meant, `users` (account ids, `self`,
    `all`) with whom they are shared; `where` narrows more.

    Raises NotFound where an id names nothing of the account's, whatever the filters.
    """
    record: Any = listing.record
    tests = _tests(req, listing.filters, listing.tagged)
    page = _page(req, listing)
    clauses = _visible(call, listing)
    visible = _there(listing) if listing.quiet else list(clauses)
    wanted = _wanted(req, listing)
    if wanted:
        clauses.append(record.id.in_(wanted))
    if owners:
        clauses.append(record.account_id.in_(_accounts(call, owners)))
    if users:
        clauses.append(permissions.granted(record, call.account_id, _accounts(call, users)))
    clauses += where
    clauses += [clause for test in tests if (clause := _clause(listing, test)) is not None]
    if elsewhere := [ids for test in tests if (ids := _elsewhere(call, listing, test)) is not None]:
        page = _narrow(call, record, elsewhere, clauses, page)
    tests = [test for test in tests if not _is_answered(listing, test)]
    found, cursor = _collect(call, listing, clauses, tests, page)
    if len(found) < len(wanted):
        _check_present(call, listing, visible, wanted)
    response: Response = {listing.result: _grouped(call, listing, found) if listing.group else [view for _, view in found]}
    if cursor is not None:
        response["NextToken"] = cursor
    return response


def one(call: Call, listing: Listing[R], id: str) -> Response:
    """The view of one record. Raises NotFound."""
    record: Any = listing.record
    found = call.tx.db.scalars(select(listing.record).where(record.id == id, *_visible(call, listing))).one_or_none()
    if found is None:
        raise errors.NotFound("not-found", kind=listing.kind, ids=[id])
    return render(call, listing, [found])[0]


def render(call: Call, listing: Listing[R], rows: Sequence[R]) -> list[Response]:
    """The views of records at hand, with their tags."""
    found: Sequence[Any] = rows
    given = tags.of(call.tx, [row.id for row in found]) if listing.tagged else {}
    return [listing.view(call, row, _written(given[row.id]) if listing.tagged else []) for row in found]


def choose(req: Request, catalogue: Catalogue, views: Iterable[Response]) -> Response:
    """Answer a Describe of things that are no records: filters and pages over their views."""
    tests = _tests(req, catalogue.filters, catalogue.tagged)
    page = _limits(req, catalogue.pages)
    after = _cursor(req, (str,))
    found: list[Response] = []
    for view in sorted(views, key=lambda view: str(view[catalogue.key])):
        if (after is None or view[catalogue.key] > after[0]) and all(test.passes(view, ()) for test in tests):
            if page is not None and len(found) == page:
                return {catalogue.result: found, "NextToken": json.dumps([found[-1][catalogue.key]])}
            found.append(view)
    return {catalogue.result: found}


def tag(call: Call, req: Request, *made: str) -> Tags:
    """Give what an action has made the tags of its TagSpecifications; returns the first one's.

    Raises Invalid for a type of resource that the action did not make, and for a specification without tags.
    """
    kinds: dict[str, list[str]] = {}
    for id in made:
        kinds.setdefault(ids.kind(id) or "", []).append(id)
    asked: dict[str, list[tuple[str, str | None]]] = {}
    for specification in req.get("TagSpecifications", ()):
        type = specification.get("ResourceType")
        if type is None:
            raise errors.Missing("missing-parameter", parameter="resourceType")
        if type not in kinds:
            raise errors.Invalid("tag-type-invalid", type=type[:64])
        if not specification.get("Tags"):
            raise errors.Invalid("tag-specification-empty")
        asked.setdefault(type, []).extend((pair.get("Key", ""), pair.get("Value", "")) for pair in specification["Tags"])
    given = {type: tags.checked(pairs) for type, pairs in asked.items()}
    for type, pairs in given.items():
        tags.put(call.tx, call.account_id, kinds[type], pairs)
    return _written(given.get(ids.kind(made[0]) or "", {}))


def check_owners(owners: Iterable[str], *aliases: str) -> None:
    """Raise Malformed for an owner that is neither an account's id, `self`, nor one of the aliases."""
    for owner in owners:
        if owner not in ("self", *aliases) and not re.fullmatch(r"[0-9]{12}", owner, re.ASCII):
            raise errors.Malformed("invalid-account", id=owner[:64])


# -- whose, and which ---------------------------------------------------------------------------------------------------------


def _visible(call: Call, listing: Listing[R]) -> list[ColumnElement[bool]]:
    record: Any = listing.record
    own = record.account_id == call.account_id
    return [permissions.visible(call.tx, record, call.account_id) if listing.shared else own, *_there(listing)]


def _there(listing: Listing[R]) -> list[ColumnElement[bool]]:
    record: Any = listing.record
    return [record.state.not_in(listing.hidden)] if listing.hidden else []


def _accounts(call: Call, named: Sequence[str]) -> list[str]:
    return [call.account_id if name == "self" else name for name in named]


def _wanted(req: Request, listing: Listing[R]) -> list[str]:
    """The ids asked for, which all must be well-formed."""
    wanted = list(dict.fromkeys(req.get(listing.ids, ()))) if listing.ids else []
    if len(wanted) > MOST_IDS:
        raise Fault("ResourceCountExceeded", f"At most {MOST_IDS} ids can be given in a request.")
    prefix = next((prefix for prefix, kind in ids.KINDS.items() if kind == listing.kind), "")
    for id in wanted:
        if not ids.well_formed(prefix, id):
            raise errors.Malformed("malformed-id", kind=listing.kind, id=id[:64], parameter=f"{_word(listing)}Id")
    return wanted


def _word(listing: Listing[R]) -> str:
    """The kind as EC2 spells it in the names of parameters."""
    first, *rest = listing.kind.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _check_present(call: Call, listing: Listing[R], visible: list[ColumnElement[bool]], wanted: list[str]) -> None:
    record: Any = listing.record
    present = set(call.tx.db.scalars(select(record.id).where(record.id.in_(wanted), *visible)))
    if missing := [id for id in wanted if id not in present]:
        raise errors.NotFound("not-found", kind=listing.kind, ids=missing)


# -- pages --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    size: int
    asked: bool
    after: tuple[Any, ...] | None
    order: tuple[Any, ...]


def _page(req: Request, listing: Listing[R]) -> _Page:
    record: Any = listing.record
    order = listing.order or (record.number,)
    size = _limits(req, listing.pages)
    if size is not None and listing.ids and req.get(listing.ids):
        raise errors.Conflict("parameter-conflict", parameter=f"{_word(listing)}sSet", other="maxResults")
    after = _cursor(req, tuple(column.type.python_type for column in order))
    return _Page(MOST_AT_ONCE if size is None else size, size is not None, after, order)


def _limits(req: Request, pages: tuple[int, int] | None) -> int | None:
    """How many the client wants on a page; None for all, and so is 0 where the model allows it. Where the model has no range, too
    many is not an error.
    """
    size = req.get("MaxResults")
    least, most = pages or (LEAST_ON_A_PAGE, MOST_ON_A_PAGE)
    if size is None or size == least == 0:
        return None
    if size < least:
        raise errors.Invalid("max-results-too-low", value=size, minimum=least)
    if size > most and pages is not None:
        raise errors.Invalid("invalid-value", value=size, parameter="maxResults", why=f"Expecting a value less than {most}.")
    return min(int(size), most)


def _cursor(req: Request, types: tuple[type, ...]) -> tuple[Any, ...] | None:
    """Where the last page ended. The token's signature is the server's to check, so what is in it was written here."""
    if "NextToken" not in req:
        return None
    try:
        values = json.loads(req["NextToken"])
    except ValueError:
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(types):
        raise errors.Malformed("invalid-next-token", token=req["NextToken"][:64])
    return tuple(values)


def _collect(
    call: Call, listing: Listing[R], clauses: list[ColumnElement[bool]], tests: Sequence[_Test], page: _Page
) -> tuple[list[_Shown], str | None]:
    """The records that pass, with their views, and where the next page begins if there is one."""
    found: list[_Shown] = []
    after, looked_at = page.after, 0
    shelf = call.kept if listing.kept and not tests else None
    looked_up = select(listing.record).options(*listing.eager) if shelf is None else select(*_outline(listing, page))
    while True:
        room = page.size - len(found)
        size = BATCH if tests else min(BATCH, room + 1)
        query = looked_up.where(*clauses, *_beyond(page.order, after)).order_by(*page.order).limit(size)
        if shelf is None:
            rows: Sequence[Any] = call.tx.db.scalars(query).all()
            shown = _shown(call, listing, rows if tests else rows[:room], tests)
        else:
            rows = call.tx.db.execute(query).all()
            shown = _kept(call, listing, rows[:room], shelf)
        for record, view in shown:
            if len(found) == page.size:
                return found, json.dumps(_place(page.order, found[-1][0]))
            found.append((record, view))
        if not tests and len(rows) > room:
            return found, json.dumps(_place(page.order, found[-1][0]))
        if len(rows) < size:
            return found, None
        looked_at += len(rows)
        after = tuple(_place(page.order, rows[-1]))
        if page.asked and looked_at >= MOST_LOOKED_AT:
            return found, json.dumps(after)


def _outline(listing: Listing[R], page: _Page) -> list[Any]:
    """The columns that it takes to list records whose views are written already."""
    record: Any = listing.record
    by = [getattr(record, listing.by)] if listing.group else []
    return list({column.key: column for column in (record.id, *page.order, *by)}.values())


def _kept(call: Call, listing: Listing[R], rows: Sequence[Any], shelf: Shelf) -> Iterator[_Shown]:
    """Outlines with what is written of their records already, or else their views."""
    found: dict[str, Any] = shelf.find([row.id for row in rows])
    record: Any = listing.record
    if missing := [row.id for row in rows if row.id not in found]:
        whole = call.tx.db.scalars(select(record).options(*listing.eager).where(record.id.in_(missing))).all()
        for fresh, view in _shown(call, listing, whole, ()):
            assert not isinstance(view, wire.Part)  # only what a shelf has found is written already
            found[fresh.id] = shelf.add(fresh.id, view, listing.only_named)
    for row in rows:
        yield row, found[row.id]


def _beyond(order: tuple[Any, ...], after: tuple[Any, ...] | None) -> list[ColumnElement[bool]]:
    if after is None:
        return []
    return [order[0] > after[0]] if len(order) == 1 else [tuple_(*order) > tuple_(*after)]


def _place(order: tuple[Any, ...], record: Any) -> list[Any]:
    return [getattr(record, column.key) for column in order]


def _shown(call: Call, listing: Listing[R], rows: Sequence[Any], tests: Sequence[_Test]) -> Iterator[_Shown]:
    given = tags.of(call.tx, [row.id for row in rows]) if listing.tagged else {}
    for row in rows:
        mine = not listing.shared or row.account_id == call.account_id
        own = _written(given[row.id]) if listing.tagged and mine else []
        view = listing.view(call, row, own)
        seen = {**listing.group(call, [], row), **view} if listing.group and tests else view
        if all(test.passes(seen, own) for test in tests):
            yield row, view


def _grouped(call: Call, listing: Listing[R], found: list[_Shown]) -> list[Response]:
    assert listing.group is not None
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    for record, view in found:
        groups.setdefault(getattr(record, listing.by), (record, []))[1].append(view)
    return [listing.group(call, views, first) for first, views in groups.values()]


def _written(own: Mapping[str, str]) -> Tags:
    return [{"Key": key, "Value": value} for key, value in own.items()]


# -- filters ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pattern:
    """A filter's value: `*` is any text, `?` one character, a backslash takes the meaning from the character after it.

    `literal` is the text where there is no wildcard. Otherwise `parts` stand between the stars; each has a fixed length, so no
    pattern makes a match slow.
    """

    literal: str | None
    parts: tuple[re.Pattern[str], ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, value: str) -> _Pattern:
        parts, lengths, plain = [""], [0], []
        wild = False
        for match in re.finditer(r"\\([*?\\])|(.)", value, re.DOTALL):
            escaped, char = match.groups()
            if char == "*":
                wild = True
                parts.append("")
                lengths.append(0)
                continue
            wild = wild or char == "?"
            plain.append(escaped or char)
            parts[-1] += "." if char == "?" else re.escape(escaped or char)
            lengths[-1] += 1
        if not wild:
            return cls("".join(plain), (), ())
        return cls(None, tuple(re.compile(part, re.DOTALL) for part in parts), tuple(lengths))

    def matches(self, text: str) -> bool:
        if self.literal is not None:
            return text == self.literal
        first, *rest = self.parts
        if not rest:
            return first.fullmatch(text) is not None
        place = self.lengths[0]
        if first.match(text) is None:
            return False
        for part in rest[:-1]:
            match = part.search(text, place)
            if match is None:
                return False
            place = match.end()
        tail = len(text) - self.lengths[-1]
        return tail >= place and rest[-1].match(text, tail) is not None


@dataclass(frozen=True)
class _Test:
    """One filter of a request: any of its values must match. `path` is None for filters on tags."""

    name: str
    patterns: tuple[_Pattern, ...]
    path: Any

    def passes(self, view: Response, own: Iterable[dict[str, str]]) -> bool:
        if self.path is not None:
            candidates = _texts(self.path.search(view))
        elif self.name == "tag-key":
            candidates = (pair["Key"] for pair in own)
        elif self.name == "tag-value":
            candidates = (pair["Value"] for pair in own)
        else:
            candidates = (pair["Value"] for pair in own if pair["Key"] == self.name[len("tag:") :])
        return any(pattern.matches(text) for text in candidates for pattern in self.patterns)

    @property
    def literals(self) -> list[str] | None:
        """The values, where none has a wildcard."""
        values = [pattern.literal for pattern in self.patterns]
        return [value for value in values if value is not None] if None not in values else None


def _tests(req: Request, known: Mapping[str, str], tagged: bool) -> list[_Test]:
    asked = req.get("Filters", ())
    if len(asked) > MOST_FILTERS or sum(len(row.get("Values", ())) for row in asked) > MOST_FILTER_VALUES:
        raise errors.LimitExceeded("too-many-filters")
    tests = []
    for row in asked:
        name = row.get("Name", "null")
        of_tags = tagged and (name in ("tag-key", "tag-value") or name.startswith("tag:"))
        if name not in known and not of_tags:
            raise errors.Invalid("invalid-filter", name=name[:128])
        if not row.get("Values"):
            raise errors.Missing("missing-parameter", parameter="filter.Value")
        if any(len(value) > LONGEST_FILTER_VALUE for value in row["Values"]):
            why = f"At most {LONGEST_FILTER_VALUE} characters."
            raise errors.Invalid("invalid-value", value="...", parameter="filter.Value", why=why)
        patterns = tuple(_Pattern.of(value) for value in row["Values"])
        tests.append(_Test(name, patterns, None if of_tags else _compiled(known[name])))
    return tests


@functools.cache
def _compiled(path: str) -> Any:
    return jmespath.compile(path)


def _texts(value: Any) -> Iterator[str]:
    """What a filter compares: each element of a list, words for booleans, EC2's form of times."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, datetime.datetime):
        yield f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    elif value is not None:
        yield str(value)


def _clause(listing: Listing[R], test: _Test) -> ColumnElement[bool] | None:
    """What the record's own columns can say of a filter: all that pass it, perhaps more. None where they can say nothing."""
    record: Any = listing.record
    literals = test.literals
    target = record.id if test.name == f"{listing.kind}-id" else listing.columns.get(test.name)
    # An empty text may be a NULL in the column.
    if target is None or isinstance(target, Through) or literals is None or "" in literals:
        return None
    if target.type.python_type is int:
        return target.in_([int(text) for text in literals if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII)])
    return target.in_(literals) if target.type.python_type is str else None


def _elsewhere(call: Call, listing: Listing[R], test: _Test) -> Select[str] | None:
    """The ids that another table's index has for a filter: all that pass it, perhaps more. None where none has."""
    literals = test.literals
    if test.path is not None:
        target = listing.columns.get(test.name)
        if not isinstance(target, Through) or literals is None or "" in literals:
            return None
        return select(target.key).where(target.column.in_(literals))
    tagged = select(records.Tag.resource_id).where(records.Tag.account_id == call.account_id)
    if test.name in ("tag-key", "tag-value"):
        column = records.Tag.key if test.name == "tag-key" else records.Tag.value
        return None if literals is None else tagged.where(column.in_(literals))
    tagged = tagged.where(records.Tag.key == test.name[len("tag:") :])
    return tagged if literals is None else tagged.where(records.Tag.value.in_(literals))


def _narrow(call: Call, record: Any, elsewhere: Sequence[Select[str]], clauses: list[ColumnElement[bool]], page: _Page) -> _Page:
    """Add to the clauses that the ids must be among those; returns the page to look for then.

    Where they are few, the records are named one by one: with an order to follow, a database without statistics would rather walk
    through all records of the account, however few are wanted.
    """
    among = [record.id.in_(ids) for ids in elsewhere]
    numbers = call.tx.db.scalars(select(record.number).where(*among).limit(FEW + 1)).all()
    if len(numbers) > FEW:
        clauses += among
        return page
    if page.after is not None and page.order[0] is record.number:
        numbers = [number for number in numbers if number > page.after[0]]
        page = replace(page, after=None)
    clauses.append(record.number.in_(numbers))
    return page


def _is_answered(listing: Listing[R], test: _Test) -> bool:
    """Whether all that SQL finds for a filter pass it, so that no view need be looked at."""
    if test.literals is None:
        return False
    if test.path is None:
        return True
    target = listing.columns.get(test.name)
    own = test.name == f"{listing.kind}-id" or isinstance(target, InstrumentedAttribute) and target.type.python_type is str
    return own and "" not in test.literals
