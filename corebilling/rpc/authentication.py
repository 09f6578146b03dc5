"""Who calls: the API key or token in the metadata, verified against the database every few seconds."""

import hmac
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from billing_db import access as access_sql
from billing_db import tenant as tenant_sql

from corebilling.db.pool import Database
from corebilling.errors import FailedPrecondition, ResourceExhausted, Unauthenticated
from corebilling.rpc.call import Behaviour, Call, Credential
from corebilling.rpc.key_attempts import KeyAttempts
from corebilling.rpc.method import Method
from corebilling.rpc.remembering import Remembering
from corebilling.rpc.tokens import Tokens, is_token
from corebilling.values.api_key import api_key_id
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock

_BEARER = "bearer "
_NOTED_EVERY = timedelta(minutes=1)
_MAX_STRANGERS = 256
_RETRY_S = 1.0


class KeyHasher(Protocol):
    def hash_api_key(self, text: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Verified:
    credential: Credential
    tenant_status: str
    expires_at: datetime | None

    @property
    def active(self) -> bool:
        return self.tenant_status == "active"

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Authentication:
    """`allowed` says what a role, limited to scopes, may do; `limited` roles see one account alone.

    Only what is right is remembered, so that no wrong keys, however many, drive out the right ones.
    """

    def __init__(
        self,
        database: Database,
        hasher: KeyHasher,
        clock: Clock,
        tokens: Tokens,
        allowed: Callable[[str, Sequence[str]], frozenset[str]],
        limited: Collection[str],
        attempts: KeyAttempts | None,
        *,
        keep_s: float,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._clock = clock
        self._tokens = tokens
        self._allowed = allowed
        self._limited = limited
        self._attempts = attempts
        self._verified = Remembering(self._verify, clock, keep_s)
        self._strangers = 0

    def __call__(self, method: Method, following: Behaviour) -> Behaviour:
        async def answer(request: Any, call: Call) -> Any:
            call.credential = await self.authenticate(call)
            return await following(request, call)

        async def answer_with_many(request: Any, call: Call) -> Any:
            send = call.send

            async def send_while_valid(response: Any) -> None:
                # A key that was revoked meanwhile opens nothing more.
                await self.authenticate(call)
                await send(response)

            call.send = send_while_valid
            return await answer(request, call)

        async def answer_each(requests: AsyncIterator[Any], call: Call) -> Any:
            async def while_valid() -> AsyncIterator[Any]:
                async for request in requests:
                    await self.authenticate(call)
                    yield request

            return await answer(while_valid(), call)

        if method.client_streaming:
            return answer_each
        return answer_with_many if method.server_streaming else answer

    async def authenticate(self, call: Call) -> Credential:
        """The credential that a call's headers hold.

        Raises:
            Unauthenticated: CREDENTIAL_MISSING, CREDENTIAL_INVALID, TOKEN_INVALID.
            ResourceExhausted: KEY_ATTEMPTS_LIMITED, OVERLOADED.
            Unavailable: ISSUER_UNAVAILABLE.
            FailedPrecondition: TENANT_NOT_ACTIVE.
        """
        text = _text(call.headers.get)
        if not text:
            raise Unauthenticated(
                "CREDENTIAL_MISSING",
                "Send an API key or a token as `authorization: Bearer …`, or a key as `x-api-key`.",
            )
        verified = self._verified.known(text)
        if verified is None:
            verified = await self._find(text, call)
        if verified.expired(self._clock.now()):
            raise _invalid()
        if not verified.active:
            raise FailedPrecondition(
                "TENANT_NOT_ACTIVE",
                f"The tenant is {verified.tenant_status}.",
                {"tenant_id": verified.credential.tenant_id, "status": verified.tenant_status},
            )
        return verified.credential

    async def _find(self, text: str, call: Call) -> _Verified:
        """Bounds how many strangers wait, since calls have no place yet; whoever was known before may."""
        if text in self._verified:
            return await self._look_up(text, call)
        if self._strangers >= _MAX_STRANGERS:
            raise ResourceExhausted(
                "OVERLOADED",
                "Too many unknown credentials at once; back off and repeat with the same request id.",
                {"what": "credentials", "limit": str(_MAX_STRANGERS)},
                retry_after_s=_RETRY_S,
            )
        self._strangers += 1
        try:
            return await self._look_up(text, call)
        finally:
            self._strangers -= 1

    async def _look_up(self, text: str, call: Call) -> _Verified:
        return await (self._verified.find(text) if is_token(text) else self._find_key(text, call))

    async def _find_key(self, text: str, call: Call) -> _Verified:
        """What was a key a while ago is looked up whatever else fails: it is likely to be one still."""
        if api_key_id(text) is None:
            raise _invalid()
        if self._attempts is not None and text not in self._verified:
            self._attempts.check(call.context.peer())
        try:
            return await self._verified.find(text)
        except Unauthenticated:
            self._verified.forget(text)
            if self._attempts is not None:
                await self._attempts.count(call.context.peer())
            raise

    async def _verify(self, text: str) -> _Verified:
        return await (self._verify_token(text) if is_token(text) else self._verify_key(text))

    async def _verify_token(self, text: str) -> _Verified:
        identity = await self._tokens.verify(text)
        of_tenant = Caller(identity.tenant_id, identity.actor, role="", permissions=frozenset())
        async with self._database.transaction(of_tenant) as tx:
            tenant = await tenant_sql.find_tenant(tx, tenant_id=identity.tenant_id)
        if tenant is None:
            raise Unauthenticated(
                "TOKEN_INVALID", "The token's tenant does not exist.", {"problem": "claims"}
            )
        credential = Credential(
            identity.tenant_id,
            identity.actor,
            identity.role,
            self._allowed(identity.role, ()),
            identity.account if identity.role in self._limited else None,
        )
        return _Verified(credential, tenant.status, identity.expires_at)

    async def _verify_key(self, text: str) -> _Verified:
        key_id = api_key_id(text)
        assert key_id is not None, "checked before"
        async with self._database.connection() as connection:
            row = await access_sql.find_credential(connection, id=key_id)
        if row is None or row.revoked_at is not None:
            raise _invalid()
        if not hmac.compare_digest(row.secret_hash, self._hasher.hash_api_key(text)):
            raise _invalid()
        credential = Credential(
            row.tenant_id, key_id, row.role, self._allowed(row.role, row.scopes), scoped=bool(row.scopes)
        )
        verified = _Verified(credential, row.tenant_status, row.expires_at)
        # What is refused is no use of the key, and somebody who looks whether it is still used is not misled.
        if verified.active and not verified.expired(self._clock.now()):
            await self._note_use(row.tenant_id, key_id, row.last_used_at)
        return verified

    async def _note_use(self, tenant_id: str, key_id: str, last_used_at: datetime | None) -> None:
        now = self._clock.now()
        if last_used_at is not None and now - last_used_at < _NOTED_EVERY:
            return
        caller = Caller(tenant_id, actor=key_id, role="", permissions=frozenset())
        async with self._database.transaction(caller) as tx:
            await access_sql.mark_api_key_used(tx, tenant_id=tenant_id, id=key_id, used_at=now)


def _text(header: Callable[[str], str | bytes | None]) -> str:
    bearer = header("authorization")
    if isinstance(bearer, str) and bearer[: len(_BEARER)].lower() == _BEARER:
        return bearer[len(_BEARER) :].strip()
    key = header("x-api-key")
    return key if isinstance(key, str) else ""


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "CREDENTIAL_INVALID", "The API key is unknown, malformed, expired or revoked; create a new one."
    )
