"""Use cases of invoices: from a rated cycle to money received."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.branding.v1.branding_pb2 import Branding
from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.types.v1 import language_pb2
from billing_db import customer as customer_sql
from billing_db import invoice as invoice_sql
from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle, Customer, Invoice, InvoicePayment
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.branding.service import find_branding
from corebilling.domains.credit.service import NewCredit, give_back, grant
from corebilling.domains.customer.rows import find_customer
from corebilling.domains.invoice import ahead, cycle_draft, draft, reckoning, records
from corebilling.domains.invoice.model import (
    InvoiceState,
    Settlement,
    check_line,
    decide_finalization,
    decide_settlement,
    decide_void,
    decide_write_off,
    invoice_number,
    number_year,
)
from corebilling.domains.invoice.reckoning import Reckoning
from corebilling.domains.ledger.deferral import check_service
from corebilling.domains.ledger.deferral_service import DeferralService, NewDeferral
from corebilling.domains.ledger.model import AccountType, Source, reverse, sale, transfer, write_off
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.domains.rating.service import RatingService
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.subscription import rows as subscription_rows
from corebilling.errors import NotFound
from corebilling.mapping import enum_number, enum_text, instant, to_message
from corebilling.values.credit import CreditKind
from corebilling.values.exact import Fraction
from corebilling.values.ids import new_id
from corebilling.values.money import minor_units
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import Period
from corebilling.values.tax import TaxBehavior


@dataclass(frozen=True, slots=True)
class InvoicePolicy:
    """How invoices are numbered (`INV-2026-000001`), and how many days the customer has to pay.

    `tax_rate`: 0.1 is a tenth; of tenants without tax rates of their own.
    """

    number_prefix: str
    due_days: int
    tax_rate: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """All that a printed invoice shows. Who buys and sells is looked up when it is printed, never copied."""

    invoice: pb.Invoice
    seller: str
    customer: Customer
    branding: Branding
    language: int
    """A `billing.types.v1.Language`, never unspecified."""


class InvoiceService:
    """Drafts, finalizes, settles and withdraws invoices, and keeps the ledger in step."""

    def __init__(self, rating: RatingService, ledger: LedgerService, policy: InvoicePolicy) -> None:
        self._rating = rating
        self._ledger = ledger
        self._deferrals = DeferralService(ledger)
        self._policy = policy

    async def generate(self, tx: Transaction, causes: Mapping[str, eventv1.Event]) -> None:
        """Invoices rated cycles of the tenant, once each; finalizes the invoices if the tenant wants that.

        Args:
            causes: What each cycle is invoiced for, by the cycle's id.

        The caller holds the customers' locks.
        """
        cycles = await _claim(tx, list(causes))
        if not cycles:
            return
        charges = await cycle_draft.charges_of(tx, [cycle.id for cycle in cycles])
        # A period that was paused from beginning to end has nothing to be invoiced.
        cycles = [cycle for cycle in cycles if charges[cycle.id]]
        if not cycles:
            return
        tenant = await tenant_profile(tx)
        reckoning = await self._reckoning(tx, [cycle.customer_id for cycle in cycles], tenant)
        drafts = await cycle_draft.drafts(tx, reckoning, cycles, charges)
        # Of those on one invoice, only some may be among the causes.
        led = {
            made.invoice.id: next(causes[cycle.id] for cycle in made.cycles if cycle.id in causes)
            for made in drafts
        }
        await self._write(tx, reckoning, drafts, tenant, led, finalize=tenant.auto_finalize)

    async def get_invoice(self, tx: Transaction, request: rpc.GetInvoiceRequest) -> rpc.GetInvoiceResponse:
        invoice = await records.find(tx, request.invoice_id)
        return rpc.GetInvoiceResponse(invoice=await records.message(tx, invoice))

    async def list_invoices(
        self, tx: Transaction, request: rpc.ListInvoicesRequest
    ) -> rpc.ListInvoicesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await invoice_sql.list_invoices(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            subscription_id=request.subscription_id,
            state=enum_text(pb.InvoiceState, request.state) if request.state else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListInvoicesResponse(
            invoices=(to_message(row, pb.Invoice) for row in page), next_page_token=token
        )

    async def preview_invoice(
        self, tx: Transaction, request: rpc.PreviewInvoiceRequest
    ) -> rpc.PreviewInvoiceResponse:
        """The invoice of the newest period if no more were used in it: its whole fees, and the usage so far.
        Where a customer has several subscriptions on one invoice, with the others' periods that end with it.

        Raises:
            NotFound: SUBSCRIPTION_NOT_FOUND, or BILLING_CYCLE_NOT_FOUND when all periods are invoiced.
        """
        subscription = await subscription_rows.find(tx, request.subscription_id)
        cycle = await self.current_cycle(tx, subscription.id)
        cycles = await cycle_draft.together_with(tx, cycle)
        charges = dict(await cycle_draft.charges_of(tx, [one.id for one in cycles]))
        rated = await self._rating.rate(
            tx, [one for one in cycles if not (one.trial or one.state == CycleState.RATED)]
        )
        for one in cycles:
            if one.id in rated:
                charges[one.id], one.minimum_minor = rated[one.id].charges, rated[one.id].minimum_minor
            charges.setdefault(one.id, [])
        tenant = await tenant_profile(tx)
        reckoning = await self._reckoning(tx, [cycle.customer_id], tenant)
        (made,) = await cycle_draft.drafts(tx, reckoning, cycles, charges, subscription.currency)
        return rpc.PreviewInvoiceResponse(invoice=draft.message(made))

    async def current_cycle(self, tx: Transaction, subscription_id: str) -> BillingCycle:
        """The newest one.

        Raises:
            NotFound: BILLING_CYCLE_NOT_FOUND when it is the last, and has its invoice or is about to.
        """
        newest = await schedule_sql.find_newest_cycle(
            tx, tenant_id=tx.tenant_id, subscription_id=subscription_id
        )
        if newest is None or newest.state in (CycleState.RATED, CycleState.INVOICED):
            raise NotFound(
                "BILLING_CYCLE_NOT_FOUND",
                "The subscription has ended, and its last period is rated: its invoice is in ListInvoices, "
                "or about to be.",
                {"cycle_id": newest.id if newest else ""},
            )
        return newest

    async def create_invoice(
        self, tx: Transaction, request: rpc.CreateInvoiceRequest
    ) -> rpc.CreateInvoiceResponse:
        await tx.lock(request.customer_id)
        customer = await find_customer(tx, request.customer_id)
        tenant = await tenant_profile(tx)
        occasion = draft.Occasion(
            customer_id=customer.id,
            currency=customer.currency,
            period_start=tenant.now,
            period_end=tenant.now,
            description=request.description,
        )
        lines = [_one_time_line(item, customer.currency, tenant.now) for item in request.items]
        invoice = await self.make(tx, occasion, lines, tenant, finalize=request.finalize)
        return rpc.CreateInvoiceResponse(invoice=await records.message(tx, invoice))

    async def reissue_invoice(
        self, tx: Transaction, request: rpc.ReissueInvoiceRequest
    ) -> rpc.ReissueInvoiceResponse:
        tenant = await tenant_profile(tx)
        voided = await self._void(tx, await records.find_locked(tx, request.invoice_id), tenant.now)
        rows = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=voided.id)
        occasion = draft.Occasion(
            customer_id=voided.customer_id,
            currency=voided.currency,
            period_start=voided.period_start,
            period_end=voided.period_end,
            subscription_id=voided.subscription_id or "",
            cycle_id=voided.cycle_id or "",
            description=voided.description,
            replaces_invoice_id=voided.id,
        )
        lines = draft.copied_lines(rows)
        invoice = await self.make(tx, occasion, lines, tenant, finalize=request.finalize)
        await invoice_sql.copy_invoice_cycles(
            tx, tenant_id=tx.tenant_id, from_invoice_id=voided.id, to_invoice_id=invoice.id
        )
        return rpc.ReissueInvoiceResponse(
            voided=await records.message(tx, voided), invoice=await records.message(tx, invoice)
        )

    async def finalize_invoice(
        self, tx: Transaction, request: rpc.FinalizeInvoiceRequest
    ) -> rpc.FinalizeInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        tenant = await tenant_profile(tx)
        lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        deferred = ahead.of_rows(invoice, lines, tenant)
        announced = await self._finalize(tx, [invoice], tenant, causes={}, deferred=deferred)
        invoice = await records.save(tx, invoice, announced[invoice.id])
        await self._deferrals.defer(tx, deferred, tenant)
        return rpc.FinalizeInvoiceResponse(invoice=await records.message(tx, invoice))

    async def void_invoice(self, tx: Transaction, request: rpc.VoidInvoiceRequest) -> rpc.VoidInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        invoice = await self._void(tx, invoice, (await tenant_profile(tx)).now)
        return rpc.VoidInvoiceResponse(invoice=await records.message(tx, invoice))

    async def _void(self, tx: Transaction, invoice: Invoice, now: datetime) -> Invoice:
        """Withdraws an invoice; what it used of discounts and credits can be used again."""
        change = decide_void(
            InvoiceState(invoice.state),
            amount_paid_minor=invoice.amount_paid_minor,
            credited_minor=invoice.credited_minor,
        )
        await self._ledger.reverse(
            tx,
            posted=Source.INVOICE_FINALIZED,
            source_type=Source.INVOICE_VOIDED,
            source_id=invoice.id,
            posted_at=now,
        )
        await self._deferrals.void(tx, invoice.id, now)
        invoice.state = change.new
        invoice.amount_due_minor = 0
        invoice.voided_at = now
        await give_back(
            tx,
            self._ledger,
            {use["credit_id"]: int(use["amount_minor"]) for use in invoice.credits},
            invoice_id=invoice.id,
            occasion_id=invoice.id,
            now=now,
        )
        await reckoning.give_back_discounts(tx, invoice)
        await invoice_sql.void_invoice_cycles(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        voided = events.InvoiceVoided(invoice_id=invoice.id, number=invoice.number or "")
        return await records.save(tx, invoice, [records.status_changed(invoice, change), voided])

    async def write_off_invoice(
        self, tx: Transaction, request: rpc.WriteOffInvoiceRequest
    ) -> rpc.WriteOffInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        change = decide_write_off(InvoiceState(invoice.state))
        now = (await tenant_profile(tx)).now
        entries = write_off(invoice.amount_due_minor, invoice.currency)
        posting = Posting(Source.INVOICE_WRITTEN_OFF, invoice.id, invoice.customer_id, entries, now)
        await self._ledger.post(tx, [posting])
        invoice.state = change.new
        invoice.written_off_at = now
        written_off = events.InvoiceWrittenOff(
            invoice_id=invoice.id,
            number=invoice.number or "",
            currency=invoice.currency,
            amount_minor=invoice.amount_due_minor,
        )
        invoice = await records.save(tx, invoice, [records.status_changed(invoice, change), written_off])
        return rpc.WriteOffInvoiceResponse(invoice=await records.message(tx, invoice))

    async def record_payment(
        self, tx: Transaction, request: rpc.RecordPaymentRequest
    ) -> rpc.RecordPaymentResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        settlement = decide_settlement(
            InvoiceState(invoice.state),
            amount_paid_minor=invoice.amount_paid_minor,
            amount_due_minor=invoice.amount_due_minor,
            currency=invoice.currency,
            payment_minor=request.amount_minor,
            payment_currency=request.currency,
        )
        now = (await tenant_profile(tx)).now
        payment = await invoice_sql.insert_payment(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("pay"),
            invoice_id=invoice.id,
            amount_minor=request.amount_minor,
            currency=request.currency,
            reference=request.reference,
            received_at=now,
        )
        await self._ledger.post(tx, _payment_postings(invoice, payment, settlement, now))
        invoice.amount_paid_minor = settlement.amount_paid_minor
        invoice.amount_due_minor = settlement.amount_due_minor
        announced: list[Message] = [_payment_recorded(invoice, payment, settlement)]
        if settlement.change:
            announced += records.settle(invoice, settlement.change, now)
        invoice = await records.save(tx, invoice, announced)
        return rpc.RecordPaymentResponse(
            payment=to_message(payment, pb.InvoicePayment), invoice=await records.message(tx, invoice)
        )

    async def read_facts(self, tx: Transaction, request: rpc.RenderInvoiceRequest) -> InvoiceFacts:
        """What RenderInvoice prints; it is printed when the transaction is over.

        Raises NotFound (INVOICE_NOT_FOUND).
        """
        invoice = await records.find(tx, request.invoice_id)
        customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=invoice.customer_id)
        assert customer is not None, "an invoice refers to its customer"
        branding = await find_branding(tx)
        return InvoiceFacts(
            await records.message(tx, invoice),
            branding.display_name or await invoice_sql.get_seller_name(tx, tenant_id=tx.tenant_id),
            customer,
            branding,
            _language(
                request.language, enum_number(language_pb2.Language, customer.language), branding.language
            ),
        )

    async def _reckoning(
        self, tx: Transaction, customer_ids: Sequence[str], tenant: TenantProfile
    ) -> Reckoning:
        return await reckoning.load(
            tx,
            sorted(set(customer_ids)),
            now=tenant.now,
            default_percent=self._policy.tax_rate * 100,
        )

    async def make(
        self,
        tx: Transaction,
        occasion: draft.Occasion,
        lines: Sequence[draft.DraftLine],
        tenant: TenantProfile,
        *,
        finalize: bool,
    ) -> Invoice:
        """A new invoice over these lines, announced, and final if wanted; the customer is locked."""
        rules = await self._reckoning(tx, [occasion.customer_id], tenant)
        made = draft.new_draft(tx, rules, occasion, lines)
        await self._write(tx, rules, [made], tenant, {}, finalize=finalize)
        return await records.find(tx, made.invoice.id)

    async def preview(
        self,
        tx: Transaction,
        occasion: draft.Occasion,
        lines: Sequence[draft.DraftLine],
        tenant: TenantProfile,
    ) -> pb.Invoice:
        """What `make` would."""
        rules = await self._reckoning(tx, [occasion.customer_id], tenant)
        return draft.message(draft.new_draft(tx, rules, occasion, lines))

    async def _write(
        self,
        tx: Transaction,
        rules: Reckoning,
        drafts: Sequence[draft.Draft],
        tenant: TenantProfile,
        causes: Mapping[str, eventv1.Event],
        *,
        finalize: bool,
    ) -> None:
        """Writes and announces new invoices, and what they left of discounts and credits."""
        invoices = [made.invoice for made in drafts]
        await rules.save(tx, causes)
        announced = {invoice.id: [records.generated(invoice)] for invoice in invoices}
        deferred = ahead.of_drafts(drafts, tenant) if finalize else []
        if finalize:
            for invoice_id, steps in (await self._finalize(tx, invoices, tenant, causes, deferred)).items():
                announced[invoice_id] += steps
        for invoice in invoices:
            invoice.version = len(announced[invoice.id])
        await draft.insert(tx, drafts)
        await self._deferrals.defer(tx, deferred, tenant)
        for invoice in invoices:
            cause = causes.get(invoice.id)
            records.announce(tx, invoice, announced[invoice.id], first=1, cause=cause)

    async def _finalize(
        self,
        tx: Transaction,
        invoices: Sequence[Invoice],
        tenant: TenantProfile,
        causes: Mapping[str, eventv1.Event],
        deferred: Sequence[NewDeferral],
    ) -> dict[str, list[Message]]:
        """Posts, numbers and opens drafts; what is to be announced, by the invoice's id.

        The rows are left to be written, right after this: the numbers come last, for their counter is locked
        until the commit.
        """
        decided = [
            decide_finalization(
                InvoiceState(invoice.state),
                due_minor=invoice.amount_due_minor,
                now=tenant.now,
                due_days=self._policy.due_days,
            )
            for invoice in invoices
        ]
        for invoice in invoices:
            if invoice.amount_due_minor < 0:
                await _credit_below_zero(tx, invoice, tenant.now, causes.get(invoice.id))
        put_off: Counter[str] = Counter()
        for one in deferred:
            put_off[one.invoice_id] += one.deferral.remaining_minor
        await self._ledger.post(
            tx,
            [
                sold
                for invoice in invoices
                if (sold := _sale(invoice, tenant, causes.get(invoice.id), put_off[invoice.id])).entries
            ],
        )
        year = number_year(tenant.now, tenant.timezone)
        last = await invoice_sql.upsert_invoice_counter(
            tx, tenant_id=tx.tenant_id, year=year, count=len(invoices)
        )
        announced: dict[str, list[Message]] = {}
        for ordinal, (invoice, step) in enumerate(
            zip(invoices, decided, strict=True), start=last - len(invoices) + 1
        ):
            invoice.number = invoice_number(self._policy.number_prefix, year, ordinal)
            invoice.state = step.opened.new
            invoice.finalized_at = tenant.now
            invoice.due_at = step.due_at
            announced[invoice.id] = [records.status_changed(invoice, step.opened)]
            if step.paid:
                announced[invoice.id] += records.settle(invoice, step.paid, tenant.now)
        return announced


async def _claim(tx: Transaction, cycle_ids: Sequence[str]) -> list[BillingCycle]:
    """Those of the cycles that are to be invoiced now, with those on one invoice with them."""
    cycles = list(await invoice_sql.claim_rated_cycles(tx, tenant_id=tx.tenant_id, ids=cycle_ids))
    if len(cycles) < len(cycle_ids):
        cycles += await invoice_sql.claim_consolidated_cycles(tx, tenant_id=tx.tenant_id, ids=cycle_ids)
    return cycles


async def _credit_below_zero(
    tx: Transaction, invoice: Invoice, now: datetime, cause: eventv1.Event | None
) -> None:
    """What the invoice gives back becomes a prepaid credit: nothing is due, to neither side."""
    new = NewCredit(
        customer_id=invoice.customer_id,
        kind=CreditKind.PREPAID,
        currency=invoice.currency,
        amount_minor=-invoice.amount_due_minor,
        valid_from=now,
        description="Given back by an invoice",
    )
    credit = await grant(tx, new, cause)
    invoice.prepaid_minor += invoice.amount_due_minor
    invoice.credits = [
        *invoice.credits,
        {
            "credit_id": credit.id,
            "kind": "CREDIT_KIND_PREPAID",
            "amount_minor": invoice.amount_due_minor,
        },
    ]
    invoice.amount_due_minor = 0


def _sale(
    invoice: Invoice, tenant: TenantProfile, cause: eventv1.Event | None, deferred_minor: int
) -> Posting:
    """What finalizing the invoice enters into the books."""
    inclusive = invoice.tax_behavior == TaxBehavior.INCLUSIVE
    contained_minor = invoice.tax_minor if inclusive else 0
    entries = sale(
        due_minor=invoice.amount_due_minor,
        credited_minor=invoice.credit_minor + invoice.prepaid_minor,
        tax_minor=invoice.tax_minor,
        revenue_minor=invoice.subtotal_minor - invoice.discount_minor - contained_minor,
        currency=invoice.currency,
        deferred_minor=deferred_minor,
    )
    return Posting(
        Source.INVOICE_FINALIZED, invoice.id, invoice.customer_id, entries, tenant.now, cause=cause
    )


def _payment_postings(
    invoice: Invoice, payment: InvoicePayment, settlement: Settlement, now: datetime
) -> list[Posting]:
    """The money received; what had been written off of it is owed again first."""
    entries = transfer(
        payment.amount_minor, payment.currency, debit=AccountType.CASH, credit=AccountType.RECEIVABLE
    )
    received = Posting(Source.PAYMENT_RECORDED, payment.id, invoice.customer_id, entries, now)
    if not settlement.recovered:
        return [received]
    owed = reverse(write_off(payment.amount_minor, payment.currency))
    return [Posting(Source.INVOICE_RECOVERED, payment.id, invoice.customer_id, owed, now), received]


def _payment_recorded(
    invoice: Invoice, payment: InvoicePayment, settlement: Settlement
) -> events.InvoicePaymentRecorded:
    return events.InvoicePaymentRecorded(
        invoice_id=invoice.id,
        payment_id=payment.id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        amount_due_minor=invoice.amount_due_minor,
        recovered=settlement.recovered,
    )


def _one_time_line(item: rpc.OneTimeItem, currency: str, now: datetime) -> draft.DraftLine:
    quantity, unit_amount = Decimal(item.quantity or 1), Decimal(item.unit_amount)
    period = _service_period(item, now)
    return draft.DraftLine(
        type="one_time",
        description=item.description,
        period_start=period.start,
        period_end=period.end,
        quantity=quantity,
        unit_amount=unit_amount,
        unit_size=Decimal(1),
        amount_minor=check_line(minor_units(Fraction(quantity) * Fraction(unit_amount), currency)),
        price_id="",
        subscription_item_id="",
        tiers=[],
        steps=[],
        tax_category=item.tax_category,
    )


def _service_period(item: rpc.OneTimeItem, now: datetime) -> Period:
    if not item.HasField("service_period"):
        return Period(now, now)
    return check_service(Period(instant(item.service_period.start), instant(item.service_period.end)))


def _language(*wishes: int) -> int:
    """The first that is specified; else English."""
    return next(filter(None, wishes), language_pb2.LANGUAGE_EN)
