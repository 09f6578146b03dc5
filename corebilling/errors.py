"""The one family of errors that callers see.

`reason` is a name of `billing.errors.v1.ErrorReason` without its prefix; the message says what to do.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """The gRPC status names that this platform answers with."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class BillingError(Exception):
    """Raised through its subclasses, one per code."""

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        reason: str,
        message: str,
        facts: Mapping[str, str] | None = None,
        *,
        retry_after_s: float | None = None,
        violations: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.facts: Mapping[str, str] = facts or {}
        self.retry_after_s = retry_after_s
        self.violations = violations
        """Pairs of field and description, for requests with wrong fields."""


class InvalidArgument(BillingError):
    code = Code.INVALID_ARGUMENT


class Unauthenticated(BillingError):
    code = Code.UNAUTHENTICATED


class PermissionDenied(BillingError):
    code = Code.PERMISSION_DENIED


class NotFound(BillingError):
    code = Code.NOT_FOUND


class AlreadyExists(BillingError):
    code = Code.ALREADY_EXISTS


class FailedPrecondition(BillingError):
    code = Code.FAILED_PRECONDITION


class Aborted(BillingError):
    code = Code.ABORTED


class ResourceExhausted(BillingError):
    code = Code.RESOURCE_EXHAUSTED


class Unimplemented(BillingError):
    code = Code.UNIMPLEMENTED


class DeadlineExceeded(BillingError):
    code = Code.DEADLINE_EXCEEDED


class Unavailable(BillingError):
    code = Code.UNAVAILABLE


class Internal(BillingError):
    """A fault of the platform itself: no client input may lead here."""

    code = Code.INTERNAL


class OutcomeUnknown(Unavailable):
    """The connection broke while committing: the change may or may not have happened."""

    def __init__(self) -> None:
        super().__init__(
            "OUTCOME_UNKNOWN",
            "the connection broke while committing; repeat with the same request id to learn what happened",
            retry_after_s=1.0,
        )
