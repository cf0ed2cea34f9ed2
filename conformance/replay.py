"""Tells the recorded commands of a client to an endpoint as one story: new ids, new signatures, AWS's behaviour expected.

Ids in requests are replaced by what the endpoint answered where the recorded answer had them; names get a new ending, so that one
run does not meet another; commands that the recorder repeated until a state was reached are repeated again.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import secrets
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from conformance import checks, clients, sign, tidy, traffic, wire
from conformance.story import UNSUPPORTED, Differs, Made, NotTried, Story, Unsupported, story

SCENARIOS = ("ebs-boot", "broad", "errors", "endpoints")

# Stands for what another client made in the recording: an image that this client could not register.
_STAND_IN = r"ami-[0-9a-f]{17}"
# What an action's answer gives that is new, by the last name of its path: only that may be learnt from it.
_GIVES = {
    "RunInstances": ("instanceId",),
    "CreateVolume": ("volumeId",),
    "CreateSnapshot": ("snapshotId",),
    "RegisterImage": ("imageId",),
    "CreateImage": ("imageId",),
    "CreateSecurityGroup": ("groupId",),
    "AllocateAddress": ("publicIp", "allocationId"),
    "AssociateAddress": ("associationId",),
}


@functools.cache
def data() -> dict[str, Any]:
    """data/expectations.json: where AWS leads elsewhere, what is waited for, what settles, and where the emulator erred."""
    rows: dict[str, Any] = json.loads((checks.DATA / "expectations.json").read_text("utf-8"))
    return rows


def expectation(recording: traffic.Recording, exchange: traffic.Exchange) -> tuple[bool, str | None]:
    """(may succeed, pattern of the error codes allowed) of one exchange of a recorded command, as AWS has it."""
    text = recording.expected
    for row in data()["rows"]:
        fits = row.get("action", exchange.action) == exchange.action and row.get("by", "Action") in dict(exchange.params)
        if fits and re.fullmatch(row["slug"], recording.slug) and re.fullmatch(row.get("client", ".*"), recording.client):
            text = row["expected"]
            break
    kind, _, pattern = text.partition(": ")
    return kind != "error", rf"({pattern})(\..+)?" if pattern else None


def wait(recording: traffic.Recording) -> tuple[str, str] | None:
    """(path, state) that the command was repeated for."""
    rows = data()["waits"]
    return next(((row["path"], row["state"]) for row in rows if re.fullmatch(row["slug"], recording.slug)), None)


def sent_once(exchanges: tuple[traffic.Exchange, ...]) -> Iterator[traffic.Exchange]:
    """The exchanges without repeats that only answered an emulator's own failure."""
    failed: traffic.Exchange | None = None
    for exchange in exchanges:
        if failed is None or failed.action != exchange.action:
            yield exchange
        failed = exchange if (exchange.status or 0) >= 500 and not exchange.by_recorder else None


@dataclass
class Replay:
    """One client's recordings being told; `ids` maps what the recording has to what the endpoint has."""

    told: Story
    client: str
    own_paths: bool
    ids: dict[str, str] = field(default_factory=dict)
    tag: str = field(default_factory=lambda: secrets.token_hex(3)[:5])
    old_tag: str = ""
    strays: Made = field(default_factory=Made)

    def tell(self, recordings: list[traffic.Recording]) -> None:
        """Take every step."""
        for recording in recordings:
            with self.told.step(f"{recording.step:03} {recording.slug}"):
                for exchange in sent_once(recording.exchanges):
                    self._take(recording, exchange)

    def _take(self, recording: traffic.Recording, exchange: traffic.Exchange) -> None:
        if exchange.action != "RunInstances":
            self._end_strays()
        if exchange.action == "TerminateInstances":
            ids = [self.ids.get(value, value) for name, value in exchange.params if name.startswith("InstanceId.")]
            clients.note_volumes(clients.ec2(self.told.target), ids, self.told.made)
        may_succeed, codes = expectation(recording, exchange)
        waited = wait(recording)
        # The last request of a command is the one that fails; those before it found out what it needs.
        if (
            codes
            and not may_succeed
            and exchange is not recording.exchanges[-1]
            and len({e.action for e in recording.exchanges}) > 1
        ):
            may_succeed, codes = True, None
        deadline = time.monotonic() + self.told.target.patience
        while True:
            answer = self._send(recording, exchange)
            settling = may_succeed and codes is None and answer.code in data()["settling"]["codes"]
            reached = waited is None or self._reached(recording, answer, *waited)
            if time.monotonic() > deadline or (reached and not settling) or (answer.code and not settling):
                break
            time.sleep(0.25)
        if codes is None or not may_succeed:  # what may go either way is nothing to go by
            self.told.hear(exchange.action, answer.body)
        if waited and answer.code is None and not reached:
            states = sorted({element.text or "" for element in answer.all(waited[0])})
            raise Differs(f"waited for {waited[1]}; still {', '.join(states) or 'nothing'}")
        self._judge(exchange, answer, may_succeed, codes)

    def _reached(self, recording: traffic.Recording, answer: wire.Answer, path: str, state: str) -> bool:
        """Whether all that the command names is in the state; the oldest tools ask for everything and pick."""
        named = {new for old, new in self.ids.items() if old in recording.command}
        above, _, below = path.rpartition("/item/")
        things = [thing for thing in answer.all(f"{above}/item") if not named or named & {e.text for e in thing.iter()}]
        found = [element.text for thing in things for element in wire.every(thing, below)]
        return set(found) == {state} or (state == "terminated" and not found)

    def _judge(self, exchange: traffic.Exchange, answer: wire.Answer, may_succeed: bool, codes: str | None) -> None:
        if answer.status >= 300:
            code = answer.code
            if code is None:
                raise Differs(f"HTTP {answer.status} without an error in XML: {answer.body[:120]!r}")
            if codes and re.fullmatch(codes, code):
                if not answer.text("RequestID"):
                    self.told.complain("an error without RequestID")
                return
            said = f"{exchange.action}: {code}: {answer.message}"
            if code in UNSUPPORTED:
                raise Unsupported(said)
            raise Differs(said if may_succeed else f"{said} (not {codes})")
        if not may_succeed:
            raise Differs(f"{exchange.action} succeeded, not refused with {codes}")
        params = {sign.plain(name): sign.plain(value) for name, value in [*self._query(exchange), *self._form(exchange)]}
        for complaint in checks.complaints(exchange.action, params, answer, self.client):
            self.told.complain(f"{exchange.action}: {complaint}")
        self._learn(exchange, answer)

    def _learn(self, exchange: traffic.Exchange, answer: wire.Answer) -> None:
        live = dict(traffic.leaves(answer.root))
        fields = [(path.rpartition("/")[2], text) for path, text in live.items()]
        self.told.made.note(exchange.action, iter(fields))
        if exchange.action == "RunInstances" and (exchange.status or 0) >= 300:
            self.strays.note("RunInstances", iter(fields))
        for path, old in exchange.gives:
            name, new = path.rpartition("/")[2], live.get(path)
            if new is None or name not in (*_GIVES.get(exchange.action, ()), "ownerId"):
                continue
            if self.ids.setdefault(old, new) != new and name != "ownerId":
                self.told.complain(f"{path} is {new}; the same request gave {self.ids[old]} before")

    def _end_strays(self) -> None:
        """End what was launched here but not in the recording: the rest of the story does not know of it."""
        strays, self.strays = self.strays, Made()
        for left in tidy.tidy(self.told.target, strays, self.told.target.key):
            self.told.complain(left)

    # -- requests ---------------------------------------------------------------------------------------------------------------

    def _send(self, recording: traffic.Recording, exchange: traffic.Exchange) -> wire.Answer:
        target = self.told.target
        parts = urllib.parse.urlsplit(target.url)
        host = parts.netloc
        if (exchange.header("host") or "").startswith("localhost") and parts.hostname == "127.0.0.1":
            host = host.replace("127.0.0.1", "localhost")
        path = exchange.target.partition("?")[0] if self.own_paths else (parts.path or "/")
        query = _joined(self._query(exchange))
        body = _joined(self._form(exchange)).encode()
        headers = tuple((name, host if name.lower() == "host" else value) for name, value in exchange.headers)
        request = wire.Request(exchange.method, f"{path}?{query}" if query else path, headers, body)
        key, secret = target.key.id, target.key.secret
        if exchange.signature["access_key"] != traffic.ACCESS_KEY:
            key = str(exchange.signature["access_key"])
        elif not exchange.signature["ok"]:
            secret = secret[::-1]
        hours = int(recording.clock.rstrip("h") or 0)
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
        return wire.send(target.url, sign.again(request, key, secret, now, target.region))

    def _query(self, exchange: traffic.Exchange) -> sign.Pairs:
        return self._renewed(exchange, exchange.target.partition("?")[2])

    def _form(self, exchange: traffic.Exchange) -> sign.Pairs:
        return self._renewed(exchange, exchange.body.decode())

    def _renewed(self, exchange: traffic.Exchange, text: str) -> sign.Pairs:
        return [(name, self._value(exchange, name, value)) for name, value in sign.pairs(text)]

    def _value(self, exchange: traffic.Exchange, name: str, raw: str) -> str:
        value = sign.plain(raw)
        if value in self.ids:
            return urllib.parse.quote(self.ids[value], safe="-_.~")
        if name == "InstanceType":
            return self.told.target.instance_type
        if name == "ClientToken":  # an endpoint remembers tokens for longer than a story lasts
            return f"{raw}-{self.tag}"
        if name in ("UserData", "PublicKeyMaterial", "Signature", "AWSAccessKeyId"):
            return raw
        if re.fullmatch(_STAND_IN, value):
            return self._stand_in(value)
        if re.fullmatch(r"[a-z]+-[0-9a-f]{17}", value) and "0bad0bad" not in value:
            raise NotTried(f"needs {value}, which no earlier step gave")
        return raw.replace(f"-{self.old_tag}", f"-{self.tag}")

    def _stand_in(self, old: str) -> str:
        """Register the image that another client registered in its place in the recording."""
        snapshots = [new for was, new in self.ids.items() if was.startswith("snap-")]
        if not snapshots or self.client != "euca2ools-1.3.2-boto-1.9b":
            raise NotTried(f"needs {old}, which no earlier step gave")
        target = self.told.target
        host = urllib.parse.urlsplit(target.url).netloc
        mapping = "BlockDeviceMapping.1."
        form = {
            "Action": "RegisterImage", "Version": "2016-11-15", "Name": f"stand-in-{old[-5:]}-{self.tag}",
            "Architecture": "x86_64", "VirtualizationType": "hvm", "RootDeviceName": "/dev/sda1",
            mapping + "DeviceName": "/dev/sda1", mapping + "Ebs.SnapshotId": snapshots[-1],
        }  # fmt: skip
        old_signature = (
            "AWS4-HMAC-SHA256 Credential=key/20261122/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
        )
        headers = (("Host", host), ("X-Amz-Date", ""), ("Content-Length", ""), ("Authorization", old_signature))
        request = wire.Request("POST", urllib.parse.urlsplit(target.url).path or "/", headers, wire.encode(form.items()).encode())
        now = datetime.datetime.now(datetime.UTC)
        answer = wire.send(target.url, sign.again(request, target.key.id, target.key.secret, now, target.region))
        image = answer.text("imageId")
        if image is None:
            raise NotTried(f"could not register the image that stands for {old}: {answer.code}: {answer.message}")
        self.told.made.add("imageId", image)
        self.ids[old] = image
        return image


def _joined(raw: sign.Pairs) -> str:
    return "&".join(f"{name}={value}" for name, value in raw)


def serves_any_path(url: str) -> bool:
    """Whether the endpoint answers as EC2 below the paths that older tools are set up with."""
    host = urllib.parse.urlsplit(url).netloc
    answer = wire.send(url, wire.Request("GET", "/services/Eucalyptus/?Action=DescribeRegions", (("Host", host),)))
    return traffic.local(answer.root.tag) in ("Response", "DescribeRegionsResponse")


def _tell(told: Story, client: str, scenario: str) -> None:
    zones = {"us-east-1a": told.target.zones[0]} if told.target.zones else {}
    replay = Replay(told, client, serves_any_path(told.target.url), zones, old_tag=traffic.tag(client))
    replay.tell([recording for recording in traffic.of(client) if recording.scenario == scenario])


for _client in traffic.clients():
    for _scenario in SCENARIOS:
        story(f"replay {_client} {_scenario}")(functools.partial(_tell, client=_client, scenario=_scenario))
