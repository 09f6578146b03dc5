"""The books of usage: what was accepted is billed, pending or excluded, and a difference is named."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.domains.usage import metrics
from corebilling.errors import BillingError
from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.scenarios.test_usage_is_billed_to_the_end import contract
from tests.support.app import refused
from tests.support.catalog import subscribe
from tests.support.money import void
from tests.support.platform import Platform
from tests.support.reporting import use
from tests.support.usage import CONTEXT, NOW, OTHER_TENANT, Usage, record, usage

__all__ = ["usage"]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_COMMAND = "from corebilling.commands.usage import usage_app; usage_app()"


async def books(platform: Platform, *, key: str | None = None) -> rpc.ReconcileUsageResponse:
    request = rpc.ReconcileUsageRequest(
        start=timestamp(START - timedelta(days=1)), end=timestamp(START + timedelta(days=80))
    )
    return await platform.stub(UsageServiceStub, key=key).ReconcileUsage(request)


def parts(balance: usage_pb2.UsageBalance) -> list[int]:
    """Accepted, billed, pending, trial, retracted, voided quantities."""
    return [
        int(text)
        for text in (
            balance.accepted_quantity,
            balance.billed_quantity,
            balance.pending_quantity,
            balance.trial_quantity,
            balance.retracted_quantity,
            balance.voided_quantity,
        )
    ]


async def test_quantities_are_as_each_meter_aggregates_them(usage: Usage) -> None:
    month = timedelta(days=30)
    await usage.batch(
        *(
            record(f"{meter} {n}", str(n), meter=meter)
            for meter in ("calls", "peak", "requests")
            for n in (2, 3)
        ),
        record("earlier", "7", NOW - month, meter="peak"),
    )
    answer = await usage.reconciled()
    assert answer.balanced
    assert [
        (
            b.meter_code,
            b.aggregation,
            b.period_count,
            b.accepted_records,
            b.accepted_quantity,
            b.pending_quantity,
        )
        for b in answer.balances
    ] == [
        ("calls", catalog_pb2.AGGREGATION_SUM, 1, 2, "5", "5"),
        ("peak", catalog_pb2.AGGREGATION_MAX, 2, 3, "10", "10"),
        ("requests", catalog_pb2.AGGREGATION_COUNT, 1, 2, "2", "2"),
    ]
    assert all(b.pending_records == b.accepted_records for b in answer.balances)
    (only,) = (await usage.reconciled(meter_code="peak")).balances
    assert only == answer.balances[1]


async def test_periods_outside_the_span_are_left_out_with_their_records(usage: Usage) -> None:
    await usage.batch(record("now", "1"), record("earlier", "7", NOW - timedelta(days=30)))
    start = datetime(2026, 2, 15, tzinfo=UTC)  # When the current period began.
    (now,) = (await usage.reconciled(start=start, end=NOW)).balances
    assert (now.accepted_quantity, now.accepted_records) == ("1", 1)
    (earlier,) = (await usage.reconciled(end=start)).balances
    assert (earlier.accepted_quantity, earlier.accepted_records) == ("7", 1)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM usage_records WHERE quantity = 3", (1, 2, "2", "5")),
        ("UPDATE usage_records SET quantity = 4 WHERE quantity = 3", (2, 2, "6", "5")),
        ("UPDATE usage_totals SET record_count = 7", (2, 7, "5", "5")),
        ("UPDATE usage_totals SET quantity_sum = 5.000000000001", (2, 2, "5", "5.000000000001")),
        ("DELETE FROM usage_totals", (2, 0, "5", "0")),
        ("DELETE FROM usage_records", (0, 2, "0", "5")),
    ],
)
async def test_records_that_differ_from_their_total_are_found(
    usage: Usage, damage: str, found: tuple[int, int, str, str]
) -> None:
    await usage.batch(record("a", "2"), record("b", "3"))
    before = metrics.DRIFTS._value.get()
    await usage.db.admin(damage)
    answer = await usage.reconciled()
    assert not answer.balanced
    (drift,) = answer.drifts
    assert (
        drift.record_count,
        drift.counted_record_count,
        drift.quantity,
        drift.counted_quantity,
    ) == found
    assert (drift.subscription_id, drift.subscription_item_id) == ("sub_a", "sit_a_calls")
    assert drift.HasField("period_start") == (damage != "DELETE FROM usage_totals")
    assert metrics.DRIFTS._value.get() == before + 1


async def test_differences_come_in_pages_and_the_sums_with_each(usage: Usage) -> None:
    for days in (0, 30):
        for meter in ("calls", "peak"):
            await usage.batch(record(f"{meter} {days}", "2", NOW - timedelta(days=days), meter=meter))
    await usage.db.admin("UPDATE usage_totals SET record_count = 2")
    seen, token = [], ""
    for _ in range(4):
        page = await usage.reconciled(page_size=1, page_token=token)
        assert [balance.drift_count for balance in page.balances] == [2, 2]
        seen += [(drift.subscription_item_id, instant(drift.period_start)) for drift in page.drifts]
        token = page.next_page_token
    assert token == ""
    assert len(set(seen)) == 4
    assert seen == sorted(seen)


async def test_other_tenants_usage_is_in_no_books(usage: Usage) -> None:
    theirs = record("a", "2", subscription="sub_theirs")
    assert (await usage.batch(theirs, tenant=OTHER_TENANT)).accepted == 1
    assert list((await usage.reconciled()).balances) == []


@pytest.mark.parametrize("days", [-1, 0, 93])
async def test_a_span_has_a_length_and_a_limit(usage: Usage, days: int) -> None:
    with pytest.raises(BillingError) as refusal:
        await usage.reconciled(start=NOW, end=NOW + timedelta(days=days))
    assert (refusal.value.reason, refusal.value.facts) == ("USAGE_SPAN_INVALID", {"limit_days": "92"})
    with pytest.raises(BillingError) as refusal:
        await usage.door().ReconcileUsage(
            rpc.ReconcileUsageRequest(
                start=timestamp(NOW), end=timestamp(NOW + timedelta(days=92)), page_token="?"
            ),
            CONTEXT,
        )
    assert refusal.value.reason == "PAGE_TOKEN_INVALID"


async def test_what_was_invoiced_is_billed_what_came_late_is_pending(platform: Platform) -> None:
    created = await subscribe(platform, *await contract(platform))
    trial = await subscribe(platform, *await contract_of(platform, created.id), trial_days=3)
    await use(platform, created.id, 5)
    await use(platform, trial.id, 9)
    await platform.pass_time(days=31, hours=2)
    await use(platform, created.id, 2, START)
    answer = await books(platform)
    assert answer.balanced
    (balance,) = answer.balances
    assert parts(balance) == [16, 5, 2, 9, 0, 0]
    assert (balance.billed_records, balance.pending_records, balance.trial_records) == (0, 2, 1)
    await platform.pass_time(days=31)
    (balance,) = (await books(platform)).balances
    assert parts(balance) == [16, 7, 0, 9, 0, 0]
    assert (balance.billed_records, balance.pending_records) == (2, 0)


async def contract_of(platform: Platform, subscription_id: str) -> list[catalog_pb2.Price]:
    """The prices of another subscription."""
    rows = await platform.rows(
        "SELECT price_id FROM subscription_items WHERE subscription_id = $1 ORDER BY position",
        subscription_id,
    )
    return [catalog_pb2.Price(id=row["price_id"]) for row in rows]


async def test_usage_of_a_voided_invoice_counts_by_itself_until_it_is_issued_again(
    platform: Platform,
) -> None:
    created = await subscribe(platform, *await contract(platform))
    await use(platform, created.id, 5)
    await platform.pass_time(days=31, hours=2)
    stub = platform.stub(InvoiceServiceStub)
    (invoice,) = (await stub.ListInvoices(invoice_service_pb2.ListInvoicesRequest())).invoices
    again = await stub.ReissueInvoice(
        invoice_service_pb2.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=invoice.id)
    )
    answer = await books(platform)
    assert (answer.balanced, parts(answer.balances[0])) == (True, [5, 5, 0, 0, 0, 0])
    await void(platform, again.invoice.id)
    answer = await books(platform)
    assert (answer.balanced, parts(answer.balances[0])) == (True, [5, 0, 0, 0, 0, 5])


async def test_what_was_rated_and_awaits_its_invoice_is_billed(platform: Platform) -> None:
    created = await subscribe(platform, *await contract(platform))
    await use(platform, created.id, 5)
    await platform.pass_time(days=31, hours=2)
    await platform.rows("DELETE FROM invoice_lines")
    drifted = await books(platform)
    assert [(drift.billed_quantity, drift.invoiced_quantity) for drift in drifted.drifts] == [("5", "0")]
    await platform.rows("UPDATE billing_cycles SET state = 'rated' WHERE state = 'invoiced'")
    answer = await books(platform)
    assert (answer.balanced, parts(answer.balances[0])) == (True, [5, 5, 0, 0, 0, 0])


async def test_whose_key_it_is_sees_its_own_books(platform: Platform) -> None:
    created = await subscribe(platform, *await contract(platform))
    await use(platform, created.id, 5)
    _, other_key = await platform.new_tenant("other")
    assert list((await books(platform, key=other_key)).balances) == []
    refusal = await refused(platform.stub(UsageServiceStub).ReconcileUsage(rpc.ReconcileUsageRequest()))
    assert refusal.reason == "REQUEST_INVALID"


@pytest.mark.parametrize("damaged", [False, True])
async def test_command_prints_the_books_and_fails_when_they_differ(platform: Platform, damaged: bool) -> None:
    created = await subscribe(platform, *await contract(platform))
    await use(platform, created.id, 5)
    if damaged:
        await platform.rows("UPDATE usage_totals SET record_count = 2")
    arguments = ["2026-03-01", "2026-04-01", "--target", platform.app.grpc_address]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _COMMAND, "reconcile", *arguments, "--api-key", platform.tenant_key),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    printed = out.decode()
    assert process.returncode == damaged, printed
    assert "tokens" in printed
    assert ("The books agree" in printed) == (not damaged)
    assert ("sit_" in printed) == damaged
