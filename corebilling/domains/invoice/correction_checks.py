"""Lines that correct a price, against what was rated again and what had been billed of it."""

from collections.abc import Iterator
from decimal import Decimal

from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.rating.v1 import rating_pb2

from corebilling.domains.invoice.bundle_reading import moments, number
from corebilling.domains.invoice.checks import Check, Checking, sum_of
from corebilling.domains.invoice.period_checks import period_checks
from corebilling.domains.invoice.recharging import recorrect

_USED = (pb.INVOICE_LINE_TYPE_USAGE, pb.INVOICE_LINE_TYPE_ADJUSTMENT)
_ONE_UNIT = Decimal(1)


def correction_checks(
    part: str, invoice: pb.Invoice, line: pb.InvoiceLine, evidence: bundle_pb2.CorrectionEvidence
) -> Iterator[Check]:
    """The line is what the corrected price comes to, less what earlier lines hold."""
    yield from _copied(part, invoice, line, evidence)
    made, amount_minor = recorrect(evidence)
    yield from period_checks(part, evidence.basis, evidence.price, made)
    rerated, check = evidence.rerated, Checking(part, "correction")
    yield check.of("corrected amount in minor units", rerated.amount_minor, amount_minor)
    billed_minor = sum(one.amount_minor for one in evidence.billed)
    yield check.of("billed in minor units", rerated.billed_minor, billed_minor)
    if line.evidence.invoiced_minor:  # It is told where the discount follows from it.
        yield check.of("billed before, as told", line.evidence.invoiced_minor, billed_minor)
    yield check.of("difference in minor units", rerated.difference_minor, amount_minor - billed_minor)
    yield check.of("amount in minor units", line.amount_minor, amount_minor - billed_minor)
    yield from _quantity(check, evidence)


def _copied(
    part: str, invoice: pb.Invoice, line: pb.InvoiceLine, evidence: bundle_pb2.CorrectionEvidence
) -> Iterator[Check]:
    rerated, price, check = evidence.rerated, evidence.price, Checking(part, "price")
    yield check.of("type", line.type, pb.INVOICE_LINE_TYPE_ONE_TIME)
    yield check.of("quantity", number(line.quantity, "quantity"), _ONE_UNIT)
    yield check.of("price", line.price_id, price.id)
    yield check.of("price of the correction", rerated.corrected_price_id, price.id)
    yield check.of("item", line.subscription_item_id, rerated.subscription_item_id)
    yield check.of("currency", rerated.currency, invoice.currency)
    yield check.of("period", moments(line.period), moments(rerated.period))
    yield check.of("revision", line.evidence.rerated_revision, rerated.revision)
    yield check.of("kind", rerated.kind, _kind(price))


def _kind(price: catalog_pb2.Price) -> rating_pb2.ChargeKind:
    """Of what a price charges for a period."""
    if price.usage == catalog_pb2.PRICE_USAGE_METERED:
        return rating_pb2.CHARGE_KIND_USAGE
    return rating_pb2.CHARGE_KIND_ONE_TIME if price.one_time else rating_pb2.CHARGE_KIND_RECURRING


def _quantity(check: Checking, evidence: bundle_pb2.CorrectionEvidence) -> Iterator[Check]:
    """Usage is what the lines that billed it have; a flat fee is due once."""
    stated = number(evidence.rerated.quantity, "quantity of a corrected charge")
    if evidence.price.model == catalog_pb2.PRICE_MODEL_FLAT:
        yield check.of("quantity", stated, _ONE_UNIT)
    elif evidence.rerated.kind == rating_pb2.CHARGE_KIND_USAGE:
        used = (number(one.quantity, "quantity of a line") for one in evidence.billed if one.type in _USED)
        yield check.of("quantity", stated, sum_of(used))
