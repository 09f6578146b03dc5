"""Use cases of deferred revenue: put off, recognized, reversed, shown. Callers hold the customers' locks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing_db import ledger as ledger_sql
from billing_db.models import RevenueDeferral, RevenueRecognition

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.ledger.deferral import Deferral, Recognition, Spread
from corebilling.domains.ledger.model import AccountType, Source, transfer
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.mapping import timestamp, to_message
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import Period
from corebilling.values.proration import Grain

RECOGNITION = "recognition"
"""What falls due: the kind that the scheduler knows it by."""


@dataclass(frozen=True, slots=True)
class NewDeferral:
    """A line, the whole of its service, and what is put off."""

    line_id: str
    invoice_id: str
    customer_id: str
    currency: str
    service: Period
    deferral: Deferral


class DeferralService:
    """Keeps what is deferred, and posts what of it is earned."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger

    async def defer(self, tx: Transaction, new: Sequence[NewDeferral], tenant: TenantProfile) -> None:
        """Writes down what the invoices' own journals credit to deferred revenue."""
        if not new:
            return
        spread = new[0].deferral.spread
        await ledger_sql.insert_deferrals(
            tx,
            tenant_id=tx.tenant_id,
            grain=spread.grain,
            timezone=spread.timezone,
            created_at=tx.now,
            invoice_line_ids=[one.line_id for one in new],
            invoice_ids=[one.invoice_id for one in new],
            customer_ids=[one.customer_id for one in new],
            currencies=[one.currency for one in new],
            period_starts=[one.service.start for one in new],
            period_ends=[one.service.end for one in new],
            deferred_minor=[one.deferral.remaining_minor for one in new],
            recognized_until=[one.deferral.service.start for one in new],
        )
        await ledger_sql.upsert_dues(
            tx,
            tenant_id=tx.tenant_id,
            kind=RECOGNITION,
            sandbox=tenant.sandbox,
            source_ids=[one.line_id for one in new],
            customer_ids=[one.customer_id for one in new],
            due_at=[one.deferral.spread.next_end(one.deferral.service) for one in new],
        )

    async def recognize(self, tx: Transaction, line_ids: Sequence[str]) -> None:
        """Posts the next part of each, which is over, and says when the one after it will be."""
        rows = await ledger_sql.list_deferrals_by_line(tx, tenant_id=tx.tenant_id, invoice_line_ids=line_ids)
        earned = [(row, part) for row in rows if (part := _deferral(row).next) is not None]
        await self._ledger.post(
            tx,
            [
                Posting(
                    Source.REVENUE_RECOGNIZED,
                    f"{row.invoice_line_id}/{part.period.end:%Y%m%dT%H%M%S.%fZ}",
                    row.customer_id,
                    entries,
                    part.posted_at,
                )
                for row, part in earned
                if (entries := part.entries(row.currency))
            ],
        )
        await ledger_sql.insert_recognitions(
            tx,
            tenant_id=tx.tenant_id,
            invoice_line_ids=[row.invoice_line_id for row, _ in earned],
            period_starts=[part.period.start for _, part in earned],
            period_ends=[part.period.end for _, part in earned],
            amounts_minor=[part.amount_minor for _, part in earned],
        )
        for row, part in earned:
            row.recognized_minor += part.amount_minor
            row.remaining_minor -= part.amount_minor
            row.recognized_until = part.period.end
        await _write(tx, rows, (await tenant_profile(tx)).sandbox)

    async def give_back(self, tx: Transaction, invoice_id: str, revenue_minor: Mapping[str, int]) -> int:
        """Takes what is given back of lines' revenue, by line, from what is deferred.

        Returns how much that was; the caller posts it.
        """
        rows = await ledger_sql.list_deferrals_of_invoice(tx, tenant_id=tx.tenant_id, invoice_id=invoice_id)
        reversed_minor = 0
        for row in rows:
            part_minor = _deferral(row).reversible(revenue_minor.get(row.invoice_line_id, 0))
            row.reversed_minor += part_minor
            row.remaining_minor -= part_minor
            reversed_minor += part_minor
        if rows:
            await _write(tx, rows, (await tenant_profile(tx)).sandbox)
        return reversed_minor

    async def void(self, tx: Transaction, invoice_id: str, now: datetime) -> None:
        """Takes back what was recognized of an invoice whose own journal is reversed; nothing remains."""
        rows = await ledger_sql.list_deferrals_of_invoice(tx, tenant_id=tx.tenant_id, invoice_id=invoice_id)
        if not rows:
            return
        recognized_minor = sum(row.recognized_minor for row in rows)
        if recognized_minor:
            entries = transfer(
                recognized_minor,
                rows[0].currency,
                debit=AccountType.REVENUE,
                credit=AccountType.DEFERRED_REVENUE,
            )
            posting = Posting(Source.RECOGNITION_REVERSED, invoice_id, rows[0].customer_id, entries, now)
            await self._ledger.post(tx, [posting])
        for row in rows:
            row.recognized_minor = row.remaining_minor = 0
            row.reversed_minor = row.deferred_minor
        await _write(tx, rows, (await tenant_profile(tx)).sandbox)

    async def list_deferrals(
        self, tx: Transaction, request: rpc.ListDeferralsRequest
    ) -> rpc.ListDeferralsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await ledger_sql.list_deferrals(
            tx,
            tenant_id=tx.tenant_id,
            invoice_id=request.invoice_id,
            customer_id=request.customer_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.invoice_line_id)
        recognized: dict[str, list[RevenueRecognition]] = defaultdict(list)
        for part in await ledger_sql.list_recognitions(
            tx, tenant_id=tx.tenant_id, invoice_line_ids=[row.invoice_line_id for row in page]
        ):
            recognized[part.invoice_line_id].append(part)
        return rpc.ListDeferralsResponse(
            deferrals=(_message(row, recognized[row.invoice_line_id]) for row in page), next_page_token=token
        )


def _deferral(row: RevenueDeferral) -> Deferral:
    return Deferral(
        row.remaining_minor,
        Period(row.recognized_until, row.period_end),
        Spread(Grain(row.grain), row.timezone),
    )


async def _write(tx: Transaction, rows: Sequence[RevenueDeferral], sandbox: bool) -> None:
    """What became of deferrals, and when they fall due next."""
    await ledger_sql.mark_deferrals(
        tx,
        tenant_id=tx.tenant_id,
        invoice_line_ids=[row.invoice_line_id for row in rows],
        recognized_minor=[row.recognized_minor for row in rows],
        reversed_minor=[row.reversed_minor for row in rows],
        remaining_minor=[row.remaining_minor for row in rows],
        recognized_until=[row.recognized_until for row in rows],
    )
    ahead = [(row, part.period.end) for row in rows if (part := _deferral(row).next)]
    if ahead:
        await ledger_sql.upsert_dues(
            tx,
            tenant_id=tx.tenant_id,
            kind=RECOGNITION,
            sandbox=sandbox,
            source_ids=[row.invoice_line_id for row, _ in ahead],
            customer_ids=[row.customer_id for row, _ in ahead],
            due_at=[due_at for _, due_at in ahead],
        )
    done = [row.invoice_line_id for row in rows if not row.remaining_minor]
    if done:
        await ledger_sql.delete_dues(tx, tenant_id=tx.tenant_id, kind=RECOGNITION, source_ids=done)


def _message(row: RevenueDeferral, recognized: Sequence[RevenueRecognition]) -> pb.Deferral:
    parts = [to_message(part, pb.Recognition, posted=True) for part in recognized]
    planned = [_planned(part) for part in _deferral(row).schedule()]
    return to_message(row, pb.Deferral, recognitions=[*parts, *planned])


def _planned(part: Recognition) -> pb.Recognition:
    message = pb.Recognition(amount_minor=part.amount_minor)
    message.period.start.CopyFrom(timestamp(part.period.start))
    message.period.end.CopyFrom(timestamp(part.period.end))
    return message
