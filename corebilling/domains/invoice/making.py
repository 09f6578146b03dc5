"""Making invoices: of rated cycles, and of lines that somebody chose; as drafts, or final at once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_pb2 as pb
from billing_db import invoice as invoice_sql
from billing_db.models import BillingCycle, Invoice

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import ahead, cycle_draft, draft, reckoning, records
from corebilling.domains.invoice.finalizing import Finalizer
from corebilling.domains.invoice.reckoning import Reckoning
from corebilling.domains.ledger.deferral_service import DeferralService
from corebilling.domains.ledger.service import LedgerService


class InvoiceMaker:
    """Works out, writes and announces new invoices.

    Args:
        tax_rate: 0.1 is a tenth; of tenants without tax rates of their own.
    """

    def __init__(self, ledger: LedgerService, finalizer: Finalizer, tax_rate: Decimal = Decimal(0)) -> None:
        self._finalizer = finalizer
        self._deferrals = DeferralService(ledger)
        self._tax_rate = tax_rate

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
        billed = [cycle for cycle in cycles if charges[cycle.id] or cycle.minimum_minor]
        if not billed:
            return
        tenant = await tenant_profile(tx)
        reckoning = await self.reckoning(tx, [cycle.customer_id for cycle in billed], tenant)
        drafts = await cycle_draft.drafts(tx, reckoning, billed, charges)
        if drafts:
            led = _led(drafts, cycles, causes)
            await self._write(tx, reckoning, drafts, tenant, led, finalize=tenant.auto_finalize)

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
        rules = await self.reckoning(tx, [occasion.customer_id], tenant)
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
        """What `make` would, final if the tenant wants that."""
        rules = await self.reckoning(tx, [occasion.customer_id], tenant)
        return draft.message(draft.new_draft(tx, rules, occasion, lines), finalize=tenant.auto_finalize)

    async def reckoning(
        self, tx: Transaction, customer_ids: Sequence[str], tenant: TenantProfile
    ) -> Reckoning:
        return await reckoning.load(
            tx,
            sorted(set(customer_ids)),
            now=tenant.now,
            default_percent=self._tax_rate * 100,
        )

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
            opened = await self._finalizer.finalize(tx, invoices, tenant, causes, deferred)
            for invoice_id, steps in opened.items():
                announced[invoice_id] += steps
        for invoice in invoices:
            invoice.version = len(announced[invoice.id])
        await draft.insert(tx, drafts)
        await self._deferrals.defer(tx, deferred, tenant)
        for invoice in invoices:
            cause = causes.get(invoice.id)
            records.announce(tx, invoice, announced[invoice.id], first=1, cause=cause)


def _led(
    drafts: Sequence[draft.Draft], cycles: Sequence[BillingCycle], causes: Mapping[str, eventv1.Event]
) -> dict[str, eventv1.Event]:
    """What each invoice is made for. Of the cycles on one, only some may be among the causes; or none, if it
    waited for one that has nothing on it."""
    awaited = {(one.customer_id, one.period_end): causes[one.id] for one in cycles if one.id in causes}
    led = {}
    for made in drafts:
        first = made.cycles[0]
        own = (causes[one.id] for one in made.cycles if one.id in causes)
        led[made.invoice.id] = next(own, None) or awaited[first.customer_id, first.period_end]
    return led


async def _claim(tx: Transaction, cycle_ids: Sequence[str]) -> list[BillingCycle]:
    """Those of the cycles that are to be invoiced now, with those on one invoice with them."""
    cycles = list(await invoice_sql.claim_rated_cycles(tx, tenant_id=tx.tenant_id, ids=cycle_ids))
    if len(cycles) < len(cycle_ids):
        cycles += await invoice_sql.claim_consolidated_cycles(tx, tenant_id=tx.tenant_id, ids=cycle_ids)
    return cycles
