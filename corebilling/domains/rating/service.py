"""Use cases of rating: a closed cycle becomes charges."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from billing.event.v1 import event_pb2 as eventv1
from billing.rating.v1 import rating_events_pb2 as events
from billing.rating.v1 import rating_pb2
from billing.rating.v1 import rating_service_pb2 as rpc
from billing.types.v1 import money_pb2
from billing.usage.v1 import usage_events_pb2
from billing_db import catalog as catalog_sql
from billing_db import models
from billing_db import rating as rating_sql
from billing_db import schedule as schedule_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.rating.model import (
    Charge,
    LateUsage,
    Price,
    PricedItem,
    PriceModel,
    Tier,
    TierCharge,
    decide_charges,
    rate,
)
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import decimal_text, instant, to_message
from corebilling.values.ids import new_id
from corebilling.values.money import exact_amount
from corebilling.values.period import Period

_PriceRow = models.Price | rating_sql.ListRatedItemsRow


class RatingService:
    """Rates cycles once they are closed; previews what they and single prices come to."""

    async def rate_cycle(self, tx: Transaction, cycle_id: str) -> None:
        """Charges a closed cycle, and announces it. Trials, and what was rated before, are left alone.

        The caller holds the customer's lock.
        """
        cycle = await rating_sql.claim_closed_cycle(tx, tenant_id=tx.tenant_id, id=cycle_id)
        if cycle is None:
            return
        charges = await self.charges_of(tx, cycle)
        await _insert(tx, cycle.id, charges)
        amount = sum((Fraction(charge.amount) for charge in charges), Fraction(0))
        outbox.append(
            tx,
            events.RatingCompleted(
                cycle_id=cycle.id,
                subscription_id=cycle.subscription_id,
                customer_id=cycle.customer_id,
                charge_count=len(charges),
                currency=charges[0].currency,
                amount=decimal_text(exact_amount(amount)),
            ),
            resource_id=cycle.id,
            resource_version=cycle.version,
            ordering_key=cycle.customer_id,
        )

    async def charges_of(self, tx: Transaction, cycle: models.BillingCycle) -> list[models.Charge]:
        """What the cycle's fees and its usage so far come to, with what came late for earlier ones.

        The rows are not written yet.
        """
        items = await rating_sql.list_rated_items(
            tx, tenant_id=tx.tenant_id, subscription_id=cycle.subscription_id
        )
        usage = await rating_sql.list_unbilled_usage(
            tx,
            tenant_id=tx.tenant_id,
            subscription_id=cycle.subscription_id,
            period_start=cycle.period_start,
        )
        start = cycle.period_start
        charges = decide_charges(
            Period(start, cycle.period_end),
            Period(start, cycle.full_period_end),
            [PricedItem(row.item_id, _price(row), row.quantity) for row in items],
            {row.subscription_item_id: row.quantity for row in usage if row.period_start == start},
            [_late_usage(row) for row in usage if row.period_start < start],
        )
        return [_row(tx, cycle.id, charge) for charge in charges]

    async def announce_rated(
        self, tx: Transaction, event: eventv1.Event, reported: usage_events_pb2.UsageReported
    ) -> None:
        """Announces what the period's usage comes to with the event; a trial's is passed over.

        The amount follows the total: it has an id of its own, and the total's versions.
        """
        row = await rating_sql.find_billed_price(
            tx,
            tenant_id=tx.tenant_id,
            subscription_item_id=reported.subscription_item_id,
            period_start=instant(reported.period.start),
        )
        if row is None:
            return
        price = _price(row)
        rated = rate(price, Decimal(reported.total_quantity))
        outbox.append(
            tx,
            usage_events_pb2.UsageRated(
                subscription_id=reported.subscription_id,
                subscription_item_id=reported.subscription_item_id,
                period=reported.period,
                quantity=reported.total_quantity,
                amount=decimal_text(exact_amount(rated.amount)),
                currency=price.currency,
            ),
            resource_id=f"{event.resource_id}:amount",
            resource_version=event.metadata.resource_version,
            ordering_key=event.metadata.ordering_key,
        )

    async def list_charges(self, tx: Transaction, request: rpc.ListChargesRequest) -> rpc.ListChargesResponse:
        if await schedule_sql.find_billing_cycle(tx, tenant_id=tx.tenant_id, id=request.cycle_id) is None:
            raise NotFound(
                "BILLING_CYCLE_NOT_FOUND", "There is no such billing cycle.", {"cycle_id": request.cycle_id}
            )
        rows = await rating_sql.list_charges(tx, tenant_id=tx.tenant_id, cycle_id=request.cycle_id)
        return rpc.ListChargesResponse(charges=(to_message(row, rating_pb2.Charge) for row in rows))

    async def preview_price(
        self, tx: Transaction, request: rpc.PreviewPriceRequest
    ) -> rpc.PreviewPriceResponse:
        row = await catalog_sql.find_price(tx, tenant_id=tx.tenant_id, id=request.price_id)
        if row is None:
            raise NotFound("PRICE_NOT_FOUND", "There is no such price.", {"price_id": request.price_id})
        rated = rate(_price(row), Decimal(request.quantity))
        return rpc.PreviewPriceResponse(
            amount=decimal_text(exact_amount(rated.amount)),
            currency=row.currency,
            tiers=(money_pb2.TierCharge(**_tier_object(tier)) for tier in rated.tiers),
        )


def _price(row: _PriceRow) -> Price:
    """The price of a row, its tiers' decimals read from their texts."""
    return Price(
        id=row.id,
        description=row.description,
        currency=row.currency,
        model=PriceModel(row.model),
        metered=row.usage == "metered",
        unit_amount=row.unit_amount,
        unit_size=row.unit_size,
        tiers=tuple(
            Tier(
                up_to=Decimal(tier["up_to"]) if tier["up_to"] else None,
                unit_amount=Decimal(tier["unit_amount"]),
                flat_amount=Decimal(tier["flat_amount"]),
            )
            for tier in row.tiers
        ),
    )


def _tier_object(tier: TierCharge) -> dict[str, str]:
    """As rows keep it: a `billing.types.v1.TierCharge` in JSON."""
    return {
        "from_quantity": decimal_text(tier.from_quantity),
        "up_to": "" if tier.up_to is None else decimal_text(tier.up_to),
        "quantity": decimal_text(exact_amount(tier.quantity)),
        "unit_amount": decimal_text(tier.unit_amount),
        "flat_amount": decimal_text(tier.flat_amount),
        "amount": decimal_text(exact_amount(tier.amount)),
    }


def _late_usage(row: rating_sql.ListUnbilledUsageRow) -> LateUsage:
    return LateUsage(
        item_id=row.subscription_item_id,
        period=Period(row.period_start, row.period_end),
        quantity=row.quantity,
        billed_quantity=row.billed_quantity,
    )


def _row(tx: Transaction, cycle_id: str, charge: Charge) -> models.Charge:
    return models.Charge(
        tenant_id=tx.tenant_id,
        id=new_id("chg"),
        cycle_id=cycle_id,
        subscription_item_id=charge.item_id,
        kind=charge.kind,
        price_id=charge.price.id,
        description=charge.description,
        period_start=charge.period.start,
        period_end=charge.period.end,
        quantity=charge.quantity,
        unit_amount=charge.price.unit_amount,
        unit_size=charge.price.unit_size,
        currency=charge.price.currency,
        amount=charge.amount,
        tiers=[_tier_object(tier) for tier in charge.tiers],
        created_at=tx.now,
    )


async def _insert(tx: Transaction, cycle_id: str, rows: Sequence[models.Charge]) -> None:
    await rating_sql.insert_charges(
        tx,
        tenant_id=tx.tenant_id,
        cycle_id=cycle_id,
        created_at=tx.now,
        ids=[row.id for row in rows],
        subscription_item_ids=[row.subscription_item_id for row in rows],
        kinds=[row.kind for row in rows],
        price_ids=[row.price_id for row in rows],
        descriptions=[row.description for row in rows],
        period_starts=[row.period_start for row in rows],
        period_ends=[row.period_end for row in rows],
        quantities=[row.quantity for row in rows],
        unit_amounts=["" if row.unit_amount is None else decimal_text(row.unit_amount) for row in rows],
        unit_sizes=[row.unit_size for row in rows],
        currencies=[row.currency for row in rows],
        amounts=[row.amount for row in rows],
        tiers=[row.tiers for row in rows],
    )
