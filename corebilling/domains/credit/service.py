"""Use cases of customers' credits; invoices use them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.credit.v1 import credit_events_pb2 as events
from billing.credit.v1 import credit_pb2 as pb
from billing.credit.v1 import credit_service_pb2 as rpc
from billing.event.v1 import event_pb2 as eventv1
from billing_db import credit as credit_sql
from billing_db import ledger as ledger_sql
from billing_db.models import Credit as CreditRow
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.credit.model import check_validity, decide_void
from corebilling.domains.customer.rows import find_customer, find_present_customer
from corebilling.domains.ledger.model import AccountType, Entry, Source, expiry, transfer
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.errors import FailedPrecondition, NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_number, enum_text, instant, to_message
from corebilling.values.credit import Credit, CreditKind, CreditUse, usable_credits
from corebilling.values.currency import check_currency
from corebilling.values.ids import new_id
from corebilling.values.integer import MAX_BIGINT
from corebilling.values.page import decode_page_token, next_page, page_limit

EXPIRY = "credit_expiry"
"""What falls due: the kind that the scheduler knows it by."""


@dataclass(frozen=True, slots=True)
class NewCredit:
    customer_id: str
    kind: CreditKind
    currency: str
    amount_minor: int
    valid_from: datetime
    valid_until: datetime | None = None
    priority: int = 0
    description: str = ""


async def grant(tx: Transaction, new: NewCredit, cause: eventv1.Event | None = None) -> CreditRow:
    """Writes and announces a credit; the caller holds the customer's lock, and posts what it came from."""
    credit = await credit_sql.insert_credit(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("crd"),
        customer_id=new.customer_id,
        kind=new.kind,
        currency=new.currency,
        amount_minor=new.amount_minor,
        valid_from=new.valid_from,
        valid_until=new.valid_until,
        priority=new.priority,
        description=new.description,
        created_at=tx.now,
    )
    granted = events.CreditGranted(
        credit_id=credit.id,
        customer_id=credit.customer_id,
        kind=enum_number(pb.CreditKind, credit.kind),  # type: ignore[arg-type]
        currency=credit.currency,
        amount_minor=credit.amount_minor,
    )
    announce(tx, credit, granted, cause)
    if credit.valid_until is not None:
        await ledger_sql.upsert_dues(
            tx,
            tenant_id=tx.tenant_id,
            kind=EXPIRY,
            sandbox=(await tenant_profile(tx)).sandbox,
            source_ids=[credit.id],
            customer_ids=[credit.customer_id],
            due_at=[credit.valid_until],
        )
    return credit


async def give_back(
    tx: Transaction,
    ledger: LedgerService,
    amounts: Mapping[str, int],
    *,
    invoice_id: str,
    occasion_id: str,
    now: datetime,
) -> None:
    """Returns what an invoice used of credits, by the credit's id; the caller holds the customer's lock.

    Of a credit that was voided or has expired meanwhile, it is void or expires as well.

    Args:
        occasion_id: Of what it is given back for: the books have it once for each.
    """
    rows = await credit_sql.list_credits_by_ids(tx, tenant_id=tx.tenant_id, ids=list(amounts))
    gone = []
    for row in rows:
        amount_minor, source_id = amounts[row.id], f"{row.id}/{occasion_id}"
        row.version += 1
        if row.voided_at is not None:
            gone.append(_posting(row, Source.CREDIT_VOIDED, source_id, -amount_minor, now))
            announce(tx, row, _voided(row, amount_minor))
        elif row.expired_at is not None:
            entries = _expiry(row, amount_minor)
            gone.append(Posting(Source.CREDIT_EXPIRED, source_id, row.customer_id, entries, now))
            announce(tx, row, _expired(row, amount_minor))
        else:
            row.remaining_minor += amount_minor
            announce(tx, row, _reversed(row, invoice_id, amount_minor))
    if rows:
        await write(tx, rows)
    await ledger.post(tx, gone)


async def find_prepaid(tx: Transaction, customer_id: str, currency: str, now: datetime) -> list[Credit]:
    """What of a customer's prepaid credits can be used now, the next to be used first."""
    rows = await credit_sql.list_remaining_credits(tx, tenant_id=tx.tenant_id, customer_ids=[customer_id])
    usable = usable_credits([remaining(row) for row in rows], currency, now)
    return [credit for credit in usable if credit.kind is CreditKind.PREPAID]


async def use(tx: Transaction, uses: Sequence[CreditUse], invoice_id: str) -> None:
    """Takes what an invoice uses off credits, and announces it; the caller holds the customer's lock."""
    used = {one.credit.id: one.amount_minor for one in uses}
    rows = await credit_sql.list_credits_by_ids(tx, tenant_id=tx.tenant_id, ids=list(used))
    for row in rows:
        announce(tx, row, take(row, used[row.id], invoice_id))
    await write(tx, rows)


def take(row: CreditRow, amount_minor: int, invoice_id: str) -> events.CreditApplied:
    """Takes what an invoice uses off a credit's row; what is to be announced of that."""
    row.remaining_minor -= amount_minor
    row.version += 1
    return events.CreditApplied(
        credit_id=row.id,
        customer_id=row.customer_id,
        invoice_id=invoice_id,
        currency=row.currency,
        amount_minor=amount_minor,
        remaining_minor=row.remaining_minor,
    )


async def write(tx: Transaction, rows: Sequence[CreditRow]) -> None:
    """What is left of credits."""
    await credit_sql.mark_credits(
        tx,
        tenant_id=tx.tenant_id,
        ids=[row.id for row in rows],
        remaining_minor=[row.remaining_minor for row in rows],
        versions=[row.version for row in rows],
    )


def announce(
    tx: Transaction, credit: CreditRow, payload: Message, cause: eventv1.Event | None = None
) -> None:
    outbox.append(
        tx,
        payload,
        resource_id=credit.id,
        resource_version=credit.version,
        ordering_key=credit.customer_id,
        cause=cause,
    )


def remaining(row: CreditRow) -> Credit:
    """What a row says may still be used."""
    return Credit(
        id=row.id,
        kind=CreditKind(row.kind),
        currency=row.currency,
        remaining_minor=row.remaining_minor,
        valid_from=row.valid_from,
        created_at=row.created_at,
        valid_until=row.valid_until,
        priority=row.priority,
    )


class CreditService:
    """Grants, shows and voids credits, and keeps the ledger in step."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger

    async def expire(self, tx: Transaction, credit_ids: Sequence[str]) -> None:
        """Posts what is left of credits that are no longer valid; the caller holds the customers' locks."""
        tenant = await tenant_profile(tx)
        rows = await credit_sql.list_credits_by_ids(tx, tenant_id=tx.tenant_id, ids=credit_ids)
        left = [row for row in rows if row.remaining_minor]
        await self._ledger.post(
            tx, [_expired_posting(row, row.id, row.remaining_minor, tenant) for row in left]
        )
        for row in left:
            row.version += 1
            announce(tx, row, _expired(row, row.remaining_minor))
        await credit_sql.mark_credits_expired(
            tx, tenant_id=tx.tenant_id, ids=credit_ids, expired_at=tenant.now
        )
        await ledger_sql.delete_dues(tx, tenant_id=tx.tenant_id, kind=EXPIRY, source_ids=credit_ids)

    async def grant_credit(self, tx: Transaction, request: rpc.GrantCreditRequest) -> rpc.GrantCreditResponse:
        await tx.lock(request.customer_id)
        customer = await find_present_customer(tx, request.customer_id)
        now = (await tenant_profile(tx)).now
        new = NewCredit(
            customer_id=customer.id,
            kind=CreditKind(enum_text(pb.CreditKind, request.kind)),
            currency=check_currency(request.currency or customer.currency),
            amount_minor=request.amount_minor,
            valid_from=instant(request.valid_from) if request.HasField("valid_from") else now,
            valid_until=instant(request.valid_until) if request.HasField("valid_until") else None,
            priority=request.priority,
            description=request.description,
        )
        check_validity(new.valid_from, new.valid_until)
        credit = await grant(tx, new)
        granted = _posting(credit, Source.CREDIT_GRANTED, credit.id, credit.amount_minor, now)
        await self._ledger.post(tx, [granted])
        return rpc.GrantCreditResponse(credit=to_message(credit, pb.Credit))

    async def get_credit(self, tx: Transaction, request: rpc.GetCreditRequest) -> rpc.GetCreditResponse:
        return rpc.GetCreditResponse(credit=to_message(await _find(tx, request.credit_id), pb.Credit))

    async def list_credits(self, tx: Transaction, request: rpc.ListCreditsRequest) -> rpc.ListCreditsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await credit_sql.list_credits(
            tx, tenant_id=tx.tenant_id, customer_id=request.customer_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListCreditsResponse(
            credits=(to_message(row, pb.Credit) for row in page), next_page_token=token
        )

    async def void_credit(self, tx: Transaction, request: rpc.VoidCreditRequest) -> rpc.VoidCreditResponse:
        await tx.lock((await _find(tx, request.credit_id)).customer_id)
        credit = await _find(tx, request.credit_id)
        amount_minor = decide_void(credit.id, credit.remaining_minor)
        now = (await tenant_profile(tx)).now
        voided = await credit_sql.mark_credit_voided(
            tx, tenant_id=tx.tenant_id, id=credit.id, version=credit.version, voided_at=now
        )
        assert voided is not None, "the customer's lock keeps the version"
        await self._ledger.post(tx, [_posting(voided, Source.CREDIT_VOIDED, voided.id, -amount_minor, now)])
        announce(tx, voided, _voided(voided, amount_minor))
        return rpc.VoidCreditResponse(credit=to_message(voided, pb.Credit))

    async def get_credit_balance(
        self, tx: Transaction, request: rpc.GetCreditBalanceRequest
    ) -> rpc.GetCreditBalanceResponse:
        """What the customer could use now, by currency.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND.
            FailedPrecondition: BALANCE_OUT_OF_RANGE when the message cannot hold a sum.
        """
        customer = await find_customer(tx, request.customer_id)
        rows = await credit_sql.list_remaining_credits(tx, tenant_id=tx.tenant_id, customer_ids=[customer.id])
        held = [remaining(row) for row in rows]
        now = (await tenant_profile(tx)).now
        currencies = sorted({credit.currency for credit in held})
        return rpc.GetCreditBalanceResponse(
            balances=(
                _balance(customer.id, currency, usable_credits(held, currency, now))
                for currency in currencies
            )
        )


def _posting(credit: CreditRow, source: Source, source_id: str, amount_minor: int, now: datetime) -> Posting:
    prepaid = credit.kind == CreditKind.PREPAID
    entries = transfer(
        amount_minor,
        credit.currency,
        debit=AccountType.CASH if prepaid else AccountType.EXPENSE,
        credit=AccountType.CUSTOMER_CREDIT,
    )
    return Posting(source, source_id, credit.customer_id, entries, now)


def _expiry(credit: CreditRow, amount_minor: int) -> tuple[Entry, Entry]:
    return expiry(amount_minor, credit.currency, prepaid=credit.kind == CreditKind.PREPAID)


def _expired_posting(credit: CreditRow, source_id: str, amount_minor: int, tenant: TenantProfile) -> Posting:
    """At its end, though the scheduler comes a little later; never before it was granted."""
    assert credit.valid_until is not None, "only what has an end expires"
    at = tenant.now if tenant.sandbox else max(credit.valid_until, credit.created_at)
    entries = _expiry(credit, amount_minor)
    return Posting(Source.CREDIT_EXPIRED, source_id, credit.customer_id, entries, at)


def _reversed(credit: CreditRow, invoice_id: str, amount_minor: int) -> events.CreditReversed:
    return events.CreditReversed(
        credit_id=credit.id,
        customer_id=credit.customer_id,
        invoice_id=invoice_id,
        currency=credit.currency,
        amount_minor=amount_minor,
        remaining_minor=credit.remaining_minor,
    )


def _voided(credit: CreditRow, amount_minor: int) -> events.CreditVoided:
    return events.CreditVoided(
        credit_id=credit.id,
        customer_id=credit.customer_id,
        currency=credit.currency,
        amount_minor=amount_minor,
    )


def _expired(credit: CreditRow, amount_minor: int) -> events.CreditExpired:
    return events.CreditExpired(
        credit_id=credit.id,
        customer_id=credit.customer_id,
        currency=credit.currency,
        amount_minor=amount_minor,
    )


async def _find(tx: Transaction, credit_id: str) -> CreditRow:
    credit = await credit_sql.find_credit(tx, tenant_id=tx.tenant_id, id=credit_id)
    if credit is None:
        raise NotFound("CREDIT_NOT_FOUND", "There is no such credit.", {"credit_id": credit_id})
    return credit


def _balance(customer_id: str, currency: str, usable: Sequence[Credit]) -> pb.CreditBalance:
    prepaid_minor = sum(credit.remaining_minor for credit in usable if credit.kind is CreditKind.PREPAID)
    other_minor = sum(credit.remaining_minor for credit in usable) - prepaid_minor
    if max(prepaid_minor, other_minor) > MAX_BIGINT:
        raise FailedPrecondition(
            "BALANCE_OUT_OF_RANGE",
            "The customer's credits are larger than a message can hold; the error's metadata has the sums.",
            {
                "customer_id": customer_id,
                "currency": currency,
                "prepaid_minor": str(prepaid_minor),
                "other_minor": str(other_minor),
            },
        )
    return pb.CreditBalance(currency=currency, prepaid_minor=prepaid_minor, other_minor=other_minor)
