"""The codes, reasons, texts and HTTP statuses of the EBS direct APIs: the one table from the house's refusals to what EBS says.

The texts are AWS's own where they are recorded. It knows no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

from ec2gw.ebs import model
from ec2gw.model import errors

# Codes that the description of the service does not have: all of AWS's services answer with them.
_STATUS = {
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "RequestAbortedException": 400,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
    "SerializationException": 400,
    "UnknownOperationException": 404,
}


@dataclass(frozen=True)
class _Row:
    code: str
    text: str
    reason: str | None = None


class Fault(Exception):
    """An answer that is an error. `reason` is one of those that the service knows for the code; None where it says none."""

    def __init__(self, code: str, message: str, reason: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.reason = reason
        self.status = _STATUS.get(code) or model.status(code)


_INVALID = "ValidationException"
_NO_SUCH = _Row("ResourceNotFoundException", "The snapshot '{ids}' does not exist.", "SNAPSHOT_NOT_FOUND")

# slug -> what is said of it. Facts are named in braces.
ROWS = {
    # who asks, and how
    "signature-wrong": _Row(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and"
        " signing method. Consult the service documentation for details.",
    ),
    "request-expired": _Row("InvalidSignatureException", "Signature expired.{detail}"),
    "not-signed": _Row("MissingAuthenticationTokenException", "Missing Authentication Token"),
    "signature-incomplete": _Row("IncompleteSignatureException", "{message}"),
    "malformed-query": _Row("SerializationException", "The query string contains a syntax error."),
    "invalid-value": _Row("IncompleteSignatureException", "Value ({value}) for parameter {parameter} is invalid. {why}"),
    "body-too-large": _Row("RequestEntityTooLargeException", "The request is larger than {most} bytes."),
    "body-late": _Row("RequestTimeoutException", "The request's body did not come in time."),
    "body-incomplete": _Row("RequestAbortedException", "The request ended before its body did."),
    "busy": _Row("RequestThrottledException", "Too many requests at a time.", "RESOURCE_LEVEL_THROTTLE"),
    "host-trouble": _Row("InternalServerException", "An internal error has occurred."),
    "host-late": _Row("InternalServerException", "The request could not be answered in time."),
    # parameters
    "checksum-wrong": _Row(
        "InvalidSignatureException",
        "The value passed in as x-amz-Checksum does not match the computed checksum. Computed checksum: {computed} expected"
        " checksum: {expected}",
    ),
    "block-short": _Row(_INVALID, "Failed to read block data", "INVALID_PARAMETER_VALUE"),
    "block-length": _Row(_INVALID, "Block data length {length} is not valid, expected 524288", "INVALID_BLOCK"),
    "block-beyond": _Row(_INVALID, "Block index {number} is beyond the volume size extent", "INVALID_BLOCK"),
    "checksum-algorithm": _Row(
        _INVALID, "Unsupported Checksum Algorithm '{algorithm}', supported algorithms are SHA256", "INVALID_PARAMETER_VALUE"
    ),
    "checksum-combination": _Row(_INVALID, "Invalid parameter combination. {what} is missing.", "INVALID_PARAMETER_VALUE"),
    "block-token": _Row(_INVALID, "The block token {token} is invalid.", "INVALID_BLOCK_TOKEN"),
    "page-token": _Row(_INVALID, "The pagination token {token} is invalid.", "INVALID_PAGE_TOKEN"),
    "first-missing": _Row(_INVALID, "First snapshot should not be empty or null", "INVALID_SNAPSHOT_ID"),
    "unrelated": _Row(_INVALID, "The snapshots {first} and {second} are not related.", "UNRELATED_SNAPSHOTS"),
    "malformed-id": _Row(_INVALID, "The snapshot ID '{id}' is malformed.", "INVALID_SNAPSHOT_ID"),
    "encrypted": _Row(_INVALID, "Encrypted snapshots are not supported by this endpoint.", "INVALID_PARAMETER_VALUE"),
    "encrypted-with-parent": _Row(
        _INVALID, "Encrypted cannot be specified together with ParentSnapshotId.", "INVALID_PARAMETER_VALUE"
    ),
    "token-mismatch": _Row("ConflictException", "Current request does not match request stored with this token."),
    "tag-incomplete": _Row(_INVALID, "A tag needs a key.", "INVALID_TAG"),
    "tag-key-empty": _Row(_INVALID, "Tag keys must not be empty.", "INVALID_TAG"),
    "tag-key-too-long": _Row(_INVALID, "Tag keys must be at most 128 characters.", "INVALID_TAG"),
    "tag-duplicate": _Row(_INVALID, "The tag key '{key}' is there more than once.", "INVALID_TAG"),
    "tag-reserved": _Row(_INVALID, "Tag keys starting with 'aws:' are reserved for internal use.", "INVALID_TAG"),
    "tag-value-missing": _Row(_INVALID, "A tag needs a value.", "INVALID_TAG"),
    "tag-value-too-long": _Row(_INVALID, "Tag values must be at most 256 characters.", "INVALID_TAG"),
    "too-many-tags": _Row(_INVALID, "A snapshot can have at most 50 tags.", "INVALID_TAG"),
    # snapshots
    "not-owner": _Row("AccessDeniedException", "The snapshot '{id}' belongs to another account.", "UNAUTHORIZED_ACCOUNT"),
    "upload-complete": _Row(_INVALID, "Snapshot is already completed", "INVALID_SNAPSHOT_ID"),
    "parent-not-completed": _Row(_INVALID, "Source snapshot ({parent}) is not complete.", "INVALID_SNAPSHOT_ID"),
    "upload-below-parent": _Row(
        _INVALID, "The volume size {size} is smaller than the parent snapshot's, {minimum}.", "INVALID_VOLUME_SIZE"
    ),
    "upload-too-large": _Row(_INVALID, "The volume size {size} is larger than {most}.", "INVALID_VOLUME_SIZE"),
    "too-many-uploads": _Row("ConcurrentLimitExceededException", "You have reached the limit for concurrent pending snapshots."),
}


def from_refusal(refusal: errors.Refusal) -> Fault:
    """What EBS says of a refusal. A refusal without a row is a bug and raises KeyError."""
    facts = dict(refusal.facts)
    if refusal.reason == "not-found":
        row, facts["ids"] = _NO_SUCH, _first(facts["ids"])
    else:
        row = ROWS[refusal.reason]
    return Fault(row.code, row.text.format_map(facts), row.reason)


def _first(ids: object) -> object:
    return ids[0] if isinstance(ids, list | tuple) else ids
