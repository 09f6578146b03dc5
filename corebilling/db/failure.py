"""What a driver error means to the caller: the only place that knows both families."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg
from asyncpg import exceptions as pg

from corebilling.errors import (
    Aborted,
    BillingError,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    OutcomeUnknown,
    Unavailable,
)

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)
# Also what the system says when no connection comes about: no socket, unknown host, no answer.
CONNECT_ERRORS = (*DRIVER_ERRORS, OSError)

_CONFLICT_RETRY_S = 0.1
_UNAVAILABLE_RETRY_S = 1.0

_CUT_OFF = (
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    # What the driver says when the server ended the connection between two statements.
    asyncpg.InternalClientError,
    OSError,
)
_OUT_OF_ORDER = (
    pg.InsufficientResourcesError,
    pg.PostgresSystemError,
    pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError,  # the database does not exist
)
_TIMED_OUT = (pg.QueryCanceledError, pg.IdleInTransactionSessionTimeoutError)
_CONFLICT = (
    pg.TransactionRollbackError,  # serialization failure, deadlock
    pg.LockNotAvailableError,
    # A service that expects a duplicate says so with `refuse_on`; here two changes merely met.
    pg.UniqueViolationError,
)


@contextmanager
def refuse_on(refusals: Mapping[str, BillingError]) -> Iterator[None]:
    """Turn the violation of a named constraint into the service's own refusal.

    The transaction is broken by then, so the refusal must be let through to its door.
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as violation:
        refusal = refusals.get(violation.constraint_name or "")
        if refusal is None:
            raise
        raise refusal from violation


class PartitionMissing(Exception):
    """A row has no partition to go to."""


@contextmanager
def partition_missing() -> Iterator[None]:
    """Raise PartitionMissing for it; the transaction is broken by then."""
    try:
        yield
    except asyncpg.CheckViolationError as violation:
        if violation.constraint_name:
            raise
        raise PartitionMissing from violation


def translate(error: Exception) -> BillingError:
    """The BillingError that a driver error stands for; Internal if the fault is ours."""
    if isinstance(error, _TIMED_OUT):
        return DeadlineExceeded(
            "DEADLINE_EXCEEDED", "the database did not finish in time; repeat with the same request id"
        )
    if isinstance(error, _CONFLICT):
        return Aborted(
            "CONFLICT", "another change came first; repeat the request", retry_after_s=_CONFLICT_RETRY_S
        )
    if isinstance(error, _CUT_OFF + _OUT_OF_ORDER) or _is_closed(error):
        return unavailable("the database cannot be reached")
    if isinstance(error, pg.NumericValueOutOfRangeError) or _is_out_of_range(error):
        return InvalidArgument("VALUE_OUT_OF_RANGE", "a number or time is larger than the platform can hold")
    # Only text that Postgres cannot store: other data errors are faults of our own statements.
    if isinstance(error, pg.CharacterNotInRepertoireError | pg.UntranslatableCharacterError):
        return InvalidArgument("REQUEST_INVALID", "a text holds a character that cannot be stored; remove it")
    return Internal("INTERNAL", "the platform failed on this request", {"sqlstate": _sqlstate(error)})


def translate_connect(error: Exception) -> BillingError:
    """As `translate`; while connecting, a server that is not ready for us is one that cannot be reached."""
    if isinstance(error, pg.ObjectNotInPrerequisiteStateError):
        return unavailable("the database takes no connections now")
    return translate(error)


def translate_commit(error: Exception) -> BillingError:
    """As `translate`; but whatever took the connection away may have done so after the commit."""
    if isinstance(error, pg.QueryCanceledError):
        return translate(error)  # Postgres cancels nothing that is already committed
    return OutcomeUnknown() if isinstance(error, _CUT_OFF) or _is_closed(error) else translate(error)


def unavailable(problem: str) -> Unavailable:
    return Unavailable(
        "DATABASE_UNAVAILABLE",
        f"{problem}; repeat with the same request id",
        retry_after_s=_UNAVAILABLE_RETRY_S,
    )


def _is_closed(error: Exception) -> bool:
    # The driver has no class of its own for "connection is closed" and "pool is closing", and of a connection
    # that broke while we held it, it says that it "has been released back to the pool".
    texts = ("closed", "closing", "released back")
    return isinstance(error, asyncpg.InterfaceError) and any(text in str(error) for text in texts)


def _is_out_of_range(error: Exception) -> bool:
    # Raised by the driver while encoding a parameter; it has no class of its own either.
    return isinstance(error, asyncpg.DataError | pg.DatetimeFieldOverflowError) and "out of" in str(error)


def _sqlstate(error: Exception) -> str:
    return str(getattr(error, "sqlstate", None) or type(error).__name__)
