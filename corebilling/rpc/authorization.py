"""What the caller may do, and for which tenant."""

from collections.abc import AsyncIterator
from typing import Any

from billing_db import tenant as tenant_sql

from corebilling.db.pool import Database
from corebilling.errors import InvalidArgument, NotFound, PermissionDenied
from corebilling.rpc.call import Behaviour, Call, Credential
from corebilling.rpc.method import Method
from corebilling.rpc.remembering import Remembering
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock
from corebilling.values.ids import PLATFORM_TENANT, TENANT_ID

_MAX_ID = 64


class Authorization:
    """Settles the tenant of every request.

    A request without `tenant_id` gets the credential's: whatever comes after sees it filled in.
    """

    def __init__(self, database: Database, clock: Clock, *, keep_s: float) -> None:
        self._database = database
        self._existing = Remembering(self._exists, clock, keep_s)

    def __call__(self, method: Method, following: Behaviour) -> Behaviour:
        async def answer(request: Any, call: Call) -> Any:
            await self._settle(method, request, call)
            return await following(request, call)

        async def answer_stream(requests: AsyncIterator[Any], call: Call) -> Any:
            async def settled() -> AsyncIterator[Any]:
                async for request in requests:
                    await self._settle(method, request, call)
                    yield request

            return await following(settled(), call)

        return answer_stream if method.client_streaming else answer

    async def _settle(self, method: Method, request: Any, call: Call) -> None:
        tenant_id = PLATFORM_TENANT
        if method.tenant_scoped:
            assert call.credential is not None, "authentication comes first"
            tenant_id = await self._tenant(request.tenant_id, call.credential)
            request.tenant_id = tenant_id
        call.tenant_id = tenant_id

    async def _tenant(self, asked: str, credential: Credential) -> str:
        if credential.tenant_id != PLATFORM_TENANT:
            if asked and asked != credential.tenant_id:
                raise PermissionDenied(
                    "TENANT_MISMATCH",
                    "The credential belongs to another tenant; use a key of the tenant you name.",
                    {"tenant_id": credential.tenant_id},
                )
            return credential.tenant_id
        if not asked:
            raise InvalidArgument("TENANT_REQUIRED", "A platform key names the tenant in `tenant_id`.")
        # Checked here already, since the id becomes part of a statement.
        if TENANT_ID.fullmatch(asked) is None or not await self._existing.find(asked):
            raise NotFound("TENANT_NOT_FOUND", "There is no such tenant.", {"tenant_id": asked[:_MAX_ID]})
        return asked

    async def _exists(self, tenant_id: str) -> bool:
        platform = Caller(PLATFORM_TENANT, actor="rpc", role="", permissions=frozenset())
        async with self._database.transaction(platform) as tx:
            return await tenant_sql.find_tenant(tx, tenant_id=tenant_id) is not None


def permission(method: Method, following: Behaviour) -> Behaviour:
    """Requires the method's permission: before anything of the request is looked at."""

    async def answer(request: Any, call: Call) -> Any:
        _check_permission(method, call)
        return await following(request, call)

    return answer


def _check_permission(method: Method, call: Call) -> None:
    credential = call.credential
    assert credential is not None, "authentication comes first"
    # What belongs to no tenant belongs to the platform, whatever a tenant's role is called.
    of_others = not (method.tenant_scoped or credential.tenant_id == PLATFORM_TENANT)
    if method.permission not in credential.permissions or of_others:
        role = f"The role {credential.role}"
        lacking = f"{role}, or the key's scopes, lack" if credential.scoped else f"{role} lacks"
        raise PermissionDenied(
            "PERMISSION_MISSING",
            f"{lacking} the permission {method.permission} for this call; use a credential that has it.",
            {"permission": method.permission},
        )
    if credential.account is not None and method.account is None:
        raise PermissionDenied(
            "METHOD_NOT_YOURS",
            f"The method is for the tenant's staff and services, not for the role {credential.role}; ask "
            "them, or use a key of theirs.",
            {"role": credential.role},
        )
