"""How servicers open transactions."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from billing_db import request_key as request_sql
from google.protobuf.message import Message

from corebilling.db.pool import Database
from corebilling.db.transaction import RequestKey, Transaction
from corebilling.errors import Aborted, FailedPrecondition, InvalidArgument
from corebilling.events import outbox
from corebilling.rpc.answer import serialized
from corebilling.rpc.call import Call, Context, current
from corebilling.values.caller import Caller, ip_address, trace_id
from corebilling.values.ids import new_id

__all__ = ["Context", "Door"]

_IN_FLIGHT_RETRY_S = 0.1
_MAX_USER_AGENT = 200

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Result = TypeVar("Result")


class Door:
    """Runs a use case for the current call's caller, in one transaction of the caller's tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, request: Request, use_case: Callable[[Transaction, Request], Awaitable[Result]]
    ) -> Result:
        """For what changes nothing."""
        async with self._database.transaction(_caller(current())) as tx:
            return await use_case(tx, request)

    async def ingest(
        self, request: Request, use_case: Callable[[Transaction, Request], Awaitable[Response]]
    ) -> Response:
        """For records that carry their own keys: nothing needs to be kept of the call.

        In a client stream, each message is a transaction of its own.
        """
        return await self.read(request, use_case)

    async def write(
        self, request: Request, use_case: Callable[[Transaction, Request], Awaitable[Response]]
    ) -> Response:
        """Runs the use case once per `request_id`: a repetition returns the first response.

        The ids of those limited to one account are that account's own: they neither meet the tenant's nor
        anybody else's.

        The audit entry, with the request's `reason` if it has one, the response and the events are written in
        the same transaction, all in one statement: a round trip is a tenth of a call.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED when the id came with other input before.
            FailedPrecondition: ANSWER_ERASED when the customer that the answer was about was erased since.
            Aborted: REQUEST_IN_FLIGHT while the same request is being worked on.
            ResourceExhausted: ANSWER_TOO_LARGE; nothing is done then.
        """
        call = current()
        caller = _caller(call)
        assert call.credential is not None, "authentication comes before any servicer"
        account = call.credential.account_digest
        request_hash = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        # Its policy demands the field.
        key = RequestKey(call.method.full_name, request.request_id, account)  # type: ignore[attr-defined]
        audit_id = new_id("aud")
        async with self._database.transaction(caller, audit_id=audit_id, request_key=key) as tx:
            if not tx.claimed:
                answered: Response | None = await _answered(tx, call, key, request_hash)
                if answered is not None:
                    return answered
            response = await use_case(tx, request)
            await request_sql.record_request(
                tx,
                tenant_id=caller.tenant_id,
                **key._asdict(),
                request_hash=request_hash,
                response=_kept(call, response),
                customer_id=_customer_id(request, response) if call.method.personal else None,
                created_at=tx.now,
                audit_id=audit_id,
                actor=caller.actor,
                correlation_id=tx.correlation_id,
                trace_id=trace_id(caller.traceparent),
                ip=ip_address(caller.peer),
                user_agent=caller.user_agent,
                reason=getattr(request, "reason", ""),
                **outbox.take(tx),
            )
        return response


async def _answered(tx: Transaction, call: Call, key: RequestKey, request_hash: bytes) -> Any:
    """The first response, or None when this became the first request; from then on its id is ours."""
    request_id = key.request_id
    opened = await request_sql.open_request(tx, tenant_id=tx.tenant_id, **key._asdict())
    if opened.request_hash is not None:
        if opened.response is None:
            raise FailedPrecondition(
                "ANSWER_ERASED",
                "This request was answered, but the customer that the answer was about was erased since. It "
                "is not done again; for something new use a new request id.",
                {"request_id": request_id},
            )
        if opened.request_hash != request_hash:
            raise InvalidArgument(
                "REQUEST_ID_REUSED",
                "This request id came with other input before; use a new one for a new request.",
                {"request_id": request_id},
            )
        return call.method.response_class.FromString(opened.response)
    if not opened.claimed:
        raise Aborted(
            "REQUEST_IN_FLIGHT",
            "The same request is being worked on; ask again with the same id.",
            {"request_id": request_id},
            retry_after_s=_IN_FLIGHT_RETRY_S,
        )
    return None


def _caller(call: Call) -> Caller:
    """Made here, not for each call: what is answered from memory needs none."""
    credential = call.credential
    assert credential is not None, "authentication comes before any servicer"
    return Caller(
        tenant_id=call.tenant_id,
        actor=credential.actor,
        role=credential.role,
        permissions=credential.permissions,
        account=credential.account,
        peer=call.context.peer(),
        user_agent=str(call.headers.get("user-agent", ""))[:_MAX_USER_AGENT],
        correlation_id=call.correlation_id,
        traceparent=call.traceparent,
    )


def _customer_id(request: Any, response: Any) -> str:
    """Whose personal data the response holds."""
    named: str = getattr(request, "customer_id", "")
    return named or str(response.customer.id)


def _kept(call: Call, response: Message) -> bytes:
    """The response without the fields that are shown once; refused here when too large, before it is done."""
    if call.method.secret_fields:
        kept = type(response)()
        kept.CopyFrom(response)
        for name in call.method.secret_fields:
            kept.ClearField(name)
        response = kept
    return serialized(response)
