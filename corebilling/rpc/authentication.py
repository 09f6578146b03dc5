"""Who calls: the API key or token in the metadata, verified against the database every few seconds."""

import asyncio
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
        self._strangers: set[asyncio.Task[_Verified]] = set()

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
            verified = await self._find(text, call.context.peer())
        if verified.expired(self._clock.now()):
            raise _invalid()
        if not verified.active:
            raise FailedPrecondition(
                "TENANT_NOT_ACTIVE",
                f"The tenant is {verified.tenant_status}.",
                {"tenant_id": verified.credential.tenant_id, "status": verified.tenant_status},
            )
        return verified.credential

    async def _find(self, text: str, peer: str) -> _Verified:
        """Looks up to the end, whether or not the caller waits: who hangs up is bounded and counted too.

        The call may be over before, and gRPC breaks down when it is asked then who called.
        """
        if not is_token(text) and api_key_id(text) is None:
            raise _invalid()
        stranger = text not in self._verified
        if stranger:
            self._check_stranger(text, peer)
        looking = asyncio.create_task(self._look_up(text, peer))
        if stranger:
            self._strangers.add(looking)
            looking.add_done_callback(self._strangers.discard)
        looking.add_done_callback(_heed)
        return await asyncio.shield(looking)

    def _check_stranger(self, text: str, peer: str) -> None:
        """Bounds how many wait, since calls have no place yet, and how many fail.

        What was known a while ago is looked up whatever else fails: it is likely to be right still.
        """
        if len(self._strangers) >= _MAX_STRANGERS:
            raise ResourceExhausted(
                "OVERLOADED",
                "Too many unknown credentials at once; back off and repeat with the same request id.",
                {"what": "credentials", "limit": str(_MAX_STRANGERS)},
                retry_after_s=_RETRY_S,
            )
        if self._attempts is not None and not is_token(text):
            self._attempts.check(peer)

    async def _look_up(self, text: str, peer: str) -> _Verified:
        try:
            return await self._verified.find(text)
        except Unauthenticated:
            if not is_token(text):
                self._verified.forget(text)
                if self._attempts is not None:
                    await self._attempts.count(peer)
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
    """'' when there is none. A proxy that checks another one than counts would take them for another tenant.

    Raises Unauthenticated (CREDENTIAL_INVALID) when there are several.
    """
    authorization, key = header("authorization"), header("x-api-key")
    if authorization is None and isinstance(key, str) and "," not in key:
        return key
    credentials: set[str] = set()
    if isinstance(authorization, str):
        said = (one.strip() for one in authorization.split(","))
        credentials.update(
            one[len(_BEARER) :].strip() for one in said if one[: len(_BEARER)].lower() == _BEARER
        )
    if isinstance(key, str):
        credentials.update(one.strip() for one in key.split(","))
    credentials.discard("")
    if len(credentials) > 1:
        raise Unauthenticated("CREDENTIAL_INVALID", "More than one credential came with the call; send one.")
    return credentials.pop() if credentials else ""


def _heed(looking: "asyncio.Task[_Verified]") -> None:
    """Nobody may be left to hear how it failed, and asyncio would complain of that."""
    if not looking.cancelled():
        looking.exception()


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "CREDENTIAL_INVALID", "The API key is unknown, malformed, expired or revoked; create a new one."
    )
