"""botocore's description of the EBS direct APIs, the only one of their wire: operations, paths, shapes, statuses of errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

import botocore.loaders
import botocore.model
import botocore.session

_SERVICE = botocore.model.ServiceModel(
    botocore.session.get_session().get_component("data_loader").load_service_model("ebs", "service-2"), "ebs"
)
STATUSES = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in _SERVICE.error_shapes}


@dataclass(frozen=True)
class Operation:
    """An operation: `path` matches the paths that are its own, with a group for each part that is a parameter."""

    name: str
    method: str
    path: re.Pattern[str]
    status: int
    input: botocore.model.StructureShape
    output: botocore.model.StructureShape


def _operation(name: str) -> Operation:
    described = _SERVICE.operation_model(name)
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(described.http["requestUri"]))
    status = described.http.get("responseCode", 200)
    assert described.input_shape is not None and described.output_shape is not None
    return Operation(name, described.http["method"], re.compile(pattern), status, described.input_shape, described.output_shape)


OPERATIONS = tuple(_operation(name) for name in _SERVICE.operation_names)


def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation of this method and path, and the parts of the path that are parameters; None where there is none."""
    for operation in OPERATIONS:
        if operation.method == method and (match := operation.path.fullmatch(path)):
            return operation, match.groupdict()
    return None


def status(code: str) -> int:
    """The HTTP status of an error that the service describes."""
    found: int = STATUSES[code]
    return found
