"""The live clients, set up for an endpoint. What a boto3 client makes is noted in the story's list of things made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers

from conformance.story import Key, Made, Story, Target, Unsupported

# What a client raises for a refusal, or for an answer it cannot make sense of.
UNREADABLE = (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError)

# Clients come from one session, as each session reads EC2's model for itself, 25 MB of it; and one at a time, as a session is not
# made for several threads.
_MAKING = threading.Lock()


def ec2(target: Target, made: Made | None = None, key: Key | None = None, *, checked: bool = True) -> Any:
    """A boto3 client. Unchecked, it sends what it is given, wrong or not. It never retries: the first answer is the answer."""
    client = _client("ec2", target.url, target, key or target.key, checked)
    if made is not None:

        def note(parsed: dict[str, Any], model: Any, **_: object) -> None:
            made.note(model.name, texts(parsed))

        def note_what_stays(params: dict[str, Any], **_: object) -> None:
            note_volumes(client, params.get("InstanceIds", []), made)

        client.meta.events.register("after-call.ec2", note)
        client.meta.events.register("provide-client-params.ec2.TerminateInstances", note_what_stays)
    return client


def _client(service: str, url: str, target: Target, key: Key, checked: bool) -> Any:
    config = botocore.config.Config(
        retries={"total_max_attempts": 1}, parameter_validation=checked, connect_timeout=10, read_timeout=90
    )
    with _MAKING:
        return boto3.client(
            service,
            endpoint_url=url,
            region_name=target.region,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=config,
        )


def blocks(told: Story) -> Any:
    """A boto3 client of the EBS direct APIs. A refusal that is not in their form raises Unsupported: nobody there knows them."""
    client = _client("ebs", told.target.blocks or told.target.url, told.target, told.target.key, True)

    def note(parsed: dict[str, Any], model: Any, **_: object) -> None:
        code = str(parsed.get("Error", {}).get("Code", ""))
        if code.isdigit() and code < "500":  # botocore's word for an error without a name is its status
            raise Unsupported(f"{model.name} is answered with {code}, and not by the EBS direct APIs")
        told.made.note(model.name, texts(parsed))

    client.meta.events.register("after-call.ebs", note)
    return client


def note_volumes(client: Any, instances: list[str], made: Made) -> None:
    """Note the volumes of instances that are about to end: afterwards nothing tells whose those were that stay."""
    for instance in (id for id in instances if id in made.of("instanceId")):
        asked = [{"Name": "attachment.instance-id", "Values": [instance]}]
        try:
            for row in client.describe_volumes(Filters=asked)["Volumes"]:
                made.add("volumeId", row["VolumeId"])
        except UNREADABLE:
            return


def of(told: Story, **options: Any) -> Any:
    """The boto3 client of a story."""
    second = options.get("key") is not None and options["key"] == told.target.second
    client = ec2(told.target, told.made_by_second if second else told.made, **options)

    def hear(operation_model: Any, response_dict: dict[str, Any], **_: object) -> None:
        told.hear(operation_model.name, response_dict["body"])

    client.meta.events.register("before-parse.ec2", hear)
    return client


def texts(thing: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(name of the field, text) of all texts in nested dicts and lists."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from texts(value, key)
    elif isinstance(thing, list):
        for value in thing:
            yield from texts(value, name)
    elif isinstance(thing, str):
        yield name, thing
