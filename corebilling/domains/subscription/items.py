"""What a new subscription is made of: the items it asks for, their prices, and their rows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing_db import catalog as catalog_sql
from billing_db import subscription as subscription_sql
from billing_db.models import SubscriptionItem

from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.model import PlanStatus
from corebilling.domains.catalog.rows import find_plan
from corebilling.domains.subscription.item_model import OfferedPrice, WantedItem, check_quantity
from corebilling.errors import FailedPrecondition, InvalidArgument, NotFound
from corebilling.mapping import decimal_text
from corebilling.values.ids import new_id
from corebilling.values.period import ALWAYS, IntervalUnit


async def wanted(
    tx: Transaction, request: rpc.CreateSubscriptionRequest | rpc.ChangeSubscriptionRequest
) -> list[WantedItem]:
    """The items of the request, or those of its plan.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID when it names both or neither.
        NotFound: PLAN_NOT_FOUND.
        FailedPrecondition: PLAN_DEPRECATED; PLAN_NOT_OFFERED to those limited to an account.
    """
    if bool(request.plan_id) == bool(request.items):
        detail = "name either a plan_id or items"
        raise InvalidArgument(
            "SUBSCRIPTION_ITEMS_INVALID", f"The items do not fit: {detail}.", {"detail": detail}
        )
    if request.items:
        return [
            WantedItem(item.price_id, Decimal(item.quantity) if item.quantity else None)
            for item in request.items
        ]
    plan = await find_plan(tx, request.plan_id)
    if plan.status == PlanStatus.DEPRECATED:
        raise FailedPrecondition(
            "PLAN_DEPRECATED", "The plan is deprecated; subscribe to another.", {"plan_id": request.plan_id}
        )
    if tx.caller.account is not None and not plan.offered:
        raise FailedPrecondition(
            "PLAN_NOT_OFFERED",
            "The plan is not offered to consumers; choose one that is, or ask the merchant for it.",
            {"plan_id": request.plan_id},
        )
    rows = await catalog_sql.list_plan_items(tx, tenant_id=tx.tenant_id, plan_ids=[plan.id])
    return [WantedItem(row.price_id, row.quantity) for row in rows]


async def offered_prices(tx: Transaction, wanted: Sequence[WantedItem]) -> dict[str, OfferedPrice]:
    """The prices that the items name, by id.

    Raises:
        NotFound: PRICE_NOT_FOUND.
    """
    ids = sorted({item.price_id for item in wanted})
    rows = await subscription_sql.list_prices_for_items(tx, tenant_id=tx.tenant_id, ids=ids)
    prices = {
        row.id: OfferedPrice(
            id=row.id,
            code=row.code,
            max_quantities=_max_quantities(row),
            metered=row.usage == "metered",
            meter_id=row.meter_id,
            interval_unit=cast("IntervalUnit | None", row.interval_unit),
            interval_count=row.interval_count,
        )
        for row in rows
    }
    for price_id in ids:
        if price_id not in prices:
            raise NotFound("PRICE_NOT_FOUND", "There is no such price.", {"price_id": price_id})
    return prices


def _max_quantities(row: subscription_sql.ListPricesForItemsRow) -> dict[str, Decimal | None]:
    """By currency that the price is sold in."""
    others = {option["currency"]: option["max_quantity"] for option in row.currency_options}
    return {row.currency: row.max_quantity} | {
        currency: Decimal(most) if most else None for currency, most in others.items()
    }


async def insert(
    tx: Transaction,
    subscription_id: str,
    items: Sequence[WantedItem],
    *,
    starts_at: datetime = ALWAYS.start,
    billed_from: Sequence[datetime] | None = None,
    places: Sequence[int] | None = None,
) -> Sequence[SubscriptionItem]:
    """Writes the items in their order, or at their places among others.

    A subscription's first ones have no start of their own, nor have their fees.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID when there are more than an invoice line can hold at
            negotiated amounts.
    """
    rows = await subscription_sql.insert_subscription_items(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id=subscription_id,
        ids=[new_id("sit") for _ in items],
        positions=places or list(range(1, len(items) + 1)),
        price_ids=[item.price_id for item in items],
        starts_at=starts_at,
        billed_from=billed_from or [ALWAYS.start for _ in items],
        quantities=["" if item.quantity is None else decimal_text(item.quantity) for item in items],
    )
    for row in rows:
        check_quantity(row.price_id, row.quantity, row.max_quantity)
    return rows
