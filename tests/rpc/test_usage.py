"""Usage through its door, on a real Postgres, at a fixed time."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from billing.usage.v1 import usage_events_pb2, usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc

from corebilling.domains.usage import metrics
from corebilling.domains.usage.metrics import WINDOW_S, RecentRate
from corebilling.errors import Aborted, BillingError
from corebilling.mapping import instant, timestamp
from corebilling.values.caller import Caller
from corebilling.values.page import encode_page_token
from tests.support.usage import (
    CONTEXT,
    METERS,
    NOW,
    OTHER_TENANT,
    TENANT,
    Usage,
    outcomes,
    record,
    run_script,
    usage,
)

__all__ = ["usage"]

ACCEPTED = usage_pb2.USAGE_OUTCOME_ACCEPTED
DUPLICATE = usage_pb2.USAGE_OUTCOME_DUPLICATE
CONFLICT = usage_pb2.USAGE_OUTCOME_CONFLICT
REJECTED = usage_pb2.USAGE_OUTCOME_REJECTED

_WAITERS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
    "WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
)


async def test_batch_counts_its_records_in_totals_hours_and_one_event(usage: Usage) -> None:
    response = await usage.batch(record("a", "1.5"), record("b", "2.25", NOW - timedelta(hours=2)))
    assert (response.accepted, response.duplicates, list(response.results)) == (2, 0, [])

    (total,) = await usage.totals()
    assert (total.quantity, total.record_count, total.version, total.excluded) == ("3.75", 2, 1, False)
    assert instant(total.period.start) == datetime(2026, 2, 15, tzinfo=UTC)
    assert instant(total.first_recorded_at) == NOW - timedelta(hours=2)

    (event,) = usage.events
    assert event.subject == "usage.reported"
    assert event.resource_id == "sit_a_calls:2026-02-15T00:00:00Z"
    assert (event.metadata.ordering_key, event.metadata.resource_version) == ("cus_1", 1)
    (reported,) = usage.reported()
    assert (reported.record_count, reported.quantity, reported.total_quantity) == (2, "3.75", "3.75")


async def test_what_is_accepted_counts_in_the_rate_of_ingestion(
    usage: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = RecentRate()
    monkeypatch.setattr(metrics, "ACCEPTED", rate)
    await usage.batch(record("a", "1"), record("b", "1"))
    await usage.batch(record("a", "1"), record("c", "1"), record("d", "-1"))
    await usage.door().ReportUsage(rpc.ReportUsageRequest(record=record("e", "1")), CONTEXT)
    await usage.door().ReportUsage(rpc.ReportUsageRequest(record=record("e", "1")), CONTEXT)
    assert rate.per_second() == 4 / WINDOW_S


async def test_second_batch_raises_the_version_and_reports_its_own_share(usage: Usage) -> None:
    await usage.batch(record("a", "2"))
    await usage.batch(record("b", "3"))
    assert [event.metadata.resource_version for event in usage.events] == [1, 2]
    assert [(r.quantity, r.total_quantity) for r in usage.reported()] == [("2", "2"), ("3", "5")]


async def test_one_event_per_item_and_period(usage: Usage) -> None:
    earlier = datetime(2026, 2, 14, tzinfo=UTC)
    await usage.batch(
        record("a"),
        record("b"),
        record("c", at=earlier),
        record("d", meter="peak"),
        record("e", meter="requests"),
    )
    assert sorted(event.resource_id for event in usage.events) == [
        "sit_a_calls:2026-01-15T00:00:00Z",
        "sit_a_calls:2026-02-15T00:00:00Z",
        "sit_a_peak:2026-02-15T00:00:00Z",
        "sit_a_requests:2026-02-15T00:00:00Z",
    ]


async def test_each_meter_aggregates_its_own_way(usage: Usage) -> None:
    for number, quantity in enumerate(["4", "9.5", "2"]):
        await usage.batch(*(record(f"{meter}{number}", quantity, meter=meter) for meter in METERS))
    totals = {total.meter_code: total.quantity for total in await usage.totals()}
    assert totals == {"calls": "15.5", "peak": "9.5", "requests": "3"}
    by_item = {reported.meter_code: reported for reported in usage.reported()}
    assert (by_item["peak"].quantity, by_item["peak"].total_quantity) == ("2", "9.5")
    assert (by_item["requests"].quantity, by_item["requests"].total_quantity) == ("1", "3")


async def test_record_at_the_boundary_counts_for_the_period_that_starts_there(usage: Usage) -> None:
    boundary = datetime(2026, 2, 15, tzinfo=UTC)
    await usage.batch(
        record("before", "1", boundary - timedelta(microseconds=1)), record("at", "2", boundary)
    )
    newest, oldest = await usage.totals()
    assert (instant(newest.period.start), newest.quantity) == (boundary, "2")
    assert (instant(oldest.period.end), oldest.quantity) == (boundary, "1")


async def test_repeated_batch_changes_nothing(usage: Usage) -> None:
    records = [record(f"key {number}", str(number)) for number in range(50)]
    await usage.batch(*records)
    before = await usage.totals()
    again = await usage.batch(*records)
    assert (again.accepted, again.duplicates) == (0, 50)
    assert {outcome for outcome, _ in outcomes(again).values()} == {DUPLICATE}
    assert await usage.totals() == before
    assert len(usage.events) == 1


async def test_other_content_under_a_known_key_is_a_conflict(usage: Usage) -> None:
    await usage.batch(record("k", "1"))
    other_time = NOW - timedelta(microseconds=1)
    for changed in (record("k", "2"), record("k", at=other_time), record("k", meter="peak")):
        response = await usage.batch(changed, record("k", "1.000"))
        assert outcomes(response) == {0: (CONFLICT, "USAGE_KEY_CONFLICT"), 1: (DUPLICATE, "")}
    (total,) = await usage.totals()
    assert total.quantity == "1"


async def test_properties_are_stored_with_their_record_and_no_other(usage: Usage) -> None:
    said = {"region": "eu", "note": 'quoted "text", {braces} and \\ back'}
    response = await usage.batch(record("a"), record("b", properties=said), record("c"))
    assert response.accepted == 3
    rows = await usage.db.admin("SELECT properties::text FROM usage_records ORDER BY properties IS NULL")
    assert [json.loads(row[0]) if row[0] else None for row in rows] == [said, None, None]


async def test_properties_tell_duplicates_from_conflicts(usage: Usage) -> None:
    said = {"region": "eu", "size": "l"}
    await usage.batch(record("k", properties=said), record("plain"))
    response = await usage.batch(
        record("k", properties={"size": "l", "region": "eu"}),
        record("k", properties={"region": "eu"}),
        record("k", properties={"region": "eu", "size": "m"}),
        record("k"),
        record("plain", properties=said),
        record("plain"),
        record("new", properties=said),
        record("new"),
        record("new", properties=dict(said)),
    )
    conflict = (CONFLICT, "USAGE_KEY_CONFLICT")
    assert outcomes(response) == {
        0: (DUPLICATE, ""),
        1: conflict,
        2: conflict,
        3: conflict,
        4: conflict,
        5: (DUPLICATE, ""),
        7: conflict,
        8: (DUPLICATE, ""),
    }
    (total,) = await usage.totals()
    assert total.record_count == 3


async def test_properties_beyond_their_bounds_are_refused_alone(usage: Usage) -> None:
    most = {f"{number:063}": "v" * 128 for number in range(16)}
    bad: list[dict[str, str]] = [
        {**most, "one more": ""},
        {"": "v"},
        {"n" * 64: "v"},
        {"n": "v" * 129},
        {"n\0": "v"},
        {"n": "\0"},
    ]
    response = await usage.batch(
        record("most", properties=most), *(record(f"bad {n}", properties=one) for n, one in enumerate(bad))
    )
    assert response.accepted == 1
    assert set(outcomes(response).values()) == {(REJECTED, "USAGE_RECORD_INVALID")}
    assert "properties" in response.results[0].message


async def test_same_key_twice_in_a_batch_counts_once(usage: Usage) -> None:
    response = await usage.batch(record("k", "1"), record("k", "1.0"), record("k", "2"), record("other", "4"))
    assert response.accepted == 2
    assert outcomes(response) == {1: (DUPLICATE, ""), 2: (CONFLICT, "USAGE_KEY_CONFLICT")}
    (total,) = await usage.totals()
    assert total.quantity == "5"


async def test_bad_records_never_spoil_the_good_ones(usage: Usage) -> None:
    untimed = record("untimed")
    untimed.ClearField("recorded_at")
    bent = record("bent")
    bent.recorded_at.nanos = -1
    response = await usage.batch(
        record("good", "7"),
        record("words", "seven"),
        record("negative", "-1"),
        record("", "1"),
        record("old", at=NOW - timedelta(days=35, microseconds=1)),
        record("early", at=NOW + timedelta(minutes=5, microseconds=1)),
        record("nobody", subscription="sub_none"),
        record("unmetered", meter="storage"),
        record("before", at=datetime(2026, 2, 10, tzinfo=UTC), subscription="sub_late"),
        untimed,
        bent,
        record("nul", subscription="sub\0"),
    )
    assert response.accepted == 1
    assert {index: reason for index, (_, reason) in outcomes(response).items()} == {
        1: "USAGE_RECORD_INVALID",
        2: "USAGE_RECORD_INVALID",
        3: "USAGE_RECORD_INVALID",
        4: "USAGE_TOO_OLD",
        5: "USAGE_IN_FUTURE",
        6: "USAGE_ITEM_NOT_FOUND",
        7: "USAGE_ITEM_NOT_FOUND",
        8: "USAGE_OUTSIDE_SUBSCRIPTION",
        9: "USAGE_RECORD_INVALID",
        10: "USAGE_RECORD_INVALID",
        11: "USAGE_ITEM_NOT_FOUND",
    }
    assert {outcome for outcome, _ in outcomes(response).values()} == {REJECTED}
    (total,) = await usage.totals()
    assert total.quantity == "7"


async def test_rejected_record_does_not_use_up_its_key(usage: Usage) -> None:
    await usage.batch(record("k", "many"))
    assert (await usage.batch(record("k", "1"))).accepted == 1


async def test_other_tenants_subscription_is_not_found(usage: Usage) -> None:
    response = await usage.batch(record("k"), tenant=OTHER_TENANT)
    assert outcomes(response) == {0: (REJECTED, "USAGE_ITEM_NOT_FOUND")}
    totals = await usage.door(OTHER_TENANT).ListUsageTotals(
        rpc.ListUsageTotalsRequest(subscription_id="sub_a"), CONTEXT
    )
    assert not totals.totals


async def test_tenants_do_not_share_keys(usage: Usage) -> None:
    key = "019a6a1e-0000-7000-8000-000000000001"
    assert (await usage.batch(record(key))).accepted == 1
    theirs = await usage.batch(record(key, "2", subscription="sub_theirs"), tenant=OTHER_TENANT)
    assert theirs.accepted == 1


async def test_report_usage_answers_a_repetition_and_refuses_a_conflict(usage: Usage) -> None:
    async def report(given: usage_pb2.UsageRecord) -> int:
        return (await usage.door().ReportUsage(rpc.ReportUsageRequest(record=given), CONTEXT)).outcome

    assert await report(record("k")) == ACCEPTED
    assert await report(record("k")) == DUPLICATE
    with pytest.raises(BillingError) as conflict:
        await report(record("k", "2"))
    assert (conflict.value.code, conflict.value.reason) == ("ALREADY_EXISTS", "USAGE_KEY_CONFLICT")
    assert conflict.value.facts == {"idempotency_key": "k"}
    with pytest.raises(BillingError) as unknown:
        await report(record("l", meter="storage"))
    assert unknown.value.facts == {"subscription_id": "sub_a", "meter_code": "storage"}


async def test_stream_sums_up_its_batches_and_counts_from_its_start(usage: Usage) -> None:
    async def batches() -> AsyncIterator[rpc.StreamUsageRequest]:
        yield rpc.StreamUsageRequest(records=[record("a"), record("b")])
        yield rpc.StreamUsageRequest(records=[record("a"), record("a", "2"), record("x", "?")])

    summary = await usage.door().StreamUsage(batches(), CONTEXT)
    assert (summary.accepted, summary.duplicates, summary.conflicts, summary.rejected) == (2, 1, 1, 1)
    assert [(problem.index, problem.reason) for problem in summary.problems] == [
        (3, "USAGE_KEY_CONFLICT"),
        (4, "USAGE_RECORD_INVALID"),
    ]


async def test_stream_lists_a_hundred_problems_and_counts_them_all(usage: Usage) -> None:
    async def batches() -> AsyncIterator[rpc.StreamUsageRequest]:
        yield rpc.StreamUsageRequest(records=[record(str(number), "?") for number in range(150)])

    summary = await usage.door().StreamUsage(batches(), CONTEXT)
    assert (summary.rejected, len(summary.problems)) == (150, 100)


async def test_usage_in_a_trial_is_excluded(usage: Usage) -> None:
    await usage.batch(
        record("trial", "5", datetime(2026, 3, 1, tzinfo=UTC), subscription="sub_trial"),
        record("billed", "7", datetime(2026, 3, 8, tzinfo=UTC), subscription="sub_trial"),
    )
    billed, trial = await usage.totals("sub_trial")
    assert (billed.quantity, billed.excluded) == ("7", False)
    assert (trial.quantity, trial.excluded) == ("5", True)
    (balance,) = (await usage.reconciled()).balances
    assert [balance.accepted_quantity, balance.pending_quantity, balance.trial_quantity] == ["12", "7", "5"]


async def test_concurrent_batches_of_one_subscription_lose_nothing(usage: Usage) -> None:
    chance = random.Random(7)
    quantities = [chance.randrange(1, 1000) for _ in range(600)]
    records = [
        record(f"key {number}", str(quantity), NOW - timedelta(days=chance.randrange(34)))
        for number, quantity in enumerate(quantities)
    ]
    # Each record goes out twice, in batches that overlap.
    batches = [[*records[start : start + 60], *records[start - 30 : start]] for start in range(0, 600, 30)]
    responses = await asyncio.gather(*(usage.batch(*batch) for batch in batches))
    assert sum(response.accepted for response in responses) == 600
    assert sum(int(total.quantity) for total in await usage.totals()) == sum(quantities)
    await assert_books_balance(usage, Decimal(sum(quantities)))

    versions: dict[str, list[int]] = {}
    for event in usage.events:
        versions.setdefault(event.resource_id, []).append(event.metadata.resource_version)
    assert all(sorted(seen) == list(range(1, len(seen) + 1)) for seen in versions.values())


async def test_cancellation_that_a_batch_waited_for_counts(usage: Usage) -> None:
    caller = Caller(tenant_id=TENANT, actor="key:test", role="owner", permissions=frozenset())
    async with usage.pool.transaction(caller) as canceling:
        await canceling.lock("cus_1")
        waiting = asyncio.create_task(
            usage.batch(record("before", at=NOW - timedelta(hours=2)), record("after", at=NOW))
        )
        while not (await usage.db.admin(_WAITERS))[0][0]:
            assert not waiting.done()
        await canceling.execute(
            "UPDATE subscriptions SET ended_at = $1, version = version + 1 WHERE id = 'sub_a'",
            NOW - timedelta(hours=1),
        )
    response = await waiting
    assert response.accepted == 1
    assert outcomes(response) == {1: (REJECTED, "USAGE_OUTSIDE_SUBSCRIPTION")}


async def test_same_keys_raced_by_two_customers_count_once(usage: Usage) -> None:
    keys = [f"key {number}" for number in range(200)]

    async def until_done(records: Iterable[usage_pb2.UsageRecord]) -> rpc.BatchReportUsageResponse:
        records = list(records)
        while True:
            try:
                return await usage.batch(*records)
            except Aborted:
                continue

    mine, theirs = await asyncio.gather(
        until_done([record(key) for key in keys]),
        until_done([record(key, subscription="sub_late") for key in reversed(keys)]),
    )
    assert sorted([mine.accepted, theirs.accepted]) == [0, 200]
    assert {outcome for outcome, _ in (outcomes(mine) | outcomes(theirs)).values()} == {CONFLICT}
    await assert_books_balance(usage, Decimal(200))


async def test_records_around_a_new_month_make_their_partitions(usage: Usage) -> None:
    response = await usage.batch(
        record("february", at=datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)),
        record("march", at=datetime(2026, 3, 1, tzinfo=UTC)),
    )
    assert response.accepted == 2
    (count,) = await usage.db.admin(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_records'::regclass"
    )
    assert count[0] >= 2


async def test_a_partition_that_went_missing_is_made_again(usage: Usage) -> None:
    await usage.batch(record("before"))
    await usage.db.admin(f"DROP TABLE usage_records_{NOW:%Y_%m}")
    response = await usage.batch(record("after"))
    assert response.accepted == 1
    assert [row["count"] for row in await usage.db.admin("SELECT count(*) FROM usage_records")] == [1]


async def test_asking_for_a_partition_that_is_there_makes_all_read_the_list_anew(usage: Usage) -> None:
    await usage.batch(record("first"))
    noted = (
        "SELECT xmin::text AS note FROM pg_attribute "
        "WHERE attrelid = 'usage_records'::regclass AND attname = 'key'"
    )
    (before,) = await usage.db.admin(noted)
    await usage.db.admin("SELECT ensure_usage_partition($1)", NOW.date())
    (after,) = await usage.db.admin(noted)
    assert after["note"] != before["note"]
    assert (await usage.batch(record("second"))).accepted == 1


async def test_buckets_come_per_hour_and_page_by_page(usage: Usage) -> None:
    await usage.batch(
        *(
            record(f"{meter}{hour}", "3", NOW - timedelta(hours=hour), meter=meter)
            for hour in range(5)
            for meter in METERS
        )
    )
    buckets: list[usage_pb2.UsageBucket] = []
    token = ""
    while not buckets or token:
        page = await usage.door().ListUsageBuckets(
            rpc.ListUsageBucketsRequest(
                subscription_id="sub_a",
                start=timestamp(NOW - timedelta(hours=3)),
                end=timestamp(NOW),
                meter_code="calls",
                page_size=2,
                page_token=token,
            ),
            CONTEXT,
        )
        buckets += page.buckets
        token = page.next_page_token
    assert [instant(bucket.hour) for bucket in buckets] == [NOW - timedelta(hours=hour) for hour in (3, 2, 1)]
    assert {(bucket.quantity, bucket.record_count) for bucket in buckets} == {("3", 1)}


async def test_totals_page_newest_period_first(usage: Usage) -> None:
    earlier = datetime(2026, 2, 14, tzinfo=UTC)
    await usage.batch(
        *(record(f"{meter} {at}", at=at, meter=meter) for meter in METERS for at in (NOW, earlier))
    )
    paged = await usage.totals(page_size=1)
    assert len(paged) == 6
    assert paged == await usage.totals()
    assert [instant(total.period.start).month for total in paged] == [2, 2, 2, 1, 1, 1]


async def test_foreign_page_token_is_refused(usage: Usage) -> None:
    for token in ("nonsense", encode_page_token("yesterday", "sit_a_calls")):
        with pytest.raises(BillingError) as refused:
            await usage.door().ListUsageTotals(
                rpc.ListUsageTotalsRequest(subscription_id="sub_a", page_token=token), CONTEXT
            )
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_sandbox_tenants_window_goes_by_its_clock(usage: Usage) -> None:
    then = datetime(2024, 5, 1, tzinfo=UTC)
    await usage.db.admin(
        "INSERT INTO test_clocks (tenant_id, now_at, target_at) VALUES ($1, $2, $2)", OTHER_TENANT, then
    )
    await usage.db.admin("UPDATE tenants SET mode = 'sandbox' WHERE id = $1", OTHER_TENANT)
    await usage.db.admin(
        "UPDATE subscriptions SET start_at = $1, anchor_at = $1 WHERE id = 'sub_theirs'", then
    )
    response = await usage.batch(
        record("then", at=then, subscription="sub_theirs"),
        record("now", subscription="sub_theirs"),
        tenant=OTHER_TENANT,
    )
    assert outcomes(response) == {1: (REJECTED, "USAGE_IN_FUTURE")}


async def test_invoice_announces_the_usage_it_holds_once(usage: Usage) -> None:
    await usage.batch(record("a", "5"), record("b", "1", meter="peak"))
    usage.events.clear()
    await run_script(usage.db, "usage_invoice.sql")
    caller = Caller(tenant_id=TENANT, actor="handler:usage", role="", permissions=frozenset())
    for _ in range(2):
        async with usage.pool.transaction(caller) as tx:
            await usage.service.announce_billed(tx, "inv_2")
    (event,) = usage.events
    billed = usage_events_pb2.UsageBilled()
    assert event.payload.Unpack(billed)
    assert (event.subject, event.metadata.resource_version) == ("usage.billed", 2)
    assert (billed.subscription_item_id, billed.quantity, billed.invoice_id) == ("sit_a_calls", "5", "inv_2")


async def assert_books_balance(usage: Usage, accepted: Decimal) -> None:
    books = await usage.reconciled()
    assert books.balanced
    assert sum(Decimal(balance.accepted_quantity) for balance in books.balances) == accepted
    (hours,) = await usage.db.admin(
        "SELECT sum(quantity_sum) FROM usage_rollups WHERE tenant_id = $1", TENANT
    )
    assert hours[0] == accepted


@pytest.mark.parametrize(
    ("meter", "quantities", "refused", "total"),
    [
        ("calls", ["4", "7", "5.5", "0.5"], [1], "10"),
        ("peak", ["4", "10", "10.000000000001", "1"], [2], "10"),
        ("requests", ["99"] * 12, [10, 11], "10"),
    ],
)
async def test_records_beyond_what_a_period_may_bill_are_refused_one_by_one(
    usage: Usage, meter: str, quantities: list[str], refused: list[int], total: str
) -> None:
    await usage.db.admin("UPDATE subscription_items SET max_quantity = 10")
    batch = [record(str(n), quantity, meter=meter) for n, quantity in enumerate(quantities)]
    response = await usage.batch(*batch, record("other", "3", at=NOW - timedelta(days=30), meter=meter))
    assert outcomes(response) == dict.fromkeys(refused, (REJECTED, "VALUE_OUT_OF_RANGE"))
    assert response.accepted == len(batch) + 1 - len(refused)
    assert (await usage.totals())[0].quantity == total
    again = await usage.batch(*batch)
    assert (again.accepted, again.duplicates) == (0, len(batch) - len(refused))


async def test_batches_that_race_for_the_rest_of_a_period_do_not_exceed_it(usage: Usage) -> None:
    await usage.db.admin("UPDATE subscription_items SET max_quantity = 25")
    batches = [[record(f"{batch}-{n}", "1") for n in range(10)] for batch in range(6)]
    answers = await asyncio.gather(*(usage.batch(*batch) for batch in batches))
    assert sum(answer.accepted for answer in answers) == 25
    assert sum(len(answer.results) for answer in answers) == 35
    (total,) = await usage.totals()
    assert (total.quantity, total.record_count) == ("25", 25)


async def test_usage_that_is_never_billed_has_no_limit(usage: Usage) -> None:
    await usage.db.admin("UPDATE subscription_items SET max_quantity = 10")
    in_trial = datetime(2026, 3, 1, tzinfo=UTC)
    response = await usage.batch(record("a", "99999999999999999999", in_trial, subscription="sub_trial"))
    assert response.accepted == 1


async def test_upper_and_lower_case_are_different_keys(usage: Usage) -> None:
    key = "0198c8b2-7f3a-7abc-8def-0123456789ab"
    response = await usage.batch(record(key), record(key.upper()), record(key))
    assert (response.accepted, response.duplicates) == (2, 1)
