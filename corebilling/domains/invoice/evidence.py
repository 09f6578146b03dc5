"""Evidence of invoices, from rows: what rating charged, by which price, of which total, in which parts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from billing.catalog.v1 import catalog_pb2, price_override_pb2
from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import bundle_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2
from billing.usage.v1 import usage_pb2
from billing_db import catalog as catalog_sql
from billing_db import credit as credit_sql
from billing_db import discount as discount_sql
from billing_db import invoice as invoice_sql
from billing_db import price_override as override_sql
from billing_db import rating as rating_sql
from billing_db import rerating as rerating_sql
from billing_db import tax as tax_sql
from billing_db import usage as usage_sql
from billing_db.models import Charge, Invoice, InvoiceLine

from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.rows import price_message
from corebilling.domains.invoice.bundle_reading import BUNDLE_VERSION
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.usage.totals import total_message
from corebilling.mapping import to_message

USED = ("usage", "adjustment")
"""Kinds of charges that come from a usage total."""
_PRORATION = frozenset(
    ("full_period", "span", "share", "span_before", "share_before", "proration_grain", "timezone")
)


async def charges_of(tx: Transaction, lines: Iterable[InvoiceLine]) -> dict[str, Charge]:
    """By their ids."""
    ids = [line.charge_id for line in lines if line.charge_id]
    rows = await rating_sql.list_charges_by_ids(tx, tenant_id=tx.tenant_id, ids=ids) if ids else []
    return {row.id: row for row in rows}


async def lines_of(tx: Transaction, lines: Sequence[InvoiceLine]) -> list[pb.LineEvidence]:
    """Of those lines that rating charged, in their order."""
    charges = await charges_of(tx, lines)
    if not charges:
        return []
    price_ids = sorted({charge.price_id for charge in charges.values()})
    prices = {
        row.id: price_message(row)
        for row in await rating_sql.list_rated_prices(tx, tenant_id=tx.tenant_id, ids=price_ids)
    }
    overrides = await _overrides(tx, charges.values())
    meters = await _meters(tx, prices.values())
    totals = await _totals(tx, charges.values())
    parts = await _parts(tx, list(charges))
    made = []
    for line in lines:
        charge = charges.get(line.charge_id or "")
        if charge is not None:
            made.append(
                pb.LineEvidence(
                    invoice_line_id=line.id,
                    charge=to_message(charge, rating_pb2.Charge),
                    price=prices[charge.price_id],
                    total=totals.get((charge.subscription_item_id, charge.period_start)),
                    parts=parts[charge.id],
                    price_override=overrides.get(charge.price_override_id or ""),
                    meter=meters.get(prices[charge.price_id].meter_id),
                )
            )
    return made


async def corrections_of(tx: Transaction, lines: Iterable[InvoiceLine]) -> list[pb.CorrectionEvidence]:
    """Of those lines that correct a price, in their order."""
    ids = [line.id for line in lines if "rerated_revision" in (line.evidence or {})]
    if not ids:
        return []
    found = {
        row.line_id: row
        for row in await rerating_sql.list_line_corrections(tx, tenant_id=tx.tenant_id, line_ids=ids)
    }
    price_ids = sorted({row.corrected_price_id for row in found.values()})
    prices = await rating_sql.list_rated_prices(tx, tenant_id=tx.tenant_id, ids=price_ids)
    price_of = {row.id: price_message(row) for row in prices}
    billed_ids = sorted({line_id for row in found.values() for line_id in row.billed_line_ids})
    billed = await rerating_sql.list_billed_lines(tx, tenant_id=tx.tenant_id, ids=billed_ids)
    return [
        pb.CorrectionEvidence(
            invoice_line_id=line_id,
            rerated=to_message(found[line_id], rating_pb2.ReratedCharge),
            price=price_of[found[line_id].corrected_price_id],
            basis=_prorated_by(found[line_id]),
            billed=[_billed(line) for line in billed if line.id in found[line_id].billed_line_ids],
        )
        for line_id in ids
    ]


def _prorated_by(row: rerating_sql.ListLineCorrectionsRow) -> rating_pb2.ChargeBasis:
    """What the share of a charge follows from; what was used by then is another question by now."""
    kept = {name: value for name, value in row.basis.items() if name in _PRORATION}
    return to_message(replace(row, basis=kept), rating_pb2.Charge).basis


def _billed(row: rerating_sql.ListBilledLinesRow) -> pb.BilledLine:
    return to_message(
        row,
        pb.BilledLine,
        invoice_number=row.number or "",
        invoice_state=to_message(row, invoice_pb2.Invoice).state,
        invoice_line_id=row.id,
    )


async def head_of(tx: Transaction, ledger: LedgerService, invoice: Invoice) -> pb.InvoiceBundle:
    """The invoice's bundle, without lines and their evidence."""
    payments = await invoice_sql.list_payments(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    notes = await invoice_sql.list_credit_notes_of_invoice(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    rates = await tax_sql.list_tax_rates_by_ids(
        tx, tenant_id=tx.tenant_id, ids=[tax["tax_rate_id"] for tax in invoice.taxes]
    )
    return pb.InvoiceBundle(
        bundle_version=BUNDLE_VERSION,
        invoice=to_message(invoice, invoice_pb2.Invoice),
        coupons=await coupons_of(tx, invoice),
        credits=await credits_of(tx, invoice),
        tax_rates=[to_message(row, tax_pb2.TaxRate) for row in rates],
        payments=[to_message(row, invoice_pb2.InvoicePayment) for row in payments],
        credit_notes=[to_message(row, invoice_pb2.CreditNote) for row in notes],
        journals=await ledger.journals_of(tx, customer_id=invoice.customer_id, source_id=invoice.id),
    )


async def coupons_of(tx: Transaction, invoice: Invoice) -> list[discount_pb2.Coupon]:
    ids = sorted({used["coupon_id"] for used in invoice.discounts})
    rows = await discount_sql.list_coupons_by_ids(tx, tenant_id=tx.tenant_id, ids=ids) if ids else []
    return [to_message(row, discount_pb2.Coupon) for row in rows]


async def credits_of(tx: Transaction, invoice: Invoice) -> list[credit_pb2.Credit]:
    ids = sorted({used["credit_id"] for used in invoice.credits})
    rows = await credit_sql.list_credits_by_ids(tx, tenant_id=tx.tenant_id, ids=ids) if ids else []
    return [to_message(row, credit_pb2.Credit) for row in rows]


async def _meters(tx: Transaction, prices: Iterable[catalog_pb2.Price]) -> dict[str, catalog_pb2.Meter]:
    ids = sorted({price.meter_id for price in prices if price.meter_id})
    rows = await catalog_sql.list_meters_by_ids(tx, tenant_id=tx.tenant_id, ids=ids) if ids else []
    return {row.id: to_message(row, catalog_pb2.Meter) for row in rows}


async def _overrides(
    tx: Transaction, charges: Iterable[Charge]
) -> dict[str, price_override_pb2.PriceOverride]:
    ids = sorted({charge.price_override_id for charge in charges if charge.price_override_id})
    rows = await override_sql.list_price_overrides_by_ids(tx, tenant_id=tx.tenant_id, ids=ids) if ids else []
    return {row.id: to_message(row, price_override_pb2.PriceOverride) for row in rows}


async def _totals(
    tx: Transaction, charges: Iterable[Charge]
) -> dict[tuple[str, object], usage_pb2.UsageTotal]:
    used = [charge for charge in charges if charge.kind in USED]
    rows = await usage_sql.list_usage_totals_of(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[charge.subscription_item_id for charge in used],
        period_starts=[charge.period_start for charge in used],
    )
    return {(row.subscription_item_id, row.period_start): total_message(row) for row in rows}


async def _parts(tx: Transaction, charge_ids: Sequence[str]) -> dict[str, list[pb.ChargePart]]:
    """By the charge that they are evidence of."""
    rows = await rating_sql.list_charge_parts(tx, tenant_id=tx.tenant_id, ids=charge_ids)
    held: dict[str, list[pb.PartLine]] = defaultdict(list)
    ids = sorted({row.charge_id for row in rows})
    for line in await invoice_sql.list_charge_lines(tx, tenant_id=tx.tenant_id, charge_ids=ids):
        held[line.charge_id].append(
            to_message(
                line,
                pb.PartLine,
                invoice_number=line.number or "",
                invoice_state=to_message(line, invoice_pb2.Invoice).state,
                invoice_line_id=line.id,
            )
        )
    parts: dict[str, list[pb.ChargePart]] = defaultdict(list)
    for row in rows:
        parts[row.part_of_id].append(to_message(row, pb.ChargePart, lines=held[row.charge_id]))
    return parts
