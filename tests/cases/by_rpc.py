"""Numeric cases about invoices, through the RPCs, each in a tenant of its own.

`CANNOT` names the cases that the RPCs cannot express, and why; everything else of these operations is run.
`OTHERS` names the operations about invoices that no RPC is asked for.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.catalog.v1 import catalog_pb2
from billing.credit.v1 import credit_pb2
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.rating.v1 import rating_service_pb2
from billing.rating.v1.rating_service_pb2_grpc import RatingServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.tax.v1 import tax_pb2
from billing.types.v1 import money_pb2

from corebilling.mapping import enum_number, timestamp
from corebilling.values.currency import EXPONENTS
from corebilling.values.ids import new_id
from corebilling.values.money import from_minor
from tests.cases import pricing
from tests.cases.case import Case
from tests.support.catalog import new_customer, new_meter, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.money import coupon, credit, give_back, redeem, set_terms, tax_rate
from tests.support.platform import Platform
from tests.support.reporting import use

Result = Mapping[str, Any]

COMPOUNDED = "several percentages are each of the undiscounted lines, not of what the one before left"
ROUNDED = "invoices round half up"
NET = "of an amount that contains its tax, the tax is rounded"
ALWAYS_PAYS = "prepaid credit pays whatever is due: no charge can be kept from it"
LOOK_BACK = "late usage is accepted for 35 days, not for a number of periods"
FIRST_PART = "periods are counted from the beginning of service: the first one is whole"
LIFETIME = "what thresholds are compared with counts from nothing in each period"
INVOICED = "what was invoiced before comes from usage, it cannot be given"
UNTAXED_CREDIT = (
    "a customer's credit is used after tax only by choice of the tenant, and then lowers the total"
)
SPLIT = "PreviewPrice prices a whole period: nothing was billed of it before"
UNKNOWN_TERM = "prices have no percentage off, and no other quantity to choose a tier by: coupons do that"
ONE_OFF = "coupons for some of the lines go by prices, which one-off lines have none of"
FLAT_QUANTITY = "a flat price does not depend on a quantity"

CANNOT: Mapping[str, str] = {
    "coupon-002": COMPOUNDED,
    "coupon-003": COMPOUNDED,
    "v-exclusive-02": ROUNDED,
    "tax-inclusive-001": NET,
    "v-compute-02": ONE_OFF,
    "wallet-002": ALWAYS_PAYS,
    "commitment-001": FIRST_PART,
    "v-commitment-01": FIRST_PART,
    "v-progressive-01": LIFETIME,
    "lookback-001": LOOK_BACK,
    "v-late-01": INVOICED,
    "graduated-percentage-002": SPLIT,
    "graduated-percentage-003": SPLIT,
    "graduated-split-002": SPLIT,
    "min-spend-001": SPLIT,
    "spend-cap-001": SPLIT,
    "spend-cap-002": SPLIT,
    "spend-cap-004": SPLIT,
    "commitment-price-002": SPLIT,
    "v-rate-03": SPLIT,
    "volume-prorated-001": UNKNOWN_TERM,
    "v-rate-08": UNKNOWN_TERM,
    "v-rate-12": FLAT_QUANTITY,
}


def currency(case: Case) -> str:
    return str(case.given.get("currency", "USD"))


def major(case: Case, amount_minor: int) -> Decimal:
    return from_minor(amount_minor, EXPONENTS[currency(case)])


def minor(case: Case, amount: str) -> int:
    exact = Fraction(amount) * 10 ** EXPONENTS[currency(case)]
    assert exact.denominator == 1, "given in whole minor units"
    return int(exact)


def exact_text(number: Decimal) -> str:
    return f"{number:f}"


# What a case is about: a customer where taxes are due, coupons, credits, and an invoice.


async def customer_of(platform: Platform, case: Case) -> str:
    details = customer_service_pb2.CustomerDetails(name="Ada", address=customer_pb2.Address(country="DE"))
    return (await new_customer(platform, currency=currency(case), details=details)).id


async def set_rates(platform: Platform, percents: Sequence[str], category: str = "") -> None:
    for place, percent in enumerate(percents):
        await tax_rate(platform, percent, name=f"Tax {place}", category=category)


def percents_of(fields: Mapping[str, Any]) -> list[str]:
    return list(fields.get("tax_percents") or ([fields["tax_percent"]] if fields.get("tax_percent") else []))


async def redeem_all(platform: Platform, case: Case, customer_id: str) -> None:
    for given in case.given.get("coupons", ()):
        if "percent" in given:
            await coupon(platform, given["id"], percent=given["percent"])
        else:
            fixed = {"amount_minor": given["amount_minor"], "currency": currency(case)}
            await coupon(platform, given["id"], **fixed)
        await redeem(platform, given["id"], customer_id)


async def terms_of(platform: Platform, case: Case, behavior: str = "exclusive") -> None:
    policy = case.policy
    await set_terms(
        platform,
        behavior=enum_number(tax_pb2.TaxBehavior, policy.get("tax_behavior", behavior)),
        rounding=enum_number(tax_pb2.TaxRounding, policy.get("tax_rounding", "per_invoice")),
        credit_application=enum_number(tax_pb2.CreditApplication, policy.get("credits", "before_tax")),
    )


async def invoice_over(
    platform: Platform, customer_id: str, lines: Sequence[Mapping[str, Any]]
) -> invoice_pb2.Invoice:
    """A one-off invoice, finalized: its lines are `unit_amount`, `quantity` and `tax_category`."""
    request = invoice_service_pb2.CreateInvoiceRequest(
        request_id=new_id("req"),
        customer_id=customer_id,
        items=[invoice_service_pb2.OneTimeItem(description="Line", **line) for line in lines],
        finalize=True,
    )
    return (await platform.stub(InvoiceServiceStub).CreateInvoice(request)).invoice


# Operations


async def apply_coupons(platform: Platform, case: Case) -> Result:
    customer_id = await customer_of(platform, case)
    await redeem_all(platform, case, customer_id)
    amount = exact_text(major(case, case.given["subtotal_minor"]))
    made = await invoice_over(platform, customer_id, [{"unit_amount": amount}])
    return {
        "discount_by_coupon_minor": {one.name: one.amount_minor for one in made.discounts},
        "discount_minor": made.discount_minor,
        "total_minor": made.total_minor,
    }


async def allocate_discount(platform: Platform, case: Case) -> Result:
    customer_id = await customer_of(platform, case)
    await coupon(platform, "C", amount_minor=case.given["discount_minor"], currency=currency(case))
    await redeem(platform, "C", customer_id)
    lines = [{"unit_amount": exact_text(major(case, line["amount_minor"]))} for line in case.given["lines"]]
    made = await invoice_over(platform, customer_id, lines)
    return {
        "discount_minor": made.discount_minor,
        "discount_by_line_minor": [line.discount_minor for line in made.lines],
        "net_by_line_minor": [line.amount_minor - line.discount_minor for line in made.lines],
    }


async def taxed(platform: Platform, case: Case, behavior: str, amounts: Sequence[str]) -> Result:
    await set_rates(platform, percents_of(case.given))
    await terms_of(platform, case, behavior)
    customer_id = await customer_of(platform, case)
    made = await invoice_over(platform, customer_id, [{"unit_amount": amount} for amount in amounts])
    net_minor = made.total_minor - made.tax_minor
    return {
        "line_tax_amounts": [major(case, line.tax_minor) for line in made.lines],
        "net_amount": major(case, net_minor),
        "subtotal_amount": major(case, net_minor),
        "tax_amount": major(case, made.tax_minor),
        "total_amount": major(case, made.total_minor),
        "gross_amount": major(case, made.total_minor),
    }


async def exclusive_tax(platform: Platform, case: Case) -> Result:
    return await taxed(platform, case, "exclusive", case.given["line_amounts"])


async def inclusive_tax(platform: Platform, case: Case) -> Result:
    return await taxed(platform, case, "inclusive", case.given["gross_amounts"])


async def invoice_total(platform: Platform, case: Case) -> Result:
    await set_rates(platform, percents_of(case.given))
    await terms_of(platform, case)
    customer_id = await customer_of(platform, case)
    await redeem_all(platform, case, customer_id)
    if given := minor(case, case.given.get("credit_amount") or "0"):
        await credit(platform, customer_id, given)
    lines = [
        {"quantity": line.get("quantity", ""), "unit_amount": line["unit_amount"]}
        for line in case.given["lines"]
    ]
    made = await invoice_over(platform, customer_id, lines)
    return {
        "line_amounts": [major(case, line.amount_minor) for line in made.lines],
        "subtotal_amount": major(case, made.subtotal_minor),
        "discount_amount": major(case, made.discount_minor),
        "credit_applied_amount": major(case, made.credit_minor),
        "tax_amount": major(case, made.tax_minor),
        "total_amount": major(case, made.total_minor),
        "due_amount": major(case, made.amount_due_minor),
    }


async def invoice_compute(platform: Platform, case: Case) -> Result:
    """What was given back before is prepaid credit: it pays what is due with its tax."""
    lines = case.given["lines"]
    categories = {tuple(percents_of(line)): f"t{place}" for place, line in enumerate(lines)}
    for percents, category in categories.items():
        await set_rates(platform, percents or ("0",), category)
    await terms_of(platform, case)
    customer_id = await customer_of(platform, case)
    await redeem_all(platform, case, customer_id)
    for name in ("credit_notes_minor", "credits_minor", "prepaid_credits_minor"):
        if given := case.given.get(name):
            await credit(platform, customer_id, given, kind=credit_pb2.CREDIT_KIND_PREPAID)
    made = await invoice_over(
        platform,
        customer_id,
        [
            {
                "unit_amount": exact_text(major(case, line["amount_minor"])),
                "tax_category": categories[tuple(percents_of(line))],
            }
            for line in lines
        ],
    )
    pairs = list(zip(lines, made.lines, strict=True))
    return {
        "line_coupon_minor": {line["id"]: one.discount_minor for line, one in pairs},
        "line_tax_minor": {line["id"]: one.tax_minor for line, one in pairs},
        "fees_minor": made.subtotal_minor,
        "coupons_minor": made.discount_minor,
        "subtotal_minor": made.subtotal_minor - made.discount_minor,
        "tax_minor": made.tax_minor,
        "credit_notes_applied_minor": min(case.given.get("credit_notes_minor") or 0, made.prepaid_minor),
        "total_minor": made.amount_due_minor,
    }


async def credit_note_sequence(platform: Platform, case: Case) -> Result:
    fees = case.given["fees"]
    for place, fee in enumerate(fees):
        await set_rates(platform, percents_of(fee) or ["0"], f"t{place}")
    await terms_of(platform, case)
    customer_id = await customer_of(platform, case)
    if coupon_minor := case.given.get("coupon_minor"):
        await coupon(platform, "C", amount_minor=coupon_minor, currency=currency(case))
        await redeem(platform, "C", customer_id)
    lines = [
        {"unit_amount": exact_text(major(case, fee["amount_minor"])), "tax_category": f"t{place}"}
        for place, fee in enumerate(fees)
    ]
    made = await invoice_over(platform, customer_id, lines)
    line_ids = {fee["id"]: line.id for fee, line in zip(fees, made.lines, strict=True)}
    notes = []
    for note in case.given["notes"]:
        items = {line_ids[item["fee_id"]]: item["amount_minor"] for item in note["items"]}
        notes.append((items, (await give_back(platform, made.id, **items)).credit_note))
    return {
        "invoice_tax_minor": made.tax_minor,
        "invoice_total_minor": made.total_minor,
        "notes": [
            {
                "coupon_adjustment_minor": sum(items.values()) - note.subtotal_minor,
                "subtotal_minor": note.subtotal_minor,
                "tax_minor": note.tax_minor,
                "total_minor": note.total_minor,
            }
            for items, note in notes
        ],
        "notes_total_minor": sum(note.total_minor for _, note in notes),
    }


async def wallet(platform: Platform, case: Case) -> Result:
    await set_rates(platform, percents_of(case.given))
    customer_id = await customer_of(platform, case)
    balance = minor(case, case.given["opening_amount"])
    if balance:
        await credit(platform, customer_id, balance, kind=credit_pb2.CREDIT_KIND_PREPAID)
    draws = []
    for charge in case.given["charges"]:
        made = await invoice_over(platform, customer_id, [{"unit_amount": charge["charge_amount"]}])
        balance -= made.prepaid_minor
        draws.append(
            {
                "invoice_amount": major(case, made.total_minor),
                "credit_applied_amount": major(case, made.prepaid_minor),
                "due_amount": major(case, made.amount_due_minor),
                "balance_after_amount": major(case, balance),
            }
        )
    return {"draws": draws}


async def rate(platform: Platform, case: Case) -> Result:
    """A price as it is offered, and what a quantity of it costs."""
    price = await offered(platform, case, case.given)
    request = rating_service_pb2.PreviewPriceRequest(price_id=price.id, quantity=case.given["quantity"])
    answer = await platform.stub(RatingServiceStub).PreviewPrice(request)
    steps = {step.kind: Fraction(step.amount) for step in answer.steps}
    cap, least = money_pb2.CHARGE_STEP_KIND_CAP, money_pb2.CHARGE_STEP_KIND_MINIMUM
    used = Fraction(answer.amount) - sum(steps.values())
    return {
        "usage_amount": used,
        "cap_discount_amount": -steps.get(cap, 0),
        "true_up_amount": steps.get(least, 0),
        "packages": sum(Fraction(tier.units) for tier in answer.tiers),
        "total_amount": pricing.rounding(case)(Fraction(answer.amount)),
    }


async def offered(platform: Platform, case: Case, row: Mapping[str, Any]) -> catalog_pb2.Price:
    """The price that a case's terms come to, metered."""
    terms = pricing.price(row, case)
    product, meter = await new_product(platform), await new_meter(platform)
    tiers = [
        catalog_pb2.PriceTier(
            up_to="" if tier.up_to is None or place == len(terms.tiers) - 1 else exact_text(tier.up_to),
            unit_amount=exact_text(tier.unit_amount),
            flat_amount=exact_text(tier.flat_amount),
            block_size="" if tier.block_size is None else exact_text(tier.block_size),
            maximum_amount="" if tier.maximum_amount is None else exact_text(tier.maximum_amount),
        )
        for place, tier in enumerate(terms.tiers)
    ]
    return await new_price(
        platform,
        product.id,
        "price",
        currency=currency(case),
        model=enum_number(catalog_pb2.PriceModel, terms.model),
        usage=catalog_pb2.PRICE_USAGE_METERED,
        meter_id=meter.id,
        unit_amount="" if terms.unit_amount is None else exact_text(terms.unit_amount),
        unit_size=exact_text(terms.unit_size),
        tiers=tiers,
        included_quantity=exact_text(terms.included_quantity) if terms.included_quantity else "",
        minimum_amount="" if terms.minimum_amount is None else exact_text(terms.minimum_amount),
        maximum_amount="" if terms.maximum_amount is None else exact_text(terms.maximum_amount),
        no_flat_amount_when_unused=bool(tiers) and not terms.zero_usage_flat_fee,
    )


async def late_usage_invoice(platform: Platform, case: Case) -> Result:
    """One period of service, used on some of its days, and ended with it: what its invoice holds."""
    (period,) = case.given["periods"]
    start, end = (
        datetime.combine(date.fromisoformat(period[name]), time(), UTC) for name in ("start", "end")
    )
    platform.tenant_id, platform.tenant_key = await platform.new_tenant(
        new_id("t").replace("_", "-"), clock_time=start
    )
    price = await offered(platform, case, case.given["price"])
    customer_id = await customer_of(platform, case)
    subscription = await subscribe(platform, price, customer_id=customer_id)
    for event in sorted(case.given["events"], key=lambda event: str(event["usage_date"])):
        at = datetime.combine(date.fromisoformat(event["usage_date"]), time(12), UTC)
        await clock_to(platform, at)
        await use(platform, subscription.id, event["quantity"], at)
    await clock_to(platform, end)
    cancel = subscription_service_pb2.CancelSubscriptionRequest(
        request_id=new_id("req"), subscription_id=subscription.id
    )
    await platform.stub(SubscriptionServiceStub).CancelSubscription(cancel)
    await clock_to(platform, end + timedelta(hours=2))
    return {"total_amount": major(case, (await only_invoice(platform, customer_id)).total_minor)}


async def commitment_true_up(platform: Platform, case: Case) -> Result:
    """A fee, what else is owed as usage, and a commitment, over one month of service."""
    given = case.given
    start, last = (date.fromisoformat(given["full_period"][name]) for name in ("start", "end"))
    begin = datetime.combine(start, time(), UTC)
    platform.tenant_id, platform.tenant_key = await platform.new_tenant(
        new_id("t").replace("_", "-"), clock_time=begin
    )
    fee = await new_price(
        platform,
        (await new_product(platform, "fee")).id,
        "fee",
        currency=currency(case),
        unit_amount=exact_text(major(case, given["fee_minor"])),
    )
    cent = {"model": "per_unit", "unit_amount": exact_text(major(case, 1))}
    customer_id = await customer_of(platform, case)
    subscription = await subscribe(
        platform,
        fee,
        await offered(platform, case, cent),
        customer_id=customer_id,
        minimum_commitment_minor=given["commitment_minor"],
    )
    if others := sum(given.get("other_fees_minor", ())):
        await use(platform, subscription.id, str(others), begin)
    await clock_to(platform, datetime.combine(last, time(2), UTC) + timedelta(days=1))
    made = await only_invoice(platform, customer_id)
    true_ups = [line for line in made.lines if line.type == invoice_pb2.INVOICE_LINE_TYPE_TRUE_UP]
    return {
        "prorated_commitment_minor": given["commitment_minor"],
        "prorated_fee_minor": given["fee_minor"],
        "true_up_minor": sum(line.amount_minor for line in true_ups),
    }


async def progressive_billing(platform: Platform, case: Case) -> Result:
    """One period, whose usage is invoiced on the way, and a plan that is billed when it closes."""
    (period,) = case.given["periods"]
    begin = datetime(2025, 3, 1, tzinfo=UTC)
    platform.tenant_id, platform.tenant_key = await platform.new_tenant(
        new_id("t").replace("_", "-"), clock_time=begin
    )
    plan = await new_price(
        platform,
        (await new_product(platform, "plan")).id,
        "plan",
        currency=currency(case),
        unit_amount=case.given.get("plan_amount") or "0",
    )
    usage = await offered(platform, case, {"model": "per_unit", "unit_amount": case.given["unit_amount"]})
    customer_id = await customer_of(platform, case)
    thresholds = [
        subscription_pb2.SpendThreshold(
            amount_minor=minor(case, threshold["threshold_amount"]),
            recurring=threshold.get("recurring", False),
        )
        for threshold in case.given["thresholds"]
    ]
    subscription = await subscribe(
        platform, plan, usage, customer_id=customer_id, spend_thresholds=thresholds
    )
    on_the_way = []
    for number, event in enumerate(period["events"], start=1):
        known = len(await invoices_of(platform, customer_id=customer_id))
        await use(platform, subscription.id, event["quantity"], begin + timedelta(hours=number - 1))
        await clock_to(platform, begin + timedelta(hours=number))
        made = await invoices_of(platform, customer_id=customer_id)
        on_the_way += [(event["id"], one) for one in made[known:]]
    await clock_to(platform, datetime(2025, 4, 1, 2, tzinfo=UTC))
    closing = (await invoices_of(platform, customer_id=customer_id))[-1]
    credit_minor = sum(made.total_minor for _, made in on_the_way)
    return {
        "progressive_invoices": [
            {"event_id": event_id, "total_amount": major(case, made.total_minor)}
            for event_id, made in on_the_way
        ],
        "closing_invoices": [
            {
                "fees_amount": major(case, closing.total_minor + credit_minor),
                "progressive_credit_amount": major(case, credit_minor),
                "total_amount": major(case, closing.total_minor),
            }
        ],
    }


async def only_invoice(platform: Platform, customer_id: str) -> invoice_pb2.Invoice:
    (only,) = await invoices_of(platform, customer_id=customer_id)
    return only


async def clock_to(platform: Platform, at: datetime) -> None:
    request = schedule_service_pb2.AdvanceTestClockRequest(request_id=new_id("req"), target_at=timestamp(at))
    await platform.stub(ScheduleServiceStub).AdvanceTestClock(request)
    await platform.drain()


OTHERS: Mapping[str, str] = {
    "allocate_credits": "credits come off the invoice, and are divided among its lines in proportion",
    "usage_discount": "free units are a price's, not a coupon's: see `rate`",
    "change_proration": "fees are due when their period ends, each for its share",
    "in_advance_switch": "fees are due when their period ends",
    "upgrade_credit": "fees are due when their period ends",
    "termination_credit": "fees are due when their period ends",
    "repair_credit": "fees are due when their period ends",
    "rerate": "a period's usage is invoiced once; what comes later is an adjustment, rounded by itself",
    "rerate_by_period": "tiers count anew in each period",
}

OPERATIONS: Mapping[str, Callable[[Platform, Case], Awaitable[Result]]] = {
    "apply_coupons": apply_coupons,
    "allocate_discount": allocate_discount,
    "exclusive_tax": exclusive_tax,
    "inclusive_tax": inclusive_tax,
    "invoice_total": invoice_total,
    "invoice_compute": invoice_compute,
    "credit_note_sequence": credit_note_sequence,
    "wallet": wallet,
    "commitment_true_up": commitment_true_up,
    "progressive_billing": progressive_billing,
    "rate": rate,
    "late_usage_invoice": late_usage_invoice,
}
