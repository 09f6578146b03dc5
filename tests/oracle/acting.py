"""What a customer does, as calls of the platform."""

from collections.abc import Sequence
from typing import Any

import grpc
from billing.catalog.v1 import catalog_pb2, price_override_service_pb2
from billing.catalog.v1.price_override_service_pb2_grpc import PriceOverrideServiceStub
from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.discount.v1 import discount_pb2, discount_service_pb2
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceStub
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import enum_number, timestamp
from corebilling.values.ids import new_id
from tests.oracle.shop import Account, Shop
from tests.oracle.world import (
    Action,
    Cancel,
    Change,
    Correct,
    Grant,
    Item,
    Negotiate,
    Pause,
    Redeem,
    Rerate,
    Resume,
    Subscribe,
    Threshold,
    Use,
    Watch,
)


async def is_accepted(shop: Shop, account: Account, action: Action) -> bool:
    try:
        await act(shop, account, action)
    except grpc.aio.AioRpcError as error:
        if error.code() not in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.NOT_FOUND,
        ):
            raise
        return False
    return True


async def act(shop: Shop, account: Account, action: Action) -> None:
    subscriptions, name = shop.stub(SubscriptionServiceStub), account.subscription_id
    match action:
        case Subscribe():
            made = await subscriptions.CreateSubscription(
                subscription_service_pb2.CreateSubscriptionRequest(
                    request_id=new_id("req"),
                    customer_id=account.id,
                    items=_items(account, action.items),
                    trial_days=action.trial_days,
                    minimum_commitment_minor=action.commitment_minor,
                    spend_thresholds=_thresholds(action.thresholds),
                    start_at=timestamp(action.start_at),
                )
            )
            account.subscription_id = made.subscription.id
        case Change():
            await subscriptions.ChangeSubscription(
                subscription_service_pb2.ChangeSubscriptionRequest(
                    request_id=new_id("req"),
                    subscription_id=name,
                    items=_items(account, action.items),
                    proration_behavior=enum_number(  # type: ignore[arg-type]
                        subscription_pb2.ProrationBehavior, action.behavior
                    ),
                    at_period_end=action.at_period_end,
                    effective_at=timestamp(action.effective_at) if action.effective_at else None,
                    minimum_commitment_minor=action.commitment_minor,
                )
            )
        case Watch():
            await subscriptions.SetSpendThresholds(
                subscription_service_pb2.SetSpendThresholdsRequest(
                    request_id=new_id("req"),
                    subscription_id=name,
                    spend_thresholds=_thresholds(action.thresholds),
                )
            )
        case Pause():
            request = subscription_service_pb2.PauseSubscriptionRequest(
                request_id=new_id("req"), subscription_id=name
            )
            await subscriptions.PauseSubscription(request)
        case Resume():
            await subscriptions.ResumeSubscription(
                subscription_service_pb2.ResumeSubscriptionRequest(
                    request_id=new_id("req"), subscription_id=name
                )
            )
        case Cancel():
            await subscriptions.CancelSubscription(
                subscription_service_pb2.CancelSubscriptionRequest(
                    request_id=new_id("req"), subscription_id=name, at_period_end=action.at_period_end
                )
            )
        case Use():
            await shop.stub(UsageServiceStub).ReportUsage(
                usage_service_pb2.ReportUsageRequest(record=record(account, action))
            )
        case Correct():
            await _correct(shop, account, action)
        case Rerate():
            await _rerate(shop, account, action)
        case Negotiate():
            await _negotiate(shop, account, action)
        case Grant():
            account.credits.append(await _grant(shop, account, action))
        case Redeem():
            await _redeem(shop, account, action)


async def _correct(shop: Shop, account: Account, action: Correct) -> None:
    terms: dict[str, Any] = {
        "request_id": new_id("req"),
        "idempotency_key": account.keys[action.record],
        "reason": "reported wrongly",
    }
    usage = shop.stub(UsageServiceStub)
    if action.quantity:
        await usage.CorrectUsage(usage_service_pb2.CorrectUsageRequest(quantity=action.quantity, **terms))
    else:
        await usage.RetractUsage(usage_service_pb2.RetractUsageRequest(**terms))


async def _rerate(shop: Shop, account: Account, action: Rerate) -> None:
    invoices = shop.stub(InvoiceServiceStub)
    listed = await invoices.ListInvoices(
        invoice_service_pb2.ListInvoicesRequest(customer_id=account.id, page_size=action.back + 1)
    )
    cycles = [invoice.cycle_id for invoice in listed.invoices]
    await invoices.RerateCycle(
        invoice_service_pb2.RerateCycleRequest(
            request_id=new_id("req"),
            cycle_id=cycles[action.back] if action.back < len(cycles) else "none",
            price_id=account.prices[action.wrong],
            corrected_price_id=account.prices[action.right],
            reason="the price list was wrong",
        )
    )


async def _negotiate(shop: Shop, account: Account, action: Negotiate) -> None:
    terms, until = action.terms, action.valid_until
    await shop.stub(PriceOverrideServiceStub).SetPriceOverride(
        price_override_service_pb2.SetPriceOverrideRequest(
            request_id=new_id("req"),
            price_id=account.prices[action.price],
            customer_id="" if action.for_subscription else account.id,
            subscription_id=account.subscription_id if action.for_subscription else "",
            unit_amount=terms.unit_amount,
            tiers=[catalog_pb2.PriceTier(**vars(tier)) for tier in terms.tiers],
            included_quantity=terms.included_quantity,
            minimum_amount=terms.minimum_amount,
            maximum_amount=terms.maximum_amount,
            valid_from=timestamp(action.valid_from) if action.valid_from else None,
            valid_until=timestamp(until) if until else None,
        )
    )


async def _grant(shop: Shop, account: Account, action: Grant) -> str:
    request = credit_service_pb2.GrantCreditRequest(
        request_id=new_id("req"),
        customer_id=account.id,
        kind=enum_number(credit_pb2.CreditKind, action.kind),  # type: ignore[arg-type]
        amount_minor=action.amount_minor,
        valid_from=timestamp(action.valid_from),
        valid_until=timestamp(action.valid_until) if action.valid_until else None,
        priority=action.priority,
    )
    return str((await shop.stub(CreditServiceStub).GrantCredit(request)).credit.id)


async def _redeem(shop: Shop, account: Account, action: Redeem) -> None:
    duration = {0: "forever", 1: "once"}.get(action.invoices, "repeating")
    coupon = discount_service_pb2.CreateCouponRequest(
        request_id=new_id("req"),
        code=new_id("C").replace("_", "-"),
        name="Coupon",
        kind=enum_number(  # type: ignore[arg-type]
            discount_pb2.DiscountKind, "percent" if action.percent else "fixed"
        ),
        percent=action.percent,
        amount_minor=action.amount_minor,
        currency="" if action.percent else account.currency,
        duration=enum_number(discount_pb2.DiscountDuration, duration),  # type: ignore[arg-type]
        duration_invoices=action.invoices if duration == "repeating" else 0,
        price_ids=[account.prices[price] for price in action.prices],
    )
    await shop.stub(DiscountServiceStub).CreateCoupon(coupon)
    await shop.stub(DiscountServiceStub).RedeemCoupon(
        discount_service_pb2.RedeemCouponRequest(
            request_id=new_id("req"), code=coupon.code, customer_id=account.id
        )
    )


def record(account: Account, use: Use) -> usage_pb2.UsageRecord:
    account.keys.append(new_id("key"))
    return usage_pb2.UsageRecord(
        idempotency_key=account.keys[-1],
        subscription_id=account.subscription_id,
        meter_code=use.meter,
        quantity=use.quantity,
        recorded_at=timestamp(use.at),
        properties=dict(use.properties),
    )


def _thresholds(wanted: Sequence[Threshold]) -> list[subscription_pb2.SpendThreshold]:
    return [subscription_pb2.SpendThreshold(**vars(one)) for one in wanted]


def _items(account: Account, items: Sequence[Item]) -> list[subscription_service_pb2.NewSubscriptionItem]:
    return [
        subscription_service_pb2.NewSubscriptionItem(
            price_id=account.prices[item.price], quantity=item.quantity
        )
        for item in items
    ]
