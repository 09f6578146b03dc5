"""Why somebody may call a method, or may not."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from billing.access.v1 import access_service_pb2 as rpc
from billing_db import access as access_sql
from billing_db import tenant as tenant_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.access.explanation_model import Check, Holder, MethodTerms, checks, key_problem
from corebilling.domains.access.model import OF_ONE_ACCOUNT, PERMISSIONS, allowed
from corebilling.errors import BillingError, NotFound
from corebilling.values.ids import PLATFORM_TENANT


class Identity(Protocol):
    """Whom a token stands for."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def expires_at(self) -> datetime: ...


class TokenVerifier(Protocol):
    async def verify(self, text: str) -> Identity:
        """Raises Unauthenticated, or Unavailable."""
        ...


class ExplanationService:
    """Explains access; changes nothing."""

    def __init__(self, find_method: Callable[[str], MethodTerms | None], tokens: TokenVerifier) -> None:
        self._find_method = find_method
        self._tokens = tokens

    async def identify(self, request: rpc.ExplainAccessRequest) -> Identity | BillingError | None:
        """Whom the request's token stands for, or why it is refused; None without a token.

        Before a transaction is opened: an issuer may have to be asked for its keys.
        """
        if not request.HasField("token"):
            return None
        try:
            return await self._tokens.verify(request.token)
        except BillingError as refusal:
            return refusal

    async def explain_access(
        self, tx: Transaction, request: rpc.ExplainAccessRequest, identity: Identity | BillingError | None
    ) -> rpc.ExplainAccessResponse:
        """Raises NotFound: METHOD_NOT_FOUND, API_KEY_NOT_FOUND."""
        method = self._find_method(request.method)
        if method is None:
            raise NotFound(
                "METHOD_NOT_FOUND",
                "There is no such method; name it as in billing.invoice.v1.InvoiceService/GetInvoice.",
                {"method": request.method},
            )
        holder = await _holder(tx, request, identity)
        tenant = await tenant_sql.find_tenant(tx, tenant_id=tx.tenant_id)
        assert tenant is not None, "the door knows it"
        asked = list(checks(holder, tenant.status, method, PERMISSIONS))
        return rpc.ExplainAccessResponse(
            allowed=all(check.passed for check in asked),
            actor=holder.actor,
            role=holder.role,
            checks=map(_message, asked),
        )


async def _holder(
    tx: Transaction, request: rpc.ExplainAccessRequest, identity: Identity | BillingError | None
) -> Holder:
    if isinstance(identity, BillingError):
        return _nobody(identity.message)
    if identity is not None:
        return _token_holder(tx, identity)
    if request.HasField("api_key_id"):
        return await _key_holder(tx, request.api_key_id)
    return _caller(tx)


def _token_holder(tx: Transaction, identity: Identity) -> Holder:
    if identity.tenant_id != tx.tenant_id:
        return _nobody("The token is of another tenant.")
    return Holder(
        actor=identity.actor,
        role=identity.role,
        permissions=allowed(identity.role, ()),
        scoped=False,
        problem="",
        limited=identity.role in OF_ONE_ACCOUNT,
        account=identity.account,
        of_platform=identity.tenant_id == PLATFORM_TENANT,
    )


async def _key_holder(tx: Transaction, api_key_id: str) -> Holder:
    row = await access_sql.find_api_key(tx, tenant_id=tx.tenant_id, id=api_key_id)
    if row is None:
        raise NotFound("API_KEY_NOT_FOUND", "There is no such API key.", {"api_key_id": api_key_id})
    return Holder(
        actor=row.id,
        role=row.role,
        permissions=allowed(row.role, row.scopes),
        scoped=bool(row.scopes),
        problem=key_problem(revoked_at=row.revoked_at, expires_at=row.expires_at, now=tx.now),
        limited=False,
        account="",
        of_platform=tx.tenant_id == PLATFORM_TENANT,
    )


def _caller(tx: Transaction) -> Holder:
    """Who asks: their credential was good a moment ago."""
    caller = tx.caller
    return Holder(
        actor=caller.actor,
        role=caller.role,
        permissions=caller.permissions,
        scoped=caller.permissions != PERMISSIONS[caller.role],
        problem="",
        limited=caller.role in OF_ONE_ACCOUNT,
        account="",
        of_platform=caller.role == "platform_admin",
    )


def _nobody(problem: str) -> Holder:
    return Holder("", "", frozenset(), False, problem, False, "", False)


def _message(check: Check) -> rpc.AccessCheck:
    return rpc.AccessCheck(name=check.name, passed=check.passed, detail=check.detail)
