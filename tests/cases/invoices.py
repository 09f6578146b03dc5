"""Cases of invoices: discounts, taxes, credits, credit notes, and amounts divided and rounded."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from corebilling.domains.invoice.amounts import AmountLine, Terms, work_out
from corebilling.values.allocation import cumulative, largest_remainder, shares
from corebilling.values.credit import (
    Credit,
    CreditApplication,
    CreditKind,
    Movement,
    draw_wallet,
    use_credits,
)
from corebilling.values.credit_note import (
    CreditNote,
    Invoiced,
    InvoicedLine,
    credit_invoice,
)
from corebilling.values.currency import EXPONENTS
from corebilling.values.discount import (
    Discount,
    DiscountKind,
    PercentBasis,
    apply_discounts,
)
from corebilling.values.grant import Grant, Usage, burn_grants, sort_grants
from corebilling.values.in_advance import credit_unused_service, repair
from corebilling.values.money import Rounding, exact_minor, from_minor, round_number, round_to, to_minor
from corebilling.values.price import Price, PriceModel, rate, rate_increase
from corebilling.values.progressive import Threshold, bill_progressively
from corebilling.values.tax import (
    InclusiveRounding,
    TaxableLine,
    TaxBehavior,
    TaxRate,
    TaxRounding,
    tax_lines,
)
from tests.cases.case import Case, rounding_named

_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def _rounding(case: Case) -> Rounding:
    return rounding_named(case.policy.get("rounding", "half_up"))


def _exponent(case: Case) -> int:
    for fields in (case.given, case.policy):
        for name in ("exponent", "scale"):
            if name in fields:
                return int(fields[name])
    return EXPONENTS[case.given.get("currency", "USD")]


def _major(case: Case, amount_minor: int) -> Decimal:
    return from_minor(amount_minor, _exponent(case))


def _minor(case: Case, amount: str) -> int:
    return to_minor(Decimal(amount), _exponent(case), _rounding(case))


def _exact(case: Case, amount: str) -> Fraction:
    return exact_minor(Decimal(amount), _exponent(case))


# Amounts


def _to_minor(case: Case) -> Mapping[str, Any]:
    return {"exponent": _exponent(case), "amount_minor": _minor(case, case.given["major_amount"])}


def _from_minor(case: Case) -> Mapping[str, Any]:
    return {"exponent": _exponent(case), "major_amount": _major(case, case.given["amount_minor"])}


def _round_amount(case: Case) -> Mapping[str, Any]:
    return {"rounded_amount": _major(case, _minor(case, case.given["exact_amount"]))}


def _divide(case: Case, weights: Sequence[Fraction]) -> list[Decimal]:
    whole = _minor(case, case.given["total_amount"])
    match case.policy.get("residue", "largest_remainder"):
        case "largest_remainder":
            parts = largest_remainder(whole, weights)
        case "cumulative_rounding":
            parts = cumulative(whole, weights, _rounding(case))
        case other:
            raise NotImplementedError(other)
    return [_major(case, part) for part in parts]


def _allocate(case: Case) -> Mapping[str, Any]:
    items = case.given["items"]
    parts = _divide(case, [Fraction(item["weight"]) for item in items])
    return {"allocations": {item["key"]: part for item, part in zip(items, parts, strict=True)}}


def _spread(case: Case) -> Mapping[str, Any]:
    return {"part_amounts": _divide(case, [Fraction(1)] * case.given["parts"])}


# Discounts


def _discount(coupon: Mapping[str, Any]) -> Discount:
    lines = coupon.get("line_ids")
    return Discount(
        coupon["id"],
        DiscountKind(coupon.get("kind") or ("percent" if "percent" in coupon else "fixed")),
        percent=Decimal(coupon.get("percent") or 0),
        amount_minor=int(coupon.get("amount_minor") or 0),
        lines=None if lines is None else frozenset(lines),
    )


def _basis(case: Case) -> PercentBasis:
    remaining = case.policy.get("compounding", "on_remaining_amount") == "on_remaining_amount"
    return PercentBasis.REMAINDER if remaining else PercentBasis.UNDISCOUNTED


def _apply_coupons(case: Case) -> Mapping[str, Any]:
    subtotal_minor = case.given["subtotal_minor"]
    steps = apply_discounts(
        {"subtotal": subtotal_minor},
        [_discount(coupon) for coupon in case.given["coupons"]],
        basis=_basis(case),
        rounding=_rounding(case),
    )
    discount_minor = sum(step.amount_minor for step in steps)
    return {
        "discount_by_coupon_minor": {step.discount.id: step.amount_minor for step in steps},
        "discount_minor": discount_minor,
        "total_minor": subtotal_minor - discount_minor,
    }


def _allocate_discount(case: Case) -> Mapping[str, Any]:
    lines = [line["amount_minor"] for line in case.given["lines"]]
    above_zero = [max(0, line) for line in lines]
    parts = largest_remainder(min(case.given["discount_minor"], sum(above_zero)), above_zero)
    return {
        "discount_by_line_minor": parts,
        "discount_minor": sum(parts),
        "net_by_line_minor": [line - part for line, part in zip(lines, parts, strict=True)],
    }


def _usage_discount(case: Case) -> Mapping[str, Any]:
    """Free units are included in a price: at one for each of the others, it costs as much as is billable."""
    free, quantity = Decimal(case.given["discount_quantity"]), Decimal(case.given["quantity"])
    before = Decimal(case.given.get("already_billed_quantity") or 0)
    price = Price("pri", "", "USD", PriceModel.PER_UNIT, True, unit_amount=Decimal(1), included_quantity=free)
    billable = rate_increase(price, before, before + quantity).amount
    return {
        "discount_applied_quantity": Fraction(quantity) - billable,
        "billable_quantity": billable,
        "billable_already_billed_quantity": rate(price, before).amount,
    }


# Taxes and totals


def _rates(fields: Mapping[str, Any]) -> tuple[TaxRate, ...]:
    percents = fields.get("tax_percents") or [fields.get("tax_percent") or "0"]
    return tuple(TaxRate(f"rate{place}", Decimal(percent)) for place, percent in enumerate(percents, start=1))


def _per(case: Case) -> TaxRounding:
    return TaxRounding(case.policy.get("tax_rounding", "per_invoice"))


def _inclusive_rounding(case: Case) -> InclusiveRounding:
    net = case.policy.get("inclusive_tax_rounding") == "round_net"
    return InclusiveRounding.NET if net else InclusiveRounding.TAX


def _tax(case: Case, amounts: Sequence[str], behavior: TaxBehavior) -> Mapping[str, Any]:
    rates = _rates(case.given)
    lines = [
        TaxableLine(str(place), _exact(case, amount), rates) for place, amount in enumerate(amounts, start=1)
    ]
    taxes = tax_lines(
        lines,
        behavior=behavior,
        per=_per(case),
        rounding=_rounding(case),
        inclusive_rounding=_inclusive_rounding(case),
    )
    amount_minor = round_number(sum((line.amount for line in lines), Fraction(0)), _rounding(case))
    exclusive = behavior is TaxBehavior.EXCLUSIVE
    net_minor = amount_minor if exclusive else amount_minor - taxes.tax_minor
    by_line = taxes.by_line()
    return {
        "line_tax_amounts": [_major(case, by_line.get(line.id, 0)) for line in lines],
        "net_amount": _major(case, net_minor),
        "subtotal_amount": _major(case, net_minor),
        "tax_amount": _major(case, taxes.tax_minor),
        "total_amount": _major(case, net_minor + taxes.tax_minor),
        "gross_amount": _major(case, net_minor + taxes.tax_minor),
    }


def _exclusive_tax(case: Case) -> Mapping[str, Any]:
    return _tax(case, case.given["line_amounts"], TaxBehavior.EXCLUSIVE)


def _inclusive_tax(case: Case) -> Mapping[str, Any]:
    return _tax(case, case.given["gross_amounts"], TaxBehavior.INCLUSIVE)


def _credit(credit_id: str, amount_minor: int, kind: CreditKind = CreditKind.PROMOTIONAL) -> Credit:
    return Credit(credit_id, kind, "USD", amount_minor, _SOME_TIME, _SOME_TIME)


def _terms(case: Case) -> Terms:
    return Terms(
        # Amounts are in minor units of the case's own currency already.
        currency="USD",
        at=_SOME_TIME,
        tax_behavior=TaxBehavior(case.policy.get("tax_behavior", "exclusive")),
        tax_rounding=_per(case),
        inclusive_rounding=_inclusive_rounding(case),
        credit_application=CreditApplication(case.policy.get("credits", "before_tax")),
        percent_basis=_basis(case),
        rounding=_rounding(case),
    )


def _invoice_total(case: Case) -> Mapping[str, Any]:
    given = case.given
    amounts = [
        round_number(Fraction(line.get("quantity", 1)) * _exact(case, line["unit_amount"]), _rounding(case))
        for line in given["lines"]
    ]
    lines = [
        AmountLine(
            str(place), amount, _rates(line if "tax_percent" in line or "tax_percents" in line else given)
        )
        for place, (line, amount) in enumerate(zip(given["lines"], amounts, strict=True), start=1)
    ]
    made = work_out(
        lines,
        _terms(case),
        discounts=[_discount(coupon) for coupon in given.get("coupons", [])],
        available=[_credit("credit", _minor(case, given.get("credit_amount") or "0"))],
    )
    return {
        "line_amounts": [_major(case, amount) for amount in amounts],
        "subtotal_amount": _major(case, made.subtotal_minor),
        "discount_amount": _major(case, made.discount_minor),
        "credit_applied_amount": _major(case, made.credit_minor),
        "tax_amount": _major(case, made.tax_minor),
        "total_amount": _major(case, made.total_minor),
        "due_amount": _major(case, made.due_minor),
    }


def _invoice_compute(case: Case) -> Mapping[str, Any]:
    """A coupon's share in a line is not rounded here, nor therefore what the line is taxed on."""
    lines = case.given["lines"]
    amounts = [line["amount_minor"] for line in lines]
    steps = apply_discounts(
        {line["id"]: line["amount_minor"] for line in lines},
        [_discount(coupon) for coupon in case.given.get("coupons", [])],
        basis=PercentBasis.REMAINDER,
        rounding=_rounding(case),
    )
    coupons = [step.amount_minor for step in steps]
    off = [Fraction(0) for _ in lines]
    for step in steps:
        within = [step.discount.lines is None or line["id"] in step.discount.lines for line in lines]
        left = [(amount - part) * covered for amount, part, covered in zip(amounts, off, within, strict=True)]
        if step.amount_minor:
            off = [one + part for one, part in zip(off, shares(step.amount_minor, left), strict=True)]
    before_tax = case.policy.get("coupons", "before_tax") == "before_tax"
    taxes = tax_lines(
        [
            TaxableLine(line["id"], line["amount_minor"] - (part if before_tax else 0), _rates(line))
            for line, part in zip(lines, off, strict=True)
        ],
        behavior=TaxBehavior(case.policy.get("tax_behavior", "exclusive")),
        per=_per(case),
        rounding=_rounding(case),
    )
    by_line = taxes.by_line()
    subtotal_minor = sum(amounts) - sum(coupons)
    exclusive = case.policy.get("tax_behavior", "exclusive") == "exclusive"
    total_minor = subtotal_minor + (taxes.tax_minor if exclusive else 0)
    names = ("credit_notes_minor", "credits_minor", "prepaid_credits_minor")
    given_back = [_credit(name, case.given.get(name) or 0) for name in names]
    used = {use.credit.id: use.amount_minor for use in use_credits(given_back, total_minor)}
    return {
        "line_coupon_minor": {line["id"]: round_to(part, 5) for line, part in zip(lines, off, strict=True)},
        "line_tax_minor": {line["id"]: by_line.get(line["id"], 0) for line in lines},
        "fees_minor": sum(amounts),
        "coupons_minor": sum(coupons),
        "subtotal_minor": subtotal_minor,
        "tax_minor": taxes.tax_minor,
        "credit_notes_applied_minor": used.get("credit_notes_minor", 0),
        "total_minor": total_minor - sum(used.values()),
    }


def _progressive_billing(case: Case) -> Mapping[str, Any]:
    given = case.given
    unit = _exact(case, given["unit_amount"])
    periods = bill_progressively(
        [
            Threshold(_minor(case, threshold["threshold_amount"]), threshold.get("recurring", False))
            for threshold in given["thresholds"]
        ],
        [
            [(event["id"], Decimal(event["quantity"])) for event in period["events"]]
            for period in given["periods"]
        ],
        price=lambda quantity: Fraction(quantity) * unit,
        plan_minor=_minor(case, given.get("plan_amount") or "0"),
        rounding=_rounding(case),
    )
    return {
        "progressive_invoices": [
            {"event_id": invoice.event_id, "total_amount": _major(case, invoice.amount_minor)}
            for period in periods
            for invoice in period.progressive
        ],
        "closing_invoices": [
            {
                "fees_amount": _major(case, period.fees_minor),
                "progressive_credit_amount": _major(case, period.progressive_minor),
                "total_amount": _major(case, period.closing_minor),
            }
            for period in periods
        ],
    }


# What is given back


def _credit_note_sequence(case: Case) -> Mapping[str, Any]:
    fees = case.given["fees"]
    amounts = [fee["amount_minor"] for fee in fees]
    coupon_minor = case.given.get("coupon_minor") or 0
    discounts = shares(min(coupon_minor, sum(amounts)), amounts)
    taxes = tax_lines(
        [
            TaxableLine(fee["id"], fee["amount_minor"] - discount, _rates(fee))
            for fee, discount in zip(fees, discounts, strict=True)
        ],
        per=_per(case),
        rounding=_rounding(case),
    )
    exact_tax = {
        fee["id"]: sum((row.tax for row in taxes.rows if row.line_id == fee["id"]), Fraction(0))
        for fee in fees
    }
    invoiced = Invoiced(
        tuple(
            InvoicedLine(fee["id"], fee["amount_minor"], discount, exact_tax[fee["id"]])
            for fee, discount in zip(fees, discounts, strict=True)
        ),
        min(coupon_minor, sum(amounts)),
        taxes.tax_minor,
    )
    notes: list[CreditNote] = []
    for note in case.given["notes"]:
        items = {item["fee_id"]: item["amount_minor"] for item in note["items"]}
        notes.append(credit_invoice(invoiced, notes, items, _rounding(case)))
    return {
        "invoice_tax_minor": invoiced.tax_minor,
        "invoice_total_minor": invoiced.total_minor,
        "notes": [
            {
                "coupon_adjustment_minor": note.discount_minor,
                "subtotal_minor": note.subtotal_minor,
                "tax_minor": note.tax_minor,
                "total_minor": note.total_minor,
            }
            for note in notes
        ],
        "notes_total_minor": sum(note.total_minor for note in notes),
    }


def _share(case: Case, name: str, full: str = "full_period") -> Fraction:
    """How much of the full period another one spans, in days; none if it is not given."""
    if name not in case.given:
        return Fraction(0)
    days, all_days = (_days(case, case.given[period]) for period in (name, full))
    return Fraction(days, all_days)


def _days(case: Case, period: Mapping[str, str]) -> int:
    start, end = (date.fromisoformat(period[bound][:10]) for bound in ("start", "end"))
    last_day_counts: bool = case.policy.get("day_count") == "inclusive"
    return (end - start).days + last_day_counts


def _termination_credit(case: Case) -> Mapping[str, Any]:
    given = case.given
    back = credit_unused_service(
        given["plan_amount_minor"],
        unused=_share(case, "unused_period"),
        used=_share(case, "used_period"),
        tax_percent=Fraction(given.get("tax_percent") or 0),
        paid_minor=given.get("paid_minor") or 0,
        rounding=_rounding(case),
    )
    return {
        "subtotal_minor": back.subtotal_minor,
        "tax_minor": back.tax_minor,
        "total_minor": back.total_minor,
        "used_minor": back.used_minor,
        "refund_minor": back.refund_minor,
        "credit_minor": back.credit_minor,
    }


def _repair_credit(case: Case) -> Mapping[str, Any]:
    factor = _share(case, "blocked_period")
    if (scale := case.policy.get("factor_scale")) is not None:
        factor = round_to(factor, int(scale), _rounding(case))
    given_back = repair(_minor(case, case.given["price_amount"]), factor, _rounding(case))
    return {
        "factor": factor,
        "repair_amount": _major(case, -given_back.amount_minor),
        "account_credit_amount": _major(case, given_back.amount_minor),
        "next_invoice_due_amount": _major(case, given_back.next_due_minor),
    }


# Credits and grants


def _grant(fields: Mapping[str, Any]) -> Grant:
    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(fields[name]) if fields.get(name) else None

    return Grant(
        id=fields["id"],
        priority=int(fields.get("priority") or 0),
        created_at=moment("created_at") or _SOME_TIME,
        expires_at=moment("expires_at"),
        quantity=Decimal(fields.get("quantity") or 0),
        effective_at=moment("effective_at"),
        voided_at=moment("voided_at"),
    )


def _precision(case: Case) -> timedelta | None:
    return timedelta(seconds=1) if case.policy.get("expiry_precision") == "whole_second" else None


def _sort_grants(case: Case) -> Mapping[str, Any]:
    grants = [_grant(fields) for fields in case.given["grants"]]
    return {"order": [grant.id for grant in sort_grants(grants, _precision(case))]}


def _burn_grants(case: Case) -> Mapping[str, Any]:
    burned = burn_grants(
        [_grant(fields) for fields in case.given["grants"]],
        [
            Usage(datetime.fromisoformat(usage["timestamp"]), Decimal(usage["quantity"]))
            for usage in case.given["usage"]
        ],
        datetime.fromisoformat(case.given["until"]),
        _precision(case),
    )
    return {"balances": burned.balances, "overage_quantity": burned.overage_quantity}


def _allocate_credits(case: Case) -> Mapping[str, Any]:
    """Line after line, credit after credit."""
    left = {credit["id"]: _minor(case, credit["credit_amount"]) for credit in case.given["credits"]}
    lines = []
    for line in case.given["lines"]:
        line_minor = _minor(case, line["line_amount"])
        uses = use_credits((_credit(name, held_minor) for name, held_minor in left.items()), line_minor)
        applied = {use.credit.id: use.amount_minor for use in uses}
        left |= {name: left[name] - used_minor for name, used_minor in applied.items()}
        lines.append(
            {
                "applied": {name: _major(case, used_minor) for name, used_minor in applied.items()},
                "due_amount": _major(case, line_minor - sum(applied.values())),
            }
        )
    return {"lines": lines, "unused_credit_amount": _major(case, sum(left.values()))}


def _wallet(case: Case) -> Mapping[str, Any]:
    rates = _rates(case.given)
    movements = []
    for charge in case.given["charges"]:
        if "grant_amount" in charge:
            movements.append(Movement(_minor(case, charge["grant_amount"]), grant=True))
            continue
        line = TaxableLine("charge", _exact(case, charge["charge_amount"]), rates)
        tax_minor = tax_lines([line], rounding=_rounding(case)).tax_minor
        amount_minor = round_number(line.amount, _rounding(case)) + tax_minor
        movements.append(Movement(amount_minor, eligible=charge.get("eligible", True)))
    overage = case.policy.get("overage") == "repaid_by_next_grant"
    draws = draw_wallet(_minor(case, case.given["opening_amount"]), movements, overage=overage)
    return {
        "draws": [
            {
                "invoice_amount": _major(case, movement.amount_minor),
                "credit_applied_amount": _major(case, draw.applied_minor),
                "due_amount": _major(case, draw.due_minor),
                "balance_after_amount": _major(case, draw.balance_minor),
            }
            for movement, draw in zip(movements, draws, strict=True)
        ]
    }


OPERATIONS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "to_minor": _to_minor,
    "from_minor": _from_minor,
    "round_amount": _round_amount,
    "allocate": _allocate,
    "spread": _spread,
    "apply_coupons": _apply_coupons,
    "allocate_discount": _allocate_discount,
    "usage_discount": _usage_discount,
    "exclusive_tax": _exclusive_tax,
    "inclusive_tax": _inclusive_tax,
    "invoice_total": _invoice_total,
    "invoice_compute": _invoice_compute,
    "progressive_billing": _progressive_billing,
    "credit_note_sequence": _credit_note_sequence,
    "termination_credit": _termination_credit,
    "repair_credit": _repair_credit,
    "sort_grants": _sort_grants,
    "burn_grants": _burn_grants,
    "allocate_credits": _allocate_credits,
    "wallet": _wallet,
}
