"""The same lives, lived on the platform: every step is an RPC, and time is a sandbox tenant's clock.

What is done at one moment is done for all customers at once, in rounds: the order in which one customer does
things is kept, and nothing else is promised by anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import zip_longest
from typing import TypeVar

from billing.credit.v1 import credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.oracle.acting import is_accepted, record
from tests.oracle.shop import Account, Shop
from tests.oracle.world import (
    Action,
    Customer,
    Invoice,
    Line,
    Seller,
    Use,
    Year,
)
from tests.support.platform import Platform

AT_ONCE = 16
"""Calls under way; the server has half as many connections."""
BATCH_RECORDS = 1000
TRIES = 10

Result = TypeVar("Result")


async def wait_until(shop: Shop, at: datetime) -> None:
    """Advances the clock, and does all that falls due on the way."""
    shop.platform.clock.advance(seconds=1)
    stub = shop.stub(ScheduleServiceStub)
    request = schedule_service_pb2.AdvanceTestClockRequest(request_id=new_id("req"), target_at=timestamp(at))
    await stub.AdvanceTestClock(request)
    await shop.platform.drain()
    for _ in range(TRIES):
        if (await stub.GetTestClock(schedule_service_pb2.GetTestClockRequest())).clock.ready:
            return
        # A step that failed, as when the machine is very busy, is tried again later by the wall clock.
        shop.platform.clock.advance(minutes=10)
        await shop.platform.drain()
    raise AssertionError(f"the clock did not arrive at {at}")


async def act(shop: Shop, done: Iterable[tuple[Account, Sequence[Action]]]) -> None:
    """Does what each customer does in turn, for all of them together, and notes what was accepted."""
    turns = [[(account, turn) for turn in in_turns(actions)] for account, actions in done]
    for together in zip_longest(*turns):
        alone, batch = [], []
        for account, turn in filter(None, together):
            if len(turn) == 1:
                alone.append((account, turn[0]))
            else:
                batch += [(account, use) for use in turn]
        await at_once(_act_alone(shop, account, action) for account, action in alone)
        for begin in range(0, len(batch), BATCH_RECORDS):
            await _use_together(shop, batch[begin : begin + BATCH_RECORDS])


async def _act_alone(shop: Shop, account: Account, action: Action) -> None:
    account.answers.append(await is_accepted(shop, account, action))


async def _use_together(shop: Shop, uses: Sequence[tuple[Account, Use]]) -> None:
    request = usage_service_pb2.BatchReportUsageRequest(
        records=[record(account, use) for account, use in uses]
    )
    answer = await shop.stub(UsageServiceStub).BatchReportUsage(request)
    refused = {result.index: result.outcome for result in answer.results}
    assert set(refused.values()) <= {usage_pb2.USAGE_OUTCOME_REJECTED}
    assert answer.accepted == len(uses) - len(refused)
    for index, (account, _) in enumerate(uses):
        account.answers.append(index not in refused)


async def year_of(shop: Shop, account: Account) -> Year:
    codes = {"": ""} | {price_id: price.code for price, price_id in account.prices.items()}
    listed = await shop.listed(
        InvoiceServiceStub,
        "ListInvoices",
        invoice_service_pb2.ListInvoicesRequest(customer_id=account.id, page_size=500),
        "invoices",
    )
    invoices = []
    for one in reversed(listed):
        get = invoice_service_pb2.GetInvoiceRequest(invoice_id=one.id)
        invoices.append((await shop.stub(InvoiceServiceStub).GetInvoice(get)).invoice)
    granted = await shop.listed(
        CreditServiceStub,
        "ListCredits",
        credit_service_pb2.ListCreditsRequest(customer_id=account.id, page_size=500),
        "credits",
    )
    left = {credit.id: credit.remaining_minor for credit in granted}
    return Year(
        answers=tuple(account.answers),
        invoices=tuple(_invoice(invoice, codes) for invoice in invoices),
        left_minor=tuple(left.pop(credit_id) for credit_id in account.credits),
        given_back_minor=sum(left.values()),
    )


Check = Callable[[Shop, Mapping[str, Account]], Awaitable[None]]
"""Looks at a tenant, and at its customers by name."""


async def live(
    platform: Platform,
    seller: Seller,
    customers: Sequence[Customer],
    checks: Mapping[datetime, Check] | None = None,
) -> list[Year]:
    """What comes of customers of one seller. The seller's books balance in the end.

    Args:
        checks: Made at their times, after what is done then.
    """
    checks = checks or {}
    shop = Shop(platform, seller)
    await shop.open({price.tax_category for customer in customers for price in customer.prices})
    welcomed = await at_once(shop.welcome(customer) for customer in customers)
    accounts = {customer.name: account for customer, account in zip(customers, welcomed, strict=True)}
    wanted: dict[datetime, dict[str, list[Action]]] = {at: {} for at in checks}
    for customer in customers:
        for visit in customer.visits:
            wanted.setdefault(visit.at, {}).setdefault(customer.name, []).extend(visit.actions)
    for number, at in enumerate(sorted(wanted)):
        if number.bit_count() <= 1:  # Plans made for empty tables take minutes, and autovacuum comes late.
            await platform.rows("ANALYZE")
        await wait_until(shop, at)
        await act(shop, [(accounts[name], actions) for name, actions in wanted[at].items()])
        await platform.drain()
        if at in checks:
            await checks[at](shop, accounts)
    await wait_until(shop, seller.ends)
    trial = await shop.stub(LedgerServiceStub).GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())
    assert trial.balanced
    return await at_once(year_of(shop, account) for account in welcomed)


async def at_once(calls: Iterable[Awaitable[Result]]) -> list[Result]:
    """What calls of different customers answer, in their order; bounded."""
    free = asyncio.Semaphore(AT_ONCE)

    async def bounded(call: Awaitable[Result]) -> Result:
        async with free:
            return await call

    return await asyncio.gather(*(bounded(call) for call in calls))


def in_turns(actions: Sequence[Action]) -> list[list[Action]]:
    """One by one, but usage that follows usage with it: it is reported in a batch."""
    turns: list[list[Action]] = []
    for action in actions:
        if isinstance(action, Use) and turns and isinstance(turns[-1][-1], Use):
            turns[-1].append(action)
        else:
            turns.append([action])
    return turns


def _invoice(invoice: invoice_pb2.Invoice, codes: dict[str, str]) -> Invoice:
    return Invoice(
        start=instant(invoice.period.start),
        end=instant(invoice.period.end),
        lines=tuple(
            Line(
                kind=invoice_pb2.InvoiceLineType.Name(line.type).removeprefix("INVOICE_LINE_TYPE_").lower(),
                price=codes[line.price_id],
                start=instant(line.period.start),
                end=instant(line.period.end),
                quantity=str(Fraction(line.quantity)),
                amount_minor=line.amount_minor,
                discount_minor=line.discount_minor,
                credit_minor=line.credit_minor,
                tax_minor=line.tax_minor,
            )
            for line in invoice.lines
        ),
        subtotal_minor=invoice.subtotal_minor,
        discount_minor=invoice.discount_minor,
        credit_minor=invoice.credit_minor,
        tax_minor=invoice.tax_minor,
        total_minor=invoice.total_minor,
        prepaid_minor=invoice.prepaid_minor,
        due_minor=invoice.amount_due_minor,
    )
