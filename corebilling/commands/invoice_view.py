"""How explained lines and checked figures look on a terminal."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby

from billing.catalog.v1 import catalog_pb2, price_override_pb2
from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import bundle_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2
from billing.tenant.v1 import tenant_pb2
from billing.types.v1 import money_pb2, period_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group
from rich.table import Table
from rich.text import Text

from corebilling.domains.invoice.checks import Check
from corebilling.mapping import EnumType, enum_text, instant
from corebilling.values.money import major_units

_Fact = tuple[str, str]
_SHOWN_DECIMALS = 12
_Amounts = catalog_pb2.Price | catalog_pb2.CurrencyOption | price_override_pb2.PriceOverride


def story(told: pb.LineExplanation) -> Group:
    """The line from its price to its tax, one fact a row."""
    line = told.line
    number = told.invoice_number or told.invoice_id
    state = _name(invoice_pb2.InvoiceState, told.invoice_state)
    head = Text.assemble(
        (f"{line.description}: {_money(told, line.amount_minor)}", "bold"), f"  {number} ({state})  {line.id}"
    )
    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(told):
        facts.add_row(Text(name, "dim"), text)
    return Group(head, facts, "")


def records_table(records: Sequence[pb.RatedRecord], *, more: bool) -> Table:
    """Usage records that a line bills. Of a key that was no UUID, only the one made of it is kept."""
    table = Table(
        "recorded at", "quantity", "key, or UUID made of it", caption="more follow" if more else None
    )
    for record in records:
        now = f", {record.corrected_quantity or 'retracted'} since" if record.corrected else ""
        table.add_row(_time(record.recorded_at), record.quantity + now, record.key)
    return table


def checks_table(checks: Sequence[Check]) -> Table:
    """A row for each part and step that comes out, and one for each figure that does not."""
    table = Table("of", "step", "figure", "in the file", "worked out", "")
    above = ""
    for (part, step), group in groupby(checks, key=lambda check: (check.part, check.step)):
        of_step = list(group)
        wrong = [check for check in of_step if not check.ok]
        for check in wrong:
            row = (part, step, check.figure, check.stated, check.found, Text("differs", "red"))
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        if not wrong:
            count = f"{len(of_step)} {'figure' if len(of_step) == 1 else 'figures'}"
            table.add_row("" if part == above else part, step, count, "", "", Text("ok", "green"))
        above = part
    return table


def _facts(told: pb.LineExplanation) -> Iterator[_Fact]:
    if told.HasField("evidence"):
        yield from _rating(told, told.evidence)
    elif told.HasField("correction"):
        yield from _correction(told, told.correction)
    else:
        line = told.line
        yield "amount", f"{line.quantity} x {line.unit_amount} = {told.exact_amount} {told.currency}"
    yield from _rounding(told)
    yield from _discounts(told)
    yield from _taxes(told)


def _rating(told: pb.LineExplanation, evidence: pb.LineEvidence) -> Iterator[_Fact]:
    price, charge = evidence.price, evidence.charge
    yield "price", _version(price)
    negotiated = evidence.HasField("price_override")
    if negotiated:
        yield "negotiated", f"amounts of {evidence.price_override.id}"
    yield from _terms(price, evidence.price_override if negotiated else _in(price, charge.currency))
    yield "period", _span(charge.period)
    yield from _share(charge.basis)
    if evidence.HasField("total"):
        yield from _usage(evidence)
    else:
        yield "quantity", charge.quantity
    for tier in charge.tiers:
        yield "tier", _tier(tier)
    yield from _by_record(charge.by_record)
    for step in charge.steps:
        yield _name(money_pb2.ChargeStepKind, step.kind), step.amount
    if charge.amount_before not in ("", "0"):
        yield "before", f"{charge.amount_before} {told.currency} for earlier parts of the period"
    for part in evidence.parts:
        if part.charge_id != charge.id:
            yield "also billed", _part(part, told.currency)


def _correction(told: pb.LineExplanation, evidence: pb.CorrectionEvidence) -> Iterator[_Fact]:
    price, rerated = evidence.price, evidence.rerated
    yield "corrected", f"from {rerated.price_id}, {_time(rerated.rerated_at)}: {rerated.reason}"
    yield "price", _version(price)
    yield from _terms(price, _in(price, told.currency))
    yield "period", _span(rerated.period)
    yield from _share(evidence.basis)
    yield "quantity", rerated.quantity
    for tier in told.corrected_tiers:
        yield "tier", _tier(tier)
    for step in told.corrected_steps:
        yield _name(money_pb2.ChargeStepKind, step.kind), step.amount
    yield (
        "comes to",
        f"{_short(told.corrected_amount)} {told.currency} -> {_money(told, rerated.amount_minor)}",
    )
    for line in evidence.billed:
        state = _name(invoice_pb2.InvoiceState, line.invoice_state)
        kind = _name(invoice_pb2.InvoiceLineType, line.type)
        on = f"{kind}, quantity {line.quantity}, on {line.invoice_number or line.invoice_id} ({state})"
        yield "billed", f"{_money(told, line.amount_minor)}: {on}"
    made = f"{_money(told, rerated.amount_minor)} less {_money(told, rerated.billed_minor)} billed"
    yield "amount", f"{made} = {told.exact_amount} {told.currency}"


def _version(price: catalog_pb2.Price) -> str:
    model = _name(catalog_pb2.PriceModel, price.model)
    return f"{price.code}, version {price.price_version}: {model}, {price.id}"


def _in(price: catalog_pb2.Price, currency: str) -> _Amounts:
    return next((option for option in price.currency_options if option.currency == currency), price)


def _terms(price: catalog_pb2.Price, amounts: _Amounts) -> Iterator[_Fact]:
    per = "" if price.unit_size in ("", "1") else f" per {price.unit_size}"
    if amounts.unit_amount:
        yield "", f"{amounts.unit_amount} {amounts.currency}{per}"
    for tier in amounts.tiers:
        reach = f"up to {tier.up_to}" if tier.up_to else "above"
        flat = f" + {tier.flat_amount}" if tier.flat_amount not in ("", "0") else ""
        yield "", f"{reach}: {tier.unit_amount}{per}{flat} {amounts.currency}"
    source = amounts if isinstance(amounts, price_override_pb2.PriceOverride) else price
    if source.included_quantity not in ("", "0"):
        yield "", f"{source.included_quantity} included"
    if amounts.minimum_amount:
        yield "", f"at least {amounts.minimum_amount} {amounts.currency}"
    if amounts.maximum_amount:
        yield "", f"at most {amounts.maximum_amount} {amounts.currency}"


def _share(basis: rating_pb2.ChargeBasis) -> Iterator[_Fact]:
    if not basis.share:
        return
    grain = _name(tenant_pb2.ProrationGrain, basis.proration_grain)
    of = f"of {_span(basis.full_period)}, by {grain}, {basis.timezone}"
    yield "share", f"{basis.share} {of}: {_span(basis.span)}"


def _usage(evidence: pb.LineEvidence) -> Iterator[_Fact]:
    basis, total = evidence.charge.basis, evidence.total
    how = _name(catalog_pb2.Aggregation, total.aggregation)
    when = f"{_time(basis.first_recorded_at)} to {_time(basis.last_recorded_at)}"
    yield "usage", f"{how} of {basis.record_count:,} records of {total.meter_code}, {when}"
    before = basis.quantity_before
    less = f", {before} billed before" if before not in ("", "0") else ""
    yield "quantity", f"{evidence.charge.quantity}{less}"


def _by_record(said: money_pb2.RecordEvidence) -> Iterator[_Fact]:
    for cell in said.cells:
        of = ", ".join(f"{name} {value}" for name, value in sorted(cell.properties.items())) or "all others"
        price = f"{cell.quantity} at {cell.unit_amount} = {cell.amount}"
        yield "cell", f"{of}: {cell.record_count:,} records, {price}"
    if said.HasField("transactions"):
        one = said.transactions
        yield "free", f"{one.free_transactions:,} transactions, {one.free_amount}"
        price = f"{one.percent} % + {one.fixed_amount} each = {one.amount}"
        yield "transactions", f"{one.paid_transactions:,} of {one.paid_amount} at {price}"


def _tier(tier: money_pb2.TierCharge) -> str:
    reach = f"{tier.from_quantity} to {tier.up_to}" if tier.up_to else f"above {tier.from_quantity}"
    flat = f" + {tier.flat_amount}" if tier.flat_amount not in ("", "0") else ""
    return f"{reach}: {tier.quantity}; {tier.units} x {tier.unit_amount}{flat} = {_short(tier.amount)}"


def _part(part: pb.ChargePart, currency: str) -> str:
    kind = _name(rating_pb2.ChargeKind, part.kind)
    on = ", ".join(
        f"{line.invoice_number or line.invoice_id} ({_name(invoice_pb2.InvoiceState, line.invoice_state)})"
        for line in part.lines
    )
    return f"{kind}, quantity {part.quantity}, {part.amount} {currency}, on {on or 'no invoice yet'}"


def _rounding(told: pb.LineExplanation) -> Iterator[_Fact]:
    added = _short(told.rounding_minor)
    by = "exactly" if added in ("", "0") else f"{'' if added.startswith('-') else '+'}{added} minor units"
    yield (
        "rounded",
        f"{_short(told.exact_amount)} {told.currency} -> {_money(told, told.line.amount_minor)} ({by})",
    )


def _discounts(told: pb.LineExplanation) -> Iterator[_Fact]:
    for discount in told.discounts:
        percent = f"{discount.percent} % " if discount.kind == discount_pb2.DISCOUNT_KIND_PERCENT else ""
        whole = f"which took {_money(told, discount.invoice_minor)} off the invoice"
        yield "discount", f"-{_money(told, discount.amount_minor)}: {percent}{discount.name}, {whole}"
    evidence = told.line.evidence
    if told.line.discount_minor and (evidence.invoiced_minor or evidence.rated_minor):
        before = _money(told, evidence.invoiced_minor)
        never = f"{_money(told, evidence.uncharged_minor)} of the {before} invoiced before were never charged"
        yield "discount", f"{_money(told, -told.line.discount_minor)}: {never}"
    if told.line.credit_minor:
        used = ", ".join(
            f"{_money(told, credit.amount_minor)} of {_name(credit_pb2.CreditKind, credit.kind)} "
            f"{credit.credit_id}"
            for credit in told.credits
        )
        yield "credits", f"-{_money(told, told.line.credit_minor)}: its part of {used}"


def _taxes(told: pb.LineExplanation) -> Iterator[_Fact]:
    if told.line.tax_exemption:
        yield "tax", f"none: {_name(tax_pb2.TaxExemption, told.line.tax_exemption)}"
    rounding = _name(tax_pb2.TaxRounding, told.terms.tax_rounding)
    contained = told.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    for tax in told.taxes:
        residue = Fraction(tax.tax_minor) - Fraction(tax.exact_minor)
        rounded = f", {_short(tax.exact_minor)} minor units exactly, rounded {rounding}" if residue else ""
        rate = f"{tax.name} {tax.percent} % of {_short(tax.taxable_minor)} minor units{rounded}"
        yield "tax", f"{_money(told, tax.tax_minor)}{' contained' if contained else ''}: {rate}"


def _short(number: str) -> str:
    """With the decimals that one can read; the exact number is in the answer of ExplainLine."""
    whole, point, decimals = number.partition(".")
    return number if len(decimals) <= _SHOWN_DECIMALS else f"{whole}{point}{decimals[:_SHOWN_DECIMALS]}…"


def _money(told: pb.LineExplanation, amount_minor: int) -> str:
    return f"{major_units(amount_minor, told.currency)} {told.currency}"


def _name(enum: EnumType, number: int) -> str:
    return enum_text(enum, number).replace("_", " ")


def _span(period: period_pb2.Period) -> str:
    return f"{_time(period.start)} to {_time(period.end)}"


def _time(stamp: Timestamp) -> str:
    return instant(stamp).replace(tzinfo=None).isoformat(" ")
