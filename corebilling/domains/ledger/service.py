"""Use cases of the ledger: posting journals, and reading the books."""

from collections.abc import Sequence
from datetime import datetime

from billing.ledger.v1 import ledger_events_pb2 as events
from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing_db import ledger as ledger_sql
from billing_db.models import LedgerJournal

from corebilling.db.transaction import Transaction
from corebilling.domains.ledger.model import (
    AccountType,
    Direction,
    Entry,
    Source,
    debited,
    is_balanced,
    reverse,
)
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit


class LedgerService:
    """Posts what others decide, in their transaction; nothing posted ever changes."""

    async def post(
        self,
        tx: Transaction,
        *,
        source_type: Source,
        source_id: str,
        customer_id: str,
        entries: Sequence[Entry],
        posted_at: datetime,
        reverses_journal_id: str | None = None,
    ) -> None:
        """Posts a money fact once: a source that was posted before is left as it is.

        Args:
            entries: Of one currency, debits equal to credits; the database refuses others.
            posted_at: By the tenant's clock.

        The caller holds the customer's lock.
        """
        currency = entries[0].currency
        accounts = await _accounts(tx, currency, {entry.account for entry in entries})
        journal = await ledger_sql.try_insert_journal(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("jrn"),
            source_type=source_type,
            source_id=source_id,
            customer_id=customer_id,
            reverses_journal_id=reverses_journal_id,
            posted_at=posted_at,
            created_at=tx.now,
            account_ids=[accounts[entry.account] for entry in entries],
            directions=[entry.direction for entry in entries],
            currencies=[entry.currency for entry in entries],
            amounts_minor=[entry.amount_minor for entry in entries],
        )
        if journal is None:
            return
        outbox.append(
            tx,
            events.JournalPosted(
                journal_id=journal.id,
                source_type=source_type,
                source_id=source_id,
                currency=currency,
                amount_minor=debited(entries),
            ),
            resource_id=journal.id,
            resource_version=1,
            ordering_key=customer_id,
        )

    async def reverse(
        self, tx: Transaction, *, posted: Source, source_type: Source, source_id: str, posted_at: datetime
    ) -> None:
        """Takes back what `posted` entered for the source, if anything."""
        journal = await ledger_sql.find_journal_by_source(
            tx, tenant_id=tx.tenant_id, source_type=posted, source_id=source_id
        )
        if journal is None:
            return
        rows = await ledger_sql.list_entries(tx, tenant_id=tx.tenant_id, journal_ids=[journal.id])
        await self.post(
            tx,
            source_type=source_type,
            source_id=source_id,
            customer_id=journal.customer_id,
            entries=reverse([_entry(row) for row in rows]),
            posted_at=posted_at,
            reverses_journal_id=journal.id,
        )

    async def list_accounts(
        self, tx: Transaction, request: rpc.ListAccountsRequest
    ) -> rpc.ListAccountsResponse:
        rows = await ledger_sql.list_accounts(tx, tenant_id=tx.tenant_id)
        return rpc.ListAccountsResponse(accounts=(to_message(row, pb.Account) for row in rows))

    async def get_journal(self, tx: Transaction, request: rpc.GetJournalRequest) -> rpc.GetJournalResponse:
        journal = await ledger_sql.find_journal(tx, tenant_id=tx.tenant_id, id=request.journal_id)
        if journal is None:
            raise NotFound(
                "JOURNAL_NOT_FOUND", "There is no such journal.", {"journal_id": request.journal_id}
            )
        (message,) = await _messages(tx, [journal])
        return rpc.GetJournalResponse(journal=message)

    async def list_journals(
        self, tx: Transaction, request: rpc.ListJournalsRequest
    ) -> rpc.ListJournalsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await ledger_sql.list_journals(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            source_id=request.source_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListJournalsResponse(journals=await _messages(tx, page), next_page_token=token)

    async def get_trial_balance(
        self, tx: Transaction, request: rpc.GetTrialBalanceRequest
    ) -> rpc.GetTrialBalanceResponse:
        rows = await ledger_sql.list_balances(tx, tenant_id=tx.tenant_id)
        sums = [(row.currency, row.debit_minor, row.credit_minor) for row in rows]
        return rpc.GetTrialBalanceResponse(balances=map(_balance, rows), balanced=is_balanced(sums))


async def _accounts(tx: Transaction, currency: str, needed: set[AccountType]) -> dict[AccountType, str]:
    """The ids of the accounts, made where missing; whoever else makes the same now is waited for."""
    found = await _known_accounts(tx, currency)
    missing = sorted(needed - found.keys())
    if not missing:
        return found
    await ledger_sql.insert_accounts(
        tx, tenant_id=tx.tenant_id, currency=currency, ids=[new_id("acc") for _ in missing], types=missing
    )
    return await _known_accounts(tx, currency)


async def _known_accounts(tx: Transaction, currency: str) -> dict[AccountType, str]:
    rows = await ledger_sql.list_accounts_of(tx, tenant_id=tx.tenant_id, currency=currency)
    return {AccountType(row.type): row.id for row in rows}


async def _messages(tx: Transaction, journals: Sequence[LedgerJournal]) -> list[pb.Journal]:
    entries = await ledger_sql.list_entries(
        tx, tenant_id=tx.tenant_id, journal_ids=[journal.id for journal in journals]
    )
    return [
        to_message(
            journal,
            pb.Journal,
            entries=[to_message(entry, pb.Entry) for entry in entries if entry.journal_id == journal.id],
        )
        for journal in journals
    ]


def _entry(row: ledger_sql.ListEntriesRow) -> Entry:
    return Entry(AccountType(row.account_type), Direction(row.direction), row.currency, row.amount_minor)


def _balance(row: ledger_sql.ListBalancesRow) -> pb.Balance:
    return to_message(row, pb.Balance, balance_minor=row.debit_minor - row.credit_minor)
