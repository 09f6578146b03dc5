"""Single records taken back or corrected: totals, hours, events, books and the next invoice follow."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_reconcile import books, parts
from tests.scenarios.test_usage_is_billed_to_the_end import ADJUSTMENT, USAGE, cancel, contract
from tests.support.app import refused
from tests.support.catalog import subscribe
from tests.support.correction import correct, corrections, retract
from tests.support.invoice import lines_of
from tests.support.money import balances
from tests.support.platform import Platform
from tests.support.reporting import use

ACCEPTED = usage_pb2.USAGE_OUTCOME_ACCEPTED
DUPLICATE = usage_pb2.USAGE_OUTCOME_DUPLICATE
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUM, COUNT, MAX, MIN = (
    catalog_pb2.AGGREGATION_SUM,
    catalog_pb2.AGGREGATION_COUNT,
    catalog_pb2.AGGREGATION_MAX,
    catalog_pb2.AGGREGATION_MIN,
)


async def started(platform: Platform, aggregation: Any = SUM, **quantities: int) -> str:
    """A subscription with a record of each quantity, one an hour, by key."""
    created = await subscribe(platform, *await contract(platform, aggregation))
    for hours, (key, quantity) in enumerate(quantities.items()):
        await use(platform, created.id, quantity, START + timedelta(seconds=hours), key=key)
    return created.id


async def hours(platform: Platform, subscription_id: str) -> list[tuple[str, int]]:
    request = rpc.ListUsageBucketsRequest(
        subscription_id=subscription_id,
        start=timestamp(START - timedelta(hours=1)),
        end=timestamp(START + timedelta(days=40)),
    )
    answer = await platform.stub(UsageServiceStub).ListUsageBuckets(request)
    return [(bucket.quantity, bucket.record_count) for bucket in answer.buckets]


@pytest.mark.parametrize(
    ("aggregation", "after_retraction", "after_correction"),
    [(SUM, ("6", 2), ("8", 2)), (COUNT, ("2", 2), ("2", 2)), (MAX, ("4", 2), ("6", 2))],
)
async def test_totals_hours_and_rating_follow_at_once(
    platform: Platform,
    aggregation: Any,
    after_retraction: tuple[str, int],
    after_correction: tuple[str, int],
):
    name = await started(platform, aggregation, small=2, large=9, middle=4)
    answer = await retract(platform, "large")
    assert answer.outcome == ACCEPTED
    assert (answer.total.quantity, answer.total.record_count) == after_retraction
    assert (answer.total.version, await hours(platform, name)) == (4, [after_retraction])
    corrected = await correct(platform, "middle", "6")
    assert (corrected.total.quantity, corrected.total.record_count) == after_correction
    assert await hours(platform, name) == [after_correction]
    await platform.drain()
    rated = await platform.events("usage.rated")
    assert [event.amount for event in rated][-2:] == [after_retraction[0], after_correction[0]]
    answer_books = await books(platform)
    assert answer_books.balanced
    assert answer_books.balances[0].retracted_records == 1


async def test_events_name_the_record_and_the_total(platform: Platform):
    name = await started(platform, a=2, b=3)
    await correct(platform, "a", "2.5")
    await retract(platform, "a")
    (corrected,), (retracted,) = (
        await platform.events("usage.corrected"),
        await platform.events("usage.retracted"),
    )
    assert (corrected.quantity_before, corrected.quantity, corrected.total_quantity) == ("2", "2.5", "5.5")
    assert (retracted.quantity, retracted.total_quantity) == ("2.5", "3")
    for event in (corrected, retracted):
        assert (event.subscription_id, event.meter_code, event.idempotency_key) == (name, "tokens", "a")
        assert instant(event.recorded_at) == START
        assert instant(event.period.end) == datetime(2026, 4, 1, 12, tzinfo=UTC)
    last, first = await corrections(platform)
    assert (last.id, first.id) == (retracted.correction_id, corrected.correction_id)
    assert (first.revision, first.quantity_before, first.quantity, first.reason) == (
        1,
        "2",
        "2.5",
        "wrong unit",
    )
    assert (last.revision, last.quantity_before, last.quantity, last.reason) == (
        2,
        "2.5",
        "",
        "counted twice",
    )
    assert first.actor.startswith("key_")
    stored = await platform.rows("SELECT quantity FROM usage_records ORDER BY quantity")
    assert [int(row["quantity"]) for row in stored] == [2, 3]  # As they were reported.


async def test_the_same_again_is_a_duplicate_and_changes_nothing(platform: Platform):
    await started(platform, a=2, b=3)
    assert (await correct(platform, "a", "2.000")).outcome == DUPLICATE  # What it is.
    assert (await correct(platform, "a", "5")).outcome == ACCEPTED
    assert (await correct(platform, "a", "5.0")).outcome == DUPLICATE
    assert (await retract(platform, "a")).outcome == ACCEPTED
    again = await retract(platform, "a")
    assert (again.outcome, again.total.quantity, again.total.version) == (DUPLICATE, "3", 4)
    assert len(await corrections(platform, idempotency_key="a")) == 2
    assert len(await platform.events("usage.retracted")) == 1


async def test_same_request_id_returns_the_first_answer(platform: Platform):
    await started(platform, a=2)
    stub = platform.stub(UsageServiceStub)
    request = rpc.CorrectUsageRequest(
        request_id="once", idempotency_key="a", quantity="7", reason="wrong unit"
    )
    first = await stub.CorrectUsage(request)
    await correct(platform, "a", "8")
    assert await stub.CorrectUsage(request) == first
    assert [row.quantity for row in await corrections(platform)] == ["8", "7"]
    request.quantity = "9"
    assert (await refused(stub.CorrectUsage(request))).reason == "REQUEST_ID_REUSED"


async def test_a_retracted_key_stays_used_and_its_record_out(platform: Platform):
    name = await started(platform, a=2)
    await retract(platform, "a")
    refusal = await refused(correct(platform, "a", "3"))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "USAGE_RECORD_RETRACTED")
    assert await use(platform, name, 2, START, key="a") == DUPLICATE
    assert [total for total, _ in await hours(platform, name)] == ["0"]


async def test_what_is_unknown_or_another_tenants_is_not_found(platform: Platform):
    await started(platform, a=2)
    _, other_key = await platform.new_tenant("other")
    for call in (
        retract(platform, "b"),
        retract(platform, "a", as_key=other_key),
        correct(platform, "a", "3", as_key=other_key),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "USAGE_RECORD_NOT_FOUND")
    assert (await books(platform)).balances[0].retracted_records == 0
    request = rpc.ListUsageCorrectionsRequest()
    listed = await platform.stub(UsageServiceStub, key=other_key).ListUsageCorrections(request)
    assert list(listed.corrections) == []


async def test_a_record_that_is_no_longer_kept_cannot_be_corrected(platform: Platform):
    await started(platform, a=2)
    await platform.rows("DELETE FROM usage_records")
    refusal = await refused(retract(platform, "a"))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "USAGE_RECORD_GONE")
    assert refusal.facts == {"idempotency_key": "a", "recorded_at": "2026-03-01T12:00:00Z"}


async def test_corrections_keep_within_what_a_period_may_bill(platform: Platform):
    await started(platform, a=2, b=3)
    await platform.rows("UPDATE subscription_items SET max_quantity = 10")
    refusal = await refused(correct(platform, "a", "8"))
    assert (refusal.reason, refusal.facts["limit"]) == ("VALUE_OUT_OF_RANGE", "10")
    assert await corrections(platform) == []
    assert (await correct(platform, "a", "7")).total.quantity == "10"
    await platform.rows("UPDATE subscription_items SET max_quantity = 1")
    assert (await correct(platform, "a", "6")).total.quantity == "9"  # Downwards always.


@pytest.mark.parametrize("quantity", ["", "-1", "1e3", "NaN", "1.0000000000001", "9" * 21])
async def test_malformed_quantities_are_refused(platform: Platform, quantity: str):
    await started(platform, a=2)
    refusal = await refused(correct(platform, "a", quantity))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")


async def test_huge_and_tiny_quantities_stay_exact(platform: Platform):
    await started(platform, a=2, b=3)
    await platform.rows("UPDATE subscription_items SET max_quantity = NULL")
    answer = await correct(platform, "a", "99999999999999999999.000000000001")
    assert answer.total.quantity == "100000000000000000002.000000000001"
    assert (await retract(platform, "a")).total.quantity == "3"
    assert (await books(platform)).balanced


async def test_racing_corrections_of_one_record_count_once_each(platform: Platform):
    await started(platform, a=1, b=100)
    answers = await asyncio.gather(*(correct(platform, "a", str(n % 3 + 5)) for n in range(9)))
    assert any(answer.outcome == ACCEPTED for answer in answers)
    rows = await corrections(platform)
    assert [row.revision for row in rows] == list(range(len(rows), 0, -1))
    assert (await books(platform)).balanced


async def test_the_maximum_is_looked_for_within_its_period_and_item(platform: Platform):
    name = await started(platform, MAX, a=5, b=9)
    other = await subscribe(platform, catalog_pb2.Price(id=(await metered_price(platform))))
    await use(platform, other.id, 50, START)
    await platform.pass_time(days=31, hours=2)
    await use(platform, name, 70)
    assert (await retract(platform, "b")).total.quantity == "5"
    assert (await retract(platform, "a")).total.quantity == "0"


async def metered_price(platform: Platform) -> str:
    (row,) = await platform.rows("SELECT id FROM prices WHERE meter_id IS NOT NULL")
    return str(row["id"])


async def test_the_minimum_is_looked_for_when_it_was_taken_back(platform: Platform):
    name = await started(platform, MIN, small=2, large=9, middle=4)
    assert (await retract(platform, "small")).total.quantity == "4"
    assert (await correct(platform, "middle", "6")).total.quantity == "6"
    assert (await correct(platform, "large", "1")).total.quantity == "1"
    assert await hours(platform, name) == [("1", 2)]
    for key in ("large", "middle"):
        last = await retract(platform, key)
    assert (last.total.quantity, last.total.record_count) == ("0", 0)
    await use(platform, name, 5)
    assert await hours(platform, name) == [("5", 1)]
    await platform.pass_time(days=31, hours=2)
    assert (await lines_of(platform))[0][-1] == (USAGE, "5", 500)
    assert (await books(platform)).balanced


async def test_before_the_cycle_closes_the_invoice_never_had_it(platform: Platform):
    await started(platform, a=2, b=3)
    await platform.pass_time(days=31)  # Ended, and in its grace.
    await retract(platform, "a")
    await platform.pass_time(hours=2)
    assert (await lines_of(platform))[0][-1] == (USAGE, "3", 300)


async def test_after_the_invoice_the_next_one_gives_it_back(platform: Platform):
    name = await started(platform, a=2, b=3)
    await platform.pass_time(days=31, hours=2)
    await correct(platform, "a", "1")
    await retract(platform, "b")
    answer = await books(platform)
    assert (answer.balanced, parts(answer.balances[0])) == (True, [5, 5, -4, 0, 4, 0])
    await use(platform, name, 1)
    await platform.pass_time(days=31)
    assert (await lines_of(platform))[1][-2:] == [(USAGE, "1", 100), (ADJUSTMENT, "-4", -400)]
    answer = await books(platform)
    assert (answer.balanced, parts(answer.balances[0])) == (True, [6, 2, 0, 0, 4, 0])
    described = await platform.rows("SELECT description FROM invoice_lines WHERE type = 'adjustment'")
    assert described[0]["description"].endswith("(corrected usage)")


async def test_when_service_has_ended_a_closing_invoice_gives_credit(platform: Platform):
    name = await started(platform, a=2, b=3)
    await platform.pass_time(days=1)
    await cancel(platform, name)
    await platform.pass_time(hours=2)
    await retract(platform, "b")
    await platform.pass_time(hours=2)
    assert (await lines_of(platform))[1] == [(ADJUSTMENT, "-3", -300)]
    (invoice,) = await platform.rows(
        "SELECT state, total_minor, prepaid_minor, amount_due_minor FROM invoices WHERE total_minor < 0"
    )
    assert tuple(invoice) == ("paid", -300, -300, 0)
    (credit,) = await platform.rows("SELECT kind, remaining_minor FROM credits")
    assert tuple(credit) == ("prepaid", 300)
    assert (await balances(platform))["CUSTOMER_CREDIT"] == -300


async def test_usage_of_a_trial_is_corrected_and_stays_free(platform: Platform):
    created = await subscribe(platform, *await contract(platform), trial_days=3)
    await use(platform, created.id, 9, START, key="a")
    answer = await correct(platform, "a", "4")
    assert (answer.total.quantity, answer.total.excluded) == ("4", True)
    await platform.pass_time(days=36)
    assert all(line[2] != 400 for made in await lines_of(platform) for line in made)
    assert parts((await books(platform)).balances[0]) == [9, 0, 0, 4, 5, 0]


async def test_a_key_of_any_form_finds_its_record(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    for key in ("0190c0de-0000-7000-8000-00000000cafe", "Rechnung Nr. 7 ✓", "x" * 128, new_id("key")):
        await use(platform, created.id, 1, START, key=key)
        assert (await retract(platform, key)).outcome == ACCEPTED
    rows = await corrections(platform, subscription_id=created.id)
    assert [row.idempotency_key for row in rows][-2:] == [
        "Rechnung Nr. 7 ✓",
        "0190c0de-0000-7000-8000-00000000cafe",
    ]
