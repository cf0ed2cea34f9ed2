"""What can be said of an image after it is made: its attributes, who may launch it, whether it may be used and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ec2gw.cloud import images, permissions, settings
from ec2gw.model import errors
from ec2gw.query.actions import sharing
from ec2gw.query.actions.images import check_description, protection, timestamp
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.records import Image


def _value(value: object) -> Response:
    return {} if value is None else {"Value": value}


def _option(name: str) -> Callable[[Call, Image], Any]:
    return lambda call, image: _value(image.options.get(name))


# Attribute -> (member of the answer, how an image has it). The element asked for is there even when it is empty.
_SHOWN: dict[str, tuple[str, Callable[[Call, Image], Any]]] = {
    "description": ("Description", lambda call, image: _value(image.description)),
    "kernel": ("KernelId", _option("KernelId")),
    "ramdisk": ("RamdiskId", _option("RamdiskId")),
    "launchPermission": ("LaunchPermissions", lambda call, image: sharing.view(permissions.of(call.tx, image.id))),
    "productCodes": ("ProductCodes", lambda call, image: []),
    "sriovNetSupport": ("SriovNetSupport", _option("SriovNetSupport")),
    "bootMode": ("BootMode", _option("BootMode")),
    "tpmSupport": ("TpmSupport", _option("TpmSupport")),
    "uefiData": ("UefiData", _option("UefiData")),
    "lastLaunchedTime": ("LastLaunchedTime", lambda call, image: _value(timestamp(image.launched_at))),
    "imdsSupport": ("ImdsSupport", _option("ImdsSupport")),
    "deregistrationProtection": ("DeregistrationProtection", lambda call, image: _value(protection(call, image))),
}


@action
def describe_image_attribute(call: Call, req: Request) -> Response:
    image = images.find(call.tx, call.account_id, req["ImageId"])
    if req["Attribute"] == "blockDeviceMapping":
        raise errors.NotPermitted("image-mapping-private")
    shown = _SHOWN.get(req["Attribute"])
    if shown is None:
        raise errors.Invalid("invalid-request")
    member, read = shown
    return {"ImageId": image.id, member: read(call, image)}


@action
def modify_image_attribute(call: Call, req: Request) -> Response:
    attribute, value = _asked(req)
    if attribute == "launchPermission":
        wish = sharing.wish(req, "LaunchPermission", "UserGroups")
        images.share(call.tx, call.account_id, req["ImageId"], wish.add, wish.remove)
    elif attribute == "description":
        check_description(value)
        images.change(call.tx, call.account_id, req["ImageId"], description=value)
    else:
        if value != "v2.0":
            raise errors.Invalid("bad-value", value=value[:64], parameter="imdsSupport")
        images.change(call.tx, call.account_id, req["ImageId"], ImdsSupport=value)
    return {}


# Members of the request that name an attribute by themselves.
_MEMBERS = {
    "LaunchPermission": "launchPermission",
    "Description": "description",
    "ImdsSupport": "imdsSupport",
    "ProductCodes": "productCodes",
}
_LISTS = ("UserIds", "UserGroups", "OrganizationArns", "OrganizationalUnitArns", "OperationType")


def _asked(req: Request) -> tuple[str, str]:
    """The one attribute that is to change, and its new value where it is a text."""
    named = {_MEMBERS[member] for member in _MEMBERS if member in req}
    if "Attribute" in req:
        named.add(req["Attribute"])
    elif any(member in req for member in _LISTS):
        named.add("launchPermission")
    if len(named) > 1:
        raise errors.Conflict("attributes-too-many")
    if not named:
        raise errors.Conflict("attribute-missing")
    (attribute,) = named
    if attribute == "blockDeviceMapping":
        raise errors.Invalid("image-attribute-mapping")
    if attribute == "launchPermission":
        return attribute, ""
    member = next((member for member, name in _MEMBERS.items() if name == attribute), None)
    if member is None or attribute == "productCodes":
        raise errors.Conflict("image-attribute-fixed", attribute=attribute[:64])
    value = req[member].get("Value") if member in req else req.get("Value")
    if value is None:
        if attribute == "description" and member in req:
            return attribute, ""  # an empty description arrives as none
        raise errors.Missing("missing-parameter", parameter="value")
    return attribute, value


@action
def reset_image_attribute(call: Call, req: Request) -> Response:
    image = images.find(call.tx, call.account_id, req["ImageId"])
    if req["Attribute"] != "launchPermission":
        raise errors.Invalid("invalid-request")
    images.share(call.tx, call.account_id, image.id, (), permissions.of(call.tx, image.id))
    return {}


# -- whether it may be used and removed -----------------------------------------------------------------------------------------


@action
def disable_image(call: Call, req: Request) -> Response:
    images.disable(call.tx, call.account_id, req["ImageId"])
    return {"Return": True}


@action
def enable_image(call: Call, req: Request) -> Response:
    images.enable(call.tx, call.account_id, req["ImageId"])
    return {"Return": True}


@action
def enable_image_deprecation(call: Call, req: Request) -> Response:
    images.deprecate(call.tx, call.account_id, req["ImageId"], req["DeprecateAt"])
    return {"Return": True}


@action
def disable_image_deprecation(call: Call, req: Request) -> Response:
    images.deprecate(call.tx, call.account_id, req["ImageId"], None)
    return {"Return": True}


@action
def enable_image_deregistration_protection(call: Call, req: Request) -> Response:
    images.protect(call.tx, call.account_id, req["ImageId"], cooldown=req.get("WithCooldown", False))
    return {"Return": "true"}


@action
def disable_image_deregistration_protection(call: Call, req: Request) -> Response:
    images.unprotect(call.tx, call.account_id, req["ImageId"])
    return {"Return": "true"}


# -- public sharing -------------------------------------------------------------------------------------------------------------


@action
def enable_image_block_public_access(call: Call, req: Request) -> Response:
    state = _one_of(req["ImageBlockPublicAccessState"], (settings.BLOCK_NEW_SHARING,))
    settings.put(call.tx, call.account_id, settings.IMAGE_ACCESS, state)
    return {"ImageBlockPublicAccessState": state}


@action
def disable_image_block_public_access(call: Call, req: Request) -> Response:
    settings.put(call.tx, call.account_id, settings.IMAGE_ACCESS, settings.UNBLOCKED)
    return {"ImageBlockPublicAccessState": settings.UNBLOCKED}


@action
def get_image_block_public_access_state(call: Call, req: Request) -> Response:
    state = settings.get(call.tx, call.account_id, settings.IMAGE_ACCESS, settings.UNBLOCKED)
    return {"ImageBlockPublicAccessState": state, "ManagedBy": "account"}


def _one_of(state: str, states: Sequence[str]) -> str:
    if state not in states:
        raise errors.Invalid("bad-value", value=state[:64], parameter="imageBlockPublicAccessState")
    return state
