"""The largest line that an invoice holds goes all the way; what is larger stops where it comes in."""

from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from corebilling.values.money import MAX_MINOR
from tests.support.app import refused
from tests.support.catalog import metered_price, new_meter, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.reporting import use


async def test_usage_beyond_the_largest_line_is_refused_and_what_came_before_is_billed(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    fee = await new_price(platform, product.id, "fee", unit_amount="10000000000000")
    tokens = await metered_price(platform, product.id, meter.id, unit_amount="10000000000")
    subscription = await subscribe(platform, fee, tokens)
    await use(platform, subscription.id, "999")
    # As it happens: nanoseconds where a quantity was meant.
    refusal = await refused(use(platform, subscription.id, "1772366400000000000"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "VALUE_OUT_OF_RANGE")
    assert refusal.facts == {"field": "quantity", "limit": "1000"}
    await use(platform, subscription.id, "1")
    await platform.pass_time(days=32)
    assert [invoice.total_minor for invoice in await invoices_of(platform)] == [2 * MAX_MINOR]
    assert await platform.rows("SELECT * FROM event_handler_failures") == []
    books = await platform.stub(LedgerServiceStub).GetTrialBalance(
        ledger_service_pb2.GetTrialBalanceRequest()
    )
    assert (books.balanced, books.balances[0].debit_minor) == (True, 2 * MAX_MINOR)
