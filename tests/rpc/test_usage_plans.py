"""What usage counts for is remembered from batch to batch: what changed meanwhile counts all the same."""

from datetime import timedelta

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.domains.usage.plans import UsagePlans
from corebilling.mapping import timestamp
from corebilling.values.caller import Caller
from corebilling.values.ids import new_id
from tests.support.catalog import change, new_meter, new_price, new_product, subscribe
from tests.support.platform import Platform
from tests.support.usage import NOW, OTHER_TENANT, TENANT, Usage, outcomes, record, usage

__all__ = ["usage"]

CALLER = Caller(tenant_id=TENANT, actor="key:test", role="owner", permissions=frozenset())
REJECTED = usage_pb2.USAGE_OUTCOME_REJECTED
NOT_FOUND = {0: (REJECTED, "USAGE_ITEM_NOT_FOUND")}


async def test_what_another_process_changed_counts_from_then_on(usage: Usage) -> None:
    assert (await usage.batch(record("a"))).accepted == 1
    end = "UPDATE subscriptions SET ended_at = $1, version = version + 1 WHERE id = 'sub_a'"
    await usage.db.admin(end, NOW - timedelta(days=1))
    for key in ("b", "c"):
        assert outcomes(await usage.batch(record(key))) == {0: (REJECTED, "USAGE_OUTSIDE_SUBSCRIPTION")}
    await usage.db.admin(end, None)
    assert (await usage.batch(record("b"), record("c"))).accepted == 2


async def test_an_item_that_came_meanwhile_is_found_and_one_that_went_is_not(usage: Usage) -> None:
    assert (await usage.batch(record("a", meter="peak"))).accepted == 1
    assert outcomes(await usage.batch(record("b", meter="other"))) == NOT_FOUND
    await usage.db.admin("UPDATE subscription_items SET meter_code = 'other' WHERE meter_code = 'peak'")
    await usage.db.admin("UPDATE subscriptions SET version = version + 1")
    assert (await usage.batch(record("b", meter="other"))).accepted == 1
    assert outcomes(await usage.batch(record("c", meter="peak"))) == NOT_FOUND


async def test_what_is_remembered_of_one_tenant_is_nothing_to_another(usage: Usage) -> None:
    assert (await usage.batch(record("a"))).accepted == 1
    assert outcomes(await usage.batch(record("a"), tenant=OTHER_TENANT)) == NOT_FOUND
    theirs = record("a", subscription="sub_theirs")
    assert (await usage.batch(theirs, tenant=OTHER_TENANT)).accepted == 1
    assert outcomes(await usage.batch(theirs)) == NOT_FOUND


async def test_a_bounded_number_of_items_is_remembered(usage: Usage) -> None:
    plans = UsagePlans(max_items=7)
    ids = ["sub_a", "sub_trial", "sub_late"]
    async with usage.pool.transaction(CALLER) as tx:
        for named in (ids[:1], ids[1:], ids, [*ids, "sub_none"], ids[:1]):
            found = await plans.find(tx, named, NOW - timedelta(days=35))
            assert {name: len(plan.items) for name, plan in found.items()} == {
                name: 3 for name in named if name != "sub_none"
            }
            assert len(plans) <= 7
    assert len(plans) == 6


async def test_what_a_transaction_changed_before_it_was_rolled_back_is_not_remembered(usage: Usage) -> None:
    class Undone(Exception):
        pass

    assert (await usage.batch(record("a"))).accepted == 1
    with pytest.raises(Undone):
        async with usage.pool.transaction(CALLER) as tx:
            await tx.execute("UPDATE subscriptions SET ended_at = $1, version = 2", NOW - timedelta(days=1))
            request = rpc.BatchReportUsageRequest(records=[record("b")])
            assert (await usage.service.batch_report_usage(tx, request)).accepted == 0
            raise Undone
    await usage.db.admin("UPDATE subscriptions SET version = 2")
    assert (await usage.batch(record("b"))).accepted == 1


async def test_a_change_that_reporting_made_and_rolled_back_is_made_again(platform: Platform) -> None:
    product, meter = await new_product(platform), await new_meter(platform)
    old, new = [
        await new_price(
            platform,
            product.id,
            code,
            model=catalog_pb2.PRICE_MODEL_PER_UNIT,
            usage=catalog_pb2.PRICE_USAGE_METERED,
            meter_id=meter.id,
            unit_amount="1",
        )
        for code in ("old", "new")
    ]
    created = await subscribe(platform, old)
    await _report(platform, created.id)
    at = platform.clock.now() + timedelta(days=31)
    await change(platform, created.id, new, effective_at=timestamp(at))
    platform.clock.advance(days=31, hours=1)
    # The scheduler has not come: reporting makes the change, is rolled back since it is the first usage
    # of the month, and makes the change once more.
    for _ in range(2):
        await _report(platform, created.id)
    counted = await platform.rows(
        "SELECT i.price_id, sum(t.record_count) AS records FROM usage_totals t "
        "JOIN subscription_items i ON i.id = t.subscription_item_id GROUP BY i.price_id"
    )
    assert {row["price_id"]: row["records"] for row in counted} == {old.id: 1, new.id: 2}


async def _report(platform: Platform, subscription_id: str) -> None:
    reported = usage_pb2.UsageRecord(
        idempotency_key=new_id("key"),
        subscription_id=subscription_id,
        meter_code="tokens",
        quantity="1",
        recorded_at=timestamp(platform.clock.now()),
    )
    await platform.stub(UsageServiceStub).ReportUsage(rpc.ReportUsageRequest(record=reported))
