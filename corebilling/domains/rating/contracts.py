"""What subscriptions are made of, as far as rating goes by it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from billing_db import models
from billing_db import price_override as override_sql
from billing_db import rating as rating_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.rating.model import Negotiated, PricedItem
from corebilling.domains.rating.prices import negotiated_price, price_of
from corebilling.values.commitment import Committed, read
from corebilling.values.period import ALWAYS, Period
from corebilling.values.price import Price


@dataclass(frozen=True, slots=True)
class Contract:
    """What a subscription is and was made of, from when to when, and whose days count."""

    items: list[PricedItem]
    timezone: str
    service: Period
    committed: Sequence[Committed] | None
    corrected: dict[str, Price]
    """What periods of it were rated with again, by the price's id."""
    meters: dict[str, str] = field(default_factory=dict)
    """The meter of each metered item."""

    def last_item(self, meter_code: str, period: Period) -> PricedItem | None:
        """The one whose usage the meter's is at the period's end, if any."""
        served = [
            item
            for item in self.items
            if self.meters.get(item.id) == meter_code and item.served.start < period.end
        ]
        last = max(served, key=lambda item: item.served.start, default=None)
        return last if last and last.served.end > period.start else None


async def load_contracts(
    tx: Transaction,
    since: Mapping[str, datetime],
    item_ids: Collection[str],
    corrected: Mapping[str, Collection[str]],
) -> dict[str, Contract]:
    """By subscription, with the items that served since then, and those named."""
    rows = await rating_sql.list_rated_items(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=list(since),
        since=list(since.values()),
        item_ids=sorted(item_ids),
    )
    price_ids = sorted(
        {row.price_id for row in rows} | {price_id for several in corrected.values() for price_id in several}
    )
    found = await rating_sql.list_rated_prices(tx, tenant_id=tx.tenant_id, ids=price_ids)
    by_id = {row.id: row for row in found}
    prices = {
        pair: price_of(by_id[pair[0]], pair[1]) for pair in {(row.price_id, row.currency) for row in rows}
    }
    negotiated = await _negotiated(tx, rows, by_id)
    contracts: dict[str, Contract] = {}
    for row in rows:
        service = Period(row.paid_from, row.ended_at or ALWAYS.end)
        contract = contracts.get(row.subscription_id)
        if contract is None:
            committed = None if row.commitments is None else read(row.commitments)
            contract = contracts[row.subscription_id] = Contract(
                [],
                row.timezone,
                service,
                committed,
                {
                    price_id: price_of(by_id[price_id], row.currency)
                    for price_id in corrected.get(row.subscription_id, ())
                },
            )
        if row.meter_code:
            contract.meters[row.id] = row.meter_code
        contract.items.append(
            PricedItem(
                id=row.id,
                price=prices[row.price_id, row.currency],
                quantity=row.quantity,
                served=Period(row.starts_at, row.ends_at),
                billed=Period(row.billed_from, row.billed_until),
                aggregation=row.aggregation or "",
                negotiated=tuple(negotiated.get((row.subscription_id, row.price_id), ())),
            )
        )
    return contracts


async def _negotiated(
    tx: Transaction, items: Sequence[rating_sql.ListRatedItemsRow], prices: Mapping[str, models.Price]
) -> Mapping[tuple[str, str], Sequence[Negotiated]]:
    """Negotiated amounts by subscription and price, those that go before others first."""
    overridden = [item for item in items if item.overridden]
    if not overridden:
        return {}
    rows = await override_sql.list_overrides_of_subscriptions(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=sorted({item.subscription_id for item in overridden}),
        price_ids=sorted({item.price_id for item in overridden}),
    )
    found: dict[tuple[str, str], list[Negotiated]] = defaultdict(list)
    for row in rows:
        price = negotiated_price(prices[row.price_id], row)
        valid = Period(row.valid_from, row.valid_until or ALWAYS.end)
        found[row.for_subscription_id, row.price_id].append(Negotiated(price, valid))
    return found
