import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.ledger.model import AccountType, Direction, Entry, Source, transfer
from corebilling.domains.ledger.service import Posting
from corebilling.errors import BillingError, FailedPrecondition, NotFound
from tests.support.billing import OTHER_TENANT, Billing, billing, caller

__all__ = ["billing"]

NOW = datetime(2026, 4, 1, tzinfo=UTC)
SALE = transfer(2580, "USD", debit=AccountType.RECEIVABLE, credit=AccountType.REVENUE)


async def post(
    tx: Transaction, billing: Billing, customer_id: str, source_id: str, entries: tuple[Entry, ...] = SALE
) -> None:
    posting = Posting(Source.INVOICE_FINALIZED, source_id, customer_id, entries, NOW)
    await billing.ledger.post(tx, [posting])


async def posted(billing: Billing, source_id: str = "inv_1") -> tuple[str, pb.Journal]:
    customer_id = await billing.customer()
    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, customer_id, source_id)
    (journal,) = await journals(billing, source_id=source_id)
    return customer_id, journal


async def journals(billing: Billing, source_id: str = "") -> list[pb.Journal]:
    request = rpc.ListJournalsRequest(source_id=source_id)
    response = await billing.call(billing.ledger.list_journals, request)
    return list(response.journals)


async def database_refusal(
    database: Database, work: Callable[[Transaction], Awaitable[Any]]
) -> BaseException:
    """What the database itself says against the work."""
    with pytest.raises(BillingError) as refused:
        async with database.transaction(caller()) as tx:
            await work(tx)
    cause = refused.value.__cause__
    assert cause is not None
    return cause


async def test_a_journal_is_read_back_as_it_was_posted(billing: Billing) -> None:
    customer_id, journal = await posted(billing)
    assert (journal.source_type, journal.source_id, journal.customer_id) == (
        "invoice.finalized",
        "inv_1",
        customer_id,
    )
    assert [(entry.account_type, entry.direction, entry.amount_minor) for entry in journal.entries] == [
        (pb.ACCOUNT_TYPE_RECEIVABLE, pb.ENTRY_DIRECTION_DEBIT, 2580),
        (pb.ACCOUNT_TYPE_REVENUE, pb.ENTRY_DIRECTION_CREDIT, 2580),
    ]
    request = rpc.GetJournalRequest(journal_id=journal.id)
    assert (await billing.call(billing.ledger.get_journal, request)).journal == journal
    ((event, announced),) = await billing.events("ledger.journal.posted")
    assert (event.resource_id, announced.amount_minor, announced.currency) == (journal.id, 2580, "USD")


async def test_a_source_is_posted_once_however_often_it_is_asked_for(billing: Billing) -> None:
    customer_id, journal = await posted(billing)
    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, customer_id, "inv_1")
    assert await journals(billing) == [journal]
    assert len(await billing.events("ledger.journal.posted")) == 1


async def test_accounts_are_made_on_demand_one_per_type_and_currency(billing: Billing) -> None:
    customer_id, _ = await posted(billing)
    euros = transfer(100, "EUR", debit=AccountType.CASH, credit=AccountType.RECEIVABLE)
    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, customer_id, "inv_2")
        await post(tx, billing, customer_id, "inv_3", euros)
    response = await billing.call(billing.ledger.list_accounts, rpc.ListAccountsRequest())
    assert [(account.currency, account.type) for account in response.accounts] == [
        ("EUR", pb.ACCOUNT_TYPE_CASH),
        ("EUR", pb.ACCOUNT_TYPE_RECEIVABLE),
        ("USD", pb.ACCOUNT_TYPE_RECEIVABLE),
        ("USD", pb.ACCOUNT_TYPE_REVENUE),
    ]


async def test_two_first_postings_at_once_share_the_accounts(billing: Billing) -> None:
    first, second = await billing.customer(), await billing.customer()

    async def post_second() -> None:
        async with billing.pool.transaction(caller()) as tx:
            await post(tx, billing, second, "inv_2")

    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, first, "inv_1")
        waiting = asyncio.create_task(post_second())
        waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not await billing.db.admin(waits):  # noqa: ASYNC110 (the database sends no word)
            await asyncio.sleep(0.01)
    await waiting
    assert len(await journals(billing)) == 2
    (row,) = await billing.db.admin("SELECT count(*) FROM ledger_accounts")
    assert row["count"] == 2


async def test_the_trial_balance_sums_every_account(billing: Billing) -> None:
    customer_id, _ = await posted(billing)
    payment = transfer(580, "USD", debit=AccountType.CASH, credit=AccountType.RECEIVABLE)
    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, customer_id, "pay_1", payment)
    trial = await billing.call(billing.statements.get_trial_balance, rpc.GetTrialBalanceRequest())
    assert trial.balanced
    assert [
        (row.account_type, row.debit_minor, row.credit_minor, row.balance_minor) for row in trial.balances
    ] == [
        (pb.ACCOUNT_TYPE_CASH, 580, 0, 580),
        (pb.ACCOUNT_TYPE_RECEIVABLE, 2580, 580, 2000),
        (pb.ACCOUNT_TYPE_REVENUE, 0, 2580, -2580),
    ]


@pytest.mark.parametrize(
    "entries",
    [
        (SALE[0],),
        (SALE[0], Entry(AccountType.REVENUE, Direction.CREDIT, "USD", 2579)),
        (SALE[0], Entry(AccountType.REVENUE, Direction.DEBIT, "USD", 2580)),
    ],
)
async def test_the_database_refuses_an_unbalanced_journal(
    billing: Billing, entries: tuple[Entry, ...]
) -> None:
    customer_id = await billing.customer()
    refusal = await database_refusal(
        billing.pool, lambda tx: post(tx, billing, customer_id, "inv_1", entries)
    )
    assert isinstance(refusal, asyncpg.CheckViolationError)
    assert "does not balance" in str(refusal)
    assert await journals(billing) == []


async def test_the_database_refuses_a_journal_that_balances_only_across_currencies(billing: Billing) -> None:
    customer_id, journal = await posted(billing)
    euros = transfer(1, "EUR", debit=AccountType.RECEIVABLE, credit=AccountType.REVENUE)
    async with billing.pool.transaction(caller()) as tx:
        await post(tx, billing, customer_id, "inv_2", euros)
    statement = """
        INSERT INTO ledger_entries (
            tenant_id, journal_id, position, account_id, direction, currency, amount_minor, posted_at
        )
        SELECT j.tenant_id, j.id, 10 + row_number() OVER (), a.id,
            CASE a.currency WHEN 'USD' THEN 'debit' ELSE 'credit' END, a.currency, 5, j.posted_at
        FROM ledger_journals j JOIN ledger_accounts a ON a.type = 'revenue'
        WHERE j.id = $1
    """
    refusal = await database_refusal(billing.pool, lambda tx: tx.execute(statement, journal.id))
    assert "does not balance" in str(refusal)


async def test_the_database_refuses_entries_added_to_a_posted_journal_though_they_balance(
    billing: Billing,
) -> None:
    _, journal = await posted(billing)
    statement = """
        INSERT INTO ledger_entries (
            tenant_id, journal_id, position, account_id, direction, currency, amount_minor, posted_at
        )
        SELECT tenant_id, journal_id, position + 2, account_id, direction, currency, amount_minor, posted_at
        FROM ledger_entries
    """
    for database in (billing.pool, billing.worker):
        refusal = await database_refusal(database, lambda tx: tx.execute(statement))
        assert isinstance(refusal, asyncpg.CheckViolationError)
        assert "is posted" in str(refusal)
    assert await journals(billing) == [journal]


@pytest.mark.parametrize("table", ["ledger_accounts", "ledger_journals", "ledger_entries"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"]
)
async def test_what_is_posted_can_be_neither_changed_nor_deleted(
    billing: Billing, table: str, statement: str
) -> None:
    await posted(billing)
    for database in (billing.pool, billing.worker):
        refusal = await database_refusal(database, lambda tx: tx.execute(statement.format(table)))
        assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


async def test_a_journal_is_reversed_once_and_an_unposted_source_not_at_all(billing: Billing) -> None:
    _, journal = await posted(billing)
    for source_id in ("inv_1", "inv_1", "inv_unknown"):
        async with billing.pool.transaction(caller()) as tx:
            await billing.ledger.reverse(
                tx,
                posted=Source.INVOICE_FINALIZED,
                source_type=Source.INVOICE_VOIDED,
                source_id=source_id,
                posted_at=NOW,
            )
    reversal, original = await journals(billing)
    assert (original, reversal.reverses_journal_id) == (journal, journal.id)
    assert [entry.direction for entry in reversal.entries] == [
        pb.ENTRY_DIRECTION_CREDIT,
        pb.ENTRY_DIRECTION_DEBIT,
    ]


async def test_another_tenants_journals_are_not_to_be_seen(billing: Billing) -> None:
    _, journal = await posted(billing)
    with pytest.raises(NotFound) as refused:
        await billing.call(
            billing.ledger.get_journal, rpc.GetJournalRequest(journal_id=journal.id), OTHER_TENANT
        )
    assert refused.value.reason == "JOURNAL_NOT_FOUND"
    response = await billing.call(billing.ledger.list_journals, rpc.ListJournalsRequest(), OTHER_TENANT)
    assert list(response.journals) == []


async def test_sums_beyond_64_bits_are_told_exactly_in_the_refusal(billing: Billing) -> None:
    customer_id = await billing.customer()
    most = 2**63 - 1
    for source_id in ("inv_1", "inv_2"):
        entries = transfer(most, "USD", debit=AccountType.RECEIVABLE, credit=AccountType.REVENUE)
        async with billing.pool.transaction(caller()) as tx:
            await post(tx, billing, customer_id, source_id, entries)
    with pytest.raises(FailedPrecondition) as refused:
        await billing.call(billing.statements.get_trial_balance, rpc.GetTrialBalanceRequest())
    assert refused.value.reason == "BALANCE_OUT_OF_RANGE"
    (account,) = await billing.db.admin("SELECT id FROM ledger_accounts WHERE type = 'receivable'")
    assert refused.value.facts == {
        "account_id": account["id"],
        "debit_minor": str(2 * most),
        "credit_minor": "0",
    }
