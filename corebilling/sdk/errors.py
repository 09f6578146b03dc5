"""What a call that failed raises: one class per status, each with the server's reason and its facts."""

from collections.abc import Mapping
from typing import ClassVar

import grpc
from billing_sdk.billing.errors.v1 import ErrorReason

from corebilling.sdk.status import Facts, Violation, facts_of

__all__ = ["BillingError", "Violation", "error_of"]


class BillingError(Exception):
    """The server refused a call, or could not be reached; its text is the server's sentence."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, facts: Facts, *, method: str = "", attempts: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.reason_name = facts.reason
        """The reason as the server wrote it: a newer server has reasons that this client does not know."""
        self.metadata: Mapping[str, str] = facts.metadata
        self.violations = facts.violations
        self.retry_after_s = facts.retry_after_s
        self.correlation_id = facts.correlation_id
        self.method = method
        self.attempts = attempts

    @property
    def reason(self) -> ErrorReason:
        """UNSPECIFIED when no server spoke, or one that is newer than this client."""
        return ErrorReason.__members__.get(self.reason_name, ErrorReason.UNSPECIFIED)

    def __str__(self) -> str:
        parts = [f"{self.status.name}: {self.message}"]
        if self.reason_name:
            facts = "".join(f" {name}={value}" for name, value in sorted(self.metadata.items()))
            parts.append(f"({self.reason_name}{facts})")
        parts += [f"{violation.field}: {violation.description};" for violation in self.violations]
        return " ".join([*parts, f"[{self.method}, correlation {self.correlation_id}]"])


class Cancelled(BillingError):
    status = grpc.StatusCode.CANCELLED


class UnknownStatus(BillingError):
    status = grpc.StatusCode.UNKNOWN


class InvalidArgument(BillingError):
    status = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceeded(BillingError):
    """The call did not end in time. A change may have been made: repeat it with the same request id."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED


class NotFound(BillingError):
    status = grpc.StatusCode.NOT_FOUND


class AlreadyExists(BillingError):
    status = grpc.StatusCode.ALREADY_EXISTS


class PermissionDenied(BillingError):
    status = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(BillingError):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(BillingError):
    status = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(BillingError):
    status = grpc.StatusCode.ABORTED


class Unimplemented(BillingError):
    status = grpc.StatusCode.UNIMPLEMENTED


class Internal(BillingError):
    status = grpc.StatusCode.INTERNAL


class Unavailable(BillingError):
    """No server answered. A change may have been made: repeat it with the same request id."""

    status = grpc.StatusCode.UNAVAILABLE


class Unauthenticated(BillingError):
    status = grpc.StatusCode.UNAUTHENTICATED


_CLASSES = {error_class.status: error_class for error_class in BillingError.__subclasses__()}


def error_of(error: grpc.aio.AioRpcError, *, method: str, correlation_id: str, attempts: int) -> BillingError:
    """As the caller sees it."""
    facts = facts_of(error)
    facts.correlation_id = facts.correlation_id or correlation_id
    error_class = _CLASSES.get(error.code(), UnknownStatus)
    return error_class(error.details() or "", facts, method=method, attempts=attempts)
