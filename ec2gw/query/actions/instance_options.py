"""What an instance has beside its machine, disks and network: how it is asked for, shown, and changed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ec2gw.cloud import instances, lookup, settings
from ec2gw.model import errors, ids, instance_types, networks
from ec2gw.model.instance_types import InstanceType
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.query.errors import from_refusal
from ec2gw.state import records
from ec2gw.state.records import Instance

# -- metadata options ---------------------------------------------------------------------------------------------------------

# API_InstanceMetadataOptionsRequest: what holds where nobody says anything.
METADATA: Mapping[str, Any] = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
_METADATA_WORDS = {
    "HttpTokens": ("optional", "required"),
    "HttpEndpoint": ("enabled", "disabled"),
    "HttpProtocolIpv6": ("enabled", "disabled"),
    "InstanceMetadataTags": ("enabled", "disabled"),
}
_METADATA_V2 = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}  # of images made for IMDSv2 (API_RegisterImage)
_HOPS = range(1, 65)
_DEFAULTS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "InstanceMetadataTags", "HttpTokensEnforced")
_NO_PREFERENCE = ("no-preference", "-1")


def metadata(call: Call, said: Mapping[str, Any], image: records.Image) -> Response:
    """The metadata options of a new instance: the request's, the account's, the image's, then EC2's own."""
    _check_metadata(said, _METADATA_WORDS)
    account = _metadata_defaults(call)
    if account.pop("HttpTokensEnforced", "disabled") == "enabled" and said.get("HttpTokens") == "optional":
        raise errors.Unsupported("metadata-tokens-enforced")
    return {**METADATA, **(_METADATA_V2 if image.options.get("ImdsSupport") == "v2.0" else {}), **account, **said}


def _check_metadata(said: Mapping[str, Any], words: Mapping[str, tuple[str, ...]]) -> None:
    for name, allowed in words.items():
        _check_word(said, name, allowed)
    hops = said.get("HttpPutResponseHopLimit", 1)
    if hops not in _HOPS:
        why = "It must be between 1 and 64."
        raise errors.Invalid("invalid-value", value=hops, parameter="HttpPutResponseHopLimit", why=why)
    if said.get("HttpEndpoint") == "disabled" and len(said.keys() & METADATA.keys()) > 1:
        other = next(name for name in METADATA if name in said and name != "HttpEndpoint")
        message = f"The parameter {other} cannot be used where HttpEndpoint is disabled."
        raise errors.Conflict("invalid-combination", message=message)


def _metadata_defaults(call: Call) -> dict[str, Any]:
    """What the account has chosen; members it has no preference for are not there."""
    names = {f"instance-metadata-{name}": name for name in _DEFAULTS}
    chosen = settings.several(call.tx, call.account_id, names)
    said: dict[str, Any] = {names[key]: value for key, value in chosen.items() if value}
    if "HttpPutResponseHopLimit" in said:
        said["HttpPutResponseHopLimit"] = int(said["HttpPutResponseHopLimit"])
    return said


@action
def get_instance_metadata_defaults(call: Call, req: Request) -> Response:
    return {"AccountLevel": _metadata_defaults(call) | {"ManagedBy": "account"}}


@action
def modify_instance_metadata_defaults(call: Call, req: Request) -> Response:
    words = {name: (*allowed, "no-preference") for name, allowed in _METADATA_WORDS.items() if name in _DEFAULTS}
    checked = {name: value for name, value in req.items() if str(value) not in _NO_PREFERENCE}
    for name, allowed in (words | {"HttpTokensEnforced": ("enabled", "disabled")}).items():
        _check_word(checked, name, allowed)
    _check_metadata({name: value for name, value in checked.items() if name == "HttpPutResponseHopLimit"}, {})
    for name in _DEFAULTS:
        if name in req:
            value = str(req[name])
            settings.put(call.tx, call.account_id, f"instance-metadata-{name}", "" if value in _NO_PREFERENCE else value)
    return {"Return": True}


@action
def modify_instance_metadata_options(call: Call, req: Request) -> Response:
    said = {name: value for name, value in req.items() if name in METADATA}
    if not said:
        raise errors.Missing("missing-parameter", parameter="HttpTokens")
    _check_metadata(said, _METADATA_WORDS)
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    _must_be_there(row)
    if _metadata_defaults(call).get("HttpTokensEnforced") == "enabled" and said.get("HttpTokens") == "optional":
        raise errors.Unsupported("metadata-tokens-enforced")
    options = row.options["MetadataOptions"] | said
    instances.change(row, MetadataOptions=options)
    return {"InstanceId": row.id, "InstanceMetadataOptions": options | {"State": "pending"}}


# -- the machine's own --------------------------------------------------------------------------------------------------------


def cpu(kind: InstanceType, said: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many cores, and threads of each; None where nothing is said. Both must be said (API_CpuOptionsRequest)."""
    cores, threads = said.get("CoreCount"), said.get("ThreadsPerCore")
    if cores is None and threads is None:
        return None, None
    if cores is None or threads is None:
        raise errors.Missing("missing-parameter", parameter=f"CpuOptions.{'CoreCount' if cores is None else 'ThreadsPerCore'}")
    if cores not in kind.valid_cores or threads not in kind.valid_threads:
        message = f"The CPU options of {cores} cores with {threads} threads each are not valid for the instance type {kind.name}."
        raise errors.Conflict("invalid-combination", message=message)
    return cores, threads


def check_ebs_optimized(kind: InstanceType, asked: bool) -> bool:
    """Raise where a type cannot be what is asked."""
    if asked and kind.ebs_optimized == "unsupported":
        raise errors.Conflict("ebs-optimized-unsupported")
    return asked


@action
def modify_instance_cpu_options(call: Call, req: Request) -> Response:
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    instances.must_be_stopped(row)
    cores, threads = cpu(instance_types.find(row.type), req)
    if cores is None:
        raise errors.Missing("missing-parameter", parameter="CoreCount")
    instances.change(row, cores=cores, threads=threads)
    return {"InstanceId": row.id, "CoreCount": cores, "ThreadsPerCore": threads}


# -- CPU credits --------------------------------------------------------------------------------------------------------------

_CREDITS = ("standard", "unlimited")
_CREDIT_DEFAULTS = {"t2": "standard", "t3": "unlimited", "t3a": "unlimited"}  # API_CreditSpecificationRequest


def credit(call: Call, kind: InstanceType, said: Mapping[str, Any]) -> str | None:
    """How a burstable instance's credits are counted; None for other types, which cannot be asked."""
    _check_word(said, "CpuCredits", _CREDITS)
    if kind.burstable and kind.family in _CREDIT_DEFAULTS:
        return said.get("CpuCredits") or _default_credit(call, kind.family)
    if said:
        raise errors.Conflict("credits-unsupported", type=kind.name)
    return None


def _default_credit(call: Call, family: str) -> str:
    return settings.get(call.tx, call.account_id, f"credits-{family}", _CREDIT_DEFAULTS[family])


def _credit_family(req: Request) -> str:
    if req["InstanceFamily"] not in _CREDIT_DEFAULTS:
        raise errors.Invalid("bad-value", value=req["InstanceFamily"][:64], parameter="InstanceFamily")
    family: str = req["InstanceFamily"]
    return family


@action
def get_default_credit_specification(call: Call, req: Request) -> Response:
    family = _credit_family(req)
    return {"InstanceFamilyCreditSpecification": {"InstanceFamily": family, "CpuCredits": _default_credit(call, family)}}


@action
def modify_default_credit_specification(call: Call, req: Request) -> Response:
    family = _credit_family(req)
    _check_word(req, "CpuCredits", _CREDITS)
    settings.put(call.tx, call.account_id, f"credits-{family}", req["CpuCredits"])
    return {"InstanceFamilyCreditSpecification": {"InstanceFamily": family, "CpuCredits": req["CpuCredits"]}}


CREDITS = describe.Listing(
    kind="instance",
    record=Instance,
    result="InstanceCreditSpecifications",
    ids="InstanceIds",
    view=lambda call, row, tags: {"InstanceId": row.id, "CpuCredits": row.options["CpuCredits"]},
    filters={"instance-id": "InstanceId"},
    pages=(5, 1_000),
)


@action
def describe_instance_credit_specifications(call: Call, req: Request) -> Response:
    """Without ids: the instances that are `unlimited` (API_DescribeInstanceCreditSpecifications)."""
    wanted = req.get("InstanceIds")
    for row in lookup.many(call.tx, Instance, "i", call.account_id, wanted or ()):
        if "CpuCredits" not in row.options:
            raise _no_credits(row.id)
    only = () if wanted else (Instance.options["CpuCredits"].as_string() == "unlimited", Instance.state != "terminated")
    return describe.answer(call, req, CREDITS, where=only)


@action
def modify_instance_credit_specification(call: Call, req: Request) -> Response:
    done, failed = [], []
    for row in req["InstanceCreditSpecifications"]:
        if "CpuCredits" not in row:
            raise errors.Missing("missing-parameter", parameter="CpuCredits")
        _check_word(row, "CpuCredits", _CREDITS)
        try:
            instance = instances.find(call.tx, call.account_id, row["InstanceId"])
            _must_be_there(instance)
            if "CpuCredits" not in instance.options:
                raise _no_credits(instance.id)
        except errors.Refusal as refusal:
            fault = from_refusal(refusal)
            failed.append({"InstanceId": row["InstanceId"], "Error": {"Code": fault.code, "Message": fault.message}})
            continue
        instances.change(instance, CpuCredits=row["CpuCredits"])
        done.append({"InstanceId": instance.id})
    return {"SuccessfulInstanceCreditSpecifications": done, "UnsuccessfulInstanceCreditSpecifications": failed}


def _no_credits(instance_id: str) -> errors.Refusal:
    return errors.Unsupported("credits-instance", instance=instance_id)


# -- monitoring ---------------------------------------------------------------------------------------------------------------


def monitoring(row: Instance) -> Response:
    """Detailed monitoring as an instance shows it: there is nothing to set up, so it is as asked at once."""
    return {"State": "enabled" if row.monitoring else "disabled"}


@action
def monitor_instances(call: Call, req: Request) -> Response:
    return _monitor(call, req, True, "pending")


@action
def unmonitor_instances(call: Call, req: Request) -> Response:
    return _monitor(call, req, False, "disabling")


def _monitor(call: Call, req: Request, on: bool, answer: str) -> Response:
    rows = lookup.many(call.tx, Instance, "i", call.account_id, req["InstanceIds"])
    for row in rows:
        if row.state in _GOING:
            raise errors.WrongState("instance-not-monitorable", instance=row.id)
        instances.change(row, monitoring=on)
    return {"InstanceMonitorings": [{"InstanceId": row.id, "Monitoring": {"State": answer}} for row in rows]}


# -- maintenance and names ----------------------------------------------------------------------------------------------------

MAINTENANCE: Mapping[str, str] = {"AutoRecovery": "default", "RebootMigration": "default"}
_HOSTNAME_TYPES = ("ip-name", "resource-name")


def maintenance(said: Mapping[str, Any]) -> Response:
    """The maintenance options as they are kept."""
    for name in MAINTENANCE:
        _check_word(said, name, ("default", "disabled"))
    return {name: said[name] for name in MAINTENANCE if name in said}


@action
def modify_instance_maintenance_options(call: Call, req: Request) -> Response:
    said = maintenance(req)
    if not said:
        raise errors.Missing("missing-parameter", parameter="AutoRecovery")
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    _must_be_there(row)
    options: Response = row.options.get("MaintenanceOptions", {}) | said
    instances.change(row, MaintenanceOptions=options)
    return {"InstanceId": row.id} | options


NAMES: Mapping[str, Any] = {
    "HostnameType": "ip-name",
    "EnableResourceNameDnsARecord": False,
    "EnableResourceNameDnsAAAARecord": False,
}


def names(said: Mapping[str, Any]) -> Response:
    """The options of the private DNS name as they are kept."""
    _check_word(said, "HostnameType", _HOSTNAME_TYPES)
    return {name: said[name] for name in NAMES if name in said}


@action
def modify_private_dns_name_options(call: Call, req: Request) -> Response:
    said = {name: req[name] for name in NAMES if name in req}
    if "PrivateDnsHostnameType" in req:
        said["HostnameType"] = req["PrivateDnsHostnameType"]
    if not said:
        raise errors.Missing("missing-parameter", parameter="PrivateDnsHostnameType")
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    if "HostnameType" in said:
        instances.must_be_stopped(row)
    _must_be_there(row)
    instances.change(row, PrivateDnsNameOptions=row.options.get("PrivateDnsNameOptions", {}) | names(said))
    return {"Return": True}


# -- the serial console's door, the password ----------------------------------------------------------------------------------

_SERIAL_CONSOLE = "serial-console-access"


def _serial_console(call: Call) -> bool:
    return settings.get(call.tx, call.account_id, _SERIAL_CONSOLE, "disabled") == "enabled"


@action
def get_serial_console_access_status(call: Call, req: Request) -> Response:
    return {"SerialConsoleAccessEnabled": _serial_console(call), "ManagedBy": "account"}


@action
def enable_serial_console_access(call: Call, req: Request) -> Response:
    settings.put(call.tx, call.account_id, _SERIAL_CONSOLE, "enabled")
    return {"SerialConsoleAccessEnabled": True}


@action
def disable_serial_console_access(call: Call, req: Request) -> Response:
    settings.put(call.tx, call.account_id, _SERIAL_CONSOLE, "disabled")
    return {"SerialConsoleAccessEnabled": False}


@action
def get_password_data(call: Call, req: Request) -> Response:
    """No guest hands over a password, so it is empty, as of every guest but Windows."""
    row = instances.find(call.tx, call.account_id, req["InstanceId"])
    return {"InstanceId": row.id, "PasswordData": "", "Timestamp": call.now}


# -- together ----------------------------------------------------------------------------------------------------------------


def kept(call: Call, req: Request, kind: InstanceType, image: records.Image) -> Response:
    """What a RunInstances says of all this, as the instance keeps it."""
    options: Response = {"MetadataOptions": metadata(call, req.get("MetadataOptions", {}), image)}
    credits = credit(call, kind, req.get("CreditSpecification", {}))
    if credits is not None:
        options["CpuCredits"] = credits
    if "MaintenanceOptions" in req:
        options["MaintenanceOptions"] = maintenance(req["MaintenanceOptions"])
    if "PrivateDnsNameOptions" in req:
        options["PrivateDnsNameOptions"] = names(req["PrivateDnsNameOptions"])
    if "CapacityReservationSpecification" in req:
        options["CapacityReservationSpecification"] = req["CapacityReservationSpecification"]
    return options | {name: boot_id(name, req[name]) for name in ("KernelId", "RamdiskId") if name in req}


def boot_id(name: str, id: str) -> str:
    """The id of a kernel or a RAM disk, which is kept and shown."""
    prefix, refusal = ("aki", "kernel-malformed") if name == "KernelId" else ("ari", "ramdisk-malformed")
    if not ids.well_formed(prefix, id):
        raise errors.Malformed(refusal, id=id[:64])
    return id


# -- how an instance shows it -------------------------------------------------------------------------------------------------


def view(call: Call, row: Instance, kind: InstanceType) -> Response:
    """What an instance shows of all this."""
    options = row.options
    dns = {**NAMES, **options.get("PrivateDnsNameOptions", {})}
    shown: Response = {
        "BootMode": options.get("BootMode"),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"}
        | options.get("CapacityReservationSpecification", {}),
        "CpuOptions": {"CoreCount": row.cores or kind.cores, "ThreadsPerCore": row.threads or kind.threads},
        "EbsOptimized": row.ebs_optimized,
        "EnaSupport": options.get("EnaSupport", False),
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "KernelId": options.get("KernelId"),
        "MaintenanceOptions": {**MAINTENANCE, **options.get("MaintenanceOptions", {})},
        "MetadataOptions": {**METADATA, **options.get("MetadataOptions", {}), "State": "applied"},
        "Monitoring": monitoring(row),
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "PrivateDnsNameOptions": dns,
        "RamdiskId": options.get("RamdiskId"),
        "SriovNetSupport": options.get("SriovNetSupport"),
    }
    if dns["HostnameType"] == "resource-name" and row.state not in _GOING:
        shown["PrivateDnsName"] = f"{row.id}.{networks.domain(call.settings.name)}"
    return shown


_GOING = ("shutting-down", "terminated")


def _must_be_there(row: Instance) -> None:
    if row.state in _GOING:
        raise errors.WrongState("instance-wrong-state", instance=row.id, state=row.state)


def _check_word(said: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if name in said and said[name] not in allowed:
        raise errors.Invalid("bad-value", value=str(said[name])[:64], parameter=name)
