"""Tags."""

from __future__ import annotations

from ec2gw.cloud import tags
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state import records


def view(call: Call, tag: records.Tag, _none: describe.Tags) -> Response:
    """A tag as DescribeTags shows it."""
    return {"Key": tag.key, "ResourceId": tag.resource_id, "ResourceType": tag.resource_type, "Value": tag.value}


TAGS = describe.Listing(
    kind="tag",
    record=records.Tag,
    result="Tags",
    view=view,
    filters={"key": "Key", "resource-id": "ResourceId", "resource-type": "ResourceType", "value": "Value"},
    columns={
        "key": records.Tag.key,
        "resource-id": records.Tag.resource_id,
        "resource-type": records.Tag.resource_type,
        "value": records.Tag.value,
    },
    order=(records.Tag.resource_id, records.Tag.key),
    tagged=False,
)


@action
def create_tags(call: Call, req: Request) -> Response:
    pairs = [(pair.get("Key", ""), pair.get("Value")) for pair in req["Tags"]]
    tags.create(call.tx, call.account_id, req["Resources"], pairs)
    return {}


@action
def delete_tags(call: Call, req: Request) -> Response:
    pairs = [(pair.get("Key", ""), pair.get("Value")) for pair in req["Tags"]] if "Tags" in req else None
    tags.delete(call.tx, call.account_id, req["Resources"], pairs)
    return {}


@action
def describe_tags(call: Call, req: Request) -> Response:
    filters = []
    for row in req.get("Filters", ()):
        name = row.get("Name", "")
        if name.startswith("tag:"):
            # A tag is its own key and value, so the one filter is two.
            filters.append({"Name": "key", "Values": [_literal(name[len("tag:") :])]})
            row = row | {"Name": "value"}
        filters.append(row)
    return describe.answer(call, req | {"Filters": filters}, TAGS)


def _literal(text: str) -> str:
    """A filter value that matches just this text."""
    return "".join(f"\\{char}" if char in "*?\\" else char for char in text)
