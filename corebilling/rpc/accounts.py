"""Consumers and creators see and change nothing but what is their account's own."""

from collections.abc import Iterator
from typing import Any

from billing_db import access as access_sql

from corebilling.db.pool import Database
from corebilling.errors import InvalidArgument, NotFound, PermissionDenied
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import AccountPolicy, Method
from corebilling.values.caller import Caller

_MAX_ID = 64


class Accounts:
    """After authorization has settled the tenant, and before the rules of the request are checked.

    What belongs to whom never changes, so that it need not be looked up in the call's own transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, method: Method, following: Behaviour) -> Behaviour:
        policy = method.account
        if policy is None:
            # Authorization has refused everybody who is limited.
            return following

        async def answer(request: Any, call: Call) -> Any:
            if call.credential is not None and call.credential.account is not None:
                _check_fields(policy, request)
                if policy.own:
                    await self._limit(policy, request, call, call.credential.account)
            return await following(request, call)

        return answer

    async def _limit(self, policy: AccountPolicy, request: Any, call: Call, account: str) -> None:
        """Fills in the account, and refuses what is not its own as if it did not exist."""
        named = dict(_named(policy, request))
        own, owners = await self._look_up(call, account, list(named))
        if "external_id" in policy.own and request.external_id in ("", account):
            request.external_id = account
        elif "external_id" in policy.own:
            raise _not_found("external_id")
        if not own and (named or "customer_id" in policy.own):
            raise _not_registered(account)
        if "customer_id" in policy.own and not request.customer_id:
            request.customer_id = own
        for value, field in named.items():
            if owners.get(value) != own:
                raise _not_found(field)
        _check_named(policy, request)

    async def _look_up(self, call: Call, account: str, ids: list[str]) -> tuple[str | None, dict[str, str]]:
        """The account's customer, if it has one, and whose each of the ids is."""
        assert call.credential is not None
        caller = Caller(call.tenant_id, call.credential.actor, role="", permissions=frozenset())
        ids = [one[:_MAX_ID] for one in ids]
        async with self._database.transaction(caller) as tx:
            own = await access_sql.find_own_customer(tx, tenant_id=tx.tenant_id, external_id=account)
            rows = await access_sql.list_owners(tx, tenant_id=tx.tenant_id, ids=ids)
        return own, {row.id: row.customer_id for row in rows}


def _check_fields(policy: AccountPolicy, request: Any) -> None:
    """What is not named as theirs to set stays the tenant's to decide, whatever fields are added."""
    for field, _ in request.ListFields():
        if field.name not in policy.allowed:
            raise PermissionDenied(
                "FIELD_NOT_YOURS",
                f"Only the tenant decides on {field.name}; leave it unset.",
                {"field": field.name},
            )


def _check_named(policy: AccountPolicy, request: Any) -> None:
    """A request that names nothing of theirs would be about everybody's."""
    if not any(getattr(request, field) for field in policy.own):
        raise InvalidArgument(
            "REQUEST_INVALID",
            "Name what of your account the call is about.",
            violations=tuple((field, "one of these must be set") for field in policy.own),
        )


def _named(policy: AccountPolicy, request: Any) -> Iterator[tuple[str, str]]:
    """The ids in the request that must be the account's own, each with its field."""
    for field in policy.own:
        value = getattr(request, field)
        if field != "external_id" and value:
            yield value, field


def _not_found(field: str) -> NotFound:
    return NotFound("NOT_IN_ACCOUNT", f"Your account has no such {field}.", {"field": field})


def _not_registered(account: str) -> NotFound:
    if not account:
        return NotFound("NOT_IN_ACCOUNT", "Your token names no account; ask who issues it.")
    return NotFound(
        "CUSTOMER_NOT_REGISTERED",
        "Your account has no customer yet; register with RegisterCustomer (POST /api/v1/consumers/register), "
        "then repeat the call.",
    )
