"""Use cases that answer for an invoice: where a line comes from, and all evidence in one document."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import bundle_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql
from billing_db import usage as usage_sql
from billing_db.models import Charge, Invoice, InvoiceLine

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import evidence, records
from corebilling.domains.invoice.amounts import InvoiceAmounts
from corebilling.domains.invoice.bundle_reading import counted_span
from corebilling.domains.invoice.recharging import recorrect
from corebilling.domains.invoice.recomputation import exact_line, reckon
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.usage.totals import total_message
from corebilling.errors import NotFound
from corebilling.mapping import decimal_text, instant, to_message
from corebilling.values.currency import EXPONENTS
from corebilling.values.money import exact_amount
from corebilling.values.page import (
    MAX_PAGE_BYTES,
    bad_page_token,
    count_fitting,
    decode_page_token,
    encode_page_token,
    next_page,
    ordinal_of,
    page_limit,
    time_of,
)

PREPAID = credit_pb2.CREDIT_KIND_PREPAID
_NO_KEY = str(UUID(int=0))
_LINES, _RECORDS = "lines", "records"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where records go on: after this one."""

    at: datetime
    key: str


class BundleService:
    """Explains lines, and exports invoices."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger

    async def explain_line(self, tx: Transaction, request: rpc.ExplainLineRequest) -> rpc.ExplainLineResponse:
        """Where the line comes from, with a page of its records.

        Raises:
            NotFound: INVOICE_LINE_NOT_FOUND.
        """
        line = await invoice_sql.find_invoice_line(tx, tenant_id=tx.tenant_id, id=request.invoice_line_id)
        if line is None:
            raise NotFound(
                "INVOICE_LINE_NOT_FOUND",
                "There is no such line of an invoice; GetInvoice shows those of one.",
                {"invoice_line_id": request.invoice_line_id},
            )
        invoice = await records.find(tx, line.invoice_id)
        known = await evidence.lines_of(tx, [line])
        corrections = await evidence.corrections_of(tx, [line])
        explanation = await _explanation(tx, invoice, line, known[0] if known else None)
        if corrections:
            explanation.MergeFrom(_correction(corrections[0]))
        at, key = decode_page_token(request.page_token, 2)
        page: Sequence[usage_sql.ListUsageRecordsRow] = []
        token = ""
        if known and known[0].HasField("total"):
            total = known[0].total
            span, limit = counted_span(total), page_limit(request.page_size)
            place = _Place(time_of(at), _key(key)) if at else _Place(span.start, _NO_KEY)
            page, token = await _records(tx, total.subscription_item_id, place, span.end, limit)
        return rpc.ExplainLineResponse(
            explanation=explanation,
            records=[_record(row) for row in page if _is_billed(row, known[0])],
            next_page_token=token,
        )

    async def export_invoice(
        self, tx: Transaction, request: rpc.ExportInvoiceRequest
    ) -> rpc.ExportInvoiceResponse:
        """A part of the invoice's bundle: its head with lines, then lines, then records.

        Raises:
            NotFound: INVOICE_NOT_FOUND.
        """
        invoice = await records.find(tx, request.invoice_id)
        stage, place, at, key = decode_page_token(request.page_token, 4)
        limit = page_limit(request.page_size)
        if stage == _RECORDS:
            return await self._export_records(tx, invoice, ordinal_of(place), at, key, limit)
        if stage not in ("", _LINES):
            raise bad_page_token()
        if stage:
            part = pb.InvoiceBundle(invoice=invoice_pb2.Invoice(id=invoice.id, version=invoice.version))
        else:
            part = await evidence.head_of(tx, self._ledger, invoice)
            part.with_records = request.with_records
        after = ordinal_of(place)
        rows = await invoice_sql.list_invoice_lines_after(
            tx, tenant_id=tx.tenant_id, invoice_id=invoice.id, after=after, limit_rows=limit + 1
        )
        count = await _add_lines(tx, part, rows[:limit])
        if count < len(rows):
            token = encode_page_token(_LINES, str(rows[count - 1].position), "", "")
        else:
            token = encode_page_token(_RECORDS, "0", "", "") if request.with_records else ""
        return rpc.ExportInvoiceResponse(part=part, next_page_token=token)

    async def _export_records(
        self, tx: Transaction, invoice: Invoice, ordinal: int, at: str, key: str, limit: int
    ) -> rpc.ExportInvoiceResponse:
        """Total after total, in the order of their lines."""
        part = pb.InvoiceBundle(invoice=invoice_pb2.Invoice(id=invoice.id, version=invoice.version))
        totals = await _rated_totals(tx, invoice)
        if ordinal >= len(totals):
            return rpc.ExportInvoiceResponse(part=part)
        item_id, start, end = totals[ordinal]
        place = _Place(time_of(at), _key(key)) if at else _Place(start, _NO_KEY)
        page, rest = await _records(tx, item_id, place, end, limit)
        part.records.extend(_record(row) for row in page)
        if rest:
            token = encode_page_token(_RECORDS, str(ordinal), *decode_page_token(rest, 2))
        else:
            token = encode_page_token(_RECORDS, str(ordinal + 1), "", "") if ordinal + 1 < len(totals) else ""
        return rpc.ExportInvoiceResponse(part=part, next_page_token=token)


async def _explanation(
    tx: Transaction, invoice: Invoice, line: InvoiceLine, known: pb.LineEvidence | None
) -> pb.LineExplanation:
    whole = await records.message(tx, invoice)
    amounts = reckon(whole, await evidence.coupons_of(tx, invoice), await evidence.credits_of(tx, invoice))
    message = to_message(line, invoice_pb2.InvoiceLine)
    rounded, added = exact_line(message, known.charge if known else None, invoice.currency)
    exact = (rounded - added) / 10 ** EXPONENTS[invoice.currency]
    place = str(line.position - 1)
    (result,) = (result for result in amounts.lines if result.line.id == place)
    return pb.LineExplanation(
        invoice_id=invoice.id,
        invoice_number=invoice.number or "",
        invoice_state=whole.state,
        currency=invoice.currency,
        line=message,
        evidence=known,
        exact_amount=decimal_text(exact_amount(exact)),
        rounding_minor=decimal_text(exact_amount(added)),
        discounts=_discounts(whole, amounts, place),
        credits=[used for used in whole.credits if result.credit_minor and used.kind != PREPAID],
        taxable_minor=result.taxable_minor,
        taxes=_taxes(message, amounts, place),
        tax_behavior=whole.tax_behavior,
        terms=whole.terms,
    )


def _correction(told: pb.CorrectionEvidence) -> pb.LineExplanation:
    """What explains a line that corrects a price."""
    made, _ = recorrect(told)
    return pb.LineExplanation(
        correction=told,
        corrected_amount=decimal_text(made.amount),
        corrected_tiers=made.tiers,
        corrected_steps=made.steps,
    )


def _discounts(invoice: invoice_pb2.Invoice, amounts: InvoiceAmounts, place: str) -> list[pb.LineDiscount]:
    kept = {used.discount_id: used for used in invoice.discounts}
    return [
        pb.LineDiscount(
            discount_id=step.discount.id,
            coupon_id=kept[step.discount.id].coupon_id,
            name=kept[step.discount.id].name,
            kind=kept[step.discount.id].kind,
            percent=kept[step.discount.id].percent,
            invoice_minor=step.amount_minor,
            amount_minor=step.by_line[place],
        )
        for step in amounts.discounts
        if place in step.by_line
    ]


def _taxes(line: invoice_pb2.InvoiceLine, amounts: InvoiceAmounts, place: str) -> list[pb.LineTax]:
    names = {tax.tax_rate_id: tax.name for tax in line.taxes}
    return [
        pb.LineTax(
            tax_rate_id=row.rate.id,
            name=names[row.rate.id],
            percent=decimal_text(row.rate.percent),
            compound=row.rate.compound,
            taxable_minor=decimal_text(exact_amount(row.taxable)),
            exact_minor=decimal_text(exact_amount(row.tax)),
            tax_minor=row.tax_minor,
        )
        for row in amounts.taxes.rows
        if row.line_id == place
    ]


async def _add_lines(tx: Transaction, part: pb.InvoiceBundle, rows: Sequence[InvoiceLine]) -> int:
    """Adds lines with their evidence, as many as a message holds; how many."""
    known = {one.invoice_line_id: one for one in await evidence.lines_of(tx, rows)}
    corrections = {one.invoice_line_id: one for one in await evidence.corrections_of(tx, rows)}
    lines = [to_message(row, invoice_pb2.InvoiceLine) for row in rows]
    sizes = (
        line.ByteSize() + sum(one[line.id].ByteSize() for one in (known, corrections) if line.id in one)
        for line in lines
    )
    count = count_fitting(sizes, MAX_PAGE_BYTES - part.ByteSize())
    part.invoice.lines.extend(lines[:count])
    part.evidence.extend(known[line.id] for line in lines[:count] if line.id in known)
    part.corrections.extend(corrections[line.id] for line in lines[:count] if line.id in corrections)
    return count


async def _rated_totals(tx: Transaction, invoice: Invoice) -> list[tuple[str, datetime, datetime]]:
    """The totals that the invoice's lines come from, each once: item, and when they begin and end."""
    lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    charges: dict[str, Charge] = await evidence.charges_of(tx, lines)
    ordered = (charges[line.charge_id] for line in lines if line.charge_id in charges)
    keys = list(
        dict.fromkeys(
            (charge.subscription_item_id, charge.period_start)
            for charge in ordered
            if charge.kind in evidence.USED
        )
    )
    rows = await usage_sql.list_usage_totals_of(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[item_id for item_id, _ in keys],
        period_starts=[start for _, start in keys],
    )
    ends = {
        (row.subscription_item_id, row.period_start): counted_span(total_message(row)).end for row in rows
    }
    return [(item_id, start, ends[item_id, start]) for item_id, start in keys if (item_id, start) in ends]


async def _records(
    tx: Transaction, item_id: str, place: _Place, end: datetime, limit: int
) -> tuple[Sequence[usage_sql.ListUsageRecordsRow], str]:
    rows = await usage_sql.list_usage_records(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_id=item_id,
        after_at=place.at,
        after_key=place.key,
        period_end=end,
        limit_rows=limit + 1,
    )
    return next_page(rows, limit, key=lambda row: (row.recorded_at.isoformat(), str(row.key)))


def _is_billed(row: usage_sql.ListUsageRecordsRow, known: pb.LineEvidence) -> bool:
    """Whether the record came between the part before the line's own, and that one."""
    earlier = [
        instant(part.rated_at)
        for part in known.parts
        if instant(part.rated_at) < instant(known.charge.created_at)
    ]
    return (
        max(earlier, default=datetime.min.replace(tzinfo=UTC))
        < row.received_at
        <= instant(known.charge.created_at)
    )


def _record(row: usage_sql.ListUsageRecordsRow) -> pb.RatedRecord:
    return to_message(row, pb.RatedRecord, key=str(row.key), properties=row.properties or {})


def _key(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise bad_page_token() from None
