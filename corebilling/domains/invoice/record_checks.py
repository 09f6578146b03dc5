"""Usage records against what is said to come of them: totals, quantities, and what prices make of each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.rating.v1 import rating_pb2
from billing.usage.v1 import usage_pb2

from corebilling.domains.invoice.bundle_reading import (
    Unreadable,
    above_zero,
    counted_span,
    moment,
    named,
    number,
)
from corebilling.domains.invoice.checks import MISSING, Check, Checking, sum_of
from corebilling.values.aggregation import Aggregation
from corebilling.values.metering import TransformTerms, metered_quantity, transformed
from corebilling.values.money import exact_amount
from corebilling.values.price_matrix import Cell, rate_cells
from corebilling.values.price_percentage import Percentage, rate_transactions

_BY_RECORD = (catalog_pb2.PRICE_MODEL_MATRIX, catalog_pb2.PRICE_MODEL_PERCENTAGE)
_ONE_BY_ONE = (
    catalog_pb2.AGGREGATION_UNIQUE,
    catalog_pb2.AGGREGATION_LATEST,
    catalog_pb2.AGGREGATION_TIME_WEIGHTED,
)
"""What these come to is worked out from the records when it is rated, and is not kept with totals."""
_Records = Sequence[bundle_pb2.RatedRecord]


def record_checks(bundle: bundle_pb2.InvoiceBundle) -> Iterator[Check]:
    """Each total is that of its records; and what a line bills, of those that had come by then."""
    by_item: dict[str, list[bundle_pb2.RatedRecord]] = defaultdict(list)
    for record in bundle.records:
        by_item[record.subscription_item_id].append(record)
    yield Checking("records", "records").of("given", bundle.with_records, True)
    keys = {(record.subscription_item_id, record.key) for record in bundle.records}
    yield Checking("records", "records").of("number of keys", len(keys), len(bundle.records))
    known = {one.invoice_line_id: one for one in bundle.evidence}
    seen: set[tuple[str, object]] = set()
    used = 0
    for place, line in enumerate(bundle.invoice.lines, start=1):
        evidence = known.get(line.id)
        if evidence is None or not evidence.HasField("total"):
            continue
        total, period = evidence.total, counted_span(evidence.total)
        records = [one for one in by_item[total.subscription_item_id] if moment(one.recorded_at) in period]
        if (total.subscription_item_id, period) not in seen:
            seen.add((total.subscription_item_id, period))
            used += len(records)
            yield from _total(f"line {place}", evidence, records)
        # When records were corrected is told by another clock: what lines knew is shown by the parts alone.
        if not any(one.corrected for one in records):
            yield from _by_then(f"line {place}", evidence, records)
    yield Checking("records", "records").of("records of the totals", len(bundle.records), used)


def total_checks(part: str, line: pb.InvoiceLine, evidence: bundle_pb2.LineEvidence) -> Iterator[Check]:
    """The total is that of the charge's item and period, and counts as its meter does."""
    charge, total, meter = evidence.charge, evidence.total, evidence.meter
    check = Checking(part, "total")
    if not evidence.HasField("total"):  # As where nothing was used, and nothing is charged for that.
        yield check.of("quantity without a total", number(charge.quantity, "quantity"), Decimal(0))
        yield check.of("amount without a total", number(charge.amount, "amount"), Decimal(0))
        return
    yield check.of("total", total.subscription_item_id, charge.subscription_item_id)
    yield check.of("subscription", total.subscription_id, line.subscription_id)
    yield check.of("start", moment(total.period.start), moment(charge.period.start))
    end, charged_until = moment(total.period.end), moment(charge.period.end)
    # It may have gone on after the charge: up to when its item was ended, of which nothing tells.
    latest = max(charged_until, moment(charge.basis.full_period.end))
    yield check.of("end", end, min(max(end, charged_until), latest))
    yield check.of("meter", meter.id, evidence.price.meter_id)
    yield check.of("code of the meter", total.meter_code, meter.code)
    yield check.of(
        "aggregation",
        named(catalog_pb2.Aggregation, total.aggregation, "aggregation of a total"),
        named(catalog_pb2.Aggregation, meter.aggregation, "aggregation of a meter"),
    )
    yield check.of("transform", total.transform, meter.transform)
    yield check.of("has a quantity", bool(total.quantity), total.aggregation not in _ONE_BY_ONE)
    if not meter.filters:
        yield check.of("records left out", total.filtered_count, 0)


def by_record_checks(
    part: str, line: pb.InvoiceLine, charge: rating_pb2.Charge, price: catalog_pb2.Price
) -> Iterator[Check]:
    """What a price makes of single records: the line says it as the charge does, each amount by its price."""
    check = Checking(part, "by record")
    yield check.of("evidence of the line", line.by_record, charge.by_record)
    amounts = {one.properties: one.unit_amount for one in _cells(price)}
    unit_size = above_zero(price.unit_size or "1", "unit size")
    for place, cell in enumerate(charge.by_record.cells, start=1):
        of_cell = next((key for key in amounts if dict(key) == dict(cell.properties)), None)
        found = MISSING if of_cell is None else amounts[of_cell]
        yield check.of(f"cell {place} unit_amount", number(cell.unit_amount, "amount of a cell"), found)
        quantity, unit_amount = (
            number(cell.quantity, "quantity"),
            number(cell.unit_amount, "amount of a cell"),
        )
        made = Fraction(quantity) * Fraction(unit_amount) / Fraction(unit_size)
        yield check.of(f"cell {place} amount", number(cell.amount, "amount of a cell"), exact_amount(made))
    if price.model == catalog_pb2.PRICE_MODEL_PERCENTAGE:
        said, terms = charge.by_record.transactions, _percentage(price)
        if charge.by_record.HasField("transactions"):  # There are none where nothing was used.
            yield check.of("percent", number(said.percent, "percentage"), terms.percent)
            yield check.of("fixed_amount", number(said.fixed_amount, "fixed amount"), terms.fixed_amount)
        parts = [said.rate_amount, said.fixed_total, said.floor_amount, said.ceiling_amount]
        whole = sum_of(number(one, "amount of transactions") for one in parts)
        yield check.of("amount", number(said.amount, "amount of transactions"), whole)


def _total(part: str, evidence: bundle_pb2.LineEvidence, records: _Records) -> Iterator[Check]:
    total, check = evidence.total, Checking(part, "records")
    counted = [one for one in records if one.corrected_quantity or not one.corrected]
    yield check.of("number of records", total.record_count, len(counted))
    if total.aggregation not in _ONE_BY_ONE:
        quantity = number(total.quantity, "quantity of a total")
        yield check.of("quantity of the total", quantity, _quantity(evidence, counted))
    yield from _times(check, "record", total, records, filtered=total.filtered_count)


def _times(
    check: Checking,
    of: str,
    stated: usage_pb2.UsageTotal | rating_pb2.ChargeBasis,
    records: _Records,
    *,
    filtered: int,
) -> Iterator[Check]:
    """They are those of all records; what filters leave out may lie before and after."""
    if not records:
        return
    times = [moment(one.recorded_at) for one in records]
    first, last = moment(stated.first_recorded_at), moment(stated.last_recorded_at)
    left_out = [first, last] if filtered and stated.HasField("first_recorded_at") else []
    yield check.of(f"first {of}", first, min([*times, *left_out]))
    yield check.of(f"last {of}", last, max([*times, *left_out]))


def _by_then(part: str, evidence: bundle_pb2.LineEvidence, records: _Records) -> Iterator[Check]:
    charge, total, check = evidence.charge, evidence.total, Checking(part, "records")
    count, by_then = charge.basis.record_count, _rated_by_then(charge, records)
    billed = sum_of(
        [number(charge.basis.quantity_before, "quantity before"), number(charge.quantity, "quantity")]
    )
    yield from _so_many(check, evidence, records, billed)
    if count < len(by_then) or (count != len(by_then) and total.quantity == total.billed_quantity):
        return  # Some were on their way while the line was rated: the parts show what they are billed with.
    yield check.of("records when rated", count, len(by_then))
    yield from _times(check, "record when rated", charge.basis, by_then, filtered=total.filtered_count)
    quantity = _quantity(evidence, by_then)
    if quantity is not None:
        yield check.of("quantity when rated", billed, quantity)
    if evidence.price.model in _BY_RECORD:
        yield from _rated_by_record(check, evidence, by_then)


def _rated_by_then(charge: rating_pb2.Charge, records: _Records) -> _Records:
    count, rated_at = charge.basis.record_count, moment(charge.created_at)
    if count == len(records):
        return records
    by_then = [one for one in records if moment(one.received_at) <= rated_at]
    earlier = [one for one in by_then if moment(one.received_at) < rated_at]
    # What came in the very instant may have come after it.
    return earlier if count == len(earlier) else by_then


def _so_many(
    check: Checking, evidence: bundle_pb2.LineEvidence, records: _Records, billed: Decimal
) -> Iterator[Check]:
    """Whichever had come, they come to no less than the smallest so many, and no more than the largest."""
    count = evidence.charge.basis.record_count
    most = min(max(0, count), len(records))
    yield check.of("records when rated", count, most)
    if evidence.total.aggregation not in _ONE_BY_ONE:
        ordered = sorted(records, key=_counted)
        smallest = _quantity(evidence, ordered[:most]) or Decimal(0)
        largest = _quantity(evidence, ordered[len(ordered) - most :]) or Decimal(0)
        yield check.of("quantity when rated", billed, min(max(billed, smallest), largest))


def _rated_by_record(
    check: Checking, evidence: bundle_pb2.LineEvidence, records: _Records
) -> Iterator[Check]:
    said, price = evidence.charge.by_record, evidence.price
    if price.model == catalog_pb2.PRICE_MODEL_PERCENTAGE:
        values = [_counted(one) for one in sorted(records, key=_order)]
        made = rate_transactions(_percentage(price), values)
        figures: Mapping[str, object] = {
            "free_transactions": made.free_transactions,
            "free_amount": exact_amount(made.free_value),
            "paid_transactions": made.paid_transactions,
            "paid_amount": exact_amount(made.paid_value),
            "rate_amount": exact_amount(made.rate_amount),
            "fixed_total": exact_amount(made.fixed_amount),
            "floor_amount": exact_amount(made.floor_amount),
            "ceiling_amount": exact_amount(made.ceiling_amount),
        }
        for name, figure in figures.items():
            stated = getattr(said.transactions, name)
            yield check.of(name, number(str(stated), name), figure)
        return
    counted = evidence.total.aggregation == catalog_pb2.AGGREGATION_COUNT
    quantities = [(dict(one.properties), Decimal(1) if counted else _counted(one)) for one in records]
    cells = {
        tuple(sorted(one.cell.properties)): (exact_amount(one.quantity), one.record_count)
        for one in rate_cells(_cells(price), quantities)
    }
    yield check.of("number of cells", len(said.cells), len(cells))
    for place, cell in enumerate(said.cells, start=1):
        quantity, count = cells.get(tuple(sorted(cell.properties.items())), (Decimal(0), 0))
        yield check.of(f"cell {place} quantity", number(cell.quantity, "quantity of a cell"), quantity)
        yield check.of(f"cell {place} record_count", cell.record_count, count)


def _quantity(evidence: bundle_pb2.LineEvidence, records: _Records) -> Decimal | None:
    """What the meter makes of the records. None of levels: what was held from before is not in the bundle."""
    aggregation = Aggregation(
        named(catalog_pb2.Aggregation, evidence.total.aggregation, "aggregation of a total")
    )
    if aggregation is Aggregation.TIME_WEIGHTED:
        return None
    terms = _transform(evidence.total)
    if aggregation is Aggregation.UNIQUE:
        name = evidence.meter.unique_property
        found = Decimal(len({one.properties[name] for one in records if name in one.properties}))
        return found if terms is None else transformed(found, terms)
    quantities = [_counted(one) for one in records]
    if aggregation is Aggregation.LATEST:
        found = _counted(max(records, key=_order)) if records else Decimal(0)
        return found if terms is None else transformed(found, terms)
    if not quantities:
        return Decimal(0)
    return metered_quantity(
        aggregation,
        terms,
        count=len(quantities),
        summed=sum_of(quantities),
        largest=max(quantities),
        smallest=min(quantities),
    )


def _transform(total: usage_pb2.UsageTotal) -> TransformTerms | None:
    if not total.HasField("transform"):
        return None
    given = total.transform
    terms = {"divide_by": str(above_zero(given.divide_by or "1", "divisor of a transform"))}
    if given.rounding:
        rounding = named(catalog_pb2.QuantityRounding, given.rounding, "rounding of a transform")
        terms["rounding"] = f"QUANTITY_ROUNDING_{rounding.upper()}"
        terms["block_size"] = str(above_zero(given.block_size or "1", "block size of a transform"))
    return terms


def _cells(price: catalog_pb2.Price) -> list[Cell]:
    """The last one, without properties, takes what no other does."""
    what = f"cell of price {price.id}"
    if any(len(cell.values) != len(price.dimensions) for cell in price.cells):
        raise Unreadable(f"A {what} has not a value for each dimension.")
    cells = [
        Cell(tuple(zip(price.dimensions, cell.values, strict=True)), number(cell.unit_amount, what))
        for cell in price.cells
    ]
    return [*cells, Cell((), number(price.default_unit_amount, what))]


def _percentage(price: catalog_pb2.Price) -> Percentage:
    terms, what = price.percentage, f"percentage of price {price.id}"
    return Percentage(
        percent=number(terms.percent, what),
        fixed_amount=number(terms.fixed_amount, what),
        free_transactions=terms.free_transactions or None,
        free_value=number(terms.free_amount, what) or None,
        minimum_amount=number(terms.minimum_amount, what) if terms.minimum_amount else None,
        maximum_amount=number(terms.maximum_amount, what) if terms.maximum_amount else None,
    )


def _counted(record: bundle_pb2.RatedRecord) -> Decimal:
    """What the record counts as now."""
    text = record.corrected_quantity if record.corrected else record.quantity
    return number(text, f"quantity of record {record.key}")


def _order(record: bundle_pb2.RatedRecord) -> tuple[datetime, datetime, str]:
    return moment(record.recorded_at), moment(record.received_at), record.key
