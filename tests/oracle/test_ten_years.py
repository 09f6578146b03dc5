"""Years go by for subscriptions that begin on awkward days and change all the time: no period is missed or is
billed twice, and at the end of every month the books of money and of usage are right.

`YEARS=10 CUSTOMERS=200 SEED=7 pytest -s -m long tests/oracle/test_ten_years.py` lets more of them go by.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import instant
from tests.oracle.engine import live
from tests.oracle.generator import Generator, Schedule
from tests.oracle.life import Life
from tests.oracle.shop import Account, Shop
from tests.oracle.test_years import told
from tests.oracle.times import Span, boundary
from tests.support.platform import Platform

BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
Begin = tuple[datetime, str, tuple[str, int], int]

AWKWARD: tuple[Begin, ...] = (
    (datetime(2024, 1, 31, 9, 30, tzinfo=UTC), "UTC", ("month", 1), 0),
    (datetime(2024, 1, 31, tzinfo=UTC), "Asia/Kolkata", ("month", 3), 14),
    (datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), "America/Santiago", ("month", 1), 0),
    (datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), "America/New_York", ("year", 1), 0),
    # Half past two in Berlin, the day before that hour is left out.
    (datetime(2024, 3, 30, 1, 30, tzinfo=UTC), "Europe/Berlin", ("month", 1), 3),
    # Sundays before two in New York: a moment that comes twice in November.
    (datetime(2024, 3, 10, 6, 59, 59, tzinfo=UTC), "America/New_York", ("week", 1), 30),
)
"""When periods begin, where, how long they are, and the days of trial before them."""

BOOKS_OF_USAGE = """
SELECT t.subscription_item_id, t.aggregation, t.records, t.counted, t.excluded, t.pending, t.transformed,
    coalesce(r.accepted, 0) AS accepted, coalesce(l.quantity, 0) AS invoiced
FROM (
    SELECT subscription_item_id, aggregation, sum(record_count) AS records, sum(quantity_sum) AS counted,
        coalesce(sum(quantity_sum) FILTER (WHERE excluded), 0) AS excluded,
        coalesce(sum(quantity_sum - billed_quantity) FILTER (WHERE NOT excluded), 0) AS pending,
        bool_or(transform IS NOT NULL) AS transformed
    FROM usage_totals WHERE tenant_id = $1 GROUP BY subscription_item_id, aggregation
) t
FULL JOIN (
    SELECT u.subscription_item_id,
        sum(CASE WHEN c.key IS NULL THEN u.quantity ELSE c.quantity END) AS accepted
    FROM usage_records u
    LEFT JOIN (
        SELECT DISTINCT ON (key) key, quantity FROM usage_corrections WHERE tenant_id = $1
        ORDER BY key, revision DESC
    ) c ON c.key = u.key
    WHERE u.tenant_id = $1
    GROUP BY u.subscription_item_id
) r USING (subscription_item_id)
LEFT JOIN (
    SELECT subscription_item_id, sum(quantity) AS quantity FROM invoice_lines
    WHERE tenant_id = $1 AND type IN ('usage', 'adjustment') GROUP BY subscription_item_id
) l USING (subscription_item_id)
"""
"""What records hold as corrections left them, what totals say of that, and what invoice lines do."""


async def test_two_years_go_by(platform: Platform):
    await let_go_by(platform, years=2, count=20, seed=5, grain="second", begins=AWKWARD[:-1])


@pytest.mark.long
async def test_ten_years_go_by(platform: Platform):
    years, count = int(os.environ.get("YEARS", "10")), int(os.environ.get("CUSTOMERS", "200"))
    seed = int(os.environ.get("SEED", "7"))
    for place, grain in enumerate(("second", "day", "none")):
        await let_go_by(platform, years=years, count=count // 3, seed=seed + place, grain=grain)
        print(f"{years} years of {count // 3} subscriptions by {grain}", flush=True)


async def let_go_by(
    platform: Platform, *, years: int, count: int, seed: int, grain: str, begins: Sequence[Begin] = AWKWARD
) -> None:
    generator = Generator(Random(seed))
    seller = generator.seller(grain, begins=BEGINS, years=years)
    times = generator.visiting_times(seller, 8 * years)
    customers = []
    for number in range(count):
        begin, zone, interval, trial_days = begins[number % len(begins)]
        schedule = Schedule(zone, interval, times.index(begin), timedelta(0), trial_days)
        customers.append(generator.customer(f"customer-{number}", schedule, times))
    ends = [boundary(seller.begins, ("month", 1), n, "UTC") for n in range(1, 12 * years)]
    lived = await live(platform, seller, customers, {at: partial(check_books, at) for at in ends})
    for customer, year in zip(customers, lived, strict=True):
        expected = Life(customer, seller).live()
        if year != expected:
            pytest.fail(f"SEED={seed}:\n{told(seller, customer, expected, year)}")


async def check_books(at: datetime, shop: Shop, accounts: Mapping[str, Account]) -> None:
    request = ledger_service_pb2.GetTrialBalanceRequest()
    trial = await shop.stub(LedgerServiceStub).GetTrialBalance(request)
    sums: dict[str, int] = {}
    for row in trial.balances:
        sums[row.currency] = sums.get(row.currency, 0) + row.balance_minor
    assert trial.balanced
    assert not any(sums.values()), f"{at}: {sums}"
    for row in await shop.platform.rows(BOOKS_OF_USAGE, shop.tenant_id):
        assert row["accepted"] == row["counted"], f"{at}: {dict(row)}"
        if row["aggregation"] == "sum" and not row["transformed"]:
            assert row["accepted"] == row["invoiced"] + row["pending"] + row["excluded"], f"{at}: {dict(row)}"
    for account in accounts.values():
        if account.subscription_id:
            await check_cycles(at, shop, account)


async def check_cycles(at: datetime, shop: Shop, account: Account) -> None:
    """From the start to now or the end of service, and each period counted from the anchor."""
    get = subscription_service_pb2.GetSubscriptionRequest(subscription_id=account.subscription_id)
    subscription = (await shop.stub(SubscriptionServiceStub).GetSubscription(get)).subscription
    cycles = await shop.listed(
        ScheduleServiceStub,
        "ListBillingCycles",
        schedule_service_pb2.ListBillingCyclesRequest(subscription_id=subscription.id, page_size=500),
        "cycles",
    )
    # What came after the last one is billed in cycles of no length.
    spans = sorted(span(cycle.period) for cycle in cycles if cycle.period.start != cycle.period.end)
    expected = instant(subscription.start_at)
    for one in spans:
        assert one.start == expected, f"{at}: {subscription.id} misses or repeats {expected}"
        expected = one.end
    if subscription.state == subscription_pb2.SUBSCRIPTION_STATE_CANCELED:
        assert expected == instant(subscription.ended_at)
    else:
        assert spans[-1].start <= at < expected
    zone, n = subscription.timezone, 0
    for cycle in reversed(cycles):
        if cycle.trial or cycle.period.start == cycle.period.end:
            continue
        bounds = partial(boundary, instant(subscription.anchor_at), account.interval, zone=zone)
        while bounds(n=n + 1) <= instant(cycle.period.start):
            n += 1
        assert span(cycle.full_period) == Span(bounds(n=n), bounds(n=n + 1))


def span(period: object) -> Span:
    return Span(instant(period.start), instant(period.end))  # type: ignore[attr-defined]
