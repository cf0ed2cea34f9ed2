"""The EC2 API as data: botocore's model by version, and the register of the actions this house does. Knows no XML and no HTTP.

An answer has the shape that its version had (`Version.output`); a request is read with the newest model, for EC2's request
syntax only ever grew.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, overload

from botocore import loaders, xform_name

from ec2gw.query import errors, unserved

if TYPE_CHECKING:
    from ec2gw.query.fragments import Shelf
    from ec2gw.state.session import Transaction

Request = dict[str, Any]
Response = dict[str, Any]
Shape = Mapping[str, Any]

# Only what botocore brings along: not the models that a user may have put into the home directory.
_LOADER = loaders.Loader(extra_search_paths=[loaders.Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)

BUNDLED = tuple(sorted(_LOADER.list_api_versions("ec2", "service-2")))
NEWEST = BUNDLED[-1]
FIRST_VERSION = "2006-06-26"

# Members that clients and this house use and that botocore's model lacks. A mapping may name the volume that becomes the disk,
# as nova's does; DescribeConversionTasks took filters until 2016-09-15; every boto looks for AssociateAddress's `return`.
EXTENSIONS: Mapping[str, Mapping[str, Shape]] = {
    "EbsBlockDevice": {"VolumeId": {"shape": "String", "locationName": "volumeId"}},
    "AssociateAddressResult": {"Return": {"shape": "Boolean", "locationName": "return"}},
    "DescribeConversionTasksRequest": {"Filters": {"shape": "FilterList", "locationName": "Filter"}},
}


@dataclass(frozen=True)
class Operation:
    """An action as the model has it. `input` and `output` name shapes; no `output`, or one without members, answers `true`."""

    name: str
    snake: str
    input: str
    output: str | None
    token: str | None

    @property
    def action(self) -> Action | None:
        """The function that does it; None when this house does not."""
        return REGISTER.get(self.name)


@dataclass(frozen=True)
class Model:
    """One bundled version of the API: its operations by name and its shapes by name."""

    date: str
    operations: Mapping[str, Operation]
    shapes: Mapping[str, Shape]


@functools.cache
def model(date: str) -> Model:
    """botocore's model of the bundled version `date`, with `EXTENSIONS`."""
    data = _LOADER.load_service_model("ec2", "service-2", date)
    shapes: dict[str, Shape] = dict(data["shapes"])
    for name, members in EXTENSIONS.items():
        if name in shapes:
            shapes[name] = {**shapes[name], "members": {**members, **shapes[name]["members"]}}
    operations = {name: _operation(name, row, shapes) for name, row in data["operations"].items()}
    return Model(date, MappingProxyType(operations), MappingProxyType(shapes))


def _operation(name: str, row: Shape, shapes: Mapping[str, Shape]) -> Operation:
    given = row["input"]["shape"]
    members = shapes[given]["members"].items()
    token = next((key for key, member in members if member.get("idempotencyToken") or key == "ClientToken"), None)
    output = row["output"]["shape"] if "output" in row and shapes[row["output"]["shape"]]["members"] else None
    return Operation(name, xform_name(name), given, output, token)


@functools.lru_cache(maxsize=1024)
def bundled(version: str) -> str:
    """The bundled date that answers are shaped by: the newest not after `version`, or the oldest for all before it.

    Raises the fault NoSuchVersion for anything but a date from EC2's first version to the newest.
    """
    try:
        well_formed = datetime.date.fromisoformat(version).isoformat() == version
    except ValueError:
        well_formed = False
    if not (well_formed and FIRST_VERSION <= version <= NEWEST):
        raise errors.Fault("NoSuchVersion", f"The API version '{version[:32]}' is not valid.")
    return max((date for date in BUNDLED if date <= version), default=BUNDLED[0])


def operation(name: str, version: str) -> Operation:
    """The operation as the newest model has it, for a request that names `version`.

    An action that is younger than the version asked is served all the same: some clients never raise their version, and a client
    that names an action knows its answer. Raises the faults NoSuchVersion and InvalidAction.
    """
    bundled(version)
    found = model(NEWEST).operations.get(name)
    if found is None:
        raise errors.Fault("InvalidAction", f"The action {name[:128]} is not valid for this web service.")
    return found


# -- What an action is given -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """The region this house plays: its name, its zones, the address (`host:port`) clients reach it at, and the seconds that a
    guest has to obey.
    """

    name: str
    zones: tuple[str, ...]
    endpoint: str
    patience: int = 20


@dataclass(frozen=True)
class Call:
    """Who asks, in which version, and the open transaction `tx` that the answer stands on.

    `kept` gives what was written before to answers like this one, None where nothing is kept. `fresh`: the engine has just looked
    at what the action `refreshes`.
    """

    account_id: str
    access_key_id: str
    region: str
    version: str
    tx: Transaction = field(repr=False)
    settings: Region
    kept: Shelf | None = field(default=None, repr=False)
    fresh: bool = False

    @property
    def now(self) -> datetime.datetime:
        """When they ask: aware, UTC. An answer that rests on it is not kept."""
        return self.tx.now


class Bell(Protocol):
    """What this face knows of the engine."""

    def wait(self, ids: Collection[str], timeout: float) -> bool:
        """Block until nothing is left to do on these records, at most `timeout` seconds. True when it came to that."""

    def refresh_console(self, instance_id: str) -> None:
        """Block until the instance's console is read anew, which is the reading of a file."""

    def refresh_screen(self, instance_id: str, wake: bool) -> None:
        """Block until there is a new picture of the instance's screen; `wake`: a key is pressed before."""


# -- The register of actions -------------------------------------------------------------------------------------------------

Run = Callable[[Call, Request], Response]
Refresh = Callable[[Call, Response], Response]
Refreshes = Callable[["Bell", Request], None]
Settles = Callable[[Response], Sequence[str]]


@dataclass(frozen=True)
class Action:
    """An operation that this house does. `writes` is False for those that only look.

    `again` names the request's member that makes a repeat known (the idempotency token), None where there is none. A repeat is
    answered with the first answer, brought up to date by `refresh` where there is one. `refreshes` has the
    engine look at the host anew, after a first run that is to refuse what must be refused (a console read live); `settles` names
    the records that the engine must have seen to before the answer leaves (a snapshot's moment).
    """

    name: str
    run: Run
    writes: bool
    again: str | None = None
    refresh: Refresh | None = None
    refreshes: Refreshes | None = None
    settles: Settles | None = None


REGISTER: dict[str, Action] = {}

_LOOKING = ("Describe", "Get", "List", "Search")


@overload
def action(run: Run, /) -> Run: ...


@overload
def action(
    *,
    writes: bool | None = None,
    again: str | None = None,
    refresh: Refresh | None = None,
    refreshes: Refreshes | None = None,
    settles: Settles | None = None,
) -> Callable[[Run], Run]: ...


def action(
    run: Run | None = None,
    /,
    *,
    writes: bool | None = None,
    again: str | None = None,
    refresh: Refresh | None = None,
    refreshes: Refreshes | None = None,
    settles: Settles | None = None,
) -> Run | Callable[[Run], Run]:
    """Enter a function `create_volume(call, req) -> response` into the register as the operation of that name.

    What an action may say of itself is told at `Action`. `writes` is guessed from the name (Describe…, Get…, List… and Search… do
    not), `again` is the model's own idempotency token. Raises LookupError when the model has no such operation or it is entered
    already, so a misspelt name fails at import.
    """

    def enter(run: Run) -> Run:
        snake = getattr(run, "__name__", "")
        found = _by_snake().get(snake)
        if found is None:
            raise LookupError(f"the EC2 model has no operation {snake!r}")
        if found.name in REGISTER:
            raise LookupError(f"{found.name} is entered twice")
        REGISTER[found.name] = Action(
            found.name,
            unserved.guarded(found.name, run),
            writes=not found.name.startswith(_LOOKING) if writes is None else writes,
            again=again or found.token,
            refresh=refresh,
            refreshes=refreshes,
            settles=settles,
        )
        return run

    return enter if run is None else enter(run)


@functools.cache
def _by_snake() -> Mapping[str, Operation]:
    return {found.snake: found for found in model(NEWEST).operations.values()}
