"""Use cases of the ledger: posting journals, and showing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.event.v1 import event_pb2 as eventv1
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
    reverse,
)
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import to_message
from corebilling.values.ids import new_id
from corebilling.values.page import MAX_PAGE_ROWS, decode_page_token, next_page, page_limit


@dataclass(frozen=True, slots=True)
class Posting:
    """A money fact on its way into the books.

    Args:
        entries: Of one currency, debits equal to credits; the database refuses others.
        posted_at: By the tenant's clock.
        cause: The event that led to it, where a handler takes several together.
    """

    source_type: Source
    source_id: str
    customer_id: str
    entries: Sequence[Entry]
    posted_at: datetime
    reverses_journal_id: str = ""
    cause: eventv1.Event | None = None


class LedgerService:
    """Posts what others decide, in their transaction; nothing posted ever changes."""

    async def post(self, tx: Transaction, postings: Sequence[Posting]) -> None:
        """Posts money facts once each: a source that was posted before is left as it is.

        The caller holds the customers' locks.
        """
        if not postings:
            return
        accounts = await _accounts(tx, {_account(entry) for posting in postings for entry in posting.entries})
        by_id = {new_id("jrn"): posting for posting in postings}
        for journal_id in await _insert(tx, by_id, accounts):
            posting = by_id[journal_id]
            outbox.append(
                tx,
                events.JournalPosted(
                    journal_id=journal_id,
                    source_type=posting.source_type,
                    source_id=posting.source_id,
                    currency=posting.entries[0].currency,
                    amount_minor=debited(posting.entries),
                ),
                resource_id=journal_id,
                resource_version=1,
                ordering_key=posting.customer_id,
                cause=posting.cause,
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
        posting = Posting(
            source_type,
            source_id,
            journal.customer_id,
            reverse([_entry(row) for row in rows]),
            posted_at,
            reverses_journal_id=journal.id,
        )
        await self.post(tx, [posting])

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

    async def journals_of(self, tx: Transaction, *, customer_id: str, source_id: str) -> list[pb.Journal]:
        """What a source of the customer's entered into the books, oldest first."""
        rows = await ledger_sql.list_journals(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=customer_id,
            source_id=source_id,
            after="",
            limit_rows=MAX_PAGE_ROWS,
        )
        return await _messages(tx, rows[::-1])

    async def verify_books(self, tx: Transaction, request: rpc.VerifyBooksRequest) -> rpc.VerifyBooksResponse:
        """Compares all of the tenant's books with what they are about: takes as long as there are many."""
        rows = await ledger_sql.list_checks(tx, tenant_id=tx.tenant_id)
        return rpc.VerifyBooksResponse(
            checks=(to_message(row, pb.BookCheck) for row in rows),
            sound=not any(row.differing_customers for row in rows),
        )


_Account = tuple[str, AccountType]


def _account(entry: Entry) -> _Account:
    return entry.currency, entry.account


async def _accounts(tx: Transaction, needed: set[_Account]) -> dict[_Account, str]:
    """The ids of the accounts, made where missing; whoever else makes the same now is waited for."""
    found = await _known_accounts(tx)
    missing = sorted(needed - found.keys())
    if not missing:
        return found
    await ledger_sql.insert_accounts(
        tx,
        tenant_id=tx.tenant_id,
        ids=[new_id("acc") for _ in missing],
        types=[account for _, account in missing],
        currencies=[currency for currency, _ in missing],
    )
    return await _known_accounts(tx)


async def _known_accounts(tx: Transaction) -> dict[_Account, str]:
    rows = await ledger_sql.list_accounts(tx, tenant_id=tx.tenant_id)
    return {(row.currency, AccountType(row.type)): row.id for row in rows}


async def _insert(
    tx: Transaction, by_id: Mapping[str, Posting], accounts: Mapping[_Account, str]
) -> Sequence[str]:
    """The ids of the journals that are new."""
    postings = by_id.values()
    entries = [
        (journal_id, position, entry)
        for journal_id, posting in by_id.items()
        for position, entry in enumerate(posting.entries, start=1)
    ]
    return await ledger_sql.insert_journals(
        tx,
        tenant_id=tx.tenant_id,
        created_at=tx.now,
        ids=list(by_id),
        source_types=[posting.source_type for posting in postings],
        source_ids=[posting.source_id for posting in postings],
        customer_ids=[posting.customer_id for posting in postings],
        reverses_journal_ids=[posting.reverses_journal_id for posting in postings],
        posted_at=[posting.posted_at for posting in postings],
        entry_journal_ids=[journal_id for journal_id, _, _ in entries],
        entry_positions=[position for _, position, _ in entries],
        entry_account_ids=[accounts[_account(entry)] for _, _, entry in entries],
        entry_directions=[entry.direction for _, _, entry in entries],
        entry_currencies=[entry.currency for _, _, entry in entries],
        entry_amounts_minor=[entry.amount_minor for _, _, entry in entries],
    )


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
