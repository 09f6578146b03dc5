"""What an invoice charges ahead: lines whose service goes on after it is finalized.

What was used, and what a period was trued up with, is earned though it is invoiced before its period is over.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from billing_db.models import Invoice, InvoiceLine

from corebilling.db.tenant import TenantProfile
from corebilling.domains.invoice.draft import Draft
from corebilling.domains.ledger.deferral import Spread, defer
from corebilling.domains.ledger.deferral_service import NewDeferral
from corebilling.values.period import Period
from corebilling.values.tax import TaxBehavior

_AHEAD = frozenset({"recurring", "one_time"})
"""The types of lines that may be charged ahead."""

_Served = tuple[str, Period, int]
"""A line, when its service is given, and what of it is revenue."""


def of_drafts(drafts: Sequence[Draft], tenant: TenantProfile) -> list[NewDeferral]:
    """What invoices not written yet put off. Where nothing lies ahead, it is one comparison a line."""
    return [
        new for draft in drafts for new in _deferrals(draft.invoice, _lines_ahead(draft, tenant.now), tenant)
    ]


def of_rows(invoice: Invoice, rows: Sequence[InvoiceLine], tenant: TenantProfile) -> list[NewDeferral]:
    """What an invoice puts off that was written as a draft."""
    served = (
        (
            row.id,
            Period(row.period_start, row.period_end),
            row.amount_minor - row.discount_minor - _contained(invoice, row.tax_minor),
        )
        for row in rows
        if row.type in _AHEAD
    )
    return list(_deferrals(invoice, served, tenant))


def _lines_ahead(draft: Draft, now: datetime) -> Iterable[_Served]:
    for line_id, line, result in zip(draft.line_ids, draft.lines, draft.results, strict=True):
        if line.period_end > now and line.type in _AHEAD:
            taxes_minor = _contained(draft.invoice, result.tax_minor)
            revenue_minor = line.amount_minor - result.discount_minor - taxes_minor
            yield line_id, Period(line.period_start, line.period_end), revenue_minor


def _contained(invoice: Invoice, tax_minor: int) -> int:
    """The tax that the line's amount has in it."""
    return tax_minor if invoice.tax_behavior == TaxBehavior.INCLUSIVE else 0


def _deferrals(invoice: Invoice, lines: Iterable[_Served], tenant: TenantProfile) -> Iterable[NewDeferral]:
    spread = Spread.of(tenant.proration_grain, tenant.timezone)
    for line_id, service, revenue_minor in lines:
        deferral = defer(revenue_minor, service, tenant.now, spread)
        if deferral is not None:
            yield NewDeferral(line_id, invoice.id, invoice.customer_id, invoice.currency, service, deferral)
