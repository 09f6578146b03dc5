"""What a server says of a failure, beside its status: google.rpc.Status in the trailing metadata."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"
CORRELATION_KEY = "x-correlation-id"


class Violation(NamedTuple):
    """A field of the request that breaks a rule."""

    field: str
    description: str


@dataclass(slots=True)
class Facts:
    """Empty where a failure is the channel's own: no server spoke then."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None
    correlation_id: str = ""


def facts_of(error: grpc.RpcError) -> Facts:
    facts = Facts()
    for key, value in cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ()):
        if key == CORRELATION_KEY:
            facts.correlation_id = value
        if key == DETAILS_KEY:
            _read(status_pb2.Status.FromString(value), facts)
    return facts


def _read(status: Any, facts: Facts) -> None:
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details:
        if detail.Unpack(info):
            facts.reason, facts.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            facts.violations = tuple(Violation(one.field, one.description) for one in bad.field_violations)
        elif detail.Unpack(retry):
            facts.retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
