"""Which failures pass by themselves: nobody's attempt, to be waited out."""

from asyncpg import exceptions as pg

from corebilling.errors import BillingError, Code

RETRY_LATER = frozenset({Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED})
"""What a loop that works for no event in particular waits out."""

# Of two transactions that met, the database ended one: it need not be the one at fault. Other conflicts
# (a unique key) would meet again, and a statement that takes too long would again take too long.
_MET = (pg.TransactionRollbackError, pg.LockNotAvailableError, pg.IdleInTransactionSessionTimeoutError)


def is_transient(error: Exception) -> bool:
    """The database is out of reach, or two transactions met: no fault of the event being handled."""
    return isinstance(error, BillingError) and (
        error.code is Code.UNAVAILABLE or isinstance(error.__cause__, _MET)
    )
