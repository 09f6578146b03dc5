"""Previews of invoices to come: what is supposed is done, time goes on to the invoice, and all is undone.

So the invoice is worked out by the code that will work it out, whatever a change does to the subscription.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing.discount.v1 import discount_service_pb2
from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.subscription.v1 import subscription_pb2
from billing_db import invoice as invoice_sql
from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.discount.service import DiscountService
from corebilling.domains.invoice import cycle_draft, draft, records
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.rating.service import RatingService
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.schedule.service import ScheduleService
from corebilling.domains.subscription import rows as subscription_rows
from corebilling.domains.subscription.service import SubscriptionService
from corebilling.errors import InvalidArgument, NotFound
from corebilling.mapping import to_message

_MOST_STEPS = 5000
"""A thousand periods on one invoice; most previews take a handful."""


class PreviewService:
    """Rehearses what a call would lead to."""

    def __init__(
        self,
        maker: InvoiceMaker,
        rating: RatingService,
        schedule: ScheduleService,
        subscriptions: SubscriptionService,
        discounts: DiscountService,
    ) -> None:
        self._maker = maker
        self._rating = rating
        self._schedule = schedule
        self._subscriptions = subscriptions
        self._discounts = discounts

    async def preview_invoice(
        self, tx: Transaction, request: rpc.PreviewInvoiceRequest
    ) -> rpc.PreviewInvoiceResponse:
        """The next invoice from the current period on if the request's hypothesis were true.

        Raises:
            InvalidArgument: PREVIEW_INVALID.
            NotFound: SUBSCRIPTION_NOT_FOUND, or BILLING_CYCLE_NOT_FOUND when all periods are invoiced.
            ResourceExhausted: PREVIEW_LIMIT_REACHED; and whatever the supposed call raises.
        """
        if not (request.WhichOneof("hypothesis") or request.coupon_code or request.assumed_usage):
            return await self._as_it_is(tx, request)
        async with tx.rehearse():
            invoice = await self._rehearse(tx, request)
        return rpc.PreviewInvoiceResponse(invoice=invoice)

    async def _as_it_is(
        self, tx: Transaction, request: rpc.PreviewInvoiceRequest
    ) -> rpc.PreviewInvoiceResponse:
        """The invoice of the newest period if no more were used in it: its whole fees, and the usage so far.
        Where a customer has several subscriptions on one invoice, with the others' periods that end with it.

        Raises:
            NotFound: SUBSCRIPTION_NOT_FOUND, or BILLING_CYCLE_NOT_FOUND when all periods are invoiced.
        """
        subscription = await subscription_rows.find(tx, request.subscription_id)
        cycle = await _current_cycle(tx, subscription.id)
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
        reckoning = await self._maker.reckoning(tx, [cycle.customer_id], tenant)
        made = await cycle_draft.drafts(tx, reckoning, cycles, charges)
        if not made:
            return rpc.PreviewInvoiceResponse(invoice=_empty(cycle, subscription.currency))
        invoice = draft.message(made[0], finalize=tenant.auto_finalize)
        return rpc.PreviewInvoiceResponse(invoice=invoice)

    async def _rehearse(self, tx: Transaction, request: rpc.PreviewInvoiceRequest) -> pb.Invoice:
        subscription_id = _subscription_id(request)
        first = await self._present_cycle(tx, subscription_id) if subscription_id else None
        subscription = await self._suppose(tx, request, subscription_id)
        if first is None:
            (first,) = await _pending(tx, subscription.id, limit_rows=1)
        if request.coupon_code:
            await self._discounts.redeem_coupon(
                tx,
                discount_service_pb2.RedeemCouponRequest(
                    code=request.coupon_code,
                    customer_id=subscription.customer_id,
                    subscription_id=subscription.id,
                ),
            )
        return await self._next_invoice(tx, subscription, first, _assumed(request, subscription))

    async def _present_cycle(self, tx: Transaction, subscription_id: str) -> BillingCycle:
        """The one whose invoice is the next that a change now can have a say in."""
        await self._subscriptions.find_present(tx, subscription_id)
        return await _current_cycle(tx, subscription_id)

    async def _suppose(
        self, tx: Transaction, request: rpc.PreviewInvoiceRequest, subscription_id: str
    ) -> subscription_pb2.Subscription:
        """Does what the request supposes; the subscription as it then is."""
        service = self._subscriptions
        match request.WhichOneof("hypothesis"):
            case "create":
                return (await service.create_subscription(tx, request.create)).subscription
            case "change":
                return (await service.change_subscription(tx, request.change)).subscription
            case "cancel":
                return (await service.cancel_subscription(tx, request.cancel)).subscription
            case "pause":
                return (await service.pause_subscription(tx, request.pause)).subscription
            case "resume":
                return (await service.resume_subscription(tx, request.resume)).subscription
            case _:
                return await service.read(tx, subscription_id)

    async def _next_invoice(
        self,
        tx: Transaction,
        subscription: subscription_pb2.Subscription,
        first: BillingCycle,
        assumed: Mapping[str, Decimal],
    ) -> pb.Invoice:
        """Takes step after step, as the scheduler and the handlers would, until the first cycle from this one
        on is invoiced. Where there is nothing to be invoiced, the invoice has no lines."""
        now = (await tenant_profile(tx)).now
        settled: list[str] = []
        target: BillingCycle | None = None
        for _ in range(_MOST_STEPS):
            together = first.customer_id if first.consolidated else ""
            pending = await _pending(tx, subscription.id, together, limit_rows=len(settled) + 1)
            cycle = next((one for one in pending if one.id not in settled), None)
            if cycle is None:
                break
            if cycle.state not in (CycleState.CLOSED, CycleState.RATED):
                assert cycle.due_at is not None, "what is neither closed nor due has nothing to wait for"
                tx.rehearsed_at = now = max(now, cycle.due_at)
                await self._schedule.step_cycle(tx, customer_id=cycle.customer_id, cycle_id=cycle.id)
                continue
            settled.append(cycle.id)
            wanted = _is_wanted(cycle, first)
            await self._settle(tx, cycle, assumed if wanted else {})
            target = target or (cycle if wanted else None)
            if target is None:
                continue
            invoice = await invoice_sql.find_cycle_invoice(tx, tenant_id=tx.tenant_id, cycle_id=target.id)
            if invoice is not None:
                return await _shown(tx, invoice.id)
            if not target.consolidated:
                break
        else:
            raise cycle_draft.preview_limit_reached(_MOST_STEPS)
        return _empty(target or first, subscription.currency)

    async def _settle(self, tx: Transaction, cycle: BillingCycle, assumed: Mapping[str, Decimal]) -> None:
        """Rates and invoices a closed cycle, as the handlers of its events would."""
        causes = {cycle.id: eventv1.Event()}
        await self._rating.rate_cycles(tx, causes, assumed)
        await self._maker.generate(tx, causes)


async def _current_cycle(tx: Transaction, subscription_id: str) -> BillingCycle:
    """The newest one.

    Raises:
        NotFound: BILLING_CYCLE_NOT_FOUND when it is the last, and has its invoice or is about to.
    """
    newest = await schedule_sql.find_newest_cycle(tx, tenant_id=tx.tenant_id, subscription_id=subscription_id)
    if newest is None or newest.state in (CycleState.RATED, CycleState.INVOICED):
        raise NotFound(
            "BILLING_CYCLE_NOT_FOUND",
            "The subscription has ended, and its last period is rated: its invoice is in ListInvoices, "
            "or about to be.",
            {"cycle_id": newest.id if newest else ""},
        )
    return newest


def _subscription_id(request: rpc.PreviewInvoiceRequest) -> str:
    """Which subscription the request is about; '' when it is to be made.

    Raises:
        InvalidArgument: PREVIEW_INVALID when it names none, or two.
    """
    named = {request.subscription_id} - {""}
    hypothesis = request.WhichOneof("hypothesis")
    if hypothesis and hypothesis != "create":
        named.add(getattr(request, hypothesis).subscription_id)
    if hypothesis == "create" and named:
        raise _invalid("it is about a subscription that is yet to be made: name no other")
    if hypothesis != "create" and len(named) != 1:
        raise _invalid("name one subscription")
    return next(iter(named), "")


def _assumed(
    request: rpc.PreviewInvoiceRequest, subscription: subscription_pb2.Subscription
) -> Mapping[str, Decimal]:
    known = {item.meter_code for item in subscription.items}
    assumed = {one.meter_code: Decimal(one.quantity) for one in request.assumed_usage}
    for one in request.assumed_usage:
        if one.meter_code not in known:
            raise _invalid(f"no item of the subscription has the meter {one.meter_code}")
    if len(assumed) < len(request.assumed_usage):
        raise _invalid("assume one quantity for each meter")
    return assumed


def _invalid(detail: str) -> InvalidArgument:
    return InvalidArgument(
        "PREVIEW_INVALID", f"The preview contradicts itself: {detail}.", {"detail": detail}
    )


async def _pending(
    tx: Transaction, subscription_id: str, together_customer_id: str = "", *, limit_rows: int
) -> Sequence[BillingCycle]:
    """The first of them: as many as are asked for."""
    return await schedule_sql.list_pending_cycles(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id=subscription_id,
        together_customer_id=together_customer_id,
        limit_rows=limit_rows,
    )


def _is_wanted(cycle: BillingCycle, first: BillingCycle) -> bool:
    """Whether it bills the subscription's period that is asked for, or one after it."""
    return (
        cycle.subscription_id == first.subscription_id
        and cycle.period_start >= first.period_start
        and not cycle.threshold_minor
    )


async def _shown(tx: Transaction, invoice_id: str) -> pb.Invoice:
    """The invoice as a draft: nothing that identifies it is true but now."""
    invoice = await records.message(tx, await records.find(tx, invoice_id))
    for name in ("id", "number", "version", "finalized_at", "due_at", "paid_at", "created_at"):
        invoice.ClearField(name)
    invoice.state = pb.INVOICE_STATE_DRAFT
    for line in invoice.lines:
        line.ClearField("id")
        line.ClearField("charge_id")
    return invoice


def _empty(cycle: BillingCycle, currency: str) -> pb.Invoice:
    return to_message(cycle, pb.Invoice, id="", version=0, state=pb.INVOICE_STATE_DRAFT, currency=currency)
