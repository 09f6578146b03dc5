"""What is invoiced ahead becomes revenue month by month, and what is given back was never earned first."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.tax.v1 import tax_pb2
from billing.types.v1 import period_pb2

from corebilling.mapping import instant, timestamp
from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.money import (
    balances,
    credit,
    customer_in,
    give_back,
    invoice,
    pay,
    set_terms,
    tax_rate,
    void,
)
from tests.support.platform import Platform, platform

if TYPE_CHECKING:
    from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

__all__ = ["platform"]

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
YEAR = (APRIL, datetime(2027, 4, 1, tzinfo=UTC))


def ahead(
    amount: str, service: tuple[datetime, datetime] = YEAR, description: str = "A year"
) -> invoice_service_pb2.OneTimeItem:
    period = period_pb2.Period(start=timestamp(service[0]), end=timestamp(service[1]))
    return invoice_service_pb2.OneTimeItem(description=description, unit_amount=amount, service_period=period)


def books(platform: Platform, key: str | None = None) -> "LedgerServiceAsyncStub":
    return platform.stub(LedgerServiceStub, key=key)


async def deferrals(platform: Platform, invoice_id: str = "") -> list[pb.Deferral]:
    request = rpc.ListDeferralsRequest(invoice_id=invoice_id)
    return list((await books(platform).ListDeferrals(request)).deferrals)


async def until(platform: Platform, at: datetime) -> None:
    platform.clock.advance(seconds=(at - platform.clock.now()).total_seconds())
    await platform.drain()


async def a_year_ahead(platform: Platform, amount: str = "365") -> invoice_pb2.Invoice:
    """In dollars, from April 1 on, invoiced in March, without tax."""
    return await invoice(platform, (await new_customer(platform)).id, ahead(amount))


async def test_a_year_invoiced_ahead_is_revenue_month_by_month(platform: Platform) -> None:
    made = await a_year_ahead(platform)
    (line,) = made.lines
    assert (instant(line.period.start), instant(line.period.end)) == YEAR
    assert await balances(platform) == {"RECEIVABLE": 36500, "DEFERRED_REVENUE": -36500}
    await until(platform, APRIL + timedelta(days=29))
    assert "REVENUE" not in await balances(platform)
    await until(platform, datetime(2026, 5, 1, tzinfo=UTC))
    assert await balances(platform) == {
        "RECEIVABLE": 36500,
        "REVENUE": -3000,
        "DEFERRED_REVENUE": -33500,
    }
    (deferral,) = await deferrals(platform, made.id)
    amounts = [(part.amount_minor, part.posted) for part in deferral.recognitions]
    assert amounts[:3] == [(3000, True), (3100, False), (3000, False)]
    assert (deferral.recognized_minor, deferral.remaining_minor) == (3000, 33500)
    assert sum(amount for amount, _ in amounts) == deferral.deferred_minor == 36500
    await until(platform, datetime(2027, 5, 1, tzinfo=UTC))
    assert await balances(platform) == {"RECEIVABLE": 36500, "REVENUE": -36500}
    (deferral,) = await deferrals(platform, made.id)
    assert [part.amount_minor for part in deferral.recognitions] == [amount for amount, _ in amounts]
    assert all(part.posted for part in deferral.recognitions)
    assert await platform.rows("SELECT FROM ledger_dues") == []
    posted = await platform.events("ledger.journal.posted")
    assert [event.source_type for event in posted].count("revenue.recognized") == 12


async def test_a_months_revenue_is_posted_within_that_month(platform: Platform) -> None:
    await a_year_ahead(platform)
    await until(platform, datetime(2026, 7, 15, tzinfo=UTC))
    for month, revenue in ((4, 0), (5, 3000), (6, 6100), (7, 9100)):
        at = datetime(2026, month, 1, tzinfo=UTC) - timedelta(microseconds=1)
        trial = await books(platform).GetTrialBalance(rpc.GetTrialBalanceRequest(as_of=timestamp(at)))
        found = {row.account_type: row.balance_minor for row in trial.balances}
        assert (found[pb.ACCOUNT_TYPE_REVENUE], trial.balanced) == (-revenue, True)


async def test_only_what_lies_ahead_is_put_off_and_a_draft_is_judged_when_it_is_finalized(
    platform: Platform,
) -> None:
    customer_id = (await new_customer(platform)).id
    half_over = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))
    over = (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC))
    items = [ahead("10", half_over), ahead("7", over)]
    made = await invoice(platform, customer_id, *items, finalize=False)
    assert await deferrals(platform) == []
    await until(platform, datetime(2026, 3, 6, tzinfo=UTC))
    request = invoice_service_pb2.FinalizeInvoiceRequest(request_id="r", invoice_id=made.id)
    await platform.stub(InvoiceServiceStub).FinalizeInvoice(request)
    assert await balances(platform) == {
        "RECEIVABLE": 1700,
        "REVENUE": -1200,
        "DEFERRED_REVENUE": -500,
    }
    await until(platform, half_over[1])
    assert await balances(platform) == {"RECEIVABLE": 1700, "REVENUE": -1700}


@pytest.mark.parametrize("type_", ["usage", "adjustment"])
async def test_what_was_used_is_earned_though_its_period_goes_on(platform: Platform, type_: str) -> None:
    customer_id = (await new_customer(platform)).id
    made = await invoice(platform, customer_id, ahead("10"), finalize=False)
    await platform.rows("UPDATE invoice_lines SET type = $1", type_)
    request = invoice_service_pb2.FinalizeInvoiceRequest(request_id="r", invoice_id=made.id)
    await platform.stub(InvoiceServiceStub).FinalizeInvoice(request)
    assert await balances(platform) == {"RECEIVABLE": 1000, "REVENUE": -1000}


@pytest.mark.parametrize("behavior", [tax_pb2.TAX_BEHAVIOR_EXCLUSIVE, tax_pb2.TAX_BEHAVIOR_INCLUSIVE])
async def test_tax_is_never_put_off(platform: Platform, behavior: tax_pb2.TaxBehavior) -> None:
    await tax_rate(platform, "25")
    await set_terms(platform, behavior=behavior)
    customer_id = await customer_in(platform, "DE")
    made = await invoice(platform, customer_id, ahead("100"), ahead("50"))
    found = await balances(platform)
    assert found["DEFERRED_REVENUE"] == -(made.total_minor - made.tax_minor)
    assert found["TAX_PAYABLE"] == -made.tax_minor
    assert "REVENUE" not in found


async def test_a_credit_note_takes_what_was_not_earned_first_and_then_revenue(platform: Platform) -> None:
    made = await a_year_ahead(platform)
    await until(platform, datetime(2026, 6, 1, tzinfo=UTC))
    line_id = made.lines[0].id
    await give_back(platform, made.id, **{line_id: 20000})
    assert await balances(platform) == {
        "RECEIVABLE": 16500,
        "REVENUE": -6100,
        "DEFERRED_REVENUE": -10400,
    }
    (deferral,) = await deferrals(platform)
    assert (deferral.reversed_minor, deferral.remaining_minor) == (20000, 10400)
    to_come = [part.amount_minor for part in deferral.recognitions if not part.posted]
    assert (sum(to_come), len(to_come)) == (10400, 10)
    await give_back(platform, made.id, **{line_id: 12000})
    assert await balances(platform) == {"RECEIVABLE": 4500, "REVENUE": -4500}
    assert await platform.rows("SELECT FROM ledger_dues") == []
    await until(platform, datetime(2027, 5, 1, tzinfo=UTC))
    assert await balances(platform) == {"RECEIVABLE": 4500, "REVENUE": -4500}


async def test_a_paid_invoice_is_given_back_the_same_way(platform: Platform) -> None:
    made = await a_year_ahead(platform)
    await pay(platform, made.id, 36500)
    await until(platform, datetime(2026, 5, 1, tzinfo=UTC))
    await give_back(platform, made.id)
    assert await balances(platform) == {"CASH": 36500, "CUSTOMER_CREDIT": -36500}


async def test_voiding_takes_back_what_was_recognized_too(platform: Platform) -> None:
    made = await a_year_ahead(platform)
    await until(platform, datetime(2026, 6, 1, tzinfo=UTC))
    await void(platform, made.id)
    assert await balances(platform) == {}
    await until(platform, datetime(2027, 5, 1, tzinfo=UTC))
    assert await balances(platform) == {}
    (deferral,) = await deferrals(platform)
    assert (deferral.recognized_minor, deferral.reversed_minor, deferral.remaining_minor) == (0, 36500, 0)


async def test_a_discount_is_never_revenue_and_a_credit_pays_for_it(platform: Platform) -> None:
    customer_id = (await new_customer(platform)).id
    await credit(platform, customer_id, 10000)
    await invoice(platform, customer_id, ahead("365"))
    found = await balances(platform)
    assert (found["RECEIVABLE"], found["DEFERRED_REVENUE"]) == (26500, -36500)


async def test_schedulers_that_race_recognize_a_month_once(platform: Platform) -> None:
    for _ in range(5):
        await a_year_ahead(platform)
    platform.clock.advance(days=62)
    await asyncio.gather(*(platform.app.scheduler.run_once() for _ in range(6)))
    await platform.drain()
    assert (await balances(platform))["REVENUE"] == -5 * 3000
    for row in await deferrals(platform):
        assert [part.posted for part in row.recognitions].count(True) == 1


async def test_a_sandbox_clock_stops_at_every_months_end_on_its_way(platform: Platform) -> None:
    platform.tenant_id, platform.tenant_key = await platform.new_tenant(
        "sandbox", clock_time=datetime(2026, 3, 31, tzinfo=UTC)
    )
    made = await a_year_ahead(platform)
    target = datetime(2027, 4, 2, tzinfo=UTC)
    schedule = platform.stub(ScheduleServiceStub)
    request = schedule_service_pb2.AdvanceTestClockRequest(request_id="r", target_at=timestamp(target))
    await schedule.AdvanceTestClock(request)
    await platform.drain()
    clock = (await schedule.GetTestClock(schedule_service_pb2.GetTestClockRequest())).clock
    assert (clock.ready, instant(clock.now)) == (True, target)
    assert await balances(platform) == {"RECEIVABLE": 36500, "REVENUE": -36500}
    listed = await books(platform).ListJournals(rpc.ListJournalsRequest(customer_id=made.customer_id))
    times = [instant(one.posted_at) for one in listed.journals if one.source_type == "revenue.recognized"]
    assert times == [
        datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
        for month in range(15, 3, -1)
    ]


async def test_one_line_that_cannot_be_recognized_holds_up_no_other(platform: Platform) -> None:
    broken, whole = await a_year_ahead(platform), await a_year_ahead(platform)
    line_id = broken.lines[0].id
    broken_zone = "UPDATE revenue_deferrals SET timezone = $1 WHERE invoice_line_id = $2"
    await platform.rows(broken_zone, "Nowhere/Else", line_id)
    await until(platform, datetime(2026, 5, 1, tzinfo=UTC))
    assert [row.recognized_minor for row in await deferrals(platform, whole.id)] == [3000]
    (due,) = await platform.rows("SELECT failed_attempts FROM ledger_dues WHERE source_id = $1", line_id)
    assert due["failed_attempts"] == 1
    await platform.rows(broken_zone, "UTC", line_id)
    await until(platform, datetime(2026, 5, 1, 0, 1, tzinfo=UTC))
    assert [row.recognized_minor for row in await deferrals(platform, broken.id)] == [3000]


async def test_ordinary_invoices_write_nothing_of_this(platform: Platform) -> None:
    customer_id = (await new_customer(platform)).id
    item = invoice_service_pb2.OneTimeItem(description="Work", unit_amount="5")
    await invoice(platform, customer_id, item)
    assert await platform.rows("SELECT FROM revenue_deferrals") == []
    assert await balances(platform) == {"RECEIVABLE": 500, "REVENUE": -500}


@pytest.mark.parametrize("service", [(APRIL, APRIL), (YEAR[1], APRIL), (APRIL, APRIL + timedelta(days=3661))])
async def test_an_impossible_service_is_refused_by_name(
    platform: Platform, service: tuple[datetime, datetime]
) -> None:
    customer_id = (await new_customer(platform)).id
    refusal = await refused(invoice(platform, customer_id, ahead("1", service)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SERVICE_PERIOD_INVALID")


async def test_deferrals_are_listed_in_pages_of_one_customer_and_not_to_others(platform: Platform) -> None:
    customer_id = (await new_customer(platform)).id
    await invoice(platform, customer_id, *(ahead(str(amount)) for amount in (1, 2, 3)))
    await a_year_ahead(platform)
    found: list[int] = []
    request = rpc.ListDeferralsRequest(customer_id=customer_id, page_size=2)
    while True:
        page = await books(platform).ListDeferrals(request)
        found += _deferred(page.deferrals)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(found) == [100, 200, 300]
    _, key = await platform.new_tenant("other")
    assert not (await books(platform, key).ListDeferrals(rpc.ListDeferralsRequest())).deferrals


def _deferred(rows: Sequence[pb.Deferral]) -> list[int]:
    return [row.deferred_minor for row in rows]
