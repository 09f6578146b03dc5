"""Statements: what a customer, or an account, stood at, and what changed it; and balances as of a date.

Everything is summed up from the entries. A customer's are few; an account's are read from one index, which
holds all that a sum needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing_db import ledger as ledger_sql
from billing_db.models import LedgerAccount

from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_customer
from corebilling.domains.ledger.model import is_balanced
from corebilling.errors import FailedPrecondition, InvalidArgument, NotFound
from corebilling.mapping import instant, to_message
from corebilling.values.integer import MAX_BIGINT
from corebilling.values.page import (
    bad_page_token,
    decode_page_token,
    next_page,
    ordinal_of,
    page_limit,
    time_of,
)
from corebilling.values.period import ALWAYS, Period


class StatementService:
    """Reads the books, at any time."""

    async def get_trial_balance(
        self, tx: Transaction, request: rpc.GetTrialBalanceRequest
    ) -> rpc.GetTrialBalanceResponse:
        """Every account's sums.

        Raises:
            FailedPrecondition: BALANCE_OUT_OF_RANGE when the message cannot hold a sum.
        """
        rows = await ledger_sql.list_balances(
            tx, tenant_id=tx.tenant_id, account_id="", as_of=_as_of(request)
        )
        balances = [_balance(row) for row in rows]
        sums = [(balance.currency, balance.debit_minor, balance.credit_minor) for balance in balances]
        return rpc.GetTrialBalanceResponse(balances=balances, balanced=is_balanced(sums))

    async def get_account_balance(
        self, tx: Transaction, request: rpc.GetAccountBalanceRequest
    ) -> rpc.GetAccountBalanceResponse:
        """Raises what `get_trial_balance` does, and NotFound: ACCOUNT_NOT_FOUND."""
        account = await _account(tx, request.account_id)
        (row,) = await ledger_sql.list_balances(
            tx, tenant_id=tx.tenant_id, account_id=account.id, as_of=_as_of(request)
        )
        return rpc.GetAccountBalanceResponse(balance=_balance(row))

    async def get_statement(
        self, tx: Transaction, request: rpc.GetStatementRequest
    ) -> rpc.GetStatementResponse:
        """A customer's facts of a period.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND.
            InvalidArgument: STATEMENT_PERIOD_INVALID.
            FailedPrecondition: BALANCE_OUT_OF_RANGE when the message cannot hold a sum.
        """
        customer = await find_customer(tx, request.customer_id)
        period, limit = _period(request), page_limit(request.page_size)
        after = _decode_place(request.page_token, period)
        currency = request.currency or customer.currency
        sums = await ledger_sql.get_customer_sums(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=customer.id,
            currency=currency,
            period_start=period.start,
            period_end=period.end,
            after_posted_at=after.posted_at,
            after=after.journal_id,
        )
        rows = await ledger_sql.list_statement_lines(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=customer.id,
            currency=currency,
            period_start=period.start,
            period_end=period.end,
            after_posted_at=after.posted_at,
            after=after.journal_id,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: (row.posted_at.isoformat(), row.journal_id, "0"))
        return rpc.GetStatementResponse(
            currency=currency,
            opening=_standing(sums.opening_owed_minor, sums.opening_credit_minor),
            closing=_standing(sums.closing_owed_minor, sums.closing_credit_minor),
            lines=_statement_lines(page, sums.told_owed_minor, sums.told_credit_minor),
            next_page_token=token,
        )

    async def get_account_statement(
        self, tx: Transaction, request: rpc.GetAccountStatementRequest
    ) -> rpc.GetAccountStatementResponse:
        """An account's entries of a period.

        Raises:
            NotFound: ACCOUNT_NOT_FOUND.
            InvalidArgument: STATEMENT_PERIOD_INVALID.
            FailedPrecondition: BALANCE_OUT_OF_RANGE when the message cannot hold a sum.
        """
        account = await _account(tx, request.account_id)
        period, limit = _period(request), page_limit(request.page_size)
        after = _decode_place(request.page_token, period)
        sums = await ledger_sql.get_account_sums(
            tx,
            tenant_id=tx.tenant_id,
            account_id=account.id,
            period_start=period.start,
            period_end=period.end,
            after_posted_at=after.posted_at,
            after=after.journal_id,
            after_position=after.position,
        )
        rows = await ledger_sql.list_account_lines(
            tx,
            tenant_id=tx.tenant_id,
            account_id=account.id,
            period_start=period.start,
            period_end=period.end,
            after_posted_at=after.posted_at,
            after=after.journal_id,
            after_position=after.position,
            limit_rows=limit + 1,
        )
        page, token = next_page(
            rows, limit, key=lambda row: (row.posted_at.isoformat(), row.journal_id, str(row.position))
        )
        return rpc.GetAccountStatementResponse(
            account=to_message(account, pb.Account),
            opening_minor=_fitting(sums.opening_minor),
            closing_minor=_fitting(sums.closing_minor),
            lines=_account_lines(page, sums.told_minor),
            next_page_token=token,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: at a journal, or at one of its entries."""

    posted_at: datetime
    journal_id: str = ""
    position: int = 0


def _decode_place(page_token: str, period: Period) -> _Place:
    posted_at, journal_id, position = decode_page_token(page_token, 3)
    if not journal_id:
        return _Place(ALWAYS.start)
    place = _Place(time_of(posted_at), journal_id, ordinal_of(position))
    if place.posted_at not in period:
        raise bad_page_token()
    return place


def _as_of(request: rpc.GetTrialBalanceRequest | rpc.GetAccountBalanceRequest) -> datetime | None:
    return instant(request.as_of) if request.HasField("as_of") else None


def _period(request: rpc.GetStatementRequest | rpc.GetAccountStatementRequest) -> Period:
    period = Period(
        instant(request.start) if request.HasField("start") else ALWAYS.start,
        instant(request.end) if request.HasField("end") else ALWAYS.end,
    )
    if period.start >= period.end:
        raise InvalidArgument(
            "STATEMENT_PERIOD_INVALID",
            "A statement's period starts before it ends.",
            {"start": period.start.isoformat(), "end": period.end.isoformat()},
        )
    return period


async def _account(tx: Transaction, account_id: str) -> LedgerAccount:
    account = await ledger_sql.find_account(tx, tenant_id=tx.tenant_id, id=account_id)
    if account is None:
        raise NotFound("ACCOUNT_NOT_FOUND", "There is no such account.", {"account_id": account_id})
    return account


def _statement_lines(
    rows: Sequence[ledger_sql.ListStatementLinesRow], owed_minor: Decimal, credit_minor: Decimal
) -> list[pb.StatementLine]:
    lines = []
    for row in rows:
        owed_minor += row.owed_minor
        credit_minor += row.credit_minor
        change = _standing(row.owed_minor, row.credit_minor)
        balance = _standing(owed_minor, credit_minor)
        lines.append(to_message(row, pb.StatementLine, change=change, balance=balance))
    return lines


def _account_lines(
    rows: Sequence[ledger_sql.ListAccountLinesRow], balance_minor: Decimal
) -> list[pb.AccountStatementLine]:
    lines = []
    for row in rows:
        balance_minor += row.amount_minor if row.direction == "debit" else -row.amount_minor
        lines.append(to_message(row, pb.AccountStatementLine, balance_minor=_fitting(balance_minor)))
    return lines


def _standing(owed_minor: Decimal, credit_minor: Decimal) -> pb.CustomerBalance:
    return pb.CustomerBalance(owed_minor=_fitting(owed_minor), credit_minor=_fitting(credit_minor))


def _fitting(amount_minor: Decimal) -> int:
    if abs(amount_minor) > MAX_BIGINT:
        raise FailedPrecondition(
            "BALANCE_OUT_OF_RANGE",
            "A sum is larger than a message can hold; the error's metadata has it exactly.",
            {"balance_minor": str(int(amount_minor))},
        )
    return int(amount_minor)


def _balance(row: ledger_sql.ListBalancesRow) -> pb.Balance:
    debit_minor, credit_minor = int(row.debit_minor), int(row.credit_minor)
    if max(debit_minor, credit_minor) > MAX_BIGINT:
        raise FailedPrecondition(
            "BALANCE_OUT_OF_RANGE",
            "An account's sums are larger than a message can hold; the error's metadata has them exactly.",
            {
                "account_id": row.account_id,
                "debit_minor": str(debit_minor),
                "credit_minor": str(credit_minor),
            },
        )
    return to_message(
        row,
        pb.Balance,
        debit_minor=debit_minor,
        credit_minor=credit_minor,
        balance_minor=debit_minor - credit_minor,
    )
