"""Everything a call passes before its servicer, from the outside in."""

from dataclasses import dataclass

from corebilling.rpc.accounts import Accounts
from corebilling.rpc.answer import serializing
from corebilling.rpc.authentication import Authentication
from corebilling.rpc.authorization import Authorization, permission
from corebilling.rpc.call import Concern
from corebilling.rpc.deadline import deadline
from corebilling.rpc.errors import errors
from corebilling.rpc.overload import concurrency_limit
from corebilling.rpc.rate_limit import RateLimit
from corebilling.rpc.telemetry import telemetry
from corebilling.rpc.validation import parsing, validation


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Of all methods together (`max_calls`, `max_streams`), and of each call."""

    max_calls: int
    max_streams: int
    deadline_s: float
    stream_deadline_s: float


def concerns(
    authentication: Authentication,
    authorization: Authorization,
    accounts: Accounts,
    limits: CallLimits,
    rate_limit: RateLimit | None,
) -> tuple[Concern, ...]:
    """In this order: what costs least and refuses most comes first.

    A call takes its place when it is known whose it is and that they may ask: strangers take none.
    """
    of_tenants = (rate_limit.of_tenants,) if rate_limit else ()
    of_operators = (rate_limit.of_operators,) if rate_limit else ()
    return (
        telemetry,
        errors,
        deadline(call_s=limits.deadline_s, stream_s=limits.stream_deadline_s),
        authentication,
        *of_tenants,
        permission,
        concurrency_limit(limits.max_calls, limits.max_streams),
        serializing,
        parsing,
        authorization,
        *of_operators,
        accounts,
        validation,
    )
