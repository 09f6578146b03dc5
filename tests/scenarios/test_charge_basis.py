"""What a charge was worked out from is kept with it, so that it can be explained later."""

from datetime import UTC, datetime, timedelta

from billing.rating.v1 import rating_pb2 as pb
from billing.rating.v1 import rating_service_pb2 as rpc
from billing.tenant.v1 import tenant_pb2

from corebilling.mapping import instant
from tests.support.billing import START, Billing, billing

__all__ = ["billing"]

MONTH_END = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=1)


async def charges_of(billing: Billing, subscription_id: str, cycle: int = 0) -> list[pb.Charge]:
    cycles = await billing.cycles(subscription_id)
    request = rpc.ListChargesRequest(cycle_id=cycles[cycle].id)
    return list((await billing.call(billing.rating.list_charges, request)).charges)


async def test_a_whole_fee_is_for_the_full_period(billing: Billing) -> None:
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("fee", unit_amount="20")
    )
    await billing.advance(MONTH_END)
    (charge,) = await charges_of(billing, subscription.id)
    assert charge.basis.full_period == charge.period
    assert charge.basis.proration_grain == tenant_pb2.PRORATION_GRAIN_SECOND
    assert (charge.basis.timezone, charge.basis.share, charge.basis.HasField("span")) == ("UTC", "", False)


async def test_usage_names_the_records_that_it_comes_from(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price)
    for quantity in ("3", "4"):
        billing.clock.advance(seconds=60)
        await billing.use(subscription.id, "calls", quantity)
    await billing.advance(MONTH_END)
    await billing.use(subscription.id, "calls", "5", at=START)
    await billing.advance(datetime(2026, 5, 1, 1, tzinfo=UTC))
    (usage,) = await charges_of(billing, subscription.id)
    assert (usage.basis.record_count, usage.basis.quantity_before) == (2, "0")
    assert instant(usage.basis.first_recorded_at) == START + timedelta(seconds=60)
    assert instant(usage.basis.last_recorded_at) == START + timedelta(seconds=120)
    _, adjustment = await charges_of(billing, subscription.id, 1)
    assert (adjustment.basis.record_count, adjustment.basis.quantity_before) == (3, "7")
    assert instant(adjustment.basis.first_recorded_at) == START
