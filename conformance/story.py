"""What a story is: steps with verdicts, told to one endpoint, and what it made there. It knows no client and no wire format."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    """What a step showed. A step that needs what an earlier one did not give, or a client that is absent, is not tried."""

    OK = "ok"
    DIFFERS = "differs"
    UNSUPPORTED = "unsupported"
    NOT_TRIED = "not tried"


UNSUPPORTED = frozenset(("UnsupportedOperation", "InvalidAction", "Unsupported"))


class Differs(Exception):
    """The endpoint did not do what AWS does."""


class Unsupported(Exception):
    """The endpoint says that it does not know this."""


class NotTried(Exception):
    """The step could not be taken."""


@dataclass(frozen=True)
class Step:
    """One step as it went. `detail` is the evidence, empty when all is well."""

    name: str
    verdict: Verdict
    detail: str
    seconds: float


@dataclass(frozen=True)
class Heard:
    """An answer as it came in a step."""

    step: str
    action: str
    body: bytes


def hear(heard: list[Heard], step: str, action: str, body: bytes) -> None:
    """Note an answer; of an action that is asked again and again in a step, only the last."""
    if heard and (heard[-1].step, heard[-1].action) == (step, action):
        heard.pop()
    heard.append(Heard(step, action, body))


@dataclass(frozen=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Target:
    """An endpoint and how to speak to it.

    `second` is a key of another account; `snapshot` holds a bootable disk, and `guest` one whose system tells of its disks on the
    console as that of guest/ does; `patience` is how long a state may take, in seconds; `zones` are found out before the first
    story. `blocks` is where the EBS direct APIs are, unless at the same URL.
    """

    url: str
    key: Key
    region: str = "us-east-1"
    second: Key | None = None
    snapshot: str | None = None
    guest: str | None = None
    patience: float = 60.0
    instance_type: str = "m1.small"
    blocks: str | None = None
    zones: tuple[str, ...] = ()


class Kept:
    """What steps found out for later steps: set an attribute to keep it; asking for one that no step set ends the step."""

    def __getattr__(self, name: str) -> Any:
        raise NotTried(f"needs {name}, which no earlier step gave")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)


class Made:
    """Everything a story made, by id, from the answers to its own requests."""

    # action -> what of its answer is new: the last element name of the path, and what the text must look like
    _NEW: Mapping[str, tuple[str, str]] = {
        "RunInstances": ("instanceId", "i-"),
        "CreateVolume": ("volumeId", "vol-"),
        "CreateSnapshot": ("snapshotId", "snap-"),
        "CreateSnapshots": ("snapshotId", "snap-"),
        "CopySnapshot": ("snapshotId", "snap-"),
        "StartSnapshot": ("snapshotId", "snap-"),
        "RegisterImage": ("imageId", "ami-"),
        "CreateImage": ("imageId", "ami-"),
        "CopyImage": ("imageId", "ami-"),
        "CreateSecurityGroup": ("groupId", "sg-"),
        "AllocateAddress": ("publicIp", ""),
        "CreateKeyPair": ("keyName", ""),
        "ImportKeyPair": ("keyName", ""),
    }

    def __init__(self) -> None:
        self.things: dict[str, set[str]] = {}
        self.with_snapshots: set[str] = set()

    def note(self, action: str, answer: Iterator[tuple[str, str]]) -> None:
        """Note what an action made; `answer` are (element name, text) of its answer, in any case."""
        if action not in self._NEW:
            return
        wanted, prefix = self._NEW[action]
        for name, text in answer:
            if name.lower() == wanted.lower() and text.startswith(prefix):
                self.add(wanted, text)
                if action in ("CreateImage", "CopyImage"):
                    self.with_snapshots.add(text)

    def add(self, kind: str, name: str) -> None:
        """Note one thing: `kind` is volumeId, keyName …"""
        self.things.setdefault(kind, set()).add(name)

    def of(self, kind: str) -> list[str]:
        """All things of a kind."""
        return sorted(self.things.get(kind, ()))


def code_of(error: BaseException) -> str | None:
    """The EC2 error code in a client's exception: botocore's or boto's."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code"))
    code = getattr(error, "error_code", None)
    return str(code) if code is not None else None


def message_of(error: BaseException) -> str:
    """The message that came with the code."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Message"))
    return str(getattr(error, "error_message", None) or error)


class Story:
    """One telling. Steps are taken in `with story.step(name):`; what goes wrong inside becomes the step's verdict."""

    def __init__(self, name: str, target: Target, listen: Callable[[Story, Step], None] = lambda *_: None) -> None:
        self.name = name
        self.target = target
        self.steps: list[Step] = []
        self.heard: list[Heard] = []
        self.it = Kept()
        self.made = Made()
        self.made_by_second = Made()
        self._listen = listen
        self._complaints: list[str] = []
        self._step = ""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take a step. Complaints raised by the checks below are gathered; the first exception ends the step, not the story."""
        self._complaints, self._step = [], name
        began = time.monotonic()
        verdict, detail = Verdict.OK, ""
        try:
            yield
            if self._complaints:
                verdict, detail = Verdict.DIFFERS, "; ".join(self._complaints)
        except NotTried as reason:
            verdict, detail = Verdict.NOT_TRIED, str(reason)
        except Unsupported as reason:
            verdict, detail = Verdict.UNSUPPORTED, str(reason)
        except Exception as error:  # whatever a client makes of an answer is the verdict on the answer
            code = code_of(error)
            verdict = Verdict.UNSUPPORTED if code in UNSUPPORTED else Verdict.DIFFERS
            text = str(error) if isinstance(error, Differs) else f"{type(error).__name__}: {error}"
            detail = "; ".join([*self._complaints, " ".join(text.split())[:600]])
        step = Step(name, verdict, detail, time.monotonic() - began)
        self.steps.append(step)
        self._listen(self, step)

    def hear(self, action: str, body: bytes) -> None:
        """Note an answer of the step that is taken."""
        hear(self.heard, self._step, action, body)

    def complain(self, text: str) -> None:
        """Say what differs, and go on."""
        self._complaints.append(text)

    def same(self, what: str, got: object, wanted: object) -> None:
        """`got` must be `wanted`."""
        if got != wanted:
            self.complain(f"{what} is {got!r}, not {wanted!r}")

    def among(self, what: str, got: object, wanted: tuple[object, ...]) -> None:
        """`got` must be one of `wanted`."""
        if got not in wanted:
            self.complain(f"{what} is {got!r}, not one of {', '.join(map(repr, wanted))}")

    def like(self, what: str, got: object, pattern: str) -> None:
        """`got` must be text that matches the whole pattern."""
        if not isinstance(got, str) or not re.fullmatch(pattern, got, re.DOTALL):
            self.complain(f"{what} is {got!r}, not like {pattern}")

    def true(self, what: str, holds: object) -> None:
        """`what` must hold."""
        if not holds:
            self.complain(f"not so: {what}")

    def until(self, what: str, ask: Callable[[], T], wanted: Callable[[T], bool], seconds: float | None = None) -> T:
        """Ask again until it is as wanted, and answer with that. Raises Differs when patience ends."""
        deadline = time.monotonic() + (self.target.patience if seconds is None else seconds)
        pause = 0.1
        while True:
            got = ask()
            if wanted(got):
                return got
            if time.monotonic() > deadline:
                raise Differs(f"{what}: still {got!r}")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def refused(self, code: str, call: Callable[..., object], /, message: str = "", **params: Any) -> None:
        """The call must be refused with a code, and a message, that match these patterns as a whole."""
        try:
            answer = call(**params)
        except Exception as error:
            got = code_of(error)
            if got is None or (got in UNSUPPORTED and not re.fullmatch(code, got)):
                raise
            self.like("the code", got, code)
            if message:
                self.like("the message", message_of(error), message)
            return
        if isinstance(answer, dict):
            answer = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        self.complain(f"not refused with {code}, but answered {str(answer)[:200]}")


Teller = Callable[[Story], None]
TELLERS: dict[str, Teller] = {}


def story(name: str) -> Callable[[Teller], Teller]:
    """Register a story under its name."""

    def register(teller: Teller) -> Teller:
        if name in TELLERS:
            raise ValueError(f"two stories are called {name}")
        TELLERS[name] = teller
        return teller

    return register
