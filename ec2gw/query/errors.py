"""EC2's error codes, texts and HTTP statuses: the one table from the house's refusals to what EC2 says. Knows no HTTP, no XML.

To add a refusal, add a row to `ROWS`; a new kind of resource is a row of `KINDS`. A refusal without a row is a bug and raises
`KeyError`, as does a template whose facts were not given. Sources are AWS's error reference and answers recorded from AWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ec2gw.model import errors

# Every code that is not answered with 400. EC2 never uses 404 or 409 for a resource.
STATUS = {
    "AuthFailure": 401,
    "Blocked": 403,
    "MissingAuthenticationToken": 403,
    "OptInRequired": 403,
    "PendingVerification": 403,
    "UnauthorizedOperation": 403,
    "RequestTimeout": 408,
    "DryRunOperation": 412,
    "RequestEntityTooLarge": 413,
    "InternalError": 500,
    "InternalFailure": 500,
    "InsufficientInstanceCapacity": 500,
    "EC2ThrottledException": 503,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
}


class Fault(Exception):
    """An answer that is an EC2 error. `status` is the code's own (`STATUS`, else 400) unless it is said."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = STATUS.get(code, 400) if status is None else status


@dataclass(frozen=True)
class Kind:
    """What EC2 says of a bad id of one kind of resource. `many` is said of several ids; without it the first one is named."""

    malformed: tuple[str, str]
    absent: str
    one: str
    many: str | None = None


def _expecting(code: str, prefix: str) -> tuple[str, str]:
    return code, f'Invalid id: "{{id}}" (expecting "{prefix}-...")'


def _value(prefix: str) -> tuple[str, str]:
    return "InvalidParameterValue", f"Value ({{id}}) for parameter {{parameter}} is invalid. Expected: '{prefix}-...'."


# By the kind's name, as `model.ids.KINDS` has it, and a few things that are named by other words than an id of ours.
KINDS = {
    "instance": Kind(
        _expecting("InvalidInstanceID.Malformed", "i"),
        "InvalidInstanceID.NotFound",
        "The instance ID '{ids}' does not exist",
        "The instance IDs '{ids}' do not exist",
    ),
    "reservation": Kind(
        _expecting("InvalidReservationID.Malformed", "r"),
        "InvalidReservationID.NotFound",
        "The reservation ID '{ids}' does not exist",
    ),
    "volume": Kind(_value("vol"), "InvalidVolume.NotFound", "The volume '{ids}' does not exist."),
    "snapshot": Kind(_value("snap"), "InvalidSnapshot.NotFound", "The snapshot '{ids}' does not exist."),
    "image": Kind(
        _expecting("InvalidAMIID.Malformed", "ami"),
        "InvalidAMIID.NotFound",
        "The image id '[{ids}]' does not exist",
        "The image ids '[{ids}]' do not exist",
    ),
    "key-pair": Kind(_value("key"), "InvalidKeyPair.NotFound", "The key pair '{ids}' does not exist"),
    "security-group": Kind(
        _expecting("InvalidGroupId.Malformed", "sg"),
        "InvalidGroup.NotFound",
        "The security group '{ids}' does not exist",
    ),
    "security-group-rule": Kind(
        _expecting("InvalidSecurityGroupRuleId.Malformed", "sgr"),
        "InvalidSecurityGroupRuleId.NotFound",
        "The security group rule ID '{ids}' does not exist",
    ),
    "network-interface": Kind(
        _expecting("InvalidNetworkInterfaceID.Malformed", "eni"),
        "InvalidNetworkInterfaceID.NotFound",
        "The networkInterface ID '{ids}' does not exist",
    ),
    "network-interface-attachment": Kind(
        _expecting("InvalidNetworkInterfaceAttachmentId.Malformed", "eni-attach"),
        "InvalidAttachmentID.NotFound",
        "The network interface attachment '{ids}' does not exist.",
    ),
    "vpc": Kind(_expecting("InvalidVpcID.Malformed", "vpc"), "InvalidVpcID.NotFound", "The vpc ID '{ids}' does not exist"),
    "subnet": Kind(
        _expecting("InvalidSubnetID.Malformed", "subnet"), "InvalidSubnetID.NotFound", "The subnet ID '{ids}' does not exist"
    ),
    "route-table": Kind(
        _expecting("InvalidRouteTableId.Malformed", "rtb"),
        "InvalidRouteTableID.NotFound",
        "The routeTable ID '{ids}' does not exist",
    ),
    "route-table-association": Kind(
        _value("rtbassoc"), "InvalidAssociationID.NotFound", "The association ID '{ids}' does not exist"
    ),
    "internet-gateway": Kind(
        _expecting("InvalidInternetGatewayId.Malformed", "igw"),
        "InvalidInternetGatewayID.NotFound",
        "The internetGateway ID '{ids}' does not exist",
    ),
    "network-acl": Kind(
        _expecting("InvalidNetworkAclId.Malformed", "acl"),
        "InvalidNetworkAclID.NotFound",
        "The networkAcl ID '{ids}' does not exist",
    ),
    "dhcp-options": Kind(
        _expecting("InvalidDhcpOptionsId.Malformed", "dopt"),
        "InvalidDhcpOptionsID.NotFound",
        "The dhcpOption ID '{ids}' does not exist",
    ),
    "elastic-ip": Kind(_value("eipalloc"), "InvalidAllocationID.NotFound", "The allocation ID '{ids}' does not exist"),
    "elastic-ip-association": Kind(
        _value("eipassoc"), "InvalidAssociationID.NotFound", "The association ID '{ids}' does not exist"
    ),
    "address": Kind(
        ("InvalidParameterValue", "Value ({id}) for parameter {parameter} is invalid. Invalid IPv4 address."),
        "InvalidAddress.NotFound",
        "Address '{ids}' not found.",
    ),
    "launch-template": Kind(
        _expecting("InvalidLaunchTemplateId.Malformed", "lt"),
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {ids}, does not exist.",
    ),
    "launch-template-name": Kind(
        (
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following"
            " characters: - ( ) . / _.",
        ),
        "InvalidLaunchTemplateName.NotFoundException",
        "The specified launch template, with template name {ids}, does not exist.",
        "At least one of the launch templates specified in the request does not exist.",
    ),
    "placement-group": Kind(
        _expecting("InvalidPlacementGroupId.Malformed", "pg"),
        "InvalidPlacementGroup.Unknown",
        "The Placement Group '{ids}' is unknown.",
    ),
    "replace-root-volume-task": Kind(
        _value("replacevol"),
        "InvalidReplaceRootVolumeTaskId.NotFound",
        "The replace root volume task ID '{ids}' does not exist",
    ),
    "import-snapshot-task": Kind(
        _expecting("InvalidConversionTaskId.Malformed", "import-snap"),
        "InvalidConversionTaskId",
        "The import task ID '{ids}' does not exist",
        "The import task IDs '{ids}' do not exist",
    ),
    "import-image-task": Kind(
        _expecting("InvalidConversionTaskId.Malformed", "import-ami"),
        "InvalidConversionTaskId",
        "The import task ID '{ids}' does not exist",
        "The import task IDs '{ids}' do not exist",
    ),
    "prefix-list": Kind(_value("pl"), "InvalidPrefixListID.NotFound", "The prefix list ID '{ids}' does not exist"),
    "customer-gateway": Kind(
        _expecting("InvalidCustomerGatewayId.Malformed", "cgw"),
        "InvalidCustomerGatewayID.NotFound",
        "The customerGateway ID '{ids}' does not exist",
    ),
    "egress-only-internet-gateway": Kind(
        _expecting("InvalidEgressOnlyInternetGatewayId.Malformed", "eigw"),
        "InvalidGatewayID.NotFound",
        "The egressOnlyInternetGateway ID '{ids}' does not exist",
    ),
    "vpc-flow-log": Kind(_value("fl"), "InvalidFlowLogId.NotFound", "The flow log ID '{ids}' does not exist"),
    "iam-instance-profile-association": Kind(
        _value("iip-assoc"), "InvalidAssociationID.NotFound", "The association ID '{ids}' does not exist"
    ),
    "natgateway": Kind(_expecting("NatGatewayMalformed", "nat"), "NatGatewayNotFound", "NAT gateway {ids} was not found"),
    "vpc-peering-connection": Kind(
        _expecting("InvalidVpcPeeringConnectionId.Malformed", "pcx"),
        "InvalidVpcPeeringConnectionID.NotFound",
        "The vpcPeeringConnection ID '{ids}' does not exist",
    ),
    "transit-gateway": Kind(
        _expecting("InvalidTransitGatewayID.Malformed", "tgw"),
        "InvalidTransitGatewayID.NotFound",
        "Transit Gateway {ids} was deleted or does not exist.",
    ),
    "vpn-gateway": Kind(
        _expecting("InvalidVpnGatewayID.Malformed", "vgw"),
        "InvalidVpnGatewayID.NotFound",
        "The vpnGateway ID '{ids}' does not exist",
    ),
    "vpc-endpoint": Kind(
        _expecting("InvalidVpcEndpointId.Malformed", "vpce"),
        "InvalidVpcEndpointId.NotFound",
        "The Vpc Endpoint Id '{ids}' does not exist",
    ),
    "vpn-connection": Kind(
        _expecting("InvalidVpnConnectionID.Malformed", "vpn"),
        "InvalidVpnConnectionID.NotFound",
        "The vpnConnection ID '{ids}' does not exist",
    ),
    "zone": Kind(
        ("InvalidParameterValue", "Invalid availability zone: [{id}]"),
        "InvalidZone.NotFound",
        "The zone '{ids}' does not exist.",
    ),
}

# slug -> (code, text). Facts are named in braces.
ROWS = {
    # said by any action
    "not-implemented": ("UnsupportedOperation", "The action {action} is not supported by this endpoint."),
    "unsupported": ("UnsupportedOperation", "{message}"),
    "missing-parameter": ("MissingParameter", "The request must contain the parameter {parameter}"),
    # who asks, and how
    "signature-wrong": ("AuthFailure", "AWS was not able to validate the provided access credentials"),
    "request-expired": ("RequestExpired", "Request has expired.{detail}"),
    "not-signed": ("MissingAuthenticationToken", "Request is missing Authentication Token"),
    "signature-incomplete": ("IncompleteSignature", "{message}"),
    "malformed-query": ("MalformedQueryString", "The query string contains a syntax error."),
    "body-too-large": ("RequestEntityTooLarge", "The request is larger than {most} bytes."),
    "body-late": ("RequestTimeout", "The request's body did not come in time."),
    "body-incomplete": ("IncompleteBody", "The request ended before its body did."),
    # parameters
    "invalid-value": ("InvalidParameterValue", "Value ({value}) for parameter {parameter} is invalid. {why}"),
    "bad-value": ("InvalidParameterValue", "Invalid value '{value}' for {parameter}."),
    "invalid-combination": ("InvalidParameterCombination", "{message}"),
    "parameter-conflict": (
        "InvalidParameterCombination",
        "The parameter {parameter} cannot be used with the parameter {other}",
    ),
    "parameter-dependency": ("InvalidParameterDependency", "The parameter {parameter} requires the parameter {other} to be set."),
    "invalid-request": ("InvalidRequest", "The request received was invalid"),
    "not-owner": ("AuthFailure", "Not authorized for {what}:{id}"),
    "token-mismatch": (
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    ),
    "token-instance-terminated": (
        "IdempotentInstanceTerminated",
        "The instance of this idempotent request has been terminated.",
    ),
    "invalid-next-token": ("InvalidNextToken", "The token '{token}' is invalid."),
    "max-results-too-low": (
        "InvalidParameterValue",
        "Value ( {value} ) for parameter maxResults is invalid. Expecting a value greater than {minimum}.",
    ),
    "invalid-filter": ("InvalidParameterValue", "The filter '{name}' is invalid"),
    "too-many-filters": ("FilterLimitExceeded", "The request has more filters or filter values than allowed."),
    "invalid-account": ("InvalidUserID.Malformed", 'Invalid user id: "{id}"'),
    # tags
    "invalid-id": ("InvalidID", "The ID '{id}' is not valid"),
    "tag-reserved": ("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"),
    "tag-key-empty": ("InvalidParameterValue", "Tag key cannot be empty"),
    "tag-key-too-long": ("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters"),
    "tag-value-too-long": ("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters"),
    "tag-value-missing": ("InvalidParameterValue", "Tag value cannot be null. Use empty string instead."),
    "tag-duplicate": ("InvalidParameterValue", "Duplicate tag key '{key}' specified."),
    "too-many-resources": ("ResourceCountExceeded", "At most {most} resources can be named in a request."),
    "too-many-tags": ("TagLimitExceeded", "The maximum number of Tags for a resource has been reached."),
    "tag-type-invalid": ("InvalidParameterValue", "'{type}' is not a valid taggable resource type for this operation."),
    "tag-specification-empty": ("InvalidParameterValue", "Tag specification must have at least one tag"),
    # block device mappings
    "mapping-device-missing": ("InvalidBlockDeviceMapping", "Missing device name"),
    "mapping-device-invalid": ("InvalidBlockDeviceMapping", "Invalid device name {device}"),
    "mapping-device-duplicate": (
        "InvalidBlockDeviceMapping",
        "The device '{device}' is used in more than one block-device mapping",
    ),
    "mapping-no-size": ("InvalidBlockDeviceMapping", "Either snapshot ID or volume size must be provided for: {devices}"),
    "mapping-size-missing": ("MissingParameter", "The request must contain the parameter size or snapshotId"),
    "mapping-size-below-snapshot": (
        "InvalidBlockDeviceMapping",
        "Volume of size {size}GB is smaller than snapshot '{snapshot}', expect size >= {minimum}GB",
    ),
    "mapping-root-snapshot": ("InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device"),
    "mapping-ephemeral-snapshot": ("InvalidBlockDeviceMapping", "snapshotId can only be modified on EBS devices"),
    "mapping-root-removed": ("InvalidBlockDeviceMapping", "The root device '{device}' cannot be removed"),
    "mapping-encrypted-snapshot": (
        "InvalidParameter",
        "Parameter encrypted is invalid. You cannot specify the encrypted flag if specifying a snapshot id in a block device"
        " mapping.",
    ),
    "mapping-invalid": ("InvalidBlockDeviceMapping", "{message}"),
    "mapping-too-many-volumes": ("AttachmentLimitExceeded", "An instance can have at most {maximum} volumes attached."),
    # volumes
    "volume-size-missing": ("MissingParameter", "The request must contain the parameter size/snapshot"),
    "volume-size-below-snapshot": (
        "InvalidParameterValue",
        "The requested size is smaller than the snapshot {snapshot}, expect size >= {minimum}GB",
    ),
    "volume-too-small": ("InvalidParameterValue", "Volume of {size}GiB is too small; minimum is {minimum}GiB."),
    "volume-too-large": ("InvalidParameterValue", "Volume of {size}GiB is too large; maximum is {maximum}GiB."),
    "volume-type-unknown": ("UnknownVolumeType", "The volume type '{type}' is unknown."),
    "iops-missing": ("InvalidParameterCombination", "The parameter iops must be specified for {type} volumes."),
    "iops-unsupported": ("InvalidParameterCombination", "The parameter iops is not supported for {type} volumes."),
    "iops-too-low": ("InvalidParameterValue", "Volume iops of {iops} is too low; minimum is {minimum}."),
    "iops-too-high": ("InvalidParameterValue", "Volume iops of {iops} is too high; maximum is {maximum}"),
    "iops-ratio": (
        "InvalidParameterCombination",
        "Iops to volume size ratio of {ratio:.6f} is too high; maximum is {maximum:.6f} iops per GiB.",
    ),
    "throughput-unsupported": ("InvalidParameterCombination", "throughput can only be specified for volumeType gp3."),
    "throughput-out-of-range": (
        "InvalidParameterValue",
        "Volume throughput of {throughput} is out of range; it must be {minimum} to {maximum}.",
    ),
    "throughput-ratio": (
        "InvalidParameterCombination",
        "Throughput (MiBps) to iops ratio of {ratio:.6f} is too high; maximum is {maximum:.6f} MiBps per iops.",
    ),
    "volume-in-use": ("VolumeInUse", "Volume {volume} is currently attached to {instance}"),
    "volume-attached": ("VolumeInUse", "{volume} is already attached to an instance"),
    "volume-not-available": ("IncorrectState", "{volume} is not 'available'."),
    "volume-wrong-state": ("IncorrectState", "Volume '{volume}' is in the '{state}' state."),
    "volume-other-zone": (
        "InvalidVolume.ZoneMismatch",
        "The volume '{volume}' is not in the same availability zone as instance '{instance}'",
    ),
    "storage-limit": ("VolumeLimitExceeded", "You have exceeded your maximum storage limit of {limit} GiB in this region."),
    "iops-limit": ("MaxIOPSLimitExceeded", "You have exceeded your maximum provisioned IOPS limit of {limit} in this region."),
    "volume-not-shrinkable": ("InvalidParameterValue", "New size cannot be smaller than existing size"),
    "volume-modification-empty": (
        "InvalidParameterCombination",
        "At least one of size, volumeType, iops and throughput must be specified.",
    ),
    "volume-not-bootable": (
        "InvalidParameterCombination",
        "The volume '{volume}' is the root of instance '{instance}' and cannot be of the type {type}.",
    ),
    "volume-being-modified": (
        "IncorrectModificationState",
        "Volume {volume} cannot be modified in modification state {state}",
    ),
    "volume-never-modified": ("InvalidVolumeModification.NotFound", "Modification for volume '{volume}' does not exist."),
    "device-in-use": (
        "InvalidParameterValue",
        "Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
    ),
    "device-invalid": (
        "InvalidParameterValue",
        "Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name.",
    ),
    "attachment-limit": ("AttachmentLimitExceeded", "The instance '{instance}' has as many volumes attached as it can have."),
    "attachment-not-found": (
        "InvalidAttachment.NotFound",
        "The volume {volume} is not attached to instance {instance} as device {device}",
    ),
    "attachment-root": ("IncorrectState", "Unable to detach root volume '{volume}' from instance '{instance}'"),
    # snapshots
    "snapshot-not-completed": ("IncorrectState", "Snapshot is in invalid state - {state}"),
    "snapshot-in-use": ("InvalidSnapshot.InUse", "The snapshot {snapshot} is currently in use by {image}"),
    "snapshot-limit": ("SnapshotLimitExceeded", "You have reached the maximum number of snapshots."),
    "snapshots-in-progress": (
        "ConcurrentSnapshotLimitExceeded",
        "Maximum allowed in-progress snapshots for a single volume exceeded.",
    ),
    "snapshot-copies": (
        "ResourceLimitExceeded",
        "Too many snapshot copies in progress. The limit is {limit} for this destination region.",
    ),
    "snapshot-lock-fixed": (
        "OperationNotPermitted",
        "The snapshot '{snapshot}' is locked in compliance mode: its lock can only be made longer.",
    ),
    "snapshot-not-locked": ("IncorrectState", "The snapshot '{snapshot}' is not locked."),
    "snapshot-locked": ("OperationNotPermitted", "The snapshot '{snapshot}' is locked until {until}."),
    "volume-not-data": ("InvalidParameterValue", "The volume '{volume}' is not a data volume attached to instance '{instance}'."),
    "instance-without-volumes": ("InvalidParameterValue", "There is no volume of instance '{instance}' to make a snapshot of."),
    # images
    "image-unavailable": ("InvalidAMIID.Unavailable", "The image id '[{image}]' is no longer available"),
    "image-name-taken": ("InvalidAMIName.Duplicate", "AMI name {name} is already in use by AMI {image}"),
    "image-name-malformed": (
        "InvalidAMIName.Malformed",
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'",
    ),
    "image-without-root": ("InvalidParameterCombination", "Either imageLocation or rootDeviceName must be set."),
    "image-root-unmapped": ("InvalidBlockDeviceMapping", "Root device {device} is not in the block device mapping"),
    "image-wrong-state": ("IncorrectState", "The image '{image}' is in the '{state}' state."),
    "image-storage-unshared": ("InvalidRequest", "You do not have permission to access the storage of this ami"),
    "image-attribute-fixed": ("InvalidParameterCombination", "The attribute {attribute} of an image cannot be changed."),
    "image-attribute-mapping": ("InvalidParameter", "The block device mapping of an image cannot be changed."),
    "image-mapping-private": ("AuthFailure", "Unauthorized attempt to access restricted resource"),
    "deprecation-past": ("InvalidParameterValue", "The deprecation time must be in the future."),
    "deprecation-too-late": ("InvalidParameterValue", "The deprecation time must be within {years} years."),
    "public-access-blocked": (
        "OperationNotPermitted",
        "The {what} '{id}' cannot be shared publicly while block public access is on for this account.",
    ),
    "image-protected": ("OperationNotPermitted", "The image '{image}' is protected against deregistration."),
    "image-unreadable": ("InvalidFormat", "The disk image {path} cannot be read: {detail}"),
    "image-attribute-value": ("InvalidAMIAttributeItemValue", 'Invalid attribute item value "{value}" for {item} item type.'),
    # instances
    "instance-not-startable": (
        "IncorrectInstanceState",
        "The instance '{instance}' is not in a state from which it can be started.",
    ),
    "instance-not-stoppable": (
        "IncorrectInstanceState",
        "This instance '{instance}' is not in a state from which it can be stopped.",
    ),
    "instance-never-ran": (
        "IncorrectInstanceState",
        "Instance '{instance}' cannot be stopped as it has never reached the 'running' state.",
    ),
    "instance-not-rebootable": (
        "IncorrectInstanceState",
        "The instance '{instance}' is not in a state from which it can be rebooted.",
    ),
    "instance-not-stopped": ("IncorrectInstanceState", "The instance '{instance}' is not in the 'stopped' state."),
    "instance-wrong-state": (
        "IncorrectInstanceState",
        "The instance '{instance}' is in the '{state}' state, which does not allow this operation.",
    ),
    "instance-not-running": ("IncorrectState", "Instance '{instance}' is not 'running'."),
    "instance-without-root": (
        "InvalidParameterValue",
        "Invalid value '{instance}' for instanceId. Instance does not have a volume attached at root ({device})",
    ),
    "instance-not-imageable": ("InvalidParameterValue", "Instance is not in state 'running' or 'stopping' or 'stopped'"),
    "instance-root-missing": (
        "InvalidParameterValue",
        "Value ({instance}) for parameter InstanceId is invalid. Instance does not have a volume attached at root ({device}).",
    ),
    "instance-attribute-value": ("InvalidInstanceAttributeValue", "Invalid value '{value}' for {attribute}."),
    "no-device-mapped": ("InvalidInstanceAttributeValue", "No device is currently mapped at {device}"),
    "termination-protected": (
        "OperationNotPermitted",
        "The instance '{instance}' may not be terminated. Modify its '{attribute}' instance attribute and try again.",
    ),
    "stop-protected": (
        "OperationNotPermitted",
        "The instance '{instance}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
    ),
    "instance-limit": (
        "InstanceLimitExceeded",
        "Your quota allows for {room} more running instance(s). You requested at least {requested}",
    ),
    "instance-type-unknown": ("InvalidParameterValue", "Invalid value '{type}' for InstanceType."),
    "instance-types-unknown": ("InvalidInstanceType", "The following supplied instance types do not exist: [{types}]"),
    "instance-type-virtualization": (
        "InvalidParameterCombination",
        "Virtualization type 'hvm' is required for instances of type '{type}'. Ensure that you are using an AMI with"
        " virtualization type 'hvm'.",
    ),
    "instance-type-architecture": (
        "InvalidParameterValue",
        "The architecture '{architecture}' of the specified instance type does not match the architecture '{image_architecture}'"
        " of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
    ),
    "configuration-unsupported": (
        "Unsupported",
        "The requested configuration is currently not supported. Please check the documentation for supported configurations.",
    ),
    "hibernation-unsupported": (
        "UnsupportedHibernationConfiguration",
        "Hibernation is not supported for the requested configuration.",
    ),
    "hibernation-not-configured": (
        "UnsupportedHibernationConfiguration",
        "Stopping an instance with hibernation requires the instance to be configured for hibernation.",
    ),
    "capacity-reservation-absent": (
        "InvalidCapacityReservationId.NotFound",
        "The capacity reservation '{id}' does not exist.",
    ),
    "capacity-reservation-full": (
        "ReservationCapacityExceeded",
        "The requested reservation does not have sufficient compatible and available capacity for this request.",
    ),
    "metadata-tokens-enforced": (
        "UnsupportedOperation",
        "You can't launch instances with IMDSv1 because httpTokensEnforced is enabled for this account. Either launch the"
        " instance with httpTokens=required or contact your account owner to disable httpTokensEnforced.",
    ),
    "ebs-optimized-unsupported": (
        "InvalidParameterCombination",
        "EBS-optimized instances are not supported for your requested configuration. Please check the documentation for"
        " supported configurations.",
    ),
    "credits-unsupported": (
        "InvalidParameterCombination",
        "The T2, T3, T3a or T4g instance types are required for CPU credits; {type} has none.",
    ),
    "credits-instance": (
        "InstanceCreditSpecification.NotSupported",
        "The instance '{instance}' does not use CPU credits for CPU usage.",
    ),
    "instance-not-monitorable": (
        "InvalidState",
        "The instance '{instance}' is going or gone and cannot be monitored.",
    ),
    "kernel-malformed": ("InvalidKernelId.Malformed", 'Invalid id: "{id}" (expecting "aki-...")'),
    "ramdisk-malformed": ("InvalidRamDiskId.Malformed", 'Invalid id: "{id}" (expecting "ari-...")'),
    "user-data-malformed": ("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."),
    "user-data-too-large": ("InvalidParameterValue", "User data is limited to 16384 bytes"),
    "attribute-missing": ("InvalidParameterCombination", "No attributes specified."),
    "attributes-too-many": ("InvalidParameterCombination", "Fields for multiple attribute types specified"),
    "region-invalid": ("InvalidParameterValue", "Invalid region: [{region}]"),
    "zone-invalid": ("InvalidParameterValue", "Invalid availability zone: [{zone}]"),
    "screen-absent": ("UnsupportedOperation", "The instance '{instance}' has no screen."),
    "screen-unseen": ("Unavailable", "The screen of the instance '{instance}' cannot be seen now. Please try again later."),
    # imports
    "import-limit": ("ResourceCountLimitExceeded", "You have reached the limit of {limit} import tasks at a time."),
    "import-disks": ("InvalidParameterValue", "At most {limit} disk containers can be imported as an image."),
    "import-ended": ("IncorrectState", "The import task '{task}' is in the '{state}' state."),
    "import-bucket": ("InvalidParameter", "The given S3 object is not local to the region."),
    "import-format": ("InvalidFormat", "The disk image format '{format}' is not supported. Supported are {known}."),
    "import-url": ("InvalidParameterValue", "The URL of the disk image must be an http or https URL without a password."),
    # root volume replacements
    "root-being-replaced": ("IncorrectState", "The root volume of the instance '{instance}' is being replaced."),
    "root-without-snapshot": (
        "InvalidParameterCombination",
        "The root volume of the instance '{instance}' was not made from a snapshot: name a snapshot, an image or a volume.",
    ),
    "snapshot-not-of-root": (
        "InvalidParameterValue",
        "The snapshot '{snapshot}' was not taken from a root volume of the instance '{instance}'.",
    ),
    "image-unlike-instance": (
        "InvalidParameterCombination",
        "The image '{image}' is not of the {what} of the instance '{instance}'.",
    ),
    "image-root-too-small": (
        "InvalidParameterValue",
        "The root volume of the image '{image}' has {size}GiB, expect size >= {minimum}GiB.",
    ),
    # key pairs
    "key-pair-taken": ("InvalidKeyPair.Duplicate", "The keypair '{name}' already exists."),
    "key-name-invalid": (
        "InvalidParameterValue",
        "Invalid value for parameter KeyName. A key name has 1 to 255 printable ASCII characters, with no space at either end.",
    ),
    "key-pair-limit": ("KeyPairLimitExceeded", "You have reached the maximum number of key pairs: {limit}."),
    "key-format": ("InvalidKey.Format", "Key is not in valid OpenSSH public key format"),
    # security groups
    "group-taken": ("InvalidGroup.Duplicate", "The security group '{name}' already exists for VPC '{vpc}'"),
    "group-reserved": ("InvalidGroup.Reserved", "The security group '{name}' is reserved"),
    "group-default": (
        "CannotDelete",
        'the specified group: "{group}" name: "{name}" cannot be deleted by a user',
    ),
    "group-in-use": ("DependencyViolation", "resource {group} has a dependent object"),
    "permission-taken": ("InvalidPermission.Duplicate", 'the specified rule "{rule}" already exists'),
    "permission-absent": ("InvalidPermission.NotFound", "The specified rule does not exist in this security group."),
    "permission-malformed": ("InvalidPermission.Malformed", "{message}"),
    "permission-repeated": ("InvalidParameterValue", "The same permission must not appear multiple times"),
    "group-id-missing": ("MissingParameter", "Source group ID missing."),
    "group-name-default": ("InvalidParameterValue", "Cannot use reserved security group name: default"),
    "group-text": (
        "InvalidParameterValue",
        "Value ({value}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported.",
    ),
    "group-name-absent": ("InvalidGroup.NotFound", "The security group '{name}' does not exist in default VPC '{vpc}'"),
    "groups-apart": ("InvalidGroup.NotFound", "You have specified two resources that belong to different networks."),
    "group-other-network": ("InvalidParameter", "Security group {group} and subnet {subnet} belong to different networks."),
    "group-limit": ("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached."),
    "rule-limit": (
        "RulesPerSecurityGroupLimitExceeded",
        "The maximum number of rules per security group has been reached.",
    ),
    "rule-kind": ("InvalidParameterValue", "The source or destination of the rule '{rule}' cannot become one of another kind."),
    "rule-description": (
        "InvalidParameterValue",
        "Invalid rule description. Valid descriptions are strings less than {most} characters.",
    ),
    "protocol-unknown": ("InvalidParameterValue", "Invalid value '{protocol}' for IP protocol. Unknown protocol."),
    "port-out-of-range": ("InvalidParameterValue", "TCP/UDP port ({port}) out of range"),
    "port-range": ("InvalidParameterValue", "Invalid TCP/UDP port range ({low}:{high})"),
    "icmp-out-of-range": ("InvalidParameterValue", "ICMP type or code ({number}) out of range"),
    "cidr-malformed": ("InvalidParameterValue", "CIDR block {cidr} is malformed"),
    # networks and addresses
    "no-default-vpc": (
        "VPCIdNotSpecified",
        "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
    ),
    "no-default-subnet": ("InvalidParameterValue", "No default subnet for availability zone: '{zone}'."),
    "subnet-in-use": ("DependencyViolation", "The subnet '{subnet}' has dependencies and cannot be deleted."),
    "subnet-full": (
        "InsufficientFreeAddressesInSubnet",
        "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances.",
    ),
    "vpc-in-use": ("DependencyViolation", "The vpc '{vpc}' has dependencies and cannot be deleted."),
    "gateway-in-use": ("DependencyViolation", "The internetGateway '{gateway}' has dependencies and cannot be deleted."),
    "address-taken": ("InvalidIPAddress.InUse", "Address {address} is in use."),
    "address-outside-subnet": ("InvalidParameterValue", "Address {address} does not fall within the subnet's address range"),
    "address-associated": (
        "Resource.AlreadyAssociated",
        "resource {allocation} is already associated with associate-id {association}",
    ),
    "networks-apart": ("InvalidParameterValue", "{one} and {other} belong to different networks"),
    "no-default-subnets": ("MissingInput", "No subnets found for the default VPC '{vpc}'. Please specify a subnet."),
    "default-vpc-taken": ("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region."),
    "default-vpc-absent": ("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region."),
    "default-subnet-taken": (
        "DefaultSubnetAlreadyExistsInAvailabilityZone",
        "'{subnet}' is already the default subnet in {zone}.",
    ),
    "vpc-range": ("InvalidVpc.Range", "The CIDR '{cidr}' is invalid."),
    "vpc-limit": ("VpcLimitExceeded", "The maximum number of VPCs has been reached."),
    "vpc-block-conflict": ("InvalidVpc.Conflict", "The CIDR '{cidr}' conflicts with another CIDR block of the VPC"),
    "vpc-block-limit": ("CidrLimitExceeded", "This network has met its maximum number of allowed CIDRs."),
    "vpc-block-absent": (
        "InvalidVpcCidrBlockAssociationID.NotFound",
        "The vpc CIDR block association ID '{association}' does not exist",
    ),
    "vpc-block-first": (
        "OperationNotPermitted",
        "The vpc CIDR block with association ID {association} may not be disassociated. It is the primary IPv4 CIDR block of the"
        " VPC {vpc}.",
    ),
    "vpc-names-without-dns": ("InvalidParameterCombination", "DNS hostnames cannot be enabled while DNS support is not."),
    "subnet-range": ("InvalidSubnet.Range", "The CIDR '{cidr}' is invalid."),
    "subnet-conflict": ("InvalidSubnet.Conflict", "The CIDR '{cidr}' conflicts with another subnet"),
    "subnet-limit": ("SubnetLimitExceeded", "The maximum number of subnets has been reached."),
    "subnet-zone": (
        "InvalidParameterValue",
        "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following"
        " availability zones: {zones}.",
    ),
    "zone-not-subnets": (
        "InvalidParameterValue",
        "Value ({zone}) for parameter availabilityZone is invalid. The subnet '{subnet}' is in the availability zone {other}.",
    ),
    "dhcp-value": ("InvalidParameterValue", "The option {option} needs values of 1 to 255 characters."),
    "dhcp-limit": ("DhcpOptionsLimitExceeded", "The maximum number of DHCP options has been reached."),
    "dhcp-in-use": ("DependencyViolation", "The dhcpOptions '{options}' has dependencies and cannot be deleted."),
    "route-table-limit": ("RouteTableLimitExceeded", "The maximum number of route tables has been reached."),
    "route-table-in-use": ("DependencyViolation", "The routeTable '{table}' has dependencies and cannot be deleted."),
    "route-table-associated": (
        "Resource.AlreadyAssociated",
        "the specified association for route table {table} conflicts with an existing association",
    ),
    "route-association-main": (
        "InvalidParameterValue",
        "cannot disassociate the main route table association {association}",
    ),
    "route-target-missing": ("MissingParameter", "The request must contain exactly one target of the route"),
    "route-targets-many": ("InvalidParameterCombination", "The request must contain exactly one target of the route"),
    "route-limit": ("RouteLimitExceeded", "The maximum number of routes has been reached."),
    "route-taken": ("RouteAlreadyExists", "The route identified by {cidr} already exists."),
    "route-inside": (
        "InvalidParameterValue",
        "The destination CIDR block {cidr} is equal to or more specific than one of this VPC's CIDR blocks. This route can target"
        " only an interface or an instance.",
    ),
    "route-local": ("InvalidParameterValue", "cannot {what} local route {cidr} in route table {table}"),
    "route-not-replaceable": (
        "InvalidParameterValue",
        "There is no route defined for '{cidr}' in the route table. Use CreateRoute instead.",
    ),
    "route-absent": ("InvalidRoute.NotFound", "no route with {kind} {cidr} in route table {table}"),
    "gateway-limit": ("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached."),
    "gateway-attached": ("Resource.AlreadyAssociated", "resource {gateway} is already attached to network {vpc}"),
    "gateway-taken": ("InvalidParameterValue", "Network {vpc} already has an internet gateway attached"),
    "gateway-not-attached": ("Gateway.NotAttached", "resource {gateway} is not attached to network {vpc}"),
    "network-without-gateway": ("Gateway.NotAttached", "Network {vpc} is not attached to any internet gateway"),
    "acl-limit": ("NetworkAclLimitExceeded", "The maximum number of network ACLs has been reached."),
    "acl-default": ("InvalidParameterValue", "cannot delete default network ACL {acl}"),
    "acl-in-use": ("DependencyViolation", "The networkAcl '{acl}' has dependencies and cannot be deleted."),
    "acl-entry-taken": ("NetworkAclEntryAlreadyExists", "The network acl entry identified by {number} already exists."),
    "acl-entry-absent": ("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by {number} does not exist."),
    "acl-entry-limit": ("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached."),
    "interface-limit": ("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached."),
    "interface-group-limit": (
        "SecurityGroupsPerInterfaceLimitExceeded",
        "The maximum number of security groups per interface has been reached.",
    ),
    "interface-in-use": ("InvalidParameterValue", "Network interface '{interface}' is currently in use."),
    "interface-attached": ("InvalidNetworkInterface.InUse", "Interface: [{interface}] in use."),
    "interface-other-zone": (
        "InvalidParameterCombination",
        "You may not attach a network interface to an instance if they are not in the same availability zone",
    ),
    "interface-primary": (
        "OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
    ),
    "interface-count": ("AttachmentLimitExceeded", "Interface count {count} exceeds the limit for {type}"),
    "interface-existing": (
        "InvalidParameterCombination",
        "A network interface ID cannot be specified together with what makes a new network interface",
    ),
    "interfaces-and": (
        "InvalidParameterCombination",
        "Network interfaces and {what} may not be specified on the same request",
    ),
    "interfaces-many": (
        "InvalidInstanceID",
        "There are multiple interfaces attached to instance '{instance}'. Please specify an interface ID for the operation"
        " instead.",
    ),
    "device-index-missing": ("InvalidParameterValue", "Each network interface requires a device index."),
    "device-index-zero": ("InvalidParameterValue", "A network interface must be specified at device index 0."),
    "device-index-repeated": ("InvalidParameterValue", "Each network interface requires a unique device index."),
    "device-index-taken": (
        "InvalidParameterValue",
        "Instance '{instance}' already has an interface attached at device index '{index}'.",
    ),
    "addresses-many": (
        "InvalidParameterCombination",
        "Private addresses and existing network interfaces cannot be specified when launching multiple instances",
    ),
    "addresses-taken": ("InvalidParameterValue", "[{addresses}] assigned, but move is not allowed."),
    "addresses-absent": (
        "InvalidParameterValue",
        "Some of [{addresses}] addresses are not assigned to interface {interface}",
    ),
    "address-primary": (
        "InvalidParameterValue",
        "The primary private address of interface {interface} cannot be unassigned",
    ),
    "public-address-many": (
        "InvalidParameterCombination",
        "The parameter AssociatePublicIpAddress may only be used with a single new network interface at device index 0.",
    ),
    "addresses-primary-many": ("InvalidParameterCombination", "Only one primary private IP address can be specified."),
    "private-address-limit": ("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit."),
    "addresses-mapped": (
        "DependencyViolation",
        "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
    ),
    "address-limit": ("AddressLimitExceeded", "The maximum number of addresses has been reached."),
    "address-pool-empty": ("InsufficientAddressCapacity", "Insufficient capacity to allocate an address."),
    "instance-not-addressable": (
        "InvalidInstanceID",
        "The {state} instance '{instance}' is not in a valid state for this operation.",
    ),
    "instance-without-network": (
        "InvalidInstanceID",
        "The {state} instance '{instance}' is not in a valid state for this operation.",
    ),
    # placement groups
    "placement-group-taken": ("InvalidPlacementGroup.Duplicate", "The Placement Group '{name}' already exists."),
    "placement-group-in-use": (
        "InvalidPlacementGroup.InUse",
        "The placement group '{name}' is in use and may not be deleted.",
    ),
    "placement-group-limit": ("PlacementGroupLimitExceeded", "The maximum number of placement groups has been reached."),
    "placement-group-full": (
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient capacity to launch all of the additional requested instances into Placement Group"
        " '{name}'.",
    ),
    "partitions-without-strategy": (
        "InvalidParameterCombination",
        "The parameter partitionCount can only be used with the strategy 'partition'.",
    ),
    "placement-group-type": (
        "InvalidParameterCombination",
        "Cluster placement groups are not supported by the '{type}' instance type. Specify a supported instance type or change"
        " the placement group strategy, and try again.",
    ),
    "partition-without-group": (
        "InvalidParameterCombination",
        "The parameter partitionNumber can only be used with a placement group of the strategy 'partition'.",
    ),
    # launch templates
    "template-name-taken": ("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."),
    "template-both": (
        "InvalidParameterCombination",
        "Either provide launch template ID or launch template name to {verb} the template.",
    ),
    "template-neither": (
        "MissingParameter",
        "The request must contain the parameter launch template ID or launch template name",
    ),
    "templates-unknown": (
        "InvalidLaunchTemplateName.NotFoundException",
        "At least one of the launch templates specified in the request does not exist.",
    ),
    "template-version-absent": (
        "InvalidLaunchTemplateId.VersionNotFound",
        "The launch template version {version} is not found for the specified launch template.",
    ),
    "template-version-default": (
        "InvalidParameterValue",
        "The version {version} is the default version of the launch template {template} and cannot be deleted.",
    ),
    "template-limit": ("LaunchTemplateLimitExceeded", "The maximum number of launch templates has been reached."),
    "template-version-limit": (
        "LaunchTemplateVersionLimitExceeded",
        "The maximum number of versions of a launch template has been reached.",
    ),
    "template-version-unknown": (
        "InvalidLaunchTemplateId.VersionNotFound",
        "Could not find the specified version {version} for the launch template with ID {template}.",
    ),
}


def from_refusal(refusal: errors.Refusal) -> Fault:
    """What EC2 says of a refusal.

    Two reasons serve every kind of resource (`KINDS`): `not-found` with the facts `kind` and `ids` (one id or a sequence), and
    `malformed-id` with `kind`, `id` and, where the kind's text names it, `parameter`.
    """
    facts = refusal.facts
    if refusal.reason == "not-found":
        return _not_found(KINDS[str(facts["kind"])], facts["ids"])
    if refusal.reason == "malformed-id":
        code, text = KINDS[str(facts["kind"])].malformed
    else:
        code, text = ROWS[refusal.reason]
    return Fault(code, text.format_map(facts))


def _not_found(kind: Kind, ids: object) -> Fault:
    names = [str(name) for name in ids] if isinstance(ids, Sequence) and not isinstance(ids, str) else [str(ids)]
    if len(names) > 1 and kind.many:
        return Fault(kind.absent, kind.many.format(ids=", ".join(names)))
    return Fault(kind.absent, kind.one.format(ids=names[0]))
