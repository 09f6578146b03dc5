"""Bundles of any invoices: charged, worked out and drafted by the product's own rules, without a database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from billing.catalog.v1 import catalog_pb2
from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import bundle_pb2, invoice_pb2
from billing.ledger.v1 import ledger_pb2
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2
from billing_db import models
from billing_db.discount import ListDiscountsInForceRow
from billing_db.tax import ListTaxedCustomersRow
from hypothesis import assume
from hypothesis import strategies as st

from corebilling.domains.invoice import draft
from corebilling.domains.invoice.reckoning import Reckoning
from corebilling.domains.ledger.model import sale
from corebilling.domains.rating import charge_rows
from corebilling.domains.rating.charging import decide_charges
from corebilling.domains.rating.model import ChargeKind, LateUsage, PricedItem
from corebilling.domains.tax.model import JurisdictionRate
from corebilling.mapping import decimal_text, timestamp, to_message
from corebilling.values.credit import CreditApplication, CreditKind
from corebilling.values.discount import DiscountKind
from corebilling.values.money import MAX_MINOR, exact_amount
from corebilling.values.period import Period
from corebilling.values.price import Price, PriceModel, Tier
from corebilling.values.proration import Grain, Proration
from corebilling.values.tax import TaxBehavior, TaxRounding
from tests.models.test_price import prices

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)
NOW = datetime(2026, 4, 1, 1, tzinfo=UTC)
TX: Any = SimpleNamespace(tenant_id="ten_1", now=NOW)

MODELS = (
    PriceModel.FLAT,
    PriceModel.PER_UNIT,
    PriceModel.GRADUATED,
    PriceModel.VOLUME,
    PriceModel.PACKAGE,
)
"""Those that look at quantities alone."""

quantities = st.decimals(0, 10**6, places=6)
moments = st.integers(0, 31 * 86_400).map(lambda second: MARCH.start + timedelta(seconds=second))


@st.composite
def bundles(draw: st.DrawFn) -> bundle_pb2.InvoiceBundle:
    """A finalized invoice with fees, usage and adjustments, discounts, credits and taxes."""
    currency = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    items = draw(st.lists(_items(currency), min_size=1, max_size=3))
    items = [replace(item, id=f"sit_{n}", price=_named(item.price, n)) for n, item in enumerate(items)]
    rows = _charge_rows(draw, items)
    lines = draft.charge_lines("sub_1", rows, {"pri_0": draw(st.sampled_from(["", "books"]))})
    assume(sum(abs(line.amount_minor) for line in lines) < MAX_MINOR)
    reckoning = draw(_reckonings(currency))
    occasion = draft.Occasion("cus_1", currency, MARCH.start, MARCH.end, "sub_1", "cyc_1")
    made = draft.new_draft(TX, reckoning, occasion, lines)
    invoice = _invoice(made)
    return bundle_pb2.InvoiceBundle(
        bundle_version=1,
        invoice=invoice,
        evidence=[
            _evidence(line.id, row, next(item.price for item in items if item.id == row.subscription_item_id))
            for line, row in zip(invoice.lines, rows, strict=True)
        ],
        coupons=[_coupon(row) for row in reckoning.discounts["cus_1"]],
        credits=_credits(invoice, reckoning),
        tax_rates=[
            tax_pb2.TaxRate(
                id=rate.id, percent=decimal_text(rate.percent), compound=rate.compound, category=rate.category
            )
            for rate in reckoning.rates.get("DE", ())
        ],
        journals=_journals(invoice),
    )


@st.composite
def _items(draw: st.DrawFn, currency: str) -> PricedItem:
    metered = draw(st.booleans())
    price = replace(draw(prices(MODELS)), currency=currency, metered=metered, discount_percent=Decimal(0))
    if not metered:
        price = replace(price, minimum_amount=None, maximum_amount=None)
    start, end = sorted([draw(moments), draw(moments)])
    billed = Period(draw(st.just(MARCH.start) | st.just(start)), draw(st.just(MARCH.end) | st.just(end)))
    served = billed if metered else Period(FEBRUARY.start, MARCH.end)
    return PricedItem("", price, None if metered else draw(quantities), served, billed)


def _named(price: Price, number: int) -> Price:
    return replace(price, id=f"pri_{number}")


def _charge_rows(draw: st.DrawFn, items: Sequence[PricedItem]) -> list[models.Charge]:
    """Of a period that is whole, or the rest of one whose first part was invoiced."""
    period = Period(draw(st.just(MARCH.start) | moments), MARCH.end)
    assume(period.start < period.end)
    terms = Proration(draw(st.sampled_from(Grain)), draw(st.sampled_from(["UTC", "Europe/Berlin"])))
    metered = [item for item in items if item.price.metered]
    usage = {item.id: draw(quantities) for item in metered}
    late = [
        LateUsage(item.id, FEBRUARY, draw(quantities), draw(quantities), FEBRUARY)
        for item in metered
        if draw(st.booleans())
    ]
    charges = decide_charges(period, MARCH, items, usage, late, terms)
    assume(charges)
    before = {one.item_id: one.billed_quantity for one in late}
    rows = []
    for charge in charges:
        total: Any = SimpleNamespace(
            billed_quantity=before[charge.item_id] if charge.kind is ChargeKind.ADJUSTMENT else Decimal(0),
            record_count=1,
            first_recorded_at=MARCH.start,
            last_recorded_at=MARCH.start,
        )
        rows.append(charge_rows.row_of(TX, "cyc_1", charge, total))
    return rows


@st.composite
def _reckonings(draw: st.DrawFn, currency: str) -> Reckoning:
    percents = st.decimals(0, 30, places=3)
    rates = [
        JurisdictionRate(f"txr_{n}", f"Tax {n}", "DE", "", category, draw(percents), draw(st.booleans()))
        for n, category in enumerate(draw(st.lists(st.sampled_from(["", "books"]), max_size=2, unique=True)))
    ]
    kinds = draw(st.lists(st.sampled_from(DiscountKind), max_size=3))
    return Reckoning(
        now=NOW,
        tax_terms=models.TaxTerm(
            "ten_1",
            draw(st.sampled_from(TaxBehavior)),
            draw(st.sampled_from(TaxRounding)),
            draw(st.sampled_from(CreditApplication)),
        ),
        rates={"DE": rates} if rates else {},
        rate_names={},
        default_rates=(),
        customers={
            "cus_1": ListTaxedCustomersRow("cus_1", "DE", "", draw(st.sampled_from([None, None, "exempt"])))
        },
        discounts={
            "cus_1": [_discount(draw, number, kind, currency) for number, kind in enumerate(kinds)],
        },
        credits={
            "cus_1": [
                _credit(draw, number, kind, currency)
                for number, kind in enumerate(draw(st.lists(st.sampled_from(CreditKind), max_size=3)))
            ],
        },
    )


def _discount(draw: st.DrawFn, number: int, kind: DiscountKind, currency: str) -> ListDiscountsInForceRow:
    return ListDiscountsInForceRow(
        id=f"dis_{number}",
        customer_id="cus_1",
        subscription_id=None,
        remaining_invoices=None,
        version=1,
        coupon_id=f"cpn_{number}",
        name=f"Coupon {number}",
        kind=kind,
        percent=draw(st.decimals(0, 100, places=2)) if kind is DiscountKind.PERCENT else Decimal(0),
        amount_minor=draw(st.integers(1, 10**6)) if kind is DiscountKind.FIXED else 0,
        currency=currency,
        price_ids=draw(st.sampled_from([[], ["pri_0"], ["pri_1", "pri_2"]])),
    )


def _credit(draw: st.DrawFn, number: int, kind: CreditKind, currency: str) -> models.Credit:
    amount = draw(st.integers(1, 10**7))
    return models.Credit(
        tenant_id="ten_1",
        id=f"crd_{number}",
        customer_id="cus_1",
        kind=kind,
        currency=currency,
        amount_minor=amount,
        remaining_minor=draw(st.integers(1, amount)),
        valid_from=draw(moments),
        valid_until=None,
        priority=draw(st.integers(0, 2)),
        description="",
        created_at=MARCH.start,
        voided_at=None,
        expired_at=None,
        version=1,
    )


def _invoice(made: draft.Draft) -> invoice_pb2.Invoice:
    """As it is once it is final: below zero, it became a credit."""
    invoice = draft.message(made, finalize=False)
    invoice.id = made.invoice.id
    invoice.number = "INV-2026-000001"
    invoice.finalized_at.CopyFrom(timestamp(NOW))
    invoice.due_at.CopyFrom(timestamp(NOW + timedelta(days=30)))
    for number, (line, source) in enumerate(zip(invoice.lines, made.lines, strict=True)):
        line.id, line.charge_id = f"ili_{number}", source.charge_id
    if invoice.amount_due_minor < 0:
        invoice.credits.add(
            credit_id="crd_back",
            kind=credit_pb2.CREDIT_KIND_PREPAID,
            amount_minor=invoice.amount_due_minor,
        )
        invoice.prepaid_minor += invoice.amount_due_minor
        invoice.amount_due_minor = 0
    invoice.state = invoice_pb2.INVOICE_STATE_OPEN
    if not invoice.amount_due_minor:
        invoice.state = invoice_pb2.INVOICE_STATE_PAID
        invoice.paid_at.CopyFrom(timestamp(NOW))
    return invoice


def _evidence(line_id: str, row: models.Charge, price: Price) -> bundle_pb2.LineEvidence:
    before = Decimal(row.basis.get("quantity_before", "0"))
    quantity = decimal_text(Decimal(str(row.quantity)))
    own = to_message(row, bundle_pb2.ChargePart, charge_id=row.id, rated_at=timestamp(row.created_at))
    own.lines.add(invoice_line_id=line_id, amount_minor=draft._rounded(row))
    parts = [own]
    if row.kind == ChargeKind.ADJUSTMENT and before:
        parts.insert(0, bundle_pb2.ChargePart(charge_id="chg_before", quantity=decimal_text(before)))
    evidence = bundle_pb2.LineEvidence(
        invoice_line_id=line_id,
        charge=to_message(row, rating_pb2.Charge, quantity=quantity),
        price=_price(price),
        parts=parts,
    )
    if row.kind != ChargeKind.RECURRING:
        billed = decimal_text(exact_amount(Fraction(before) + Fraction(row.quantity)))
        evidence.meter.aggregation = catalog_pb2.AGGREGATION_SUM
        evidence.total.CopyFrom(
            usage_pb2.UsageTotal(
                subscription_id="sub_1",
                subscription_item_id=row.subscription_item_id,
                period={"start": timestamp(row.period_start), "end": timestamp(row.period_end)},
                quantity=billed,
                billed_quantity=billed,
                aggregation=catalog_pb2.AGGREGATION_SUM,
            )
        )
    return evidence


def _price(price: Price) -> catalog_pb2.Price:
    return catalog_pb2.Price(
        id=price.id,
        currency=price.currency,
        model=f"PRICE_MODEL_{price.model.upper()}",
        usage=catalog_pb2.PRICE_USAGE_METERED if price.metered else catalog_pb2.PRICE_USAGE_LICENSED,
        unit_amount=_text(price.unit_amount),
        unit_size=decimal_text(price.unit_size),
        interval_unit=period_pb2.INTERVAL_UNIT_MONTH,
        interval_count=1,
        tiers=[_tier(tier) for tier in price.tiers],
        included_quantity=decimal_text(price.included_quantity),
        minimum_amount=_text(price.minimum_amount),
        maximum_amount=_text(price.maximum_amount),
        no_flat_amount_when_unused=not price.zero_usage_flat_fee,
    )


def _tier(tier: Tier) -> catalog_pb2.PriceTier:
    return catalog_pb2.PriceTier(
        up_to=_text(tier.up_to),
        unit_amount=decimal_text(tier.unit_amount),
        flat_amount=decimal_text(tier.flat_amount),
        block_size=_text(tier.block_size),
        maximum_amount=_text(tier.maximum_amount),
    )


def _text(number: Decimal | None) -> str:
    return "" if number is None else decimal_text(number)


def _coupon(row: ListDiscountsInForceRow) -> discount_pb2.Coupon:
    return discount_pb2.Coupon(
        id=row.coupon_id,
        kind=f"DISCOUNT_KIND_{row.kind.upper()}",
        percent=decimal_text(row.percent),
        amount_minor=row.amount_minor,
        currency=row.currency,
        price_ids=row.price_ids,
    )


def _credits(invoice: invoice_pb2.Invoice, reckoning: Reckoning) -> list[credit_pb2.Credit]:
    held = [to_message(row, credit_pb2.Credit) for row in reckoning.credits["cus_1"]]
    back = [
        credit_pb2.Credit(
            id="crd_back",
            customer_id=invoice.customer_id,
            kind=used.kind,
            amount_minor=-used.amount_minor,
        )
        for used in invoice.credits
        if used.credit_id == "crd_back"
    ]
    return held + back


def _journals(invoice: invoice_pb2.Invoice) -> list[ledger_pb2.Journal]:
    inclusive = invoice.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    entries = sale(
        due_minor=invoice.amount_due_minor,
        credited_minor=invoice.credit_minor + invoice.prepaid_minor,
        tax_minor=invoice.tax_minor,
        revenue_minor=invoice.subtotal_minor
        - invoice.discount_minor
        - (invoice.tax_minor if inclusive else 0),
        currency=invoice.currency,
    )
    journal = ledger_pb2.Journal(
        id="jrn_1",
        source_type="invoice.finalized",
        source_id=invoice.id,
        entries=[
            ledger_pb2.Entry(
                account_type=f"ACCOUNT_TYPE_{entry.account.upper()}",
                direction=f"ENTRY_DIRECTION_{entry.direction.upper()}",
                currency=entry.currency,
                amount_minor=entry.amount_minor,
            )
            for entry in entries
        ],
    )
    return [journal] if entries else []
