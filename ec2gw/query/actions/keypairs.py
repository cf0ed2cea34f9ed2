"""Key pairs."""

from __future__ import annotations

from ec2gw.cloud import keypairs
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records


def view(call: Call, pair: records.KeyPair, tags: describe.Tags) -> Response:
    """A key pair as DescribeKeyPairs shows it with IncludePublicKey."""
    return {
        "KeyPairId": pair.id,
        "KeyType": pair.type,
        "Tags": tags,
        "PublicKey": pair.public_key,
        "CreateTime": pair.created_at,
        "KeyName": pair.name,
        "KeyFingerprint": pair.fingerprint,
    }


KEY_PAIRS = describe.Listing(
    kind="key-pair",
    record=records.KeyPair,
    result="KeyPairs",
    ids="KeyPairIds",
    view=view,
    filters={"key-pair-id": "KeyPairId", "fingerprint": "KeyFingerprint", "key-name": "KeyName"},
    columns={"key-name": records.KeyPair.name, "fingerprint": records.KeyPair.fingerprint},
)


@action
def describe_key_pairs(call: Call, req: Request) -> Response:
    names = [pair.id for pair in keypairs.named(call.tx, call.account_id, req.get("KeyNames", ()))]
    response = describe.answer(call, req, KEY_PAIRS, where=(records.KeyPair.id.in_(names),) if names else ())
    if req.get("IncludePublicKey"):
        return response
    return {"KeyPairs": [{name: value for name, value in pair.items() if name != "PublicKey"} for pair in response["KeyPairs"]]}


@action
def create_key_pair(call: Call, req: Request) -> Response:
    kind, form = req.get("KeyType", "rsa"), req.get("KeyFormat", "pem")
    pair, private = keypairs.create(call.tx, call.account_id, req["KeyName"], kind, form)
    return _made(pair, describe.tag(call, req, pair.id)) | {"KeyMaterial": private}


@action
def import_key_pair(call: Call, req: Request) -> Response:
    pair = keypairs.bring(call.tx, call.account_id, req["KeyName"], req["PublicKeyMaterial"])
    return _made(pair, describe.tag(call, req, pair.id))


@action
def delete_key_pair(call: Call, req: Request) -> Response:
    if "KeyName" not in req and "KeyPairId" not in req:
        raise errors.Missing("missing-parameter", parameter="keyName")
    pair = keypairs.delete(call.tx, call.account_id, req.get("KeyName"), req.get("KeyPairId"))
    return {"Return": True, "KeyPairId": pair.id if pair else None}


def _made(pair: records.KeyPair, tags: describe.Tags) -> Response:
    return {"KeyPairId": pair.id, "Tags": tags, "KeyName": pair.name, "KeyFingerprint": pair.fingerprint}
