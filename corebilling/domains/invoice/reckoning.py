"""What a tenant's rules make of the lines of invoices, and what the invoices leave of discounts and credits.

Discounts and credits are used when an invoice is made, be it a draft: nothing else can use them then. An
invoice that is voided gives them back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from billing.discount.v1 import discount_events_pb2 as discount_events
from billing.event.v1 import event_pb2 as eventv1
from billing_db import credit as credit_sql
from billing_db import discount as discount_sql
from billing_db import tax as tax_sql
from billing_db.models import Credit as CreditRow
from billing_db.models import Invoice, TaxTerm
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.credit.service import remaining, take, write
from corebilling.domains.invoice.amounts import AmountLine, InvoiceAmounts, Terms, work_out
from corebilling.domains.tax.model import JurisdictionRate, rates_for
from corebilling.domains.tax.service import jurisdiction_rate
from corebilling.events import outbox
from corebilling.values.credit import CreditApplication
from corebilling.values.discount import Discount, DiscountKind
from corebilling.values.tax import DEFAULT_RATE, TaxBehavior, TaxRate, TaxRounding

R = TypeVar("R", discount_sql.ListDiscountsInForceRow, CreditRow)


@dataclass(slots=True)
class Settled:
    """What earlier lines decide of one that corrects them: what is taken off, and how it is taxed.

    `taxes` is as lines keep it; None, where nothing was taxed yet: as all lines are by now.
    """

    discount_minor: int
    taxes: Sequence[Mapping[str, Any]] | None
    exemption: str = ""


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class ReckonedLine:
    """A line's amount, and what discounts and taxes go by."""

    amount_minor: int
    price_id: str
    tax_category: str
    subscription_id: str
    settled: Settled | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """What an invoice did to a credit or discount; by which one."""

    invoice_id: str
    resource_id: str
    version: int
    customer_id: str
    payload: Message


@dataclass(slots=True)
class Reckoning:
    """The rules, and what customers have left: work out invoices one after the other, then `save`."""

    now: datetime
    tax_terms: TaxTerm | None
    rates: Mapping[str, Sequence[JurisdictionRate]]
    """By country."""
    rate_names: dict[str, str]
    default_rates: tuple[TaxRate, ...]
    customers: Mapping[str, tax_sql.ListTaxedCustomersRow]
    discounts: Mapping[str, Sequence[discount_sql.ListDiscountsInForceRow]]
    """By customer, as are the credits."""
    credits: Mapping[str, Sequence[CreditRow]]
    changes: list[_Change] = field(default_factory=list)
    used: dict[str, CreditRow] = field(default_factory=dict)
    spent: dict[str, discount_sql.ListDiscountsInForceRow] = field(default_factory=dict)
    _terms: dict[str, Terms] = field(default_factory=dict, init=False)
    """By currency."""

    def work_out(self, customer_id: str, currency: str, lines: Sequence[ReckonedLine]) -> InvoiceAmounts:
        """What an invoice over these lines comes to; the amounts' lines bear their places as ids."""
        customer = self.customers[customer_id]
        rates = {
            category: self._rates(customer, category) for category in {line.tax_category for line in lines}
        }
        subscription_ids = {None, *(line.subscription_id for line in lines)}
        discounts = [
            _discount(row, lines)
            for row in self.discounts.get(customer_id, ())
            if row.subscription_id in subscription_ids
            and row.remaining_invoices != 0
            and (row.kind == DiscountKind.PERCENT or row.currency == currency)
        ]
        return work_out(
            [
                self._settled(str(place), line, line.settled)
                if line.settled and line.settled.taxes is not None
                else AmountLine(
                    str(place),
                    line.amount_minor,
                    rates[line.tax_category],
                    customer.exemption or "",
                    line.settled.discount_minor if line.settled else None,
                )
                for place, line in enumerate(lines)
            ],
            self.terms_in(currency),
            discounts=discounts,
            available=[remaining(row) for row in self.credits.get(customer_id, ())],
        )

    def use(self, invoice: Invoice, amounts: InvoiceAmounts) -> None:
        """Takes what the invoice uses off the discounts and credits; the next one finds the rest."""
        rows = {row.id: row for row in self.credits.get(invoice.customer_id, ())}
        for use in (*amounts.credits, *amounts.prepaid):
            row = self.used[use.credit.id] = rows[use.credit.id]
            applied = take(row, use.amount_minor, invoice.id)
            self._note(invoice, row.id, row.version, applied)
        given = {step.discount.id for step in amounts.discounts if step.amount_minor}
        for discount in self.discounts.get(invoice.customer_id, ()):
            if discount.id in given and discount.remaining_invoices is not None:
                self._spend(invoice, discount)

    async def save(self, tx: Transaction, causes: Mapping[str, eventv1.Event]) -> None:
        """Writes what is left of what was used, and announces it; the caller holds the customers' locks.

        Args:
            causes: What each invoice is made for, by its id.
        """
        if self.used:
            await write(tx, list(self.used.values()))
        if self.spent:
            await discount_sql.mark_discounts(
                tx,
                tenant_id=tx.tenant_id,
                used_at=self.now,
                ids=list(self.spent),
                remaining_invoices=[row.remaining_invoices or 0 for row in self.spent.values()],
                versions=[row.version for row in self.spent.values()],
            )
        for change in self.changes:
            outbox.append(
                tx,
                change.payload,
                resource_id=change.resource_id,
                resource_version=change.version,
                ordering_key=change.customer_id,
                cause=causes.get(change.invoice_id),
            )

    def _settled(self, place: str, line: ReckonedLine, settled: Settled) -> AmountLine:
        """Taxed by the rates of then, which need not be in force any more."""
        taxes = settled.taxes or ()
        self.rate_names.update({tax["tax_rate_id"]: tax["name"] for tax in taxes})
        rates = tuple(TaxRate(tax["tax_rate_id"], Decimal(tax["percent"]), tax["compound"]) for tax in taxes)
        return AmountLine(place, line.amount_minor, rates, settled.exemption, settled.discount_minor)

    def _note(self, invoice: Invoice, resource_id: str, version: int, payload: Message) -> None:
        self.changes.append(_Change(invoice.id, resource_id, version, invoice.customer_id, payload))

    def _spend(self, invoice: Invoice, row: discount_sql.ListDiscountsInForceRow) -> None:
        assert row.remaining_invoices is not None
        row.remaining_invoices -= 1
        row.version += 1
        self.spent[row.id] = row
        if not row.remaining_invoices:
            ended = discount_events.DiscountEnded(
                discount_id=row.id, coupon_id=row.coupon_id, customer_id=row.customer_id
            )
            self._note(invoice, row.id, row.version, ended)

    def _rates(self, customer: tax_sql.ListTaxedCustomersRow, category: str) -> tuple[TaxRate, ...]:
        if not self.rates:
            return self.default_rates
        rates = self.rates.get(customer.country, ())
        return rates_for(rates, country=customer.country, region=customer.region, category=category)

    def terms_in(self, currency: str) -> Terms:
        """The terms of invoices in the currency."""
        if currency not in self._terms:
            self._terms[currency] = _terms(self.tax_terms, currency, self.now)
        return self._terms[currency]

    def rate_name(self, rate_id: str) -> str:
        return self.rate_names.get(rate_id, "Tax")

    def discount(self, customer_id: str, discount_id: str) -> discount_sql.ListDiscountsInForceRow:
        """One that is in force."""
        return next(row for row in self.discounts[customer_id] if row.id == discount_id)


async def load(
    tx: Transaction, customer_ids: Sequence[str], *, now: datetime, default_percent: Decimal
) -> Reckoning:
    """All that decides what invoices of these customers come to.

    Args:
        default_percent: What tenants without tax rates tax with; 0: they do not.
    """
    rates: dict[str, list[JurisdictionRate]] = defaultdict(list)
    rows = await tax_sql.list_tax_rates_in_force(tx, tenant_id=tx.tenant_id, country="")
    for row in rows:
        rates[row.country].append(jurisdiction_rate(row))
    customers = await tax_sql.list_taxed_customers(tx, tenant_id=tx.tenant_id, customer_ids=customer_ids)
    return Reckoning(
        now=now,
        tax_terms=await tax_sql.find_tax_terms(tx, tenant_id=tx.tenant_id),
        rates=rates,
        rate_names={row.id: row.name for row in rows},
        default_rates=(TaxRate(DEFAULT_RATE, default_percent),) if default_percent else (),
        customers={row.id: row for row in customers},
        discounts=_by_customer(
            await discount_sql.list_discounts_in_force(tx, tenant_id=tx.tenant_id, customer_ids=customer_ids)
        ),
        credits=_by_customer(
            await credit_sql.list_remaining_credits(tx, tenant_id=tx.tenant_id, customer_ids=customer_ids)
        ),
    )


def _terms(row: TaxTerm | None, currency: str, now: datetime) -> Terms:
    if row is None:
        return Terms(currency, now)
    return Terms(
        currency,
        now,
        tax_behavior=TaxBehavior(row.behavior),
        tax_rounding=TaxRounding(row.rounding),
        credit_application=CreditApplication(row.credit_application),
    )


def _by_customer(rows: Iterable[R]) -> Mapping[str, Sequence[R]]:
    grouped: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        grouped[row.customer_id].append(row)
    return grouped


async def give_back_discounts(tx: Transaction, invoice: Invoice) -> None:
    """Returns the discounts that a voided invoice used; the caller holds the customer's lock."""
    discounts = await discount_sql.list_restorable_discounts(
        tx, tenant_id=tx.tenant_id, ids=[used["discount_id"] for used in invoice.discounts]
    )
    if discounts:
        await discount_sql.mark_discounts(
            tx,
            tenant_id=tx.tenant_id,
            used_at=None,
            ids=[row.id for row in discounts],
            remaining_invoices=[(row.remaining_invoices or 0) + 1 for row in discounts],
            versions=[row.version + 1 for row in discounts],
        )
    for row in discounts:
        restored = discount_events.DiscountRestored(
            discount_id=row.id,
            coupon_id=row.coupon_id,
            customer_id=row.customer_id,
            invoice_id=invoice.id,
            remaining_invoices=(row.remaining_invoices or 0) + 1,
        )
        outbox.append(
            tx,
            restored,
            resource_id=row.id,
            resource_version=row.version + 1,
            ordering_key=row.customer_id,
        )


def _discount(row: discount_sql.ListDiscountsInForceRow, lines: Sequence[ReckonedLine]) -> Discount:
    scope = None
    if row.price_ids or row.subscription_id:
        scope = frozenset(
            str(place)
            for place, line in enumerate(lines)
            if (not row.price_ids or line.price_id in row.price_ids)
            and row.subscription_id in (None, line.subscription_id)
        )
    return Discount(
        id=row.id,
        kind=DiscountKind(row.kind),
        percent=row.percent,
        amount_minor=row.amount_minor,
        lines=scope,
    )
