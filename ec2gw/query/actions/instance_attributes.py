"""Instance attributes: one table says what each is, how it is shown and what may change it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from ec2gw.cloud import instances, interfaces, routes
from ec2gw.model import errors, instance_types
from ec2gw.query.actions import instance_options
from ec2gw.query.actions.instances import MOST_USER_DATA, user_data, view_mappings
from ec2gw.query.actions.interfaces import view_groups
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Interface
from ec2gw.state.records import Instance


def _value(value: object) -> Response:
    return {} if value is None else {"Value": value}


def _of_interface(row: Instance, read: Callable[[Interface], Any]) -> Any:
    """What the only interface of an instance has; None for an instance that has none any more."""
    if len(row.interfaces) > 1:
        raise errors.Invalid("interfaces-many", instance=row.id)
    return next((read(interface) for interface in row.interfaces), None)


# Attribute -> (member of the answer, how an instance has it). The element asked for is there even when it is empty.
_SHOWN: dict[str, tuple[str, Callable[[Instance], Any]]] = {
    "instanceType": ("InstanceType", lambda row: _value(row.type)),
    "kernel": ("KernelId", lambda row: _value(row.options.get("KernelId"))),
    "ramdisk": ("RamdiskId", lambda row: _value(row.options.get("RamdiskId"))),
    "userData": ("UserData", lambda row: _value(row.user_data)),
    "disableApiTermination": ("DisableApiTermination", lambda row: _value(row.disable_api_termination)),
    "disableApiStop": ("DisableApiStop", lambda row: _value(row.disable_api_stop)),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", lambda row: _value(row.shutdown_behavior)),
    "rootDeviceName": ("RootDeviceName", lambda row: _value(row.root_device_name)),
    "blockDeviceMapping": ("BlockDeviceMappings", view_mappings),
    "productCodes": ("ProductCodes", lambda row: []),
    "sourceDestCheck": ("SourceDestCheck", lambda row: _value(_of_interface(row, lambda card: card.source_dest_check))),
    "groupSet": ("Groups", lambda row: _of_interface(row, view_groups) or []),
    "ebsOptimized": ("EbsOptimized", lambda row: _value(row.ebs_optimized)),
    "sriovNetSupport": ("SriovNetSupport", lambda row: _value(row.options.get("SriovNetSupport"))),
    "enclaveOptions": ("EnclaveOptions", lambda row: {"Enabled": False}),
}


@action
def describe_instance_attribute(call: Call, req: Request) -> Response:
    shown = _SHOWN.get(req["Attribute"])
    if shown is None:
        raise _unknown(req["Attribute"])
    member, read = shown
    return {"InstanceId": req["InstanceId"], member: read(instances.find(call.tx, call.account_id, req["InstanceId"]))}


# Member of the request -> the attribute's own name, for the form `Attribute=` with `Value=`.
_MEMBERS = {
    "InstanceType": "instanceType",
    "Kernel": "kernel",
    "Ramdisk": "ramdisk",
    "UserData": "userData",
    "DisableApiTermination": "disableApiTermination",
    "DisableApiStop": "disableApiStop",
    "InstanceInitiatedShutdownBehavior": "instanceInitiatedShutdownBehavior",
    "SourceDestCheck": "sourceDestCheck",
    "EbsOptimized": "ebsOptimized",
    "SriovNetSupport": "sriovNetSupport",
    "EnaSupport": "enaSupport",
    "BlockDeviceMappings": "blockDeviceMapping",
    "Groups": "groupSet",
}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@action
def modify_instance_attribute(call: Call, req: Request) -> Response:
    named = [member for member in _MEMBERS if member in req]
    attribute = req.get("Attribute")
    if named and "Value" in req:
        raise errors.Conflict("attributes-too-many")
    if len(named) + (attribute is not None and attribute not in map(_MEMBERS.get, named)) > 1:
        raise errors.Conflict("attributes-too-many")
    if named:
        attribute, value = _MEMBERS[named[0]], req[named[0]]
        if named[0] not in ("BlockDeviceMappings", "Groups"):
            value = value.get("Value")
    elif attribute is None:
        raise errors.Conflict("attribute-missing")
    elif "Value" not in req:
        raise errors.Missing("missing-parameter", parameter="value")
    else:
        value = req["Value"]
    row = instances.changeable(call.tx, call.account_id, req["InstanceId"])
    if attribute == "blockDeviceMapping":
        if isinstance(value, str):  # the form `Attribute` with `Value`: a device and its flag, /dev/sdf=false
            device, _, word = value.partition("=")
            value = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": _truth(row, attribute, word or "true")}}]
        for entry in value:
            ebs = entry.get("Ebs", {})
            # A flag that is not said is true here (API_ModifyInstanceAttribute).
            flag = ebs.get("DeleteOnTermination", True)
            instances.keep_volumes(call.tx, row, entry.get("DeviceName", ""), flag, ebs.get("VolumeId"))
        return {}
    if attribute == "groupSet":
        group_ids = [value] if isinstance(value, str) else value
        interfaces.regroup(call.tx, call.account_id, routes.only_interface(call.tx, row), group_ids)
    elif attribute == "sourceDestCheck":
        interfaces.check_source(call.tx, routes.only_interface(call.tx, row), _truth(row, attribute, value))
    elif attribute == "instanceType":
        instances.must_be_stopped(row)
        kind = _type(row, attribute, value)
        instances.retype(row, kind, CpuCredits=instance_options.credit(call, kind, {}))
    else:
        _change(row, attribute, value)
    return {}


def _change(row: Instance, attribute: str, value: Any) -> None:
    if attribute not in _CHANGES:
        raise _unknown(attribute)
    name, read, when = _CHANGES[attribute]
    if when is STOPPED:
        instances.must_be_stopped(row)
    instances.change(row, **{name: read(row, attribute, value)})


def _truth(row: Instance, attribute: str, value: object) -> bool:
    truth = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if truth is None:
        raise errors.Invalid("invalid-value", value=value, parameter=attribute, why="Expected 'true' or 'false'.")
    return truth


def _type(row: Instance, attribute: str, value: str) -> instance_types.InstanceType:
    try:
        kind = instance_types.find(value)
    except errors.Refusal:
        raise errors.Invalid("instance-attribute-value", value=value, attribute=attribute) from None
    kind.check_runs(row.architecture, row.virtualization_type)
    return kind


def _ebs_optimized(row: Instance, attribute: str, value: object) -> bool:
    return instance_options.check_ebs_optimized(instance_types.find(row.type), _truth(row, attribute, value))


def _user_data(row: Instance, attribute: str, value: bytes | str | None) -> str | None:
    if isinstance(value, str):
        return user_data(value)
    data = value or b""
    if len(data) > MOST_USER_DATA:
        raise errors.LimitExceeded("user-data-too-large")
    return base64.b64encode(data).decode() if data else None


def _shutdown_behavior(row: Instance, attribute: str, value: str) -> str:
    if value not in ("stop", "terminate"):
        raise errors.Invalid("bad-value", value=value, parameter=attribute)
    return value


def _sriov(row: Instance, attribute: str, value: str) -> str:
    if value != "simple":  # there is no way to have less of it (API_ModifyInstanceAttribute)
        raise errors.Invalid("bad-value", value=value[:64], parameter=attribute)
    return value


def _kernel(row: Instance, attribute: str, value: str | None) -> str | None:
    return instance_options.boot_id("KernelId", value) if value else None


def _ramdisk(row: Instance, attribute: str, value: str | None) -> str | None:
    return instance_options.boot_id("RamdiskId", value) if value else None


STOPPED, ALWAYS = "stopped", "always"
# Attribute -> (what changes of an instance, how the value is read, in which state it may change).
_CHANGES: dict[str, tuple[str, Callable[[Instance, str, Any], Any], str]] = {
    "kernel": ("KernelId", _kernel, STOPPED),
    "ramdisk": ("RamdiskId", _ramdisk, STOPPED),
    "userData": ("user_data", _user_data, STOPPED),
    "disableApiTermination": ("disable_api_termination", _truth, ALWAYS),
    "disableApiStop": ("disable_api_stop", _truth, ALWAYS),
    "instanceInitiatedShutdownBehavior": ("shutdown_behavior", _shutdown_behavior, ALWAYS),
    "ebsOptimized": ("ebs_optimized", _ebs_optimized, STOPPED),
    "sriovNetSupport": ("SriovNetSupport", _sriov, STOPPED),
    "enaSupport": ("EnaSupport", _truth, STOPPED),
}


@action
def reset_instance_attribute(call: Call, req: Request) -> Response:
    if req["Attribute"] not in ("kernel", "ramdisk", "sourceDestCheck"):
        raise _unknown(req["Attribute"])
    row = instances.changeable(call.tx, call.account_id, req["InstanceId"])
    if req["Attribute"] == "sourceDestCheck":
        interfaces.check_source(call.tx, routes.only_interface(call.tx, row), True)
    else:
        _change(row, req["Attribute"], None)
    return {}


def _unknown(attribute: str) -> errors.Refusal:
    return errors.Invalid("invalid-value", value=attribute, parameter="attribute", why="Unknown attribute.")
