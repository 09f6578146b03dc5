"""gRPC door of the ledger."""

from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceServicer

from corebilling.domains.ledger.deferral_service import DeferralService
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.ledger.statements import StatementService
from corebilling.rpc.door import Context, Door


class LedgerServicer(LedgerServiceServicer):
    def __init__(self, door: Door, ledger: LedgerService) -> None:
        self._door = door
        self._ledger = ledger
        self._statements = StatementService()
        self._deferrals = DeferralService(ledger)

    async def ListAccounts(
        self, request: rpc.ListAccountsRequest, context: Context
    ) -> rpc.ListAccountsResponse:
        return await self._door.read(request, self._ledger.list_accounts)

    async def GetJournal(self, request: rpc.GetJournalRequest, context: Context) -> rpc.GetJournalResponse:
        return await self._door.read(request, self._ledger.get_journal)

    async def ListJournals(
        self, request: rpc.ListJournalsRequest, context: Context
    ) -> rpc.ListJournalsResponse:
        return await self._door.read(request, self._ledger.list_journals)

    async def GetTrialBalance(
        self, request: rpc.GetTrialBalanceRequest, context: Context
    ) -> rpc.GetTrialBalanceResponse:
        return await self._door.read(request, self._statements.get_trial_balance)

    async def GetAccountBalance(
        self, request: rpc.GetAccountBalanceRequest, context: Context
    ) -> rpc.GetAccountBalanceResponse:
        return await self._door.read(request, self._statements.get_account_balance)

    async def GetStatement(
        self, request: rpc.GetStatementRequest, context: Context
    ) -> rpc.GetStatementResponse:
        return await self._door.read(request, self._statements.get_statement)

    async def GetAccountStatement(
        self, request: rpc.GetAccountStatementRequest, context: Context
    ) -> rpc.GetAccountStatementResponse:
        return await self._door.read(request, self._statements.get_account_statement)

    async def ListDeferrals(
        self, request: rpc.ListDeferralsRequest, context: Context
    ) -> rpc.ListDeferralsResponse:
        return await self._door.read(request, self._deferrals.list_deferrals)

    async def VerifyBooks(self, request: rpc.VerifyBooksRequest, context: Context) -> rpc.VerifyBooksResponse:
        return await self._door.read(request, self._ledger.verify_books)
